-- membership.stats: the counters rise by what has happened, and by nothing else.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fio = require('fio')
local scene = require('scene')
local suite = require('suite')

local fact = suite.fact

--- The value at a path of names with dots in between.
local function at(stats, path)
    for name in path:gmatch('[^.]+') do
        stats = stats[name]
    end
    return stats
end

--- Waits until the counter of the node is at least that.
local function rises(t, cluster, node, path, least)
    t:ok(cluster:wait(('%s to be %d'):format(path, least), function()
        local value = at(node.membership.stats(), path)
        return value >= least, tostring(value)
    end), path)
end

fact('before init all counters are there, and nothing has happened', function(t, cluster)
    local stats = cluster:node().membership.stats()
    local function check(path, value)
        if type(value) == 'table' then
            for name, item in pairs(value) do
                check(path .. '.' .. name, item)
            end
        elseif path == '.lock.longest_seconds' then
            t:ok(value >= 0, path)
        elseif path == '.isolation.now' then
            t:is(value, false, path)
        else
            t:is(value, 0, path)
        end
    end
    check('', stats)
    t:is(type(stats.dropped.undecryptable), 'number', 'there are some')
end)

fact('what is said and heard is counted, by type, and so is who is there', function(t, cluster)
    local a, b = cluster:group(2)
    for _, type_name in ipairs({'PING', 'ACK', 'LEAVE'}) do
        rises(t, cluster, a, 'sent.datagrams.' .. type_name, 1)
        rises(t, cluster, a, 'received.datagrams.' .. type_name, 1)
    end
    rises(t, cluster, a, 'probes.answered_directly', 3)
    rises(t, cluster, a, 'rumors.sent', 1)
    rises(t, cluster, a, 'rumors.expired', 1)
    local stats = a.membership.stats()
    for _, direction in ipairs({'sent', 'received'}) do
        local datagrams, bytes = stats[direction].datagrams.PING, stats[direction].bytes.PING
        t:ok(bytes > 40 * datagrams and bytes < 1500 * datagrams, 'bytes of PINGs ' .. direction)
    end
    t:is_deeply(stats.members, {alive = 2, suspect = 0, dead = 0, ['non-decryptable'] = 0, left = 0}, 'members')
    t:is(stats.version, (a.membership.wait()), 'the version is that of wait')
    t:ok(stats.round_trip.last_seconds > 0, 'the last round trip')
    t:ok(stats.round_trip.smoothed_seconds > 0, 'all of them, smoothed')
    t:ok(stats.round_trip.p99_seconds >= 0, 'and 99 of 100')
    t:is(stats.probes.failed, 0, 'no probe has failed')
    t:ok(stats.probes.sent - stats.probes.answered_directly - stats.probes.answered_by_relay <= 1,
        'and not more than one is under way')
    b.membership.leave()
    rises(t, cluster, a, 'members.left', 1)
end)

fact('editors are told of each field that there is, and of no other', function(t, cluster)
    local stats = cluster:node().membership.stats()
    local path = fio.pathjoin(fio.dirname(fio.abspath(arg[0])), '..', 'lua', 'membership', 'internal', 'stats.lua')
    local file = assert(fio.open(path, {'O_RDONLY'}))
    local class = file:read():match('@class membership.Stats[^\n]*\n(.-)\n\n')
    file:close()
    local described = {}
    for name, rest in class:gmatch('@field ([%l_]+) ([^\n]+)') do
        described[name] = true
        for field in rest:gmatch('([%l%d_]+)%??: ') do
            t:ok(field:endswith('_seconds') or stats[name][field] ~= nil, name .. '.' .. field)
        end
        for field in pairs(type(stats[name]) == 'table' and rest:startswith('{') and stats[name] or {}) do
            t:ok(rest:find(field .. '%f[?:]'), name .. '.' .. field .. ' is described')
        end
    end
    for name in pairs(stats) do
        t:ok(described[name], name .. ' is described')
        described[name] = nil
    end
    t:is_deeply(described, {}, 'and nothing else')
end)

fact('a death leaves its traces', function(t, cluster)
    local a, b = cluster:group(2)
    b:kill()
    cluster:everyone_sees(b.uri, 'dead', {a})
    local stats = a.membership.stats()
    t:ok(stats.probes.failed >= 1, 'a probe that failed')
    t:is(stats.suspicions.raised, 1, 'a suspicion')
    t:is(stats.suspicions.turned_dead, 1, 'that turned into a death')
    t:is(stats.members.dead, 1, 'a dead member')
    b:restart()
    cluster:init(b)
    cluster:everyone_sees(b.uri, 'alive', {a})
    t:ok(b.membership.stats().refutations >= 1, 'it has contradicted')
end)

fact('a suspicion that is refuted is counted by both', function(t, cluster)
    local a, b, c = cluster:group(3)
    a:call(function(uri)
        require('membership.events').generate(uri, require('membership.options').SUSPECT)
    end, b.uri)
    rises(t, cluster, b, 'refutations', 1)
    rises(t, cluster, a, 'suspicions.refuted', 1)
    t:is(c.membership.stats().suspicions.raised, 0, 'nobody else has raised any')
end)

fact('a thread that hung, and a process that was stopped', function(t, cluster)
    local a, b = cluster:group(2)
    a:call(function()
        local clock, options = require('clock'), require('membership.options')
        options.TX_STALL_TIMEOUT_SECONDS = 0.3
        local deadline = clock.monotonic() + 2
        while clock.monotonic() < deadline do end
    end)
    rises(t, cluster, a, 'stalls.count', 1)
    rises(t, cluster, a, 'stalls.longest_seconds', 0.3)
    b:stop()
    cluster:everyone_sees(b.uri, 'suspect', {a})
    b:cont()
    rises(t, cluster, b, 'pauses', 1)
end)

fact('what cannot be understood is counted by reason', function(t, cluster)
    local a = cluster:member()
    local socket = cluster:udp('127.0.0.1', cluster:port())
    local function send(bytes)
        socket:sendto(a.host, a.port, bytes)
    end
    send('\xc1')
    rises(t, cluster, a, 'dropped.not_msgpack', 1)
    send('\x01')
    rises(t, cluster, a, 'dropped.not_a_message', 1)
    a.membership.set_encryption_key('the key')
    send('not encrypted at all')
    rises(t, cluster, a, 'dropped.undecryptable', 1)
    a:call(function()
        require('membership.options').ENCRYPTION_CIPHER = 'xchacha20-poly1305'
    end)
    send('not encrypted at all')
    rises(t, cluster, a, 'dropped.not_sealed', 1)
end)

fact('tables are exchanged and compared, and that is answered', function(t, cluster)
    local a, b = cluster:group(2)
    t:ok(cluster:wait('one of them to have compared tables', function()
        local one, other = a.membership.stats().repairs, b.membership.stats().repairs
        return one.answered + other.answered >= 1 and one.begun + other.begun >= 1
    end), 'with its own kind')
    local peer = scene.old_member(cluster)
    a.membership.add_member(peer.uri)
    rises(t, cluster, a, 'syncs.begun', 1)
    rises(t, cluster, a, 'syncs.answered', 1)
end)

fact('names that do not resolve, and what cannot be sent', function(t, cluster)
    local a = cluster:node()
    a.membership.init('127.0.0.1', a.port, {bind = '127.0.0.1'})
    a.membership.add_member('no-such-name.invalid:3301')
    rises(t, cluster, a, 'resolver.queries', 1)
    rises(t, cluster, a, 'resolver.failures', 1)
    t:ok(a.membership.stats().resolver.longest_seconds > 0, 'it took some time')
    a.membership.add_member('192.0.2.1:1') -- Linux sends nothing from 127.0.0.1 to other machines
    rises(t, cluster, a, 'send_errors', 1)
end)

fact('the table is not shared', function(t, cluster)
    local a = cluster:member()
    local stats = a:call(function()
        local membership = require('membership')
        local stats = membership.stats()
        stats.members.alive = 77
        return membership.stats()
    end)
    t:is(stats.members.alive, 1, 'to edit it changes nothing')
end)

suite.run()
