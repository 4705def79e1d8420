-- ALLOWED_NETWORKS, and the strict list of set_allowed_members: strangers are not taken in, though they are alive.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local logged = require('logged')
local machine = require('machine')
local routed = require('routed')
local suite = require('suite')
local fact = suite.fact

local NOT_THERE = 'its address is in none of ALLOWED_NETWORKS'
local NOT_LISTED = 'it is not on the strict list of set_allowed_members'

--- Calls `play(instance)` with two networks; `instance(host, name)` starts a member at one of them. There the name
-- other-host leads to 10.9.2.2.
local function with_networks(t, cluster, play)
    local opts = machine.with_etc({hosts = '127.0.0.1 localhost\n10.9.2.2 other-host\n'})
    routed.play(t, cluster, nil, opts, play)
end

local function allow(node, networks)
    node:call(function(list)
        require('membership.options').ALLOWED_NETWORKS = list
    end, networks)
end

local function wait_for_count(cluster, node, what, read)
    return cluster:wait(what, function()
        return read(node.membership.stats()) > 0
    end)
end

fact('of another network nothing is read, and no member is taken in', function(t, cluster)
    with_networks(t, cluster, function(instance)
        local a, c = instance('10.9.1.2', 'one'), instance('10.9.1.3', 'one')
        local b = instance('10.9.2.2', 'other')
        logged.begin(a)
        allow(a, {'10.9.1.0/24', 'fd00::/8'})
        b.membership.add_member(a.uri)
        t:ok(wait_for_count(cluster, a, 'datagrams to be dropped', function(stats)
            return stats.dropped.elsewhere
        end), 'they are counted')
        t:is_deeply({b.membership.probe_uri(a.uri)}, {false, 'no response'}, 'they are not answered')
        t:is(a.membership.stats().received.datagrams.PING > 0, true, 'its own pings are, all the same')
        local line = ('Ignoring datagrams from %s: from an address that is in none of ALLOWED_NETWORKS'):format(b.uri)
        t:ok(logged.wait(a, 'warn', line), 'the log says so')

        t:is_deeply({a.membership.add_member(b.uri)}, {nil, NOT_THERE}, 'add_member says so')
        t:is_deeply({a.membership.probe_uri(b.uri)}, {false, NOT_THERE}, 'and probe_uri')
        c.membership.add_member(a.uri)
        c.membership.add_member(b.uri)
        cluster:acquaint({a, c})
        cluster:acquaint({b, c})
        t:ok(wait_for_count(cluster, a, 'members to be turned away', function(stats)
            return stats.members_elsewhere
        end), 'what others tell of it is not taken in')
        t:is(a:status_of(b.uri), nil, 'it is no member')

        allow(a, {})
        t:ok(cluster:everyone_sees(b.uri, 'alive', {a, b, c}), 'once all networks are allowed, it is')
        cluster:record(c)
        allow(a, {'10.9.1.0/24'})
        t:is(a:status_of(b.uri), nil, 'and not any more when they are not')
        cluster:let_pass(3) -- in which a suspicion would come to its end
        t:is_deeply(cluster:recorded(c, b.uri), {'alive ' .. c.membership.get_member(b.uri).incarnation},
            'others are not told that it is dead')
    end)
end)

fact('a name that leads to another network is not taken in either', function(t, cluster)
    with_networks(t, cluster, function(instance)
        local a, b = instance('10.9.1.2', 'one'), instance('other-host', 'other')
        logged.begin(a)
        allow(a, {'10.9.1.0/24'})
        t:is(a.membership.add_member(b.uri), true, 'a name may lead anywhere')
        local line = ('The addresses of %s are in none of ALLOWED_NETWORKS: it is not taken in. '):format(b.uri)
            .. 'Add its network to the option, or correct its name'
        t:ok(logged.wait(a, 'warn', line), 'the log says where it leads')
        t:is(a:status_of(b.uri), nil, 'and it is no member')
        t:is_deeply({a.membership.probe_uri(b.uri)}, {false, 'its addresses are in none of ALLOWED_NETWORKS'}, 'probe')
        allow(a, nil)
        t:is(a.membership.probe_uri(b.uri), true, 'it is, when it may be')
    end)
end)

fact('the option is a list of networks', function(t, cluster)
    local a = cluster:member()
    local function assign(value)
        return a:call(function(list)
            local options = require('membership.options')
            local ok, err = pcall(function() options.ALLOWED_NETWORKS = list end)
            return options.ALLOWED_NETWORKS, not ok and err:gsub('^.-: ', '') or nil
        end, value)
    end
    t:is_deeply({assign({'10.0.0.0/8', '192.0.2.1'})}, {{'10.0.0.0/8', '192.0.2.1/32'}}, 'it is what was assigned')
    t:is(a.membership.probe_uri(a.uri), true, 'loopback is always allowed')
    local many, shown = {}, '{' .. ('10.0.0.0/8, '):rep(9):sub(1, 99) .. '...'
    for i = 1, 1e5 do
        many[i] = '10.0.0.0/8'
    end
    for _, row in ipairs({
        {many, 'at most 64 networks expected, got ' .. shown},
        {{'10.0.0.0/8', 'a'}, 'a network like 10.0.0.0/8 or fd00::/8 expected as entry 2, got {10.0.0.0/8, a}'},
        {'10.0.0.0/8', 'table expected, got string'},
        {{1}, 'list of strings expected, got another table'},
        {{a = '10.0.0.0/8'}, 'list of strings expected, got another table'},
    }) do
        local kept, err = assign(row[1])
        t:is(err, ('bad option ALLOWED_NETWORKS (%s)'):format(row[2]), 'an error')
        t:is(#kept, 2, 'and it stays')
    end
    a:call(function() package.loaded['membership'] = nil; require('membership') end)
    local kept = a:call(function()
        for name, value in pairs(require('membership.options')) do
            if name == 'ALLOWED_NETWORKS' then
                return value
            end
        end
    end)
    t:is_deeply(kept, {'10.0.0.0/8', '192.0.2.1/32'}, 'over a reload, and for pairs')
    t:is_deeply({assign(nil)}, {{}}, 'nil allows all')
end)

fact('a strict list refuses strangers that are alive', function(t, cluster)
    local a, b, c = cluster:group(3)
    a.membership.set_allowed_members({b.uri}, {strict = true})
    t:is(a:status_of(c.uri), nil, 'it is removed')
    t:ok(wait_for_count(cluster, a, 'datagrams to be dropped', function(stats)
        return stats.dropped.not_allowed
    end), 'its datagrams are counted')
    t:ok(wait_for_count(cluster, a, 'members to be turned away', function(stats)
        return stats.members_not_allowed
    end), 'and what others tell of it')
    cluster:let_pass(2) -- in which it would come back
    t:is(a:status_of(c.uri), nil, 'it does not come back')
    t:is_deeply({a.membership.add_member(c.uri)}, {nil, NOT_LISTED}, 'add_member says so')
    t:is_deeply({a.membership.probe_uri(c.uri)}, {false, NOT_LISTED}, 'and probe_uri')
    t:is(a.membership.probe_uri(a.uri), true, 'the instance itself need not be listed')
    t:ok(cluster:everyone_sees(a.uri, 'alive', {a, b}), 'the members on the list see it')
    t:ok(cluster:everyone_sees(b.uri, 'alive', {a, b, c}), 'and the others are left alone')
    a.membership.set_allowed_members({})
    t:ok(cluster:everyone_sees(c.uri, 'alive', {a, b, c}), 'without a list all are taken in again')
end)

fact('the role has fields for both', function(t, cluster)
    local a, b = cluster:member(), cluster:node()
    local function apply(cfg)
        cfg.advertise, cfg.seeds = b.uri, {a.uri}
        return b:call(function(wanted)
            local role = require('roles.membership')
            local ok, err = pcall(role.validate, wanted)
            if ok then
                role.apply(wanted)
            end
            return not ok and err or require('membership.options').ALLOWED_NETWORKS
        end, cfg)
    end
    t:is_deeply(apply({allowed_networks = {'10.0.0.0/8'}, allowed_members = {a.uri}, strict = true}), {'10.0.0.0/8'},
        'they are applied')
    cluster:acquaint({a, b})
    t:is_deeply({b.membership.add_member('127.0.0.1:9')}, {nil, NOT_LISTED}, 'strictly')
    t:is_deeply(apply({}), {}, 'what is taken out is as it was')
    t:is(b.membership.add_member('127.0.0.1:9'), true, 'the list, too')
    t:is(apply({allowed_networks = {'x'}}), 'roles_cfg.roles.membership.allowed_networks: a network like 10.0.0.0/8 '
        .. 'or fd00::/8 expected as entry 1, got {x}', 'a bad one is refused')
    t:is(apply({strict = true}), 'roles_cfg.roles.membership.strict: there are no allowed_members: give a list of '
        .. 'them, or auto', 'strictness without a list, too')
end)

suite.run()
