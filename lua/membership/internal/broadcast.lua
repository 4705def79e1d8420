--- `membership.broadcast`: finding members without knowing their addresses.

local log = require('membership.internal.logger')

local check = require('membership.internal.check')
local codec = require('membership.internal.codec')
local core = require('membership.internal.native')
local notifier = require('membership.internal.notifier')

-- Each ping is a pair of an address and, if it could not be sent, the reason.
local function log_ping(ping)
    local address, err = unpack(ping, 1, 2)
    if err == nil then
        log.info('Membership BROADCAST sent to %s', address)
    else
        log.warn('Membership BROADCAST not sent to %s: %s', address, err)
    end
end

--- Pings the broadcast address of each IPv4 network of this machine. An instance that has this port there answers, and
-- becomes a member.
---@param port number 1..65535; for any other number nothing is sent
---@return boolean whether there is any network
local function broadcast(port)
    if type(port) ~= 'number' then
        check.fail(1, 'broadcast', 'number', port)
    elseif not check.is_port(port) then -- a program that tries the ports next to its own may come to 0 and 65536
        log.warn('Membership BROADCAST not sent: %s expected, got %s', check.PORT, tostring(port))
        return false
    end
    notifier.ensure_running()
    local pings, impossible = unpack(codec.decode(check.result(core.broadcast(port))), 1, 2)
    if impossible ~= nil then
        log.warn('Membership BROADCAST impossible: %s', impossible)
        return false
    elseif #pings == 0 then
        log.warn('Membership BROADCAST not sent: No suitable ifaddrs found')
        return false
    end
    for _, ping in ipairs(pings) do
        log_ping(ping)
    end
    return true
end

return broadcast
