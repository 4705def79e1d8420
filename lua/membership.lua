--- A mesh of Tarantool instances that watch one another: `require('membership')`.
--
-- The protocol runs in a thread of its own, `membership.core`. This is what programs see of it: here arguments are
-- checked, fibers wait and errors are raised, and nothing is decided.

-- Compares the versions again, and raises if the library has another one: before anything that runs is touched.
package.loaded['membership.internal.native'] = nil
local core = require('membership.internal.native')

-- A reload of this module reloads all its parts, but for the native one.
for name in pairs(package.loaded) do
    if name:startswith('membership.') and name ~= 'membership.core' then
        package.loaded[name] = nil
    end
end

local log = require('log')
local new_table = require('table.new')

-- LuaJIT puts `table.clear` into `table` once somebody requires it. Newer versions of Tarantool do, 2.6.0 does not, and
-- programs that ran on the Lua rock rely on it: Cartridge does.
require('table.clear')

local check = require('membership.internal.check')
local codec = require('membership.internal.codec')
local stats = require('membership.internal.stats')
local mirror = require('membership.internal.mirror')
local probe = require('membership.internal.probe')
local wait = require('membership.internal.wait')
local notifier = require('membership.internal.notifier')

local PORT_MAX = 65535

---@class membership
local membership = {_VERSION = core.VERSION}

local function is_port(number)
    return number >= 1 and number <= PORT_MAX and number % 1 == 0
end

--- Opens a UDP socket and takes part in the group as `advertise_host:port`.
--
-- May be called again, to move to another port or to be known by another name: payload, incarnation and members stay,
-- and when the new socket cannot be opened, so does the old one.
---@param advertise_host string a name, an IPv4 address, or an IPv6 address in brackets
---@param port number 1..65535
---@param opts? {bind?: string} `bind`: the address to listen on, instead of all of them
---@return boolean true
function membership.init(advertise_host, port, opts)
    if type(advertise_host) ~= 'string' then
        check.fail(1, 'init', 'string', advertise_host)
    elseif type(port) ~= 'number' then
        check.fail(2, 'init', 'number', port)
    elseif not is_port(port) then
        check.fail_value(2, 'init', 'port between 1 and ' .. PORT_MAX, port)
    elseif opts ~= nil then
        check.named(3, 'init', opts, {bind = 'string'})
    end
    local ok, err = core.init(advertise_host, port, opts ~= nil and opts.bind or nil)
    if not ok then
        log.error('%s', err)
        error(err, 2)
    end
    notifier.ensure()
    notifier.tell()
    return true
end

--- Says good-bye to the group, closes the socket and forgets the members. Neither raises nor yields.
---@return boolean whether there was anything to leave
function membership.leave()
    local ok, left = pcall(core.leave)
    return ok and left == true
end

--- What the group knows of this instance.
---@return membership.MemberInfo
function membership.myself()
    notifier.ensure()
    local record = check.result(mirror.find())
    if record == nil then
        error('membership is not initialized', 2)
    end
    return mirror.describe(record)
end

--- What is known of one member.
---@param uri string
---@return membership.MemberInfo|nil
function membership.get_member(uri)
    if type(uri) ~= 'string' then
        check.fail(1, 'get_member', 'string', uri)
    end
    notifier.ensure()
    local record = check.result(mirror.find(uri))
    return record and mirror.describe(record)
end

local function describe_all(list)
    local result = new_table(0, #list)
    for i = 1, #list do
        result[list[i].uri] = mirror.describe(list[i])
    end
    return result
end

--- Everybody who was ever heard of, this instance included.
---@return table<string, membership.MemberInfo> by URI
function membership.members()
    notifier.ensure()
    local list = check.result(mirror.current())
    return describe_all(list)
end

--- Iterates over all members: `for uri, info in membership.pairs() do`.
---@return fun(members: table, uri?: string): string, membership.MemberInfo
---@return table<string, membership.MemberInfo>
function membership.pairs()
    notifier.ensure()
    local list = check.result(mirror.current())
    return pairs(describe_all(list))
end

--- Adds a member and makes it known. It is enough that one instance adds one other, whichever it is.
---@param uri string `host:port`
---@return boolean|nil true
---@return string|nil 'parse error'
function membership.add_member(uri)
    if type(uri) ~= 'string' then
        check.fail(1, 'add_member', 'string', uri)
    end
    notifier.ensure()
    local ok, err = core.add_member(uri)
    if ok then
        notifier.tell()
        return true
    elseif err == 'parse error' then
        return nil, err
    end
    error(err, 2)
end

--- Pings somebody and waits up to `ACK_TIMEOUT_SECONDS` for the answer. Whoever answers has joined the group.
---@param uri string `host:port`
---@return boolean whether there was an answer
---@return string|nil 'parse error', 'ping was not sent' or 'no response'
function membership.probe_uri(uri)
    if type(uri) ~= 'string' then
        check.fail(1, 'probe_uri', 'string', uri)
    end
    notifier.ensure()
    local why = check.result(probe.run(uri))
    if why ~= nil then
        return false, why
    end
    return true
end

--- Gets acquainted with whoever has this port in the networks of this machine, as far as broadcasts reach. IPv4 only.
---@param port number 1..65535; for any other number nothing is sent
---@return boolean whether there is any network
function membership.broadcast(port)
    if type(port) ~= 'number' then
        check.fail(1, 'broadcast', 'number', port)
    elseif not is_port(port) then -- a program that tries the neighbours of its own port comes to 0 and 65536
        log.warn('Membership BROADCAST not sent: port between 1 and %d expected, got %s', PORT_MAX, tostring(port))
        return false
    end
    notifier.ensure()
    local greetings, impossible = unpack(codec.decode(check.result(core.broadcast(port))), 1, 2)
    if impossible ~= nil then
        log.warn('Membership BROADCAST impossible: %s', impossible)
        return false
    end
    for _, greeting in ipairs(greetings) do
        local address, err = unpack(greeting, 1, 2)
        if err == nil then
            log.info('Membership BROADCAST sent to %s', address)
        else
            log.warn('Membership BROADCAST not sent to %s: %s', address, err)
        end
    end
    if #greetings == 0 then
        log.warn('Membership BROADCAST not sent: No suitable ifaddrs found')
    end
    return #greetings > 0
end

--- Declares a member gone for good, as if it had left. One that is there after all contradicts that.
---@param uri string
---@return boolean whether there was anything to mark
function membership.mark_left(uri)
    notifier.ensure()
    if type(uri) ~= 'string' then
        return false
    end
    local marked = check.result(core.mark_left(uri))
    notifier.tell()
    return marked
end

--- Forgets a member, on this instance only: it comes back with the next that is heard of it.
---@param uri string
function membership.remove_member(uri)
    if type(uri) ~= 'string' then
        check.fail(1, 'remove_member', 'string', uri)
    end
    notifier.ensure()
    check.result(core.remove_member(uri))
    notifier.tell()
end

--- Forgets everybody but these, now and whenever they are in trouble or leave. An empty list allows everybody again.
---@param uris string[]
function membership.set_allowed_members(uris)
    if type(uris) ~= 'table' then
        check.fail(1, 'set_allowed_members', 'table', uris)
    end
    local allowed = {}
    for i, uri in ipairs(uris) do
        if type(uri) ~= 'string' then
            check.fail(1, 'set_allowed_members', 'table of strings', uri)
        end
        allowed[i] = uri
    end
    for key in pairs(uris) do
        if allowed[key] == nil then -- left out, it would allow fewer than was meant, or everybody
            check.fail(1, 'set_allowed_members', 'list of strings', uris)
        end
    end
    notifier.ensure()
    check.result(core.set_allowed_members(allowed))
    notifier.tell()
end

-- The payload as it is by now: a user who edits his table afterwards changes nothing.
local function encode_argument(position, value)
    local ok, encoded = pcall(codec.encode, value)
    if not ok then
        error(('bad argument #%d to set_payload (%s)'):format(position, tostring(encoded)), 3)
    end
    return encoded
end

--- Sets one key of the payload of this instance, or all of it, and makes it known.
--
-- `set_payload(key, nil)` removes the key; `set_payload(payload)` replaces the whole. What is equal to the present
-- payload changes nothing.
---@param key string|table
---@param value any
---@return boolean true
function membership.set_payload(key, value)
    notifier.ensure()
    if type(key) == 'table' and type(value) == 'nil' then
        check.result(core.set_payload(encode_argument(1, key)))
    elseif type(key) ~= 'string' then
        check.fail(1, 'set_payload', 'string', key)
    else
        -- box.NULL is equal to nil, but a value like any other.
        local encoded = type(value) ~= 'nil' and encode_argument(2, value) or nil
        check.result(core.set_payload_key(key, encoded))
    end
    return true
end

--- The key that is sent with, as the Lua rock uses it: cut to 32 bytes, or padded with spaces on the left.
---@return string|nil
function membership.get_encryption_key()
    notifier.ensure()
    local key = check.result(core.encryption_key())
    return key
end

--- Encrypts what is sent from now on, and understands nothing else any more.
---@param key string|string[]|nil of a list, the first is sent with, and all are understood; nil ends encryption
function membership.set_encryption_key(key)
    local keys = {}
    if type(key) == 'table' then
        for i, one in ipairs(key) do
            keys[i] = type(one) == 'string' and one or nil
        end
    elseif key ~= nil then
        keys[1] = type(key) == 'string' and key or nil
    end
    if key ~= nil and #keys == 0 then
        check.fail(1, 'set_encryption_key', '?string', key)
    elseif type(key) == 'table' then
        for i in pairs(key) do
            if keys[i] == nil then -- left out, it would be one key less than was meant
                check.fail(1, 'set_encryption_key', 'list of strings', key)
            end
        end
    end
    notifier.ensure()
    local why = check.result(core.set_encryption_keys(keys))
    if why ~= nil then
        error(why, 2)
    end
    log.info('Membership encryption %s', key ~= nil and 'enabled' or 'disabled')
end

--- Understands one more key. This and the following two replace a key without any member being missed.
---@param key string
---@return boolean|nil true
---@return string|nil why not
function membership.add_encryption_key(key)
    if type(key) ~= 'string' then
        check.fail(1, 'add_encryption_key', 'string', key)
    end
    notifier.ensure()
    local why = check.result(core.add_encryption_key(key))
    if why ~= nil then
        return nil, why
    end
    return true
end

--- Sends with this key from now on. It has to be understood already, here and by all others.
---@param key string
---@return boolean|nil true
---@return string|nil why not
function membership.use_encryption_key(key)
    if type(key) ~= 'string' then
        check.fail(1, 'use_encryption_key', 'string', key)
    end
    notifier.ensure()
    local why = check.result(core.use_encryption_key(key))
    if why ~= nil then
        return nil, why
    end
    return true
end

--- Does not understand this key any more. It must not be the one that is sent with.
---@param key string
---@return boolean|nil true
---@return string|nil why not
function membership.remove_encryption_key(key)
    if type(key) ~= 'string' then
        check.fail(1, 'remove_encryption_key', 'string', key)
    end
    notifier.ensure()
    local why = check.result(core.remove_encryption_key(key))
    if why ~= nil then
        return nil, why
    end
    return true
end

membership.wait = wait
membership.stats = stats.stats
membership.diagnose = stats.diagnose

--- Makes a `fiber.cond` that is broadcast whenever a status, incarnation or payload changes, and when a member is gone.
--
-- It is held weakly: who drops it has unsubscribed.
---@return table a fiber.cond
function membership.subscribe()
    notifier.ensure()
    check.result(core.myself()) -- which fails with the engine
    return notifier.subscribe()
end

--- Ends a subscription.
---@param cond table what `subscribe` returned
function membership.unsubscribe(cond)
    notifier.ensure()
    if cond == nil then
        error('table index is nil', 2)
    end
    notifier.unsubscribe(cond)
end

return membership
