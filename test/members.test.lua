package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

fact('a MemberInfo has the types that doc/api.md names', function(t, cluster)
    local a, b = cluster:group(2)
    cluster:wait('an ACK with a clock', function()
        return a.membership.get_member(b.uri).clock_delta ~= nil
    end)
    local function types_of(node, uri)
        return node:call(function(of)
            local ffi = require('ffi')
            local types = {}
            for name, value in pairs(require('membership').get_member(of)) do
                types[name] = type(value) == 'cdata' and tostring(ffi.typeof(value)) or type(value)
            end
            return types
        end, uri)
    end
    local expected = {
        uri = 'string',
        status = 'string',
        incarnation = 'number',
        payload = 'table',
        timestamp = 'ctype<uint64_t>',
        clock_delta = 'number',
    }
    t:is_deeply(types_of(a, b.uri), expected, 'of another member')
    local mine = types_of(a, a.uri)
    mine.clock_delta = 'number' -- who pings itself knows that, too
    t:is_deeply(mine, expected, 'of this member')
end)

fact('all ways to ask give the same answer', function(t, cluster)
    local a, b = cluster:group(2)
    b.membership.set_payload('n', {1, 2})
    cluster:everyone_sees_payload(b.uri, {n = {1, 2}})
    local same = a:call(function(my_uri, uri)
        local membership, yaml = require('membership'), require('yaml')
        local function text(info)
            info.clock_delta = nil -- each ACK changes it
            return yaml.encode(info)
        end
        local by_pairs = {}
        for of, info in membership.pairs() do
            by_pairs[of] = info
        end
        local members = membership.members()
        return {
            members = text(members[uri]) == text(membership.get_member(uri)),
            pairs = text(by_pairs[uri]) == text(members[uri]),
            myself = text(membership.myself()) == text(membership.get_member(my_uri)),
            plain = getmetatable(members) == nil and getmetatable(members[uri]) == nil,
        }
    end, a.uri, b.uri)
    t:is_deeply(same, {members = true, pairs = true, myself = true, plain = true}, 'they do, in plain tables')
    t:is(a.membership.get_member('127.0.0.1:1'), nil, 'who is not known is nil')
end)

fact('editing what was returned changes nothing anywhere', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    a.membership.set_payload('mine', {deep = {1, 2, 3}})
    b.membership.set_payload('its', {deep = {1, 2, 3}})
    cluster:everyone_sees_payload(a.uri, {mine = {deep = {1, 2, 3}}})
    cluster:everyone_sees_payload(b.uri, {its = {deep = {1, 2, 3}}})

    local after = a:call(function(my_uri, uri)
        local membership = require('membership')
        local function spoil(info)
            info.status, info.uri, info.incarnation, info.timestamp = 'unhealthy', 'nobody:1', 77, 0
            local payload = info.payload.mine or info.payload.its
            payload.deep[2] = 'spoilt'
            payload.more = true
            info.payload.added = 1
        end
        for _ = 1, 2 do
            spoil(membership.myself())
            spoil(membership.get_member(my_uri))
            spoil(membership.get_member(uri))
            for _, info in membership.pairs() do
                spoil(info)
            end
            local members = membership.members()
            spoil(members[uri])
            members[uri] = nil
            members['nobody:1'] = {}
        end
        return membership.members()
    end, a.uri, b.uri)

    t:is(after['nobody:1'], nil, 'nobody was added')
    for _, case in ipairs({{a.uri, {mine = {deep = {1, 2, 3}}}}, {b.uri, {its = {deep = {1, 2, 3}}}}}) do
        local uri, payload = unpack(case)
        t:is(after[uri].status, 'alive', 'the status is what it was')
        t:is(after[uri].uri, uri, 'the uri too')
        t:is(after[uri].incarnation, 2, 'the incarnation too')
        t:is_deeply(after[uri].payload, payload, 'the payload too')
    end

    -- And the spoilt tables are not what is gossiped from now on.
    a.membership.set_payload('other', 1)
    local seen = cluster:wait('the news', function()
        local member = b.membership.get_member(a.uri)
        return member.payload.other and member
    end)
    t:is_deeply(seen.payload, {mine = {deep = {1, 2, 3}}, other = 1}, 'the peer gets the payload as it was set')
end)

fact('editing a value in place changes nothing either', function(t, cluster)
    local a, b = cluster:group(2)
    local before, after = a:call(function()
        local membership, uuid = require('membership'), require('uuid')
        membership.set_payload('id', uuid.new())
        local before = membership.myself().payload.id:str()
        membership.myself().payload.id.time_low = 0 -- a uuid is a struct that can be written to
        return before, membership.myself().payload.id:str()
    end)
    t:is(after, before, 'the uuid is what it was')
    t:ok(cluster:everyone_agrees('it is', function(observer)
        return observer:call(function(uri)
            local id = require('membership').get_member(uri).payload.id
            return id and id:str()
        end, a.uri) == before
    end, {a, b}), 'for everybody')
end)

fact('editing a table after it was set as payload changes nothing', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    local unchanged, incarnation = a:call(function()
        local membership = require('membership')
        local value = {1, 2, 3}
        membership.set_payload('list', value)
        value[2] = 'edited'
        local unchanged = membership.myself().payload.list[2] == 2
        membership.set_payload('list', value)
        return unchanged, membership.myself().incarnation
    end)
    t:ok(unchanged, 'until it is set again')
    t:is(incarnation, 3, 'which is a change')
    t:ok(cluster:everyone_sees_payload(a.uri, {list = {1, 'edited', 3}}, {b}), 'that the peer gets')
end)

fact('timestamp is the time of the last change of status or incarnation', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    local function age()
        return a:call(function(uri)
            return tonumber(require('fiber').time64() - require('membership').get_member(uri).timestamp) / 1e6
        end, b.uri)
    end
    local joined = a.membership.get_member(b.uri).timestamp
    t:ok(age() >= 0 and age() < 60, 'it was a moment ago')
    b.membership.set_payload('n', 1)
    cluster:everyone_sees_payload(b.uri, {n = 1})
    local changed = a.membership.get_member(b.uri).timestamp
    t:ok(changed > joined, 'a new incarnation is a change')
    cluster:let_pass(1)
    t:is(a.membership.get_member(b.uri).timestamp, changed, 'that it answers is none')
    b:kill()
    cluster:everyone_sees(b.uri, 'dead')
    t:ok(a.membership.get_member(b.uri).timestamp > changed, 'that it died is one')
end)

fact('clock_delta is how far the clock of a member is ahead, by what Lua takes for the time', function(t, cluster)
    local a = cluster:member()
    local b = cluster:node()
    b:call(function()
        local fiber = require('fiber')
        local time64 = fiber.time64
        fiber.time64 = function()
            return time64() + 3600 * 1000000ULL
        end
    end)
    cluster:init(b)
    b.membership.add_member(a.uri)
    local function close_to(node, uri, seconds)
        return cluster:wait(('a clock delta of %d s'):format(seconds), function()
            local member = node.membership.get_member(uri)
            local delta = member and member.clock_delta
            return delta and math.abs(delta / 1e6 - seconds) < 5, tostring(delta)
        end)
    end
    t:ok(close_to(a, b.uri, 3600), 'it is an hour ahead')
    t:ok(close_to(b, a.uri, -3600), 'the other one is an hour behind')
    t:ok(close_to(a, a.uri, 0), 'nobody is ahead of himself')
end)

-- More than are taken from the core at once, and the fiber that does it has not run yet.
fact('reads are complete while there is much that is new', function(t, cluster)
    local a = cluster:member({options = {}})
    local seen = a:call(function()
        local core, membership = require('membership.core'), require('membership')
        local function uri(i) return ('127.0.0.9:%d'):format(i) end
        local function count()
            local number = 0
            for _ in membership.pairs() do
                number = number + 1
            end
            return number
        end
        local seen = {}
        for i = 1, 3000 do
            core.generate(uri(i), 1, i)
        end
        seen.last, seen.first = membership.get_member(uri(3000)).incarnation, membership.get_member(uri(1)).incarnation
        seen.myself, seen.nobody = membership.myself().uri, membership.get_member(uri(3001)) == nil
        core.remove_member(uri(2999))
        seen.removed = membership.get_member(uri(2999)) == nil
        seen.all = count()
        for i = 1, 3000 do
            core.generate(uri(i), 2, i)
        end
        local version, changed = membership.wait(0)
        seen.waited = 0
        for _, member in pairs(changed) do
            seen.waited = seen.waited + (member.status == 'suspect' and 1 or 0)
        end
        for i = 1, 3000 do
            core.remove_member(uri(i))
        end
        local _, gone = membership.wait(version)
        seen.gone = 0
        for _, member in pairs(gone) do
            seen.gone = seen.gone + (member == false and 1 or 0)
        end
        seen.left = count()
        return seen
    end)
    t:is_deeply(seen, {
        last = 3000,
        first = 1,
        myself = a.uri,
        nobody = true,
        removed = true,
        all = 3000, -- less one, and the instance itself
        waited = 3000,
        gone = 3000,
        left = 1,
    })
end)

-- The engine has a thread of its own, and goes on while a program reads: here it does so between any two parts.
fact('members that change whenever a part of the table is read are in what is read', function(t, cluster)
    local a = cluster:member({options = {}})
    local count, parts = a:call(function()
        local core, membership = require('membership.core'), require('membership')
        local function generate(first, last, incarnation)
            for i = first, last do
                core.generate(('127.0.0.9:%d'):format(i), 1, incarnation)
            end
        end
        generate(1, 3000, 1)
        local parts, changes = 0, core.changes
        local function go_on(...)
            parts = parts + 1
            generate(2401, 3000, 1 + parts) -- more than there are in a part
            return ...
        end
        core.changes = function(...)
            return go_on(changes(...))
        end
        local members = membership.members()
        core.changes = changes
        local count = 0
        for _ in pairs(members) do
            count = count + 1
        end
        return count, parts
    end)
    t:is(count, 3001, 'all are, and the instance itself')
    t:ok(parts < 20, ('after %d parts'):format(parts))
end)

suite.run()
