-- The parts of the module that users require by their own names: membership.members and the constants of the options.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

fact('the options have the numbers and the names of the statuses', function(t, cluster)
    local a = cluster:node()
    local constants = a:call(function()
        local options = require('membership.options')
        local constants = {}
        for _, name in ipairs({'ALIVE', 'SUSPECT', 'DEAD', 'NONDECRYPTABLE', 'LEFT'}) do
            constants[name] = {options[name], options.STATUS_NAMES[options[name]]}
        end
        return constants
    end)
    t:is_deeply(constants, {
        ALIVE = {1, 'alive'},
        SUSPECT = {2, 'suspect'},
        DEAD = {3, 'dead'},
        NONDECRYPTABLE = {4, 'non-decryptable'},
        LEFT = {5, 'left'},
    }, 'they do')
    t:is(a:call(function() return #require('membership.options').STATUS_NAMES end), 5, 'and there are no others')
end)

fact('membership.members has the statuses as numbers, and all else as members() has it', function(t, cluster)
    local a, b, c, d = cluster:group(4)
    b.membership.set_payload('n', {1})
    cluster:everyone_sees_payload(b.uri, {n = {1}})
    c:kill()
    d.membership.leave()
    cluster:everyone_sees(c.uri, 'dead', {a})
    cluster:everyone_sees(d.uri, 'left', {a})
    local same, numbers, by_get, count = a:call(function()
        local membership = require('membership')
        local members, options = require('membership.members'), require('membership.options')
        local expected, numbers, by_get = membership.members(), {}, {}
        local same = true
        for uri, member in members.pairs() do
            local public = expected[uri]
            numbers[uri] = member.status
            by_get[uri] = members.get(uri).status
            same = same and member.uri == uri and member.incarnation == public.incarnation
                and member.timestamp == public.timestamp and type(member.timestamp) == 'cdata'
                and #(member.payload.n or {}) == #(public.payload.n or {})
                and options.STATUS_NAMES[member.status] == public.status
            expected[uri] = nil
        end
        return same and next(expected) == nil, numbers, by_get, members.count()
    end)
    t:ok(same, 'pairs() goes through the same')
    t:is_deeply(numbers, {[a.uri] = 1, [b.uri] = 1, [c.uri] = 3, [d.uri] = 5}, 'but for the numbers')
    t:is_deeply(by_get, numbers, 'get() has them, too')
    t:is(count, 4, 'count() counts all')
end)

fact('what programs on the Lua rock rely on is there: table.clear', function(t, cluster)
    t:is(cluster:node():call(function()
        require('membership')
        return type(table.clear)
    end), 'function', 'it is, without anybody else requiring it')
end)

fact('membership.members works before init, and what it returns can be edited', function(t, cluster)
    local a = cluster:node()
    local uri = '127.0.0.1:' .. cluster:port()
    local results = {a:call(function(absent)
        local members = require('membership.members')
        local before, unknown = members.count(), members.get(absent)
        require('membership.events').generate(absent, 3, 2, {n = 1})
        local info = members.get(absent)
        info.status, info.payload.n = 'spoilt', 'spoilt'
        for _, one in members.pairs() do
            one.status, one.payload.n = 'spoilt', 'spoilt'
        end
        return before, unknown, members.get(absent).status, members.get(absent).payload.n, members.count()
    end, uri)}
    t:is_deeply(results, {0, nil, 3, 1, 1}, 'it does')
    for _, case in ipairs({{nil, 'nil'}, {1, 'number'}}) do
        local ok, err = a:call(function(bad)
            return pcall(require('membership.members').get, bad)
        end, case[1])
        t:is(ok, false, case[2] .. ' is no uri')
        t:like(err, ('bad argument #1 to get %%(string expected, got %s%%)'):format(case[2]), 'in the words users know')
    end
end)

suite.run()
