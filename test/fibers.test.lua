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
    local wakes = a:count_wakes()
    for _, heal in ipairs({'members', 'myself', 'subscribe'}) do
        kill_main_fiber(cluster, a)
        a:call(function(name)
            require('membership')[name]()
        end, heal)
        local before = wakes()
        b.membership.set_payload('after', heal)
        t:ok(cluster:wait('the subscriber to be woken', function()
            return wakes() > before
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

--- From now on debug lines are kept, each after so many seconds.
local function log_slowly(node, seconds)
    node:call(function(pause)
        rawset(_G, 'written', {})
        rawset(_G, 'pause', pause)
        require('membership.options').log_debug = function(fmt, ...)
            local text = fmt:format(...)
            rawset(_G, 'writer', require('fiber').self())
            if rawget(_G, 'pause') > 0 then
                require('fiber').sleep(rawget(_G, 'pause'))
            end
            table.insert(rawget(_G, 'written'), text)
        end
    end, seconds)
end

fact('a log function that takes its time makes nobody wait, nor the instance look as if it hung', function(t, cluster)
    local a, b = cluster:group(2, {options = {TX_STALL_TIMEOUT_SECONDS = 1}})
    log_slowly(a, 3600)
    local wakes = a:count_wakes()
    cluster:record(b)
    for n = 1, 3 do
        local before = wakes()
        b.membership.set_payload('n', n)
        t:ok(cluster:wait('the subscriber to be woken', function()
            return wakes() > before
        end), 'a subscriber is woken')
    end
    t:is(a.membership.probe_uri(b.uri), true, 'a probe is answered')
    cluster:let_pass(3) -- longer than a hang would take to be noticed
    t:is_deeply(cluster:recorded(b, a.uri), {'alive 1'}, 'the peer saw nothing')
end)

fact('lines outlive the fiber that writes them, and a reload, in their order', function(t, cluster)
    local a = cluster:member({options = {}})
    local function rumor(incarnation)
        return ('Rumor: %s (inc. %d) is alive'):format(a.uri, incarnation)
    end
    --- Waits for this line, and returns the last five.
    local function written_up_to(text)
        return cluster:wait(text, function()
            local lines = a:call(function() return rawget(_G, 'written') end)
            return lines[#lines] == text and {unpack(lines, math.max(1, #lines - 4))}, lines[#lines]
        end)
    end
    log_slowly(a, 3600)
    for n = 1, 5 do
        a.membership.set_payload('n', n)
        a.membership.myself() -- sees it, or it would be one line for all
        cluster:wait('the first line to be under way', function()
            return a:call(function() return rawget(_G, 'writer') ~= nil end)
        end)
    end
    t:is(a:call(function()
        package.loaded['membership'] = nil
        require('membership').set_payload('n', 6)
        local writer = rawget(_G, 'writer')
        rawset(_G, 'pause', 0)
        local name = writer:name()
        writer:cancel()
        return name
    end), 'membership.log', 'the fiber has a name')
    local expected = {}
    for incarnation = 3, 7 do -- the line that was under way is lost with its fiber
        table.insert(expected, rumor(incarnation))
    end
    t:is_deeply(written_up_to(rumor(7)), expected, 'the others are written')
    t:ok(cluster:wait('the fiber to end', function()
        return a:call(function()
            return rawget(_G, 'writer'):status() == 'dead'
        end)
    end), 'after which there is no such fiber')
    a.membership.set_payload('n', 7)
    t:ok(written_up_to(rumor(8)), 'until there is another line')
end)

suite.run()
