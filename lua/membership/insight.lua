--- What those want to know who watch the group, or look for what is wrong with it.

local check = require('membership.check')
local codec = require('membership.codec')
local core = require('membership.core')
local journal = require('membership.journal')
local mirror = require('membership.mirror')
local watch = require('membership.watch')

---@class membership.Diagnosis
---@field uri string
---@field status string
---@field round_trip_seconds? number how long its answers take, smoothed
---@field silence_seconds? number how long ago it has answered a probe
---@field clock_delta? number µs: its clock minus ours
---@field probes? {late: number, relayed: number, failed: number} which part of the last ones, from 0 to 1
---@field hints string[] what is wrong with it, as far as can be told from here

local insight = {}

--- Counters since the process began, and gauges, for monitoring. Times are in seconds.
---@return table<string, any> see README.md
function insight.stats()
    watch.ensure()
    local stats = codec.decode(check.result(core.stats()))
    check.result(mirror.current())
    stats.version = journal.number()
    return stats
end

--- What this instance knows of a member that may be sick, or of all of them, and what to make of it.
---@param uri? string
---@return membership.Diagnosis|table<string, membership.Diagnosis>|nil of this member, nil if it is not known; by URI
function insight.diagnose(uri)
    if uri ~= nil and type(uri) ~= 'string' then
        check.fail(1, 'diagnose', '?string', uri)
    end
    watch.ensure()
    local list = codec.decode(check.result(core.diagnose(uri ~= nil and uri or nil)))
    if uri ~= nil then
        return list[1]
    end
    local by_uri = {}
    for _, diagnosis in ipairs(list) do
        by_uri[diagnosis.uri] = diagnosis
    end
    return by_uri
end

return insight
