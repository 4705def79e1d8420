-- Members are known by names, whose addresses come and go.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fio = require('fio')
local logged = require('logged')
local machine = require('machine')
local suite = require('suite')

local fact = suite.fact

--- A name that has no address but in the hosts file of the process.
local NAME = 'moving.example'
local UNKNOWN = 'getaddrinfo: Name or service not known (%s)'

--- For a process with a hosts file of its own, and no other way to resolve names.
local function with_hosts(address, opts)
    local all = machine.with_etc({
        ['hosts'] = address and ('%s %s\n'):format(address, NAME) or '\n',
        ['nsswitch.conf'] = 'hosts: files\n',
    })
    for name, value in pairs(opts or {}) do
        all[name] = value
    end
    return all
end

--- Changes the hosts file of a process. The mount is of the file, so it must stay the same one.
local function set_address(node, address)
    local file = assert(fio.open(fio.pathjoin(node.dir, 'hosts'), {'O_WRONLY', 'O_TRUNC'}))
    file:write(address and ('%s %s\n'):format(address, NAME) or '\n')
    file:close()
    -- And that of its next life.
    node.opts.files['hosts'] = address and ('%s %s\n'):format(address, NAME) or '\n'
end

--- Makes a process a member that can be reached at this address only.
local function init_at(node, address)
    node:call(function(host, port, bind)
        local options = require('membership.options')
        options.PROTOCOL_PERIOD_SECONDS, options.ACK_TIMEOUT_SECONDS, options.SUSPECT_TIMEOUT_SECONDS = 0.2, 0.1, 1
        assert(require('membership').init(host, port, {bind = bind}) == true)
    end, node.host, node.port, address)
end

fact('a member that comes back at another address is found there', function(t, cluster)
    if not machine.can_have_etc(t) then
        return
    end
    local a, b = cluster:member(with_hosts('127.0.0.2')), cluster:member(with_hosts('127.0.0.2'))
    local moving = cluster:node(with_hosts('127.0.0.2', {host = NAME}))
    init_at(moving, '127.0.0.2')
    moving.membership.add_member(a.uri)
    a.membership.add_member(b.uri)
    cluster:acquaint({a, b, moving})

    moving:kill()
    cluster:everyone_sees(moving.uri, 'dead', {a, b})
    for _, node in ipairs({a, b, moving}) do
        set_address(node, '127.0.0.3')
    end
    moving:restart()
    init_at(moving, '127.0.0.3')
    -- Nobody adds it, and it knows nobody: it has to be looked up anew.
    t:ok(cluster:everyone_sees(moving.uri, 'alive', {a, b, moving}), 'everybody sees it alive')
    for _, observer in ipairs({a, b}) do
        cluster:wait(observer.uri .. ' to reach it', function()
            return observer.membership.probe_uri(moving.uri)
        end)
        t:ok(true, observer.uri .. ' has its new address')
    end
end)

fact('a member that has moved before anybody noticed is followed', function(t, cluster)
    if not machine.can_have_etc(t) then
        return
    end
    local a, b = cluster:member(with_hosts('127.0.0.2')), cluster:member(with_hosts('127.0.0.2'))
    local moving = cluster:node(with_hosts('127.0.0.2', {host = NAME}))
    init_at(moving, '127.0.0.2')
    moving.membership.add_member(a.uri)
    a.membership.add_member(b.uri)
    cluster:acquaint({a, b, moving})
    for _, node in ipairs({a, b, moving}) do
        set_address(node, '127.0.0.3')
    end
    moving:restart()
    init_at(moving, '127.0.0.3')
    moving.membership.add_member(a.uri)
    moving.membership.set_payload('at', 'its new address')
    t:ok(cluster:everyone_sees_payload(moving.uri, {at = 'its new address'}), 'everybody hears it')
    t:ok(cluster:everyone_agrees('it answers', function(observer)
        return observer.membership.probe_uri(moving.uri)
    end, {a, b}), 'and reaches it')
    t:ok(cluster:everyone_sees(moving.uri, 'alive', {a, b, moving}), 'it is alive')
end)

fact('a name that does not resolve is reported once, and again when it has resolved in between', function(t, cluster)
    if not machine.can_have_etc(t) then
        return
    end
    local a, moving = cluster:member(with_hosts(nil)), cluster:node(with_hosts('127.0.0.2', {host = NAME}))
    local report = UNKNOWN:format(moving.uri)
    logged.begin(a)
    a.membership.add_member(moving.uri)
    cluster:everyone_sees(moving.uri, 'dead', {a})
    t:ok(logged.wait(a, 'warn', report), report)
    cluster:let_pass(4) -- in which it is looked up some more times
    t:is(logged.count(a, 'warn', report), 1, 'once')

    set_address(a, '127.0.0.2')
    init_at(moving, '127.0.0.2')
    cluster:everyone_sees(moving.uri, 'alive', {a, moving})
    t:is(logged.count(a, 'warn', report), 1, 'not when it resolves')

    set_address(a, nil)
    moving:kill()
    t:ok(cluster:wait('the second report', function()
        return logged.count(a, 'warn', report) == 2
    end), 'and again when it does no longer')
    cluster:let_pass(4)
    t:is(logged.count(a, 'warn', report), 2, 'once')
    for _, line in ipairs(logged.lines(a, 'warn')) do
        t:is(line.text, report, 'and without a count of repetitions')
    end
end)

suite.run()
