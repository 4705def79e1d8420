--- One real Tarantool process under test.

local errno = require('errno')
local ffi = require('ffi')
local fiber = require('fiber')
local files = require('files')
local fio = require('fio')
local popen = require('popen')
local rpc = require('rpc')
local tarantool = require('tarantool')
local wait = require('wait')

ffi.cdef('int kill(int pid, int signal);')

local SIGNALS = {KILL = 9, TERM = 15, CONT = 18, STOP = 19}
local CALL_TIMEOUT_SECONDS = 20
local EXIT_TIMEOUT_SECONDS = 15

local LIB = fio.abspath(debug.getinfo(1, 'S').source:match('^@(.*/)')) .. '/'

local Node = {}

--- `node.membership.add_member(uri)` calls the function of that name in the process.
local function remote_membership(node)
    return setmetatable({}, {__index = function(_, name)
        return function(...)
            return node:call(function(called, ...)
                return require('membership')[called](...)
            end, name, ...)
        end
    end})
end

Node.__index = Node

--- Starts a process. `dir` is its own, `port` the one it is to advertise. Options:
-- host     what it is to advertise, 127.0.0.1 by default
-- program  the command to run instead of the usual instance
-- prefix   a command to run it under, e.g. {'unshare', '-m'}
-- env      further environment variables
-- files    to be written into its directory first: name -> contents
local function start(dir, port, opts)
    local host = opts.host or '127.0.0.1'
    local node = setmetatable({
        dir = dir,
        host = host,
        port = port,
        uri = ('%s:%d'):format(host, port),
        opts = opts,
    }, Node)
    node.membership = remote_membership(node)
    node:spawn()
    return node
end

function Node:spawn()
    assert(fio.mktree(self.dir))
    self.socket = fio.pathjoin(self.dir, 'rpc.sock')
    fio.unlink(self.socket)
    for name, contents in pairs(self.opts.files or {}) do
        files.write(fio.pathjoin(self.dir, name), contents)
    end

    local argv = {'/bin/sh', '-c', 'cd "$0" && exec "$@" >>log 2>&1', self.dir}
    for _, word in ipairs(self.opts.prefix or {}) do
        table.insert(argv, word)
    end
    for _, word in ipairs(self.opts.program or {arg[-1], LIB .. 'instance.lua'}) do
        table.insert(argv, word)
    end

    local env = os.environ()
    env.MEMBERSHIP_TEST_DRIVER = tostring(tarantool.pid())
    env.MEMBERSHIP_TEST_SOCKET = self.socket
    env.MEMBERSHIP_TEST_LIB = LIB
    env.PWD = self.dir -- tarantoolctl looks there for its configuration
    for name, value in pairs(self.opts.env or {}) do
        env[name] = value
    end

    self.child = assert(popen.new(argv, {env = env, stdin = popen.opts.DEVNULL}))
    self.pid = self.child:info().pid
    wait.until_true('the instance on port ' .. self.port .. ' to start', function()
        return rpc.call(self.socket, CALL_TIMEOUT_SECONDS, function() return true end)
    end)
end

--- Runs `fn(...)` in the process and returns what it returned, or raises what it raised.
function Node:call(fn, ...)
    local function returned(ok, ...)
        if not ok then
            error(('%s: %s'):format(self.uri, tostring((...))), 0)
        end
        return ...
    end
    return returned(rpc.call(self.socket, CALL_TIMEOUT_SECONDS, fn, ...))
end

--- Runs `fn(...)` in the process when the process is not expected to live long enough to answer.
function Node:cast(fn, ...)
    rpc.call(self.socket, CALL_TIMEOUT_SECONDS, fn, ...)
end

--- Begins `fn(...)` in the process. The function that is returned waits for it to end, then does as `call`.
function Node:begin(fn, ...)
    local outcome = fiber.channel(1)
    local function put(...)
        outcome:put({count = select('#', ...), ...})
    end
    fiber.create(function(...)
        put(pcall(self.call, self, ...))
    end, fn, ...)
    return function()
        local got = assert(outcome:get(CALL_TIMEOUT_SECONDS + 1), 'a call that was begun did not end')
        if not got[1] then
            error(got[2], 0)
        end
        return unpack(got, 2, got.count)
    end
end

--- What this process thinks of a member: `alive` ... `left`, or nil.
function Node:status_of(uri)
    local member = self.membership.get_member(uri)
    return member and member.status
end

--- Whether a probe of another process is answered. The tenth of a second that a quick member waits for an answer may be
-- too short on a machine with load.
function Node:reaches(uri)
    return self:call(function(probed)
        local options = require('membership.options')
        local before = options.ACK_TIMEOUT_SECONDS
        options.ACK_TIMEOUT_SECONDS = 5
        local answered = require('membership').probe_uri(probed)
        options.ACK_TIMEOUT_SECONDS = before
        return answered
    end, uri)
end

--- Has a fiber in the process wait for the subscription that is there as the global `name`. It waits from now on,
-- before there is news, which takes a millisecond or two. The function that is returned tells whether it was woken.
function Node:await_wake(name)
    self:call(function(subscription)
        rawset(_G, 'woken', false)
        require('fiber').create(function()
            rawset(_G, 'woken', rawget(_G, subscription):wait(10))
        end)
    end, name)
    return function()
        return self:call(function() return rawget(_G, 'woken') end)
    end
end

--- Counts in the process how often a subscriber is woken. The function that is returned tells how often so far.
function Node:count_wakes()
    self:call(function()
        local changed = require('membership').subscribe()
        rawset(_G, 'wakes', 0)
        require('fiber').create(function()
            while true do
                changed:wait()
                rawset(_G, 'wakes', rawget(_G, 'wakes') + 1)
            end
        end)
    end)
    return function()
        return self:call(function() return rawget(_G, 'wakes') end)
    end
end

function Node:signal(name)
    ffi.C.kill(self.pid, SIGNALS[name])
end

--- Ends the process at once, as a power failure would.
function Node:kill()
    self:signal('KILL')
    return self:wait_exit()
end

--- The letter of the state of a process or thread, by its directory in /proc; nil if there is none any more.
local function state_of(dir)
    local file = fio.open(fio.pathjoin(dir, 'stat'), {'O_RDONLY'})
    if file == nil then
        return nil
    end
    local stat = file:read(4096)
    file:close()
    return stat and stat:match('^%d+ %b() (%a)')
end

--- SIGSTOP: the process does nothing until `cont`. The one thread that takes the signal stops the others, and until it
-- gets a processor they go on, and answer.
function Node:stop()
    self:signal('STOP')
    wait.until_true(self.uri .. ' to stop', function()
        for _, thread in ipairs(fio.glob(('/proc/%d/task/*'):format(self.pid))) do
            local state = state_of(thread)
            if state ~= nil and state ~= 'T' then
                return false, ('%s is in state %s'):format(thread, state)
            end
        end
        return true
    end)
end

function Node:cont()
    self:signal('CONT')
end

--- The same address, another life.
function Node:restart()
    if self:is_running() then
        self:kill()
    end
    self:spawn()
end

--- Killed processes that nobody waited for keep their pid, but nothing else.
local function is_zombie(pid)
    local state = state_of('/proc/' .. pid)
    return state == nil or state == 'Z'
end

function Node:is_running()
    if ffi.C.kill(self.pid, 0) ~= 0 and errno() == errno.ESRCH then
        return false
    end
    return not is_zombie(self.pid)
end

--- Waits for the process to end. Returns its exit code, or `nil, signal` when a signal ended it.
function Node:wait_exit()
    wait.until_true(self.uri .. ' to exit', function()
        return not self:is_running()
    end, EXIT_TIMEOUT_SECONDS)
    if self.daemonised then
        return nil -- not a child of ours: nobody can tell
    end
    local status
    wait.until_true(self.uri .. ' to be reaped', function()
        status = self.child:info().status
        return status.state ~= popen.state.ALIVE
    end)
    return status.exit_code, status.signo
end

--- From now on the process is the one whose pid is in the file: it went into the background.
function Node:follow(pid_file)
    local pid
    wait.until_true('a pid in ' .. pid_file, function()
        local file = fio.open(fio.pathjoin(self.dir, pid_file), {'O_RDONLY'})
        pid = file and tonumber(file:read(64))
        if file then
            file:close()
        end
        return pid
    end)
    assert(pid ~= self.pid, 'it did not fork')
    self.pid = pid
    self.daemonised = true
end

--- The last lines that it wrote to its log.
function Node:log_tail(count)
    local lines = {}
    for _, name in ipairs({'log', 'background.log'}) do
        local file = fio.open(fio.pathjoin(self.dir, name), {'O_RDONLY'})
        if file then
            for line in file:read():gmatch('[^\n]+') do
                table.insert(lines, line)
            end
            file:close()
        end
    end
    return {unpack(lines, math.max(1, #lines - count + 1))}
end

--- Ends the process, whatever state it is in.
function Node:close()
    if self:is_running() then
        self:kill()
    end
    self.child:close()
end

return {start = start}
