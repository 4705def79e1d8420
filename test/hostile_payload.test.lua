-- Payloads that are meant to do harm: no process minds them, no program gets hold of them, and none can be set.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local msgpack = require('msgpack')
local scene = require('scene')
local suite = require('suite')

-- An error, with a stack of one that has a string of 2 GB and no byte of it.
local ENDLESS_ERROR = '\199\10\3\129\0\145\129\1\219\127\255\255\255'

-- {x = value}
local function holding(value)
    return '\129\161x' .. value
end

-- {zone}: a datetime of a time zone that does not exist.
local UNKNOWN_ZONE = holding('\216\4' .. ('\0'):rep(12) .. '\0\0\0\30')

-- An array of so many values.
local function array(count, value)
    return '\220' .. string.char(math.floor(count / 256), count % 256) .. value:rep(count)
end

-- A LEAVE with one event, whose payload is already encoded.
local function rumor(sender, uri, incarnation, payload)
    return '\148' .. msgpack.encode(sender) .. msgpack.encode('LEAVE') .. '\192\145\149' .. msgpack.encode(uri)
        .. '\1' .. msgpack.encode(incarnation) .. payload .. '\5'
end

local function refused(node, reason)
    return node:call(function(name)
        return require('membership').stats().payloads_refused[name]
    end, reason)
end

suite.fact('what no Tarantool decodes safely ends no process, and is counted', function(t, cluster)
    local members = {cluster:group(3)}
    local stranger = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    stranger.answers = true
    local rows = {
        {holding(ENDLESS_ERROR), 'type'},
        {UNKNOWN_ZONE, 'body'},
        {holding('\199\60\1\0' .. ('\153'):rep(58) .. '\12'), 'body'}, -- a decimal of 117 digits
        {holding('\199\2\6\200\0'), 'body'}, -- an interval of 200 fields
        {'\129\195\1', 'key'}, -- {[true] = 1}
        {array(1150, '\128'), 'tables'},
        {array(1150, '\192'), 'values'},
        {('\145'):rep(40) .. '\192', 'nesting'},
    }
    local invented = '127.0.0.9:1'
    for i, row in ipairs(rows) do
        local payload, reason = unpack(row)
        local before = refused(members[1], reason)
        stranger:send_bytes(members[1].uri, rumor(stranger.uri, stranger.uri, i, payload))
        stranger:send_bytes(members[1].uri, rumor(stranger.uri, invented, i, payload))
        cluster:wait('it to be counted as ' .. reason, function()
            return refused(members[1], reason) >= before + 2
        end)
        for _, member in ipairs(members) do
            cluster:wait('the news to reach ' .. member.uri, function()
                local known = member.membership.get_member(invented)
                return known ~= nil and known.incarnation == i
            end)
            t:is_deeply(member.membership.get_member(stranger.uri).payload, {}, 'the event is heard without ' .. reason)
        end
    end
    for _, member in ipairs(members) do
        t:ok(member:is_running(), member.uri .. ' runs')
        local printed = member:call(function()
            local membership = require('membership')
            return #require('json').encode(membership.members()) + #require('yaml').encode(membership.members())
        end)
        t:ok(printed > 0, 'and prints its members')
    end
end)

suite.fact('a table that others have filled is not copied into Lua before a program reads it', function(t, cluster)
    local a = cluster:member()
    local grown, read = a:call(function()
        local core, fiber, membership = require('membership.core'), require('fiber'), require('membership')
        local bytes = require('msgpack').encode({text = ('x'):rep(1000)})
        local changed, wakes = membership.subscribe(), 0
        fiber.create(function()
            while changed:wait(10) do
                wakes = wakes + 1
            end
        end)
        collectgarbage()
        local before = collectgarbage('count')
        for i = 1, 20000 do
            assert(core.generate(('127.0.%d.%d:1'):format(i / 250, i % 250), 1, 1, bytes))
            if i % 500 == 0 then
                fiber.sleep(0.05)
            end
        end
        assert(wakes > 0, 'the subscriber was woken')
        assert(membership.get_member('127.0.0.1:1').payload.text ~= nil)
        collectgarbage()
        local grown = collectgarbage('count') - before
        local read = 0
        for _, member in membership.pairs() do
            read = read + (member.payload.text ~= nil and 1 or 0)
        end
        return grown, read
    end)
    t:ok(grown < 12 * 1024, ('20 MB of payloads, and %.0f KB in Lua'):format(grown))
    t:is(read, 20000, 'a program that reads them has them')
end)

suite.fact('a table that was large takes no memory in Lua once it is not', function(t, cluster)
    local a = cluster:member()
    local full, grown = a:call(function()
        local core, fiber, membership = require('membership.core'), require('fiber'), require('membership')
        local bytes = require('msgpack').encode({text = ('x'):rep(1000)})
        collectgarbage()
        local before = collectgarbage('count')
        for i = 1, 5000 do
            assert(core.generate(('127.0.%d.%d:1'):format(i / 250, i % 250), 1, 1, bytes))
        end
        membership.members()
        collectgarbage()
        local full = collectgarbage('count') - before
        local host, port = membership.myself().uri:match('(.*):(%d+)')
        membership.leave()
        membership.init(host, tonumber(port))
        fiber.sleep(0.1)
        membership.myself()
        collectgarbage()
        return full, collectgarbage('count') - before
    end)
    t:ok(full > 2 * 1024, ('it took %.0f KB'):format(full))
    t:ok(grown < 1024, ('%.0f KB are left'):format(grown))
end)

suite.fact('no payload has a reference in it, which would not live as long', function(t, cluster)
    local a = cluster:member()
    local count = a:call(function()
        local core, membership = require('membership.core'), require('membership')
        box.cfg({wal_mode = 'none', log_level = 1})
        -- From 2.10 on errors are always encoded as such.
        pcall(function() box.session.settings.error_marshaling_enabled = true end)
        local count = 0
        for i = 1, 20 do
            local bytes = require('msgpack').encode({x = box.error.new(box.error.PROC_LUA, 'number ' .. i)})
            assert(bytes:byte(4) == 0xc7 and bytes:byte(6) == 3, 'it is the extension of errors')
            assert(core.generate('127.0.0.9:1', 1, i, bytes))
            if next(membership.get_member('127.0.0.9:1').payload) ~= nil then
                count = count + 1
            end
        end
        return count
    end)
    t:is(count, 0, 'errors, well formed, are not taken in')
    t:is(refused(a, 'type'), 20, 'and counted')
    local ok, err = a:call(function()
        local membership = require('membership')
        pcall(function() box.session.settings.error_marshaling_enabled = true end)
        return pcall(membership.set_payload, 'last', {box.error.new(box.error.PROC_LUA, 'an error')})
    end)
    t:is(ok, false, 'nor can they be set')
    t:like(err, '#2 to set_payload %(last%[1%] is of type error, which cannot be part of a payload%)', err)
end)

suite.fact('what others would not take cannot be set, and the error names key and type', function(t, cluster)
    local a = cluster:member()
    a.membership.set_payload('n', 1)
    local before = a.membership.myself()
    local outcomes = a:call(function()
        local membership = require('membership')
        local function many(count, value)
            local list = {}
            for i = 1, count do
                list[i] = value(i)
            end
            return list
        end
        local function deep(levels)
            local value = 1
            for _ = 1, levels do
                value = {value}
            end
            return value
        end
        local as_map = {__serialize = 'map'}
        local outcomes = {}
        for name, value in pairs({
            boolean_key = setmetatable({[true] = 1}, as_map),
            fraction_key = setmetatable({[0.5] = 1}, as_map),
            inner_key = {a = {{[false] = 1}}},
            values = many(257, function(i) return i end),
            tables = many(64, function() return {} end),
            levels = deep(33),
        }) do
            local ok, err = pcall(membership.set_payload, 'x', value)
            outcomes[name] = {ok = ok, err = err}
            outcomes[name].whole = pcall(membership.set_payload, {x = value})
        end
        return outcomes
    end)
    local expected = {
        boolean_key = 'x has a key of type boolean, and keys are strings or whole numbers',
        fraction_key = 'x has a key of type number, and keys are strings or whole numbers',
        inner_key = 'x.a[1] has a key of type boolean, and keys are strings or whole numbers',
        values = 'x[256] makes it more than 256 values',
        tables = 'x[63] makes it more than 64 tables',
        levels = ('x' .. ('[1]'):rep(31)) .. ' nests deeper than 32 levels',
    }
    for name, text in pairs(expected) do
        local outcome = outcomes[name]
        t:is(outcome.ok or outcome.whole, false, name .. ' raises')
        t:is(outcome.err:match('bad argument.*'), ('bad argument #2 to set_payload (%s)'):format(text), 'and says why')
    end
    local after = a.membership.myself()
    before.clock_delta, after.clock_delta = nil, nil
    t:is_deeply(after, before, 'it is what it was')
    local ok, err = a:call(function()
        return pcall(require('membership').set_payload, {[true] = 1})
    end)
    t:is(ok, false, 'the same as a whole')
    t:like(err, '#1 to set_payload %(the payload has a key of type boolean', err)
end)

--- Has the listener invent so many members with such payloads; waits until they are known.
local function invent(cluster, listener, node, count, payload)
    local before = node:call(function() return require('membership.members').count() end)
    for i = 1, count do
        local uri = ('127.0.%d.%d:%d'):format(1 + i / 250, i % 250, 1 + before)
        listener:send_bytes(node.uri, rumor(listener.uri, uri, 1, payload(i)))
        if i % 25 == 0 then
            cluster:let_pass(0.01) -- of strangers 5 MB a second are taken in
        end
    end
    cluster:wait('most of them to be known', function()
        local known = node:call(function() return require('membership.members').count() end) - before
        return known > count * 0.9, known
    end)
end

local function lua_megabytes(node)
    return node:call(function()
        collectgarbage()
        collectgarbage()
        return collectgarbage('count') / 1024
    end)
end

suite.fact('payloads take memory in Lua when they are read, and then as much as there is for all', function(t, cluster)
    local a = cluster:member()
    local stranger = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    local start = lua_megabytes(a)
    invent(cluster, stranger, a, 2000, function() return array(1150, '\128') end)
    local growth = lua_megabytes(a) - start
    t:ok(growth < 4, ('2.3 MB of payloads of 1150 empty maps are not there: %.1f MB'):format(growth))

    start = lua_megabytes(a)
    invent(cluster, stranger, a, 2000, function(i)
        return '\146' .. msgpack.encode(('%d'):format(i):rep(1000):sub(1, 1000)) .. array(62, '\128')
    end)
    growth = lua_megabytes(a) - start
    t:ok(growth < 6, ('those of 64 tables take no more than their bytes: %.1f MB'):format(growth))
    for _ = 1, 3 do
        local count = a:call(function()
            local count = 0
            for _, member in require('membership').pairs() do
                count = count + (member.payload[2] and #member.payload[2] or 0)
            end
            return count
        end)
        t:ok(count > 62 * 1700, ('they can be read: %d tables'):format(count))
    end
    growth = lua_megabytes(a) - start
    t:ok(growth < 100, ('and are forgotten when they get too many: %.1f MB'):format(growth))
end)

suite.run()
