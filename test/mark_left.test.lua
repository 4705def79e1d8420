package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local scene = require('scene')
local suite = require('suite')
local wire = require('old_peer.wire')

local fact = suite.fact

fact('who is marked has left at once here, soon for everybody, and keeps the payload', function(t, cluster)
    local a, b, c = cluster:group(3)
    c.membership.set_payload('role', 'storage')
    cluster:everyone_sees_payload(c.uri, {role = 'storage'})
    c:kill()
    cluster:everyone_sees(c.uri, 'dead', {a, b})
    cluster:record(b)

    local marked, status, woken = a:call(function(uri)
        local membership = require('membership')
        local changed = membership.subscribe()
        local woken = require('fiber').channel(1)
        require('fiber').create(function()
            woken:put(changed:wait(10))
        end)
        local marked = membership.mark_left(uri)
        local status = membership.get_member(uri).status
        return marked, status, woken:get(10)
    end, c.uri)
    t:is(marked, true, 'mark_left returns true')
    t:is(status, 'left', 'it has left when that returns')
    t:is(woken, true, 'a subscriber is woken')
    t:ok(cluster:everyone_sees(c.uri, 'left', {a, b}), 'everybody sees it')
    t:ok(cluster:everyone_sees_payload(c.uri, {role = 'storage'}, {a, b}), 'with its payload')
    cluster:let_pass(2) -- many periods
    t:is_deeply(cluster:recorded(b, c.uri), {'dead 2', 'left 2'}, 'and it stays so')
end)

local function mark(node, ...)
    return {node:call(function(...)
        return pcall(require('membership').mark_left, ...)
    end, ...)}
end

fact('where there is nothing to mark the answer is false', function(t, cluster)
    local a, b = cluster:node(), cluster:member()
    local absent = '127.0.0.1:' .. cluster:port()
    a.membership.add_member(b.uri)
    t:is_deeply(mark(a, b.uri), {true, false}, 'before init')
    t:is(a:status_of(b.uri), 'alive', 'which changes nothing')
    cluster:init(a)
    cluster:acquaint({a, b})
    t:is_deeply(mark(a, absent), {true, false}, 'somebody unknown')
    t:is(a.membership.get_member(absent), nil, 'who stays unknown')
    t:is_deeply(mark(a, 'a:b:c'), {true, false}, 'what is no uri')
    t:is_deeply(mark(a), {true, false}, 'nothing')
    t:is_deeply(mark(a, 5), {true, false}, 'a number')
    t:is_deeply(mark(a, {}), {true, false}, 'a table')

    b.membership.leave()
    cluster:everyone_sees(b.uri, 'left', {a})
    t:is_deeply(mark(a, b.uri), {true, false}, 'who has left already')
    a.membership.leave()
    t:is_deeply(mark(a, a.uri), {true, false}, 'after leave')
end)

fact('who is there contradicts', function(t, cluster)
    local a, b, c = cluster:group(3)
    t:is(a.membership.mark_left(b.uri), true, 'mark_left returns true')
    cluster:wait('the refutation', function()
        return b.membership.myself().incarnation == 2
    end)
    t:ok(cluster:everyone_sees(b.uri, 'alive', {a, b, c}), 'it is alive for everybody')
    t:is(a.membership.mark_left(a.uri), true, 'one can say it of oneself')
    t:is(a.membership.myself().status, 'alive', 'and contradict oneself')
end)

fact('it is said in my own name', function(t, cluster)
    local a = cluster:member({options = {}})
    local near, victim = scene.listener(cluster, '127.0.0.1:' .. cluster:port()), '127.0.0.1:' .. cluster:port()
    near.answers = true
    near:send(a.uri, 'LEAVE', nil, {{victim, 3, 7, {x = 1}, 1}, {near.uri, 1, 1, {}, 1}})
    cluster:everyone_sees(victim, 'dead', {a})
    local since = #near.inbox
    a.membership.mark_left(victim)
    local sender = near:wait('the rumour', function(plain)
        local sender, _, _, events = unpack(wire.decode(plain))
        for _, event in ipairs(events) do
            local uri, status, incarnation, payload = unpack(event, 1, 4)
            if uri == victim and status == 5 and incarnation == 7 and payload.x == 1 then
                return sender
            end
        end
    end, since)
    t:is(sender, a.uri, 'not in that of whom it is about')
end)

suite.run()
