--- The counters of `membership.stats()` for the rock `metrics`: `require('membership.metrics').enable()`.
--
-- Nothing is copied before somebody collects: then a callback reads all of them at once. Names and units follow the
-- conventions of Prometheus. The rock is looked for when it is wanted, and not before.

local core = require('membership.internal.native')
local membership = require('membership')

local PREFIX = 'tnt_membership_'

--- What is shown: the name, what it is, where it is in the stats, and by which label if it is a table there.
local COUNTERS = {
    {'members_refused_total', 'Strangers not let into the full table', 'members_refused'},
    {'members_displaced_total', 'Dead members forgotten since the table is full', 'members_displaced'},
    {'datagrams_sent_total', 'Datagrams sent', 'sent.datagrams', 'type'},
    {'datagrams_received_total', 'Datagrams understood', 'received.datagrams', 'type'},
    {'sent_bytes_total', 'Bytes sent', 'sent.bytes', 'type'},
    {'received_bytes_total', 'Bytes of datagrams understood', 'received.bytes', 'type'},
    {'dropped_total', 'Datagrams dropped', 'dropped', 'reason'},
    {'challenges_total', 'Senders asked to show that they live now', 'challenges'},
    {'events_skipped_total', 'Pieces of datagrams that made no sense', 'events_skipped'},
    {'payloads_refused_total', 'Payloads of others not taken in', 'payloads_refused', 'reason'},
    {'acks_unsolicited_total', 'Answers that no probe waits for', 'acks_unsolicited'},
    {'oversized_total', 'Datagrams too large to be sent', 'oversized'},
    {'amplification_limited_total', 'Datagrams not sent: amplification limit', 'amplification_limited'},
    {'send_errors_total', 'Datagrams the system refused to send', 'send_errors'},
    {'turned_away_total', 'Datagrams not taken in, as too many came', 'turned_away'},
    {'probes_sent_total', 'Probes begun', 'probes.sent'},
    {'probes_answered_directly_total', 'Probes answered by their target', 'probes.answered_directly'},
    {'probes_answered_by_relay_total', 'Probes answered through a relay', 'probes.answered_by_relay'},
    {'probes_failed_total', 'Probes without an answer', 'probes.failed'},
    {'relayed_total', 'Pings passed on for others', 'relays.passed_on'},
    {'relays_refused_total', 'Pings not passed on: too many', 'relays.refused'},
    {'suspicions_raised_total', 'Suspicions raised by this instance', 'suspicions.raised'},
    {'suspicions_refuted_total', 'Suspicions refuted by their subject', 'suspicions.refuted'},
    {'suspicions_turned_dead_total', 'Suspicions that turned into deaths', 'suspicions.turned_dead'},
    {'refutations_total', 'What was said of this instance and contradicted', 'refutations'},
    {'rumors_sent_total', 'Rumors sent', 'rumors.sent'},
    {'rumors_expired_total', 'Rumors that have been sent often enough', 'rumors.expired'},
    {'syncs_begun_total', 'Tables exchanged with the Lua rock', 'syncs.begun'},
    {'syncs_answered_total', 'Those that were answered', 'syncs.answered'},
    {'repairs_begun_total', 'Tables compared', 'repairs.begun'},
    {'repairs_answered_total', 'Those that were answered', 'repairs.answered'},
    {'stalls_total', 'TX thread did not respond', 'stalls.count'},
    {'pauses_total', 'Process did not run for a while', 'pauses'},
    {'isolation_total', 'Times without any datagram received', 'isolation.count'},
    {'resolver_queries_total', 'Names looked up', 'resolver.queries'},
    {'resolver_failures_total', 'Names that did not resolve', 'resolver.failures'},
    {'resolver_refused_total', 'Names of strangers not looked up: too many', 'resolver.refused'},
}

local GAUGES = {
    {'up', 'Whether the engine works', 'up'},
    {'members', 'Members', 'members', 'status'},
    {'version', 'Version of the member table', 'version'},
    {'rumors_queued', 'Rumors being spread', 'rumors.queued'},
    {'round_trip_last_seconds', 'Round trip of the last probe', 'round_trip.last_seconds'},
    {'round_trip_smoothed_seconds', 'Round trip, smoothed', 'round_trip.smoothed_seconds'},
    {'round_trip_p99_seconds', 'Round trip of 99 of 100 probes', 'round_trip.p99_seconds'},
    {'stall_longest_seconds', 'Longest time without response of the TX thread', 'stalls.longest_seconds'},
    {'isolated', 'Whether no datagrams are received', 'isolation.now'},
    {'resolver_longest_seconds', 'Slowest answer of the resolver', 'resolver.longest_seconds'},
    {'lock_longest_seconds', 'Longest hold of the engine lock', 'lock.longest_seconds'},
}

-- Outlives a reload of this file. What is enabled, if it is: `rock`, `collectors`, `callback`, and by whom.
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
        if value ~= nil then -- what has not been measured yet
            put(type(value) == 'boolean' and (value and 1 or 0) or tonumber(value), {})
        end
        return
    end
    for name, item in pairs(value) do
        put(tonumber(item), {[label] = name})
    end
end

-- A counter of the rock can only be added to, or begun anew.
local function set_counter(collector, value, labels)
    collector:reset(labels)
    collector:inc(value, labels)
end

local function set_gauge(collector, value, labels)
    collector:set(value, labels)
end

-- Other modules have callbacks, too: whatever is wrong with the engine, they are to be called.
local function collect(collectors)
    local ok, stats = pcall(membership.stats)
    stats = ok and stats or {}
    stats.up = ok
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

-- 0.10 cannot reset counters, and versions before that cannot unregister callbacks. They do not tell their versions.
local ROCK_MIN = '0.11.0'

local function is_too_old(rock)
    if type(rock.unregister_callback) ~= 'function' or type(rock.registry) ~= 'table' then
        return true
    end
    local name, help = unpack(COUNTERS[1], 1, 2)
    local is_ours = rock.registry:find('counter', PREFIX .. name) ~= nil
    local counter = rock.counter(PREFIX .. name, help)
    if not is_ours then
        rock.registry:unregister(counter)
    end
    return type(counter.reset) ~= 'function'
end

local function check_version(rock)
    if is_too_old(rock) then
        error(("the rock 'metrics' is too old: %s or newer expected"):format(ROCK_MIN), 3)
    end
end

-- Whether all that was enabled is there still. `metrics.clear()` forgets the collectors of all.
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

--- Registers all counters and gauges with the rock `metrics`. Does nothing if they are.
---@return boolean true
function metrics.enable()
    local ok, rock = pcall(require, 'metrics')
    if not ok then
        error("the rock 'metrics' is not installed: " .. tostring(rock):match('[^\n]*'), 2)
    end
    check_version(rock)
    -- What was enabled before a reload, of the rock or of this file, is replaced.
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

--- Takes them out of the registry again. Does nothing if they are not in it.
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
