--- The key of a running group is changed; no instance is suspected, and one that has only the old key stays out.

local digest = require('digest')

local story = require('demo.story')

local CIPHER = 'xchacha20-poly1305'
local LATE = 'E'
local ALLOWED_SECONDS = 30

local function new_key()
    return digest.base64_encode(digest.urandom(32))
end

local function give(cluster, name, key)
    return cluster:call(name, 'authenticate', CIPHER, key)
end

--- One step on all instances, one after the other; then news travels, to show that they understand each other.
local function step(cluster, display, call, key, title)
    display:step(title)
    for _, name in ipairs(story.NAMES) do
        cluster:call(name, call, key)
    end
    story.share_payload(cluster, display, {
        from = 'A', key = 'last', value = call, seconds = ALLOWED_SECONDS,
        what = ('%s: news arrives after it'):format(call),
    })
end

-- A key that others do not have yet is not used: the members that lack it are named.
local function try_too_early(cluster, display, new)
    display:step('on A: add the new key, and use it too early')
    cluster:call('A', 'add_encryption_key', new)
    local err = cluster:call_in_vain('A', 'use_encryption_key', new)
    display:event(('A: use_encryption_key returns nil, "%s"'):format(err), display:now(), nil, 'suspect', 'A')
end

local function come_late(cluster, display, old, new)
    display:step(('%s was away: it is started again with the old key'):format(LATE))
    cluster:kill(LATE)
    local up_since = cluster:start(LATE)
    give(cluster, LATE, old)
    local err = cluster:call_in_vain(LATE, 'probe_uri', cluster.instances.A.uri)
    display:event(("%s: probe_uri(A) returns false, '%s'"):format(LATE, err), display:now(), up_since, 'suspect', LATE)

    display:step(('%s is given the new key'):format(LATE))
    give(cluster, LATE, new)
    cluster:call(LATE, 'add_member', cluster.instances.A.uri)
    story.share_payload(cluster, display, {
        from = LATE, key = 'key', value = 'new', seconds = ALLOWED_SECONDS,
        what = LATE .. ' has the new key: all hear it again',
    })
end

local function run(cluster, display)
    local old, new = new_key(), new_key()
    story.start_all(cluster, display)
    display:step('all are given a key, and authenticated encryption')
    for _, name in ipairs(story.NAMES) do
        give(cluster, name, old)
    end
    story.meet(cluster, display)

    local watch = cluster:watch(story.NAMES, story.any_not_alive(cluster, story.NAMES))
    try_too_early(cluster, display, new)
    step(cluster, display, 'add_encryption_key', new, 'on all: add the new key; it is understood from now on')
    step(cluster, display, 'use_encryption_key', new, 'on all: use the new key, which all are known to accept')
    step(cluster, display, 'remove_encryption_key', old, 'on all: remove the old key, which none is known to use')
    story.expect_nothing(watch, 'no instance is to be suspected while keys change')
    display:event('no instance was suspected', display:now(), nil, 'alive')
    come_late(cluster, display, old, new)
end

return {
    about = 'the key of the running group is changed',
    watch_for = 'all stay alive to each other in every step; who has only the old key afterwards stays out',
    run = run,
}
