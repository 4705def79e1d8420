-- membership.events, with which users' tests inject rumours and listen to them.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

--- Makes a rumour, in the process. `status` is the name of a constant of the options.
local function generate(node, uri, status, ...)
    return node:call(function(of, name, ...)
        return require('membership.events').generate(of, require('membership.options')[name], ...)
    end, uri, status, ...)
end

local function claim(node, uri)
    local member = node.membership.get_member(uri)
    return {member.status, member.incarnation}
end

fact('a rumour is believed here and everywhere, as if somebody had told it', function(t, cluster)
    -- One who does not answer is to stay what he is said to be.
    local a = cluster:group(2, {options = {SUSPICIOUSNESS = false}})
    local absent = '127.0.0.1:' .. cluster:port()
    for _, case in ipairs({
        {'LEFT', 'left', 7}, {'NONDECRYPTABLE', 'non-decryptable', 8}, {'DEAD', 'dead', 9}, {'ALIVE', 'alive', 100},
    }) do
        local constant, status, incarnation = unpack(case)
        generate(a, absent, constant, incarnation, {n = incarnation})
        t:is_deeply(claim(a, absent), {status, incarnation}, constant .. ' at once')
        t:ok(cluster:everyone_sees(absent, status), 'and for everybody')
        t:ok(cluster:everyone_sees_payload(absent, {n = incarnation}), 'with its payload')
    end
end)

fact('what is left out is what is known', function(t, cluster)
    local a = cluster:node()
    local absent = '127.0.0.1:' .. cluster:port()
    generate(a, absent, 'SUSPECT')
    t:is_deeply(claim(a, absent), {'suspect', 1}, 'of one who is unknown, incarnation 1')
    t:is_deeply(a.membership.get_member(absent).payload, {}, 'and no payload')
    generate(a, absent, 'ALIVE', 5, {n = 1})
    generate(a, absent, 'DEAD')
    t:is_deeply(claim(a, absent), {'dead', 5}, 'the incarnation')
    t:is_deeply(a.membership.get_member(absent).payload, {n = 1}, 'and the payload')
end)

fact('a rumour that is older than what is known changes nothing', function(t, cluster)
    local a = cluster:node()
    local absent = '127.0.0.1:' .. cluster:port()
    generate(a, absent, 'DEAD', 5)
    for _, older in ipairs({{'LEFT', 4}, {'ALIVE', 5}, {'SUSPECT', 5}, {'DEAD', 5}}) do
        generate(a, absent, older[1], older[2])
        t:is_deeply(claim(a, absent), {'dead', 5}, table.concat(older, ' '))
    end
end)

fact('who is there contradicts a rumour, be it oneself or another', function(t, cluster)
    local a, b = cluster:group(2)
    generate(a, b.uri, 'DEAD', 31)
    t:ok(cluster:wait('the contradiction', function()
        return b.membership.myself().incarnation == 32
    end), 'another one')
    generate(a, a.uri, 'LEFT', 31)
    t:is_deeply(claim(a, a.uri), {'alive', 32}, 'oneself')
    cluster:acquaint({a, b})
end)

fact('a rumour wakes those who subscribed here or in the module itself', function(t, cluster)
    local a = cluster:node()
    local woken = a:call(function(absent)
        local fiber = require('fiber')
        local events, membership = require('membership.events'), require('membership')
        local woken = fiber.channel(4)
        local function listen(name, cond)
            fiber.create(function()
                if cond:wait(1) then
                    woken:put(name)
                end
            end)
            return cond
        end
        listen('events', events.subscribe())
        listen('membership', membership.subscribe())
        events.unsubscribe(listen('one that was unsubscribed', membership.subscribe()))
        membership.unsubscribe(listen('another one that was', events.subscribe()))
        events.generate(absent, 3)
        local names = {woken:get(5), woken:get(5), (woken:get(1.5))}
        table.sort(names)
        return names
    end, '127.0.0.1:' .. cluster:port())
    t:is_deeply(woken, {'events', 'membership'}, 'and no others')
end)

fact('a bad argument raises, and nothing is known of it', function(t, cluster)
    local a = cluster:member()
    local cases = a:call(function()
        local events = require('membership.events')
        local cases = {}
        --- `call` must have its call of the API on its first line.
        local function case(text, call)
            local _, err = pcall(call)
            local here = debug.getinfo(call, 'S')
            table.insert(cases, {
                expected = ('%s:%d: %s'):format(here.short_src, here.linedefined, text), got = tostring(err),
            })
        end
        local bad, uri = 'bad argument #%d to generate (%s expected, got %s)', '127.0.0.1:1'
        case(bad:format(1, 'string', 'nil'), function() events.generate() end)
        case(bad:format(1, 'string', 'number'), function() events.generate(1, 1) end)
        case(bad:format(2, 'number', 'nil'), function() events.generate(uri) end)
        case(bad:format(2, 'number', 'string'), function() events.generate(uri, 'alive') end)
        case(bad:format(2, 'number between 1 and 5', '6'), function() events.generate(uri, 6) end)
        case(bad:format(2, 'number between 1 and 5', '1.5'), function() events.generate(uri, 1.5) end)
        case(bad:format(3, '?number', 'string'), function() events.generate(uri, 1, '1') end)
        case(bad:format(4, '?table', 'number'), function() events.generate(uri, 1, 31, 37) end)
        case(bad:format(4, '?table', 'string'), function() events.generate(uri, 1, 31, 'x') end)
        case('parse error', function() events.generate('a:b:c', 1) end)
        case('table index is nil', function() events.unsubscribe(nil) end)
        return cases
    end)
    for _, case in ipairs(cases) do
        t:is(case.got, case.expected, case.expected:match(': (.*)'))
    end
    local errors = a:call(function()
        local errors = {}
        for _, incarnation in ipairs({0.5, -1, 0 / 0, math.huge, 2 ^ 53}) do
            local ok, err = pcall(require('membership.events').generate, '127.0.0.1:1', 1, incarnation)
            table.insert(errors, {tostring(incarnation), ok, tostring(err)})
        end
        return errors
    end)
    for _, case in ipairs(errors) do
        local incarnation, ok, err = unpack(case)
        t:is(ok, false, incarnation .. ' is no incarnation')
        t:like(err, 'incarnation', 'which is said')
    end
    local ok, err = a:call(function()
        local ok, err = pcall(require('membership.events').generate, '127.0.0.1:1', 1, 1, {print})
        return ok, tostring(err)
    end)
    t:is(ok, false, 'a payload that cannot be encoded')
    t:like(err, 'bad argument #4 to generate', 'which is said')
    local known = {}
    for uri in pairs(a.membership.members()) do
        table.insert(known, uri)
    end
    t:is_deeply(known, {a.uri}, 'nobody is known but myself')
end)

suite.run()
