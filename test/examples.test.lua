-- The examples do what they say: programs are run as users would run them, the rest is read by its rules.
-- config.yaml is the subject of role_cluster.test.lua.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local document = require('document')
local files = require('files')
local fio = require('fio')
local suite = require('suite')
local yaml = require('yaml')

local fact = suite.fact

local ROOT = fio.abspath(fio.pathjoin(fio.dirname(arg[0]), '..'))
local EXAMPLES = fio.pathjoin(ROOT, 'examples')

-- Before it, what the test sends it; when the example has run to its end, `done` tells.
local START = 'dofile(os.getenv("MEMBERSHIP_TEST_LIB") .. "instance.lua") dofile(%q) rawset(_G, "done", true)'

--- Starts an example as an instance of its own, which has been told of these.
local function run(cluster, name, seeds)
    local port = cluster:port()
    local program = {arg[-1], 'start.lua', ('localhost:%d'):format(port)}
    for _, seed in ipairs(seeds or {}) do
        table.insert(program, seed.uri)
    end
    return cluster:node({
        host = 'localhost',
        port = port,
        program = program,
        files = {
            ['start.lua'] = START:format(fio.pathjoin(EXAMPLES, name)),
        },
    })
end

-- While box.cfg runs, SIGTERM ends some versions of Tarantool with an error, and SIGKILL leaves half a snapshot, with
-- which no instance starts.
local function wait_for_box(cluster, node)
    cluster:wait('box.cfg to be done', function()
        return node:call(function() return rawget(_G, 'done') end)
    end)
end

--- SIGTERM, as systemd and Kubernetes send it.
local function stop(cluster, node)
    wait_for_box(cluster, node)
    node:signal('TERM')
end

local function kill(cluster, node)
    wait_for_box(cluster, node)
    node:kill()
end

--- Waits until the example has written this.
local function has_written(t, cluster, node, text)
    return t:ok(cluster:wait(('%s to write %s'):format(node.uri, text), function()
        local log = table.concat(node:log_tail(100), '\n')
        return log:find(text, 1, true) ~= nil, log
    end), text)
end

--- Waits until the last line that the example has written of this kind is so.
local function says_last(t, cluster, node, pattern, wanted)
    return t:ok(cluster:wait(('%s to say %s'):format(node.uri, wanted), function()
        local last
        for _, line in ipairs(node:log_tail(100)) do
            last = line:match(pattern) or last
        end
        return last == wanted, tostring(last)
    end), wanted)
end

fact('init.lua prints each change and its reason', function(t, cluster)
    local a = run(cluster, 'init.lua')
    local b = run(cluster, 'init.lua', {a})
    has_written(t, cluster, a, b.uri .. ' is new')
    has_written(t, cluster, b, a.uri .. ' is new')
    kill(cluster, b)
    has_written(t, cluster, a, b.uri .. ' was suspect, is dead: ')
    b:restart()
    has_written(t, cluster, a, b.uri .. ' was dead, is alive: ')
    stop(cluster, b)
    has_written(t, cluster, a, b.uri .. ' was alive, is left: ')
end)

fact('failover.lua follows the first of those that are alive', function(t, cluster)
    local a = run(cluster, 'failover.lua')
    local b = run(cluster, 'failover.lua', {a})
    local c = run(cluster, 'failover.lua', {a})
    local LEADER = 'the leader is (%S+)'
    says_last(t, cluster, b, LEADER, a.uri)
    says_last(t, cluster, c, LEADER, a.uri)
    has_written(t, cluster, a, 'this instance leads')
    kill(cluster, a)
    has_written(t, cluster, b, 'this instance leads')
    says_last(t, cluster, c, LEADER, b.uri)
    a:restart()
    has_written(t, cluster, b, 'this instance does not lead any more: the leader is ' .. a.uri)
    says_last(t, cluster, c, LEADER, a.uri)
    stop(cluster, a)
    says_last(t, cluster, c, LEADER, b.uri)
end)

fact('discovery.lua keeps a routing table of what storages publish', function(t, cluster)
    local router = run(cluster, 'discovery.lua')
    local storages = {}
    local function publish(name, storage)
        storages[name].membership.set_payload('storage', storage)
    end
    for _, name in ipairs({'a', 'b', 'c'}) do
        storages[name] = cluster:member()
        storages[name].membership.add_member(router.uri)
    end
    publish('a', {replicaset = 'east', uri = 'a:3401', master = true})
    publish('b', {replicaset = 'east', uri = 'b:3401'})
    local EAST = '^(east: .*)$'
    says_last(t, cluster, router, EAST, 'east: master a:3401, replicas ["a:3401","b:3401"]')
    publish('c', {replicaset = 'west', uri = 'c:3401', master = true})
    has_written(t, cluster, router, 'west: master c:3401, replicas ["c:3401"]')
    -- Another program publishes something else under this key.
    publish('c', 'nonsense')
    cluster:everyone_sees_payload(storages.c.uri, {storage = 'nonsense'}, {router})
    publish('b', {replicaset = 'east', uri = 'b:3401', master = true})
    says_last(t, cluster, router, EAST, 'east: master none, replicas ["a:3401","b:3401"]')
    storages.a:kill()
    says_last(t, cluster, router, EAST, 'east: master b:3401, replicas ["b:3401"]')
    storages.b.membership.leave()
    says_last(t, cluster, router, EAST, 'east: master none, replicas []')
    router.membership.remove_member(storages.a.uri)
    router.membership.remove_member(storages.b.uri)
    t:ok(router:is_running(), 'a storage that was removed is no error')
end)

fact('a program that is called wrongly says how it is to be called', function(t)
    for _, name in ipairs({'init.lua', 'failover.lua', 'discovery.lua'}) do
        local command = ("'%s' '%s' 2>&1 </dev/null"):format(arg[-1], fio.pathjoin(EXAMPLES, name))
        local pipe = io.popen(command .. '; echo "exit code $?"')
        t:is(pipe:read('*a'), ('usage: tarantool %s HOST:PORT [URI-OF-ANOTHER ...]\nexit code 2\n'):format(name), name)
        pipe:close()
    end
end)

fact('each example is listed, and nothing else is', function(t)
    local listed, existing = {}, {}
    for name in files.read(EXAMPLES, 'README.md'):gmatch('\n| %[`([^`]+)`%]') do
        listed[name] = true
    end
    for _, path in ipairs(fio.listdir(EXAMPLES)) do
        existing[path] = path ~= 'README.md' and path ~= 'demo' or nil
    end
    t:is_deeply(listed, existing, 'in examples/README.md')
end)

--- By kind, what a text of YAML has.
local function read_manifest(text)
    local objects = {}
    for _, object in ipairs({yaml.decode(text)}) do
        objects[object.kind] = object
    end
    return objects
end

--- Whether a value has all that is in `part`. The items of a list may have others between them.
local function has(value, part)
    if type(value) ~= 'table' or type(part) ~= 'table' then
        return value == part
    end
    for key, item in pairs(part) do
        local found = false
        if type(key) == 'number' then
            for _, candidate in ipairs(value) do
                found = found or has(candidate, item)
            end
        else
            found = has(value[key], item)
        end
        if not found then
            return false
        end
    end
    return true
end

fact('the parts of kubernetes.yaml fit together', function(t)
    local manifest = read_manifest(files.read(EXAMPLES, 'kubernetes.yaml'))
    local secret, service, set, policy = manifest.Secret, manifest.Service, manifest.StatefulSet, manifest.NetworkPolicy
    for kind, object in pairs(manifest) do
        t:ok(object.apiVersion, kind .. ' has a version')
        t:is(object.metadata.namespace, set.metadata.namespace, kind .. ' is in the namespace of the others')
    end
    t:is(secret.data or secret.stringData, nil, 'no key is published with it')
    t:is(service.spec.clusterIP, 'None', 'each pod has a name')
    t:is(service.spec.publishNotReadyAddresses, true, 'before it is ready')
    t:is(set.spec.serviceName, service.metadata.name, 'by that service')
    local pod, labels = set.spec.template.spec, set.spec.template.metadata.labels
    t:is_deeply(set.spec.selector.matchLabels, labels, 'the set has its pods')
    t:is_deeply(service.spec.selector, labels, 'the service has them')
    t:is_deeply(policy.spec.podSelector.matchLabels, labels, 'the policy has them')
    local volume = pod.volumes[1]
    t:is(volume.secret.secretName, secret.metadata.name, 'the key is that of the secret')
    local container = pod.containers[1]
    t:is(container.volumeMounts[1].name, volume.name, 'the program can read it')
    local ports = {}
    for _, port in ipairs(container.ports) do
        ports[port.name] = port
    end
    local udp = {protocol = 'UDP', port = ports.membership.containerPort}
    t:ok(has(service.spec.ports, {udp}), 'the port of the service')
    for _, direction in ipairs({'ingress', 'egress'}) do
        t:ok(has(policy.spec[direction], {{ports = {udp}}}), 'the policy lets members talk: ' .. direction)
    end
    t:ok(has(policy.spec.ingress, {{ports = {{protocol = 'TCP', port = ports.http.containerPort}}}}), 'and probes ask')
    for _, probe in ipairs({'startupProbe', 'livenessProbe', 'readinessProbe'}) do
        t:is(container[probe].httpGet.port, ports.http.name, probe)
    end
end)

fact('doc/kubernetes.md shows what the manifest has', function(t)
    local manifest = read_manifest(files.read(EXAMPLES, 'kubernetes.yaml'))
    local shown = 0
    for _, block in ipairs(document.read(fio.pathjoin(ROOT, 'doc', 'kubernetes.md')).blocks) do
        if block.language == 'yaml' then
            for kind, object in pairs(read_manifest(table.concat(block.lines, '\n') .. '\n')) do
                shown = shown + 1
                t:ok(has(manifest[kind], object), kind)
            end
        end
    end
    t:ok(shown > 0, 'there is something')
end)

fact('the program of the manifest serves what its probes ask for', function(t, cluster)
    local set = read_manifest(files.read(EXAMPLES, 'kubernetes.yaml')).StatefulSet
    local container = set.spec.template.spec.containers[1]
    local probes
    for _, block in ipairs(document.read(fio.pathjoin(ROOT, 'doc', 'kubernetes.md')).blocks) do
        if document.file_name(block) == 'probes.lua' then
            probes = table.concat(block.lines, '\n')
        end
    end
    local node = cluster:node()
    -- The rock `http` is a library of its own: here is what it is told, and its handlers are asked.
    node:call(function(program)
        local routes = {}
        package.loaded['http.server'] = {new = function(_, port)
            local server = {}
            function server.route(_, about, handler) routes[about.path] = handler end
            function server.start() routes.port = port end
            return server
        end}
        assert(loadstring(program))()
        rawset(_G, 'routes', routes)
    end, probes)
    local function ask(path)
        return node:call(function(asked) return rawget(_G, 'routes')[asked]().status end, path)
    end
    local alive, ready = container.livenessProbe.httpGet.path, container.readinessProbe.httpGet.path
    t:is(ask(alive), 200, 'before init it is alive')
    t:is(ask(ready), 503, 'and not ready')
    cluster:init(node)
    t:is(ask(ready), 200, 'a member is ready')
    node.membership.leave()
    t:is(ask(ready), 503, 'one that has left is not')
    local port = node:call(function() return rawget(_G, 'routes').port end)
    t:ok(has(container.ports, {{name = 'http', containerPort = port}}), 'its port is that of the manifest')
end)

--- The settings of a unit, by section: `Service.ExecStart`.
local function read_unit(text)
    local settings, section = {}, nil
    for line in text:gmatch('[^\n]+') do
        section = line:match('^%[(%u%l+)%]$') or section
        local name, value = line:match('^(%u%a+)=(.*)$')
        if name ~= nil then
            settings[section .. '.' .. name] = value
        elseif not line:match('^[#%[]') then
            error('neither a section nor a setting nor a comment: ' .. line)
        end
    end
    return settings
end

fact('the unit of systemd stops the instance so that it can leave', function(t)
    local unit = read_unit(files.read(EXAMPLES, 'membership.service'))
    t:is(unit['Service.KillSignal'], 'SIGTERM', 'by the signal that runs the triggers of a shutdown')
    t:is(unit['Service.Type'] or 'simple', 'simple', 'it does not fork')
    t:is(unit['Service.WorkingDirectory'], '/var/lib/' .. unit['Service.StateDirectory'], 'its directory is its own')
    t:is(unit['Unit.After'], nil, 'it waits for no network')
    t:ok(unit['Install.WantedBy'], 'it can be enabled')
    for _, block in ipairs(document.read(fio.pathjoin(ROOT, 'doc', 'operations.md')).blocks) do
        if block.language == 'ini' then
            for name, value in pairs(read_unit(table.concat(block.lines, '\n'))) do
                t:is(unit[name], value, 'doc/operations.md shows the same: ' .. name)
            end
        end
    end
    local analyze = io.popen('command -v systemd-analyze')
    local path = analyze:read('*l')
    analyze:close()
    if path == nil then
        t:skip('systemd-analyze is not installed')
        return
    end
    -- The program of the unit must exist where it is checked: not everywhere is Tarantool there.
    local copy = fio.pathjoin(fio.tempdir(), 'membership.service')
    files.write(copy, (files.read(EXAMPLES, 'membership.service'):gsub('/usr/bin/tarantool', '/bin/sh')))
    local verify = io.popen(('systemd-analyze verify --man=no %s 2>&1; echo "exit code $?"'):format(copy))
    t:is(verify:read('*a'), 'exit code 0\n', 'systemd-analyze has nothing to say against it')
    verify:close()
end)

suite.run()
