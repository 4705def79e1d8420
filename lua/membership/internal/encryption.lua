--- The encryption keys: those that datagrams are decrypted with, and the one of them that datagrams are sent with.

local log = require('membership.internal.logger')

local check = require('membership.internal.check')
local codec = require('membership.internal.codec')
local core = require('membership.internal.native')
local notifier = require('membership.internal.notifier')

---@class membership.Keys the encryption keys of a member, by their ids
---@field status string what it is held to be
---@field uses? string the one that it sends with; if it did not answer, as of its last datagram
---@field accepts? string[] those that it accepts; nil if it has not told
---@field answered boolean whether it has answered; one that is not live is not asked

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

-- Asks all members which keys they accept, and waits until they have answered, or do not: the library asks for some
-- seconds at most. With a key, only if it depends on them whether that may be used or removed. Returns an error, or
-- nil.
local function ask_members(key)
    local survey, err = core.ask_keys(key)
    local is_known = survey == nil
    while err == nil and not is_known do
        is_known, err = core.are_keys_known(survey)
        if is_known == false then
            notifier.wait_for_outcome(1)
            notifier.ensure_running()
        end
    end
    return err
end

--- Returns which keys each member accepts, and which it uses, by their ids: eight hexadecimal digits that say nothing
-- of the key. Asks all live members, and waits for their answers.
---@return table<string, membership.Keys> by URI; empty without encryption
function encryption.keys()
    notifier.ensure_running()
    check.result(nil, ask_members())
    local by_uri = {}
    for _, keys in ipairs(codec.decode(check.result(core.member_keys()))) do
        by_uri[keys.uri] = keys
        keys.uri = nil
    end
    return by_uri
end

--- Adds a key that decrypts. With this and the next two functions, a running group changes its key without losing a
-- member.
---@param key string
---@return boolean|nil, string|nil true; or nil and why the key is refused
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

-- Does a step that depends on the other members, by the function of this name, which the native library has, too. To be
-- called last, so that errors name the line of the program.
local function take_step(name, key, opts)
    notifier.ensure_running()
    local force = opts ~= nil and opts.force == true
    if not force then
        check.result(nil, ask_members(key))
    end
    local reason = check.result(core[name](key, force))
    if reason ~= nil then
        return nil, reason
    end
    return true
end

--- Sends with this key from now on, if all live members accept it: waits until they have told. Refuses, and names them,
-- if one does not, or does not answer.
---@param key string
---@param opts? {force?: boolean} `force`: at once, whatever other members accept
---@return boolean|nil, string|nil true; or nil and why the key is refused
function encryption.use_encryption_key(key, opts)
    if type(key) ~= 'string' then
        check.fail(1, 'use_encryption_key', 'string', key)
    elseif opts ~= nil then
        check.named(2, 'use_encryption_key', opts, {force = 'boolean'})
    end
    return take_step('use_encryption_key', key, opts)
end

--- Removes a key, if no live member uses it: waits until they have told. Datagrams made with it are dropped from now
-- on. Refuses, and names them, if one uses it, or does not answer. The key that is sent with cannot be removed.
---@param key string
---@param opts? {force?: boolean} `force`: at once, whatever other members use
---@return boolean|nil, string|nil true; or nil and why the key stays
function encryption.remove_encryption_key(key, opts)
    if type(key) ~= 'string' then
        check.fail(1, 'remove_encryption_key', 'string', key)
    elseif opts ~= nil then
        check.named(2, 'remove_encryption_key', opts, {force = 'boolean'})
    end
    return take_step('remove_encryption_key', key, opts)
end

return encryption
