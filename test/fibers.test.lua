package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

-- Others kill fibers that they do not know (a reload of roles does), and 3.x cancels all of them at shutdown.
local function kill_main_fiber(cluster, node)
    local function count()
        return node:call(function()
            local found = 0
            for _, info in pairs(require('fiber').info()) do
                found = found + (info.name == 'membership.main' and 1 or 0)
            end
            return found
        end)
    end
    local before = count()
    node:call(function()
        local fiber = require('fiber')
        for id, info in pairs(fiber.info()) do
            if info.name == 'membership.main' then
                fiber.kill(id)
            end
        end
    end)
    cluster:wait('the fiber to end', function()
        return count() == 0
    end)
    return before
end

fact('there is one fiber called membership.main', function(t, cluster)
    local a = cluster:group(2)
    t:is(kill_main_fiber(cluster, a), 1, 'and when it is killed it ends at once')
end)

fact('a member whose fiber was killed is not missed', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    cluster:record(b)
    cluster:let_pass(1) -- in which it beats
    kill_main_fiber(cluster, a)
    cluster:let_pass(5) -- in which it is not called, and would be taken to hang
    t:is_deeply(cluster:recorded(b, a.uri), {'alive 1'}, 'the peer saw nothing')
end)

fact('the next call heals it', function(t, cluster)
    local a, b = cluster:group(2)
    a:call(function()
        local changed = require('membership').subscribe()
        rawset(_G, 'wakes', 0)
        require('fiber').create(function()
            while true do
                changed:wait()
                rawset(_G, 'wakes', rawget(_G, 'wakes') + 1)
            end
        end)
    end)
    for _, heal in ipairs({'members', 'myself', 'subscribe'}) do
        kill_main_fiber(cluster, a)
        a:call(function(name)
            require('membership')[name]()
        end, heal)
        local before = a:call(function()
            return rawget(_G, 'wakes')
        end)
        b.membership.set_payload('after', heal)
        t:ok(cluster:wait('the subscriber to be woken', function()
            return a:call(function()
                return rawget(_G, 'wakes')
            end) > before
        end), 'a subscriber is woken after ' .. heal .. '()')
    end
    kill_main_fiber(cluster, a)
    t:is(a.membership.probe_uri(b.uri), true, 'a probe is answered')
    kill_main_fiber(cluster, a)
    t:is(a.membership.init(a.host, a.port), true, 'init works')
    kill_main_fiber(cluster, a)
    t:is(a.membership.leave(), true, 'leave works')
end)

fact('a fiber that is cancelled in a call gets out of it', function(t, cluster)
    local a = cluster:member()
    local silent = cluster:port()
    cluster:udp('0.0.0.0', silent)
    local died, alive = a:call(function(uri)
        local fiber, membership = require('fiber'), require('membership')
        require('membership.options').ACK_TIMEOUT_SECONDS = 15
        local victim = fiber.create(membership.probe_uri, uri)
        fiber.sleep(0.1)
        victim:cancel()
        fiber.sleep(0.1)
        return victim:status() == 'dead', membership.myself().status
    end, '127.0.0.1:' .. silent)
    t:ok(died, 'it does not wait for the answer')
    t:is(alive, 'alive', 'the instance goes on')
end)

suite.run()
