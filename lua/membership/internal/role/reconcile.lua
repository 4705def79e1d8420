--- Makes this instance what the configuration of the role `roles.membership` says, and leaves the rest as it is.
--
-- A program may set options and keys of the payload, too. So what the role has set is remembered: that goes back to its
-- default, or away, when the configuration does not have it any more. What the program has set stays.

local check = require('membership.internal.check')
local codec = require('membership.internal.codec')
local log = require('membership.internal.logger')
local core = require('membership.internal.native')
local options = require('membership.options')
local settings = require('membership.internal.role.settings')

-- Outlives a reload of this file.
local state = core.persistent.role
if state == nil then
    state = {
        options = {}, -- the names of those that the role has set
        payload = {}, -- the keys that the role has set
        has_profile = false, -- whether the role has set a profile
        has_keys = false, -- whether the role has set encryption keys
        allowed_members = nil, -- what the role has called `set_allowed_members` with, as a text
        state_file = nil, -- the path that the role has called `init` with
    }
    core.persistent.role = state
end

local ABRUPT_ROTATION = 'Encryption key replaced at once: members without the new one do not understand this instance. '
    .. 'To change the key of a running group, list the new one second, reload all instances, then list it first'

local reconcile = {}

-- Not once for all: a program may reload it.
local function membership()
    return require('membership')
end

-- The options to be assigned: those that are wanted, and the defaults of those that are not any more.
local function plan_options(wanted)
    local plan = {}
    for name in pairs(state.options) do
        plan[name] = core.default_option(name)
    end
    for name, value in pairs(wanted) do
        plan[name] = value
    end
    return plan
end

-- The payload with what is wanted, and with what the program has set.
local function plan_payload(wanted)
    local payload = {}
    if core.myself() ~= nil then
        for key, value in pairs(membership().myself().payload) do
            payload[key] = value
        end
    end
    for key in pairs(state.payload) do
        payload[key] = nil
    end
    for key, value in pairs(wanted) do
        payload[key] = value
    end
    return payload
end

--- Raises if the payload could not be set.
---@param wanted membership.RoleSettings
function reconcile.check_payload(wanted)
    local plan = plan_options(wanted.options)
    local payload = codec.encode(plan_payload(wanted.payload))
    local packet_size = plan.MAX_PACKET_SIZE or options.MAX_PACKET_SIZE
    local label = plan.GROUP_LABEL or options.GROUP_LABEL
    local ok, reason = core.check_payload(payload, wanted.uri, packet_size, label)
    if not ok then
        settings.fail('.payload', reason)
    end
end

local function is_same(one, other)
    if type(one) ~= 'table' then
        return one == other
    end
    return table.concat(one, ' ') == table.concat(other, ' ')
end

-- Assigns those for which `is_due(name, value)` is true, or all of them.
local function assign_options(plan, wanted, is_due)
    for name, value in pairs(plan) do
        if is_due == nil or is_due(name, value) then
            if wanted[name] == nil then
                check.result(core.reset_option(name))
            elseif not state.options[name] or not is_same(options[name], value) then
                options[name] = value -- also if it is that already: then no profile changes it
            end
            state.options[name] = wanted[name] ~= nil or nil
        end
    end
end

-- Whether more fits a datagram with this value of an option than with the present one.
local function makes_room(name, value)
    if name == 'MAX_PACKET_SIZE' then
        return value > options[name]
    end
    return name == 'GROUP_LABEL' and #value < #options[name]
end

local function set_payload(payload, wanted)
    membership().set_payload(payload)
    state.payload = {}
    for key in pairs(wanted) do
        state.payload[key] = true
    end
end

-- All keys at once, so that at no moment one of them is not understood.
local function set_keys(keys)
    if keys == nil then
        if state.has_keys then
            membership().set_encryption_key(nil)
            state.has_keys = false
        end
        return
    end
    state.has_keys = true
    if core.has_encryption_keys(keys) then
        return
    end
    local is_abrupt = core.myself() ~= nil and core.encryption_key() ~= nil
    for _, key in ipairs(keys) do
        is_abrupt = is_abrupt and not core.is_understood(key)
    end
    membership().set_encryption_key(keys)
    if is_abrupt then
        log.warn('%s', ABRUPT_ROTATION)
    end
end

local function init(uri, state_file)
    if core.myself() == uri and state.state_file == state_file then
        return
    end
    local host, port = uri:match('^(.*):(%d+)$')
    -- Operators see the error among the alerts: it says nothing of a line in this file.
    local ok, reason = pcall(membership().init, host, tonumber(port), {state_file = state_file})
    if not ok then
        error(reason, 0)
    end
    state.state_file = state_file
end

-- To call it again would remove members that are there.
local function set_allowed_members(uris, is_strict)
    local text = #uris > 0 and table.concat(uris, ' ') .. ' ' .. tostring(is_strict) or nil
    if state.allowed_members ~= text then
        membership().set_allowed_members(uris, {strict = is_strict})
        state.allowed_members = text
    end
end

local function add_seeds(seeds, myself)
    for _, uri in ipairs(seeds) do
        -- One that is known is left alone, whatever its status: it would be taken for alive again.
        if uri ~= myself and membership().get_member(uri) == nil then
            local ok, reason = membership().add_member(uri)
            if not ok then
                log.warn('Seed %s is not added: %s. Correct the seeds, or what is allowed', uri, reason)
            end
        end
    end
end

--- Makes this instance what is wanted. What is so already is not touched. Raises if something cannot be done: what has
-- been done then stays, and the next call does the rest.
---@param wanted membership.RoleSettings
function reconcile.apply(wanted)
    if options.profile ~= wanted.profile and (wanted.profile ~= 'lan' or state.has_profile) then
        options.use_profile(wanted.profile)
    end
    state.has_profile = wanted.profile ~= 'lan'
    local plan = plan_options(wanted.options)
    if wanted.keys == nil then
        set_keys(nil) -- before the cipher has its default, with which the key would be used until then
    end
    -- Options, URI and payload have to fit one another at any time: first comes what makes room, last what needs it.
    assign_options(plan, wanted.options, makes_room)
    if core.myself() ~= nil then
        local payload = plan_payload(wanted.payload)
        if #codec.encode(payload) <= #codec.encode(membership().myself().payload) then
            set_payload(payload, wanted.payload)
        end
        init(wanted.uri, wanted.state_file)
    end
    assign_options(plan, wanted.options)
    set_keys(wanted.keys)
    init(wanted.uri, wanted.state_file)
    set_payload(plan_payload(wanted.payload), wanted.payload)
    set_allowed_members(wanted.allowed_members, wanted.is_strict)
    add_seeds(wanted.seeds, wanted.uri)
end

return reconcile
