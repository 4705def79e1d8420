--- A test file: facts about one subject, each with a cluster of its own.
--
--     local suite = require('suite')
--     suite.fact('a member that leaves is seen to have left', function(t, cluster) ... end)
--     suite.run()

local ffi = require('ffi')
local fio = require('fio')
local tap = require('tap')
local tarantool = require('tarantool')

ffi.cdef([[
    struct suite_event { void *value; int signal; int notify; char rest[48]; };
    struct suite_times { long interval_seconds, interval_nanoseconds, seconds, nanoseconds; };
    int timer_create(int clock, struct suite_event *event, void **timer);
    int timer_settime(void *timer, int flags, const struct suite_times *times, struct suite_times *before);
]])
local CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGVTALRM = 1, 0, 26

--- The kernel ends a test whose fact takes longer, by SIGVTALRM, and its instances with it.
local FACT_TIMEOUT_SECONDS = 60

--- Below the ports that Linux hands out by itself (32768 and up), so that nobody else is given one of ours.
local FIRST_PORT, PORTS_PER_FILE = 29000, 25
local LOG_LINES = 20

local script = fio.abspath(arg[0])
local test_dir = fio.dirname(script)

--- Files may run at the same time: each has ports of its own.
local function first_port()
    local files = fio.glob(fio.pathjoin(test_dir, '*.test.lua'))
    table.sort(files)
    for i, file in ipairs(files) do
        if file == script then
            return FIRST_PORT + (i - 1) * PORTS_PER_FILE
        end
    end
    error(script .. ' is not among the tests')
end

--- Instances run elsewhere and find the module by the environment: as given, or else in the tree of `rocks make`.
local function export_paths()
    local rocks = fio.pathjoin(fio.dirname(test_dir), '.rocks')
    local defaults = {
        LUA_PATH = '%s/share/tarantool/?.lua;%s/share/tarantool/?/init.lua;;',
        LUA_CPATH = '%s/lib/tarantool/?.so;;',
    }
    for name, default in pairs(defaults) do
        local paths = os.getenv(name) or default:gsub('%%s', (rocks:gsub('%%', '%%%%')))
        os.setenv(name, (paths:gsub('[^;]+', fio.abspath)))
    end
end

--- A timer of the process for `set_timer`. That of alarm() is Tarantool's own, from 2.11 on, with its SIGALRM.
local function new_timer()
    local event = ffi.new('struct suite_event', {signal = SIGVTALRM, notify = SIGEV_SIGNAL})
    local timer = ffi.new('void *[1]')
    assert(ffi.C.timer_create(CLOCK_MONOTONIC, event, timer) == 0, 'the kernel gives no timer')
    return timer[0]
end

--- Has it end the process in so many seconds; 0: not at all.
local function set_timer(timer, seconds)
    assert(ffi.C.timer_settime(timer, 0, ffi.new('struct suite_times', {seconds = seconds}), nil) == 0)
end

local facts = {}

local function fact(name, check)
    table.insert(facts, {name = name, check = check})
end

local function explain(t, cluster)
    for _, node in ipairs(cluster.nodes) do
        t:diag('the log of %s ends with', node.uri)
        for _, line in ipairs(node:log_tail(LOG_LINES)) do
            t:diag('    %s', line)
        end
    end
end

local function establish(t, check, dir, port, timer)
    set_timer(timer, FACT_TIMEOUT_SECONDS)
    local cluster = require('cluster').new(dir, port)
    local trace
    local ok, err = xpcall(check, function(err)
        trace = debug.traceback('', 2)
        return tostring(err)
    end, t, cluster)
    if not ok then
        t:fail(err)
        for line in trace:gmatch('\t([^\n]+)') do
            t:diag('    %s', line)
        end
    end
    if t.failed > 0 then
        explain(t, cluster)
    end
    cluster:close()
    set_timer(timer, 0)
    t:plan(t.total)
end

local function run()
    io.stdout:setvbuf('line')
    export_paths()
    local name = fio.basename(script, '.test.lua')
    local scratch = fio.pathjoin(os.getenv('TMPDIR') or '/tmp', ('membership-%s-%d'):format(name, tarantool.pid()))
    local port, timer = first_port(), new_timer()

    local test = tap.test(name)
    test.trace = false -- it would show this file, not the test
    test:plan(#facts)
    for i, the in ipairs(facts) do
        test:test(the.name, establish, the.check, fio.pathjoin(scratch, tostring(i)), port, timer)
    end
    fio.rmtree(scratch)
    os.exit(test:check() and 0 or 1)
end

return {fact = fact, run = run}
