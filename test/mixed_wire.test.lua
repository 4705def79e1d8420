-- What passes between our instances and peers of the Lua rock: relayed pings, tables, full datagrams, keys.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fiber = require('fiber')
local mixed = require('mixed')
local msgpack = require('msgpack')
local scene = require('scene')
local suite = require('suite')

local fact, strangers, others = mixed.fact, mixed.strangers, mixed.others

--- Waits until an old peer was asked for, twice, by `uri` through the relay.
local function wait_for_relayed_pings(cluster, peer, uri, relay)
    cluster:wait(('%s to be pinged for %s by %s'):format(peer.uri, uri, relay.uri), function()
        return mixed.received(peer, 'PING', function(message)
            return message[1] == relay.uri and message[3].src == uri and message[3].dst == peer.uri
        end) >= 2
    end)
end

--- Waits until an old peer had an answer of `uri` through the relay, twice.
local function wait_for_relayed_answers(cluster, peer, uri, relay)
    cluster:wait(('%s to answer %s through %s'):format(uri, peer.uri, relay.uri), function()
        return mixed.received(peer, 'ACK', function(message)
            return message[1] == relay.uri and message[3].src == peer.uri and message[3].dst == uri
        end) >= 2
    end)
end

fact('an old peer and one of ours that are cut off have relays of either kind', function(t, cluster, key)
    for _, relay_is_old in ipairs({true, false}) do
        local ours, old = unpack(strangers(cluster, 1, 1, key))
        local relay = relay_is_old and mixed.old(cluster, {key = key}) or mixed.ours(cluster, {key = key})
        local members = {ours, old, relay}
        mixed.join(cluster, members)
        old:cut(ours.uri)
        wait_for_relayed_pings(cluster, old, ours.uri, relay)
        wait_for_relayed_answers(cluster, old, ours.uri, relay)
        mixed.is_calm(t, cluster, members)
        mixed.is_digestible(t, members)

        -- The same without relays, or the above would prove nothing.
        ours:call(function() require('membership.options').NUM_FAILURE_DETECTION_SUBGROUPS = 0 end)
        old.options.NUM_FAILURE_DETECTION_SUBGROUPS = 0
        cluster:wait('both to suspect the other', function()
            return table.concat(mixed.seen(cluster, old, ours.uri)):match('suspect')
                and table.concat(mixed.seen(cluster, ours, old.uri)):match('suspect')
        end)
        old:stop()
        ours:kill()
    end
end)

fact('one of ours is a relay between old peers', function(t, cluster, key)
    local ours, a, b = unpack(strangers(cluster, 1, 2, key))
    local members = {ours, a, b}
    mixed.join(cluster, members)
    a:cut(b.uri)
    wait_for_relayed_answers(cluster, a, b.uri, ours)
    wait_for_relayed_answers(cluster, b, a.uri, ours)
    mixed.is_calm(t, cluster, members)
    mixed.is_digestible(t, members)
end)

fact('a relay and an answer repeat whatever the PING said', function(t, cluster, key)
    local ours = mixed.ours(cluster, {key = key})
    local near = scene.listener(cluster, '127.0.0.1:' .. cluster:port(), key)
    local far = scene.listener(cluster, '127.0.0.1:' .. cluster:port(), key)
    near.answers = true -- a ping is passed on for one that has shown to be where it says
    local function last_data(listener, type_, since)
        return msgpack.decode(listener:wait(type_, function(plain)
            local message = msgpack.decode(plain)
            return message[2] == type_ and message[3].nonce ~= nil and plain
        end, since))[3]
    end
    local data = {ts = 1.5, src = near.uri, dst = ours.uri, nonce = {'x', msgpack.NULL, {y = -1}}}
    near:send(ours.uri, 'PING', data, {})
    local ack = last_data(near, 'ACK', 0)
    t:ok(ack.ats ~= nil, 'the answer tells the time')
    ack.ats = nil
    t:is_deeply(ack, data, 'and repeats the rest')

    local since = #far.inbox
    data = {ts = fiber.time64(), src = near.uri, dst = far.uri, nonce = 7}
    near:send(ours.uri, 'PING', data, {})
    t:is_deeply(last_data(far, 'PING', since), data, 'the PING is passed on as it is')
    data.ats = 1ULL
    since = #near.inbox
    far:send(ours.uri, 'ACK', data, {})
    t:is_deeply(last_data(near, 'ACK', since), data, 'the ACK too')
end)

fact('the very first PING of an old peer is understood', function(t, cluster, key)
    local ours = mixed.ours(cluster, {key = key})
    local near = scene.listener(cluster, '127.0.0.1:' .. cluster:port(), key)
    near.answers = true
    local data = {ts = fiber.time64(), src = near.uri, dst = ours.uri}
    near:send(ours.uri, 'PING', data, {{near.uri, 1, 1, {}, -math.huge}})
    near:wait('an ACK', function(plain)
        return msgpack.decode(plain)[2] == 'ACK'
    end, 0)
    t:is(ours:status_of(near.uri), 'alive', 'it is known at once')
end)

fact('tables are compared in both directions', function(t, cluster, key)
    local ours, old = unpack(strangers(cluster, 1, 1, key))
    mixed.join(cluster, {ours, old})
    -- No rumour tells of this one.
    old.view:set({uri = '127.0.0.1:1', status = old.options.LEFT, incarnation = 3, payload = {x = 1}})
    cluster:everyone_sees('127.0.0.1:1', 'left', {ours})
    cluster:everyone_sees_payload('127.0.0.1:1', {x = 1}, {ours})
    old.view:remove('127.0.0.1:1')
    cluster:everyone_sees('127.0.0.1:1', 'left', {old})
    local function is_from_ours(message)
        return message[1] == ours.uri
    end
    cluster:wait('both to have asked, and both to have answered', function()
        return mixed.received(old, 'SYNC_REQ', is_from_ours) > 0 and mixed.received(old, 'SYNC_ACK', is_from_ours) > 0
    end)
    mixed.is_calm(t, cluster, {ours, old})
    mixed.is_digestible(t, {old})
end)

fact('a crowd that one of ours knows of reaches an old peer in pieces that it can read', function(t, cluster, key)
    local ours, old = unpack(strangers(cluster, 1, 1, key))
    local near = scene.listener(cluster, '127.0.0.1:' .. cluster:port(), key)
    for i = 1, 120 do
        -- Some have left and some are dead: nobody suspects them any more.
        near:send(ours.uri, 'LEAVE', nil, {{
            ('127.1.0.%d:3301'):format(i), i % 2 == 0 and 3 or 5, i, {alias = 'member ' .. i, n = i}, 1,
        }})
    end
    cluster:wait('all of them to be known', function()
        return ours:call(function()
            local count = 0
            for _ in require('membership').pairs() do count = count + 1 end
            return count
        end) == 121
    end)
    old:add_member(ours.uri)
    cluster:wait('all of them to be told', function() return old.view:count() == 122, old.view:count() end)
    t:is_deeply(old:get_member('127.1.0.99:3301').payload, {alias = 'member 99', n = 99}, 'with their payloads')
    t:is(old:status_of('127.1.0.100:3301'), 'dead', 'and status')
    t:ok(old.longest > 1300, ('in full datagrams (%d bytes)'):format(old.longest))
    mixed.is_calm(t, cluster, {ours, old})
    mixed.is_digestible(t, {old})
end)

suite.fact('a member with another key is non-decryptable until the keys agree', function(t, cluster)
    local members = strangers(cluster, 2, 2, 'the key')
    local ours, _, old = unpack(members)
    mixed.join(cluster, members)
    for _, strange in ipairs({ours, old}) do
        strange.membership.set_encryption_key('another key')
        cluster:everyone_sees(strange.uri, 'non-decryptable', others(members, strange))
        strange.membership.set_encryption_key('the key')
        cluster:acquaint(members)
    end
    for _, member in ipairs(members) do
        if member.errors ~= nil then
            t:is_deeply(member.errors, {}, member.uri .. ' had no error')
        end
    end
end)

fact('an old peer that broadcasts meets ours', function(t, cluster, key)
    local ours = mixed.ours(cluster, {key = key})
    local old = scene.peer(cluster, {
        key = key, options = mixed.CALM,
        interfaces = function() return {{name = 'lo', inet4 = '127.0.0.1'}} end,
    })
    old:init()
    t:is(old:broadcast(ours.port), true, 'broadcast')
    cluster:acquaint({ours, old})
    mixed.is_digestible(t, {old})
end)

suite.fact('no table tells an old peer about itself, for it would believe that', function(t, cluster)
    local ours = mixed.ours(cluster)
    local near = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    -- Its former life is remembered, and dead.
    near:send(ours.uri, 'LEAVE', nil, {{near.uri, 3, 7, {life = 'first'}, 1}})
    cluster:everyone_sees(near.uri, 'dead', {ours})
    near.answers = true
    local since = #near.inbox
    near:send(ours.uri, 'SYNC_REQ', {{near.uri, 1, 1, {life = 'second'}}}, {})
    local answer = msgpack.decode(near:wait('the SYNC_ACK', function(plain)
        return msgpack.decode(plain)[2] == 'SYNC_ACK' and plain
    end, since))
    local told = {}
    for _, record in ipairs(answer[3]) do
        if record[1] == near.uri then
            table.insert(told, record)
        end
    end
    t:is_deeply(told, {}, 'the answer is not about the one who asked')
end)

suite.run()
