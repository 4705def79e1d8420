-- What operators read in the log: the words and levels that they know, once for each thing that happens.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fiber = require('fiber')
local digest = require('digest')
local logged = require('logged')
local msgpack = require('msgpack')
local scene = require('scene')
local suite = require('suite')
local wait = require('wait')

local fact = suite.fact

local function set_option(node, name, value)
    node:call(function(option, wanted)
        require('membership.options')[option] = wanted
    end, name, value)
end

fact('a death is told by who finds out, and names those who could not reach it either', function(t, cluster)
    local a, b, c = cluster:group(3)
    -- So that it is one who finds out, and one who is asked.
    set_option(b, 'SUSPICIOUSNESS', false)
    set_option(b, 'SUSPECT_TIMEOUT_SECONDS', 3600)
    logged.begin(a)
    logged.begin(b)
    c:kill()
    cluster:everyone_sees(c.uri, 'dead', {a, b})
    local suspected = ('Could not reach node: %s - suspect (nor could %s)'):format(c.uri, b.uri)
    local timed_out = ('Node timed out: %s - dead'):format(c.uri)
    logged.wait(a, 'info', timed_out)
    for _, node in ipairs({a, b}) do
        logged.wait(node, 'debug', ('Rumor: %s (inc. 1) is dead'):format(c.uri))
    end
    t:is_deeply(logged.lines(a, 'info'), {{level = 'info', text = suspected}, {level = 'info', text = timed_out}},
        'it was suspected, then dead')
    t:is_deeply(logged.lines(b, 'info'), {}, 'who is told does not repeat it')
    for _, node in ipairs({a, b}) do
        t:is(logged.count(node, 'debug', ('Rumor: %s (inc. 1) is suspect'):format(c.uri)), 1, 'but at level debug')
        t:is(logged.count(node, 'debug', ('Rumor: %s (inc. 1) is dead'):format(c.uri)), 1, 'each of both')
    end
    cluster:let_pass(1) -- many periods
    t:is(#logged.lines(a, 'info'), 2, 'and is not told again')
end)

fact('a member that is back is told of, by who said that it was gone, and for how long it was', function(t, cluster)
    local a, b, c = cluster:group(3)
    set_option(b, 'SUSPICIOUSNESS', false)
    set_option(b, 'SUSPECT_TIMEOUT_SECONDS', 3600)
    logged.begin(a)
    logged.begin(b)
    c:stop()
    cluster:everyone_sees(c.uri, 'dead', {a, b})
    c:cont()
    cluster:everyone_sees(c.uri, 'alive', {a, b})
    local lines
    cluster:wait('a line in the log', function()
        lines = logged.lines(a, 'info')
        return #lines > 2
    end)
    t:is(#lines, 3, 'after the suspicion and the death there is one line')
    t:like(lines[3].text, ('^Node is back: %s %%- alive %%(was dead for %%d+%%.%%d s%%)$'):format(c.uri), lines[3].text)
    t:is_deeply(logged.lines(b, 'info'), {}, 'a member that was only told of the death says nothing')
end)

fact('of instances that are started at the same time none is said to be out of reach', function(t, cluster)
    local a, late = cluster:member(), cluster:node()
    logged.begin(a)
    a.membership.add_member(late.uri)
    cluster:everyone_sees(late.uri, 'suspect', {a})
    cluster:init(late)
    cluster:everyone_sees(late.uri, 'alive', {a})
    t:is_deeply(logged.lines(a, 'info'), {}, 'the one that was a moment late is not worth a line')
    late:kill()
    local gone = ('Could not reach node: %s - suspect (no other member to ask)'):format(late.uri)
    t:ok(logged.wait(a, 'info', gone), 'once it has answered, it is')
end)

fact('a death in a group of two says that there was no other member to ask', function(t, cluster)
    local a, b = cluster:group(2)
    logged.begin(a)
    b:kill()
    local line = ('Could not reach node: %s - suspect (no other member to ask)'):format(b.uri)
    t:ok(logged.wait(a, 'info', line), 'it does')
end)

fact('who is not to suspect anybody says at level debug what it ignores', function(t, cluster)
    local a, b = cluster:group(2)
    set_option(a, 'SUSPICIOUSNESS', false)
    logged.begin(a)
    b:kill()
    t:ok(logged.wait(a, 'debug', ('Could not reach node: %s (ignored)'):format(b.uri)), 'it does')
    t:is_deeply(logged.lines(a, 'info'), {}, 'and not louder')
end)

fact('who cannot be reached himself says so instead of suspecting others', function(t, cluster)
    -- It is bound to another address than the one that it advertises.
    local a = cluster:node({host = '127.0.0.2'})
    logged.begin(a)
    a:call(function(host, port)
        local options = require('membership.options')
        options.PROTOCOL_PERIOD_SECONDS, options.ACK_TIMEOUT_SECONDS = 0.2, 0.1
        require('membership').init(host, port, {bind = '127.0.0.1'})
    end, a.host, a.port)
    local line = ('Could not reach node: %s - suspect (no other member to ask)'):format(a.uri)
    t:ok(logged.wait(a, 'info', line), 'at first')
    local absent = '127.0.0.1:' .. cluster:port()
    a.membership.add_member(absent)
    t:ok(logged.wait(a, 'debug', ('Could not reach node: %s (2 myself)'):format(absent)), 'then')
    t:is(#logged.lines(a, 'info'), 1, 'and not louder')
end)

fact('who is new and what is new of him is told at level debug', function(t, cluster)
    local a, b = cluster:member(), cluster:member()
    logged.begin(a)
    b.membership.add_member(a.uri)
    t:ok(logged.wait(a, 'debug', ('Adding: %s (inc. 1) is alive'):format(b.uri)), 'a member')
    b.membership.set_payload('n', 1)
    t:ok(logged.wait(a, 'debug', ('Rumor: %s (inc. 2) is alive'):format(b.uri)), 'a payload')
    b.membership.leave()
    t:ok(logged.wait(a, 'debug', ('Rumor: %s (inc. 2) is left'):format(b.uri)), 'that it left')
    t:is(logged.count(a, 'debug', ('Adding: %s (inc. 1) is alive'):format(b.uri)), 1, 'each once')
end)

fact('a rumour that is not true is contradicted aloud', function(t, cluster)
    local a = cluster:member({options = {}})
    local gossip = cluster:udp('127.0.0.1', cluster:port())
    logged.begin(a)
    local incarnation = 1
    for status, name in ipairs({'alive', 'suspect', 'dead', 'non-decryptable', 'left'}) do
        gossip:sendto('127.0.0.1', a.port, msgpack.encode({
            '127.0.0.1:1', 'LEAVE', msgpack.NULL, {{a.uri, status, incarnation, msgpack.NULL, 1}},
        }))
        if name ~= 'alive' then
            t:ok(logged.wait(a, 'info', 'Refuting the rumor that we are ' .. name), name)
            incarnation = incarnation + 1
        end
    end
    t:is(#logged.lines(a, 'info'), 4, 'each once, and what is true not at all')
end)

fact('what is said again and again is counted', function(t, cluster)
    local a = cluster:member({options = {}})
    local gossip = cluster:udp('127.0.0.1', cluster:port())
    logged.begin(a)
    for incarnation = 1, 200 do
        gossip:sendto('127.0.0.1', a.port, msgpack.encode({
            '127.0.0.1:1', 'LEAVE', msgpack.NULL, {{a.uri, 3, incarnation, msgpack.NULL, 1}},
        }))
    end
    local text, lines = 'Refuting the rumor that we are dead'
    cluster:wait('all of it to be told', function()
        lines = logged.lines(a, 'info')
        local count = 0
        for _, line in ipairs(lines) do
            local again = line.text:match('^' .. text .. ' %((%d+) more times%)$')
            count = count + (again and tonumber(again) or line.text == text and 1 or 0)
        end
        return count == 200, count
    end)
    t:ok(#lines < 10, ('200 rumours are told in %d lines'):format(#lines))
end)

--- Keeps what is sent one by one from being a flood, which is worth a line.
local function pause_now_and_then(i)
    if i % 20 == 0 then
        fiber.sleep(0.02)
    end
end

fact('garbage is not worth a line', function(t, cluster)
    local a = cluster:node({options = {}})
    local stranger = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    stranger.answers = true
    logged.begin(a)
    cluster:init(a)
    a.membership.add_member(stranger.uri)
    logged.wait(a, 'debug', ('Adding: %s (inc. 1) is alive'):format(stranger.uri))
    logged.clear(a)
    for i = 1, 1000 do
        stranger:send_bytes(a.uri, digest.urandom(i))
        pause_now_and_then(i)
    end
    for i = 1, 1000 do
        stranger:send(a.uri, 'NO SUCH TYPE ' .. i, {}, {})
        stranger:send(a.uri, 'PING', nil, {})
        stranger:send(a.uri, 'PING', {ts = i, src = stranger.uri}, {})
        stranger:send(a.uri, 'ACK', {ts = i}, {})
        stranger:send(a.uri, 'SYNC_REQ', i, {})
        stranger:send(a.uri, 'LEAVE', nil, {{}, {'', i, i}, {'x:' .. i, 'y', {}}})
        pause_now_and_then(i)
    end
    t:is(a.membership.probe_uri(stranger.uri), true, 'it goes on')
    a.membership.set_payload('n', 1)
    logged.wait(a, 'debug', ('Rumor: %s (inc. 2) is alive'):format(a.uri))
    t:is(#logged.lines(a), 1, 'it told only what has happened')
end)

fact('debug lines go where the user wants, to log.debug at first', function(t, cluster)
    local a = cluster:node()
    logged.begin(a)
    cluster:init(a)
    logged.wait(a, 'debug', ('Adding: %s (inc. 1) is alive'):format(a.uri))
    a.membership.set_payload('n', 1)
    t:ok(logged.wait(a, 'debug', ('Rumor: %s (inc. 2) is alive'):format(a.uri)), 'to log.debug')
    a:call(function()
        require('membership.options').log_debug = require('logged').logger().info
    end)
    a.membership.set_payload('n', 2)
    t:ok(logged.wait(a, 'info', ('Rumor: %s (inc. 3) is alive'):format(a.uri)), 'to log.info')
    t:is(logged.count(a, 'debug', ('Rumor: %s (inc. 3) is alive'):format(a.uri)), 0, 'and no longer to the other')
end)

fact('lines are written by the fiber membership.log', function(t, cluster)
    local a = cluster:member()
    a:call(function()
        require('membership.options').log_debug = function()
            rawset(_G, 'writer', require('fiber').name())
        end
    end)
    a.membership.set_payload('n', 1)
    t:ok(cluster:wait('a line', function()
        return a:call(function() return rawget(_G, 'writer') end) == 'membership.log'
    end), 'they are')
end)

fact('a function that yields or raises in the place of one of the log stops nothing', function(t, cluster)
    local a, b = cluster:group(2)
    a:call(function()
        require('logged').logger().info = function() error('no room for this') end
        require('membership.options').log_debug = function()
            require('fiber').sleep(0.01)
            error({'not even a string'})
        end
    end)
    b.membership.mark_left(a.uri)
    cluster:everyone_sees(a.uri, 'alive', {a, b})
    b.membership.set_payload('n', 1)
    t:ok(cluster:everyone_sees_payload(b.uri, {n = 1}), 'it goes on')
    logged.begin(a)
    b:kill()
    t:ok(logged.wait(a, 'info', ('Node timed out: %s - dead'):format(b.uri)), 'and so does the log')
end)

--- Has so many members change at once, without letting any other fiber run: more than the queue of lines holds.
local function invent_members(node, count)
    node:call(function(last)
        for i = 1, last do
            require('membership.events').generate('127.0.0.1:' .. i, 5)
        end
    end, count)
end

fact('debug lines for which there is no room are counted at level debug', function(t, cluster)
    local a = cluster:node()
    logged.begin(a)
    cluster:init(a)
    logged.wait(a, 'debug', ('Adding: %s (inc. 1) is alive'):format(a.uri))
    invent_members(a, 1200)
    t:ok(logged.wait(a, 'debug', 'Too much to log: 176 debug lines were left out'), 'and told in one line')
    t:is(logged.count(a, 'debug', 'Adding: 127.0.0.1:1 (inc. 1) is left'), 1, 'behind those that were kept')
    t:is_deeply(logged.lines(a, 'warn'), {}, 'of which a quieter log has nothing')
end)

--- All that is in the log of a process, once the line that is written now is in it, too.
local function whole_log(node)
    node:call(function()
        require('log').info('the log is read up to here')
    end)
    return wait.until_true('the log to be written', function()
        local text = table.concat(node:log_tail(math.huge), '\n')
        return text:find('the log is read up to here', 1, true) and text
    end)
end

fact('a log that takes no debug lines is not told that there were too many', function(t, cluster)
    local a = cluster:member()
    invent_members(a, 3000)
    cluster:wait('all of them to be seen', function()
        return a:status_of('127.0.0.1:3000') == 'left'
    end)
    a.membership.set_payload('n', 1) -- has the fiber that writes lines run
    cluster:let_pass(0.5)
    local text = whole_log(a)
    t:unlike(text, 'Too much to log', 'nothing was left out')
    t:unlike(text, 'Adding: ', 'nothing was written')

    a:call(function() require('log').level(7) end)
    invent_members(a, 3001)
    t:ok(cluster:wait('debug lines', function()
        return table.concat(a:log_tail(math.huge), '\n'):find('Adding: 127.0.0.1:3001', 1, true)
    end), 'at level debug they are written, without a restart')

    a:call(function()
        require('log').level(5)
        require('membership.options').log_debug = require('logged').logger().info
    end)
    invent_members(a, 3002)
    t:ok(cluster:wait('debug lines', function()
        return table.concat(a:log_tail(math.huge), '\n'):find('Adding: 127.0.0.1:3002', 1, true)
    end), 'and at the level that the user has chosen')
end)

fact('the level of the log can be set for the module alone, by its name', function(t, cluster)
    if require('log').new == nil then
        return t:skip('this Tarantool has one level for all')
    end
    local a, b = cluster:node(), cluster:member()
    a:call(function()
        require('log').cfg({level = 'info', modules = {membership = 'debug'}})
    end)
    cluster:init(a)
    a.membership.add_member(b.uri)
    local line = ('D> Adding: %s '):format(b.uri)
    cluster:wait('a debug line', function()
        for _, logged_line in ipairs(a:log_tail(1000)) do
            if logged_line:find(line, 1, true) and logged_line:find('/membership ', 1, true) then
                return true
            end
        end
    end)
    t:ok(true, 'a debug line is written, under this name')
end)

suite.run()
