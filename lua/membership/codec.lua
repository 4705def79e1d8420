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

return codec
