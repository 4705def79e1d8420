package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')

local CONFIGURATION = [[
    local dir = os.getenv('PWD')
    default_cfg = {pid_file = dir, wal_dir = dir, memtx_dir = dir, vinyl_dir = dir, log = dir}
    instance_dir = dir
]]

local INSTANCE = [[
    require('membership').init('127.0.0.1', %d)
    dofile(os.getenv('MEMBERSHIP_TEST_LIB') .. 'instance.lua')
    box.cfg({})
]]

suite.fact('an instance of tarantoolctl, which calls init before box.cfg, is a member', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    local port = cluster:port()
    local c = cluster:node({
        port = port,
        program = {'tarantoolctl', 'start', 'app'},
        files = {['.tarantoolctl'] = CONFIGURATION, ['app.lua'] = INSTANCE:format(port)},
    })
    t:is(c:wait_exit(), 0, 'tarantoolctl says that it has started')
    c:follow('app.pid')

    c.membership.add_member(a.uri)
    t:ok(cluster:everyone_sees(c.uri, 'alive', {a, b, c}), 'everybody sees it')
    cluster:record(a)
    c.membership.set_payload('n', 1)
    t:ok(cluster:everyone_sees_payload(c.uri, {n = 1}, {a, b, c}), 'and its payload')
    cluster:let_pass(5)
    t:is_deeply(cluster:recorded(a, c.uri), {'alive 1', 'alive 2'}, 'it stays')

    c:signal('TERM')
    c:wait_exit()
    t:ok(cluster:everyone_sees(c.uri, 'dead', {a, b}), 'until it is stopped')
end)

suite.run()
