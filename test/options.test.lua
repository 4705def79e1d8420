package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

local DEFAULTS = {
    PROTOCOL_PERIOD_SECONDS = 1.0,
    ACK_TIMEOUT_SECONDS = 0.2,
    ANTI_ENTROPY_PERIOD_SECONDS = 10,
    SUSPECT_TIMEOUT_SECONDS = 3,
    SUSPICIOUSNESS = true,
    NUM_FAILURE_DETECTION_SUBGROUPS = 3,
    MAX_PACKET_SIZE = 1472,
}

local function set(node, name, value)
    return node:call(function(option, wanted)
        local options = require('membership.options')
        local ok, err = pcall(function()
            options[option] = wanted
        end)
        return ok, err, options[option]
    end, name, value)
end

fact('the defaults are those of the Lua rock', function(t, cluster)
    local a = cluster:node()
    for name, default in pairs(DEFAULTS) do
        t:is(a:call(function(option)
            return require('membership.options')[option]
        end, name), default, name)
    end
    t:is(a:call(function()
        return type(require('membership.options').log_debug)
    end), 'function', 'log_debug')
end)

fact('a value that makes no sense raises, and the old one is kept', function(t, cluster)
    local a = cluster:node()
    local nonsense = {
        PROTOCOL_PERIOD_SECONDS = {'1', true, 0 / 0, -1},
        ACK_TIMEOUT_SECONDS = {'1', {}, 0 / 0, -0.1, -math.huge},
        ANTI_ENTROPY_PERIOD_SECONDS = {'1', false, 0 / 0, -10},
        SUSPECT_TIMEOUT_SECONDS = {'1', {}, 0 / 0, -3},
        SUSPECT_TIMEOUT_MIN_SECONDS = {'1', -1, 0 / 0, 1e9},
        SUSPICIOUSNESS = {0, 'false', {}},
        NUM_FAILURE_DETECTION_SUBGROUPS = {'3', -1, 0 / 0},
        MAX_PACKET_SIZE = {'1472', -1, 0 / 0},
        GOSSIP_INTERVAL_SECONDS = {0, 1e9},
        RETRANSMIT_MULTIPLIER = {0, 1.5, 65},
        MAX_MEMBERS = {0, 1e9},
        REAP_TIMEOUT_SECONDS = {'1', -1, 0 / 0, math.huge},
        TX_STALL_TIMEOUT_SECONDS = {0.1, 1e9},
        log_debug = {'print', 1},
    }
    for name, values in pairs(nonsense) do
        for _, value in ipairs(values) do
            local shown = ('%s = %s (%s)'):format(name, tostring(value), type(value))
            local ok, err, kept = a:call(function(option, wanted)
                local options = require('membership.options')
                local before = options[option]
                local ok, err = pcall(function()
                    options[option] = wanted
                end)
                return ok, err, options[option] == before
            end, name, value)
            t:is(ok, false, shown .. ' raises')
            t:like(err, name, 'and names the option')
            t:ok(kept, 'it is what it was')
        end
    end
end)

--- Assigns the values one after the other, and returns what is logged of that.
local function warnings(node, name, values)
    local function logged()
        local lines = {}
        for _, line in ipairs(node:log_tail(1000)) do
            table.insert(lines, line:match('Option [%u_]+ = .*'))
        end
        return lines
    end
    local before = #logged()
    node:call(function(option, wanted)
        for _, value in ipairs(wanted) do
            require('membership.options')[option] = value
        end
    end, name, values)
    return {unpack(logged(), before + 1)}
end

local function read(node, name)
    return node:call(function(option) return require('membership.options')[option] end, name)
end

fact('of a number that the Lua rock takes, the nearest that can be is used, with a warning', function(t, cluster)
    local a = cluster:node()
    local YEAR = 365 * 24 * 3600
    for _, case in ipairs({
        {'PROTOCOL_PERIOD_SECONDS', 0, 0.001, 'seconds between 0.001 and 31536000 expected'},
        {'ACK_TIMEOUT_SECONDS', 1e9, YEAR, 'seconds between 0 and 31536000 expected'},
        {'ANTI_ENTROPY_PERIOD_SECONDS', 1e9, YEAR, 'seconds between 0.001 and 31536000 expected'},
        {'SUSPECT_TIMEOUT_SECONDS', math.huge, YEAR, 'seconds between 0 and 31536000 expected'},
        {'NUM_FAILURE_DETECTION_SUBGROUPS', 100, 64, 'whole number between 0 and 64 expected'},
        {'NUM_FAILURE_DETECTION_SUBGROUPS', 2.5, 3, 'whole number between 0 and 64 expected'},
        {'MAX_PACKET_SIZE', 500, 512, 'whole number between 512 and 65507 expected'},
        {'MAX_PACKET_SIZE', 65536, 65507, 'whole number between 512 and 65507 expected'},
    }) do
        local name, given, used, expected = unpack(case)
        local line = ('Option %s = %s: %s, so %s is used'):format(name, tostring(given), expected, tostring(used))
        t:is_deeply(warnings(a, name, {given, given}), {line}, line)
        t:is(read(a, name), used, 'it is read back')
        t:is_deeply(warnings(a, name, {used, given}), {line}, 'what is taken as it is needs no warning')
    end
end)

fact('an instance lives with what one may set by mistake', function(t, cluster)
    for _, mistakes in ipairs({
        {PROTOCOL_PERIOD_SECONDS = 0, ANTI_ENTROPY_PERIOD_SECONDS = 0, MAX_PACKET_SIZE = 0},
        {SUSPECT_TIMEOUT_SECONDS = 1e9, NUM_FAILURE_DETECTION_SUBGROUPS = 100, MAX_PACKET_SIZE = 65536},
    }) do
        local a, b = cluster:group(2, {options = mistakes})
        a.membership.set_payload('then', 1)
        t:ok(cluster:everyone_sees_payload(a.uri, {['then'] = 1}, {b}), 'they hear one another')
    end
end)

fact('a packet is never too small for the payload that is set', function(t, cluster)
    local a = cluster:member()
    a.membership.set_payload('k', ('x'):rep(800))
    local lines = warnings(a, 'MAX_PACKET_SIZE', {600})
    t:is(#lines, 1, 'one warning')
    local used = read(a, 'MAX_PACKET_SIZE')
    t:like(lines[1], ('^Option MAX_PACKET_SIZE = 600: payload is too large: .* so %d is used$'):format(used), lines[1])
    t:ok(used > 800 and used < 1472, 'as small as can be')
    t:is(a.membership.set_payload('n', nil), true, 'the payload can be set to what it is')
    a.membership.set_payload('k', nil)
    t:is_deeply(warnings(a, 'MAX_PACKET_SIZE', {600}), {}, 'without it, as small as was asked for')
    t:is(read(a, 'MAX_PACKET_SIZE'), 600, 'which is read back')
end)

fact('pairs goes through all options and constants', function(t, cluster)
    local a = cluster:node()
    local function listed()
        return a:call(function()
            local all = {}
            for name, value in pairs(require('membership.options')) do
                all[name] = type(value) == 'function' and 'a function' or value
            end
            return all
        end)
    end
    a:call(function() require('membership') end)
    local all = listed()
    for name, default in pairs(DEFAULTS) do
        t:is(all[name], default, name)
    end
    t:is(all.MAX_MEMBERS, 65536, 'a new option')
    t:is(all.DEAD, 3, 'a constant')
    t:is(all.log_debug, 'a function', 'log_debug')
    set(a, 'SUSPECT_TIMEOUT_SECONDS', 7)
    t:is(listed().SUSPECT_TIMEOUT_SECONDS, 7, 'with the values of this moment')
    t:is(set(a, 'SUSPECT_TIMEOUT_SECONDS', '7'), false, 'which are still checked when they are assigned')
end)

fact('pairs knows the options of before a reload, too, and is the same function as ever', function(t, cluster)
    local a = cluster:node()
    local results = {a:call(function()
        local original = pairs
        local before = require('membership.options')
        for _ = 1, 3 do
            package.loaded['membership'] = nil
            require('membership')
        end
        local count = 0
        for _ in pairs(before) do
            count = count + 1
        end
        before.SUSPECT_TIMEOUT_SECONDS = 9
        local after = require('membership.options').SUSPECT_TIMEOUT_SECONDS
        return count > 20, pairs == original, after, require('json').encode(before):match('"DEAD":3') ~= nil
    end)}
    t:is_deeply(results, {true, true, 9, true}, 'it does')
end)

fact('a name that is not an option raises', function(t, cluster)
    local a = cluster:node()
    local ok, err, value = set(a, 'PROTOCOL_PERIOD', 1)
    t:is(ok, false, 'it raises')
    t:like(err, 'options table is readonly$', 'in the words users know')
    t:is(value, nil, 'and is not there')
end)

fact('values can be set before init and at any time, and read back', function(t, cluster)
    local a = cluster:node()
    local others = {
        PROTOCOL_PERIOD_SECONDS = 0.5,
        ACK_TIMEOUT_SECONDS = 0.1,
        ANTI_ENTROPY_PERIOD_SECONDS = 2,
        SUSPECT_TIMEOUT_SECONDS = 1.5,
        SUSPICIOUSNESS = false,
        NUM_FAILURE_DETECTION_SUBGROUPS = 0,
        MAX_PACKET_SIZE = 1200,
    }
    for name, other in pairs(others) do
        local ok, _, value = set(a, name, other)
        t:ok(ok, name .. ' can be set before init')
        t:is(value, other, 'and is read back')
    end
    a.membership.init(a.host, a.port)
    for name, default in pairs(DEFAULTS) do
        local ok, _, value = set(a, name, default)
        t:ok(ok, name .. ' can be set after init')
        t:is(value, default, 'and is read back')
    end
end)

fact('an ACK timeout of nothing and no relays are allowed, and detect the dead', function(t, cluster)
    local a, b = cluster:group(2)
    t:ok(set(a, 'NUM_FAILURE_DETECTION_SUBGROUPS', 0), 'no relays')
    b:kill()
    t:ok(cluster:everyone_sees(b.uri, 'dead'), 'the dead is found')
    t:ok(set(a, 'ACK_TIMEOUT_SECONDS', 0), 'no patience')
    t:is(a:call(function(uri)
        return (require('membership').probe_uri(uri))
    end, b.uri), false, 'a probe ends at once')
end)

fact('a period that is shortened takes effect at once', function(t, cluster)
    local a, b = cluster:group(2)
    t:ok(set(a, 'PROTOCOL_PERIOD_SECONDS', 3600), 'an hour, by mistake')
    cluster:let_pass(1) -- so that the hour has begun
    t:ok(set(a, 'PROTOCOL_PERIOD_SECONDS', 0.2), 'corrected')
    b:kill()
    t:ok(cluster:everyone_sees(b.uri, 'dead'), 'the dead is found before the hour is over')
end)

fact('a suspicion timeout that is shortened takes effect at once', function(t, cluster)
    local a, b = cluster:group(2)
    t:ok(set(a, 'SUSPECT_TIMEOUT_SECONDS', 3600), 'an hour, by mistake')
    b:kill()
    t:ok(cluster:everyone_sees(b.uri, 'suspect'), 'the suspicion has begun')
    cluster:let_pass(2)
    t:is(a:status_of(b.uri), 'suspect', 'and lasts')
    t:ok(set(a, 'SUSPECT_TIMEOUT_SECONDS', 0.5), 'corrected')
    t:ok(cluster:everyone_sees(b.uri, 'dead'), 'the suspect is dead before the hour is over')
end)

fact('without SUSPICIOUSNESS nobody is suspected', function(t, cluster)
    local a, b = cluster:group(2)
    t:ok(set(a, 'SUSPICIOUSNESS', false), 'switched off')
    b:kill()
    cluster:let_pass(3) -- many periods
    t:is(a:status_of(b.uri), 'alive', 'the dead is not suspected')
    t:ok(set(a, 'SUSPICIOUSNESS', true), 'switched on')
    t:ok(cluster:everyone_sees(b.uri, 'dead'), 'the dead is found')
end)

fact('MAX_PACKET_SIZE limits the payload', function(t, cluster)
    local a = cluster:member()
    t:ok(a:call(function()
        return pcall(require('membership').set_payload, 'k', ('x'):rep(800))
    end), '800 bytes are accepted')
    a.membership.set_payload('k', nil)
    t:ok(set(a, 'MAX_PACKET_SIZE', 512), 'a small packet')
    local ok, err = a:call(function()
        return pcall(require('membership').set_payload, 'k', ('x'):rep(800))
    end)
    t:is(ok, false, '800 bytes are refused')
    t:is(type(err), 'string', 'with a text: ' .. tostring(err))
end)

fact('log_debug gets the debug lines', function(t, cluster)
    local a, b = cluster:member(), cluster:member()
    a:call(function()
        local lines = {}
        rawset(_G, 'lines', lines)
        require('membership.options').log_debug = function(fmt, ...)
            table.insert(lines, fmt:format(...))
        end
    end)
    b.membership.add_member(a.uri)
    t:ok(cluster:wait('a line about the new member', function()
        for _, line in ipairs(a:call(function()
            return rawget(_G, 'lines')
        end)) do
            if line:find(b.uri, 1, true) and line:find('is alive', 1, true) then
                return true
            end
        end
    end), 'one of them tells of the new member')
end)

suite.run()
