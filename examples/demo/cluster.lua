--- Real Tarantool processes, started, asked, killed and looked at from outside.

local clock = require('clock')
local fiber = require('fiber')
local json = require('json')
local popen = require('popen')
local socket = require('socket')

local Watch = require('demo.watch')

local HOST = '127.0.0.1'
local INSTANCE = debug.getinfo(1, 'S').source:match('^@(.*/)') .. 'instance.lua'

-- What several instances report is put in the order of their clocks; their pipes lag behind by less than this.
local REORDER_SECONDS = 0.02
local ANSWER_SECONDS = 15
local LAST_WORDS = 20

local Cluster = {}
Cluster.__index = Cluster

--- Ends the scenario with a sentence for the user.
local function fail(text, ...)
    error({failure = text:format(...)}, 0)
end

--- As many UDP ports as there are names, chosen by the kernel; all held until the last is known.
local function free_ports(count)
    local ports, held = {}, {}
    for i = 1, count do
        held[i] = socket('AF_INET', 'SOCK_DGRAM', 'udp')
        if held[i] == nil or not held[i]:bind(HOST, 0) then
            fail('the kernel gives no UDP port on %s', HOST)
        end
        ports[i] = held[i]:name().port
    end
    for _, s in ipairs(held) do
        s:close()
    end
    return ports
end

--- A cluster of instances with these names, none of them running yet.
function Cluster.new(names)
    local self = setmetatable({
        names = names,
        instances = {},
        by_uri = {},
        inbox = {},
        watches = {},
        answers = {},
        failure = nil,
        changed = fiber.cond(),
    }, Cluster)
    for i, port in ipairs(free_ports(#names)) do
        local instance = {name = names[i], port = port, uri = ('%s:%d'):format(HOST, port), sees = {}, running = false}
        self.instances[names[i]] = instance
        self.by_uri[instance.uri] = instance
    end
    fiber.create(self.dispatch, self)
    return self
end

--- All names but these.
function Cluster:others(...)
    local excluded = {}
    for _, name in ipairs({...}) do
        excluded[name] = true
    end
    local rest = {}
    for _, name in ipairs(self.names) do
        if not excluded[name] then
            table.insert(rest, name)
        end
    end
    return rest
end

-- What instances report ------------------------------------------------------------------------------------------

--- Calls handle(line) for each line that the process writes, until it closes that stream.
local function read_lines(process, stream, handle)
    local pending = ''
    while true do
        local ok, data = pcall(process.read, process, stream)
        if not ok or data == nil or data == '' then
            return
        end
        pending = pending .. data
        for line in pending:gmatch('([^\n]*)\n') do
            handle(line)
        end
        pending = pending:match('[^\n]*$')
    end
end

local function describe_end(status)
    if status.state == 'signaled' then
        return 'was ended by ' .. status.signame
    end
    return ('exited with code %s'):format(status.exit_code)
end

--- Follows one life of an instance to its end, and fails the scenario if that was not asked for.
function Cluster:follow(instance, process)
    -- Once the process has ended, popen knows its pid no longer.
    local pid = instance.pid
    local last_words = {}
    local words_done = fiber.cond()
    local listening = true
    fiber.create(function()
        read_lines(process, {stderr = true}, function(line)
            table.insert(last_words, line)
            if #last_words > LAST_WORDS then
                table.remove(last_words, 1)
            end
        end)
        listening = false
        words_done:broadcast()
    end)
    read_lines(process, {stdout = true}, function(line)
        local message = json.decode(line)
        message.instance = instance
        table.insert(self.inbox, message)
        self.changed:broadcast()
    end)
    if listening then
        words_done:wait(1)
    end
    if instance.process ~= process or not instance.running then
        return
    end
    instance.running = false
    self.failure = ('%s (process %d) %s\n%s'):format(
        instance.name, pid, describe_end(process:wait()), table.concat(last_words, '\n'))
    self.changed:broadcast()
end

--- Takes in what came, in the order in which it happened.
function Cluster:dispatch()
    while self.failure == nil do
        while #self.inbox == 0 do
            self.changed:wait()
        end
        fiber.sleep(REORDER_SECONDS)
        local messages = self.inbox
        self.inbox = {}
        table.sort(messages, function(a, b) return a.at < b.at end)
        local ok, err = pcall(function()
            for _, message in ipairs(messages) do
                self:take_in(message)
            end
        end)
        if not ok then
            self.failure = tostring(err)
        end
        self.changed:broadcast()
    end
end

function Cluster:take_in(message)
    local instance = message.instance
    if message.up then
        instance.up_since = message.at
    elseif message.id ~= nil then
        self.answers[message.id] = message
    else
        for _, member in ipairs(message.news) do
            instance.sees[member.uri] = member.status and member -- nil when it is gone
        end
        for watch in pairs(self.watches) do
            watch:look(instance, message.at)
        end
    end
end

--- Waits until condition() holds; false if that takes longer than so many seconds.
function Cluster:wait_for(seconds, condition)
    local deadline = fiber.clock() + seconds
    while not condition() do
        if self.failure ~= nil then
            error({failure = self.failure}, 0)
        end
        local left = deadline - fiber.clock()
        if left <= 0 then
            return false
        end
        self.changed:wait(left)
    end
    return true
end

-- What is done to instances ----------------------------------------------------------------------------------------

--- Starts an instance, or starts it again; returns when it has called init(), with the time of that call.
function Cluster:start(name)
    local instance = self.instances[name]
    -- In a session of its own, so that Ctrl-C comes to us alone and we end it in order.
    local process, err = popen.new({arg[-1], INSTANCE, HOST, tostring(instance.port)}, {
        stdin = popen.opts.PIPE,
        stdout = popen.opts.PIPE,
        stderr = popen.opts.PIPE,
        setsid = true,
        group_signal = true,
    })
    if process == nil then
        fail('%s could not be started: %s', name, err)
    end
    instance.process, instance.pid, instance.running = process, process.pid, true
    instance.sees, instance.up_since = {}, nil
    fiber.create(self.follow, self, instance, process)
    if not self:wait_for(ANSWER_SECONDS, function() return instance.up_since ~= nil end) then
        fail('%s (process %d) is not up after %d s', name, instance.pid, ANSWER_SECONDS)
    end
    return instance.up_since
end

--- kill -9. Returns when that was.
function Cluster:kill(name)
    local instance = self.instances[name]
    instance.running = false
    local killed_at = clock.realtime()
    instance.process:kill()
    instance.process:wait()
    return killed_at
end

--- Has the instance call a function of membership, without waiting: the answer is for answer().
function Cluster:tell(name, call, ...)
    local id = #self.answers + 1
    self.answers[id] = false
    local instance = self.instances[name]
    instance.process:write(json.encode({id = id, call = call, args = {...}}) .. '\n')
    return {id = id, name = name, call = call}
end

--- When the call was made, and when it returned. Fails the scenario unless the call returned true.
function Cluster:answer(told)
    if not self:wait_for(ANSWER_SECONDS, function() return self.answers[told.id] end) then
        fail('%s does not return from %s() after %d s', told.name, told.call, ANSWER_SECONDS)
    end
    local answer = self.answers[told.id]
    if not answer.ok then
        fail('%s: %s() failed: %s', told.name, told.call, answer.err or 'it did not return true')
    end
    return answer.at, answer.returned_at
end

function Cluster:call(name, call, ...)
    return self:answer(self:tell(name, call, ...))
end

--- The error of a call that has to fail.
function Cluster:call_in_vain(name, call, ...)
    local told = self:tell(name, call, ...)
    if not self:wait_for(ANSWER_SECONDS, function() return self.answers[told.id] end) then
        fail('%s does not return from %s() after %d s', name, call, ANSWER_SECONDS)
    end
    local answer = self.answers[told.id]
    if answer.ok then
        fail('%s: %s() succeeded, and should not have', name, call)
    end
    return answer.err
end

--- Lets time pass.
function Cluster:rest(seconds)
    self:wait_for(seconds, function() return false end)
end

--- Ends whatever still runs. For any time, and more than once.
function Cluster:stop()
    for _, instance in pairs(self.instances) do
        if instance.running then
            instance.running = false
            instance.process:kill()
            instance.process:wait()
        end
    end
end

-- What instances see -----------------------------------------------------------------------------------------------

--- What the instance holds of another: a table with status and payload, or nil.
function Cluster:view(name, of)
    return self.instances[name].sees[self.instances[of].uri]
end

--- The port of each of these.
function Cluster:ports(names)
    local ports = {}
    for i, name in ipairs(names) do
        ports[i] = self.instances[name].port
    end
    return ports
end

--- How many members the instance sees alive, itself included.
function Cluster:count_alive(name)
    local count = 0
    for _, member in pairs(self.instances[name].sees) do
        count = count + (member.status == 'alive' and 1 or 0)
    end
    return count
end

--- Records how something changes in the eyes of the observers, from now on.
-- Set it up before what is to be seen happens, then follow() it.
-- @param value_of function(name): what that observer sees now, compared with ==
function Cluster:watch(observers, value_of)
    return Watch.new(self, observers, value_of)
end

return Cluster
