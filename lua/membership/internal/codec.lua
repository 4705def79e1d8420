--- MessagePack, for payloads and for what crosses from the native library.
--
-- It has a serializer of its own, so that payloads do not change with what a program configures for the common one: to
-- encode functions as nil, for instance.

local msgpack = require('msgpack').new()

local codec = {encode = msgpack.encode}

---@param bytes string
---@return any
function codec.decode(bytes)
    return (msgpack.decode(bytes)) -- without the position, which `decode` returns too
end

--- Decodes what a peer has encoded. It may have types that this version of Tarantool does not know.
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
