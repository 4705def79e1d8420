-- Groups of old peers behave as groups of the Lua rock do, defects included. No part of the module under test
-- takes part.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local msgpack = require('msgpack')
local scene = require('scene')
local suite = require('suite')

--- `count` old peers that know each other. They are joined in a chain, so that most learn of most by gossip.
local function group(cluster, count, config)
    local peers = {}
    for i = 1, count do
        peers[i] = scene.old_member(cluster, config)
        if i > 1 then
            peers[i]:add_member(peers[i - 1].uri)
        end
    end
    cluster:acquaint(peers)
    return unpack(peers)
end

local function is_calm(t, peers)
    for _, peer in ipairs(peers) do
        t:is_deeply(peer.errors, {}, 'nothing was an error')
        t:is(peer.broken, 0, 'nothing was broken')
    end
end

--- How often the peer has logged this.
local function times_logged(peer, text)
    local times = 0
    for _, line in ipairs(peer.log) do
        times = times + (line.text == text and 1 or 0)
    end
    return times
end

--- How often the peer accepted that the member has this status.
local function times_accepted(peer, uri, wanted)
    local times = 0
    for _, event in ipairs(peer.history) do
        if event.uri == uri and peer.options.STATUS_NAMES[event.status] == wanted then
            times = times + 1
        end
    end
    return times
end

for _, key in ipairs({'', 'secret'}) do
    local config = {key = key ~= '' and key or nil}
    local how = key ~= '' and ', encrypted' or ''

    suite.fact('three meet, and a payload reaches everybody' .. how, function(t, cluster)
        local a, b, c = group(cluster, 3, config)
        t:is(a:set_payload('role', {'storage', zone = 1}), true, 'set_payload')
        cluster:wait('the payload at all', function()
            local at_b, at_c = b:get_member(a.uri), c:get_member(a.uri)
            return at_b.payload.role and at_c.payload.role
        end)
        t:is_deeply(c:get_member(a.uri).payload, {role = {'storage', zone = 1}}, 'it is the same')
        t:is(c:get_member(a.uri).incarnation, 2, 'under the next incarnation')
        is_calm(t, {a, b, c})
    end)

    suite.fact('a death is noticed, a return too' .. how, function(t, cluster)
        local a, b, c = group(cluster, 3, config)
        local uri, port = c.uri, c.port
        c:stop()
        cluster:everyone_sees(uri, 'dead', {a, b})
        t:ok(times_accepted(a, uri, 'suspect') > 0, 'it was a suspect before')

        local again = scene.old_member(cluster, {port = port, key = config.key})
        again:add_member(a.uri)
        cluster:everyone_sees(uri, 'alive', {a, b, again})
        t:ok(a:get_member(uri).incarnation > 1, 'it has refuted')
        is_calm(t, {a, b, again})
    end)

    suite.fact('a rumour is refuted' .. how, function(t, cluster)
        local a, b, c = group(cluster, 3, config)
        a.rumours:generate(c.uri, a.options.DEAD)
        cluster:wait('the refutation', function()
            return a:get_member(c.uri).incarnation > 1
        end)
        cluster:everyone_sees(c.uri, 'alive', {a, b, c})
        t:is(times_logged(c, 'Refuting the rumor that we are dead'), 1, 'it is logged')
        is_calm(t, {a, b, c})
    end)

    suite.fact('leaving is seen, and so is coming back' .. how, function(t, cluster)
        local a, b, c = group(cluster, 3, config)
        local uri = c.uri
        c:set_payload('role', 'storage')
        t:is(c:leave(), true, 'leave')
        t:is(c:leave(), false, 'leave again')
        t:is_deeply(c:members(), {}, 'it knows nobody')
        cluster:everyone_sees(uri, 'left', {a, b})
        t:is(times_accepted(a, uri, 'suspect'), 0, 'it was no suspect before')
        c:init()
        t:is(c:add_member(a.uri), true, 'add_member')
        cluster:everyone_sees(uri, 'alive', {a, b, c})
        is_calm(t, {a, b, c})
    end)

    suite.fact('two that cannot reach each other rely on a third' .. how, function(t, cluster)
        local a, b, c = group(cluster, 3, config)
        a:cut(c.uri)
        local pings = a:get_member(c.uri).timestamp
        cluster:wait('an ACK through the third', function()
            return a:get_member(c.uri).timestamp > pings
        end)
        t:is(times_accepted(a, c.uri, 'suspect'), 0, 'nobody is suspected')

        -- The same without a third, or the above proves nothing.
        a.options.NUM_FAILURE_DETECTION_SUBGROUPS = 0
        cluster:wait('a suspicion', function()
            return times_accepted(a, c.uri, 'suspect') > 0
        end)
        is_calm(t, {a, b, c})
    end)
end

suite.fact('mark_left() is seen by all, by its caller only when the datagram comes round', function(t, cluster)
    local a, b, c = group(cluster, 3)
    local uri = c.uri
    c:stop()
    t:is(a:mark_left(uri), true, 'mark_left')
    t:isnt(a:status_of(uri), 'left', 'not yet')
    cluster:everyone_sees(uri, 'left', {a, b})
    t:is(a:mark_left(uri), false, 'mark_left again')
    t:is(a:mark_left('127.0.0.1:1'), false, 'mark_left of a stranger')
    t:is(a:add_member(uri), true, 'add_member')
    t:is(a:get_member(uri).incarnation, 2, 'who left can be added with the next incarnation')
end)

suite.fact('a sync brings what no rumour brings', function(t, cluster)
    local a, b = group(cluster, 2)
    a.view:set({uri = '127.0.0.1:1', status = a.options.LEFT, incarnation = 7, payload = {x = 1}})
    cluster:everyone_sees('127.0.0.1:1', 'left', {b})
    t:is_deeply(b:get_member('127.0.0.1:1').payload, {x = 1}, 'with its payload')
    is_calm(t, {a, b})
end)

suite.fact('another key makes a member dead, then non-decryptable, until the keys agree', function(t, cluster)
    local a, b, c = group(cluster, 3, {key = 'secret'})
    c:set_encryption_key('another')
    cluster:everyone_sees(c.uri, 'non-decryptable', {a, b})
    t:is(c:get_encryption_key(), (' '):rep(25) .. 'another', 'the key is padded')
    c:set_encryption_key('secret')
    cluster:everyone_sees(c.uri, 'alive', {a, b, c})
    c:set_encryption_key(nil)
    cluster:everyone_sees(c.uri, 'non-decryptable', {a, b})
    t:is(c:get_encryption_key(), nil, 'no key')
end)

-- Defects that one meets on the wire.

suite.fact('a restart under the same incarnation goes unnoticed', function(t, cluster)
    local a, b, c = group(cluster, 3)
    c:set_payload('life', 'first')
    cluster:wait('the payload', function()
        return a:get_member(c.uri).payload.life and b:get_member(c.uri).payload.life
    end)
    c:stop()
    local again = scene.old_member(cluster, {port = c.port})
    again:set_payload('life', 'second')
    again:add_member(a.uri)
    cluster:everyone_sees(b.uri, 'alive', {again})
    local before = #again.history
    -- A member that only a sync can bring: two of them have passed then.
    for i = 1, 2 do
        again.view:set({uri = '127.0.0.1:' .. i, status = a.options.LEFT, incarnation = 1})
        cluster:everyone_sees('127.0.0.1:' .. i, 'left', {a, b})
    end
    t:is(a:get_member(again.uri).payload.life, 'first', 'others keep the old payload')
    t:is(again:myself().incarnation, 2, 'it is not told')
    t:is(#again.history, before, 'it has learned nothing')
end)

suite.fact('a sync about the peer itself is believed', function(t, cluster)
    local peer = scene.old_member(cluster)
    local near = scene.listener(cluster, ('127.0.0.1:%d'):format(cluster:port()))
    near:send(peer.uri, 'SYNC_ACK', {{peer.uri, 3, 5, {x = 1}}}, {})
    cluster:wait('the peer to believe it', function()
        return times_accepted(peer, peer.uri, 'dead') == 1
    end)
    -- It finds out only when it pings itself.
    cluster:everyone_sees(peer.uri, 'alive', {peer})
    t:is_deeply(peer:myself().payload, {x = 1}, 'payload and all')
end)

suite.fact('a payload is not accepted under a known incarnation', function(t, cluster)
    local peer = scene.old_member(cluster)
    local near = scene.listener(cluster, ('127.0.0.1:%d'):format(cluster:port()))
    peer:add_member('127.0.0.1:1')
    near:send(peer.uri, 'LEAVE', nil, {{'127.0.0.1:1', 1, 1, {x = 1}, 1}, {'127.0.0.1:2', 1, 1, nil, 1}})
    cluster:everyone_sees('127.0.0.1:2', 'alive', {peer})
    t:is_deeply(peer:get_member('127.0.0.1:1').payload, {}, 'it stays unknown')
end)

suite.fact('a member outside of the allowed set wakes subscribers with every rumour', function(t, cluster)
    local peer = scene.old_member(cluster)
    local near = scene.listener(cluster, ('127.0.0.1:%d'):format(cluster:port()))
    peer:set_allowed_members({peer.uri})
    local before = #peer.history
    for _ = 1, 5 do
        near:send(peer.uri, 'LEAVE', nil, {{'127.0.0.1:1', 3, 1, nil, 1}})
    end
    -- Or with more: the peer's ping of itself repeats the rumour to it.
    cluster:wait('five', function() return #peer.history >= before + 5 end)
    t:is(peer:get_member('127.0.0.1:1'), nil, 'and never becomes known')
end)

suite.fact('what the rock would log as an error is an error here', function(t, cluster)
    local peer = scene.peer(cluster, {options = {PROTOCOL_PERIOD_SECONDS = 1000}})
    local near = scene.listener(cluster, ('127.0.0.1:%d'):format(cluster:port()))
    peer:init()
    local me = peer.uri
    for _, case in ipairs({
        {'an unknown type', 'Unknown message GOSSIP', 'GOSSIP', {}, {}},
        {'a PING for nobody', '^Message PING without destination uri$', 'PING', {}, {}},
        {'an ACK for nobody', '^Message ACK without source uri$', 'ACK', {}, {}},
        {'a PING without data', 'stack traceback', 'PING', nil, {}},
        {'an event that is no table', 'table expected, got string', 'PING', {ts = 1, src = me, dst = me}, {'x'}},
        {'no events', 'stack traceback', 'PING', {ts = 1, src = near.uri, dst = me}, nil},
        {'a record without a uri', 'string expected', 'SYNC_ACK', {{7, 1, 1, nil}}, {}},
        {'a record without an incarnation', 'stack traceback', 'SYNC_ACK', {{me, 1, nil, nil}}, {}},
        {'a sync without data', 'stack traceback', 'SYNC_REQ', nil, {}},
    }) do
        local what, pattern, type_, data, events = unpack(case, 1, 5)
        local errors = #peer.errors
        near:send_bytes(me, msgpack.encode({
            near.uri, type_, data or msgpack.NULL, events or msgpack.NULL,
        }))
        cluster:wait('the error', function() return #peer.errors > errors end)
        t:like(peer.errors[#peer.errors], pattern, what)
    end
    t:is(#near.inbox, 0, 'and is not answered')

    for _, bytes in ipairs({'\xc1', '\x93\x01\x02\x03', '\x95\x01\x02\x03\x04\x05', '\x94\xa1x'}) do
        local broken = peer.broken
        near:send_bytes(me, bytes)
        cluster:wait('it', function() return peer.broken == broken + 1 end)
    end
    t:is(#peer.errors, 9, 'a datagram that is no message is only counted')
end)

suite.fact('a big group never sends too much, and fills what it sends', function(t, cluster)
    for _, key in ipairs({'', 'secret'}) do
        local a = scene.peer(cluster, {key = key ~= '' and key or nil, trace = true})
        local b = scene.peer(cluster, {key = key ~= '' and key or nil, trace = true})
        a:init()
        b:init()
        a.options.SUSPICIOUSNESS, b.options.SUSPICIOUSNESS = false, false
        for i = 1, 150 do
            a.view:set({
                uri = ('crowd-%03d.example:3301'):format(i), status = a.options.LEFT, incarnation = i,
                payload = {alias = 'member ' .. i},
            })
        end
        a:add_member(b.uri)
        cluster:wait('all to be known', function() return b.view:count() == 152 end)
        local longest = 0
        for _, peer in ipairs({a, b}) do
            for _, datagram in ipairs(peer.trace) do
                longest = math.max(longest, #datagram.bytes)
            end
        end
        t:ok(longest <= 1472, 'nothing is longer than 1472 bytes')
        t:ok(longest > 1400, 'full datagrams are almost that long')
        is_calm(t, {a, b})
        a:stop()
        b:stop()
    end
end)

-- The interface.

suite.fact('a uri is made host:port of, or refused', function(t, cluster)
    local peer = scene.peer(cluster)
    for _, uri in ipairs({'', ' ', ':::', '::1', 'a:b:c', ':1'}) do
        t:is_deeply({peer:add_member(uri)}, {nil, 'parse error'}, ('%q'):format(uri))
    end
    for uri, member in pairs({
        ['foo'] = 'foo', ['33705'] = '', ['http://u:p@localhost:1/p'] = 'localhost:1', ['[::1]:1'] = '[::1]:1',
    }) do
        t:is(peer:add_member(uri), true, uri)
        t:is(peer:status_of(member), 'alive', ('%q'):format(member))
    end
end)

suite.fact('probe_uri() tells what is wrong', function(t, cluster)
    local a, b = scene.old_member(cluster), scene.old_member(cluster)
    t:is_deeply({a:probe_uri(':::')}, {nil, 'parse error'}, 'parse error')
    t:is_deeply({a:probe_uri('127.0.0.1')}, {nil, 'ping was not sent'}, 'no port')
    t:is_deeply({a:probe_uri('no-such-host.invalid:1')}, {nil, 'ping was not sent'}, 'no such host')
    t:is_deeply({a:probe_uri('no-such-host.invalid:1')}, {nil, 'ping was not sent'}, 'no such host again')
    t:is_deeply({a:probe_uri('[::1]:' .. b.port)}, {nil, 'ping was not sent'}, 'an IPv6 address')
    t:is_deeply({a:probe_uri('127.0.0.1:' .. cluster:port())}, {nil, 'no response'}, 'nobody is there')
    t:is_deeply({a:probe_uri(b.uri)}, {true}, 'somebody is there')
    t:is_deeply({a:probe_uri(a.uri)}, {true}, 'itself')
    t:is_deeply({a:probe_uri('localhost:' .. b.port)}, {nil, 'no response'}, 'somebody under another name')
    t:is(a:status_of(b.uri), 'alive', 'they are acquainted')
    t:is(#a.log, 1, 'one warning')
    -- Its words depend on whether the machine has a name server.
    t:like(a.log[1].text, '^getaddrinfo: .+ %(no%-such%-host%.invalid:1%)$', 'about the name')
end)

suite.fact('a busy port is an error, and nothing is lost by it', function(t, cluster)
    local a, b = group(cluster, 2)
    local ok, err = pcall(a.init, a, '127.0.0.1', b.port)
    t:is(ok, false, 'init')
    t:is(err, ('Socket bind error (%d/udp): Address already in use'):format(b.port), 'its text')
    t:is(a:probe_uri(b.uri), true, 'the old socket is in use still')
end)

suite.fact('the old name of a peer dies', function(t, cluster)
    local a, b = group(cluster, 2)
    local old = a.uri
    a:set_payload('x', 1)
    t:is(a:init('localhost', cluster:port()), true, 'init with other host and port')
    cluster:everyone_sees(a.advertise_uri, 'alive', {a, b})
    cluster:everyone_sees(old, 'dead', {a, b})
end)

suite.fact('a process can run an old peer in the place of the module', function(t, cluster)
    local a, b, c = cluster:group(3, {program = scene.OLD_PEER})
    local d = scene.old_member(cluster)
    d:add_member(a.uri)
    cluster:everyone_sees(d.uri, 'alive')
    b.membership.set_payload('role', 'router')
    cluster:everyone_sees_payload(b.uri, {role = 'router'}, {a, b, c})
    c:kill()
    cluster:everyone_sees(c.uri, 'dead')
    t:is(a.membership.leave(), true, 'leave')
    cluster:everyone_sees(a.uri, 'left', {b})
    t:is_deeply(b:call(function() return require('membership').peer.errors end), {}, 'nothing was an error')
end)

suite.run()
