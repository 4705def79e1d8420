package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

--- Begins to listen, in the process, for a field of a member (or of its payload) to have a value. The listener looks
-- when it is woken and at no other time. The function that is returned says whether it was woken in time.
local function listen(node, uri, field, value)
    node:call(function(...)
        local fiber, membership = require('fiber'), require('membership')
        local heard = fiber.channel(1)
        rawset(_G, 'heard', heard)
        fiber.create(function(of, name, wanted)
            local function there()
                local member = membership.get_member(of) or {payload = {}}
                local current = member[name]
                if current == nil then
                    current = member.payload[name]
                end
                return current == wanted
            end
            if there() then
                return heard:put('it was so before')
            end
            local changed = membership.subscribe()
            repeat
                if not changed:wait(15) then
                    return heard:put('nobody woke me')
                end
            until there()
            heard:put('woken')
        end, ...)
    end, uri, field, value)
    return function()
        return node:call(function()
            return rawget(_G, 'heard'):get(18)
        end)
    end
end

fact('subscribe returns a real fiber.cond', function(t, cluster)
    local a = cluster:node()
    local is_cond, woken = a:call(function()
        local fiber = require('fiber')
        local changed = require('membership').subscribe()
        local woken = fiber.channel(2)
        for _ = 1, 2 do
            fiber.create(function()
                woken:put(changed:wait(10))
            end)
        end
        changed:broadcast()
        return getmetatable(changed) == getmetatable(fiber.cond()), {woken:get(10), woken:get(10)}
    end)
    t:ok(is_cond, 'it is one')
    t:is_deeply(woken, {true, true}, 'the user can broadcast it, too')
end)

fact('each subscription is its own', function(t, cluster)
    local a = cluster:node()
    t:ok(a:call(function()
        local membership = require('membership')
        return membership.subscribe() ~= membership.subscribe()
    end), 'two calls, two conds')
end)

fact('one that was taken before init wakes after it', function(t, cluster)
    local a, b = cluster:node(), cluster:member()
    local heard = listen(a, b.uri, 'status', 'alive')
    cluster:init(a)
    b.membership.add_member(a.uri)
    t:is(heard(), 'woken', 'by the first member')
end)

fact('init wakes, at once', function(t, cluster)
    local a = cluster:node()
    t:is(a:call(function(host, port)
        local fiber, membership = require('fiber'), require('membership')
        local changed, heard = membership.subscribe(), fiber.channel(1)
        fiber.create(function()
            heard:put(changed:wait(10) and membership.myself().status)
        end)
        membership.init(host, port)
        return heard:get(15)
    end, a.host, a.port), 'alive', 'by the instance itself')
end)

fact('a new subscriber is not woken for what was read already, and an old one is', function(t, cluster)
    local a, b = cluster:group(2)
    b:call(function()
        local fiber, membership = require('fiber'), require('membership')
        fiber.create(function()
            fiber.sleep(0.3)
            membership.set_payload('n', 1)
        end)
    end)
    local seen, early, late = a:call(function(uri)
        local clock, fiber, membership = require('clock'), require('fiber'), require('membership')
        local changed, woken = membership.subscribe(), false
        fiber.create(function() woken = changed:wait(10) end)
        -- No other fiber runs until the change has been read.
        local deadline = clock.monotonic() + 2
        local seen
        repeat
            seen = membership.get_member(uri).payload.n == 1
        until seen or clock.monotonic() > deadline
        local late = membership.subscribe():wait(1)
        return seen, woken, late
    end, b.uri)
    t:is(seen, true, 'the change was read')
    t:is(early, true, 'who had subscribed before it was woken')
    t:is(late, false, 'who subscribed after it was not')
end)

fact('every kind of change of another member wakes', function(t, cluster)
    local a, b = cluster:member(), cluster:member()

    local heard = listen(a, b.uri, 'status', 'alive')
    b.membership.add_member(a.uri)
    t:is(heard(), 'woken', 'a new member')
    cluster:acquaint({a, b})

    heard = listen(a, b.uri, 'n', 1)
    b.membership.set_payload('n', 1)
    t:is(heard(), 'woken', 'a payload')

    heard = listen(a, b.uri, 'status', 'left')
    b.membership.leave()
    t:is(heard(), 'woken', 'that it left')

    heard = listen(a, b.uri, 'status', 'alive')
    cluster:init(b)
    b.membership.add_member(a.uri)
    t:is(heard(), 'woken', 'that it is back')
    cluster:acquaint({a, b})

    heard = listen(a, b.uri, 'status', 'suspect')
    b:kill()
    t:is(heard(), 'woken', 'that it is suspected')

    heard = listen(a, b.uri, 'status', 'dead')
    t:is(heard(), 'woken', 'that it is dead')

    heard = listen(a, b.uri, 'status', 'alive')
    b:restart()
    cluster:init(b)
    t:is(heard(), 'woken', 'that it lives again')
end)

fact('a change of my own wakes, too', function(t, cluster)
    local a = cluster:member()
    local heard = listen(a, a.uri, 'n', 1)
    a.membership.set_payload('n', 1)
    t:is(heard(), 'woken', 'a payload')
end)

fact('add_member wakes', function(t, cluster)
    local a = cluster:node()
    local uri = '127.0.0.1:' .. cluster:port()
    local heard = listen(a, uri, 'status', 'alive')
    a.membership.add_member(uri)
    t:is(heard(), 'woken', 'even before init')
end)

fact('nothing wakes while nothing changes', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    cluster:wait('both to have answered each other', function()
        return a.membership.get_member(b.uri).clock_delta and b.membership.get_member(a.uri).clock_delta
    end)
    local woken, woken_by_nothing = a:call(function()
        local membership = require('membership')
        local changed = membership.subscribe()
        local woken = changed:wait(4)
        membership.set_payload('absent', nil)
        return woken, changed:wait(0.5)
    end)
    t:is(woken, false, 'pings and their answers are no news')
    t:is(woken_by_nothing, false, 'nor is a payload that was so before')
end)

fact('a thousand subscribers are woken by one change', function(t, cluster)
    local a = cluster:member()
    t:is(a:call(function()
        local fiber, membership = require('fiber'), require('membership')
        local woken = fiber.channel(1000)
        for _ = 1, 1000 do
            fiber.create(function()
                woken:put(membership.subscribe():wait(10))
            end)
        end
        membership.set_payload('n', 1)
        local count = 0
        for _ = 1, 1000 do
            count = count + (woken:get(10) == true and 1 or 0)
        end
        return count
    end), 1000, 'each of them')
end)

fact('a subscription that nobody holds is forgotten', function(t, cluster)
    local a = cluster:member()
    t:ok(a:call(function()
        local membership = require('membership')
        local held = setmetatable({membership.subscribe()}, {__mode = 'v'})
        collectgarbage()
        collectgarbage()
        return held[1] == nil
    end), 'it was collected')
end)

fact('after unsubscribe a change wakes no more', function(t, cluster)
    local a = cluster:member()
    local kept_woken, dropped_woken, again = a:call(function()
        local fiber, membership = require('fiber'), require('membership')
        local kept, dropped = membership.subscribe(), membership.subscribe()
        local dropped_woken = fiber.channel(1)
        fiber.create(function()
            dropped_woken:put(dropped:wait(1))
        end)
        membership.unsubscribe(dropped)
        fiber.create(function()
            membership.set_payload('n', 1)
        end)
        local kept_woken = kept:wait(10)
        return kept_woken, dropped_woken:get(10), pcall(membership.unsubscribe, dropped)
    end)
    t:is(kept_woken, true, 'another one is woken')
    t:is(dropped_woken, false, 'that one is not')
    t:is(again, true, 'to unsubscribe twice is no error')
end)

suite.run()
