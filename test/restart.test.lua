package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

fact('who is killed is suspected, then dead, for everybody', function(t, cluster)
    local a, b, c = cluster:group(3)
    cluster:record(a)
    c:kill()
    t:ok(cluster:everyone_sees(c.uri, 'dead', {a, b}), 'everybody sees it dead')
    t:is_deeply(cluster:recorded(a, c.uri), {'alive 1', 'suspect 1', 'dead 1'}, 'it was suspected before')
    t:ok(cluster:everyone_sees(b.uri, 'alive', {a, b}), 'the others live')
end)

fact('the dead come back when they are started again', function(t, cluster)
    local a, b, c = cluster:group(3)
    c.membership.set_payload('life', 1)
    c.membership.set_payload('more', true)
    cluster:everyone_sees_payload(c.uri, {life = 1, more = true})
    c:kill()
    cluster:everyone_sees(c.uri, 'dead', {a, b})
    local before = a.membership.get_member(c.uri).incarnation

    c:restart()
    cluster:init(c)
    c.membership.set_payload('life', 2)

    -- Nobody adds it: the others have not forgotten where it lives.
    t:ok(cluster:everyone_sees(c.uri, 'alive'), 'everybody sees it alive')
    t:ok(cluster:everyone_sees_payload(c.uri, {life = 2}), 'with the payload of its new life')
    t:ok(cluster:everyone_sees(a.uri, 'alive'), 'and it knows the others')
    t:ok(a.membership.get_member(c.uri).incarnation > before, 'at a higher incarnation')
end)

fact('a restart that nobody noticed shows all the same, at the same incarnation', function(t, cluster)
    local a, b, c = cluster:group(3, {options = {}})
    c.membership.set_payload('life', 1)
    cluster:everyone_sees_payload(c.uri, {life = 1})
    local before = a.membership.get_member(c.uri).incarnation
    cluster:record(a)

    c:restart()
    cluster:init(c)
    c.membership.set_payload('life', 2)
    t:is(c.membership.myself().incarnation, before, 'it reaches the incarnation of its former life')

    t:ok(cluster:everyone_sees_payload(c.uri, {life = 2}, {a, b, c}), 'everybody sees the new payload')
    t:ok(cluster:everyone_sees(c.uri, 'alive', {a, b, c}), 'and the member alive')
    for _, mark in ipairs(cluster:recorded(a, c.uri)) do
        t:unlike(mark, 'dead', 'it was never dead: ' .. mark)
    end
end)

fact('a restart with an empty payload empties it for everybody', function(t, cluster)
    local a, b, c = cluster:group(3)
    c.membership.set_payload('life', 1)
    cluster:everyone_sees_payload(c.uri, {life = 1})
    c:restart()
    cluster:init(c)
    t:ok(cluster:everyone_sees_payload(c.uri, {}, {a, b, c}), 'nothing is left of its former life')
    t:ok(cluster:everyone_sees(c.uri, 'alive', {a, b, c}), 'it is alive')
end)

fact('a whole group that is killed and started again is a group again', function(t, cluster)
    local members = {cluster:group(3)}
    for _, member in ipairs(members) do
        member:kill()
    end
    for _, member in ipairs(members) do
        member:restart()
        cluster:init(member)
    end
    members[2].membership.add_member(members[1].uri)
    members[3].membership.add_member(members[1].uri)
    for _, member in ipairs(members) do
        t:ok(cluster:everyone_sees(member.uri, 'alive'), member.uri .. ' is alive')
    end
end)

suite.run()
