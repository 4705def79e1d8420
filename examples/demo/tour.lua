--- What membership is for: instances meet, share a payload, notice a death, a return and a leave.

local NAMES = {'A', 'B', 'C', 'D', 'E'}
local VICTIM, LEAVER = 'C', 'E'

-- How long each may take. The options' defaults bound a death by a round of probes and the suspicion timeout.
local MEET_SECONDS = 10
local PAYLOAD_SECONDS = 10
local DEATH_SECONDS = 15
local RETURN_SECONDS = 10
local LEAVE_SECONDS = 5

--- "A, B and C"
local function enumerate(names)
    if #names < 2 then
        return names[1]
    end
    return table.concat(names, ', ', 1, #names - 1) .. ' and ' .. names[#names]
end

--- Shows a watch until all see the value, and books it into the summary; else fails, saying who does not see it.
-- @param e {what, watch, value, seconds, cause_at, told}; `before` = {what, value} books what some saw on the way
local function expect(timeline, e)
    local ok, blind = e.watch:follow(e.value, e.seconds, e.told)
    if e.before ~= nil then
        timeline:result(e.before.what, e.seconds, e.cause_at, e.watch:times(e.before.value))
    end
    if not ok then
        error({failure = ('%s: after %d s still not so for %s'):format(e.what, e.seconds, enumerate(blind))}, 0)
    end
    timeline:result(e.what, e.seconds, e.cause_at, e.watch:times(e.value))
end

local function status_of(cluster, of)
    return function(name)
        local member = cluster:view(name, of)
        return member and member.status
    end
end

local function start_all(cluster, timeline)
    timeline:step(('%d instances start, without box.cfg'):format(#NAMES))
    for _, name in ipairs(NAMES) do
        local up_since = cluster:start(name)
        local instance = cluster.instances[name]
        timeline:event(('%s is up: %s, process %d'):format(name, instance.uri, instance.process.pid), up_since)
    end
end

local function meet(cluster, timeline)
    timeline:step('they meet: B is told of A, C of B, D of C, E of D; how many does each know?')
    local watch = cluster:watch(NAMES, function(name) return cluster:count_alive(name) end)
    local calls = {}
    for i = 2, #NAMES do
        table.insert(calls, cluster:tell(NAMES[i], 'add_member', cluster.instances[NAMES[i - 1]].uri))
    end
    local told_at = math.huge
    for _, call in ipairs(calls) do
        told_at = math.min(told_at, cluster:answer(call))
    end

    local counts = {}
    expect(timeline, {
        what = 'everybody knows everybody', watch = watch, value = #NAMES, seconds = MEET_SECONDS, cause_at = told_at,
        told = function(sighting)
            counts[sighting.name] = sighting.value
            local row = {}
            for _, name in ipairs(NAMES) do
                table.insert(row, ('%s %d'):format(name, counts[name] or 1))
            end
            timeline:event(table.concat(row, '   '), sighting.at, told_at)
        end,
    })
end

local function share_payload(cluster, timeline)
    timeline:step("A sets its payload: set_payload('greeting', 'hello')")
    local watch = cluster:watch(cluster:others('A'), function(name)
        local member = cluster:view(name, 'A')
        return member and member.payload.greeting
    end)
    local set_at = cluster:call('A', 'set_payload', 'greeting', 'hello')
    expect(timeline, {
        what = "A's payload is with everybody", watch = watch, value = 'hello', seconds = PAYLOAD_SECONDS,
        cause_at = set_at,
        told = function(sighting)
            timeline:event(("%s has A's payload"):format(sighting.name), sighting.at, set_at)
        end,
    })
end

local function die(cluster, timeline)
    timeline:step(('kill -9 of %s, process %d'):format(VICTIM, cluster.instances[VICTIM].process.pid))
    local watch = cluster:watch(cluster:others(VICTIM), status_of(cluster, VICTIM))
    local killed_at = cluster:kill(VICTIM)
    expect(timeline, {
        what = VICTIM .. ' was killed: dead for everybody', watch = watch, value = 'dead', seconds = DEATH_SECONDS,
        cause_at = killed_at, before = {what = VICTIM .. ' was killed: suspected', value = 'suspect'},
        told = function(sighting)
            timeline:event(('%s sees %s %s'):format(sighting.name, VICTIM, sighting.value), sighting.at, killed_at,
                sighting.value)
        end,
    })
end

local function come_back(cluster, timeline)
    timeline:step(VICTIM .. ' is started again, knowing nothing but A')
    local status = status_of(cluster, VICTIM)
    local watch = cluster:watch(NAMES, function(name)
        if name ~= VICTIM then
            return status(name)
        end
        local first = cluster:view(name, 'A')
        local informed = first ~= nil and cluster:count_alive(name) == #NAMES and first.payload.greeting == 'hello'
        return informed and 'alive' or nil
    end)
    local up_since = cluster:start(VICTIM)
    timeline:event(('%s is up, process %d'):format(VICTIM, cluster.instances[VICTIM].process.pid), up_since)
    cluster:call(VICTIM, 'add_member', cluster.instances.A.uri)
    expect(timeline, {
        what = VICTIM .. ' is back: alive for everybody, and up to date', watch = watch, value = 'alive',
        seconds = RETURN_SECONDS, cause_at = up_since,
        told = function(sighting)
            if sighting.value == nil then
                return
            end
            local text = sighting.name == VICTIM and ("%s knows everybody, and A's payload"):format(VICTIM)
                or ('%s sees %s %s'):format(sighting.name, VICTIM, sighting.value)
            timeline:event(text, sighting.at, up_since, sighting.value)
        end,
    })
end

local function leave(cluster, timeline)
    timeline:step(LEAVER .. ' leaves')
    local watch = cluster:watch(cluster:others(LEAVER), status_of(cluster, LEAVER))
    local left_at = cluster:call(LEAVER, 'leave')
    expect(timeline, {
        what = LEAVER .. ' left: known to everybody', watch = watch, value = 'left', seconds = LEAVE_SECONDS,
        cause_at = left_at,
        told = function(sighting)
            timeline:event(('%s sees %s %s'):format(sighting.name, LEAVER, sighting.value), sighting.at, left_at,
                sighting.value)
        end,
    })
end

local function run(cluster, timeline)
    start_all(cluster, timeline)
    meet(cluster, timeline)
    share_payload(cluster, timeline)
    die(cluster, timeline)
    come_back(cluster, timeline)
    leave(cluster, timeline)
end

return {instances = NAMES, run = run}
