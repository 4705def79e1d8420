package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

fact('two groups become one when one member adds another', function(t, cluster)
    local a, b = cluster:group(2)
    local c, d = cluster:group(2)
    t:is(a:status_of(d.uri), nil, 'they do not know each other')
    b.membership.add_member(c.uri)
    for _, member in ipairs({a, b, c, d}) do
        t:ok(cluster:everyone_sees(member.uri, 'alive'), member.uri .. ' is known to everybody')
    end
end)

fact('a payload reaches everybody, whoever sets it', function(t, cluster)
    local members = {cluster:group(5)}
    for i, member in ipairs(members) do
        member.membership.set_payload('number', i)
    end
    for i, member in ipairs(members) do
        t:ok(cluster:everyone_sees_payload(member.uri, {number = i}), 'that of number ' .. i)
    end
end)

fact('who is stopped is taken for dead, and alive again when it goes on', function(t, cluster)
    local a, b, c = cluster:group(3)
    c:stop()
    t:ok(cluster:everyone_sees(c.uri, 'dead', {a, b}), 'the others see it dead')
    c:cont()
    t:ok(cluster:everyone_sees(c.uri, 'alive', {a, b, c}), 'everybody sees it alive')
    t:ok(cluster:everyone_sees(a.uri, 'alive', {a, b, c}), 'and the others, too')
    t:ok(cluster:everyone_sees(b.uri, 'alive', {a, b, c}), 'all of them')
end)

fact('who computes without yielding is not suspected', function(t, cluster)
    local a, b, c = cluster:group(3, {options = {}})
    cluster:record(a)
    cluster:record(b)
    c:call(function()
        local clock = require('clock')
        local stop = clock.monotonic() + 2.8
        while clock.monotonic() < stop do
            math.random()
        end
    end)
    for _, observer in ipairs({a, b}) do
        t:is_deeply(cluster:recorded(observer, c.uri), {'alive 1'}, observer.uri .. ' saw nothing')
    end
    t:is(c:status_of(a.uri), 'alive', 'it suspects nobody itself')
    t:is(c:status_of(b.uri), 'alive', 'nobody at all')
end)

fact('half of a group can die at once', function(t, cluster)
    local a, b, c, d = cluster:group(4)
    c:signal('KILL')
    d:signal('KILL')
    t:ok(cluster:everyone_sees(c.uri, 'dead', {a, b}), 'the others see one dead')
    t:ok(cluster:everyone_sees(d.uri, 'dead', {a, b}), 'and the other one')
    t:ok(cluster:everyone_sees(a.uri, 'alive', {a, b}), 'those that live')
    t:ok(cluster:everyone_sees(b.uri, 'alive', {a, b}), 'see each other alive')
end)

fact('garbage on the port disturbs nobody', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    cluster:record(b)
    local before = a.membership.members()
    local stranger = cluster:udp('127.0.0.1', cluster:port())
    local digest = require('digest')
    local msgpack = require('msgpack')
    local sent = 0
    local function send(bytes)
        if stranger:sendto('127.0.0.1', a.port, bytes) == #bytes then
            sent = sent + 1
        end
    end
    send('')
    for size = 1, 1400, 7 do
        send(digest.urandom(size))
    end
    send(('\x91'):rep(1472)) -- arrays in arrays
    send(('x'):rep(60000))
    for _, message in ipairs({
        {},
        {1, 2, 3, 4},
        {'', '', {}, {}},
        {'127.0.0.1:1', 'NO SUCH TYPE', msgpack.NULL, {}},
        {'127.0.0.1:1', 'PING', msgpack.NULL, {}},
        {'127.0.0.1:1', 'PING', {ts = 'now', src = {}, dst = false}, {'not an event'}},
        {'127.0.0.1:1', 'ACK', {ts = 0, src = a.uri, dst = b.uri}, {}},
        {'127.0.0.1:1', 'SYNC_REQ', {{}, {1, 2, 3, 4}, {'5', 1, 1, {}}, 'six'}, {}},
        {'127.0.0.1:1', 'LEAVE', msgpack.NULL, {{b.uri, 9, 2 ^ 60, {}, 1}, {b.uri, 3, -1, {}, 1}, {'', 1, 1, {}, 1}}},
    }) do
        send(msgpack.encode(message))
    end
    t:ok(sent > 200, 'it was sent')
    t:is(a.membership.probe_uri(b.uri), true, 'the instance works on')
    t:is(b.membership.probe_uri(a.uri), true, 'and answers')
    local after = a.membership.members()
    for _, member in pairs(before) do
        t:is_deeply({after[member.uri].status, after[member.uri].incarnation}, {member.status, member.incarnation},
            member.uri .. ' is what it was')
        after[member.uri] = nil
    end
    t:is(next(after), nil, 'nobody became a member')
    t:is_deeply(cluster:recorded(b, a.uri), {'alive 1'}, 'the peer saw nothing')
end)

suite.run()
