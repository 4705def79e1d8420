-- A network that flips bits: what it damages between instances of ours is dropped, and makes no members.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fiber = require('fiber')
local suite = require('suite')

local PUBLIC, BOUND = '127.0.0.2', '127.0.0.1'

-- So many datagrams are damaged: half of them at random, half where it hurts most, in the port of an event.
local FLIPS = 600
local SHARE = 0.3

--- Flips one bit, in the last digit of a URI behind the sender's if there is one and `aimed`.
local function flipped(datagram, aimed)
    local at = math.random(#datagram)
    if aimed then
        local ends = {}
        for _, stop in datagram:sub(30):gmatch('()' .. PUBLIC:gsub('%.', '%%.') .. ':%d%d%d%d%d()') do
            table.insert(ends, 29 + stop - 1)
        end
        at = #ends > 0 and ends[math.random(#ends)] or at
    end
    local bit_ = aimed and math.random(0, 2) or math.random(0, 7)
    local changed = bit.bxor(datagram:byte(at), bit.lshift(1, bit_))
    return datagram:sub(1, at - 1) .. string.char(changed) .. datagram:sub(at + 1)
end

--- Takes what is sent to the address that the instance advertises, and passes it on to the one it is bound to.
local function forward(cluster, node, state)
    local public = cluster:udp(PUBLIC, node.port)
    local private = cluster:udp('127.0.0.3', node.port)
    -- The last read or write fails, when the cluster closes the sockets.
    fiber.create(pcall, function()
        while public:readable() do
            local datagram = public:recv(65536)
            while datagram ~= nil do
                if state.flips < FLIPS and math.random() < SHARE then
                    datagram = flipped(datagram, state.flips % 2 == 0)
                    state.flips = state.flips + 1
                end
                private:sendto(BOUND, node.port, datagram)
                datagram = public:recv(65536)
            end
        end
    end)
end

local function run(t, cluster, options)
    math.randomseed(7)
    local nodes, uris, state = {}, {}, {flips = 0}
    for i = 1, 3 do
        local node = cluster:node({host = PUBLIC})
        nodes[i], uris[node.uri] = node, true
        forward(cluster, node, state)
        node:call(function(host, port, bound, names)
            local options_ = require('membership.options')
            for name, value in pairs(names) do
                if name ~= 'key' then
                    options_[name] = value
                end
            end
            require('membership').set_encryption_key(names.key)
            require('membership').init(host, port, {bind = bound})
        end, node.host, node.port, BOUND, options)
    end
    for i = 2, 3 do
        nodes[i].membership.add_member(nodes[1].uri)
    end
    local number = 0
    cluster:wait('many datagrams to be damaged', function()
        number = number + 1
        nodes[number % 3 + 1].membership.set_payload('number', number)
        return state.flips >= FLIPS, state.flips
    end, 50)

    cluster:acquaint(nodes)
    for i, node in ipairs(nodes) do
        local phantoms = {}
        for uri in pairs(node.membership.members()) do
            if not uris[uri] then
                table.insert(phantoms, uri)
            end
        end
        t:is_deeply(phantoms, {}, ('instance %d knows nobody who never was'):format(i))
        local dropped = node.membership.stats().dropped
        local count = dropped.corrupt + dropped.undecryptable
        t:ok(count > 0, ('and has dropped what was damaged (%d)'):format(count))
    end
end

local QUICK = {PROTOCOL_PERIOD_SECONDS = 0.1, GOSSIP_INTERVAL_SECONDS = 0.02}

suite.fact('a network that flips bits makes no members', function(t, cluster)
    t:plan(6)
    run(t, cluster, QUICK)
end)

suite.fact('nor where datagrams are encrypted in the way of the Lua rock', function(t, cluster)
    t:plan(6)
    run(t, cluster, {PROTOCOL_PERIOD_SECONDS = 0.1, GOSSIP_INTERVAL_SECONDS = 0.02, key = 'a key'})
end)

suite.run()
