package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fio = require('fio')
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

--- The path of the tarantoolctl beside the Tarantool that is tested, or else of that on the PATH; nil if there is none.
local function find_tarantoolctl()
    local directories = fio.dirname(arg[-1]) .. ':' .. os.getenv('PATH')
    for directory in directories:gmatch('[^:]+') do
        local path = fio.pathjoin(directory, 'tarantoolctl')
        if fio.path.exists(path) then
            return path
        end
    end
end

suite.fact('an instance of tarantoolctl, which calls init before box.cfg, is a member', function(t, cluster)
    local tarantoolctl = find_tarantoolctl()
    if tarantoolctl == nil and not _TARANTOOL:match('^[12]%.') then
        t:skip('Tarantool has none since version 3')
        return
    end
    local a, b = cluster:group(2, {options = {}})
    local port = cluster:port()
    local c = cluster:node({
        port = port,
        -- Its first line may name another Tarantool.
        program = {arg[-1], assert(tarantoolctl, 'there is no tarantoolctl'), 'start', 'app'},
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
