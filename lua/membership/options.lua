--- The tunables, and the constants that go with them: `require('membership.options')`.
--
-- Programs read and assign them like the fields of a table, and iterate over them with `pairs`. The values live in the
-- engine: they take effect at once and outlive a reload. To assign an unknown name or an invalid value raises an error,
-- and changes nothing. A number that membership 2.x accepts never raises: if it is out of bounds, the nearest possible
-- number is used, and a warning is logged.

local ffi = require('ffi')
local log = require('log')

local check = require('membership.internal.check')
local codec = require('membership.internal.codec')
local core = require('membership.internal.native')
local log_writer = require('membership.internal.log_writer')
local record = require('membership.internal.record')

local CONSTANTS = {
    STATUS_NAMES = {unpack(record.STATUS_NAMES)},
    ALIVE = 1,
    SUSPECT = 2,
    DEAD = 3,
    NONDECRYPTABLE = 4,
    LEFT = 5,
}

-- Outlives a reload of this file. By option, the number that was last assigned, if another one is used in its place: a
-- program may assign it over and over, and is warned once.
local adjusted = core.persistent.adjusted_options
if adjusted == nil then
    adjusted = {}
    core.persistent.adjusted_options = adjusted
end

local CALLER = 3 -- 1 is the function that raises, 2 the metamethod

local function fail(name, expected, got)
    error(('bad option %s (%s expected, got %s)'):format(name, expected, got), CALLER + 1)
end

-- Values by name, as `A = 1, B = 2`.
local function show_values(values)
    local texts = {}
    for name, value in pairs(values) do
        table.insert(texts, ('%s = %s'):format(name, tostring(value)))
    end
    table.sort(texts)
    return #texts > 0 and table.concat(texts, ', ') or 'none'
end

--- Gives the options that the program has not assigned itself the values of a profile.
--
-- Those of the profile before are forgotten. What is assigned, before or after, stays.
---@param name 'lan'|'wan'|'local'|'failover'
---@return table<string, number> changed the options that have another value now
---@return table<string, number> kept the options that the profile would set, if they had not been assigned
local function use_profile(name)
    if type(name) ~= 'string' then
        check.fail(1, 'use_profile', 'string', name)
    end
    local effect, err = core.use_profile(name)
    if effect == nil then
        error(('bad profile (%s, got %s)'):format(err, check.show(name)), 2)
    end
    local changed, kept = unpack(codec.decode(effect))
    if next(changed) ~= nil or next(kept) ~= nil then
        local text = 'Profile %s: changed %s; kept as assigned: %s'
        log.info(text, name, show_values(changed), show_values(kept))
    end
    return changed, kept
end

local function read(name)
    if CONSTANTS[name] ~= nil then
        return CONSTANTS[name]
    elseif name == 'log_debug' then
        return log_writer.get_log_debug()
    elseif name == 'use_profile' then
        return use_profile
    elseif name == 'profile' then
        return core.profile()
    elseif type(name) ~= 'string' then
        return nil
    end
    local value, err = core.option(name)
    if err ~= nil then
        error(err, CALLER + 1)
    end
    return value
end

local function warn_if_adjusted(name, value, remark)
    local is_known = adjusted[name] == value
    adjusted[name] = remark ~= nil and value or nil
    if remark ~= nil and not is_known then
        log.warn('Option %s = %s: %s', name, tostring(value), remark)
    end
end

local function assign(name, value)
    if name == 'log_debug' then
        if type(value) ~= 'function' then
            fail(name, 'function', type(value))
        end
        log_writer.set_log_debug(value)
        return
    end
    local held, engine_err
    if type(name) == 'string' then
        held, engine_err = core.option(name)
    end
    if type(held) == 'table' and value == nil then
        value = {} -- also box.NULL, which is what `null` is in a configuration
    end
    if held == nil then
        error(engine_err or 'options table is readonly', CALLER)
    elseif type(value) ~= type(held) then
        fail(name, type(held), type(value))
    end
    if type(held) == 'table' and not check.is_list_of_strings(value) then
        fail(name, 'list of strings', 'another table')
    end
    local remark, err = core.set_option(name, value)
    if err ~= nil then
        error(('bad option %s (%s, got %s)'):format(name, err, check.show(value)), CALLER)
    end
    warn_if_adjusted(name, value, remark)
end

local function list()
    local all = {log_debug = log_writer.get_log_debug()}
    for name, value in pairs(CONSTANTS) do
        all[name] = value
    end
    for _, option in ipairs(codec.decode(assert(core.options()))) do
        all[option[1]] = option[2]
    end
    return all
end

---@class membership.Options
---@field PROTOCOL_PERIOD_SECONDS number one member is probed in each period
---@field ACK_TIMEOUT_SECONDS number how long an answer may take before an indirect ping; probe_uri waits as long
---@field ANTI_ENTROPY_PERIOD_SECONDS number how often the table is compared with that of a peer
---@field SUSPICIOUSNESS boolean whether to suspect members
---@field SUSPECT_TIMEOUT_SECONDS number how long a suspect has to refute before it is declared dead
---@field SUSPECT_TIMEOUT_MIN_SECONDS number how long it has at least, if others confirm the suspicion; 0: no less
---@field NUM_FAILURE_DETECTION_SUBGROUPS number how many members are asked for an indirect ping
---@field MAX_PACKET_SIZE number largest datagram, in bytes
---@field GOSSIP_INTERVAL_SECONDS number how often rumors are sent while there are any
---@field RETRANSMIT_MULTIPLIER number how often a rumor is sent: so many times the logarithm of the number of members
---@field ENCRYPTION_INIT string the initialisation vector of aes-256-cbc, 16 bytes
---@field ENCRYPTION_CIPHER string aes-256-cbc, xchacha20-poly1305, or both on the way: plain+… or aes-256-cbc+…
---@field GROUP_LABEL string datagrams with another label are dropped; at most 64 bytes, empty by default
---@field ALLOWED_NETWORKS string[] where members may be, as 10.0.0.0/8; empty: anywhere
---@field MAX_MEMBERS number newcomers beyond so many members are refused
---@field REAP_TIMEOUT_SECONDS number after this, dead and left members are removed; 0: never
---@field TX_STALL_TIMEOUT_SECONDS number how long Tarantool's thread may hang, 0 or from 0.25; 0: for ever
---@field profile string the name of the profile in use; read only
---@field use_profile fun(name: 'lan'|'wan'|'local'|'failover'): table<string, number>, table<string, number>
---@field log_debug fun(format: string, ...) writes debug lines
---@field STATUS_NAMES string[]
---@field ALIVE number
---@field SUSPECT number
---@field DEAD number
---@field NONDECRYPTABLE number
---@field LEFT number

-- A struct, and not a table: assignments to existing fields of a table cannot be checked, and `pairs` of Tarantool's
-- LuaJIT calls `__pairs` of structs only. The type is made once; its metamethods call what was loaded last.
local state = core.persistent.options
if state == nil then
    state = {}
    local new = ffi.metatype(ffi.typeof('struct { char unused; }'), {
        __index = function(_, name)
            local value = state.read(name)
            return value
        end,
        __newindex = function(_, name, value)
            state.assign(name, value)
        end,
        __pairs = function()
            return next, state.list()
        end,
    })
    state.options = new()
    core.persistent.options = state
end
state.assign, state.list = assign, list

-- Tarantool's serializers and its console read the field `__serialize`. They cannot encode a function.
local function serialize()
    local all = list()
    all.log_debug = nil
    return all
end

function state.read(name)
    if name == '__serialize' then
        return serialize
    end
    local value = read(name)
    return value
end

---@type membership.Options
local options = state.options
return options
