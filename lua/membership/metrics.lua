--- The counters of `membership.stats()` for the rock `metrics`: `require('membership.metrics').enable()`.
--
-- Values are read when the rock collects: a callback reads all of them at once. Names and units follow the conventions
-- of Prometheus. The rock is required by `enable`, and not before.

local membership = require('membership')
local core = require('membership.internal.native')
local options = require('membership.options')

local PREFIX = 'tnt_membership_'

-- Name, help text, path in the stats; and, where there is a table at that path, the label that its keys go to.
local COUNTERS = {
    {'members_refused_total', 'Newcomers refused because the table is full', 'members_refused'},
    {'members_displaced_total', 'Dead or left members removed from a full table to make room', 'members_displaced'},
    {'members_elsewhere_total', 'Times a member was not taken in: not in ALLOWED_NETWORKS', 'members_elsewhere'},
    {'members_not_allowed_total', 'Times a member was not taken in: not on the strict list', 'members_not_allowed'},
    {'datagrams_sent_total', 'Datagrams sent', 'sent.datagrams', 'type'},
    {'datagrams_received_total', 'Datagrams received and decoded', 'received.datagrams', 'type'},
    {'sent_bytes_total', 'Bytes sent', 'sent.bytes', 'type'},
    {'received_bytes_total', 'Bytes of datagrams received and decoded', 'received.bytes', 'type'},
    {'dropped_total', 'Datagrams dropped', 'dropped', 'reason'},
    {'challenges_total', 'Senders challenged to prove that they are alive', 'challenges'},
    {'events_skipped_total', 'Events in datagrams skipped because they were invalid', 'events_skipped'},
    {'payloads_refused_total', 'Payloads of peers refused', 'payloads_refused', 'reason'},
    {'acks_unsolicited_total', 'Answers that no probe waits for', 'acks_unsolicited'},
    {'oversized_total', 'Datagrams not sent: too large', 'oversized'},
    {'amplification_limited_total', 'Datagrams not sent: amplification limit', 'amplification_limited'},
    {'send_errors_total', 'Datagrams that the system refused to send', 'send_errors'},
    {'turned_away_total', 'Datagrams dropped because too many came', 'turned_away'},
    {'probes_sent_total', 'Probes started', 'probes.sent'},
    {'probes_answered_directly_total', 'Probes answered directly by their target', 'probes.answered_directly'},
    {'probes_answered_by_relay_total', 'Probes answered through another member', 'probes.answered_by_relay'},
    {'probes_failed_total', 'Probes without an answer', 'probes.failed'},
    {'relayed_total', 'Pings forwarded for other members', 'relays.passed_on'},
    {'relays_refused_total', 'Pings not forwarded: too many', 'relays.refused'},
    {'suspicions_raised_total', 'Suspicions raised by this instance', 'suspicions.raised'},
    {'suspicions_confirmed_total', 'Suspects of which this instance had no answer either', 'suspicions.confirmed'},
    {'suspicions_refuted_total', 'Suspicions that the suspected member refuted', 'suspicions.refuted'},
    {'suspicions_turned_dead_total', 'Suspicions that expired: the member was declared dead', 'suspicions.turned_dead'},
    {'refutations_total', 'Rumors about this instance that it refuted', 'refutations'},
    {'rumors_sent_total', 'Rumors sent', 'rumors.sent'},
    {'rumors_expired_total', 'Rumors that have been sent often enough', 'rumors.expired'},
    {'syncs_begun_total', 'Tables exchanged with members that run membership 2.x', 'syncs.begun'},
    {'syncs_answered_total', 'Tables exchanged with membership 2.x that were answered', 'syncs.answered'},
    {'repairs_begun_total', 'Tables compared with a peer whose digest differed', 'repairs.begun'},
    {'repairs_answered_total', 'Tables compared that the peer answered', 'repairs.answered'},
    {'history_forgotten_total', 'Changes of members that are not remembered any more', 'history.forgotten'},
    {'stalls_total', 'Times the TX thread did not respond', 'stalls.count'},
    {'pauses_total', 'Times the process did not run for a while', 'pauses'},
    {'duplicates_total', 'Times that two processes were found to use one URI', 'duplicates'},
    {'isolation_total', 'Times without any datagram received', 'isolation.count'},
    {'resolver_queries_total', 'Names resolved, or tried', 'resolver.queries'},
    {'resolver_failures_total', 'Names that did not resolve', 'resolver.failures'},
    {'resolver_refused_total', 'Names of unknown members not resolved: too many', 'resolver.refused'},
    {'state_file_saves_total', 'Times the state file was written', 'state_file.saves'},
    {'state_file_failures_total', 'Times the state file could not be written', 'state_file.failures'},
}

local GAUGES = {
    {'up', 'Whether the engine works', 'up'},
    {'members', 'Members by status', 'members', 'status'},
    {'members_max', 'The option MAX_MEMBERS: so many members have room in the table', 'members_max'},
    {'version', 'Version of the member table', 'version'},
    {'rumors_queued', 'Rumors queued', 'rumors.queued'},
    {'history_kept', 'Changes of members that are remembered', 'history.kept'},
    {'round_trip_last_seconds', 'Round trip of the last probe', 'round_trip.last_seconds'},
    {'round_trip_smoothed_seconds', 'Round trip, smoothed', 'round_trip.smoothed_seconds'},
    {'round_trip_p99_seconds', '99th percentile of the round trip of recent probes', 'round_trip.p99_seconds'},
    {'stall_longest_seconds', 'Longest time without response of the TX thread', 'stalls.longest_seconds'},
    {'isolated', 'Whether no datagrams are received', 'isolation.now'},
    {'other_keys', 'Members that use another encryption key', 'other_keys'},
    {'resolver_longest_seconds', 'Longest time that a name took to resolve', 'resolver.longest_seconds'},
    {'lock_longest_seconds', 'Longest hold of the engine lock', 'lock.longest_seconds'},
}

-- Outlives a reload of this file. While the metrics are enabled: `rock`, `collectors`, `callback`; and `owner`, the
-- module table whose `enable` was called.
local state = core.persistent.metrics
if state == nil then
    state = {}
    core.persistent.metrics = state
end

local function at(stats, path)
    for name in path:gmatch('[^.]+') do
        stats = stats[name]
    end
    return stats
end

local function each_value(value, label, put)
    if label == nil then
        if value ~= nil then -- nil: not measured yet
            put(type(value) == 'boolean' and (value and 1 or 0) or tonumber(value), {})
        end
        return
    end
    for name, item in pairs(value) do
        put(tonumber(item), {[label] = name})
    end
end

-- The rock has no way to set a counter, but to reset it and add to it.
local function set_counter(collector, value, labels)
    collector:reset(labels)
    collector:inc(value, labels)
end

local function set_gauge(collector, value, labels)
    collector:set(value, labels)
end

-- Must not raise when the engine has failed, or the rock would not call the callbacks of other modules.
local function collect(collectors)
    local ok, stats = pcall(membership.stats)
    stats = ok and stats or {}
    stats.up = ok
    if ok then
        stats.members_max = options.MAX_MEMBERS
    end
    for _, one in ipairs(collectors) do
        if ok or one.path == 'up' then
            each_value(at(stats, one.path), one.label, function(value, labels)
                one.set(one.collector, value, labels)
            end)
        end
    end
end

local function make(collectors, kind, set, rows)
    for _, row in ipairs(rows) do
        local name, help, path, label = unpack(row, 1, 4)
        table.insert(collectors, {
            collector = kind(PREFIX .. name, help),
            set = set,
            path = path,
            label = label,
        })
    end
end

-- 0.10 cannot reset counters, and older versions cannot unregister callbacks. None of them has its version in a field.
local ROCK_MIN = '0.11.0'

local function is_too_old(rock)
    if type(rock.unregister_callback) ~= 'function' or type(rock.registry) ~= 'table' then
        return true
    end
    local name, help = unpack(COUNTERS[1], 1, 2)
    local was_registered = rock.registry:find('counter', PREFIX .. name) ~= nil
    local counter = rock.counter(PREFIX .. name, help)
    if not was_registered then
        rock.registry:unregister(counter)
    end
    return type(counter.reset) ~= 'function'
end

local function check_version(rock)
    if is_too_old(rock) then
        error(("the rock 'metrics' is too old: %s or newer expected"):format(ROCK_MIN), 3)
    end
end

-- Whether all collectors are still registered. `metrics.clear()` of the rock removes those of all modules.
local function is_registered()
    for _, one in ipairs(state.collectors) do
        if state.rock.registry:find(one.collector.kind, one.collector.name) ~= one.collector then
            return false
        end
    end
    return true
end

local function unregister()
    if state.rock == nil then
        return
    end
    state.rock.unregister_callback(state.callback)
    for _, one in ipairs(state.collectors) do
        state.rock.registry:unregister(one.collector)
    end
    state.rock, state.owner, state.collectors, state.callback = nil, nil, nil, nil
end

local metrics = {}

--- Registers all counters and gauges with the rock `metrics`. Does nothing if they are registered.
---@return boolean true
function metrics.enable()
    local ok, rock = pcall(require, 'metrics')
    if not ok then
        error("the rock 'metrics' is not installed: " .. tostring(rock):match('[^\n]*'), 2)
    end
    check_version(rock)
    -- A reload of the rock, or of this file, since the last call: replace what was registered.
    if state.rock == rock and state.owner == metrics and is_registered() then
        return true
    end
    unregister()
    local collectors = {}
    make(collectors, rock.counter, set_counter, COUNTERS)
    make(collectors, rock.gauge, set_gauge, GAUGES)
    local function callback()
        collect(collectors)
    end
    rock.register_callback(callback)
    state.rock, state.owner, state.collectors, state.callback = rock, metrics, collectors, callback
    return true
end

--- Unregisters all counters and gauges. Does nothing if they are not registered.
---@return boolean true
function metrics.disable()
    local ok, rock = pcall(require, 'metrics')
    if ok then
        check_version(rock)
    end
    unregister()
    return true
end

return metrics
