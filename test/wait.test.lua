-- membership.wait: what has changed since one last looked, and nothing missed.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

--- Begins to keep a copy of the member table in the process by nothing but `wait`: URI to status and payload.
local function follow(node)
    node:call(function()
        local copy = {members = {}, wakes = 0}
        rawset(_G, 'copy', copy)
        require('fiber').create(function()
            while true do
                local version, changed, all = require('membership').wait(copy.version)
                copy.members = all and {} or copy.members
                for uri, member in pairs(changed) do
                    copy.members[uri] = member and {status = member.status, payload = member.payload} or nil
                end
                copy.version, copy.wakes = version, copy.wakes + 1
            end
        end)
    end)
end

local function copy_of(node)
    return node:call(function()
        local copy = rawget(_G, 'copy')
        return {members = copy.members, wakes = copy.wakes, version = copy.version}
    end)
end

--- Waits until the copy has what members() has; compared in the process, at one moment.
local function wait_for_agreement(t, cluster, node, when)
    t:ok(cluster:wait('the copy to agree ' .. when, function()
        return node:call(function()
            local copied, members = rawget(_G, 'copy').members, require('membership').members()
            local msgpack = require('msgpack')
            for uri, member in pairs(members) do
                local same = copied[uri] ~= nil and copied[uri].status == member.status
                    and msgpack.encode(copied[uri].payload) == msgpack.encode(member.payload)
                if not same then
                    return false
                end
            end
            for uri in pairs(copied) do
                if members[uri] == nil then
                    return false
                end
            end
            return true
        end)
    end), when)
end

fact('without a version the whole table is returned at once, and with the present one nothing', function(t, cluster)
    local a, b = cluster:group(2)
    for _, version in ipairs({0, 10 ^ 9}) do
        local number, changed, all = a.membership.wait(version)
        t:is(type(number), 'number', 'a version')
        t:is(changed[a.uri].status, 'alive', 'myself')
        t:is(changed[b.uri].status, 'alive', 'and the other one')
        t:is(all, true, 'that is all')
    end
    local version = a.membership.wait()
    t:is_deeply({a.membership.wait(version, 0)}, {}, 'there is nothing newer')
    t:is_deeply({a.membership.wait(version, 0.2)}, {}, 'nor a little later')
    a.membership.set_payload('n', 1)
    local newer, changed, all = a.membership.wait(version, 10)
    t:ok(newer > version, 'a change has a higher version')
    t:is(changed[a.uri].payload.n, 1, 'it is there')
    t:is(changed[b.uri], nil, 'and nothing that has not changed')
    t:is(all, nil, 'it is not all')
end)

fact('every kind of change is returned, and who is gone is false', function(t, cluster)
    local a, b = cluster:member(), cluster:member()
    local version, changed = a.membership.wait()
    local function next_change(what, make, holds)
        make()
        t:ok(cluster:wait(what, function()
            local newer
            newer, changed = a.membership.wait(version, 0.5)
            version = newer or version
            return newer and holds(changed[b.uri])
        end), what)
    end
    local function has_status(status)
        return function(member)
            return member and member.status == status
        end
    end
    next_change('a new member', function() b.membership.add_member(a.uri) end, has_status('alive'))
    cluster:acquaint({a, b})
    next_change('a payload', function() b.membership.set_payload('n', 1) end, function(member)
        return member and member.payload.n == 1
    end)
    next_change('that it left', function() b.membership.leave() end, has_status('left'))
    next_change('that it was removed', function() a.membership.remove_member(b.uri) end, function(member)
        return member == false
    end)
    next_change('that it is back', function()
        cluster:init(b)
        b.membership.add_member(a.uri)
    end, has_status('alive'))
    cluster:acquaint({a, b})
    next_change('that it is dead', function() b:kill() end, has_status('dead'))
end)

fact('who looks from time to time misses nothing', function(t, cluster)
    local a, b, c = cluster:group(3)
    follow(a)
    for i = 1, 20 do
        b.membership.set_payload('n', i)
        c.membership.set_payload('n', -i)
        a.membership.add_member('127.0.0.1:' .. 1000 + i)
        a.membership.remove_member('127.0.0.1:' .. 1000 + i - 10)
    end
    cluster:everyone_sees_payload(b.uri, {n = 20}, {a})
    cluster:everyone_sees_payload(c.uri, {n = -20}, {a})
    wait_for_agreement(t, cluster, a, 'after many changes')
    c.membership.leave()
    cluster:everyone_sees(c.uri, 'left', {a})
    wait_for_agreement(t, cluster, a, 'after one has left')
    a.membership.leave()
    wait_for_agreement(t, cluster, a, 'after having left oneself')
    t:is_deeply(copy_of(a).members, {}, 'when nobody is there')
    cluster:init(a)
    a.membership.add_member(b.uri)
    cluster:acquaint({a, b})
    wait_for_agreement(t, cluster, a, 'back again')
end)

fact('pings and the clocks that they show are no change', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    cluster:wait('both to have answered each other', function()
        return a.membership.get_member(b.uri).clock_delta and b.membership.get_member(a.uri).clock_delta
    end)
    local version = a.membership.wait()
    t:is_deeply({a.membership.wait(version, 4)}, {}, 'there was none')
end)

fact('it works before init, and goes on through it', function(t, cluster)
    local a, b = cluster:node(), cluster:member()
    t:is_deeply({a.membership.wait(0, 0)}, {}, 'there is nobody')
    follow(a)
    a.membership.add_member(b.uri)
    t:is(copy_of(a).members[b.uri].status, 'alive', 'a member that was added wakes')
    cluster:init(a)
    cluster:acquaint({a, b})
    wait_for_agreement(t, cluster, a, 'after init')
end)

fact('thousands who wait do nothing while nothing happens, and are all woken by one change', function(t, cluster)
    local a = cluster:group(2, {options = {}})
    local idle, woken, same = a:call(function()
        local fiber, membership = require('fiber'), require('membership')
        local version = membership.wait()
        local results, ids = fiber.channel(3000), {}
        for _ = 1, 3000 do
            table.insert(ids, fiber.create(function()
                local _, changed = membership.wait(version, 30)
                results:put(changed)
            end):id())
        end
        local function switches()
            local info, sum = fiber.info(), 0
            for _, id in ipairs(ids) do
                sum = sum + info[id].csw
            end
            return sum
        end
        local before = switches()
        fiber.sleep(3)
        local idle = switches() - before
        membership.set_payload('n', 1)
        local woken, seen, same = 0, {}, 0
        for _ = 1, 3000 do
            local changed = results:get(20)
            local _, member = next(changed or {})
            woken = woken + (member and member.payload.n or 0)
            same = same + (seen[member] and 1 or 0)
            seen[member] = true
        end
        return idle, woken, same
    end)
    t:is(idle, 0, 'not one of them ran')
    t:is(woken, 3000, 'each has it')
    t:is(same, 0, 'in a table of its own')
end)

fact('a change between looking and beginning to wait is not slept through', function(t, cluster)
    local a = cluster:member()
    local woken = a:call(function()
        local fiber, membership = require('fiber'), require('membership')
        local mirror = require('membership.internal.mirror')
        local notifier = require('membership.internal.notifier')
        local seen, woken = mirror.news(), fiber.channel(1)
        membership.set_payload('n', 1)
        fiber.create(function()
            notifier.wait_for_change(seen, 10)
            woken:put(true)
        end)
        notifier.notify()
        return woken:get(5)
    end)
    t:is(woken, true, 'it wakes at once')
end)

fact('many changes are read in parts, and other fibers run in between', function(t, cluster)
    local a = cluster:node()
    local result = a:call(function()
        local fiber, membership = require('fiber'), require('membership')
        membership.add_member('127.0.0.1:1')
        local version, turns = membership.wait(), 0
        for i = 2, 1001 do
            membership.add_member('127.0.0.1:' .. i)
        end
        fiber.create(function()
            while turns ~= nil do
                turns = turns + 1
                fiber.sleep(0)
            end
        end)
        local function count(changed)
            local number = 0
            for _ in pairs(changed) do
                number = number + 1
            end
            return number
        end
        local before, result = turns, {}
        local _, changed = membership.wait(version, 0)
        result.at_once, result.turns_at_once = count(changed), turns - before
        before = turns
        version, changed = membership.wait(version, 10)
        result.in_parts, result.turns_in_parts = count(changed), turns - before
        result.left = membership.wait(version, 0) ~= nil
        turns = nil
        return result
    end)
    t:is(result.in_parts, 1000, 'all that are new')
    t:ok(result.turns_in_parts > 1, 'another fiber runs in between')
    t:is(result.left, false, 'and nothing is left')
    t:is(result.at_once, 1000, 'without a timeout they are returned too')
    t:is(result.turns_at_once, 0, 'and no other fiber runs')
end)

fact('who has missed more than anybody remembers gets the whole table', function(t, cluster)
    local a = cluster:node()
    a.membership.add_member('127.0.0.1:1')
    local version = a.membership.wait()
    a:call(function()
        local membership = require('membership')
        membership.add_member('127.0.0.1:2')
        membership.remove_member('127.0.0.1:1')
        for i = 1, 70000 do
            local uri = ('127.0.%d.%d:1'):format(i / 250, i % 250)
            membership.add_member(uri)
            membership.remove_member(uri)
        end
    end)
    local newer, changed, all = a.membership.wait(version)
    t:is(all, true, 'it is all')
    t:is(changed['127.0.0.1:2'].status, 'alive', 'who is there')
    changed['127.0.0.1:2'] = nil
    t:is_deeply(changed, {}, 'and nobody else')
    a.membership.remove_member('127.0.0.1:2')
    newer, changed, all = a.membership.wait(newer)
    t:is(newer, (a.membership.wait()), 'the version is the last one')
    t:is_deeply(changed, {['127.0.0.1:2'] = false}, 'after that, what has changed')
    t:is(all, nil, 'is returned again')
end)

fact('one that began before a reload goes on after it', function(t, cluster)
    local a, b = cluster:group(2)
    follow(a)
    cluster:wait('it to have begun', function() return copy_of(a).version end)
    local version = a.membership.wait()
    a:call(function()
        package.loaded['membership'] = nil
        require('membership')
    end)
    b.membership.set_payload('n', 1)
    cluster:everyone_sees_payload(b.uri, {n = 1})
    wait_for_agreement(t, cluster, a, 'after a reload')
    local _, changed, all = a.membership.wait(version, 10)
    t:is(changed[b.uri].payload.n, 1, 'a version from before it is good')
    t:is(all, nil, 'and only what has changed is returned')
end)

fact('who waits is woken although the fiber of the module was killed', function(t, cluster)
    local a, b = cluster:group(2)
    follow(a)
    a:call(function()
        local fiber = require('fiber')
        for id, info in pairs(fiber.info()) do
            if info.name == 'membership.main' then
                fiber.kill(id)
            end
        end
    end)
    b.membership.set_payload('n', 1)
    -- Nobody calls the API, which would start it again: the copy is all that is looked at.
    t:ok(cluster:wait('the copy to have it', function()
        local copied = copy_of(a).members[b.uri]
        return copied and copied.payload.n == 1
    end), 'it has it')
end)

fact('a fiber that is cancelled waits no longer', function(t, cluster)
    local a = cluster:member()
    local ended, result = a:call(function()
        local fiber, membership = require('fiber'), require('membership')
        local version, ended = membership.wait(), fiber.channel(1)
        local waiting = fiber.create(function()
            local ok, err = pcall(membership.wait, version)
            ended:put({ok, tostring(err)})
        end)
        waiting:cancel()
        local got = ended:get(10)
        return got ~= nil, got
    end)
    t:ok(ended, 'it ends')
    t:is_deeply(result, {false, 'fiber is cancelled'}, 'by an error')
end)

suite.run()
