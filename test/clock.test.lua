-- clock_delta: how far another clock is ahead of mine, by what Lua takes for the time.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fiber = require('fiber')
local scene = require('scene')
local suite = require('suite')
local wire = require('old_peer.wire')

local fact = suite.fact

local TOLERANCE_SECONDS = 5

--- From now on Lua's clock is so many seconds ahead of the system's, in this process.
local function set_ahead(node, seconds)
    node:call(function(ahead)
        local time64 = rawget(_G, 'system_time64') or require('fiber').time64
        rawset(_G, 'system_time64', time64)
        require('fiber').time64 = function()
            return time64() + ahead * 1000000LL
        end
    end, seconds)
end

--- Waits until the observer sees the clock of a member so many seconds ahead.
local function wait_for_delta(cluster, observer, uri, seconds)
    return cluster:wait(('%s to see %s %d s ahead'):format(observer.uri, uri, seconds), function()
        local delta = observer.membership.get_member(uri).clock_delta
        return delta and math.abs(delta / 1e6 - seconds) < TOLERANCE_SECONDS, tostring(delta)
    end)
end

fact('a clock that is set is followed, forth and back, and wakes nobody', function(t, cluster)
    local a, b = cluster:group(2, {options = {PROTOCOL_PERIOD_SECONDS = 0.5}})
    wait_for_delta(cluster, a, b.uri, 0)
    wait_for_delta(cluster, b, a.uri, 0)
    local wakes = {a:count_wakes(), b:count_wakes()}
    cluster:record(a)
    for _, seconds in ipairs({300, 3600, -600, 0}) do
        set_ahead(b, seconds)
        t:ok(wait_for_delta(cluster, a, b.uri, seconds), ('it is %d s ahead'):format(seconds))
        t:ok(wait_for_delta(cluster, b, a.uri, -seconds), 'and sees the other one as far behind')
        t:ok(wait_for_delta(cluster, b, b.uri, 0), 'but not itself')
    end
    t:is_deeply(cluster:recorded(a, b.uri), {'alive 1'}, 'nobody was suspected for that')
    for _, woken in ipairs(wakes) do
        t:is(woken(), 0, 'nor woken')
    end
end)

fact('a clock that is set shows in the next probe_uri, on both sides', function(t, cluster)
    local a, b = cluster:group(2)
    cluster:let_pass(0.3) -- no news wakes them any more: at each wake the clock is read
    for _, seconds in ipairs({-7, 3, -300, 0}) do
        for _, set in ipairs({a, b}) do
            local observer = set == a and b or a
            cluster:let_pass(0.05) -- longer than a reading is good for
            set_ahead(set, seconds)
            t:is(observer.membership.probe_uri(set.uri), true, 'there is an answer')
            local delta = observer.membership.get_member(set.uri).clock_delta / 1e6
            t:ok(math.abs(delta - seconds) < 1, ('%d s ahead: %.3f, for who probes it'):format(seconds, delta))
            t:is(set.membership.probe_uri(observer.uri), true, 'it probes itself')
            delta = set.membership.get_member(observer.uri).clock_delta / 1e6
            t:ok(math.abs(delta + seconds) < 1, ('%d s ahead: %.3f, when it probes'):format(seconds, delta))
            set_ahead(set, 0)
            observer.membership.probe_uri(set.uri)
        end
    end
end)

fact('it shows in the first probe_uri among strangers, too', function(t, cluster)
    for _, seconds in ipairs({-7, 3}) do
        local a, b = cluster:member(), cluster:member()
        cluster:let_pass(0.3) -- nothing rings for b any more
        set_ahead(b, seconds)
        t:is(a.membership.probe_uri(b.uri), true, 'there is an answer')
        local delta = a.membership.get_member(b.uri).clock_delta / 1e6
        t:ok(math.abs(delta - seconds) < 1, ('%d s ahead: %.3f'):format(seconds, delta))
    end
end)

fact('one that computes answers a probe all the same', function(t, cluster)
    local a, b = cluster:group(2)
    local computed = b:begin(function()
        local monotonic = require('clock').monotonic
        local deadline = monotonic() + 2
        while monotonic() < deadline do -- luacheck: ignore
        end
        return true
    end)
    cluster:let_pass(0.2)
    local answered = 0
    for _ = 1, 5 do
        answered = answered + (a.membership.probe_uri(b.uri) and 1 or 0)
    end
    t:is(answered, 5, 'each time')
    t:is(computed(), true, 'it computed meanwhile')
end)

fact('timestamps are by the same clock', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    set_ahead(a, 3600)
    wait_for_delta(cluster, b, a.uri, 3600)
    b.membership.set_payload('n', 1)
    cluster:everyone_sees_payload(b.uri, {n = 1})
    local age = a:call(function(uri)
        local now = require('fiber').time64()
        return tonumber(now - require('membership').get_member(uri).timestamp) / 1e6
    end, b.uri)
    t:ok(age >= 0 and age < 60, ('what has just changed has done so %g s ago'):format(age))
end)

fact('a clock is not known before its member has answered, nor by an answer without it', function(t, cluster)
    local a = cluster:member()
    local near = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    a:call(function()
        require('membership.options').SUSPICIOUSNESS = false
    end)
    a.membership.add_member(near.uri)
    local function next_ping()
        local since = #near.inbox
        return near:wait('a ping', function(plain)
            local message = wire.decode(plain)
            return message[2] == 'PING' and message[3].dst == near.uri and message[3]
        end, since)
    end
    for _ = 1, 3 do
        next_ping()
    end
    t:is(a.membership.get_member(near.uri).clock_delta, nil, 'no answer')

    for _, ats in ipairs({'noon', {}, 0 / 0, math.huge}) do
        local data = next_ping()
        data.ats = ats
        near:send(a.uri, 'ACK', data, {})
    end
    near:send(a.uri, 'ACK', next_ping(), {})
    -- What comes behind it has been heard later.
    near:send(a.uri, 'LEAVE', nil, {{near.uri, 1, 2, {heard = true}, 1}})
    cluster:everyone_sees_payload(near.uri, {heard = true}, {a})
    t:is(a.membership.get_member(near.uri).clock_delta, nil, 'answers that do not tell the time')

    local data = next_ping()
    data.ats = fiber.time64() + 300 * 1000000ULL
    near:send(a.uri, 'ACK', data, {})
    t:ok(wait_for_delta(cluster, a, near.uri, 300), 'an answer that does')
    for _ = 1, 3 do
        next_ping()
    end
    t:ok(wait_for_delta(cluster, a, near.uri, 300), 'and that stays when no other comes')
end)

fact('a function in the place of fiber.time64 that does not tell the time stops nothing', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    set_ahead(a, 3600)
    wait_for_delta(cluster, b, a.uri, 3600)
    cluster:record(b)
    for _, answer in ipairs({'return', 'return nil', 'return {}', 'return 0/0', 'return -1', 'return 0', 'error()'}) do
        a:call(function(body)
            require('fiber').time64 = loadstring(body)
        end, answer)
        b.membership.set_payload('then', answer)
        t:ok(cluster:everyone_sees_payload(b.uri, {['then'] = answer}), answer)
    end
    cluster:let_pass(4) -- longer than a thread that does not beat is taken to run, and than a ping takes
    t:ok(wait_for_delta(cluster, b, a.uri, 3600), 'the clock goes on as it was')
    t:is_deeply(cluster:recorded(b, a.uri), {'alive 1'}, 'and nobody suspected it')
    t:is(a:call(function()
        local count = 0
        for _, info in pairs(require('fiber').info()) do
            count = count + (info.name == 'membership.main' and 1 or 0)
        end
        return count
    end), 1, 'the fiber runs')
end)

suite.run()
