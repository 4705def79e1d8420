--- The networks of this machine: `require('membership.network')`.

local codec = require('membership.internal.codec')
local core = require('membership.internal.native')

local network = {}

---@class membership.Interface
---@field name string
---@field inet4 string the address
---@field bcast? string the broadcast address, if the interface has one

--- Returns the IPv4 addresses of the interfaces that are up.
---@return membership.Interface[]
function network.getifaddrs()
    local blob, err = core.getifaddrs()
    if blob == nil then
        error(err, 2)
    end
    local result = {}
    for i, interface in ipairs(codec.decode(blob)) do
        local name, inet4, bcast = unpack(interface, 1, 3)
        result[i] = {name = name, inet4 = inet4, bcast = bcast ~= nil and bcast or nil} -- it may be box.NULL
    end
    return result
end

return network
