-- The module in application threads, beside Tarantool's own thread: where there are any, from Tarantool 3.7 on.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

local has_threads = pcall(require, 'experimental.threads')

--- Facts that need application threads are skipped where there are none.
local function threads_fact(name, check)
    fact(name, function(t, cluster)
        if not has_threads then
            return t:skip('this Tarantool has no application threads')
        end
        check(t, cluster)
    end)
end

--- Starts the database with an application thread in which the module is used, too.
local function begin_thread(node)
    node:call(function()
        box.cfg({app_threads = 1, log_level = 'debug', memtx_memory = 32 * 2 ^ 20})
        local use = [[
            local paths = {...}
            package.path, package.cpath = paths[1], paths[2]
            return require('membership').get_member('')
        ]]
        require('experimental.threads').eval('app', use, {package.path, package.cpath})
    end)
end

--- Runs a loop that does not yield, in the thread group `group`.
local function compute(node, group, seconds)
    node:call(function(name, duration)
        local loop = [[
            local monotonic = require('clock').monotonic
            local deadline = monotonic() + ...
            while monotonic() < deadline do end
        ]]
        require('experimental.threads').eval(name, loop, {duration})
    end, group, seconds)
end

local function count_lines(node, text)
    local count = 0
    for _, line in ipairs(node:log_tail(100000)) do
        if line:find(text, 1, true) then
            count = count + 1
        end
    end
    return count
end

threads_fact('a hang of the TX thread is told although an application thread responds', function(t, cluster)
    local a, b = cluster:group(2, {options = {SUSPECT_TIMEOUT_SECONDS = 0.5, TX_STALL_TIMEOUT_SECONDS = 1}})
    begin_thread(a)
    cluster:record(b)
    compute(a, 'tx', 4)
    cluster:everyone_sees(a.uri, 'alive', {b})
    local seen = table.concat(cluster:recorded(b, a.uri), ', ')
    t:like(seen, 'suspect %d+, dead %d+, alive', 'the group has seen it hang, and come back')
    cluster:wait('a line about the hang', function()
        return count_lines(a, "Tarantool's thread did not respond") == 1
    end)
    t:ok(true, 'the log names the thread')
end)

threads_fact('a hang of an application thread is logged, and the group sees nothing', function(t, cluster)
    local a, b = cluster:group(2, {options = {SUSPECT_TIMEOUT_SECONDS = 0.5, TX_STALL_TIMEOUT_SECONDS = 1}})
    begin_thread(a)
    cluster:record(b)
    compute(a, 'app', 4)
    cluster:wait('a line about the hang', function()
        return count_lines(a, 'An application thread did not respond') == 1
    end)
    a.membership.set_payload('done', true)
    cluster:everyone_sees_payload(a.uri, {done = true})
    t:is_deeply(cluster:recorded(b, a.uri), {'alive 1', 'alive 2'}, 'nobody has seen anything')
end)

threads_fact('each line is logged once', function(t, cluster)
    local a, b = cluster:group(2)
    begin_thread(a)
    b:kill()
    cluster:everyone_sees(b.uri, 'dead', {a})
    -- The thread still follows the members.
    local known = a:call(function(uri)
        local status = "return require('membership').get_member(...).status"
        return require('experimental.threads').eval('app', status, {uri})
    end, b.uri)
    t:is_deeply(known, {{'dead'}}, 'the application thread knows it, too')
    for _, text in ipairs({
        'Could not reach node: ' .. b.uri .. ' - suspect', -- of the engine
        ('Rumor: %s (inc. 1) is suspect'):format(b.uri), -- of the Lua files
        'Node timed out: ' .. b.uri .. ' - dead',
    }) do
        t:is(count_lines(a, text), 1, text)
    end
end)

suite.run()
