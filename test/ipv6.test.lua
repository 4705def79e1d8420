package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local machine = require('machine')
local suite = require('suite')
local fact = suite.fact

local LOOPBACK = '[::1]'

fact('members meet, hear each other and die over IPv6', function(t, cluster)
    if not machine.has_ipv6(t, cluster) then
        return
    end
    local a, b, c = cluster:group(3, {host = LOOPBACK})
    t:like(a.membership.myself().uri, '^%[::1%]:%d+$', 'the address has brackets')
    a.membership.set_payload('n', 1)
    t:ok(cluster:everyone_sees_payload(a.uri, {n = 1}), 'a payload is heard')
    t:is(a.membership.probe_uri(b.uri), true, 'a probe is answered')
    c:kill()
    t:ok(cluster:everyone_sees(c.uri, 'dead', {a, b}), 'who is killed is dead')
    b.membership.leave()
    t:ok(cluster:everyone_sees(b.uri, 'left', {a}), 'who leaves has left')
end)

fact('a busy port is busy over IPv6, too', function(t, cluster)
    if not machine.has_ipv6(t, cluster) then
        return
    end
    local a = cluster:node({host = LOOPBACK})
    cluster:udp('::', a.port)
    local ok, err = pcall(a.membership.init, a.host, a.port)
    t:ok(not ok, 'init raises')
    t:like(err, ('Socket bind error %%(%d/udp%%): Address already in use'):format(a.port), 'and says why')
end)

fact('from IPv4 to IPv6 and back by init', function(t, cluster)
    if not machine.has_ipv6(t, cluster) then
        return
    end
    local a, b = cluster:member(), cluster:member({host = LOOPBACK})
    local uri = ('%s:%d'):format(LOOPBACK, a.port)
    t:is(a.membership.init(LOOPBACK, a.port), true, 'the port can be kept')
    a.membership.add_member(b.uri)
    t:ok(cluster:everyone_sees(uri, 'alive'), 'it meets the IPv6 member')
    t:is(a.membership.init(a.host, a.port), true, 'and back')
    t:is(a.membership.probe_uri(a.uri), true, 'it can be reached over IPv4')
end)

suite.run()
