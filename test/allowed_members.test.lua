-- set_allowed_members: of all others nothing is remembered but that they are alive.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local logged = require('logged')
local scene = require('scene')
local suite = require('suite')

local fact = suite.fact

--- Waits until the observer has forgotten a member.
local function wait_until_forgotten(cluster, observer, uri)
    return cluster:wait(uri .. ' to be forgotten by ' .. observer.uri, function()
        local status = observer:status_of(uri)
        return status == nil, status
    end)
end

fact('all others are forgotten at once, but never myself', function(t, cluster)
    local a = cluster:member()
    local absent = {}
    for i = 1, 3 do
        absent[i] = '127.0.0.1:' .. cluster:port()
        a.membership.add_member(absent[i])
        cluster:everyone_sees(absent[i], 'dead')
    end
    local wakes = a:count_wakes()
    t:is(a:call(function(uri)
        return select('#', require('membership').set_allowed_members({uri}))
    end, absent[2]), 0, 'set_allowed_members returns nothing')
    t:is_deeply({a:status_of(a.uri), a:status_of(absent[1]), a:status_of(absent[2]), a:status_of(absent[3])},
        {'alive', nil, 'dead', nil}, 'who is on the list is there still, and so am I')
    t:ok(cluster:wait('a wake-up', function() return wakes() > 0 end), 'subscribers are woken')

    a.membership.set_payload('n', 1)
    t:is(a.membership.probe_uri(a.uri), true, 'I am still of use')
    t:is_deeply(a.membership.myself().payload, {n = 1}, 'and can say something of myself')
end)

fact('another who lives comes back, and is forgotten when it dies, leaves or is marked left', function(t, cluster)
    local a, b, c = cluster:group(3)
    a.membership.set_allowed_members({b.uri})
    t:ok(cluster:everyone_sees(c.uri, 'alive', {a, b, c}), 'who lives comes back')

    cluster:record(a)
    c:kill()
    cluster:everyone_sees(c.uri, 'dead', {b})
    t:ok(wait_until_forgotten(cluster, a, c.uri), 'who dies is forgotten')
    t:is(b:status_of(c.uri), 'dead', 'but not by those who allow everybody')

    c:restart()
    cluster:init(c)
    cluster:everyone_sees(c.uri, 'alive', {a, b, c})
    c.membership.leave()
    cluster:everyone_sees(c.uri, 'left', {b})
    t:ok(wait_until_forgotten(cluster, a, c.uri), 'who leaves is forgotten')

    cluster:init(c)
    c.membership.add_member(a.uri)
    cluster:everyone_sees(c.uri, 'alive', {a, b, c})
    a:call(function(uri)
        assert(require('membership').mark_left(uri) == true)
        assert(require('membership').get_member(uri) == nil)
    end, c.uri)
    t:ok(cluster:everyone_sees(c.uri, 'alive', {a, b, c}), 'and who is marked left, until it contradicts')

    for _, mark in ipairs(cluster:recorded(a, c.uri)) do
        t:like(mark, '^alive', 'otherwise than alive it was never seen: ' .. mark)
    end
    b:kill()
    t:ok(cluster:everyone_sees(b.uri, 'dead', {a}), 'who is on the list is remembered when it is dead')
end)

fact('a rumour about one who is forgotten wakes and is logged once, however often it comes', function(t, cluster)
    local a = cluster:member()
    local stranger = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    local gossip = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    stranger.answers = true
    a.membership.set_allowed_members({a.uri})
    local wakes = a:count_wakes()
    logged.begin(a)
    for _, case in ipairs({{3, 'dead'}, {5, 'left'}, {2, 'suspect'}}) do
        local status, name = unpack(case)
        gossip:send(a.uri, 'LEAVE', nil, {{stranger.uri, 1, status, {}, 1}})
        cluster:everyone_sees(stranger.uri, 'alive', {a})
        cluster:let_pass(0.3) -- so that subscribers have been told of that
        local before = wakes()
        for _ = 1, 20 do
            gossip:send(a.uri, 'LEAVE', nil, {{stranger.uri, status, status, {}, 1}})
            cluster:let_pass(0.12) -- what comes sooner would be told of in one go
        end
        t:is(a.membership.get_member(stranger.uri), nil, 'it is forgotten when it is ' .. name)
        t:is(wakes() - before, 1, 'which woke once')
        local text = ('Ignoring member %s with status %s'):format(stranger.uri, name)
        t:is(logged.count(a, 'debug', text), 1, 'and was logged once')
    end
end)

fact('an empty list allows everybody again', function(t, cluster)
    local a, b = cluster:group(2)
    a.membership.set_allowed_members({a.uri})
    a.membership.set_allowed_members({})
    cluster:everyone_sees(b.uri, 'alive', {a})
    b:kill()
    t:ok(cluster:everyone_sees(b.uri, 'dead', {a}), 'who dies is dead')
end)

fact('it can be set before init', function(t, cluster)
    local a, b = cluster:node(), cluster:member()
    a.membership.set_allowed_members({a.uri})
    cluster:init(a)
    a.membership.add_member(b.uri)
    cluster:acquaint({a, b})
    b:kill()
    t:ok(wait_until_forgotten(cluster, a, b.uri), 'and holds after it')
end)

suite.run()
