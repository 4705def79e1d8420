--- The encryption keys: those that datagrams are decrypted with, and the one of them that datagrams are sent with.

local log = require('log')

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

--- Adds a key that decrypts. With this and the next two functions, a running group changes its key without losing a
-- member.
---@param key string
---@return boolean|nil true
---@return string|nil why the key is refused
function encryption.add_encryption_key(key)
    if type(key) ~= 'string' then
        check.fail(1, 'add_encryption_key', 'string', key)
    end
    notifier.ensure_running()
    local reason = check.result(core.add_encryption_key(key))
    if reason ~= nil then
        return nil, reason
    end
    return true
end

--- Sends with this key from now on. All members, this one included, must have added it before.
---@param key string
---@return boolean|nil true
---@return string|nil why the key is refused
function encryption.use_encryption_key(key)
    if type(key) ~= 'string' then
        check.fail(1, 'use_encryption_key', 'string', key)
    end
    notifier.ensure_running()
    local reason = check.result(core.use_encryption_key(key))
    if reason ~= nil then
        return nil, reason
    end
    return true
end

--- Removes a key: datagrams made with it are dropped from now on. The key that is sent with cannot be removed.
---@param key string
---@return boolean|nil true
---@return string|nil why the key stays
function encryption.remove_encryption_key(key)
    if type(key) ~= 'string' then
        check.fail(1, 'remove_encryption_key', 'string', key)
    end
    notifier.ensure_running()
    local reason = check.result(core.remove_encryption_key(key))
    if reason ~= nil then
        return nil, reason
    end
    return true
end

return encryption
