package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

fact('one that adds one is enough for both to know each other', function(t, cluster)
    local a, b = cluster:member(), cluster:member()
    t:is(a.membership.add_member(b.uri), true, 'add_member returns true')
    t:ok(cluster:everyone_sees(a.uri, 'alive'), 'everybody knows who added')
    t:ok(cluster:everyone_sees(b.uri, 'alive'), 'everybody knows who was added')
end)

fact('whoever adds whom, the group is the same', function(t, cluster)
    local members = {}
    for i = 1, 5 do
        members[i] = cluster:member()
    end
    local a, b, c, d, e = unpack(members)
    -- Neither a chain nor a star, and one pair knows each other from both sides.
    b.membership.add_member(a.uri)
    b.membership.add_member(c.uri)
    c.membership.add_member(b.uri)
    d.membership.add_member(e.uri)
    e.membership.add_member(c.uri)
    for _, member in ipairs(members) do
        t:ok(cluster:everyone_sees(member.uri, 'alive'), member.uri .. ' is known to everybody')
    end
end)

fact('a uri is normalised to host and port', function(t, cluster)
    local a = cluster:node()
    for _, case in ipairs({
        {'localhost:1', 'localhost:1'},
        {'127.0.0.1:1', '127.0.0.1:1'},
        {'http://u:p@localhost:2/p', 'localhost:2'},
        {'u@localhost:3', 'localhost:3'},
        {'localhost:4/path?query=1', 'localhost:4'},
        {'[::1]:1', '[::1]:1'},
    }) do
        local given, known = unpack(case)
        t:is(a.membership.add_member(given), true, given .. ' is added')
        t:is(a:status_of(known), 'alive', 'and known as ' .. known)
        if given ~= known then
            t:is(a.membership.get_member(given), nil, 'not as ' .. given)
        end
    end
end)

fact('what cannot be parsed is refused and not known', function(t, cluster)
    local a = cluster:node()
    for _, uri in ipairs({
        '', ' ', ':::', '::1', 'a:b:c', ':1', 'localhost:99999', ('x'):rep(300) .. ':1',
        '0.0.0.0:1', '[::]:1', '255.255.255.255:1', '224.0.0.1:1', '[ff02::1]:1',
    }) do
        local got = {a:call(function(given)
            return require('membership').add_member(given)
        end, uri)}
        t:is(got[1], nil, ('%q is refused'):format(uri:sub(1, 20)))
        t:is(got[2], 'parse error', 'with the word for it')
    end
    t:is_deeply(a.membership.members(), {}, 'nobody became a member')
end)

fact('a port alone makes no member without a name', function(t, cluster)
    local a = cluster:node()
    a.membership.add_member('33705')
    t:is(a.membership.get_member(''), nil, 'there is no empty uri')
    t:is(a.membership.members()[''], nil, 'nor among the members')
end)

fact('who is alive already stays as it is', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    b.membership.set_payload('n', 1)
    cluster:everyone_sees_payload(b.uri, {n = 1})
    local before = a.membership.get_member(b.uri)
    t:is(a.membership.add_member(b.uri), true, 'adding it again succeeds')
    local after = a.membership.get_member(b.uri)
    t:is(after.incarnation, before.incarnation, 'its incarnation is what it was')
    t:is_deeply(after.payload, {n = 1}, 'its payload too')
end)

fact('who has left is invited back as alive, at a higher incarnation', function(t, cluster)
    local a, b = cluster:group(2)
    b.membership.leave()
    cluster:everyone_sees(b.uri, 'left', {a})
    local version, before = a.membership.wait(), a.membership.get_member(b.uri)
    t:is(a.membership.add_member(b.uri), true, 'add_member returns true')
    -- By what was noted: what it is now is suspect, a tenth of a second after.
    local invitation
    for _, change in ipairs(select(2, a.membership.history(version))) do
        invitation = invitation or change.uri == b.uri and change
    end
    t:is(invitation.incarnation, before.incarnation + 1, 'the incarnation rose')
    t:is(invitation.status, 'alive', 'it is alive until it is found not to be')
    t:ok(cluster:everyone_sees(b.uri, 'dead', {a}), 'which it is not')
end)

fact('who does not answer is found dead', function(t, cluster)
    local a = cluster:member()
    local absent = '127.0.0.1:' .. cluster:port()
    a.membership.add_member(absent)
    t:ok(cluster:everyone_sees(absent, 'dead'), 'it is dead')
end)

suite.run()
