-- The role `roles.membership` in a cluster that Tarantool 3.x runs from a YAML configuration, the one in examples/.
-- Elsewhere it is skipped; role.test.lua has the details.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local files = require('files')
local fio = require('fio')
local suite = require('suite')

local EXAMPLE = fio.abspath(fio.pathjoin(fio.dirname(arg[0]), '..', 'examples', 'config.yaml'))
local NAMES = {'storage-a', 'storage-b', 'storage-c'}

--- Tarantool runs it at each start and each reload.
local APP = [[
    if rawget(_G, 'is_served') == nil then
        rawset(_G, 'is_served', true)
        dofile(os.getenv('MEMBERSHIP_TEST_LIB') .. 'instance.lua')
    end
]]

local function has_config()
    local found, config = pcall(require, 'config')
    return found and config.instances ~= nil
end

local function fact(name, check)
    suite.fact(name, function(t, cluster)
        if has_config() then
            check(t, cluster)
        else
            t:skip(('Tarantool %s has no configuration with roles: 3.1 or later has'):format(_TARANTOOL))
        end
    end)
end

local function write(path, text)
    files.write(path, text, '600')
end

--- A cluster of the example's instances. `text` is its configuration: to be edited, and taken by `reload`.
local Example = {}
Example.__index = Example

local function new_example(cluster)
    local example = setmetatable({
        cluster = cluster,
        config = fio.pathjoin(cluster.dir, 'config.yaml'),
        key = fio.pathjoin(cluster.dir, 'membership.key'),
        ports = {},
        nodes = {},
    }, Example)
    assert(fio.mktree(cluster.dir))
    write(example.key, 'the key\n')
    example.text = 'app: {file: app.lua}\n' .. files.read(EXAMPLE)
    example:edit('key_file: membership.key', 'key_file: ' .. example.key)
    example:edit('SUSPECT_TIMEOUT_SECONDS: 3', 'SUSPECT_TIMEOUT_SECONDS: 3, PROTOCOL_PERIOD_SECONDS: 0.2')
    for i, name in ipairs(NAMES) do
        example.ports[name] = cluster:port()
        example:edit(('localhost:%d'):format(3300 + i), 'localhost:' .. example.ports[name])
    end
    return example
end

--- Replaces a part of the configuration, which has to be there, once.
function Example:edit(part, replacement)
    local first, last = self.text:find(part, 1, true)
    assert(first ~= nil and not self.text:find(part, last + 1, true), part)
    self.text = self.text:sub(1, first - 1) .. replacement .. self.text:sub(last + 1)
    write(self.config, self.text)
end

--- Starts an instance, and waits until it serves the test.
function Example:start_instance(name)
    local node = self.cluster:node({
        host = 'localhost',
        port = self.ports[name],
        program = {arg[-1], '--name', name, '--config', self.config},
        files = {['app.lua'] = APP},
    })
    self.nodes[name] = node
    return node
end

--- Starts all instances, and waits until they know one another.
function Example:start()
    for _, name in ipairs(NAMES) do
        self:start_instance(name)
    end
    self.cluster:acquaint(self:list())
    return self.nodes[NAMES[1]], self.nodes[NAMES[2]], self.nodes[NAMES[3]]
end

function Example:list()
    local list = {}
    for _, name in ipairs(NAMES) do
        table.insert(list, self.nodes[name])
    end
    return list
end

--- Has one instance take the configuration as it is now. Returns nothing, or what is wrong.
local function reload(node)
    local ok, err = node:call(function()
        local ok, err = pcall(function() require('config'):reload() end)
        return ok, not ok and tostring(err) or nil
    end)
    return not ok and err or nil
end

function Example:reload()
    for _, node in ipairs(self:list()) do
        local err = reload(node)
        assert(err == nil, err)
    end
end

local function status_of(node)
    return node:call(function() return require('roles.membership').status() end)
end

--- The messages of the alerts that an instance shows.
local function alerts_of(node)
    return node:call(function()
        local messages = {}
        for _, alert in ipairs(require('config'):info().alerts) do
            table.insert(messages, alert.message)
        end
        return messages
    end)
end

fact('three instances of one configuration are a group, without a line of code', function(t, cluster)
    local example = new_example(cluster)
    local a, b, c = example:start()
    for _, node in ipairs({a, b, c}) do
        t:is(status_of(node).alive, 3, node.uri .. ' sees three alive')
        t:is(status_of(node).members, 3, 'and no others')
        t:is_deeply(alerts_of(node), {}, 'it has no alerts')
        t:ok(cluster:everyone_sees_payload(node.uri, {zone = 'east'}, {a, b, c}), 'all see its payload')
    end
    t:is(a.membership.get_encryption_key():strip(), 'the key', 'they are encrypted')
end)

fact('an instance that is no member, though it has the role, shows that as its health', function(t, cluster)
    local a = new_example(cluster):start_instance(NAMES[1])
    local function read_health()
        return a:call(function()
            local health = box.info.health
            return health and health.readiness.checks['role.roles.membership']
        end)
    end
    if read_health() == nil then
        t:skip('this Tarantool asks no role for its health: 3.8 or later does')
        return
    end
    t:is(read_health().status, 'ready', 'a member is ready')
    a.membership.leave()
    t:is(read_health().status, 'degraded', 'it is not any more')
    t:is(read_health().reason, 'membership is not initialized', 'and says why')
    t:is_deeply(alerts_of(a), {
        'Readiness health check "role.roles.membership" failed: membership is not initialized',
    }, 'there is an alert')
    t:is(reload(a), nil, 'a reload')
    t:is(read_health().status, 'ready', 'brings it back')
end)

fact('an instance that is told to end leaves, and is back after a restart', function(t, cluster)
    local example = new_example(cluster)
    local a, b, c = example:start()
    cluster:record(b)
    a:signal('TERM')
    t:is(a:wait_exit(), 0, 'it ends')
    t:ok(cluster:everyone_sees(a.uri, 'left', {b, c}), 'it has left')
    t:unlike(table.concat(cluster:recorded(b, a.uri), ', '), 'suspect', 'and was not suspected')
    a:restart()
    t:ok(cluster:everyone_sees(a.uri, 'alive', {a, b, c}), 'it is back')
    t:ok(cluster:everyone_sees(c.uri, 'alive', {a}), 'and knows the others')
end)

fact('a reload is followed, and one of the same changes nothing', function(t, cluster)
    local example = new_example(cluster)
    local a, b, c = example:start()
    local function option(name)
        return a:call(function(wanted) return require('membership.options')[wanted] end, name)
    end
    cluster:everyone_sees_payload(a.uri, {zone = 'east'}, {a, b, c})
    local incarnation = a.membership.myself().incarnation
    example:reload()
    t:is(a.membership.myself().incarnation, incarnation, 'the same again changes nothing')

    example:edit('payload: {zone: east}', 'payload: {weight: 1}')
    example:edit('SUSPECT_TIMEOUT_SECONDS: 3, ', 'MAX_MEMBERS: 100, ')
    example:reload()
    t:ok(cluster:everyone_sees_payload(a.uri, {weight = 1}, {a, b, c}), 'the payload is another one')
    t:is(option('MAX_MEMBERS'), 100, 'an option is there')

    example:edit('MAX_MEMBERS: 100, ', '')
    example:reload()
    t:is(option('MAX_MEMBERS'), 65536, 'an option that is taken out has its default')

    local port = cluster:port()
    example:edit('storage-a:\n', ('storage-a:\n            roles_cfg: {roles.membership: {port: %d}}\n'):format(port))
    example:reload()
    local moved = 'localhost:' .. port
    t:ok(cluster:everyone_sees(moved, 'alive', {a, b, c}), 'another port is taken')
    t:ok(cluster:everyone_sees(a.uri, 'dead', {b, c}), 'and the former one is not alive')
    t:is(status_of(a).uri, moved, 'the status tells it')
    t:is_deeply(alerts_of(a), {}, 'there are no alerts')
end)

fact('the key is changed by three reloads of all, and no one is suspected', function(t, cluster)
    local example = new_example(cluster)
    local a, b, c = example:start()
    local new = fio.pathjoin(cluster.dir, 'new.key')
    write(new, 'the new key\n')
    for _, node in ipairs({a, b, c}) do
        cluster:record(node)
    end
    local steps = {
        'key_file: ' .. example.key,
        ('keys: [%s, %s]'):format(example.key, new),
        ('keys: [%s, %s]'):format(new, example.key),
        'key_file: ' .. new,
    }
    for step = 2, #steps do
        example:edit(steps[step - 1], steps[step])
        for _, node in ipairs({a, b, c}) do
            t:is(reload(node), nil, 'it is reloaded')
            cluster:let_pass(1) -- five periods: each is probed by each
        end
    end
    for _, node in ipairs({a, b, c}) do
        t:is(node.membership.get_encryption_key():strip(), 'the new key', node.uri .. ' has the new key')
        t:is(status_of(node).alive, 3, 'it sees all alive')
        for _, other in ipairs({a, b, c}) do
            t:unlike(table.concat(cluster:recorded(node, other.uri), ', '), '[sd]', 'and has suspected none')
        end
    end
end)

fact('nonsense is an alert that names the field, and the instance goes on', function(t, cluster)
    local example = new_example(cluster)
    local a, b, c = example:start()
    local incarnation = a.membership.myself().incarnation
    example:edit('SUSPECT_TIMEOUT_SECONDS: 3', 'SUSPECT_TIMEOUT_SECONDS: -3')
    local expected = 'Wrong config for role roles.membership: roles_cfg.roles.membership.options.'
        .. 'SUSPECT_TIMEOUT_SECONDS: seconds between 0 and 31536000 expected, got -3'
    t:is(reload(a), expected, 'the reload fails')
    t:is_deeply(alerts_of(a), {expected}, 'there is an alert')
    t:is(a.membership.myself().incarnation, incarnation, 'nothing has changed')
    example:edit('SUSPECT_TIMEOUT_SECONDS: -3', 'SUSPECT_TIMEOUT_SECONDS: 4')
    t:is(reload(a), nil, 'a better configuration is taken')
    t:is_deeply(alerts_of(a), {}, 'the alert is gone')
    t:ok(cluster:everyone_sees(a.uri, 'alive', {a, b, c}), 'it is alive')
end)

fact('a role that is taken away leaves, and one that is given again is back', function(t, cluster)
    local example = new_example(cluster)
    local a, b, c = example:start()
    example:edit('\nroles: [roles.membership]', '\nroles: []')
    t:is(reload(a), nil, 'it is taken away')
    t:ok(cluster:everyone_sees(a.uri, 'left', {b, c}), 'the instance has left')
    t:is(status_of(a).uri, nil, 'it is no member')
    example:edit('\nroles: []', '\nroles: [roles.membership]')
    t:is(reload(a), nil, 'it is given again')
    t:ok(cluster:everyone_sees(a.uri, 'alive', {a, b, c}), 'the instance is back')
    t:ok(cluster:everyone_sees_payload(a.uri, {zone = 'east'}, {a, b, c}), 'with its payload')
end)

fact('an instance whose configuration makes no sense does not start, and says why', function(t, cluster)
    local example = new_example(cluster)
    example:edit('group_label: example', 'group_lable: example')
    local node = cluster:node()
    local code = node:call(function(config)
        local popen = require('popen')
        local argv = {'/bin/sh', '-c', 'exec "$0" --name storage-a --config "$1" >>log 2>&1', arg[-1], config}
        local child = popen.new(argv, {env = os.environ(), stdin = popen.opts.DEVNULL})
        return child:wait().exit_code
    end, example.config)
    t:is(code, 1, 'it does not')
    t:like(table.concat(node:log_tail(20), '\n'), 'roles_cfg%.roles%.membership%.group_lable: unknown field',
        'the log names the field')
end)

suite.run()
