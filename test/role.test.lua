-- The role `roles.membership`, on any Tarantool: Lua calls it as Tarantool 3.x does, with a stand-in for `config`.
-- In role_cluster.test.lua Tarantool 3.x itself does.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local document = require('document')
local files = require('files')
local fio = require('fio')
local logged = require('logged')
local msgpack = require('msgpack')
local suite = require('suite')
local yaml = require('yaml')

local fact = suite.fact

local ROOT = fio.abspath(fio.pathjoin(fio.dirname(arg[0]), '..'))

--- A quick life, as members of a cluster have by default.
local QUICK = {
    PROTOCOL_PERIOD_SECONDS = 0.2,
    ACK_TIMEOUT_SECONDS = 0.1,
    ANTI_ENTROPY_PERIOD_SECONDS = 1,
    SUSPECT_TIMEOUT_SECONDS = 1,
}

--- A configuration of the role, with quick options.
local function quick(cfg)
    cfg = cfg or {}
    cfg.options = cfg.options or QUICK
    return cfg
end

--- Starts processes and configures instances of the same names, `a` first. Each has the role, with what
-- `cfg_of(name, node)` returns, by default nothing. Returns the table of nodes, and a function that has the role
-- applied in all of them, or in those that it is told: as after `config:reload()`, with what `cfg_of` returns then.
local function start(cluster, names, cfg_of)
    local nodes = {}
    for name in names:gmatch('%a') do
        nodes[name] = cluster:node()
    end
    local function reload(some)
        local all = {}
        for name, node in pairs(nodes) do
            all[name] = {iproto = node.uri, cfg = quick(cfg_of and cfg_of(name, node))}
        end
        for name in (some or names):gmatch('%a') do
            nodes[name]:call(function(own, instances)
                require('fake_config').install(own, instances)
                local role = require('roles.membership')
                role.validate(instances[own].cfg)
                role.apply(instances[own].cfg)
            end, name, all)
        end
    end
    reload()
    return nodes, reload
end

--- Has the role of one process applied, by itself.
local function apply(node, cfg)
    return node:call(function(wanted)
        require('roles.membership').apply(wanted)
    end, cfg)
end

--- What `validate` says of a configuration: nothing if it is one.
local function refusal(node, cfg)
    local ok, err = node:call(function(wanted)
        local ok, err = pcall(require('roles.membership').validate, wanted)
        return ok, not ok and err or nil
    end, cfg)
    return not ok and err or nil
end

local function list(nodes)
    local result = {}
    for _, node in pairs(nodes) do
        table.insert(result, node)
    end
    return result
end

local function write(dir, name, text)
    local path = fio.pathjoin(dir, name)
    files.write(path, text, '600')
    return path
end

fact('instances with nothing but the role meet, by what the configuration says of iproto', function(t, cluster)
    local nodes = start(cluster, 'abc')
    cluster:acquaint(list(nodes))
    local status = nodes.a:call(function() return require('roles.membership').status() end)
    t:is_deeply(status, {
        uri = nodes.a.uri,
        members = 3,
        alive = 3,
        suspect = 0,
        dead = 0,
        left = 0,
        ['non-decryptable'] = 0,
    }, 'the status counts them')
    nodes.c:kill()
    cluster:everyone_sees(nodes.c.uri, 'dead', {nodes.a})
    status = nodes.a:call(function() return require('roles.membership').status() end)
    t:is(status.alive, 2, 'and tells how many are alive')
    t:is(status.dead, 1, 'and dead')
end)

fact('an instance may have a port of its own, or another address, and others know', function(t, cluster)
    local ports = {a = cluster:port(), b = cluster:port()}
    local nodes = start(cluster, 'abc', function(name)
        if name == 'a' then
            return {port = ports.a}
        elseif name == 'b' then
            return {advertise = 'localhost:' .. ports.b}
        end
    end)
    local uris = {'127.0.0.1:' .. ports.a, 'localhost:' .. ports.b, nodes.c.uri}
    for _, uri in ipairs(uris) do
        t:ok(cluster:everyone_sees(uri, 'alive', list(nodes)), uri .. ' is alive')
    end
    t:is(nodes.c.membership.stats().members.alive, 3, 'and there are no others')
end)

fact('seeds may be given, and are met when they are added', function(t, cluster)
    local seeds = {a = {}, b = {}}
    local nodes, reload = start(cluster, 'ab', function(name) return {seeds = seeds[name]} end)
    local c = cluster:member()
    t:is(nodes.a.membership.stats().members.alive, 1, 'an empty list is none')
    seeds.a = {c.uri, nodes.a.uri}
    reload()
    cluster:acquaint({nodes.a, c})
    t:is(nodes.a:status_of(c.uri), 'alive', 'one that was added is met')
    c.membership.leave()
    cluster:everyone_sees(c.uri, 'left', {nodes.a})
    reload()
    t:is(nodes.a:status_of(c.uri), 'left', 'one that has left is not taken for alive by a reload')
end)

fact('instances without the role are no seeds', function(t, cluster)
    local a = cluster:node()
    a:call(function(uri)
        require('fake_config').install('a', {
            a = {iproto = uri, cfg = {}},
            b = {iproto = 'localhost:1'},
            c = {iproto = 'unix/:/tmp/c.sock', cfg = {}},
            d = {iproto = 'localhost:2', cfg = {port = 'none'}},
            e = {cfg = {}},
            f = {iproto = 'user@localhost:3', cfg = {}},
        })
        require('roles.membership').apply({})
    end, a.uri)
    local uris = {}
    for uri in pairs(a.membership.members()) do
        table.insert(uris, uri)
    end
    table.sort(uris)
    t:is_deeply(uris, {a.uri, 'localhost:3'}, 'nor those that have no address')
end)

--- What the user sees of a process, and what `validate` must not change.
local function snapshot(node)
    return node:call(function()
        local options = {}
        require('membership') -- by which `pairs` knows the options
        for name, value in pairs(require('membership.options')) do
            options[name] = type(value) ~= 'function' and value or nil
        end
        local membership = require('membership')
        local fibers = {}
        for _, info in pairs(require('fiber').info()) do
            fibers[info.name] = true
        end
        return {
            options = options,
            members = membership.members(),
            key = membership.get_encryption_key() or 'none',
            has_fiber = fibers['membership.main'] or false,
        }
    end)
end

fact('what makes no sense is refused, by the name of its field, and changes nothing', function(t, cluster)
    local a = cluster:node()
    a:call(function(uri)
        require('fake_config').install('a', {a = {iproto = uri, cfg = {}}})
    end, a.uri)
    local key = write(a.dir, 'key', 'the key')
    local empty = write(a.dir, 'empty', '\n')
    local huge = write(a.dir, 'huge', ('x'):rep(5000))
    local many = {}
    for i = 1, 17 do
        many[i] = write(a.dir, 'key' .. i, 'key ' .. i)
    end
    local before = snapshot(a)
    local AT = 'roles_cfg.roles.membership'
    local cases = {
        {'x', ': table expected, got string'},
        {{sedes = 'auto'}, '.sedes: unknown field; there are advertise, allowed_members, allowed_networks, cipher, '
            .. 'group_label, key_file, keys, options, payload, port, profile, seeds, state_file, strict'},
        {{'auto'}, '.1: unknown field; there are '},
        {{advertise = 1}, '.advertise: string expected, got number'},
        {{advertise = 'localhost'}, ".advertise: host:port expected, got 'localhost' (no port between 1 and 65535)"},
        {{advertise = '0.0.0.0:3301'}, ".advertise: host:port expected, got '0.0.0.0:3301' (the unspecified address)"},
        {{port = '3301'}, '.port: number expected, got string'},
        {{port = 70000}, '.port: port between 1 and 65535 expected, got 70000'},
        {{port = 3301.5}, '.port: port between 1 and 65535 expected, got 3301.5'},
        {{advertise = 'localhost:3301', port = 3302},
            ".port: 3302 is not the port of advertise, 'localhost:3301': leave one out"},
        {{seeds = 'all'}, ".seeds: 'auto' or a list expected, got string"},
        {{seeds = {a = 'localhost:3301'}}, '.seeds: list of strings expected'},
        {{seeds = {'localhost:3301', 'localhost'}},
            ".seeds[2]: host:port expected, got 'localhost' (no port between 1 and 65535)"},
        {{cipher = 'rot13', key_file = key}, '.cipher: one of aes-256-cbc, xchacha20-poly1305, '},
        {{cipher = 'xchacha20-poly1305'}, '.cipher: nothing is encrypted without a key: give key_file, too'},
        {{key_file = a.dir .. '/none'},
            (".key_file: cannot read '%s/none': No such file or directory"):format(a.dir)},
        {{key_file = a.dir}, (".key_file: cannot read '%s': not a regular file"):format(a.dir)},
        {{key_file = empty}, (".key_file: cannot read '%s': it is empty"):format(empty)},
        {{key_file = huge}, (".key_file: cannot read '%s': more than 4096 bytes"):format(huge)},
        {{key_file = key, keys = {key}}, '.keys: there is a key_file, too: give one of them'},
        {{keys = {}}, '.keys: list of files expected; leave it out for no encryption'},
        {{keys = {1}}, '.keys: list of strings expected'},
        {{keys = {key, a.dir .. '/none'}},
            (".keys[2]: cannot read '%s/none': No such file or directory"):format(a.dir)},
        {{keys = many}, '.keys: at most 16 encryption keys'},
        {{group_label = 5}, '.group_label: string expected, got number'},
        {{group_label = ('x'):rep(65)}, '.group_label: string of at most 64 bytes expected, got xxxx'},
        {{options = 'fast'}, '.options: table expected, got string'},
        {{options = {SUSPECT_TIMEOUT_SECOND = 3}}, '.options.SUSPECT_TIMEOUT_SECOND: no such option'},
        {{options = {log_debug = 'x'}}, '.options.log_debug: no such option'},
        {{options = {DEAD = 5}}, '.options.DEAD: no such option'},
        {{options = {'x'}}, '.options.1: no such option'},
        {{options = {SUSPECT_TIMEOUT_SECONDS = '3'}}, '.options.SUSPECT_TIMEOUT_SECONDS: number expected, got string'},
        {{options = {SUSPECT_TIMEOUT_SECONDS = {}}}, '.options.SUSPECT_TIMEOUT_SECONDS: number expected, got table'},
        {{options = {SUSPECT_TIMEOUT_SECONDS = -1}},
            '.options.SUSPECT_TIMEOUT_SECONDS: seconds between 0 and 31536000 expected, got -1'},
        {{options = {MAX_PACKET_SIZE = 100}},
            '.options.MAX_PACKET_SIZE: whole number between 512 and 65507 expected, got 100'},
        {{options = {ENCRYPTION_CIPHER = 'aes-256-cbc'}},
            '.options.ENCRYPTION_CIPHER: it is called cipher, beside options'},
        {{options = {GROUP_LABEL = 'x'}}, '.options.GROUP_LABEL: it is called group_label, beside options'},
        {{payload = 'east'}, '.payload: table expected, got string'},
        {{payload = {'east'}}, '.payload: keys are strings, and 1 is a number'},
        {{payload = {text = ('x'):rep(1500)}}, '.payload: payload is too large: '},
        {{payload = {text = ('x'):rep(600)}, options = {MAX_PACKET_SIZE = 600}}, '.payload: payload is too large: '},
        {{payload = {zone = {{[true] = 1}}}}, '.payload: zone[1] has a key of type boolean'},
    }
    for _, case in ipairs(cases) do
        local cfg, expected = unpack(case)
        local got = tostring(refusal(a, cfg))
        t:is(got:sub(1, #AT + #expected), AT .. expected, expected)
    end
    local err = a:call(function()
        return select(2, pcall(require('roles.membership').validate, {payload = {f = print}}))
    end)
    t:is(err, AT .. ".payload.f: unsupported Lua type 'function'", 'what cannot be encoded')
    local all = quick({advertise = 'localhost:1', seeds = {'localhost:2'}, cipher = 'xchacha20-poly1305', keys = {key},
        group_label = 'x', payload = {zone = 'east'}})
    t:is(refusal(a, all), nil, 'what makes sense is not refused')
    local none = {payload = {zone = box.NULL}, options = {MAX_MEMBERS = box.NULL}}
    t:is(refusal(a, none), nil, 'nor what is null')
    for _, name in ipairs({'advertise', 'cipher', 'group_label', 'key_file', 'keys', 'port', 'seeds', 'payload',
        'options'}) do
        none[name] = box.NULL
    end
    t:is(refusal(a, none), nil, 'nor fields that are null')
    t:is(refusal(a, box.NULL), nil, 'nor all of it')
    t:is_deeply(snapshot(a), before, 'and nothing has changed')
end)

fact('where an address cannot be known, the role says what to give', function(t, cluster)
    local a = cluster:node()
    local cases = {
        {{}, "'auto' takes the host from iproto.advertise.peer or iproto.listen, and neither has one: give host:port"},
        {{iproto = 'unix/:/tmp/a.sock'}, "'auto' takes the host from iproto.advertise.peer or iproto.listen, "
            .. "and 'unix/:/tmp/a.sock' is no host:port: give host:port"},
    }
    for _, case in ipairs(cases) do
        local instance, expected = unpack(case)
        a:call(function(own)
            require('fake_config').install('a', {a = own})
        end, instance)
        t:is(refusal(a, {}), 'roles_cfg.roles.membership.advertise: ' .. expected, expected)
    end
    a:call(function() package.loaded.config = false end)
    local text = "'auto' takes a configuration of Tarantool 3.1 or later: give "
    t:is(refusal(a, {}), ('roles_cfg.roles.membership.advertise: %shost:port'):format(text), 'where there is no config')
    t:is(refusal(a, {advertise = a.uri}), ('roles_cfg.roles.membership.seeds: %sa list'):format(text), 'nor seeds')
    t:is(refusal(a, {advertise = a.uri, seeds = {}}), nil, 'but with both it works without one')
end)

--- The socket at a port, as the system knows it: another number is another socket.
local function inode(port)
    for _, table_ in ipairs({'/proc/net/udp', '/proc/net/udp6'}) do
        for line in io.lines(table_) do
            local hex = line:match('^%s*%d+: %x+:(%x+)')
            if hex ~= nil and tonumber(hex, 16) == port then
                local words = line:split()
                return words[10]
            end
        end
    end
end

fact('to apply the same again changes nothing', function(t, cluster)
    local keys = {}
    local nodes, reload = start(cluster, 'ab', function(_, node)
        keys[1] = keys[1] or write(node.dir, 'key', 'the key\r\n')
        return {
            cipher = 'xchacha20-poly1305',
            key_file = keys[1],
            group_label = 'production',
            payload = {zone = 'east', nested = {1, {2}}},
        }
    end)
    local a, b = nodes.a, nodes.b
    cluster:everyone_sees_payload(a.uri, {zone = 'east', nested = {1, {2}}}, {a, b})
    t:is(a.membership.get_encryption_key():strip(), 'the key', 'the line break is no part of the key')
    local before, socket = a.membership.myself(), inode(a.port)
    cluster:record(b)
    logged.begin(a)
    for _ = 1, 3 do
        reload()
    end
    t:isnt(socket, nil, 'there is a socket')
    t:is(inode(a.port), socket, 'it stays the same')
    t:is(a.membership.myself().incarnation, before.incarnation, 'so does the incarnation')
    t:is(a.membership.myself().timestamp, before.timestamp, 'and the timestamp')
    t:is_deeply(cluster:recorded(b, a.uri), {'alive ' .. before.incarnation}, 'the other sees no change')
    t:is_deeply(logged.lines(a), {}, 'and nothing is logged')
end)

fact('an option that is taken out has its default again, and one that the program has set stays', function(t, cluster)
    local options = {PROTOCOL_PERIOD_SECONDS = 0.2, SUSPECT_TIMEOUT_SECONDS = 7}
    local label = 'production'
    local nodes, reload = start(cluster, 'a', function() return {options = options, group_label = label} end)
    local function read(name)
        return nodes.a:call(function(option) return require('membership.options')[option] end, name)
    end
    nodes.a:call(function() require('membership.options').MAX_MEMBERS = 100 end)
    t:is(read('SUSPECT_TIMEOUT_SECONDS'), 7, 'it is what the configuration says')
    t:is(read('GROUP_LABEL'), 'production', 'and so is the label')
    options, label = {PROTOCOL_PERIOD_SECONDS = 0.3}, nil
    reload()
    t:is(read('SUSPECT_TIMEOUT_SECONDS'), 3, 'taken out, it has its default')
    t:is(read('GROUP_LABEL'), '', 'and so has the label')
    t:is(read('PROTOCOL_PERIOD_SECONDS'), 0.3, 'another has changed')
    t:is(read('MAX_MEMBERS'), 100, 'what the program has set stays')
end)

fact('keys of the payload that are taken out disappear, and those of the program stay', function(t, cluster)
    local payload = {zone = 'east', weight = 1}
    local nodes, reload = start(cluster, 'ab', function() return {payload = payload} end)
    cluster:acquaint(list(nodes))
    nodes.a.membership.set_payload('leader', true)
    payload = {zone = 'west'}
    reload()
    t:ok(cluster:everyone_sees_payload(nodes.a.uri, {zone = 'west', leader = true}, list(nodes)), 'so it is')
    payload = nil
    reload()
    t:ok(cluster:everyone_sees_payload(nodes.a.uri, {leader = true}, list(nodes)), 'also when there is no payload')
    t:ok(cluster:everyone_sees_payload(nodes.b.uri, {}, list(nodes)), 'of another, nothing is left')
end)

fact('payload and options may change together, though each alone would not fit', function(t, cluster)
    local cfg = {payload = {text = ('x'):rep(1200)}}
    local nodes, reload = start(cluster, 'a', function() return cfg end)
    logged.begin(nodes.a)
    local function is_as_configured(what)
        reload()
        t:is(nodes.a.membership.myself().payload.text, cfg.payload.text, what)
        t:is(nodes.a:call(function() return require('membership.options').MAX_PACKET_SIZE end),
            cfg.options.MAX_PACKET_SIZE, 'and the packets are')
    end
    cfg = quick({payload = {text = 'x'}, options = {MAX_PACKET_SIZE = 512}})
    is_as_configured('the payload is smaller')
    cfg = quick({payload = {text = ('x'):rep(2000)}, options = {MAX_PACKET_SIZE = 4000}})
    is_as_configured('the payload is larger')

    -- A label needs room, too. This payload leaves none for it in such packets.
    local small = {MAX_PACKET_SIZE = 600}
    local limit = refusal(nodes.a, {payload = cfg.payload, options = small}):match('at most (%d+)')
    local payload = {text = ('x'):rep(tonumber(limit) - #msgpack.encode({text = ('x'):rep(256)}) + 256)}
    cfg = quick({payload = payload, options = small})
    is_as_configured('the payload fills the packets')
    cfg = quick({payload = payload, options = {MAX_PACKET_SIZE = 700}, group_label = ('x'):rep(64)})
    is_as_configured('a label comes, and larger packets')
    cfg = quick({payload = payload, options = small})
    is_as_configured('both go')
    t:is_deeply(logged.lines(nodes.a, 'warn'), {}, 'without a warning')
end)

fact('another port moves the instance, and the members stay', function(t, cluster)
    local port
    local nodes, reload = start(cluster, 'ab', function(name) return {port = name == 'a' and port or nil} end)
    local a, b = nodes.a, nodes.b
    cluster:acquaint({a, b})
    port = cluster:port()
    reload()
    local moved = '127.0.0.1:' .. port
    t:is(a.membership.myself().uri, moved, 'it has moved')
    t:ok(cluster:everyone_sees(moved, 'alive', {a, b}), 'it is alive there')
    t:ok(cluster:everyone_sees(a.uri, 'dead', {a, b}), 'and not where it was')
    t:is(a:status_of(b.uri), 'alive', 'it knows the other')
end)

fact('a port that is taken is an error in the words of the system, and the instance stays', function(t, cluster)
    local a = start(cluster, 'a').a
    local taken = cluster:port()
    cluster:udp('127.0.0.1', taken)
    local ok, err = a:call(function(cfg)
        return pcall(require('roles.membership').apply, cfg)
    end, quick({port = taken}))
    t:is(ok, false, 'it is an error')
    t:is(err, ('Socket bind error (%d/udp): Address already in use'):format(taken), 'it says why')
    t:is(a.membership.myself().uri, a.uri, 'it is where it was')
    apply(a, quick())
    t:is(a.membership.myself().uri, a.uri, 'and a better configuration is applied')
end)

fact('the key is changed by three reloads, one instance after the other, and no one is suspected', function(t, cluster)
    local keys
    local nodes, reload = start(cluster, 'abc', function(_, node)
        local old, new = write(node.dir, 'old', 'the old key\n'), write(node.dir, 'new', 'the new key\n')
        local key_files = {old = old, new = new}
        local named = {}
        for _, name in ipairs(keys or {'old'}) do
            table.insert(named, key_files[name])
        end
        if #named == 1 then
            return {cipher = 'xchacha20-poly1305', key_file = named[1]}
        end
        return {cipher = 'xchacha20-poly1305', keys = named}
    end)
    cluster:acquaint(list(nodes))
    for _, node in pairs(nodes) do
        cluster:record(node)
        logged.begin(node)
    end
    for step, wanted in ipairs({{'old', 'new'}, {'new', 'old'}, {'new'}}) do
        keys = wanted
        for name in ('abc'):gmatch('%a') do
            reload(name)
            cluster:let_pass(1) -- five periods: each is probed by each
        end
        t:is(nodes.a.membership.probe_uri(nodes.b.uri), true, ('step %d: they understand one another'):format(step))
    end
    t:is(nodes.a.membership.get_encryption_key():strip(), 'the new key', 'the key is the new one')
    for name, node in pairs(nodes) do
        for other_name, other in pairs(nodes) do
            t:unlike(table.concat(cluster:recorded(node, other.uri), ', '), '[sd]', -- suspect, dead
                ('%s has not suspected %s'):format(name, other_name))
        end
        t:is_deeply(logged.lines(node, 'warn'), {}, name .. ' warns of nothing')
    end
end)

fact('a key that replaces another one at once is used, with a warning', function(t, cluster)
    local text = 'the old key'
    local nodes, reload = start(cluster, 'a', function(_, node) return {key_file = write(node.dir, 'key', text)} end)
    logged.begin(nodes.a)
    text = 'the new key'
    reload()
    t:is(nodes.a.membership.get_encryption_key():strip(), 'the new key', 'what is in the file is used')
    local warnings = logged.lines(nodes.a, 'warn')
    t:is(#warnings, 1, 'there is one warning')
    t:like(warnings[1].text, '^Encryption key replaced at once: ', 'it says what has happened')
end)

fact('a plain group becomes an encrypted one by two reloads, and back, and no one is suspected', function(t, cluster)
    local step
    local nodes, reload = start(cluster, 'ab', function(_, node)
        local key = write(node.dir, 'key', 'the key')
        if step == 'both' then
            return {cipher = 'plain+xchacha20-poly1305', key_file = key}
        elseif step == 'encrypted' then
            return {cipher = 'xchacha20-poly1305', key_file = key}
        end
    end)
    local a, b = nodes.a, nodes.b
    cluster:acquaint({a, b})
    cluster:record(a)
    for _, wanted in ipairs({'both', 'encrypted', 'both', 'plain'}) do
        step = wanted
        for name in ('ab'):gmatch('%a') do
            reload(name)
            cluster:let_pass(1)
        end
        t:is(a.membership.probe_uri(b.uri), true, wanted .. ': they understand one another')
    end
    t:unlike(table.concat(cluster:recorded(a, b.uri), ', '), '[sd]', 'the other was not suspected')
    t:is(a.membership.get_encryption_key(), nil, 'there is no key any more')
end)

fact('a key that the program has set stays, where the configuration has none', function(t, cluster)
    local nodes, reload = start(cluster, 'a')
    nodes.a.membership.set_encryption_key('of the program')
    reload()
    t:is(nodes.a.membership.get_encryption_key():strip(), 'of the program', 'it does')
end)

fact('stop leaves, and apply begins anew', function(t, cluster)
    local payload = {zone = 'east'}
    local nodes, reload = start(cluster, 'ab', function() return {payload = payload} end)
    local a, b = nodes.a, nodes.b
    cluster:acquaint({a, b})
    a:call(function() require('roles.membership').stop() end)
    t:ok(cluster:everyone_sees(a.uri, 'left', {b}), 'it has left')
    local status, ok, reason = a:call(function()
        local role = require('roles.membership')
        local ok, reason = role.health_check()
        return role.status(), ok, reason
    end)
    t:is(status.uri, nil, 'its status has no URI')
    t:is(status.members, 0, 'and no members')
    t:is(ok, false, 'it is not healthy')
    t:is(reason, 'membership is not initialized', 'and says why')
    a:call(function() require('roles.membership').stop() end)
    payload = {weight = 1}
    reload()
    t:ok(cluster:everyone_sees_payload(a.uri, {weight = 1}, {a, b}), 'it is back, with nothing of what it was')
    t:is(a:status_of(b.uri), 'alive', 'and knows the others')
    t:is(a:call(function() return require('roles.membership').health_check() end), true, 'it is healthy')
end)

fact('an instance that its own address does not lead to is not healthy', function(t, cluster)
    local a = cluster:node()
    local uri = '192.0.2.1:' .. cluster:port() -- no machine has it (RFC 5737)
    apply(a, quick({advertise = uri, seeds = {}}))
    t:ok(cluster:wait('it to find out', function()
        local ok, reason = a:call(function() return require('roles.membership').health_check() end)
        return ok == false and reason == uri .. ' is suspect', tostring(reason)
    end), 'it says so')
end)

fact('an instance that is told to end leaves', function(t, cluster)
    local major, minor = _TARANTOOL:match('^(%d+)%.(%d+)')
    if tonumber(major) * 100 + tonumber(minor) >= 304 then
        t:skip('from 3.4 on Tarantool itself stops its roles: see role_cluster.test.lua')
        return
    end
    local nodes, reload = start(cluster, 'ab')
    reload()
    cluster:acquaint(list(nodes))
    cluster:record(nodes.b)
    nodes.a:signal('TERM')
    t:is(nodes.a:wait_exit(), 0, 'it ends')
    t:ok(cluster:everyone_sees(nodes.a.uri, 'left', {nodes.b}), 'it has left')
    t:unlike(table.concat(cluster:recorded(nodes.b, nodes.a.uri), ', '), 'suspect', 'and was not suspected')
end)

fact('it survives a reload of the module', function(t, cluster)
    local payload, options = {zone = 'east'}, {SUSPECT_TIMEOUT_SECONDS = 7}
    local nodes, reload = start(cluster, 'ab', function() return {payload = payload, options = options} end)
    cluster:acquaint(list(nodes))
    nodes.a:call(function()
        package.loaded['membership'] = nil
        package.loaded['roles.membership'] = nil
        require('membership')
    end)
    payload, options = {}, {}
    reload()
    t:is_deeply(nodes.a.membership.myself().payload, {}, 'what it has set before it takes away')
    t:is(nodes.a:call(function() return require('membership.options').SUSPECT_TIMEOUT_SECONDS end), 3,
        'and options, too')
end)

--- The configuration that a text is, with this file for every key.
local function decode(text, key)
    return yaml.decode((text:gsub('[%w/_%-]+%.key', key)))
end

fact('the configurations that are shown make sense', function(t, cluster)
    local a = cluster:node()
    a:call(function(uri)
        require('fake_config').install('a', {a = {iproto = uri, cfg = {}}})
    end, a.uri)
    local key = write(a.dir, 'key', 'the key')
    local texts = {['examples/config.yaml'] = files.read(ROOT, 'examples', 'config.yaml')}
    for _, block in ipairs(document.read(fio.pathjoin(ROOT, 'doc', 'role.md')).blocks) do
        if block.language == 'yaml' then
            texts[('doc/role.md:%d'):format(block.line)] = table.concat(block.lines, '\n')
        end
    end
    local count = 0
    for name, text in pairs(texts) do
        local roles_cfg = decode(text, key).roles_cfg
        t:is(refusal(a, roles_cfg['roles.membership']), nil, name .. ' makes sense')
        count = count + 1
    end
    t:ok(count >= 3, 'there are such')
end)

fact('each field is described', function(t, cluster)
    local text = document.read(fio.pathjoin(ROOT, 'doc', 'role.md')).text
    local described = {}
    for name in text:gmatch('\n| `([%l_]+)` |') do
        table.insert(described, name)
    end
    table.sort(described)
    t:like(refusal(cluster:node(), {nonsense = 1}), 'there are ' .. table.concat(described, ', ') .. '$', 'it is')
end)

suite.run()
