-- Payloads of all kinds and sizes pass between our instances and peers of the Lua rock.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local mixed = require('mixed')
local scene = require('scene')
local suite = require('suite')

--- An old peer whose URI is as long as that of a host with a long name.
local function long_named(cluster, key)
    local host = '127.0.0.' .. ('0'):rep(60) .. '1'
    local old = scene.peer(cluster, {host = host, key = key, trace = true, options = mixed.CALM})
    old:init()
    return old
end

suite.fact('no payload that an old peer encodes in another way starts a dispute', function(t, cluster)
    local ours, old = mixed.ours(cluster), mixed.old(cluster)
    mixed.join(cluster, {ours, old})
    ours:call(function()
        local ffi = require('ffi')
        local as_map = {__serialize = 'map'}
        require('membership').set_payload({
            numbers = {ffi.new('float', 0.1), ffi.new('double', 7), 0 / 0, 1 / 0, -1 / 0, 5ULL, -5LL, 2 ^ 53, 1e300},
            empty = {setmetatable({}, as_map), {}},
            holes = {1, nil, box.NULL, 4},
            keys = {[0] = 1, [-1] = 2, [2 ^ 40] = 3, nothing = box.NULL},
            extensions = {
                require('decimal').new('3.140'), require('uuid').fromstr('c8f0fa1f-da29-438c-a040-393f1126ad39'),
            },
            bytes = '\255\0\128',
        })
    end)
    cluster:wait('the payload to arrive', function()
        return old:get_member(ours.uri).payload.bytes == '\255\0\128'
    end)
    local syncs = 0
    local function is_from_ours(message)
        return message[1] == ours.uri
    end
    cluster:wait('a few syncs', function()
        syncs = mixed.received(old, 'SYNC_REQ', is_from_ours) + mixed.received(old, 'SYNC_ACK', is_from_ours)
        return syncs > 6
    end)
    t:is(ours.membership.myself().incarnation, 2, 'the incarnation is what one set_payload makes it')
    mixed.is_calm(t, cluster, {ours, old})
    mixed.is_digestible(t, {old})
end)

for _, key in ipairs({'', 'a cluster cookie'}) do
    local its_key = key ~= '' and key or nil

    suite.fact('the largest payload that we accept can be read by old peers' .. (its_key and ' (encrypted)' or ''),
        function(t, cluster)
            local ours, old, long = mixed.ours(cluster, {key = its_key}), mixed.old(cluster, {key = its_key}),
                long_named(cluster, its_key)
            local members = {ours, old, long}
            mixed.join(cluster, members)
            local size = ours:call(function()
                local size = 1472
                while not pcall(require('membership').set_payload, 'big', ('x'):rep(size)) do
                    size = size - 1
                end
                return size
            end)
            t:ok(size > 1000, 'it is large')
            cluster:wait('the payload to arrive', function()
                local at_old, at_long = old:get_member(ours.uri), long:get_member(ours.uri)
                return at_old.payload.big and at_long.payload.big
            end)
            for _, peer in ipairs({old, long}) do
                cluster:wait(peer.uri .. ' to be pinged', function()
                    return mixed.received(peer, 'PING', function(message) return message[1] == ours.uri end) > 3
                end)
            end
            mixed.is_calm(t, cluster, members)
            mixed.is_digestible(t, members)
        end)
end

suite.fact('an old peer whose payload is too large for its kind is heard by none, and nothing too large is passed on',
    function(t, cluster)
        local a, b, huge, old = mixed.ours(cluster), mixed.ours(cluster), mixed.old(cluster), mixed.old(cluster)
        mixed.join(cluster, {a, b, huge, old})
        huge:set_payload('big', ('z'):rep(1600))
        cluster:wait('its datagrams to be dropped', function()
            local dropped = a.membership.stats().dropped.oversized
            return dropped > 3, dropped
        end)
        cluster:wait('the log to say so', function()
            local log = table.concat(a:log_tail(1000), '\n')
            local line = ('Ignoring datagrams from %s: longer than MAX_PACKET_SIZE'):format(huge.uri)
            return log:find(line, 1, true) ~= nil
        end)
        cluster:wait('many pings', function()
            return mixed.received(huge, 'PING', function(message) return message[1] == a.uri end) > 5
        end)
        t:is_deeply(a.membership.get_member(huge.uri).payload, {}, 'its payload is not known')
        local too_long = {}
        for _, datagram in ipairs(old.trace) do
            if datagram.way == 'in' and #datagram.bytes >= 1472 and datagram.uri ~= huge.uri then
                table.insert(too_long, datagram.uri)
            end
        end
        t:is_deeply(too_long, {}, 'only the peer itself has sent anything too large')
        t:is_deeply(old.errors, {}, 'nothing was an error')
        -- It suspects them all, and what it says of that in a sync is short enough. They refute it.
        cluster:everyone_sees(a.uri, 'alive', {a, b, old})
        cluster:everyone_sees(b.uri, 'alive', {a, b, old})
    end)

suite.fact('an old peer whose payload nests deeper than we look is alive all the same', function(t, cluster)
    local ours, old = mixed.ours(cluster), mixed.old(cluster)
    mixed.join(cluster, {ours, old})
    local deep = {}
    for _ = 1, 40 do
        deep = {deep}
    end
    old:set_payload('deep', deep)
    cluster:wait('the incarnation to arrive', function()
        return ours.membership.get_member(old.uri).incarnation > 1
    end)
    old:set_payload('deep', nil)
    old:set_payload('flat', 1)
    cluster:everyone_sees_payload(old.uri, {flat = 1}, {ours})
    mixed.is_calm(t, cluster, {ours, old})
end)

suite.run()
