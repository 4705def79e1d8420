-- membership.diagnose: what is wrong with whom, where there is evidence; and nothing where there is none.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fiber = require('fiber')
local fio = require('fio')
local scene = require('scene')
local suite = require('suite')

local fact = suite.fact

--- Waits until the node has a hint about a member in which this occurs.
local function has_hint(t, cluster, node, uri, words)
    t:ok(cluster:wait(('a hint about %s: %s'):format(uri, words), function()
        local diagnosis = node.membership.diagnose(uri)
        local hints = table.concat(diagnosis and diagnosis.hints or {}, '; ')
        return hints:find(words, 1, true) ~= nil, hints
    end), words)
end

local function has_no_hint(t, cluster, node, uri)
    t:ok(cluster:wait('no hint about ' .. uri, function()
        local hints = node.membership.diagnose(uri).hints
        return #hints == 0, table.concat(hints, '; ')
    end), 'no hint')
end

--- One who answers pings only if `answers(sender, ts)`.
local function choosy(cluster, answers)
    local listener = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    function listener:answer(message)
        local sender, type_, data = unpack(message, 1, 3)
        if type_ == 'PING' and data.dst == self.uri and answers(sender, data.ts) then
            data.ats = fiber.time64()
            self:send(sender, 'ACK', data, {})
        end
    end
    return listener
end

fact('of those who are well there is nothing to say, but how they answer', function(t, cluster)
    local a, b, c = cluster:group(3)
    cluster:wait('both to have answered', function()
        local all = a.membership.diagnose()
        return all[b.uri].round_trip_seconds and all[c.uri].round_trip_seconds
    end)
    local all = a.membership.diagnose()
    for _, uri in ipairs({a.uri, b.uri, c.uri}) do
        t:is_deeply(all[uri].hints, {}, 'no hint')
        t:is(all[uri].status, 'alive', 'it is alive')
    end
    local one = all[b.uri]
    t:ok(one.round_trip_seconds > 0 and one.round_trip_seconds < 10, 'a round trip')
    t:ok(one.silence_seconds >= 0, 'when it has answered')
    t:is(type(one.clock_delta), 'number', 'its clock')
    t:is_deeply(one.probes, {late = 0, relayed = 0, failed = 0}, 'all probes were answered at once')
    t:is(a.membership.diagnose('127.0.0.1:1'), nil, 'of strangers nothing is known')
end)

fact('it works before init, and raises for what is no URI', function(t, cluster)
    local a = cluster:node()
    t:is_deeply(a.membership.diagnose(), {}, 'there is nobody')
    local ok, err = pcall(a.membership.diagnose, 5)
    t:is(ok, false, 'a number raises')
    t:like(err, 'bad argument #1 to diagnose %(%?string expected, got number%)', 'in the words users know')
end)

fact('a process that is gone from its port', function(t, cluster)
    local a, b = cluster:group(2)
    b:kill()
    has_hint(t, cluster, a, b.uri, 'its port is closed: no process has it')
    b:restart()
    cluster:init(b)
    cluster:everyone_sees(b.uri, 'alive', {a})
    has_no_hint(t, cluster, a, b.uri)
end)

fact('a port that was closed, and is open', function(t, cluster)
    local a, port = cluster:member(), cluster:port()
    local uri = '127.0.0.1:' .. port
    a.membership.add_member(uri)
    has_hint(t, cluster, a, uri, 'its port is closed: no process has it')
    cluster:udp('127.0.0.1', port)
    t:ok(cluster:wait('that hint to be gone', function()
        local hints = table.concat(a.membership.diagnose(uri).hints, '; ')
        return not hints:find('closed', 1, true), hints
    end), 'no more is said of a closed port')
    t:isnt(a:status_of(uri), 'alive', 'although no answer came')
end)

fact('a name that does not resolve, in the words of the resolver', function(t, cluster)
    local a = cluster:member()
    local uri = 'no-such-name.invalid:3301'
    a.membership.add_member(uri)
    has_hint(t, cluster, a, uri, 'its name does not resolve: ')
    t:unlike(table.concat(a.membership.diagnose(uri).hints), 'resolve: $', 'with the reason')
end)

fact('another key, by each kind of cipher, until they agree', function(t, cluster)
    local a, b = cluster:group(2)
    a.membership.set_encryption_key('one')
    b.membership.set_encryption_key('another')
    has_hint(t, cluster, a, b.uri, 'cannot be decoded: has it another encryption key?')
    cluster:everyone_sees(b.uri, 'non-decryptable', {a})
    t:is(#a.membership.diagnose(b.uri).hints, 1, 'it is said once')
    for _, node in ipairs({a, b}) do
        node:call(function()
            require('membership.options').ENCRYPTION_CIPHER = 'xchacha20-poly1305'
        end)
    end
    has_hint(t, cluster, a, b.uri, 'sealed with an encryption key that this instance does not have')
    b.membership.set_encryption_key('one')
    cluster:everyone_sees(b.uri, 'alive', {a})
    has_no_hint(t, cluster, a, b.uri)
end)

fact('another group', function(t, cluster)
    local a, b = cluster:group(2)
    b:call(function()
        require('membership.options').GROUP_LABEL = 'theirs'
    end)
    has_hint(t, cluster, a, b.uri, 'of a group with another GROUP_LABEL')
end)

fact('a thread that hangs says so', function(t, cluster)
    local a, b = cluster:group(2, {options = {PROTOCOL_PERIOD_SECONDS = 0.2, ACK_TIMEOUT_SECONDS = 0.1}})
    local let_go = fio.pathjoin(b.dir, 'let-go')
    local ended = b:begin(function(path)
        local ffi, options = require('ffi'), require('membership.options')
        ffi.cdef('int access(const char *path, int mode);')
        options.TX_STALL_TIMEOUT_SECONDS = 0.3
        while ffi.C.access(path, 0) ~= 0 do end
        options.TX_STALL_TIMEOUT_SECONDS = 3
    end, let_go)
    has_hint(t, cluster, a, b.uri, 'its Tarantool thread does not respond')
    fio.open(let_go, {'O_CREAT', 'O_WRONLY'}, tonumber('644', 8)):close()
    ended()
    cluster:everyone_sees(b.uri, 'alive', {a})
    has_no_hint(t, cluster, a, b.uri)
end)

fact('an address that does not lead to the one that advertises it', function(t, cluster)
    local a, b = cluster:node({host = '127.0.0.2'}), cluster:member()
    a:call(function(host, port)
        local membership, options = require('membership'), require('membership.options')
        options.PROTOCOL_PERIOD_SECONDS, options.ACK_TIMEOUT_SECONDS = 0.2, 0.1
        membership.init(host, port, {bind = '127.0.0.1'})
    end, a.host, a.port)
    has_hint(t, cluster, a, a.uri, 'the URI of this instance does not lead to it')
    a.membership.add_member(b.uri)
    has_hint(t, cluster, b, a.uri, '127.0.0.2 has the port closed')
end)

fact('a clock that is wrong', function(t, cluster)
    local a, b = cluster:group(2)
    b:call(function()
        local time64 = require('fiber').time64
        require('fiber').time64 = function()
            return time64() + 90 * 1000000LL
        end
    end)
    has_hint(t, cluster, a, b.uri, 'its clock is 90.0 s ahead of the local clock')
end)

fact('one who answers others and not this instance', function(t, cluster)
    local a, b = cluster:group(2)
    local deaf = choosy(cluster, function(sender) return sender ~= a.uri end)
    b.membership.add_member(deaf.uri)
    has_hint(t, cluster, a, deaf.uri, 'it answers through other members only')
    t:ok(a.membership.diagnose(deaf.uri).probes.relayed > 0.5, 'most answers came through others')
    t:is_deeply(b.membership.diagnose(deaf.uri).hints, {}, 'the other one sees nothing wrong')
end)

fact('one who answers the second time only', function(t, cluster)
    local a = cluster:member()
    local asked = {}
    local slow = choosy(cluster, function(sender)
        asked[sender] = (asked[sender] or 0) + 1
        return asked[sender] % 2 == 0
    end)
    a.membership.add_member(slow.uri)
    has_hint(t, cluster, a, slow.uri, 'of the last probes took more than one ping')
    t:is(a:status_of(slow.uri), 'alive', 'although it is alive')
end)

fact('what the system does not send, in its words', function(t, cluster)
    local a = cluster:node()
    a.membership.init('127.0.0.1', a.port, {bind = '127.0.0.1'})
    local uri = '192.0.2.1:1' -- Linux sends nothing from there to other machines
    a.membership.add_member(uri)
    has_hint(t, cluster, a, uri, 'the system sends nothing to it: ')
    a.membership.add_member('[::1]:3301')
    has_hint(t, cluster, a, '[::1]:3301', 'it has an address of the other kind, IPv4 or IPv6')
end)

fact('one who hears nobody', function(t, cluster)
    local a, b, c = cluster:group(3)
    b:stop()
    c:stop()
    has_hint(t, cluster, a, a.uri, 'no datagrams received')
    b:cont()
    c:cont()
    has_no_hint(t, cluster, a, a.uri)
end)

suite.run()
