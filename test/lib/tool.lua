--- membershipctl, as a user runs it.

local ffi = require('ffi')
local fiber = require('fiber')
local fio = require('fio')
local json = require('json')
local popen = require('popen')
local wait = require('wait')

local tool = {}

local ROOT = fio.abspath(debug.getinfo(1, 'S').source:match('^@(.*/)') .. '../..')

--- Where `make rock` puts it, unless the environment says where another one is.
tool.PATH = os.getenv('MEMBERSHIPCTL') or fio.pathjoin(ROOT, '.rocks/bin/membershipctl')

local TIMEOUT_SECONDS = 30
local SIGNALS = {INT = 2, TERM = 15}

ffi.cdef('int kill(int pid, int signal);')

local Run = {}
Run.__index = Run

local function collect(run, name)
    fiber.create(function()
        while true do
            local piece = run.child:read({[name] = true, timeout = TIMEOUT_SECONDS})
            if piece == nil or piece == '' then
                break
            end
            run[name] = run[name] .. piece
        end
        run.open = run.open - 1
    end)
end

--- Begins to run it with these arguments, and what is in `env` added to the environment.
function tool.begin(args, env)
    local argv = {tool.PATH}
    for _, arg in ipairs(args) do
        table.insert(argv, arg)
    end
    local environment = os.environ()
    for name, value in pairs(env or {}) do
        environment[name] = value
    end
    local child = assert(popen.new(argv, {
        env = environment,
        stdin = popen.opts.DEVNULL,
        stdout = popen.opts.PIPE,
        stderr = popen.opts.PIPE,
    }))
    local run = setmetatable({child = child, stdout = '', stderr = '', open = 2}, Run)
    collect(run, 'stdout')
    collect(run, 'stderr')
    return run
end

--- Waits until a part of what it has printed is like this.
function Run:wait_for(pattern)
    return wait.until_true('membershipctl to print ' .. pattern, function()
        return self.stdout:match(pattern), self.stdout .. self.stderr
    end)
end

function Run:signal(name)
    ffi.C.kill(self.child:info().pid, SIGNALS[name])
end

--- Waits for its end. Returns itself, with `code`, `stdout` and `stderr`.
function Run:finish()
    wait.until_true('membershipctl to end', function()
        local status = self.child:info().status
        self.code = status.exit_code
        return status.state ~= popen.state.ALIVE and self.open == 0
    end, TIMEOUT_SECONDS)
    self.child:close()
    return self
end

--- Runs it to its end.
function tool.run(args, env)
    return tool.begin(args, env):finish()
end

--- The same, for what prints JSON: returns that, and the exit code.
function tool.json(args, env)
    table.insert(args, '--json')
    local run = tool.run(args, env)
    local ok, value = pcall(json.decode, run.stdout)
    return ok and value or run.stderr, run.code
end

return tool
