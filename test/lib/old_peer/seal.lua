--- Encryption of whole datagrams as the Lua rock does it: AES-256-CBC, PKCS#7, constant IV.

local cipher = require('crypto').cipher.aes256.cbc

local KEY_BYTES = 32
local BLOCK_BYTES = 16

local Seal = {}
Seal.__index = Seal

--- A seal without a key: datagrams pass as they are.
function Seal.new(options)
    return setmetatable({options = options, key = nil}, Seal)
end

--- nil and box.NULL turn encryption off. A short key is padded on the left with spaces, a long one is cut.
function Seal:set_key(key)
    if key == nil then
        self.key = nil
    else
        -- A number or a table raises here, as in the rock.
        self.key = (' '):rep(KEY_BYTES - key:len()) .. key:sub(1, KEY_BYTES)
    end
end

function Seal:encrypt(plain)
    if self.key == nil then
        return plain
    end
    return cipher.encrypt(plain, self.key, self.options.ENCRYPTION_INIT)
end

--- Raises when the datagram was not made with this key.
function Seal:decrypt(datagram)
    if self.key == nil then
        return datagram
    end
    return cipher.decrypt(datagram, self.key, self.options.ENCRYPTION_INIT)
end

--- How long a datagram of `size` plain bytes gets.
function Seal:encrypted_size(size)
    if self.key == nil then
        return size
    end
    return (math.floor(size / BLOCK_BYTES) + 1) * BLOCK_BYTES
end

return Seal
