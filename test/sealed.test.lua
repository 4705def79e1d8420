-- Authenticated encryption: a running group can change to it, and change its keys, and nobody is ever suspected.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fiber = require('fiber')
local logged = require('logged')
local msgpack = require('msgpack')
local suite = require('suite')

local fact = suite.fact

local SEALED = 'xchacha20-poly1305'

local function set_cipher(node, cipher)
    node:call(function(name)
        require('membership.options').ENCRYPTION_CIPHER = name
    end, cipher)
end

--- A group whose members all have the key, and the cipher from before init.
local function sealed_group(cluster, count, key)
    local members = {}
    for i = 1, count do
        members[i] = cluster:node()
        set_cipher(members[i], SEALED)
        members[i].membership.set_encryption_key(key)
        cluster:init(members[i])
        if i > 1 then
            members[i].membership.add_member(members[1].uri)
        end
    end
    cluster:acquaint(members)
    return members
end

--- Since they were recorded, everybody was alive in the eyes of everybody, and had nothing to refute.
local function nobody_was_in_doubt(t, cluster, members, what)
    local doubts = {}
    for _, observer in ipairs(members) do
        for _, member in ipairs(members) do
            for _, mark in ipairs(cluster:recorded(observer, member.uri)) do
                if mark ~= 'alive 1' then
                    table.insert(doubts, ('%s saw %s %s'):format(observer.uri, member.uri, mark))
                end
            end
        end
    end
    t:is(table.concat(doubts, ', '), '', what)
end

--- Changes one member after the other, without waiting for anything; then gives doubts the time to show.
local function everywhere(cluster, members, change)
    for _, member in ipairs(members) do
        change(member)
        cluster:let_pass(0.1)
    end
    cluster:let_pass(2)
end

--- All change from one form to the other. Returns once everything has been seen.
local function change_form(t, cluster, old_cipher, key_first)
    local members = {cluster:group(4)}
    if key_first then
        for _, member in ipairs(members) do
            member.membership.set_encryption_key('the key')
        end
        cluster:acquaint(members)
        cluster:wait('doubts that came of the key to be gone', function()
            for _, observer in ipairs(members) do
                for _, info in pairs(observer.membership.members()) do
                    if info.status ~= 'alive' then
                        return false
                    end
                end
            end
            return true
        end)
    end
    local before = {}
    for _, member in ipairs(members) do
        before[member.uri] = member.membership.myself().incarnation
        cluster:record(member)
    end
    everywhere(cluster, members, function(member)
        set_cipher(member, old_cipher .. '+' .. SEALED)
    end)
    if not key_first then
        everywhere(cluster, members, function(member)
            member.membership.set_encryption_key('the key')
        end)
    end
    everywhere(cluster, members, function(member)
        set_cipher(member, SEALED)
    end)
    for _, observer in ipairs(members) do
        for _, member in ipairs(members) do
            local marks = cluster:recorded(observer, member.uri)
            t:is_deeply(marks, {'alive ' .. before[member.uri]}, ('%s of %s'):format(observer.uri, member.uri))
        end
        t:is(observer.membership.stats().dropped.unconfirmed, 0, 'nothing is taken for a recording')
    end
    return members
end

fact('a group changes from plain to authenticated while it runs, and nobody is ever in doubt', function(t, cluster)
    local members = change_form(t, cluster, 'plain', false)
    members[2].membership.set_payload('word', 'swordfish')
    t:ok(cluster:everyone_sees_payload(members[2].uri, {word = 'swordfish'}, members), 'news gets around')
    members[4]:kill()
    t:ok(cluster:everyone_sees(members[4].uri, 'dead', {members[1], members[2], members[3]}), 'and so do deaths')
end)

fact("a group goes from the Lua rock's encryption to authenticated, and nobody is ever in doubt", function(t, cluster)
    local members = change_form(t, cluster, 'aes-256-cbc', true)
    members[2].membership.set_payload('word', 'swordfish')
    t:ok(cluster:everyone_sees_payload(members[2].uri, {word = 'swordfish'}, members), 'news gets around')
end)

fact('a group changes by restarts, one by one, and nobody is taken for one with another key', function(t, cluster)
    local members = {cluster:group(3)}
    for _, cipher in ipairs({'plain+' .. SEALED, SEALED}) do
        for i, member in ipairs(members) do
            local others = {members[i % 3 + 1], members[(i + 1) % 3 + 1]}
            for _, other in ipairs(others) do
                cluster:record(other)
            end
            member:kill()
            cluster:everyone_sees(member.uri, 'dead', others)
            member:restart()
            set_cipher(member, cipher)
            member.membership.set_encryption_key('the key')
            cluster:init(member)
            member.membership.add_member(others[1].uri)
            cluster:acquaint(members)
            for _, other in ipairs(others) do
                local marks = table.concat(cluster:recorded(other, member.uri), ', ')
                t:ok(not marks:find('non', 1, true), ('%s saw %s'):format(other.uri, marks))
                local next_ = other == others[1] and others[2] or others[1]
                marks = table.concat(cluster:recorded(other, next_.uri), ', ')
                t:ok(not marks:find(',', 1, true), ('and of the third one %s'):format(marks))
            end
        end
    end
end)

for _, case in ipairs({{'authenticated', SEALED}, {"the Lua rock's", 'aes-256-cbc'}}) do
    local name, cipher = unpack(case)
    fact(('a group with %s encryption changes its key while it runs, and nobody is ever in doubt'):format(name),
        function(t, cluster)
            local members = {}
            for i = 1, 4 do
                members[i] = cluster:node()
                set_cipher(members[i], cipher)
                members[i].membership.set_encryption_key('the old key')
                cluster:init(members[i])
                members[i].membership.add_member(members[1].uri)
            end
            cluster:acquaint(members)
            for _, member in ipairs(members) do
                cluster:record(member)
            end
            everywhere(cluster, members, function(member)
                t:is(member.membership.add_encryption_key('the new key'), true, 'added')
            end)
            everywhere(cluster, members, function(member)
                t:is(member.membership.use_encryption_key('the new key'), true, 'used')
            end)
            everywhere(cluster, members, function(member)
                t:is(member.membership.remove_encryption_key('the old key'), true, 'removed')
                t:is(member.membership.get_encryption_key():strip(), 'the new key', 'the new one is in use')
            end)
            nobody_was_in_doubt(t, cluster, members, 'nobody was in doubt')
            members[3].membership.set_payload('key', 'new')
            t:ok(cluster:everyone_sees_payload(members[3].uri, {key = 'new'}, members), 'news gets around')
        end)
end

fact('a list of keys is understood, and its first is sent with', function(t, cluster)
    local a, b = unpack(sealed_group(cluster, 2, 'one'))
    a.membership.set_encryption_key({'two', 'one'})
    t:is(a.membership.get_encryption_key():strip(), 'two', 'the first')
    t:is(b.membership.probe_uri(a.uri), true, 'one that has not got it is answered with the key that it has')
    b.membership.set_encryption_key('three')
    t:is(b.membership.probe_uri(a.uri), false, 'one that has none of the list is not')
    b.membership.set_encryption_key({'one', 'two'})
    t:is(b.membership.probe_uri(a.uri), true, 'one that has it is, though it sends with another')
    cluster:acquaint({a, b})

    local function refused(name, argument)
        return select(2, a:call(function(called, key)
            return require('membership')[called](key)
        end, name, argument))
    end
    t:is(refused('use_encryption_key', 'three'), 'unknown encryption key', 'an unknown one cannot be used')
    t:is(refused('remove_encryption_key', 'three'), 'unknown encryption key', 'nor removed')
    t:is(refused('remove_encryption_key', 'two'), 'encryption key is in use', 'nor the one in use')
    for i = 1, 14 do
        t:is(a.membership.add_encryption_key('number ' .. i), true, 'there is room')
    end
    t:is(refused('add_encryption_key', 'one too many'), 'at most 16 encryption keys', 'for 16')
    a.membership.set_encryption_key(nil)
    t:is(refused('add_encryption_key', 'first'), 'no encryption key is set', 'the first one is not added but set')
    for _, name in ipairs({'add_encryption_key', 'use_encryption_key', 'remove_encryption_key'}) do
        local ok, err = pcall(a.membership[name], 5)
        t:ok(not ok and err:find(('bad argument #1 to %s (string expected, got number)'):format(name), 1, true),
            name .. ' wants a string')
    end
    for _, bad in ipairs({{'one', 5}, {5, 'one'}, {one = 'one'}}) do
        local ok, err = pcall(a.membership.set_encryption_key, bad)
        t:ok(not ok and err:match('bad argument #1 to set_encryption_key'), 'and a list of keys strings')
    end
end)

fact('no key is ever logged, listed or shown', function(t, cluster)
    local a, b = unpack(sealed_group(cluster, 2, 'swordfish'))
    a.membership.add_encryption_key('goldfish')
    pcall(a.membership.use_encryption_key, 'catfish')
    b.membership.set_encryption_key('dogfish')
    cluster:everyone_sees(b.uri, 'dead', {a})
    local everything = a:call(function()
        local json = require('json')
        local core = require('membership.core')
        return json.encode({require('membership').members(), core.options()})
    end) .. table.concat(a:log_tail(1000), '\n') .. table.concat(b:log_tail(1000), '\n')
    t:ok(not everything:match('%a+fish'), 'there is no fish')
    t:ok(#everything > 100, 'in all that')
end)

fact('a sender that cannot authenticate is not heard, nor taken for another, and is logged', function(t, cluster)
    local a, b = unpack(sealed_group(cluster, 2, 'the key'))
    cluster:record(a)
    logged.begin(a)
    local port = cluster:port()
    local liar = cluster:udp('127.0.0.1', port)
    local lie = msgpack.encode({b.uri, 'LEAVE', msgpack.NULL, {{b.uri, 5, 7, {}, 3}}})
    for _ = 1, 20 do
        liar:sendto(a.host, a.port, lie)
        liar:sendto(a.host, a.port, 'noise')
        fiber.sleep(0.01)
    end
    local line = 'Ignoring datagrams from 127.0.0.1:%d: not authenticated, and ENCRYPTION_CIPHER accepts nothing else'
    t:ok(logged.wait(a, 'warn', line:format(port)), 'the log says why')
    t:is(a.membership.probe_uri(b.uri), true, 'b is heard all the while')
    t:is_deeply(cluster:recorded(a, b.uri), {'alive 1'}, 'and nobody believes that it left')

    b:kill()
    cluster:everyone_sees(b.uri, 'dead', {a})
    local corpse = cluster:udp('127.0.0.1', b.port)
    for _ = 1, 20 do
        corpse:sendto(a.host, a.port, 'noise')
        fiber.sleep(0.05)
    end
    t:is(a.membership.get_member(b.uri).status, 'dead', 'nor is a dead one given another key by who has its address')
end)

fact('a member that is restarted is heard at once', function(t, cluster)
    local a, b, c = unpack(sealed_group(cluster, 3, 'the key'))
    c:kill()
    cluster:everyone_sees(c.uri, 'dead', {a, b})
    local again = cluster:node({port = c.port})
    set_cipher(again, SEALED)
    again.membership.set_encryption_key('the key')
    cluster:init(again)
    t:is(again.membership.probe_uri(a.uri), true, 'a answers who was just born')
    cluster:acquaint({a, b, again})
    t:ok(true, 'it is back')
end)

suite.run()
