package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

local HOST = '127.0.0.1'

--- What an instance says of itself and keeps: not its `clock_delta`, which each of its pings to itself measures anew.
local function myself(node)
    local info = node.membership.myself()
    info.clock_delta = nil
    return info
end

fact('a fresh instance is alive at incarnation 1 with an empty payload', function(t, cluster)
    local a = cluster:node()
    t:is(a.membership.init(a.host, a.port), true, 'init returns true')
    local info = myself(a)
    t:is(info.uri, a.uri, 'uri')
    t:is(info.status, 'alive', 'status')
    t:is(info.incarnation, 1, 'incarnation')
    t:is_deeply(info.payload, {}, 'payload')
end)

fact('a second init keeps payload, incarnation and members, and nobody notices', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    a.membership.set_payload('role', 'router')
    cluster:everyone_sees_payload(a.uri, {role = 'router'})
    local before = myself(a)
    cluster:record(b)

    t:is(a.membership.init(a.host, a.port), true, 'it returns true')

    t:is_deeply(myself(a), before, 'it is what it was')
    t:is(a:status_of(b.uri), 'alive', 'the member is known still')
    a.membership.set_payload('role', 'storage')
    cluster:everyone_sees_payload(a.uri, {role = 'storage'})
    t:is_deeply(cluster:recorded(b, a.uri), {'alive 2', 'alive 3'}, 'the peer saw the payloads and nothing else')
end)

fact('a busy port raises the text users know, and logs it', function(t, cluster)
    local a = cluster:node()
    cluster:udp('0.0.0.0', a.port)

    local from_here, plain, logged = a:call(function(host, port)
        local membership, logger = require('membership'), require('logged').logger()
        local said = {}
        logger.error = function(fmt, ...)
            table.insert(said, fmt:format(...))
        end
        local _, positioned = pcall(function()
            membership.init(host, port)
        end)
        local _, exact = pcall(membership.init, host, port)
        return positioned, exact, said
    end, a.host, a.port)

    local text = ('Socket bind error (%d/udp): Address already in use'):format(a.port)
    t:is(plain, text, 'through pcall it is exactly this')
    t:is(from_here:sub(-#text), text, 'elsewhere it ends so')
    t:is(logged[1], text, 'the log has it')
end)

fact('after a first init that failed, another one works', function(t, cluster)
    local a = cluster:node()
    local busy = cluster:port()
    cluster:udp('0.0.0.0', busy)
    t:ok(not pcall(a.membership.init, a.host, busy), 'the port is busy')
    local ok, err = pcall(a.membership.myself)
    t:ok(not ok, 'there is no myself yet')
    t:like(err, 'membership is not initialized', 'and it says so')
    t:is(a.membership.init(a.host, a.port), true, 'a free port will do')
    t:is(a:status_of(a.uri), 'alive', 'it is alive')
end)

fact('when a later init fails, nothing is lost', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    a.membership.set_payload('n', 1)
    cluster:everyone_sees_payload(a.uri, {n = 1})
    cluster:record(b)
    local before = myself(a)
    local busy = cluster:port()
    cluster:udp('0.0.0.0', busy)

    local ok, err = pcall(a.membership.init, a.host, busy)
    t:ok(not ok, 'the port is busy')
    t:like(err, 'Socket bind error %(' .. busy .. '/udp%): Address already in use', 'it says so')

    t:is_deeply(myself(a), before, 'it is what it was')
    a.membership.set_payload('n', 2)
    cluster:everyone_sees_payload(a.uri, {n = 2})
    t:is_deeply(cluster:recorded(b, a.uri), {'alive 2', 'alive 3'}, 'the peer saw the payloads and nothing else')
end)

fact('after a port change the new address lives and the old one is dead for everybody', function(t, cluster)
    local a, b, c = cluster:group(3)
    a.membership.set_payload('n', 1)
    cluster:everyone_sees_payload(a.uri, {n = 1})
    local old, new = a.uri, ('%s:%d'):format(HOST, cluster:port())

    t:is(a.membership.init(HOST, tonumber(new:match('%d+$'))), true, 'init returns true')

    t:is(a.membership.myself().uri, new, 'it has a new address')
    t:is_deeply(a.membership.myself().payload, {n = 1}, 'it kept its payload')
    t:is(a:status_of(b.uri), 'alive', 'it kept its members')
    t:ok(cluster:everyone_sees(new, 'alive', {a, b, c}), 'the new address is alive')
    t:ok(cluster:everyone_sees(old, 'dead', {a, b, c}), 'the old address is dead')
    t:ok(cluster:everyone_sees_payload(new, {n = 1}), 'everybody has its payload')
    t:ok(cluster:udp('0.0.0.0', a.port), 'the old port is free')
end)

fact('after a host change the new name lives and the old one is dead for everybody', function(t, cluster)
    local a, b, c = cluster:group(3)
    a.membership.set_payload('n', 1)
    local old, new = a.uri, 'localhost:' .. a.port

    t:is(a.membership.init('localhost', a.port), true, 'init returns true')

    t:is(a.membership.myself().uri, new, 'it has a new name')
    t:is_deeply(a.membership.myself().payload, {n = 1}, 'it kept its payload')
    t:ok(cluster:everyone_sees(new, 'alive', {a, b, c}), 'the new name is alive')
    t:ok(cluster:everyone_sees(old, 'dead', {a, b, c}), 'the old name is dead')
end)

fact('hosts that cannot be parsed raise', function(t, cluster)
    local a = cluster:node()
    for _, host in ipairs({'', ' ', 'a b', ':::', '::1', 'a:1'}) do
        local ok, err = a:call(function(...)
            return pcall(require('membership').init, ...)
        end, host, a.port)
        t:ok(not ok, ('%q raises'):format(host))
        t:like(err, 'host', ('and it says that the host is wrong: %s'):format(err))
    end
    t:is_deeply(a.membership.members(), {}, 'it did not become a member')
end)

fact('addresses that no single machine has raise, with the reason', function(t, cluster)
    local a = cluster:node()
    for host, reason in pairs({
        ['0.0.0.0'] = 'the unspecified address',
        ['[::]'] = 'the unspecified address',
        ['[::ffff:0.0.0.0]'] = 'the unspecified address',
        ['255.255.255.255'] = 'the broadcast address',
        ['239.1.2.3'] = 'a multicast address',
        ['[ff02::1]'] = 'a multicast address',
    }) do
        local ok, err = pcall(a.membership.init, host, a.port)
        t:ok(not ok, ('%s raises'):format(host))
        t:like(err, ("bad host '%s': it is %s"):format(host:gsub('[%[%]]', '%%%0'), reason), err)
    end
    t:is_deeply(a.membership.members(), {}, 'it did not become a member')
    t:ok(cluster:udp('0.0.0.0', a.port), 'no socket is open')
end)

fact('ports that do not exist raise', function(t, cluster)
    local a = cluster:node()
    for _, port in ipairs({0, -1, 65536, 1.5, math.huge, 0 / 0}) do
        local ok, err = a:call(function(...)
            return pcall(require('membership').init, ...)
        end, HOST, port)
        t:ok(not ok, ('%s raises'):format(port))
        t:like(err, '65535', ('and it says what a port is: %s'):format(err))
    end
    t:is_deeply(a.membership.members(), {}, 'it did not become a member')
end)

fact('the socket is bound to all addresses, or to opts.bind', function(t, cluster)
    local a, b = cluster:node(), cluster:node()
    a.membership.init(HOST, a.port)
    local _, err = cluster:udp('127.0.0.2', a.port)
    t:is(err, 'Address already in use', 'by default it has the port on all addresses')

    b.membership.init(HOST, b.port, {bind = HOST})
    t:ok(cluster:udp('127.0.0.2', b.port), 'with opts.bind the port is free on other addresses')
    t:is(a.membership.probe_uri(b.uri), true, 'it answers at the address')
end)

fact('an address that is not of this machine cannot be bound', function(t, cluster)
    local a = cluster:node()
    local ok, err = pcall(a.membership.init, HOST, a.port, {bind = '192.0.2.1'})
    t:ok(not ok, 'it raises')
    t:like(err, ('Socket bind error %%(%d/udp%%): Cannot assign requested address'):format(a.port), 'and says so')
end)

fact('options that are box.NULL are none', function(t, cluster)
    local a = cluster:node()
    t:is(a:call(function(host, port)
        return require('membership').init(host, port, box.NULL)
    end, a.host, a.port), true, 'init returns true')
    t:is(a:call(function(host, port)
        return require('membership').init(host, port, {bind = box.NULL, state_file = box.NULL})
    end, a.host, a.port), true, 'and so does a table of them')
end)

suite.run()
