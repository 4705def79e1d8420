-- The old peer says what the Lua rock was recorded to say: byte for byte where that is determined, value by
-- value and marker by marker elsewhere. No part of the module under test takes part.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fiber = require('fiber')
local msgpack = require('msgpack')
local suite = require('suite')
local Seal = require('old_peer.seal')
local options = require('old_peer.options')
local scene = require('scene')
local vectors = require('vectors')
local wire = require('old_peer.wire')

local recorded = vectors.load()

local function seal_of(vector)
    local seal = Seal.new(options.new())
    seal:set_key(vector.key)
    return seal
end

-- How the file writes what JSON cannot.

local function is_same(value, written)
    if type(written) ~= 'table' then
        return value == written
    elseif written['$double'] ~= nil then
        return tostring(value) == written['$double']
    elseif written['$str_hex'] ~= nil then
        return value:hex() == written['$str_hex']
    elseif written['$ext'] ~= nil then
        return msgpack.encode(value):sub(-#written['$ext'][2] / 2):hex() == written['$ext'][2]
    end
    local entries = written
    if written['$map'] ~= nil then
        entries = {}
        for _, entry in ipairs(written['$map']) do
            entries[entry[1]] = entry[2]
        end
    end
    for key, expected in pairs(entries) do
        if not is_same(value[key], expected) then
            return false
        end
    end
    for key in pairs(value) do
        if type(entries[key]) == 'nil' then -- and not json.null
            return false
        end
    end
    return true
end

suite.fact('every recorded datagram is read as its record says', function(t)
    t:is(#recorded, 175, 'there are 175 of them')
    local misread = {}
    for _, vector in ipairs(recorded) do
        local message = wire.decode(seal_of(vector):decrypt(vector.datagram))
        if message == nil or not is_same(message, vector.decoded) then
            table.insert(misread, vector.name)
        end
        if vectors.render(vectors.read(vector.plain)) ~= vector.markers then
            table.insert(misread, vector.name .. ' (markers)')
        end
    end
    t:is_deeply(misread, {}, 'none is misread')
end)

suite.fact('encryption gives the recorded bytes', function(t)
    local wrong, encrypted = {}, 0
    for _, vector in ipairs(recorded) do
        if vector.key ~= nil then
            encrypted = encrypted + 1
            local seal = seal_of(vector)
            if seal.key:hex() ~= vector.key_effective_hex
                or seal:encrypt(vector.plain) ~= vector.datagram
                or seal:encrypted_size(#vector.plain) ~= #vector.datagram then
                table.insert(wrong, vector.name)
            end
        end
    end
    t:is(encrypted, 72, '72 of them are encrypted')
    t:is_deeply(wrong, {}, 'none differs')

    local seal = seal_of({key = 'XXXXXX'})
    for plain, expected in pairs({
        [''] = '40faa7e7138babc3e1c41ad497138e87',
        ['a'] = '4ded988a71d8f4faa3054bd5e69b387c',
        [('b'):rep(15)] = 'd33decf781e11bd384d1a6ed12766bbf',
        [('c'):rep(16)] = '77a5169b8d9a47eb28a53d9a4c339aabc25304aa7c396ba75c88e251df6f5de3',
    }) do
        t:is(seal:encrypt(plain):hex(), expected, ('%d bytes'):format(#plain))
    end
end)

local function parcel_like(message, seal)
    local is_sync = message[2]:match('^SYNC')
    local list = {}
    local empty = {message[1], message[2], is_sync and list or message[3], is_sync and message[4] or list}
    return wire.parcel(empty, list, options.new(), seal), is_sync and message[3] or message[4]
end

suite.fact('the size is counted as it comes out', function(t)
    local wrong = {}
    for _, vector in ipairs(recorded) do
        -- A cdata float in a payload has no counterpart once it is decoded.
        if vector.name ~= 'payload_float_cdata' then
            local parcel, items = parcel_like(wire.decode(vector.plain), seal_of(vector))
            for _, item in ipairs(items) do
                parcel:add(item)
            end
            if parcel.size ~= #vector.plain then
                table.insert(wrong, vector.name)
            end
        end
    end
    t:is_deeply(wrong, {}, 'of every recorded datagram')

    local list = {}
    local parcel = wire.parcel({'sender', 'PING', msgpack.NULL, list}, list, options.new(), seal_of({}))
    for count = 1, 17 do
        parcel:add({'mem' .. count % 10 .. 'r', 1, 1, msgpack.NULL, 0})
        local expected = ({[14] = 169, [15] = 180, [16] = 193, [17] = 204})[count]
        if expected ~= nil then
            t:is(parcel.size, expected, ('%d events'):format(count))
        end
    end
end)

suite.fact('a recorded full datagram has room for nothing more', function(t)
    local full = 0
    for _, vector in ipairs(recorded) do
        if vector.name:match('_full$') then
            full = full + 1
            local parcel, items = parcel_like(wire.decode(vector.plain), seal_of(vector))
            local all_fit = true
            for _, item in ipairs(items) do
                all_fit = all_fit and parcel:fits(item)
                parcel:add(item)
            end
            t:ok(all_fit, vector.name .. ': all that is in it fits')
            local one_more = {'crowd-000.example.org:33010', 3, 2, {i = 0}, 0}
            t:ok(not parcel:fits(one_more), vector.name .. ': one more does not')
        end
    end
    t:is(full, 8, 'eight were recorded')
end)

-- Comparison of what a peer says with what was recorded, under other ports and at another time.

local function mask_time(entry)
    local is_time = ({ts = true, ats = true})[entry.key.string]
    if is_time and not entry.value.text:match('^u64:1700000000000') then
        entry.value.text = entry.value.text:gsub('^u64:%d+$', 'u64:TIME')
    end
end

local function sort_from(first, list)
    local texts = {}
    for i = first, #list do
        table.insert(texts, vectors.render(list[i], true))
        list[i] = nil
    end
    table.sort(texts)
    for _, text in ipairs(texts) do
        table.insert(list, {text = text})
    end
end

--- The datagram as text, less what differs from one time to the next: the clock, the order of map entries,
-- the order of the events behind the first two and of records. `keep_ttl` is for where it is determined.
local function canonical(plain, keep_ttl)
    local tree = vectors.read(plain)
    local _, type_, data, events = unpack(tree.items)
    for _, entry in ipairs(data.pairs or {}) do
        mask_time(entry)
    end
    if data.items then
        sort_from(1, data.items)
    end
    for _, event in ipairs(events.items) do
        local ttl = event.items[5]
        if not keep_ttl and type_.string ~= 'LEAVE' and ttl.text:match('^fixint') then
            ttl.text = 'TTL'
        end
    end
    sort_from(3, events.items)
    return vectors.render(tree, true)
end

--- The parts of a recording, in our ports: who was recorded, and who listened.
local function cast_of(cluster, prefix, host)
    local ports = {}
    local function ours(port)
        ports[port] = ports[port] or tostring(cluster:port())
        return ports[port]
    end
    local function rename(text)
        return (text:gsub('(:)(1[34]%d%d%d)"', function(colon, port)
            return colon .. ours(port) .. '"'
        end))
    end
    return {
        find = function(name) return vectors.find(recorded, prefix .. name) end,
        rename = rename,
        uri = function(port, its_host) return ('%s:%s'):format(its_host or host, ours(port)) end,
        port = function(port) return tonumber(ours(port)) end,
    }
end

--- Waits until the listener gets the recorded datagram. Looks at what came since `since`, if that is given.
local function expect(t, listener, cast, name, since)
    local wanted = cast.rename(canonical(cast.find(name).plain))
    local last
    local ok = pcall(listener.wait, listener, name, function(plain)
        last = canonical(plain)
        return last == wanted
    end, since)
    t:ok(ok, name, not ok and {expected = wanted, last_of_others = last} or nil)
end

local function wait_until_told(cluster, peer)
    cluster:wait('every rumour to be told', function()
        return next(peer.rumours.queue) == nil
    end)
end

local ALIVE, DEAD, LEFT = options.ALIVE, options.DEAD, options.LEFT
local FAR_PAST = 1700000000000000ULL

local function enact_the_third(t, cast, peer, near, third)
    -- A third member that does not answer becomes suspect, then dead.
    local me, since, since_third = peer.advertise_uri, #near.inbox, #third.inbox
    near:send(me, 'LEAVE', nil, {{third.uri, ALIVE, 1, nil, 2}})
    expect(t, near, cast, 'ping_indirect_request', since)
    expect(t, near, cast, 'event_suspect', since)
    expect(t, third, cast, 'ping_to_suspect', since_third)
    expect(t, near, cast, 'event_dead', since)

    -- The peer as a relay between the two.
    since, since_third = #near.inbox, #third.inbox
    local data = {ts = FAR_PAST + 1, src = near.uri, dst = third.uri}
    near:send(me, 'PING', data, {})
    expect(t, third, cast, 'ping_indirect_forwarded', since_third)
    data.ats = FAR_PAST + 777
    third:send(me, 'ACK', data, {})
    expect(t, near, cast, 'ack_indirect_forwarded', since)
end

local function enact_syncs(t, cast, peer, near)
    expect(t, near, cast, 'sync_req', 0)
    local since = #near.inbox
    near:send(peer.advertise_uri, 'SYNC_REQ', {{near.uri, ALIVE, 1, nil}}, {})
    expect(t, near, cast, 'sync_ack', since)
end

local function enact_departures(t, cast, peer, near, third, other)
    local since = #near.inbox
    third:send(peer.advertise_uri, 'LEAVE', nil, {{third.uri, LEFT, 50, nil, 1}})
    expect(t, near, cast, 'event_left', since)
    peer:add_member(other)
    since = #near.inbox
    t:is(peer:mark_left(other), true, 'mark_left')
    expect(t, near, cast, 'mark_left', since)
    since = #near.inbox
    t:is(peer:leave(), true, 'leave')
    expect(t, near, cast, 'leave', since)
end

--- The whole scenario of which there are recordings, played with an old peer.
local function enact(t, cluster, scenario)
    local cast = cast_of(cluster, scenario.prefix, scenario.host)
    local peer = scene.peer(cluster, {
        host = scenario.peer_host, port = cast.port(scenario.peer_port), key = scenario.key,
    })
    local near = scene.listener(cluster, cast.uri(scenario.near_port), scenario.key)
    local third = scene.listener(cluster, cast.uri(scenario.third_port), scenario.key)
    peer:init()
    wait_until_told(cluster, peer)

    local since = #near.inbox
    t:is_deeply({peer:probe_uri(near.uri)}, {nil, 'no response'}, 'probe_uri')
    expect(t, near, cast, 'ping_probe_unknown', since)

    near.answers = true
    since = #near.inbox
    near:send(peer.advertise_uri, 'PING', {ts = FAR_PAST, src = near.uri, dst = peer.advertise_uri},
        {{near.uri, ALIVE, 1, nil, 1}})
    expect(t, near, cast, 'ack_direct', since)
    expect(t, near, cast, 'ping_direct', since)

    enact_the_third(t, cast, peer, near, third)
    enact_syncs(t, cast, peer, near)
    enact_departures(t, cast, peer, near, third, cast.uri(scenario.other_port))
    t:is_deeply(peer.errors, {}, 'nothing was an error')
    t:is(peer.broken, 0, 'nothing was broken')
end

for _, scenario in ipairs({
    {prefix = ''},
    {prefix = 'enc_short_', key = 'XXXXXX'},
    {prefix = 'enc_long_', key = 'this encryption key is longer than 32 bytes'},
    {prefix = 'ipv6_', is_ipv6 = true},
    {prefix = 'ipv6_enc_', is_ipv6 = true, key = 'six'},
}) do
    local is_ipv6 = scenario.is_ipv6
    scenario.host = is_ipv6 and '[::1]' or '127.0.0.1'
    scenario.peer_host = is_ipv6 and '[::1]' or 'localhost'
    scenario.peer_port = is_ipv6 and '13311' or '13301'
    scenario.near_port = is_ipv6 and '14011' or '14001'
    scenario.third_port = is_ipv6 and '14012' or '14002'
    scenario.other_port = is_ipv6 and '13388' or '13378'
    suite.fact('every flow looks as recorded: ' .. scenario.prefix, function(t, cluster)
        enact(t, cluster, scenario)
    end)
end

--- A peer that says nothing of its own accord, known to a listener.
local function quiet_pair(cluster, cast, peer_port, near_port, key)
    local peer = scene.peer(cluster, {
        host = 'localhost', port = cast.port(peer_port), key = key,
        options = {PROTOCOL_PERIOD_SECONDS = 1000, ACK_TIMEOUT_SECONDS = 0.1},
    })
    local near = scene.listener(cluster, cast.uri(near_port), key)
    peer:init()
    wait_until_told(cluster, peer)
    return peer, near
end

--- Sends a PING and returns the ACK.
local function ask(peer, near, data, events)
    local since = #near.inbox
    near:send(peer.advertise_uri, 'PING', data, events)
    return near:wait('an ACK', function(plain)
        return wire.decode(plain)[2] == 'ACK' and plain
    end, since)
end

local function raw(hex)
    return (msgpack.decode(hex:gsub(' ', ''):fromhex()))
end

-- {name, data of the PING, event in it}: what was sent to the rock when the ACK of that name was recorded.
local RELAYED = {
    {'relay_float32', {ts = 100}, {'r00:1', DEAD, 3, raw('81 a166 ca3fc00000'), 4}},
    {'relay_double_integral', {ts = 101}, {'r01:1', DEAD, 3, raw('81 a166 cb401c000000000000'), 4}},
    {'relay_bin', {ts = 102}, {'r02:1', DEAD, 3, raw('81 a162 c40300ff41'), 4}},
    {'relay_wide_int', {ts = 103}, {'r03:1', DEAD, 3, raw('82 a169 cf0000000000000005 a16a d3fffffffffffffffb'), 4}},
    {'relay_int_key_map', {ts = 104}, {'r04:1', DEAD, 3, raw('82 01 a161 02 a162'), 4}},
    {'relay_empty_map', {ts = 105}, {'r05:1', DEAD, 3, raw('80'), 4}},
    {'relay_inner_empty_map', {ts = 106}, {'r06:1', DEAD, 3, raw('82 a161 90 a16d 80'), 4}},
    {'relay_null_value', {ts = 107}, {'r07:1', DEAD, 3, raw('82 a16b c0 a17a 01'), 4}},
    {'relay_array', {ts = 108}, {'r08:1', DEAD, 3, {1, 'two'}, 4}},
    {'relay_string', {ts = 109}, {'r09:1', DEAD, 3, 'a string', 4}},
    {'relay_nested_bytes', {ts = 110}, {'r10:1', DEAD, 3, raw('81 a173 a2ff00'), 4}},
    {'relay_u64', {ts = 111},
        {'r11:1', DEAD, 3, {i = -9223372036854775808LL, u = 18446744073709551615ULL}, 4}},
    {'relay_decimal_ext', {ts = 112}, {'r12:1', DEAD, 3, raw('81 a164 c7030102314c'), 4}},
    {'relay_ttl_zero', {ts = 99}, {'q0:1', DEAD, 2, msgpack.NULL, 0}},
    {'relay_short_event', {ts = 99}, {'q1:1', DEAD}},
    {'relay_string_status', {ts = 99}, {'q2:1', '3', '7', msgpack.NULL, '2'}},
    {'relay_number_uri', {ts = 99}, {12345, DEAD, 2, msgpack.NULL, 2}},
    {'relay_status_unknown', {ts = 99}, {'q4:1', 9, 2, msgpack.NULL, 2}},
    {'relay_float_incarnation', {ts = 99}, {'q5:1', DEAD, 2.5, msgpack.NULL, 2}},
    {'relay_big_incarnation', {ts = 99}, {'q6:1', DEAD, 9223372036854775808ULL, msgpack.NULL, 2}},
    {'ack_echo_extra', {ts = 1.5, extra = {'kept', msgpack.NULL, {x = 1}}}},
    {'ack_small_ts', {ts = 7, src = 'somebody:1'}},
}

suite.fact('whatever is in an event is passed on as recorded, and counted down as recorded', function(t, cluster)
    local cast = cast_of(cluster, '', '127.0.0.1')
    local peer, near = quiet_pair(cluster, cast, '13341', '14041')
    ask(peer, near, {ts = 1, src = near.uri, dst = peer.advertise_uri}, {{near.uri, ALIVE, 1, nil, 1}})
    for _, case in ipairs(RELAYED) do
        local name, data, event = unpack(case, 1, 3)
        data.src, data.dst = data.src or near.uri, peer.advertise_uri
        local ack = ask(peer, near, data, {event})
        t:is(canonical(ack, true), cast.rename(canonical(cast.find(name).plain, true)), name)
    end
    t:is_deeply(peer.errors, {}, 'nothing was an error')
end)

suite.fact('rumours about the peer are refuted as recorded', function(t, cluster)
    local cast = cast_of(cluster, '', '127.0.0.1')
    local peer, near = quiet_pair(cluster, cast, '13351', '14051')
    local me = peer.advertise_uri
    peer:set_payload('k', 'v')
    ask(peer, near, {ts = 1, src = near.uri, dst = me}, {{near.uri, ALIVE, 1, nil, 1}})
    for _, case in ipairs({
        {'refute_suspect', options.SUSPECT, 10},
        {'refute_dead', DEAD, 300},
        {'refute_nondecryptable', options.NONDECRYPTABLE, 70000},
        {'refute_left', LEFT, 5000000000},
        {'refute_alive_newer', ALIVE, 6000000000},
    }) do
        local name, status, incarnation = unpack(case)
        local ack = ask(peer, near, {ts = 1, src = near.uri, dst = me}, {{me, status, incarnation, nil, 1}})
        local answer = vectors.read(ack).items[4].items[2].items
        local recorded_answer = vectors.read(cast.find(name).plain).items[4].items[2].items
        for i, what in ipairs({'uri', 'status', 'incarnation', 'payload'}) do
            t:is(vectors.render(answer[i]), cast.rename(vectors.render(recorded_answer[i])), name .. ': ' .. what)
        end
    end
    local refutations = 0
    for _, line in ipairs(peer.log) do
        refutations = refutations + (line.text:match('^Refuting the rumor that we are ') and 1 or 0)
    end
    t:is(refutations, 4, 'each but the last is logged')
end)

suite.fact('payloads of every type are sent as recorded', function(t, cluster)
    local cast = cast_of(cluster, '', '127.0.0.1')
    local peer, near = quiet_pair(cluster, cast, '13321', '14021')
    local me, sent = peer.advertise_uri, 0
    for _, vector in ipairs(recorded) do
        -- Floats of other widths cannot be told from a decoded payload, and 1600 bytes have a fact of their own.
        if vector.name:match('^payload_')
            and vector.name ~= 'payload_float_cdata' and vector.name ~= 'payload_over_max_packet' then
            local wanted = vectors.read(vector.plain).items[4].items[2].items[4]
            for key in pairs(peer:myself().payload) do
                peer:set_payload(key, nil)
            end
            for key, value in pairs(wire.decode(vector.plain)[4][2][4]) do
                peer:set_payload(key, value)
            end
            local ack = ask(peer, near, {ts = 1, src = near.uri, dst = me}, {})
            local mine = vectors.read(ack).items[4].items[1].items[4]
            t:is(vectors.render(mine, true), vectors.render(wanted, true), vector.name)
            sent = sent + 1
        end
    end
    t:is(sent, 38, 'all of them')
end)

suite.fact('the own event is sent even when the datagram gets too long by it', function(t, cluster)
    local cast = cast_of(cluster, '', '127.0.0.1')
    local peer, near = quiet_pair(cluster, cast, '13321', '14021')
    local me = peer.advertise_uri
    peer:set_payload('big', ('z'):rep(1600))
    t:ok(#ask(peer, near, {ts = 1, src = near.uri, dst = me}, {}) > 1600, 'it is longer than the limit')
    near:send(me, 'PING', {ts = 1, src = near.uri, dst = me, filler = ('z'):rep(1472)}, {})
    cluster:wait('the peer to receive it', function() return peer.longest > 1472 end)
    t:is(peer.broken, 1, 'a peer cannot read such a datagram')
end)

suite.fact('the first PING of a peer says ttl -inf', function(t, cluster)
    local cast = cast_of(cluster, '', '127.0.0.1')
    local near = scene.listener(cluster, cast.uri('14081'), 'XXXXXX')
    local peer = scene.peer(cluster, {
        host = 'localhost', port = cast.port('13381'), key = 'XXXXXX',
        options = {PROTOCOL_PERIOD_SECONDS = 1000, ACK_TIMEOUT_SECONDS = 0.1},
    })
    -- The rumour is told once. Whoever probes right after init() gets it, and not the peer itself.
    peer.view.shuffled = function() return {} end
    peer:init()
    fiber.new(peer.probe_uri, peer, near.uri)
    expect(t, near, cast, 'key_short_ping', 0)
    t:is(peer.rumours:get(peer.advertise_uri), nil, 'and is forgotten then')
end)

suite.fact('broadcast() says what was recorded', function(t, cluster)
    local cast = cast_of(cluster, '', '127.0.0.1')
    for _, case in ipairs({{'broadcast_ping'}, {'enc_broadcast_ping', 'XXXXXX'}}) do
        local name, key = unpack(case)
        local near = scene.listener(cluster, ('127.0.0.1:%d'):format(cluster:port()), key)
        local peer = scene.peer(cluster, {
            host = 'localhost', port = cast.port('13331'), key = key,
            interfaces = function() return {{name = 'lo', inet4 = '127.0.0.1'}} end,
        })
        peer:init()
        peer:set_payload('role', 'storage')
        t:is(peer:broadcast(tonumber(near.uri:match('%d+$'))), true, 'it was sent')
        expect(t, near, cast, name, 0)
        t:is(peer.log[1].text, 'Membership BROADCAST sent to ' .. near.uri, 'and logged')
        peer:stop()
    end
end)

suite.fact('a dead member that cannot be understood is non-decryptable', function(t, cluster)
    local cast = cast_of(cluster, '', '127.0.0.1')
    local near = scene.listener(cluster, cast.uri('14061'), 'secret')
    local other = scene.listener(cluster, cast.uri('14062'), 'another secret')
    local peer = scene.peer(cluster, {host = 'localhost', port = cast.port('13361'), key = 'secret'})
    near.answers = true
    peer:init()
    near:send(peer.advertise_uri, 'LEAVE', nil, {
        {near.uri, ALIVE, 1, nil, 1}, {other.uri, DEAD, 1, nil, 1},
    })
    cluster:wait('the peer to resolve the address of the dead', function()
        return peer.resolver:uri_of('127.0.0.1', tonumber(other.uri:match('%d+$')))
    end)
    local since = #near.inbox
    other:send(peer.advertise_uri, 'LEAVE', nil, {})
    expect(t, near, cast, 'event_nondecryptable', since)
    t:is(peer:get_member(other.uri).status, 'non-decryptable', 'its status')
    t:is(peer.broken, 1, 'the datagram was broken')
    t:is(peer.log[#peer.log].text, ('Broken UDP packet from %s - non-decryptable'):format(other.uri), 'logged')
end)

suite.run()
