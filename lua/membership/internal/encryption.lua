--- The encryption keys: those that datagrams are decrypted with, and the one of them that datagrams are sent with.

local log = require('membership.internal.logger')

local check = require('membership.internal.check')
local core = require('membership.internal.native')
local notifier = require('membership.internal.notifier')

local encryption = {}

--- Returns the key that datagrams are sent with, as membership 2.x uses it: cut to 32 bytes, or padded with spaces on
-- the left.
---@return string|nil
function encryption.get_encryption_key()
    notifier.ensure_running()
    local key = check.result(core.encryption_key())
    return key
end

--- Sets the keys. Datagrams that are made with any other key, or with none, are dropped from then on.
---@param key string|string[]|nil of a list, the first key is sent with, and all decrypt; nil ends encryption
function encryption.set_encryption_key(key)
    local keys = {}
    if type(key) == 'table' then
        keys = key
    elseif key ~= nil then
        keys = {key}
    end
    if key ~= nil and type(keys[1]) ~= 'string' then
        check.fail(1, 'set_encryption_key', '?string', key)
    elseif not check.is_list_of_strings(keys) then
        check.fail(1, 'set_encryption_key', 'list of strings', key)
    end
    notifier.ensure_running()
    local reason = check.result(core.set_encryption_keys(keys))
    if reason ~= nil then
        error(reason, 2)
    end
    log.info('Membership encryption %s', key ~= nil and 'enabled' or 'disabled')
end

-- Makes the function of the API that hands a key to the function of the native library of the same name.
local function key_function(name)
    return function(key)
        if type(key) ~= 'string' then
            check.fail(1, name, 'string', key)
        end
        notifier.ensure_running()
        local reason = check.result(core[name](key))
        if reason ~= nil then
            return nil, reason
        end
        return true
    end
end

--- Adds a key that decrypts. With this and the next two functions, a running group changes its key without losing a
-- member.
---@type fun(key: string): boolean|nil, string|nil true; or nil and why the key is refused
encryption.add_encryption_key = key_function('add_encryption_key')

--- Sends with this key from now on. All members, this one included, must have added it before.
---@type fun(key: string): boolean|nil, string|nil true; or nil and why the key is refused
encryption.use_encryption_key = key_function('use_encryption_key')

--- Removes a key: datagrams made with it are dropped from now on. The key that is sent with cannot be removed.
---@type fun(key: string): boolean|nil, string|nil true; or nil and why the key stays
encryption.remove_encryption_key = key_function('remove_encryption_key')

return encryption
