-- What an instance remembers over a restart, and what it does with a file that it cannot use.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local files = require('files')
local fio = require('fio')
local json = require('json')
local logged = require('logged')
local machine = require('machine')
local state_file = require('state_file')
local suite = require('suite')
local fact = suite.fact

local NAME = state_file.NAME
local contains, init, member, path_of = state_file.contains, state_file.init, state_file.member, state_file.path_of
local read, wait_for_file = state_file.read, state_file.wait

fact('an instance that restarts finds its group without a seed, though nobody remembers it', function(t, cluster)
    local a, b, c = member(cluster), member(cluster), member(cluster)
    b.membership.add_member(a.uri)
    c.membership.add_member(a.uri)
    cluster:acquaint({a, b, c})
    wait_for_file(cluster, c, {a, b})
    t:is(fio.stat(path_of(c)).mode % 512, tonumber('600', 8), 'the file is for its owner alone')
    c:kill()
    a:kill() -- by which it has joined
    b.membership.mark_left(c.uri)
    b:call(function()
        require('membership.options').REAP_TIMEOUT_SECONDS = 0.2
    end)
    cluster:wait('it to be forgotten', function()
        return b.membership.get_member(c.uri) == nil
    end)
    c:restart()
    init(cluster, c)
    t:ok(cluster:everyone_sees(c.uri, 'alive', {b, c}), 'it is found by the one that is left')
    t:ok(cluster:everyone_sees(b.uri, 'alive', {c}), 'which it sees')
end)

fact('a remembered member that does not answer is no member, and is not told of', function(t, cluster)
    local a, b = member(cluster), member(cluster)
    b.membership.add_member(a.uri)
    cluster:acquaint({a, b})
    wait_for_file(cluster, b, {a})
    a:kill()
    b:restart()
    init(cluster, b)
    local other = cluster:member()
    b.membership.add_member(other.uri)
    cluster:acquaint({b, other})
    cluster:let_pass(2) -- many periods
    t:is(b:status_of(a.uri), nil, 'the application does not see it')
    t:is(other:status_of(a.uri), nil, 'no other member does')
    t:ok(contains(read(b).members, a.uri), 'it is looked for still')
    a:restart()
    cluster:init(a)
    t:ok(cluster:everyone_sees(a.uri, 'alive'), 'when it answers, all see it')
end)

fact('a restart goes on counting the incarnation', function(t, cluster)
    local a, b = member(cluster), member(cluster)
    b.membership.add_member(a.uri)
    cluster:acquaint({a, b})
    for i = 1, 5 do
        b.membership.set_payload('count', i)
    end
    wait_for_file(cluster, b)
    local before = b.membership.myself().incarnation
    b:kill()
    b:restart()
    init(cluster, b)
    t:is(b.membership.myself().incarnation, before + 1, 'after kill -9, with the next one')

    b.membership.set_payload('count', 6)
    before = b.membership.myself().incarnation
    t:is(b.membership.leave(), true, 'it leaves')
    t:is(read(b).incarnation, before, 'what has changed just now is in the file when leave returns')
    t:ok(contains(read(b).members, a.uri), 'and so are the members')
    b:restart()
    init(cluster, b)
    t:is(b.membership.myself().incarnation, before + 1, 'after leave, with the next one')
    t:ok(cluster:everyone_sees(b.uri, 'alive'), 'all see it alive')
end)

--- Lines about the state file in which this is, at level "warn".
local function warnings(node, pattern)
    local found = {}
    for _, line in ipairs(logged.lines(node, 'warn')) do
        if line.text:startswith('State file ' .. node.dir) and line.text:find(pattern) then
            table.insert(found, line.text)
        end
    end
    return found
end

local function wait_for_warning(cluster, node, pattern)
    return cluster:wait('the warning ' .. pattern, function()
        return #warnings(node, pattern) > 0, json.encode(logged.lines(node))
    end)
end

local GOOD = 'membership-state 1 1f2e3d4c5b6a7988\n{"uri":"127.0.0.1:1","incarnation":7,"members":[]}\n'

for name, case in pairs({
    ['that is damaged'] = {contents = GOOD, warning = 'is damaged', is_rewritten = true},
    ['that was cut'] = {contents = GOOD:sub(1, 30), warning = 'is damaged', is_rewritten = true},
    ['that was lost with the power'] = {contents = ('\0'):rep(99), warning = 'is damaged', is_rewritten = true},
    ['that is empty'] = {contents = '', warning = 'is damaged', is_rewritten = true},
    ['that is something else'] = {contents = 'listen: 3301\n', warning = 'is something else'},
    ['of another version'] = {contents = 'membership-state 2 x\n', warning = 'is of another version'},
    ['that is too large'] = {contents = ('x'):rep(1e6), warning = 'cannot be read: it has more than'},
    ['that is a directory'] = {make = 'mkdir %s', warning = 'cannot be read: it is not a regular file'},
    ['that is a pipe'] = {make = 'mkfifo %s', warning = 'cannot be read: it is not a regular file'},
    ['that is a link'] = {make = 'ln -s /dev/zero %s', warning = 'cannot be read: it is a symbolic link'},
    ['in a directory that is none'] = {name = 'none/x', warning = 'cannot be written: No such file or directory'},
}) do
    fact('a state file ' .. name .. ' is a warning', function(t, cluster)
        local a, b = cluster:member(), cluster:node()
        if case.contents ~= nil then
            files.write(path_of(b), case.contents)
        elseif case.make ~= nil then
            t:is(os.execute(case.make:format(path_of(b))), 0, 'it is there')
        end
        logged.begin(b)
        init(cluster, b, case.name)
        b.membership.add_member(a.uri)
        cluster:acquaint({a, b})
        local pattern = case.warning
        wait_for_warning(cluster, b, pattern)
        t:is(#warnings(b, pattern), 1, 'the log says so')
        if case.is_rewritten then
            t:ok(wait_for_file(cluster, b, {a}), 'and it is written anew')
            return
        end
        cluster:wait('it to be tried', function()
            return b.membership.stats().state_file.failures > 0
        end)
        t:is(#warnings(b, ''), 1, 'once')
        t:is(b.membership.stats().state_file.saves, 0, 'nothing is written')
        if case.contents ~= nil then
            t:ok(files.read(path_of(b)) == case.contents, 'it is what it was')
        end
    end)
end

fact('the state file of another instance is neither used nor overwritten', function(t, cluster)
    local a, b = member(cluster), member(cluster)
    b.membership.add_member(a.uri)
    cluster:acquaint({a, b})
    wait_for_file(cluster, b, {a})
    local c = cluster:node()
    logged.begin(c)
    local copy = files.read(path_of(b))
    files.write(path_of(c), copy)
    init(cluster, c)
    local text = ('is of %s, and this instance is %s: it is neither used nor written. '):format(b.uri, c.uri)
    wait_for_warning(cluster, c, text:gsub('%p', '%%%0'))
    cluster:wait('it to be tried', function()
        return c.membership.stats().state_file.failures > 0
    end)
    cluster:let_pass(1)
    t:is(#warnings(c, ''), 1, 'the log says so, once')
    t:is(c:status_of(a.uri), nil, 'groups do not become one by a copy')
    t:is(files.read(path_of(c)), copy, 'it is what it was')
end)

fact('a file with the name that the next state file has until it is whole is left alone', function(t, cluster)
    local a = cluster:node()
    local new = path_of(a) .. '.new'
    files.write(new, 'notes\n')
    logged.begin(a)
    init(cluster, a)
    local text = 'State file %s is not written: %s is in the way, and is not its own. '
        .. 'Move that file away, or give state_file another path'
    t:ok(logged.wait(a, 'warn', text:format(path_of(a), new)), 'the log says so')
    t:is(files.read(new), 'notes\n', 'it is what it was')
    fio.unlink(new)
    t:ok(logged.wait(a, 'info', ('State file %s is written again'):format(path_of(a))), 'without it, all is well')
    t:ok(wait_for_file(cluster, a), 'and the file is there')
end)

fact('an instance that gets another name keeps its file', function(t, cluster)
    local a, b = member(cluster), member(cluster)
    b.membership.add_member(a.uri)
    cluster:acquaint({a, b})
    wait_for_file(cluster, b, {a})
    logged.begin(b)
    b.port = cluster:port()
    b.uri = b.host .. ':' .. b.port
    init(cluster, b)
    cluster:wait('the file to have the new name', function()
        return read(b).uri == b.uri
    end)
    t:is_deeply(warnings(b, ''), {}, 'nothing is wrong')
    b.membership.set_payload('a', 1)
    t:ok(wait_for_file(cluster, b, {a}), 'it goes on')
    b:call(function(host, port)
        require('membership').init(host, port)
    end, b.host, b.port)
    local before = files.read(path_of(b))
    b.membership.set_payload('a', 2)
    t:is(b.membership.leave(), true, 'it leaves')
    t:is(files.read(path_of(b)), before, 'without state_file, none is written')
end)

--- Runs an instance where it may not do everything, though it is root.
local UNPRIVILEGED = {'setpriv', '--bounding-set=-dac_override,-dac_read_search', '--inh-caps=-all'}

local function can_be_unprivileged(t)
    return machine.can(t, 'a process without privileges', table.concat(UNPRIVILEGED, ' ') .. ' true')
end

fact('a state file that may not be read or written is a warning', function(t, cluster)
    if not can_be_unprivileged(t) then
        return
    end
    local a = cluster:node({prefix = UNPRIVILEGED})
    files.write(path_of(a), GOOD, '000')
    logged.begin(a)
    init(cluster, a)
    wait_for_warning(cluster, a, 'cannot be read: Permission denied')
    fio.unlink(path_of(a))

    local b = cluster:node({prefix = UNPRIVILEGED})
    logged.begin(b)
    local sub = fio.pathjoin(b.dir, 'sub')
    fio.mkdir(sub, tonumber('500', 8))
    init(cluster, b, 'sub/x')
    local text = 'State file ' .. sub .. '/x cannot be written: Permission denied. After a restart this instance '
        .. 'remembers what was written last. Check the disk and the permissions'
    t:ok(logged.wait(b, 'warn', text), 'the log says so')
    fio.chmod(sub, tonumber('700', 8))
    t:ok(logged.wait(b, 'info', 'State file ' .. sub .. '/x is written again'), 'and that it works again')
end)

fact('a state file may be in a directory that may not be listed', function(t, cluster)
    if not can_be_unprivileged(t) then
        return
    end
    local a = cluster:node({prefix = UNPRIVILEGED})
    fio.mkdir(fio.pathjoin(a.dir, 'sub'), tonumber('300', 8))
    init(cluster, a, 'sub/x')
    cluster:wait('the file is written', function()
        return a.membership.stats().state_file.saves > 0
    end)
    t:is(a.membership.stats().state_file.failures, 0, 'and no failure is counted')
end)

fact('an instance that goes into the background goes on remembering', function(t, cluster)
    local a, b = cluster:member(), member(cluster)
    b.membership.add_member(a.uri)
    cluster:acquaint({a, b})
    b:call(function()
        require('fio').mkdir('work')
        box.cfg({background = true, pid_file = 'instance.pid', log = 'background.log', work_dir = 'work'})
    end)
    b:wait_exit()
    b:follow('work/instance.pid')
    b.membership.set_payload('in', 'background')
    t:ok(wait_for_file(cluster, b, {a}), 'the file is written, where it was before work_dir')
end)

fact('a reload keeps the file', function(t, cluster)
    local a = member(cluster)
    wait_for_file(cluster, a)
    a:call(function()
        package.loaded['membership'] = nil
        require('membership')
    end)
    a.membership.set_payload('life', 2)
    t:ok(wait_for_file(cluster, a), 'it is written')
end)

fact('a path that is none is an error', function(t, cluster)
    local a = cluster:node()
    for _, path in ipairs({'', 'a\0b'}) do
        local ok, err = a:call(function(...)
            return pcall(require('membership').init, '127.0.0.1', ...)
        end, a.port, {state_file = path})
        local expected = 'bad argument #3 to init (path as opts.state_file expected, got '
        t:ok(not ok and err:find(expected, 1, true), ('a path of %d bytes is refused'):format(#path))
    end
end)

fact('the role has a field for it', function(t, cluster)
    local a, b = member(cluster), cluster:node()
    local function apply(name)
        b:call(function(uri, seed, path)
            local role = require('roles.membership')
            local cfg = {advertise = uri, seeds = {seed}, state_file = path}
            role.validate(cfg)
            role.apply(cfg)
        end, b.uri, a.uri, name)
    end
    apply(NAME)
    cluster:acquaint({a, b})
    t:ok(wait_for_file(cluster, b, {a}), 'it is written')
    apply('other')
    cluster:wait('the other file', function()
        return fio.path.exists(fio.pathjoin(b.dir, 'other'))
    end)
    t:ok(true, 'another path is another file')
    local ok, err = pcall(apply, '')
    t:ok(not ok and tostring(err):find('roles_cfg.roles.membership.state_file: path expected', 1, true), tostring(err))
end)

suite.run()
