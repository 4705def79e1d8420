--- What membership is for: instances meet, share a payload, notice a death, a return and a leave.

local story = require('demo.story')

local NAMES = story.NAMES
local VICTIM, LEAVER = 'C', 'E'

-- How long each may take. The options' defaults bound a death by a round of probes and the suspicion timeout.
local PAYLOAD_SECONDS = 10
local DEATH_SECONDS = 15
local RETURN_SECONDS = 10
local LEAVE_SECONDS = 5

local function share_payload(cluster, display)
    display:step("A sets its payload: set_payload('greeting', 'hello')")
    story.share_payload(cluster, display, {from = 'A', key = 'greeting', value = 'hello', seconds = PAYLOAD_SECONDS})
end

local function die(cluster, display)
    display:step(('kill -9 of %s, process %d'):format(VICTIM, cluster.instances[VICTIM].pid))
    local watch = cluster:watch(cluster:others(VICTIM), story.status_of(cluster, VICTIM))
    local killed_at = cluster:kill(VICTIM)
    story.expect(display, {
        what = VICTIM .. ' was killed: dead for all', watch = watch, value = 'dead', seconds = DEATH_SECONDS,
        cause_at = killed_at, before = {what = VICTIM .. ' was killed: suspected', value = 'suspect'},
        told = story.tell_status(display, VICTIM, killed_at),
    })
end

local function come_back(cluster, display)
    display:step(VICTIM .. ' is started again, knowing nothing but A')
    local status = story.status_of(cluster, VICTIM)
    local watch = cluster:watch(NAMES, function(name)
        if name ~= VICTIM then
            return status(name)
        end
        local first = cluster:view(name, 'A')
        local informed = first ~= nil and cluster:count_alive(name) == #NAMES and first.payload.greeting == 'hello'
        return informed and 'alive' or nil
    end)
    local up_since = cluster:start(VICTIM)
    display:event(('%s is up, process %d'):format(VICTIM, cluster.instances[VICTIM].pid), up_since)
    cluster:call(VICTIM, 'add_member', cluster.instances.A.uri)
    local tell_status = story.tell_status(display, VICTIM, up_since)
    story.expect(display, {
        what = VICTIM .. ' is back: alive for all, and up to date', watch = watch, value = 'alive',
        seconds = RETURN_SECONDS, cause_at = up_since,
        told = function(sighting)
            if sighting.name == VICTIM and sighting.value ~= nil then
                local text = ("%s knows all, and A's payload"):format(VICTIM)
                display:event(text, sighting.at, up_since, sighting.value, VICTIM)
            else
                tell_status(sighting)
            end
        end,
    })
end

local function leave(cluster, display)
    display:step(LEAVER .. ' leaves')
    local watch = cluster:watch(cluster:others(LEAVER), story.status_of(cluster, LEAVER))
    local left_at = cluster:call(LEAVER, 'leave')
    story.expect(display, {
        what = LEAVER .. ' left: known to all', watch = watch, value = 'left', seconds = LEAVE_SECONDS,
        cause_at = left_at, told = story.tell_status(display, LEAVER, left_at),
    })
end

local function run(cluster, display)
    story.start_all(cluster, display)
    story.meet(cluster, display)
    share_payload(cluster, display)
    die(cluster, display)
    come_back(cluster, display)
    leave(cluster, display)
end

return {about = 'they meet, share a payload, and see a death, a return and a leave', run = run}
