-- A program may fork: its children have no part in the group as long as it lives.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local files = require('files')
local fio = require('fio')
local json = require('json')
local state_file = require('state_file')
local suite = require('suite')

local fact = suite.fact

--- Has a process declare what its functions below call.
local function declare(node)
    node:call(function()
        require('ffi').cdef([[
            int fork(void);
            void _exit(int status);
            int waitpid(int pid, int *status, int options);
            int kill(int pid, int signal);
            unsigned sleep(unsigned seconds);
        ]])
    end)
end

--- Forks a child that lives on, without running anything else, until it is killed. Returns its pid.
local function fork_worker(node)
    return node:call(function()
        local C = require('ffi').C
        local pid = C.fork()
        if pid == 0 then
            while true do
                C.sleep(60)
            end
        end
        return pid
    end)
end

local function kill(node, pid)
    node:call(function(worker)
        local C = require('ffi').C
        C.kill(worker, 9)
        C.waitpid(worker, nil, 0)
    end, pid)
end

local PATIENT = {PROTOCOL_PERIOD_SECONDS = 0.2, ACK_TIMEOUT_SECONDS = 0.1, SUSPECT_TIMEOUT_SECONDS = 1}

fact('a program that forks all the time is never in doubt', function(t, cluster)
    local a, b = cluster:group(2, {options = PATIENT})
    declare(a)
    cluster:record(b)
    a:call(function()
        local ffi, fiber = require('ffi'), require('fiber')
        for _ = 1, 60 do
            local pid = ffi.C.fork()
            if pid == 0 then
                ffi.C._exit(0)
            end
            ffi.C.waitpid(pid, nil, 0)
            fiber.sleep(0.1)
        end
    end)
    t:is(b.membership.probe_uri(a.uri), true, 'it answers')
    t:is_deeply(cluster:recorded(b, a.uri), {'alive 1'}, 'as it did all the time')
    t:is(a:status_of(b.uri), 'alive', 'and it hears the others')
end)

fact('a child that lives on changes nothing', function(t, cluster)
    local a, b = cluster:group(2, {options = PATIENT})
    declare(a)
    cluster:record(b)
    local worker = fork_worker(a)
    a.membership.set_payload('n', 1)
    t:ok(cluster:everyone_sees_payload(a.uri, {n = 1}), 'the parent is heard')
    cluster:let_pass(4) -- in which it would be suspected, if two were to answer in its name
    t:is_deeply(cluster:recorded(b, a.uri), {'alive 1', 'alive 2'}, 'and never in doubt')
    kill(a, worker)
end)

fact('a child that lives on does not undo leave, nor keep the port', function(t, cluster)
    local a, b = cluster:group(2, {options = PATIENT})
    declare(a)
    local worker = fork_worker(a)
    t:is(a.membership.leave(), true, 'the parent leaves')
    local port = cluster:wait('its port to be free', function() -- the child may take longer than leave waits for it
        return cluster:udp('0.0.0.0', a.port)
    end)
    t:ok(port, 'its port is free')
    port:close()
    t:ok(cluster:everyone_sees(a.uri, 'left', {b}), 'which is seen')
    cluster:let_pass(4)
    t:is(b:status_of(a.uri), 'left', 'and stays so')
    cluster:init(a)
    a.membership.add_member(b.uri)
    t:ok(cluster:everyone_sees(a.uri, 'alive', {b}), 'until it comes back')
    kill(a, worker)
end)

fact('a child may become a member of its own', function(t, cluster)
    local a, b = cluster:group(2, {options = PATIENT})
    declare(a)
    cluster:record(b)
    local port = cluster:port()
    local worker = a:call(function(own_port, other)
        local C = require('ffi').C
        local pid = C.fork()
        if pid ~= 0 then
            return pid
        end
        local membership = require('membership')
        membership.init('127.0.0.1', own_port)
        membership.add_member(other)
        while true do
            C.sleep(60)
        end
    end, port, b.uri)
    t:ok(cluster:everyone_sees('127.0.0.1:' .. port, 'alive', {a, b}), 'it is seen under its own name')
    t:is_deeply(cluster:recorded(b, a.uri), {'alive 1'}, 'and its parent never in doubt')
    kill(a, worker)
    t:ok(cluster:everyone_sees('127.0.0.1:' .. port, 'dead', {a, b}), 'each has a life of its own')
end)

--- What a JSON file in the directory of a process says, once it is there.
local function wait_for_file(cluster, node, name)
    local path = fio.pathjoin(node.dir, name)
    cluster:wait(name, function()
        return fio.path.exists(path)
    end)
    return json.decode(files.read(path))
end

--- Forks a child that lives on, and calls `init` there with another port and this state file, if they are given. After
-- some seconds it writes into a file what it has noticed of state files meanwhile.
local function fork_worker_with_file(node, port, name)
    return node:call(function(own_port, file_name)
        local C, membership = require('ffi').C, require('membership')
        local before = membership.stats().state_file
        local pid = C.fork()
        if pid ~= 0 then
            return pid
        end
        if own_port ~= nil then
            membership.init('127.0.0.1', own_port, {state_file = file_name})
        end
        membership.set_payload('worker', true)
        C.sleep(5) -- longer than it takes from one change of the file to the next
        local after, myself = membership.stats().state_file, membership.myself()
        -- By functions that do not yield: the event loop is that of the parent.
        local file = io.open('worker.new', 'w')
        file:write(require('json').encode({
            saves = after.saves - before.saves,
            failures = after.failures - before.failures,
            uri = myself.uri,
            incarnation = myself.incarnation,
        }))
        file:close()
        os.rename('worker.new', 'worker')
        while true do
            C.sleep(60)
        end
    end, port, name)
end

fact('a child that lives on leaves the state file to its parent', function(t, cluster)
    local a = cluster:member({options = PATIENT, state_file = 'members'})
    state_file.wait(cluster, a)
    declare(a)
    local worker = fork_worker_with_file(a)
    a.membership.set_payload('n', 1)
    local found = wait_for_file(cluster, a, 'worker')
    t:is(found.saves, 0, 'it has not written it')
    a.membership.set_payload('n', 2)
    t:ok(state_file.wait(cluster, a), 'and the parent goes on with it')
    kill(a, worker)
end)

fact('a child that becomes a member of its own does not take the state file of its parent', function(t, cluster)
    local a, b = cluster:member({options = PATIENT, state_file = 'members'}), cluster:member({options = PATIENT})
    a.membership.add_member(b.uri)
    cluster:acquaint({a, b})
    for i = 1, 5 do
        a.membership.set_payload('n', i)
    end
    state_file.wait(cluster, a)
    declare(a)
    local port = cluster:port()
    local worker = fork_worker_with_file(a, port, 'members')
    local found = wait_for_file(cluster, a, 'worker')
    t:is(found.uri, '127.0.0.1:' .. port, 'it has a name of its own')
    t:is(found.saves, 0, 'it has not written the file')
    t:ok(found.failures > 0, 'and knows that it cannot')
    t:is(found.incarnation, 2, 'it has begun to count anew')
    t:is(b:status_of(found.uri), nil, 'and does not look for members of its parent')
    a.membership.set_payload('n', 6)
    t:ok(state_file.wait(cluster, a), 'the parent goes on with the file')
    kill(a, worker)
end)

suite.run()
