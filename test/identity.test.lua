-- The life of an identity: back after a crash, after leaving, under another name.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')

local fact = suite.fact

--- So long that whatever is seen to happen happens within the first period, and nobody is suspected nor dies of it.
local ENDLESS = {
    PROTOCOL_PERIOD_SECONDS = 3600,
    ANTI_ENTROPY_PERIOD_SECONDS = 3600,
    SUSPECT_TIMEOUT_SECONDS = 3600,
}

fact('a quick restart at the same incarnation is seen by everybody in the period in which it comes back',
    function(t, cluster)
        local a, b, c, d = cluster:group(4, {options = ENDLESS})
        local others = {a, b, c}
        d.membership.set_payload('life', 'first')
        cluster:everyone_sees_payload(d.uri, {life = 'first'})
        for _, observer in ipairs(others) do
            cluster:record(observer)
        end

        d:restart()
        cluster:init(d)
        d.membership.set_payload('life', 'second')
        t:is(d.membership.myself().incarnation, 2, 'it has come to the incarnation of its former life')
        d.membership.add_member(a.uri)

        t:ok(cluster:everyone_sees_payload(d.uri, {life = 'second'}), 'everybody sees the new payload')
        for _, member in ipairs(others) do
            t:ok(cluster:everyone_sees(member.uri, 'alive', {d}), 'and it sees ' .. member.uri)
            t:is_deeply(cluster:recorded(member, d.uri), {'alive 2', 'alive 3'}, 'to which it was alive all the time')
        end
    end)

fact('a quick restart with less to say than before is seen, too', function(t, cluster)
    local a, b, c = cluster:group(3, {options = ENDLESS})
    for i = 1, 9 do
        c.membership.set_payload('n', i)
    end
    cluster:everyone_sees_payload(c.uri, {n = 9})
    c:restart()
    cluster:init(c)
    c.membership.add_member(a.uri)
    t:ok(cluster:everyone_sees_payload(c.uri, {}, {a, b, c}), 'everybody sees that it has no payload any more')
    t:is(c.membership.myself().incarnation, 11, 'it has counted on from where it was')
    cluster:everyone_sees(c.uri, 'alive', {a, b, c})
end)

fact('who leaves and comes back has its payload still', function(t, cluster)
    local a, b, c = cluster:group(3, {options = ENDLESS})
    local payload = {role = 'storage', weights = {1, 2}}
    a.membership.set_payload(payload)
    cluster:everyone_sees_payload(a.uri, payload)
    for _ = 1, 2 do
        a.membership.leave()
        cluster:everyone_sees(a.uri, 'left', {b, c})
        a.membership.init(a.host, a.port)
        t:is_deeply(a.membership.myself().payload, payload, 'in its own eyes')
        a.membership.add_member(b.uri)
        t:ok(cluster:everyone_sees(a.uri, 'alive', {a, b, c}), 'everybody sees it alive')
        t:ok(cluster:everyone_sees_payload(a.uri, payload, {a, b, c}), 'with its payload')
    end
end)

fact('who leaves and comes back under another name has its payload, too', function(t, cluster)
    local a, b = cluster:group(2, {options = ENDLESS})
    a.membership.set_payload('n', 1)
    cluster:everyone_sees_payload(a.uri, {n = 1})
    a.membership.leave()
    a.membership.init('localhost', a.port)
    a.membership.add_member(b.uri)
    t:ok(cluster:everyone_sees_payload('localhost:' .. a.port, {n = 1}), 'everybody sees it')
    t:is(b:status_of(a.uri), 'left', 'its former name has left')
end)

fact('after init with another name the former one is dead to everybody at once', function(t, cluster)
    local a, b, c = cluster:group(3, {options = ENDLESS})
    a.membership.set_payload('n', 1)
    cluster:everyone_sees_payload(a.uri, {n = 1})
    local names = {{'localhost', a.port}, {'localhost', cluster:port()}, {'127.0.0.1', cluster:port()}}
    local former = a.uri
    for _, name in ipairs(names) do
        local now = table.concat(name, ':')
        cluster:record(b)
        t:is(a.membership.init(unpack(name)), true, former .. ' is called ' .. now)
        t:is(a:status_of(former), 'dead', 'the former name is dead when init returns')
        t:ok(cluster:everyone_sees(former, 'dead', {a, b, c}), 'soon for everybody')
        t:ok(cluster:everyone_sees(now, 'alive', {a, b, c}), 'and the new one is alive')
        t:ok(cluster:everyone_sees_payload(now, {n = 1}, {a, b, c}), 'with the payload')
        t:unlike(table.concat(cluster:recorded(b, former), ', '), 'suspect', 'nobody had to suspect it first')
        former = now
    end
    t:is(a.membership.init(a.host, a.port), true, 'and back')
    t:ok(cluster:everyone_sees(a.uri, 'alive', {a, b, c}), 'it can go by its first name again')
end)

suite.run()
