--- MessagePack, as this module needs it.
--
-- A serializer of its own: what a program configures for the common one (say, to encode functions as nil) must not
-- change what is gossiped, nor be taken for a payload that was meant.

local msgpack = require('msgpack').new()

local codec = {encode = msgpack.encode}

---@param bytes string
---@return any
function codec.decode(bytes)
    return (msgpack.decode(bytes)) -- and not where it ended
end

--- The same for what a peer has encoded: that may be something this Tarantool does not know.
---@param bytes string
---@return any|nil
---@return string|nil err
function codec.try_decode(bytes)
    local ok, value = pcall(msgpack.decode, bytes)
    if ok then
        return value
    end
    return nil, tostring(value)
end

return codec
