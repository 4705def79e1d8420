--- For monitoring: counters and gauges; for operators: what may be wrong with a member.

local check = require('membership.internal.check')
local codec = require('membership.internal.codec')
local core = require('membership.internal.native')
local history = require('membership.internal.history')
local mirror = require('membership.internal.mirror')
local notifier = require('membership.internal.notifier')

---@alias membership.ByType table<'PING'|'ACK'|'SYNC_REQ'|'SYNC_ACK'|'LEAVE', number>

---@class membership.Stats counters and gauges; doc/api.md says what each means
---@field version number
---@field members table<'alive'|'suspect'|'dead'|'left'|'non-decryptable', number>
---@field members_refused number
---@field members_displaced number
---@field members_elsewhere number
---@field members_not_allowed number
---@field sent {datagrams: membership.ByType, bytes: membership.ByType}
---@field received {datagrams: membership.ByType, bytes: membership.ByType}
---@field dropped table<string, number> by reason
---@field events_skipped number
---@field payloads_refused table<string, number> by reason
---@field challenges number
---@field acks_unsolicited number
---@field oversized number
---@field amplification_limited number
---@field send_errors number
---@field turned_away number
---@field probes {sent: number, answered_directly: number, answered_by_relay: number, failed: number}
---@field round_trip {last_seconds?: number, smoothed_seconds?: number, p99_seconds?: number}
---@field relays {passed_on: number, refused: number}
---@field suspicions {raised: number, confirmed: number, refuted: number, turned_dead: number}
---@field refutations number
---@field rumors {queued: number, sent: number, expired: number}
---@field syncs {begun: number, answered: number}
---@field repairs {begun: number, answered: number}
---@field history {kept: number, forgotten: number}
---@field stalls {count: number, longest_seconds: number}
---@field pauses number
---@field duplicates number
---@field isolation {count: number, now: boolean}
---@field other_keys number
---@field resolver {queries: number, failures: number, refused: number, longest_seconds: number}
---@field state_file {saves: number, failures: number}
---@field lock {longest_seconds: number}

---@class membership.Diagnosis
---@field uri string
---@field status? string nil if it is not in the table any more
---@field round_trip_seconds? number time from ping to answer, smoothed
---@field silence_seconds? number time since its last answer to a probe
---@field clock_delta? number µs: its clock minus the local one
---@field probes? {late: number, relayed: number, failed: number} shares of the last probes, from 0 to 1
---@field hints string[] what may be wrong with it, as far as this instance can tell
---@field changes? membership.Change[] its last changes, the oldest first; nil in the answer for all members

local stats = {}

--- Returns counters since the process started, and gauges. Times are in seconds.
---@return membership.Stats
function stats.stats()
    notifier.ensure_running()
    local values = codec.decode(check.result(core.stats()))
    values.version = mirror.news()
    return values
end

--- Returns what this instance has measured of one member, or of all, hints at what may be wrong, and of one member the
-- last changes with their reasons.
---@param uri? string
---@return membership.Diagnosis|table<string, membership.Diagnosis>|nil of this member, if it is or was known; or by URI
---@overload fun(): table<string, membership.Diagnosis>
---@overload fun(uri: string): membership.Diagnosis|nil
function stats.diagnose(uri)
    if uri ~= nil and type(uri) ~= 'string' then
        check.fail(1, 'diagnose', '?string', uri)
    end
    notifier.ensure_running()
    local list = codec.decode(check.result(core.diagnose(uri ~= nil and uri or nil)))
    if uri ~= nil then
        local diagnosis = list[1]
        if diagnosis ~= nil then
            history.describe(diagnosis.changes)
        end
        return diagnosis
    end
    local by_uri = {}
    for _, diagnosis in ipairs(list) do
        by_uri[diagnosis.uri] = diagnosis
    end
    return by_uri
end

return stats
