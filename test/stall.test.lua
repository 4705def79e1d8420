package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fio = require('fio')
local logged = require('logged')
local suite = require('suite')
local tool = require('tool')
local fact = suite.fact

local COMPLAINT = "Tarantool's thread did not respond for [%d.]+ s: announced this instance suspect"

local function complains(node)
    for _, line in ipairs(node:log_tail(1000)) do
        if line:match(COMPLAINT) then
            return true
        end
    end
    return false
end

--- No fiber can run for so long.
local function compute(node, seconds)
    node:call(function(duration)
        local monotonic = require('clock').monotonic
        local deadline = monotonic() + duration
        while monotonic() < deadline do end
    end, seconds)
end

local function set(node, name, value)
    node:call(function(option, wanted)
        require('membership.options')[option] = wanted
    end, name, value)
end

--- What both peers of a saw of it: nothing but that it has set a payload in the end.
local function is_not_missed(t, cluster, a, b, c, seconds)
    cluster:record(b)
    cluster:record(c)
    compute(a, seconds)
    a.membership.set_payload('done', true)
    t:ok(cluster:everyone_sees_payload(a.uri, {done = true}), ('it is back after %g s'):format(seconds))
    for _, peer in ipairs({b, c}) do
        t:is_deeply(cluster:recorded(peer, a.uri), {'alive 1', 'alive 2'}, 'and nobody saw anything')
    end
    t:ok(not complains(a), 'nor has it anything to say')
end

fact('a thread that hangs for less than the timeout is not missed', function(t, cluster)
    local a, b, c = cluster:group(3, {options = {TX_STALL_TIMEOUT_SECONDS = 3}})
    is_not_missed(t, cluster, a, b, c, 2)
end)

fact('without a timeout it is never missed', function(t, cluster)
    local a, b, c = cluster:group(3, {options = {TX_STALL_TIMEOUT_SECONDS = 0}})
    is_not_missed(t, cluster, a, b, c, 4)
end)

fact('a thread that hangs for longer is suspect, dead, and alive again when it is back', function(t, cluster)
    local a, b, c = cluster:group(3, {options = {SUSPECT_TIMEOUT_SECONDS = 0.5}})
    -- Its log is read: the others are to hear of the death from it.
    b:call(function()
        require('membership.options').SUSPECT_TIMEOUT_SECONDS = 0.3
    end)
    cluster:record(b)
    cluster:record(c)
    logged.begin(b)
    local refutations = a.membership.stats().refutations
    local let_go = fio.pathjoin(a.dir, 'let-go')
    local ended = a:begin(function(path)
        local ffi, options = require('ffi'), require('membership.options')
        ffi.cdef('int access(const char *path, int mode);')
        local before = options.TX_STALL_TIMEOUT_SECONDS
        options.TX_STALL_TIMEOUT_SECONDS = 0.3
        while ffi.C.access(path, 0) ~= 0 do end
        options.TX_STALL_TIMEOUT_SECONDS = before
        return require('membership').myself().status
    end, let_go)

    t:ok(cluster:everyone_sees(a.uri, 'dead', {b, c}), 'it is dead for everybody, although it still hangs')
    local text = 'Node timed out: %s - dead (it announces itself as suspect: its Tarantool thread does not respond)'
    t:ok(logged.wait(b, 'info', text:format(a.uri)), 'and the log says why')
    local hints = b.membership.diagnose(a.uri).hints
    t:is_deeply(hints, {'it announces itself as suspect: its Tarantool thread does not respond'}, 'as does the hint')
    local diff = tool.run({'diff', a.uri, b.uri, c.uri, '--patience', '0.1'})
    local finding = a.port .. ' announces itself as suspect: its Tarantool thread does not respond'
    t:like(diff.stdout, finding, 'and membershipctl')
    t:unlike(diff.stdout, 'network between', 'which does not blame the network')
    fio.open(let_go, {'O_CREAT', 'O_WRONLY'}, tonumber('644', 8)):close()
    t:is(ended(), 'suspect', 'it knows itself what others were told')
    t:ok(cluster:everyone_sees(a.uri, 'alive'), 'it is alive for everybody')
    for _, peer in ipairs({b, c}) do
        local seen = {'alive 1', 'suspect 1', 'dead 1', 'alive 2'}
        t:is_deeply(cluster:recorded(peer, a.uri), seen, 'one thing after the other')
    end
    t:is(a.membership.stats().refutations, refutations + 1, 'it has refuted, and counted that')
    t:ok(cluster:wait('a line in the log', function()
        return complains(a)
    end), 'it says in its log what has happened')
end)

fact('a thread that waits in the kernel hangs, although it computes nothing', function(t, cluster)
    local a, b, c = cluster:group(3, {options = {SUSPECT_TIMEOUT_SECONDS = 0.5}})
    local fifo = fio.pathjoin(a.dir, 'fifo')
    assert(os.execute('mkfifo ' .. fifo) == 0)
    local ended = a:begin(function(path)
        require('membership.options').TX_STALL_TIMEOUT_SECONDS = 0.3
        io.open(path):close() -- opens once somebody writes
    end, fifo)
    t:ok(cluster:everyone_sees(a.uri, 'dead', {b, c}), 'it is dead for everybody')
    fio.open(fifo, {'O_WRONLY'}):close()
    ended()
    t:ok(cluster:everyone_sees(a.uri, 'alive'), 'and alive when it is back')
end)

fact('a process that was stopped does not take that for a hang', function(t, cluster)
    local a, b = cluster:group(2)
    set(a, 'TX_STALL_TIMEOUT_SECONDS', 1)
    a:stop()
    t:ok(cluster:everyone_sees(a.uri, 'dead', {b}), 'stopped, it is as good as dead')
    a:cont()
    t:ok(cluster:everyone_sees(a.uri, 'alive'), 'when it goes on, it is alive')
    cluster:let_pass(1.5) -- longer than a hang would take to be noticed
    t:ok(not complains(a), 'and says nothing of itself')
end)

suite.run()
