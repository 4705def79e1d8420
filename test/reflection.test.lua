-- What is sent to an address that has not answered: little more than it has sent, and nothing to others.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fiber = require('fiber')
local msgpack = require('msgpack')
local scene = require('scene')
local suite = require('suite')

local HEADERS = 28 -- of IPv4 and UDP

--- An instance that has something to tell.
local function well_known(cluster)
    local node = cluster:member()
    node.membership.set_payload('text', ('x'):rep(1000))
    for i = 1, 20 do
        node.membership.add_member(('127.0.0.1:%d'):format(i))
    end
    return node
end

local function received(listener)
    local bytes = 0
    for _, datagram in ipairs(listener.raw) do
        bytes = bytes + #datagram + HEADERS
    end
    return bytes
end

--- What can be asked in the name of `asker`.
local function requests(asker, node, victim)
    local function message(type_, data)
        return msgpack.encode({asker.uri, type_, data, {}})
    end
    local function ping(dst)
        return {ts = fiber.time64(), src = asker.uri, dst = dst}
    end
    return {
        ['a sign of life'] = message('PING', ping(node.uri)),
        ['a table'] = message('SYNC_REQ', {}),
        ['a ping on its behalf'] = message('PING', ping(victim.uri)),
    }
end

suite.fact('an address that does not answer gets three times what was sent in its name', function(t, cluster)
    local node = well_known(cluster)
    local victim = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    local other = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    local attacker = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    for what, request in pairs(requests(victim, node, other)) do
        local before, sent = received(victim), 0
        for _ = 1, 20 do
            attacker:send_bytes(node.uri, request)
            sent = sent + #request + HEADERS
            cluster:let_pass(0.06)
        end
        local got = received(victim) - before
        t:ok(got > 0 and got <= 3 * sent, ('asked for %s: %.1f times as much'):format(what, got / sent))
    end
    t:is(#other.raw, 0, 'and nothing goes where it asks for')
    t:is(#attacker.raw, 0, 'nor where it comes from')
end)

suite.fact('an address that answers is served', function(t, cluster)
    local node = well_known(cluster)
    local asker = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    local other = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    asker.answers = true
    local answers = {['a sign of life'] = 'ACK', ['a table'] = 'SYNC_ACK'}
    for what, request in pairs(requests(asker, node, other)) do
        local listener = what == 'a ping on its behalf' and other or asker
        local since = #listener.inbox
        asker:send_bytes(node.uri, request)
        listener:wait(what, function(plain)
            return msgpack.decode(plain)[2] == (answers[what] or 'PING')
        end, since)
        t:ok(true, what)
    end
end)

suite.fact('a member that was pinged cannot answer for another', function(t, cluster)
    local node = well_known(cluster)
    local victim = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    local attacker = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    attacker:send(node.uri, 'LEAVE', nil, {{attacker.uri, 1, 1, {}, 1}, {victim.uri, 1, 1, {}, 1}})
    for _ = 1, 4 do
        local since = #attacker.inbox
        local asked = msgpack.decode(attacker:wait('a ping', function(plain)
            local message = msgpack.decode(plain)
            return message[2] == 'PING' and message[3].dst == attacker.uri and plain
        end, since))[3]
        asked.ats = asked.ts
        attacker:send(node.uri, 'ACK', asked, {})
        asked.dst = victim.uri
        attacker:send(node.uri, 'ACK', asked, {})
        attacker:send_bytes(node.uri, msgpack.encode({victim.uri, 'ACK', asked, {}}))
    end
    cluster:wait('the attacker to be known', function()
        return node.membership.get_member(attacker.uri).clock_delta ~= nil
    end)
    local before, request = received(victim), msgpack.encode({victim.uri, 'SYNC_REQ', {}, {}})
    for _ = 1, 20 do
        attacker:send_bytes(node.uri, request)
        cluster:let_pass(0.06)
    end
    local tables = 0
    for _, plain in ipairs(victim.inbox) do
        tables = tables + (msgpack.decode(plain)[2] == 'SYNC_ACK' and 1 or 0)
    end
    t:is(tables, 0, 'it is sent no table')
    t:ok(received(victim) > before, 'but pings')
    cluster:everyone_sees(victim.uri, 'dead', {node})
    t:ok(true, 'and is found to be dead')
end)

suite.run()
