package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

fact('a member that answers joins the group', function(t, cluster)
    local a, b = cluster:member(), cluster:member()
    t:is(a.membership.probe_uri(b.uri), true, 'it answers')
    t:ok(cluster:everyone_sees(a.uri, 'alive'), 'everybody knows who asked')
    t:ok(cluster:everyone_sees(b.uri, 'alive'), 'everybody knows who answered')
end)

fact('after a probe both sides have the newest payload of each other', function(t, cluster)
    local a, b = cluster:group(2)
    local stale = {}
    for i = 1, 50 do
        b.membership.set_payload('number', -i)
        local ok = a:call(function(uri, number)
            local membership = require('membership')
            membership.set_payload('number', number)
            return membership.probe_uri(uri)
        end, b.uri, i)
        local there, here = b.membership.get_member(a.uri).payload, a.membership.get_member(b.uri).payload
        if not ok or there.number ~= i or here.number ~= -i then
            table.insert(stale, i)
        end
    end
    t:is_deeply(stale, {}, 'each time')
end)

fact('the own uri answers', function(t, cluster)
    local a = cluster:member()
    t:is(a.membership.probe_uri(a.uri), true, 'it answers')
end)

fact('a uri is normalised as by add_member', function(t, cluster)
    local a, b = cluster:member(), cluster:member()
    t:is(a.membership.probe_uri('http://user:password@' .. b.uri .. '/path'), true, 'it answers')
    t:ok(cluster:everyone_sees(b.uri, 'alive'), 'it is known by its plain address')
end)

local function probe(node, uri)
    return {node:call(function(target)
        return require('membership').probe_uri(target)
    end, uri)}
end

fact('each way to fail has its word, and makes nobody a member', function(t, cluster)
    local a = cluster:member()
    local silent, closed = cluster:port(), cluster:port()
    cluster:udp('0.0.0.0', silent)

    for _, uri in ipairs({'', ' ', ':::', '::1', 'a:b:c', ':1', '0.0.0.0:1', '[::]:1', '224.0.0.1:1'}) do
        t:is_deeply(probe(a, uri), {false, 'parse error'}, ('%q cannot be parsed'):format(uri))
    end
    t:is_deeply(probe(a, '127.0.0.1:' .. silent), {false, 'no response'}, 'nobody reads that port')
    t:is_deeply(probe(a, '127.0.0.1:' .. closed), {false, 'no response'}, 'nobody has that port')
    t:is_deeply(probe(a, 'localhost'), {false, 'ping was not sent'}, 'there is no port')
    t:is_deeply(probe(a, '[::1]:' .. silent), {false, 'ping was not sent'}, 'the socket is an IPv4 one')

    local known = {}
    for uri in pairs(a.membership.members()) do
        table.insert(known, uri)
    end
    t:is_deeply(known, {a.uri}, 'it knows nobody but itself')
end)

fact('who advertises another name is not who was asked, but both get acquainted', function(t, cluster)
    local a, b = cluster:member(), cluster:member({host = 'localhost'})
    t:is_deeply(probe(a, '127.0.0.1:' .. b.port), {false, 'no response'}, 'that one did not answer')
    t:ok(cluster:everyone_sees(b.uri, 'alive'), 'it is known by the name that it advertises')
    t:ok(cluster:everyone_sees(a.uri, 'alive'), 'and knows who asked')
    t:is(a.membership.get_member('127.0.0.1:' .. b.port), nil, 'the other name is not a member')
end)

fact('a probe waits for ACK_TIMEOUT_SECONDS, and only its own fiber does', function(t, cluster)
    local a = cluster:member()
    local silent = cluster:port()
    cluster:udp('0.0.0.0', silent)
    local answered, others_ran, waited = a:call(function(uri)
        local fiber, membership = require('fiber'), require('membership')
        require('membership.options').ACK_TIMEOUT_SECONDS = 0.5
        local ran = false
        fiber.create(function()
            fiber.sleep(0.1)
            ran = true
        end)
        local began = fiber.clock()
        local answered = membership.probe_uri(uri)
        return answered, ran, fiber.clock() - began
    end, '127.0.0.1:' .. silent)
    t:is(answered, false, 'nobody answers')
    t:ok(others_ran, 'another fiber ran meanwhile')
    t:ok(waited >= 0.5, 'it did not give up early')
end)

fact('many probes at once each get their own answer', function(t, cluster)
    local a, b = cluster:member(), cluster:member()
    local silent = cluster:port()
    cluster:udp('0.0.0.0', silent)
    local wrong = a:call(function(living, mute)
        local fiber, membership = require('fiber'), require('membership')
        local done = fiber.channel(100)
        for i = 1, 100 do
            fiber.create(function()
                local uri = i % 2 == 0 and living or mute
                done:put(membership.probe_uri(uri) == (uri == living))
            end)
        end
        local wrong = 0
        for _ = 1, 100 do
            wrong = wrong + (done:get(10) == true and 0 or 1)
        end
        return wrong
    end, b.uri, '127.0.0.1:' .. silent)
    t:is(wrong, 0, 'none is mixed up')
end)

suite.run()
