package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local ffi = require('ffi')
local fiber = require('fiber')
local machine = require('machine')
local msgpack = require('msgpack')
local suite = require('suite')
local fact = suite.fact

ffi.cdef([[
    int getaddrinfo(const char *node, const char *service, const void *hints, void **found);
    const char *gai_strerror(int code);
]])

local function probe(node, uri)
    return {node:call(function(target)
        return require('membership').probe_uri(target)
    end, uri)}
end

--- Begins to note down what the module warns of. The function that is returned counts the warnings that end so.
local function note_warnings(node)
    node:call(function()
        local warnings = {}
        rawset(_G, 'warnings', warnings)
        require('logged').logger().warn = function(fmt, ...)
            table.insert(warnings, fmt:format(...))
        end
    end)
    return function(text)
        local count = 0
        for _, warning in ipairs(node:call(function()
            return rawget(_G, 'warnings')
        end)) do
            count = count + (warning:endswith(text) and 1 or 0)
        end
        return count
    end
end

fact('a name that does not resolve is not pinged, and is reported once in the words of the system', function(t, cluster)
    local a = cluster:member()
    local uri = 'no-such-host.invalid:31000'
    local code = ffi.C.getaddrinfo('no-such-host.invalid', '31000', nil, ffi.new('void *[1]'))
    local report = ('getaddrinfo: %s (%s)'):format(ffi.string(ffi.C.gai_strerror(code)), uri)
    local count = note_warnings(a)

    for _ = 1, 3 do
        t:is_deeply(probe(a, uri), {false, 'ping was not sent'}, 'the probe says so')
    end
    t:ok(cluster:wait(report, function()
        return count(report) > 0
    end), 'it is reported: ' .. report)
    t:is(a.membership.get_member(uri), nil, 'it is no member')

    a.membership.add_member(uri)
    t:ok(cluster:everyone_sees(uri, 'dead'), 'one that is added is found dead')
    cluster:let_pass(1) -- in which it is probed some more times
    t:is(count('(' .. uri .. ')'), 1, 'it was reported once')

    local another = 'no-such-host.invalid:31001'
    probe(a, another)
    t:ok(cluster:wait('another report', function()
        return count('(' .. another .. ')') == 1
    end), 'another uri is reported by itself')
end)

-- A name server that takes queries and never answers, and a node for which it is the only one.
local NAMESERVER = '127.0.53.53'
local HANGING_RESOLVER = machine.with_etc({
    ['hosts'] = '127.0.0.1 localhost member.example other.example\n',
    ['resolv.conf'] = ('nameserver %s\noptions timeout:30 attempts:5\n'):format(NAMESERVER),
    ['nsswitch.conf'] = 'hosts: files dns\n',
})

local function can_hang_the_resolver(t, cluster)
    if not machine.can_have_etc(t) then
        return nil
    end
    local nameserver, err = cluster:udp(NAMESERVER, 53)
    if nameserver == nil then
        t:skip(('%s:53 cannot be bound: %s'):format(NAMESERVER, err))
    end
    return nameserver
end

-- Twenty names that hang make a round long: with the default period, one who dies is probed only after up to 22 s.
local BRISK = {PROTOCOL_PERIOD_SECONDS = 0.4, ACK_TIMEOUT_SECONDS = 0.3}

local function hanging_options()
    local opts = {options = BRISK}
    for name, value in pairs(HANGING_RESOLVER) do
        opts[name] = value
    end
    return opts
end

fact('a resolver that hangs delays nothing else', function(t, cluster)
    local nameserver = can_hang_the_resolver(t, cluster)
    if nameserver == nil then
        return
    end
    local b, c = cluster:group(2, {options = BRISK})
    local a = cluster:member(hanging_options())
    a.membership.add_member(b.uri)
    cluster:acquaint({a, b, c})
    cluster:record(b)

    t:is_deeply(probe(a, 'first.example:31000'), {false, 'no response'}, 'a name is waited for as long as an answer')
    t:ok(nameserver:readable(10), 'the name server was asked')
    for i = 1, 20 do
        a.membership.add_member(('hangs-%d.example:31000'):format(i))
    end

    t:is(a.membership.probe_uri(b.uri), true, 'it asks')
    t:is(b.membership.probe_uri(a.uri), true, 'it answers')
    a.membership.set_payload('n', 1)
    t:ok(cluster:everyone_sees_payload(a.uri, {n = 1}), 'it is heard')
    b.membership.set_payload('n', 2)
    t:ok(cluster:everyone_sees_payload(b.uri, {n = 2}), 'it hears')
    c:kill()
    t:ok(cluster:everyone_sees(c.uri, 'dead'), 'who dies is found dead by everybody')
    t:is(a:status_of(b.uri), 'alive', 'who lives is not')
    t:is_deeply(cluster:recorded(b, a.uri), {'alive 1', 'alive 2'}, 'the peer saw its payload and nothing else')
end)

--- Answers each question that comes to a name server, `delay` seconds later: `address` is that of all names.
local function answer_with(nameserver, address, delay)
    local octets = {address:match('(%d+)%.(%d+)%.(%d+)%.(%d+)')}
    -- It ends when the socket is closed, which raises.
    fiber.create(pcall, function()
        while true do
            local query, from = nameserver:recvfrom()
            if query == nil then
                nameserver:readable(0.05)
            else
                -- The question ends after the empty label, the type and the class.
                local question_end = query:find('\0', 13, true) + 4
                local is_ipv4 = query:sub(question_end - 3, question_end - 2) == '\0\1'
                local answer = is_ipv4 and '\xc0\x0c\0\1\0\1\0\0\0\1\0\4' .. string.char(unpack(octets)) or ''
                local header = query:sub(1, 2) .. '\x81\x80\0\1' .. (is_ipv4 and '\0\1' or '\0\0') .. '\0\0\0\0'
                fiber.create(pcall, function()
                    fiber.sleep(delay)
                    nameserver:sendto(from.host, from.port, header .. query:sub(13, question_end) .. answer)
                end)
            end
        end
    end)
end

fact('a probe waits for a name that resolves within its time', function(t, cluster)
    local nameserver = can_hang_the_resolver(t, cluster)
    if nameserver == nil then
        return
    end
    answer_with(nameserver, '127.0.0.1', 1.5)
    local slow = machine.with_etc({hosts = '127.0.0.1 localhost slow.ex\n'})
    slow.host = 'slow.ex'
    local b = cluster:member(slow)
    local patient = hanging_options()
    patient.options = {ACK_TIMEOUT_SECONDS = 10}
    local a = cluster:member(patient)
    local began = fiber.clock()
    t:is_deeply(probe(a, b.uri), {true}, 'it is found')
    local took = fiber.clock() - began
    t:ok(took >= 1.5 and took < 9, ('as soon as its name resolves, after %.1f s'):format(took))
end)

fact('a resolver that hangs does not keep a process from ending, leaving or forking', function(t, cluster)
    if can_hang_the_resolver(t, cluster) == nil then
        return
    end
    local a, b = cluster:member(hanging_options()), cluster:member()
    b.membership.add_member(a.uri)
    cluster:acquaint({a, b})

    a.membership.add_member('hangs.example:31000')
    probe(a, 'hangs.example:31000')
    a:call(function()
        box.cfg({background = true, pid_file = 'instance.pid', log = 'background.log'})
    end)
    t:is(a:wait_exit(), 0, 'it goes into the background')
    a:follow('instance.pid')
    probe(a, 'hangs.example:31001')
    t:is(a.membership.leave(), true, 'it leaves')
    t:ok(cluster:everyone_sees(a.uri, 'left', {b}), 'which is seen')
    a:signal('TERM')
    a:wait_exit()
    t:ok(not a:is_running(), 'it ends')
end)

--- Asks for tables in so many names, each time another one. Where each name leads has to be found out, for an answer
-- of that size goes to an address that has answered a ping.
local function ask_by_names(sock, to, first, last)
    for i = first, last do
        local stranger = ('x%d.stranger.example:1'):format(i)
        sock:sendto('127.0.0.1', to.port, msgpack.encode({stranger, 'SYNC_REQ', {}, {}}))
        if i % 20 == 0 then
            fiber.sleep(0.005)
        end
    end
end

fact('names of strangers that hang hold up no name of a member or of a user', function(t, cluster)
    if can_hang_the_resolver(t, cluster) == nil then
        return
    end
    local a = cluster:member(hanging_options())
    local function member_by_name(host)
        local opts = hanging_options()
        opts.host = host
        return cluster:member(opts)
    end
    local member, other = member_by_name('member.example'), member_by_name('other.example')
    local sock = cluster:udp('127.0.0.1', cluster:port())
    ask_by_names(sock, a, 1, 1100)
    cluster:wait('strangers to be looked up', function()
        return a.membership.stats().resolver.refused > 0
    end)
    cluster:wait('a user to be answered', function() return probe(a, member.uri)[1] end)
    t:ok(true, 'a user is answered')
    a.membership.add_member(other.uri)
    cluster:wait('the other one to be reached', function()
        return a.membership.get_member(other.uri).clock_delta
    end)
    t:ok(true, 'who is added is reached')
    ask_by_names(sock, a, 1101, 2200)
    t:is(a.membership.probe_uri(member.uri), true, 'who is known goes on being so')
    t:is(a:status_of(other.uri), 'alive', 'both')
end)

fact('names of strangers are looked up ten times a second at most', function(t, cluster)
    local a = cluster:member()
    local sock = cluster:udp('127.0.0.1', cluster:port())
    local before, began = a.membership.stats().resolver.queries, fiber.clock()
    ask_by_names(sock, a, 1, 4000)
    local queries = a.membership.stats().resolver.queries - before
    local took = fiber.clock() - began
    t:ok(queries > 0, 'some are')
    t:ok(queries <= 10 + 10 * took, ('%d within %.1f s, and ten at once'):format(queries, took))
    t:ok(a.membership.stats().resolver.refused > 1000, 'the others are counted')
end)

suite.run()
