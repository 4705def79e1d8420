-- README.md and the other documents say what is so: each of their snippets is run, in order, as a reader would who
-- tries all of them.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local document = require('document')
local fio = require('fio')
local suite = require('suite')
local yaml = require('yaml')

local ROOT = fio.abspath(fio.pathjoin(fio.dirname(arg[0]), '..'))
local PROMETHEUS = fio.pathjoin(ROOT, 'doc', 'prometheus.md')
local README = fio.pathjoin(ROOT, 'README.md')
local API = fio.pathjoin(ROOT, 'doc', 'api.md')
local INSTALL = fio.pathjoin(ROOT, 'doc', 'install.md')
local KUBERNETES = fio.pathjoin(ROOT, 'doc', 'kubernetes.md')
local OPTIONS = fio.pathjoin(ROOT, 'doc', 'options.md')
local SNIPPET_TIMEOUT_SECONDS = 10

-- The documents have ports 33xx; this test has its own.
local function translate_to(first)
    return function(text)
        return (text:gsub('%f[%d]33(%d%d)%f[%D]', function(number)
            return tostring(first + tonumber(number))
        end))
    end
end

local Reader = {}
Reader.__index = Reader

local function new_reader(t, cluster)
    return setmetatable({t = t, cluster = cluster, first_port = cluster:port(), terminals = {}}, Reader)
end

--- Puts a model of the rock `metrics` where it is not built in, as it is from 2.11 on.
local function install_metrics(node)
    node:call(function()
        if not pcall(require, 'metrics') then
            package.loaded['metrics'] = require('fake_metrics')
        end
    end)
end

--- The Tarantool in the terminal of this name, which is started when it is first mentioned.
function Reader:terminal(name)
    if self.terminals[name] == nil then
        local port = self.first_port + tonumber(name:match('%d+'))
        self.terminals[name] = self.cluster:node({host = 'localhost', port = port})
        install_metrics(self.terminals[name])
    end
    return self.terminals[name]
end

--- Some things take their time: what does not come out at once is tried again for a while.
function Reader:expect(line, what, attempt)
    local ok, got = attempt()
    if not ok then
        pcall(self.cluster.wait, self.cluster, what, function()
            ok, got = attempt()
            return ok
        end, SNIPPET_TIMEOUT_SECONDS)
    end
    if not self.t:ok(ok, ('line %d: %s'):format(line, what)) then
        self.t:diag('it is: %s', got)
    end
end

function Reader:try_statement(terminal, statement)
    local function attempt()
        return terminal:call(function(code, expected)
            return require('snippet').check(code, expected)
        end, statement.code, statement.expected)
    end
    local first_line = statement.code:match('[^\n]*')
    if statement.expected ~= nil then
        self:expect(statement.line, first_line, attempt)
    else
        local ok, got = attempt()
        if not self.t:ok(ok, ('line %d: %s'):format(statement.line, first_line)) then
            self.t:diag('%s', got)
        end
    end
end

function Reader:try_lua(block)
    local terminal = self:terminal(block.about ~= '' and block.about or 'terminal 1')
    for _, statement in ipairs(document.statements(block)) do
        self:try_statement(terminal, statement)
    end
end

local function contains_line(lines, wanted)
    for _, line in ipairs(lines) do
        if line == wanted then
            return true
        end
    end
    return false, lines[#lines]
end

function Reader:try_shell(terminal, step)
    if step.shell == 'tarantool -i' then
        if not terminal:is_running() then
            terminal:restart()
        end
    elseif step.shell:match('^kill %-9 %d+$') then
        self:terminal('terminal 2'):kill() -- the only one that the README kills
    else
        self.t:fail(('line %d: cannot run %s'):format(step.line, step.shell))
    end
end

function Reader:try_console(block)
    local terminal = self:terminal(block.about ~= '' and block.about or 'terminal 1')
    for _, step in ipairs(document.session(block)) do
        if step.shell ~= nil then
            self:try_shell(terminal, step)
        elseif step.code ~= nil then
            self:expect(step.line, 'tarantool> ' .. step.code, function()
                return terminal:call(function(line, output)
                    return require('snippet').check_console(line, output)
                end, step.code, step.output)
            end)
        else
            self:expect(step.line, 'prints ' .. step.printed, function()
                return contains_line(terminal:log_tail(100), step.printed)
            end)
        end
    end
end

--- README.md and all others, by their paths from the root.
local function documents()
    local names = {'README.md', 'SECURITY.md', 'CONTRIBUTING.md', 'RELEASING.md', 'CHANGELOG.md'}
    for _, path in ipairs(fio.glob(fio.pathjoin(ROOT, 'doc', '*.md'))) do
        table.insert(names, 'doc/' .. fio.basename(path))
    end
    return names
end

--- What other programs print is compared where those are tested.
local function is_for_another_test(block)
    return block.lines[1]:match('^%$ membershipctl ') ~= nil
end

for _, name in ipairs(documents()) do
    suite.fact(('each snippet of %s does what is said of it'):format(name), function(t, cluster)
        local reader = new_reader(t, cluster)
        local path = fio.pathjoin(ROOT, name)
        for _, block in ipairs(document.read(path, translate_to(reader.first_port)).blocks) do
            if block.language == 'lua' and document.file_name(block) == nil then
                reader:try_lua(block)
            elseif block.language == 'console' and not is_for_another_test(block) then
                reader:try_console(block)
            end
        end
    end)
end

--- The blocks of a document that are files, by name.
local function read_files(path, translate)
    local files = {}
    for _, block in ipairs(document.read(path, translate).blocks) do
        local name = document.file_name(block)
        if name ~= nil then
            files[name] = table.concat(block.lines, '\n') .. '\n'
        end
    end
    return files
end

--- The program of an instance that runs this file, which ends with box.cfg, beside what the test sends it.
local function start_with(name)
    local program = 'dofile(os.getenv("MEMBERSHIP_TEST_LIB") .. "instance.lua") dofile("%s") rawset(_G, "done", true)'
    return program:format(name)
end

-- While box.cfg runs, SIGTERM ends some versions of Tarantool with an error.
local function wait_for_end_of_file(cluster, node)
    cluster:wait('box.cfg to be done', function()
        return node:call(function() return rawget(_G, 'done') end)
    end)
end

--- The leader that a program has named last.
local function last_leader(node)
    local leader
    for _, line in ipairs(node:log_tail(100)) do
        leader = line:match('the leader is (%S+)') or leader
    end
    return leader
end

suite.fact('init.lua is a member before box.cfg and after it, and leaves when it is stopped', function(t, cluster)
    local first_port = cluster:port()
    local leader = cluster:member({host = 'localhost', port = first_port + 1})
    leader.membership.set_payload('role', 'storage')
    local observer = cluster:member({host = 'localhost', port = first_port + 2})
    observer.membership.add_member(leader.uri)
    local program = cluster:node({
        host = 'localhost',
        port = first_port + 3,
        program = {arg[-1], 'start.lua'},
        files = {
            ['init.lua'] = read_files(README, translate_to(first_port))['init.lua'],
            ['start.lua'] = start_with('init.lua'),
        },
    })
    t:ok(cluster:everyone_sees_payload(program.uri, {role = 'storage'}, {observer}), 'it is a member')
    wait_for_end_of_file(cluster, program)
    t:is(observer.membership.probe_uri(program.uri), true, 'it is one after box.cfg')
    t:ok(cluster:wait('it to follow the leader', function() return last_leader(program) == leader.uri end),
        'it follows the leader')
    leader:kill()
    t:ok(cluster:wait('it to lead', function() return last_leader(program) == program.uri end),
        'it leads when the leader is dead')
    program.membership.remove_member(leader.uri)
    local function has_logged(text)
        return table.concat(program:log_tail(100), '\n'):find(leader.uri .. text, 1, true) ~= nil
    end
    for what, text in pairs({
        ['why it is dead'] = ' was suspect, is dead: ',
        ['that it is gone'] = ' was dead, is forgotten: remove_member was called here',
    }) do
        t:ok(cluster:wait('it to log ' .. what, function() return has_logged(text) end), 'it logs ' .. what)
    end
    program:signal('TERM')
    t:ok(cluster:everyone_sees(program.uri, 'left', {observer}), 'it leaves')
end)

suite.fact('storage.lua goes by the name of its pod, and needs nobody to be there', function(t, cluster)
    local port = cluster:port()
    local pod = cluster:node({
        port = port,
        program = {arg[-1], 'start.lua'},
        env = {POD = 'storage-2', NAMESPACE = 'billing', KEY_FILE = 'key'},
        files = {
            ['key'] = 'the key of the group\n',
            ['storage.lua'] = read_files(KUBERNETES, translate_to(port - 1))['storage.lua'],
            ['start.lua'] = start_with('storage.lua'),
        },
    })
    wait_for_end_of_file(cluster, pod)
    t:is(pod.membership.myself().uri, ('storage-2.storage.billing:%d'):format(port), 'it is a member')
    t:ok(pod.membership.get_member(('storage-1.storage.billing:%d'):format(port)), 'it has been told of others')
    t:like(pod.membership.get_encryption_key(), '^ *the key of the group$', 'it has the key of the file')
    pod:signal('TERM')
    t:is(pod:wait_exit(), 0, 'it ends when it is told to')
end)

--- What the module has, by the name of what has it.
local function functions_of(node, module)
    return node:call(function(name)
        local names = {}
        for key, value in pairs(require(name)) do
            names[key] = type(value) == 'function' or nil
        end
        return names
    end, module)
end

suite.fact('each function is described', function(t, cluster)
    local node = cluster:node()
    local text = document.read(API).text
    local described = {}
    for heading in text:gmatch('\n### ([^\n]*)') do
        for name in heading:gmatch('([%l_]+)%(') do
            described[name] = true
        end
    end
    t:is_deeply(described, functions_of(node, 'membership'), 'of membership')
    for _, module in ipairs({'membership.members', 'membership.events', 'membership.network'}) do
        local section = (text .. '\n#'):match(('\n### %s\n(.-)\n#'):format(module:gsub('%.', '%%.')))
        for name in pairs(functions_of(node, module)) do
            t:like(section, '%f[%w_]' .. name .. '%f[^%w_]', ('%s of %s'):format(name, module))
        end
    end
end)

--- The counters of `stats` that doc/api.md names, as patterns: a row names several, `rumors.queued`, `.sent`.
local function read_counters()
    local section = document.read(API).text:match('\n### stats.-\n(|.-)\n\n')
    local patterns = {}
    for names in section:gmatch('%f[^\n%z]| (`[^|]*) |') do
        local first, parent = true, nil
        for name in names:gmatch('`([^`]*)`') do
            name = name:gsub("%['(.-)'%]", '.%1')
            if first or name:sub(1, 1) ~= '.' then
                parent = name:match('^(.*)%.') or name
            else
                name = parent .. name
            end
            first = false
            patterns['^' .. name:gsub('[%.%-]', '%%%0'):gsub('…', '.*') .. '$'] = name
        end
    end
    return patterns
end

--- The paths of all numbers and flags in a table.
local function leaves(value, path, found)
    for key, inner in pairs(value) do
        local inner_path = path == '' and key or path .. '.' .. key
        if type(inner) == 'table' then
            leaves(inner, inner_path, found)
        else
            table.insert(found, inner_path)
        end
    end
    return found
end

suite.fact('each counter is described', function(t, cluster)
    local a, b = cluster:member(), cluster:member()
    a.membership.probe_uri(b.uri)
    cluster:wait('a round trip', function() return a.membership.stats().round_trip.last_seconds end)
    local patterns, counters = read_counters(), leaves(a.membership.stats(), '', {})
    local function is_described(counter)
        for pattern in pairs(patterns) do
            if counter:match(pattern) then
                return true
            end
        end
        return false
    end
    for _, counter in ipairs(counters) do
        t:ok(is_described(counter), counter .. ' is described')
    end
    for pattern, name in pairs(patterns) do
        local exists = false
        for _, counter in ipairs(counters) do
            exists = exists or counter:match(pattern) ~= nil
        end
        t:ok(exists, name .. ' exists')
    end
end)

suite.fact('each metric is described, with the counter that it shows', function(t, cluster)
    local node = cluster:node()
    install_metrics(node)
    local names = node:call(function()
        require('membership.metrics').enable()
        local found = {}
        for _, collector in pairs(require('metrics').registry.collectors) do
            found[collector.name] = collector.kind
        end
        return found
    end)
    local described, kind = {}, nil
    for line in document.read(PROMETHEUS).text:gmatch('[^\n]+') do
        kind = line:match('^### (%u%l+)s$') or kind
        local name = line:match('^| `([%l_%d]+)` |')
        if name ~= nil then
            described['tnt_membership_' .. name] = kind:lower()
        end
    end
    t:is_deeply(described, names, 'all of them, and no others')
end)

--- The rows of the table of options, by name: `default`, and `least` and `most` of numbers.
local function read_options()
    local options = {}
    for name, default, bounds in document.read(OPTIONS).text:gmatch('\n| `([%u_]+)` |[^|]*| ([^|]*) |([^|]*)|') do
        local least, most = bounds:match('(%S+) … (%S+)')
        options[name] = {default = loadstring('return ' .. default)(), least = tonumber(least), most = tonumber(most)}
    end
    return options
end

--- What the module has as options, by name.
local function options_of(node)
    return node:call(function()
        require('membership') -- by which `pairs` knows the options
        local all = {}
        for name, value in pairs(require('membership.options')) do
            all[name] = value
        end
        all.log_debug, all.STATUS_NAMES = nil, nil
        for _, constant in ipairs({'ALIVE', 'SUSPECT', 'DEAD', 'NONDECRYPTABLE', 'LEFT'}) do
            all[constant] = nil
        end
        return all
    end)
end

--- Whether it can be that, and is not refused or taken as the nearest number that it can be.
local function accepts(node, name, value)
    return node:call(function(option, wanted)
        local options = require('membership.options')
        pcall(function()
            options[option] = wanted
        end)
        return options[option] == wanted
    end, name, value)
end

suite.fact('each option is described, with its default and its bounds', function(t, cluster)
    local node = cluster:node()
    local described, options = read_options(), options_of(node)
    for name, default in pairs(options) do
        t:is_deeply(described[name] and described[name].default, default, name)
    end
    for name, option in pairs(described) do
        t:isnt(options[name], nil, name .. ' exists')
        if option.least ~= nil then
            t:ok(accepts(node, name, option.least), ('it can be %g'):format(option.least))
            t:ok(accepts(node, name, option.most), ('it can be %g'):format(option.most))
            t:ok(not accepts(node, name, option.least - 0.0005), 'not less')
            t:ok(not accepts(node, name, option.most + 1), 'nor more')
        end
    end
end)

suite.fact('each file of Lua that is shown can be loaded', function(t)
    for _, name in ipairs(documents()) do
        for file, text in pairs(read_files(fio.pathjoin(ROOT, name))) do
            local chunk, err = loadstring(text, '=' .. file)
            t:ok(chunk ~= nil or not file:endswith('.lua'), ('%s of %s'):format(file, name))
            if chunk == nil then
                t:diag('%s', err)
            end
        end
    end
end)

suite.fact('each YAML that is shown can be read', function(t)
    for _, name in ipairs(documents()) do
        for _, block in ipairs(document.read(fio.pathjoin(ROOT, name)).blocks) do
            if block.language == 'yaml' then
                local ok, err = pcall(yaml.decode, table.concat(block.lines, '\n'))
                t:ok(ok, ('%s, line %d: %s'):format(name, block.line, ok and 'it can' or err))
            end
        end
    end
end)

suite.fact('the rockspec is one', function(t)
    local name = 'my-project-scm-1.rockspec'
    local rockspec = {}
    setfenv(assert(loadstring(read_files(INSTALL)[name])), rockspec)()
    t:is(('%s-%s.rockspec'):format(rockspec.package, rockspec.version), name, 'it has the right name')
    t:is_deeply(rockspec.dependencies, {'membership'}, 'it depends on membership')
end)

suite.run()
