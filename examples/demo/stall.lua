--- Tarantool's thread computes without yielding. For a while no instance minds; then the engine announces it.

local story = require('demo.story')

local BUSY_SECONDS = 2
local HUNG_SECONDS = 12
local RETURN_SECONDS = 10
local DEATH_SECONDS = HUNG_SECONDS
local STALLED = 'E'

local function be_busy(cluster, display)
    display:step(('%s computes for %d s: no fiber of it can run, but its engine answers'):format(STALLED, BUSY_SECONDS))
    local others = cluster:others(STALLED)
    local watch = cluster:watch(others, story.any_not_alive(cluster, {STALLED}))
    local incarnation = cluster:view('A', STALLED).incarnation
    cluster:call(STALLED, 'compute', BUSY_SECONDS)
    cluster:rest(1)
    story.expect_nothing(watch, 'a busy instance is not to be suspected')
    if cluster:view('A', STALLED).incarnation ~= incarnation then
        story.fail('a busy instance is not to be suspected: but %s had to contradict', STALLED)
    end
    display:event('no instance noticed', display:now(), nil, 'alive')
end

local function hang(cluster, display)
    display:step(('%s computes for %d s: longer than TX_STALL_TIMEOUT_SECONDS, 3'):format(STALLED, HUNG_SECONDS))
    local watch = cluster:watch(cluster:others(STALLED), story.status_of(cluster, STALLED))
    local began_at = display:now()
    local computing = cluster:tell(STALLED, 'compute', HUNG_SECONDS)
    story.expect(display, {
        what = STALLED .. ' hangs: dead for all', watch = watch, value = 'dead', seconds = DEATH_SECONDS,
        cause_at = began_at, before = {what = STALLED .. ' hangs: it says so itself', value = 'suspect'},
        told = story.tell_status(display, STALLED, began_at),
    })
    display:step(STALLED .. ' goes on as if nothing had been')
    watch = cluster:watch(cluster:others(STALLED), story.status_of(cluster, STALLED))
    local _, ended_at = cluster:answer(computing)
    story.expect(display, {
        what = STALLED .. ' runs again: alive for all', watch = watch, value = 'alive',
        seconds = RETURN_SECONDS, cause_at = ended_at, told = story.tell_status(display, STALLED, ended_at),
    })
end

local function run(cluster, display)
    story.start_all(cluster, display)
    story.meet(cluster, display)
    be_busy(cluster, display)
    hang(cluster, display)
end

return {
    about = "Tarantool's thread hangs, for 2 s and for 12 s",
    watch_for = 'first no instance notices; then it announces itself as suspect, and the others declare it dead',
    run = run,
}
