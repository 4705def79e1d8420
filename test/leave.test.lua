package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

fact('a member that leaves is seen to have left by everybody, at once and for good', function(t, cluster)
    local a, b, c = cluster:group(3)
    cluster:record(b)
    cluster:record(c)
    t:is(a.membership.leave(), true, 'leave returns true')
    t:ok(cluster:everyone_sees(a.uri, 'left', {b, c}), 'everybody sees it')
    cluster:let_pass(3) -- several periods and suspicions long
    for _, observer in ipairs({b, c}) do
        local history = cluster:recorded(observer, a.uri)
        t:is(history[#history], 'left 1', 'it stays so')
        t:is(#history, 2, 'and was not suspected before')
    end
end)

fact('who has left knows nobody, has no address and no port', function(t, cluster)
    local a = cluster:group(2)
    a.membership.leave()
    t:is_deeply(a.membership.members(), {}, 'it knows nobody')
    local ok, err = pcall(a.membership.myself)
    t:ok(not ok, 'myself raises')
    t:like(err, 'membership is not initialized', 'and says why')
    t:ok(cluster:udp('0.0.0.0', a.port), 'the port is free')
    t:is(a.membership.leave(), false, 'it cannot leave again')
end)

fact('the news is with the kernel when leave() returns', function(t, cluster)
    local a, b, c = cluster:group(3)
    cluster:record(b)
    a:cast(function()
        require('membership').leave()
        require('ffi').C.kill(require('tarantool').pid(), 9)
    end)
    a:wait_exit()
    t:ok(cluster:everyone_sees(a.uri, 'left', {b, c}), 'everybody sees that it left')
    for _, mark in ipairs(cluster:recorded(b, a.uri)) do
        t:unlike(mark, 'suspect', 'it was not taken for dead: ' .. mark)
    end
end)

fact('who comes later hears that it left, and what its payload was', function(t, cluster)
    local a, b = cluster:group(2)
    a.membership.set_payload('name', 'a')
    cluster:everyone_sees_payload(a.uri, {name = 'a'})
    a.membership.leave()
    cluster:everyone_sees(a.uri, 'left', {b})
    local c = cluster:member()
    c.membership.add_member(b.uri)
    t:ok(cluster:everyone_sees(a.uri, 'left', {b, c}), 'it is known to have left')
    t:ok(cluster:everyone_sees_payload(a.uri, {name = 'a'}, {b, c}), 'with its payload')
end)

fact('who has left can come back', function(t, cluster)
    local a, b, c = cluster:group(3)
    a.membership.set_payload('life', 1)
    cluster:everyone_sees_payload(a.uri, {life = 1})
    a.membership.leave()
    cluster:everyone_sees(a.uri, 'left', {b, c})
    local before = b.membership.get_member(a.uri).incarnation

    t:is(a.membership.init(a.host, a.port), true, 'init works again')
    a.membership.set_payload('life', 2)
    a.membership.add_member(b.uri)

    t:ok(cluster:everyone_sees(a.uri, 'alive', {a, b, c}), 'everybody sees it alive')
    t:ok(cluster:everyone_sees_payload(a.uri, {life = 2}, {a, b, c}), 'with its new payload')
    t:ok(b.membership.get_member(a.uri).incarnation > before, 'at a higher incarnation')
    t:ok(cluster:everyone_sees(c.uri, 'alive', {a}), 'it knows everybody again')
end)

fact('it can come back many times', function(t, cluster)
    local a, b = cluster:group(2)
    for round = 1, 5 do
        a.membership.leave()
        cluster:everyone_sees(a.uri, 'left', {b})
        a.membership.init(a.host, a.port)
        a.membership.add_member(b.uri)
        t:ok(cluster:everyone_sees(a.uri, 'alive', {a, b}), 'return number ' .. round)
    end
end)

suite.run()
