package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local scene = require('scene')
local suite = require('suite')
local fact = suite.fact

fact('a key that is set reaches everybody, and nil removes it', function(t, cluster)
    local a = cluster:group(3, {options = {}})
    t:is(a.membership.set_payload('role', 'router'), true, 'set_payload returns true')
    t:is_deeply(a.membership.myself().payload, {role = 'router'}, 'it is set at once')
    t:is(a.membership.myself().incarnation, 2, 'the incarnation rose')
    a.membership.set_payload('zone', 7)
    t:ok(cluster:everyone_sees_payload(a.uri, a.membership.myself().payload), 'everybody sees both keys')
    t:is(a.membership.set_payload('role', nil), true, 'removing it returns true')
    t:ok(cluster:everyone_sees_payload(a.uri, {zone = 7}), 'everybody sees the other key only')
    a.membership.set_payload('zone', nil)
    t:ok(cluster:everyone_agrees('it is empty', function(observer)
        return next(observer.membership.get_member(a.uri).payload) == nil
    end), 'everybody sees it empty')
    t:is(a.membership.myself().incarnation, 5, 'each change counted')
end)

fact('a table replaces the whole payload', function(t, cluster)
    local a = cluster:group(2, {options = {}})
    a.membership.set_payload('old', 1)
    t:is(a.membership.set_payload({new = {nested = true}}), true, 'set_payload returns true')
    t:is_deeply(a.membership.myself().payload, {new = {nested = true}}, 'nothing of the old one is left')
    t:ok(cluster:everyone_sees_payload(a.uri, {new = {nested = true}}), 'for anybody')
    t:is(a.membership.myself().incarnation, 3, 'it is one change')
    a.membership.set_payload({})
    t:is_deeply(a.membership.myself().payload, {}, 'it can be emptied')
end)

fact('an equal value changes nothing', function(t, cluster)
    local a = cluster:member()
    local incarnations = a:call(function()
        local membership, decimal = require('membership'), require('decimal')
        local incarnations = {}
        local function set(...)
            assert(membership.set_payload(...) == true)
            table.insert(incarnations, membership.myself().incarnation)
        end
        set('text', 'x')
        set('text', 'x')
        set('map', {a = {b = 1, c = {1, 2}}})
        set('map', {a = {c = {1, 2}, b = 1}})
        set('decimal', decimal.new('1.5'))
        set('decimal', decimal.new('1.5'))
        set('absent', nil)
        set({only = 1})
        set({only = 1})
        return incarnations
    end)
    t:is_deeply(incarnations, {2, 2, 3, 3, 4, 4, 4, 5, 5}, 'only changes raise the incarnation')
end)

--- A value of each Lua and Tarantool type by name, then what a node holds: type, bytes and text of each.
local function set_samples()
    local decimal, uuid = require('decimal'), require('uuid')
    require('membership').set_payload('samples', {
        text = 'x',
        empty_text = '',
        utf8 = 'Größe',
        bytes = '\0\1\127\128\254\255',
        long_text = ('long '):rep(40),
        yes = true,
        no = false,
        zero = 0,
        integer = 42,
        negative = -42,
        integer_max = 2 ^ 53,
        uint64 = 18446744073709551615ULL,
        int64 = -9223372036854775808LL,
        fraction = 1.5,
        inexact = 0.1,
        tiny = 5e-324,
        huge = 1e308,
        infinity = math.huge,
        decimal = decimal.new('-3.14159265358979323846264338327950288'),
        uuid = uuid.fromstr('f3f4c8a5-6a4b-4f9e-9b1a-2b9c5f7d8e01'),
        null = box.NULL,
        array = {1, 'two', {3}},
        map = {key = {key = {key = 'value'}}},
        numbered = setmetatable({[7] = 'seven'}, {__serialize = 'map'}),
        empty = {},
    })
end

local function read_samples(uri)
    local decimal, ffi, msgpack = require('decimal'), require('ffi'), require('msgpack')
    local function type_of(value)
        if decimal.is_decimal(value) then
            return 'decimal'
        end
        return type(value) == 'cdata' and tostring(ffi.typeof(value)) or type(value)
    end
    local member = require('membership').get_member(uri)
    local read = {}
    for name, value in pairs(member.payload.samples or {}) do
        read[name] = {type = type_of(value), bytes = msgpack.encode(value):hex()}
    end
    return read
end

fact('every type of Lua and of Tarantool reaches a peer unchanged', function(t, cluster)
    local a, b = cluster:group(2)
    a:call(set_samples)
    local seen = cluster:wait('the samples', function()
        local read = b:call(read_samples, a.uri)
        return next(read) and read
    end)
    t:is_deeply(seen, a:call(read_samples, a.uri), 'the peer holds what its owner holds')

    local function is(name, type, hex)
        t:is_deeply(seen[name], {type = type, bytes = hex}, name)
    end
    is('text', 'string', 'a178')
    is('empty_text', 'string', 'a0')
    is('utf8', 'string', 'a74772c3b6c39f65')
    is('bytes', 'string', 'a600017f80feff')
    is('yes', 'boolean', 'c3')
    is('no', 'boolean', 'c2')
    is('zero', 'number', '00')
    is('integer', 'number', '2a')
    is('negative', 'number', 'd0d6')
    is('integer_max', 'ctype<uint64_t>', 'cf0020000000000000')
    is('uint64', 'ctype<uint64_t>', 'cfffffffffffffffff')
    is('int64', 'ctype<int64_t>', 'd38000000000000000')
    is('fraction', 'number', 'cb3ff8000000000000')
    is('inexact', 'number', 'cb3fb999999999999a')
    is('tiny', 'number', 'cb0000000000000001')
    is('huge', 'number', 'cb7fe1ccf385ebc8a0')
    is('infinity', 'number', 'cb7ff0000000000000')
    is('decimal', 'decimal', 'c71401230314159265358979323846264338327950288d')
    is('uuid', 'ctype<struct tt_uuid>', 'd802f3f4c8a56a4b4f9e9b1a2b9c5f7d8e01')
    is('null', 'ctype<void *>', 'c0')
    is('array', 'table', '9301a374776f9103')
    is('map', 'table', '81a36b657981a36b657981a36b6579a576616c7565')
    is('numbered', 'table', '8107a5736576656e')
    is('empty', 'table', '90')
end)

fact('nesting has a limit, which is not low', function(t, cluster)
    local a, b = cluster:group(2)
    local function nest(depth)
        local value = 'core'
        for _ = 1, depth do
            value = {value}
        end
        return pcall(require('membership').set_payload, 'nested', value)
    end
    t:is(a:call(nest, 20), true, 'twenty levels are accepted')
    t:ok(cluster:wait('twenty levels at the peer', function()
        return b:call(function(uri)
            local value = require('membership').get_member(uri).payload.nested
            local depth = 0
            while type(value) == 'table' do
                value, depth = value[1], depth + 1
            end
            return depth == 20 and value == 'core'
        end, a.uri)
    end), 'and reach the peer')
    local before = a.membership.myself().incarnation
    for _, depth in ipairs({100, 1000}) do
        local ok, err = a:call(nest, depth)
        t:is(ok, false, depth .. ' levels raise')
        t:is(type(err), 'string', 'with a text')
        t:is(a.membership.myself().incarnation, before, 'and nothing changed')
    end
end)

fact('a payload that does not fit a datagram raises, and nothing changes', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    a.membership.set_payload('n', 1)
    cluster:everyone_sees_payload(a.uri, {n = 1})
    local before = a.membership.myself()
    for name, set in pairs({
        ['by key'] = function(size)
            return pcall(require('membership').set_payload, 'long', ('x'):rep(size))
        end,
        ['as a whole'] = function(size)
            return pcall(require('membership').set_payload, {long = ('x'):rep(size)})
        end,
        ['by many keys'] = function(size)
            local payload = {}
            for i = 1, size / 4 do
                payload[('%03x'):format(i)] = i
            end
            return pcall(require('membership').set_payload, payload)
        end,
    }) do
        local ok, err = a:call(set, 5000)
        t:is(ok, false, name .. ' it raises')
        local size, limit
        for number in tostring(err):gmatch('%d+') do
            number = tonumber(number)
            size = number >= 5000 and number < 12000 and number or size
            limit = number > 500 and number <= 1472 and number or limit
        end
        t:ok(size, 'the text states the size: ' .. err)
        t:ok(limit, 'and the limit')
    end
    t:is_deeply(a.membership.myself(), before, 'it is what it was')
    a.membership.set_payload('n', 2)
    t:ok(cluster:everyone_sees_payload(a.uri, {n = 2}), 'and goes on')
    t:is(b.membership.get_member(a.uri).incarnation, 3, 'the peer saw nothing else')
end)

fact('how much fits depends on the URI and the label, as doc/api.md says', function(t, cluster)
    local pod = 'storage-0.storage.production.svc.cluster.local'
    for _, case in ipairs({{host = 'localhost'}, {host = pod}, {host = 'localhost', label = 'billing'}}) do
        local node = cluster:node()
        local uri, limit = node:call(function(host, port, label)
            local membership = require('membership')
            require('membership.options').GROUP_LABEL = label
            membership.init(host, port)
            local _, err = pcall(membership.set_payload, 'long', ('x'):rep(2000))
            return membership.myself().uri, tonumber(err:match('at most (%d+) fit'))
        end, case.host, node.port, case.label or '')
        local label_size = case.label and #case.label + 3 or 0
        t:is(limit, 1472 - 179 - 5 * #uri - label_size, ('of %s with the label %s'):format(uri, case.label))
    end
end)

fact('the largest payload that is accepted reaches a peer that joins later', function(t, cluster)
    local a = cluster:member()
    local size = a:call(function()
        local membership = require('membership')
        local fits, too_much = 0, 2000
        while too_much - fits > 1 do
            local size = math.floor((fits + too_much) / 2)
            if pcall(membership.set_payload, 'long', ('x'):rep(size)) then
                fits = size
            else
                too_much = size
            end
        end
        membership.set_payload('long', ('y'):rep(fits))
        return fits
    end)
    t:ok(size > 1000, ('a kilobyte is accepted (the limit is %d)'):format(size))
    local b = cluster:member()
    b.membership.add_member(a.uri)
    t:ok(cluster:everyone_sees_payload(a.uri, {long = ('y'):rep(size)}), 'the peer gets all of it')

    b.membership.set_payload('long', ('z'):rep(size))
    t:ok(cluster:everyone_sees_payload(b.uri, {long = ('z'):rep(size)}), 'and when both are as large, too')
    a:call(function()
        require('membership').set_payload('long', 'short')
    end)
    t:ok(cluster:everyone_sees_payload(a.uri, {long = 'short'}), 'and what comes after')
end)

fact('a value that cannot be encoded raises, and nothing changes', function(t, cluster)
    local a = cluster:group(2, {options = {}})
    a.membership.set_payload('n', 1)
    cluster:everyone_sees_payload(a.uri, {n = 1})
    local before = a.membership.myself()
    local outcomes = a:call(function()
        local membership = require('membership')
        local cyclic = {}
        cyclic.itself = cyclic
        local outcomes = {}
        for name, value in pairs({
            ['function'] = print,
            nested = {deep = {print}},
            cyclic = cyclic,
            coroutine = coroutine.create(print),
            userdata = io.stdout,
        }) do
            local ok, err = pcall(membership.set_payload, 'bad', value)
            outcomes[name] = {ok = ok, type = type(err)}
            ok = pcall(membership.set_payload, {bad = value})
            outcomes[name].whole = ok
        end
        return outcomes
    end)
    for name, outcome in pairs(outcomes) do
        t:is_deeply(outcome, {ok = false, whole = false, type = 'string'}, name .. ' raises a string')
    end
    t:is_deeply(a.membership.myself(), before, 'it is what it was')
    a.membership.set_payload('n', 2)
    t:ok(cluster:everyone_sees_payload(a.uri, {n = 2}), 'and goes on')
end)

-- A map may have numbers for keys: Lua then finds the end of the "array" in any gap.
fact('maps with gaps between their numbers can be read, whoever sent them', function(t, cluster)
    local a = cluster:member({options = {}})
    local stranger = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    stranger.answers = true
    for incarnation, keys in ipairs({{1, 2, 4}, {1, 2, 4, 8, 16, 32, 64}, {-1, 0, 2 ^ 40, 2 ^ 60}}) do
        local payload = setmetatable({}, {__serialize = 'map'})
        for _, key in ipairs(keys) do
            payload[key] = 1
        end
        stranger:send(a.uri, 'LEAVE', nil, {{stranger.uri, 1, incarnation, payload, 1}})
        cluster:wait('the payload', function()
            return a:call(function(uri, wanted)
                local member = require('membership').get_member(uri)
                return member ~= nil and member.incarnation == wanted
            end, stranger.uri, incarnation)
        end)
        t:is(a:call(function(uri)
            local sum = 0
            for _, value in pairs(require('membership').members()[uri].payload) do
                sum = sum + value
            end
            return sum
        end, stranger.uri), #keys, ('a peer with %d numbers'):format(#keys))
    end
    local count = a:call(function()
        local membership = require('membership')
        membership.set_payload('t', {[1] = 1, [2] = 1, [4] = 1, [8] = 1, [16] = 1, [32] = 1, [64] = 1})
        local count = 0
        for _ in pairs(membership.myself().payload.t) do
            count = count + 1
        end
        return count
    end)
    t:is(count, 7, 'and the payload of the instance itself')
end)

suite.run()
