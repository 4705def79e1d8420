--- The network loses every fourth datagram. News arrives all the same; who lives is left in peace, who dies is noticed.

local network = require('demo.network')
local story = require('demo.story')

local LOST_PERCENT = 25
local QUIET_SECONDS = 10
local ALLOWED_SECONDS = 60

--- How often the member has contradicted what was said of it, or changed its payload.
local function incarnation(cluster, name)
    return cluster:view(name, name).incarnation
end

local function share(cluster, display)
    display:step('each sets its payload')
    for _, name in ipairs(story.NAMES) do
        story.share_payload(cluster, display, {from = name, key = 'of', value = name, seconds = ALLOWED_SECONDS})
    end
end

local function live(cluster, display)
    display:step(('%d seconds in which nothing happens but losses'):format(QUIET_SECONDS))
    local began = {}
    for _, name in ipairs(story.NAMES) do
        began[name] = incarnation(cluster, name)
    end
    cluster:rest(QUIET_SECONDS)
    local accused = 0
    for _, name in ipairs(story.NAMES) do
        accused = accused + incarnation(cluster, name) - began[name]
    end
    display:event(('an instance was suspected, and refuted: %d times'):format(accused), display:now(), nil,
        accused > 0 and 'suspect' or 'alive')
end

local function die(cluster, display)
    display:step(('kill -9 of C, process %d'):format(cluster.instances.C.pid))
    local watch = cluster:watch(cluster:others('C'), story.status_of(cluster, 'C'))
    local killed_at = cluster:kill('C')
    story.expect(display, {
        what = 'C was killed: dead for all', watch = watch, value = 'dead', seconds = ALLOWED_SECONDS,
        cause_at = killed_at, before = {what = 'C was killed: suspected', value = 'suspect'},
        told = story.tell_status(display, 'C', killed_at),
    })
end

local function run(cluster, display)
    story.start_all(cluster, display)
    display:step(('from now on %d of 100 datagrams are lost, of all senders'):format(LOST_PERCENT))
    network.lose(LOST_PERCENT)
    story.meet(cluster, display, ALLOWED_SECONDS)
    local buried = cluster:watch(story.NAMES, function(observer)
        local seen = story.any_not_alive(cluster, story.NAMES)(observer)
        return seen ~= nil and seen:match('dead$') and seen or nil
    end)
    share(cluster, display)
    live(cluster, display)
    story.expect_nothing(buried, 'no instance is to be declared dead for lost datagrams')
    display:event('no instance was declared dead', display:now())
    die(cluster, display)
end

return {
    about = 'a quarter of all datagrams is lost',
    watch_for = 'they meet and share payloads all the same; the living stay alive, and the one who dies is found',
    breaks_network = true,
    run = run,
}
