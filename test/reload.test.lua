package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

local function reload(node)
    return node:call(function()
        local fiber = require('fiber')
        local function switches()
            return fiber.info()[fiber.id()].csw
        end
        local before = switches()
        package.loaded['membership'] = nil
        require('membership')
        return switches() - before
    end)
end

fact('a reload does not yield, and nobody notices', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    cluster:record(b)
    for _ = 1, 3 do
        t:is(reload(a), 0, 'no other fiber ran')
    end
    cluster:let_pass(4)
    t:is_deeply(cluster:recorded(b, a.uri), {'alive 1'}, 'the peer saw nothing')
    t:is(a:status_of(b.uri), 'alive', 'it sees its peer')
end)

fact('a reload keeps members, payload, incarnation and socket', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    a.membership.set_payload('n', 1)
    b.membership.set_payload('m', 2)
    cluster:everyone_sees_payload(a.uri, {n = 1})
    cluster:everyone_sees_payload(b.uri, {m = 2})
    local function table_of_members()
        local members = a.membership.members()
        for _, member in pairs(members) do
            member.clock_delta = nil -- each ACK changes it
        end
        return members
    end
    local before = table_of_members()
    reload(a)
    t:is_deeply(table_of_members(), before, 'they are what they were')
    a.membership.set_payload('n', 2)
    t:ok(cluster:everyone_sees_payload(a.uri, {n = 2}), 'it is heard')
    b.membership.set_payload('m', 3)
    t:ok(cluster:everyone_sees_payload(b.uri, {m = 3}), 'it hears')
    t:is(a.membership.probe_uri(b.uri), true, 'it can probe')
    t:is(a.membership.leave(), true, 'it can leave')
    t:ok(cluster:udp('0.0.0.0', a.port), 'which closes the socket that was opened before')
end)

fact('subscriptions and handles from before a reload go on working', function(t, cluster)
    local a, b = cluster:group(2)
    a:call(function()
        local old = require('membership')
        local changed = old.subscribe()
        rawset(_G, 'old', old)
        rawset(_G, 'wakes', 0)
        require('fiber').create(function()
            while true do
                changed:wait()
                rawset(_G, 'wakes', rawget(_G, 'wakes') + 1)
            end
        end)
    end)
    reload(a)
    local function wakes()
        return a:call(function()
            return rawget(_G, 'wakes')
        end)
    end
    local before = wakes()
    b.membership.set_payload('n', 1)
    cluster:everyone_sees_payload(b.uri, {n = 1})
    t:ok(cluster:wait('the subscriber to be woken', function()
        return wakes() > before
    end), 'the old subscription wakes')
    t:is_deeply(a:call(function(uri)
        return rawget(_G, 'old').get_member(uri).payload
    end, b.uri), {n = 1}, 'the old handle sees what is new')
    a:call(function()
        rawget(_G, 'old').set_payload('by', 'old handle')
    end)
    t:ok(cluster:everyone_sees_payload(a.uri, {by = 'old handle'}), 'and what it sets is heard')
end)

fact('options keep their values over a reload', function(t, cluster)
    local a = cluster:member()
    a:call(function()
        require('membership.options').SUSPECT_TIMEOUT_SECONDS = 77
    end)
    reload(a)
    t:is(a:call(function()
        return require('membership.options').SUSPECT_TIMEOUT_SECONDS
    end), 77, 'they do')
end)

fact('after many reloads there is still one fiber', function(t, cluster)
    local a = cluster:group(2)
    for _ = 1, 5 do
        reload(a)
        a.membership.members()
    end
    t:is(a:call(function()
        local count = 0
        for _, info in pairs(require('fiber').info()) do
            count = count + (info.name == 'membership.main' and 1 or 0)
        end
        return count
    end), 1, 'called membership.main')
end)

suite.run()
