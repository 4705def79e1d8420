--- A group of Tarantool instances that watch one another: `require('membership')`.
--
-- The protocol runs in the native library, on a thread of its own. These files are its API: they check arguments, make
-- fibers wait and raise errors. They decide nothing.

-- Compares the versions again, and raises if the library has another one: before anything that runs is touched.
package.loaded['membership.internal.native'] = nil
local core = require('membership.internal.native')

-- A reload of this module reloads all its parts, but for the native one.
for name in pairs(package.loaded) do
    if name:startswith('membership.') and name ~= 'membership.core' then
        package.loaded[name] = nil
    end
end

local new_table = require('table.new')

-- LuaJIT adds `table.clear` when a module requires it. Tarantool 2.6.0 does not, newer versions do, and programs that
-- were written for membership 2.x expect it: Cartridge does.
require('table.clear')

local broadcast = require('membership.internal.broadcast')
local check = require('membership.internal.check')
local codec = require('membership.internal.codec')
local encryption = require('membership.internal.encryption')
local history = require('membership.internal.history')
local log = require('membership.internal.logger')
local lookup = require('membership.internal.lookup')
local mirror = require('membership.internal.mirror')
local notifier = require('membership.internal.notifier')
local probe = require('membership.internal.probe')
local stats = require('membership.internal.stats')
local wait = require('membership.internal.wait')

---@class membership
local membership = {_VERSION = core.VERSION}

--- Opens a UDP socket and joins the group as `advertise_host:port`.
--
-- A second call moves the instance to another port or another name. Payload, incarnation and members stay. If the new
-- socket cannot be opened, the old one stays, too.
---@param advertise_host string a name, an IPv4 address, or an IPv6 address in brackets
---@param port number 1..65535
---@param opts? {bind?: string, state_file?: string} `bind`: the address to listen on, instead of all of them;
-- `state_file`: the path of a file in which members and the incarnation are remembered over a restart
---@return boolean true
function membership.init(advertise_host, port, opts)
    if type(advertise_host) ~= 'string' then
        check.fail(1, 'init', 'string', advertise_host)
    elseif type(port) ~= 'number' then
        check.fail(2, 'init', 'number', port)
    elseif not check.is_port(port) then
        check.fail_value(2, 'init', check.PORT, port)
    elseif opts ~= nil then
        check.named(3, 'init', opts, {bind = 'string', state_file = 'string'})
        if opts.state_file ~= nil and not check.is_path(opts.state_file) then
            check.fail_value(3, 'init', check.PATH .. ' as opts.state_file', opts.state_file)
        end
    end
    opts = opts ~= nil and opts or {} -- box.NULL is nothing, too
    local bind = opts.bind ~= nil and opts.bind or nil
    local state_file = opts.state_file ~= nil and opts.state_file or nil
    local ok, err = core.init(advertise_host, port, bind, state_file)
    if not ok then
        log.error('%s', err)
        error(err, 2)
    end
    notifier.ensure_running()
    notifier.notify()
    return true
end

--- Tells the group that this instance leaves, closes the socket and empties the member table. Never raises or yields.
---@return boolean whether the instance was a member
function membership.leave()
    local ok, left = pcall(core.leave)
    return ok and left == true
end

--- Returns what the group knows of this instance.
---@return membership.MemberInfo
function membership.myself()
    notifier.ensure_running()
    local record = check.result(lookup.find())
    if record == nil then
        error('membership is not initialized', 2)
    end
    return mirror.describe(record)
end

--- Returns what is known of one member.
---@param uri string
---@return membership.MemberInfo|nil
function membership.get_member(uri)
    if type(uri) ~= 'string' then
        check.fail(1, 'get_member', 'string', uri)
    end
    notifier.ensure_running()
    local record = check.result(lookup.find(uri))
    return record and mirror.describe(record)
end

local function describe_all(list)
    local result = new_table(0, #list)
    for i = 1, #list do
        result[list[i].uri] = mirror.describe(list[i])
    end
    return result
end

--- Returns all known members, this instance included.
---@return table<string, membership.MemberInfo> by URI
function membership.members()
    notifier.ensure_running()
    local list = check.result(mirror.current())
    return describe_all(list)
end

--- Iterates over all members: `for uri, info in membership.pairs() do`.
---@return fun(members: table, uri?: string): string, membership.MemberInfo
---@return table<string, membership.MemberInfo>
function membership.pairs()
    notifier.ensure_running()
    local list = check.result(mirror.current())
    return pairs(describe_all(list))
end

--- Adds a member and tells the group of it. Two groups become one when one instance adds one of the other group.
---@param uri string `host:port`
---@return boolean|nil true
---@return string|nil 'parse error', or why it is not allowed
function membership.add_member(uri)
    if type(uri) ~= 'string' then
        check.fail(1, 'add_member', 'string', uri)
    end
    notifier.ensure_running()
    local ok, err = core.add_member(uri)
    if ok then
        notifier.notify()
        return true
    elseif check.REFUSALS[err] then
        return nil, err
    end
    error(err, 2)
end

--- Pings a peer and waits up to `ACK_TIMEOUT_SECONDS` for the answer. A peer that answers has joined the group.
---@param uri string `host:port`
---@return boolean whether there was an answer
---@return string|nil 'parse error', 'ping was not sent', 'no response', or why the peer is not allowed
function membership.probe_uri(uri)
    if type(uri) ~= 'string' then
        check.fail(1, 'probe_uri', 'string', uri)
    end
    notifier.ensure_running()
    local reason = check.result(probe.run(uri))
    if reason ~= nil then
        return false, reason
    end
    return true
end

--- Marks a member as left and tells the group. A member that still runs refutes this.
---@param uri string
---@return boolean whether the member was known and had not left
function membership.mark_left(uri)
    notifier.ensure_running()
    if type(uri) ~= 'string' then
        return false
    end
    local marked = check.result(core.mark_left(uri))
    notifier.notify()
    return marked
end

--- Removes a member from the table of this instance. It returns with the next news of it.
---@param uri string
function membership.remove_member(uri)
    if type(uri) ~= 'string' then
        check.fail(1, 'remove_member', 'string', uri)
    end
    notifier.ensure_running()
    check.result(core.remove_member(uri))
    notifier.notify()
end

--- Sets the allow-list. All other members are removed now, and from then on kept only while they are alive. An empty
-- list removes the restriction.
--
-- With `strict` all others are refused, also while they are alive: their datagrams are dropped.
---@param uris string[]
---@param opts? {strict?: boolean}
function membership.set_allowed_members(uris, opts)
    if type(uris) ~= 'table' then
        check.fail(1, 'set_allowed_members', 'table', uris)
    end
    for _, uri in ipairs(uris) do
        if type(uri) ~= 'string' then
            check.fail(1, 'set_allowed_members', 'table of strings', uri)
        end
    end
    if not check.is_list_of_strings(uris) then
        check.fail(1, 'set_allowed_members', 'list of strings', uris)
    end
    if opts ~= nil then
        check.named(2, 'set_allowed_members', opts, {strict = 'boolean'})
    end
    notifier.ensure_running()
    check.result(core.set_allowed_members(uris, opts ~= nil and opts.strict == true))
    notifier.notify()
end

-- Encodes at once, so that the caller may edit the table afterwards.
local function encode_argument(position, value)
    local ok, encoded = pcall(codec.encode, value)
    if not ok then
        error(('bad argument #%d to set_payload (%s)'):format(position, tostring(encoded)), 3)
    end
    return encoded
end

--- Sets one key of the payload of this instance, or all of it, and tells the group.
--
-- `set_payload(key, nil)` removes the key; `set_payload(payload)` replaces the whole. A payload that is equal to the
-- present one changes nothing.
---@param key string|table
---@param value any
---@return boolean true
function membership.set_payload(key, value)
    notifier.ensure_running()
    if type(key) == 'table' and type(value) == 'nil' then
        check.result(core.set_payload(encode_argument(1, key)))
    elseif type(key) ~= 'string' then
        check.fail(1, 'set_payload', 'string', key)
    else
        -- box.NULL is equal to nil, but is a value of its own.
        local encoded = type(value) ~= 'nil' and encode_argument(2, value) or nil
        check.result(core.set_payload_key(key, encoded))
    end
    return true
end

membership.broadcast = broadcast
membership.wait = wait
membership.history = history.history
membership.stats = stats.stats
membership.diagnose = stats.diagnose
membership.get_encryption_key = encryption.get_encryption_key
membership.set_encryption_key = encryption.set_encryption_key
membership.add_encryption_key = encryption.add_encryption_key
membership.use_encryption_key = encryption.use_encryption_key
membership.keys = encryption.keys
membership.remove_encryption_key = encryption.remove_encryption_key

--- Returns a `fiber.cond` that is broadcast when a status, incarnation or payload changes, and when a member is gone.
--
-- The module holds it weakly: a program that drops it has unsubscribed.
---@return membership.Cond
function membership.subscribe()
    notifier.ensure_running()
    check.result(core.myself()) -- raises if the engine has failed
    return notifier.subscribe()
end

--- Ends a subscription.
---@param cond membership.Cond what `subscribe` returned
function membership.unsubscribe(cond)
    notifier.ensure_running()
    if cond == nil then
        error('table index is nil', 2)
    end
    notifier.unsubscribe(cond)
end

return membership
