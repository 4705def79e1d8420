-- What peers of the Lua rock count on: no datagram is too large for them, and each PING and ACK tells them first what
-- the sender thinks of them, then what it is itself.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fiber = require('fiber')
local mixed = require('mixed')
local scene = require('scene')
local suite = require('suite')
local wire = require('old_peer.wire')

local CROWD = 150

--- Tells `uri` of so many members that have left, with payloads of all sizes.
local function tell_of_a_crowd(cluster, listener, node)
    for i = 1, CROWD do
        local payload = {text = ('x'):rep(i * 7 % 1000)}
        listener:send(node.uri, 'LEAVE', nil, {{('127.1.0.%d:3301'):format(i), 5, i, payload, 1}})
    end
    cluster:wait('all of them to be known', function()
        local count = node:call(function() return require('membership.members').count() end)
        return count == CROWD + 2, count
    end)
end

--- The largest payload that is accepted.
local function set_largest_payload(node)
    return node:call(function()
        local size = 1472
        while not pcall(require('membership').set_payload, 'big', ('x'):rep(size)) do
            size = size - 1
        end
        return size
    end)
end

--- Waits until the listener has had `count` messages of each type from now on, provoking them; the longest of their
-- datagrams by type.
local function longest_by_type(cluster, listener, node, count)
    local first, longest, seen = #listener.raw + 1, {}, {}
    local news = first
    cluster:wait('all types of messages', function()
        news = news + 1
        listener:send(node.uri, 'PING', {ts = fiber.time64(), src = listener.uri, dst = node.uri}, {})
        listener:send(node.uri, 'SYNC_REQ', {}, {})
        listener:send(node.uri, 'LEAVE', nil, {{'127.1.0.1:3301', 5, news, {n = news}, 1}})
        longest, seen = {}, {}
        for i = first, #listener.raw do
            local type_ = wire.decode(listener.inbox[i])[2]
            longest[type_] = math.max(longest[type_] or 0, #listener.raw[i])
            seen[type_] = (seen[type_] or 0) + 1
        end
        for _, type_ in ipairs({'PING', 'ACK', 'SYNC_REQ', 'SYNC_ACK', 'LEAVE'}) do
            if (seen[type_] or 0) < count then
                return false, type_
            end
        end
        return true
    end)
    return longest
end

--- A member with a full table and the largest of payloads, whose peer has a large one, too, and can only be an old one.
local function crowded(cluster, key)
    local ours = mixed.ours(cluster, {key = key})
    local near = scene.listener(cluster, '127.0.0.1:' .. cluster:port(), key)
    near.answers = true
    near:send(ours.uri, 'LEAVE', nil, {{near.uri, 1, 1, {text = ('y'):rep(700)}, 1}})
    tell_of_a_crowd(cluster, near, ours)
    return ours, near
end

mixed.fact('no datagram is larger than MAX_PACKET_SIZE, whatever there is to tell', function(t, cluster, key)
    local ours, near = crowded(cluster, key)
    for _, size in ipairs({1472, 700, 1200, 512}) do
        ours:call(function(wanted)
            require('membership').set_payload({}) -- one that fits no more would be in the way
            require('membership.options').MAX_PACKET_SIZE = wanted
        end, size)
        set_largest_payload(ours)
        cluster:wait('what was sent before to have come', function()
            return ours.membership.probe_uri(near.uri)
        end)
        local largest = 0
        for type_, longest in pairs(longest_by_type(cluster, near, ours, 2)) do
            t:ok(longest <= size, ('%s has at most %d bytes: %d'):format(type_, size, longest))
            largest = math.max(largest, longest)
        end
        t:ok(largest > size * 0.6, ('the room is used: %d'):format(largest))
    end
    t:is(#near.raw, #near.inbox, 'all of it can be read')
end)

local TRIES_SECONDS = 2 -- no probe takes longer

--- Whether a PING repeats another, which has said all. It leaves out what is large then, which may be what was lost.
local function is_repeated(listener, ping)
    if ping[2] ~= 'PING' or ping[4][2] ~= nil then
        return false
    end
    for _, plain in ipairs(listener.inbox) do
        local message = wire.decode(plain)
        if message[2] == 'PING' and message[4][2] ~= nil then
            local age = tonumber(ping[3].ts - message[3].ts) / 1e6
            if age > 0 and age < TRIES_SECONDS then
                return true
            end
        end
    end
    return false
end

--- Waits until `count` messages of a type have come from now on, but for repeated ones; returns their events.
local function events_of(cluster, listener, type_, count, provoke)
    local since, lists = #listener.inbox, {}
    cluster:wait(('%d of %s'):format(count, type_), function()
        lists = {}
        if provoke then
            provoke()
        end
        for i = since + 1, #listener.inbox do
            local message = wire.decode(listener.inbox[i])
            if message[2] == type_ and not is_repeated(listener, message) then
                table.insert(lists, message[4])
            end
        end
        return #lists >= count
    end)
    return lists
end

mixed.fact('each PING and ACK tells the recipient what is thought of it, then of me', function(t, cluster, key)
    local ours, near = crowded(cluster, key)
    local function check(what, status)
        local function ping()
            near:send(ours.uri, 'PING', {ts = fiber.time64(), src = near.uri, dst = ours.uri}, {})
        end
        for _, type_ in ipairs({'PING', 'ACK'}) do
            local provoke = type_ == 'ACK' and ping
            -- Without an answer from there, an ACK with a large payload would wait for one.
            near.answers = near.answers or type_ == 'ACK'
            local strange = {}
            for _, events in ipairs(events_of(cluster, near, type_, 5, provoke)) do
                local first, second = events[1] or {}, events[2] or {}
                if first[1] ~= near.uri or first[2] ~= status or second[1] ~= ours.uri or second[2] ~= 1 then
                    table.insert(strange, {first[1] or 'nothing', first[2] or 'nothing', second[1] or 'nothing'})
                end
            end
            t:is_deeply(strange, {}, ('%s %s'):format(type_, what))
        end
    end
    check('to one who is alive', 1)
    set_largest_payload(ours)
    check('when both have large payloads', 1)
    near.answers = false
    cluster:everyone_sees(near.uri, 'dead', {ours})
    check('to one who is dead', 3)
end)

suite.run()
