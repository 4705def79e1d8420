package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local scene = require('scene')
local suite = require('suite')
local wire = require('old_peer.wire')

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
        rawset(_G, 'old', require('membership'))
    end)
    local wakes = a:count_wakes()
    reload(a)
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

fact('a reload keeps the key, the allowed members and where debug lines go', function(t, cluster)
    local a, b = cluster:member(), cluster:node()
    b.membership.set_encryption_key('the key')
    cluster:init(b)
    a:call(function(uri)
        local membership = require('membership')
        membership.set_encryption_key('the key')
        membership.set_allowed_members({uri})
        require('membership.options').log_debug = function(fmt, ...)
            rawset(_G, 'line', fmt:format(...))
        end
    end, a.uri)
    reload(a)
    t:is(a.membership.get_encryption_key():strip(), 'the key', 'the key')
    a.membership.add_member(b.uri)
    cluster:acquaint({a, b})
    t:ok(cluster:wait('a debug line', function()
        local line = a:call(function() return rawget(_G, 'line') end)
        return line and line:match('^Adding: ' .. b.uri:gsub('%p', '%%%0'))
    end), 'the debug lines')
    b.membership.leave()
    t:ok(cluster:wait('it to be forgotten', function()
        return a.membership.get_member(b.uri) == nil
    end), 'the allowed members')
end)

fact('parts of the module that were required before a reload go on working', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    a:call(function()
        local old = {}
        for _, name in ipairs({'events', 'members', 'options'}) do
            old[name] = require('membership.' .. name)
        end
        old.changed = old.events.subscribe()
        rawset(_G, 'old', old)
    end)
    reload(a)
    local seen = a:call(function(uri)
        local old = rawget(_G, 'old')
        local woken = require('fiber').channel(1)
        require('fiber').create(function()
            woken:put(old.changed:wait(10))
        end)
        local seen = {new = old.events ~= require('membership.events')}
        require('membership').set_payload('n', 1)
        seen.woken = woken:get(11)
        seen.count = old.members.count()
        seen.status = old.members.get(uri).status == old.options.ALIVE
        old.options.SUSPECT_TIMEOUT_SECONDS = 7
        seen.assigned = require('membership.options').SUSPECT_TIMEOUT_SECONDS
        require('membership.options').SUSPECT_TIMEOUT_SECONDS = 8
        seen.read = old.options.SUSPECT_TIMEOUT_SECONDS
        old.events.generate('127.0.0.1:1', old.options.LEFT)
        seen.generated = require('membership').get_member('127.0.0.1:1').status
        return seen
    end, b.uri)
    t:is_deeply(seen, {new = true, woken = true, count = 2, status = true, assigned = 7, read = 8, generated = 'left'},
        'all of them')
    t:ok(cluster:everyone_sees('127.0.0.1:1', 'left'), 'and what they say is heard')
end)

fact('a probe that is under way during a reload gets its answer', function(t, cluster)
    local a = cluster:member({options = {ACK_TIMEOUT_SECONDS = 3600}})
    local near = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    local probed = a:begin(function(uri)
        return require('membership').probe_uri(uri)
    end, near.uri)
    local data = near:wait('the ping', function(plain)
        local message = wire.decode(plain)
        return message[2] == 'PING' and message[3]
    end, 0)
    reload(a)
    data.ats = data.ts
    near:send(a.uri, 'ACK', data, {})
    t:is(probed(), true, 'it does')
end)

fact('a reload of roles, which kills fibers with names that it does not know, disturbs nobody', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    a:call(function()
        local names = {}
        for _, info in pairs(require('fiber').info()) do
            names[info.name] = true
        end
        rawset(_G, 'known_names', names)
        rawset(_G, 'changed', require('membership').subscribe())
        -- What a role does: it listens, and pings now and then.
        for _, work in ipairs({
            function() while true do rawget(_G, 'changed'):wait() end end,
            function(uri) while true do require('membership').probe_uri(uri) end end,
        }) do
            require('fiber').new(work, require('membership').myself().uri):name('role')
        end
    end)
    cluster:record(b)
    reload(a)
    cluster:let_pass(1) -- in which the role does its work
    local killed = a:call(function()
        local fiber = require('fiber')
        local killed = {}
        for id, info in pairs(fiber.info()) do
            if not rawget(_G, 'known_names')[info.name] then
                table.insert(killed, info.name)
                fiber.kill(id)
            end
        end
        return killed
    end)
    t:is_deeply(killed, {'role', 'role'}, 'no fiber of the module has another name than before')

    local is_woken = a:await_wake('changed')
    b.membership.set_payload('n', 1)
    t:ok(cluster:wait('a subscription from before to wake', is_woken), 'a subscription from before wakes')
    a.membership.set_payload('n', 2)
    t:ok(cluster:everyone_sees_payload(a.uri, {n = 2}), 'it is heard')
    t:is(a.membership.probe_uri(b.uri), true, 'it can probe')
    cluster:let_pass(4)
    t:is_deeply(cluster:recorded(b, a.uri), {'alive 1', 'alive 2'}, 'the peer saw its payload and nothing else')
end)

suite.run()
