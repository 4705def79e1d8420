-- Who has the key is in the group; who has another one is told apart from the dead; nobody else can read along.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fiber = require('fiber')
local logged = require('logged')
local scene = require('scene')
local suite = require('suite')
local wire = require('old_peer.wire')

local fact = suite.fact

--- What get_encryption_key says of each of these keys.
local function keys_in_use()
    local membership = require('membership')
    local in_use = {}
    local function note(name, key)
        membership.set_encryption_key(key)
        in_use[name] = membership.get_encryption_key() or 'none'
    end
    note('short', 'XXXXXX')
    note('null', box.NULL)
    note('empty', '')
    note('absent', nil)
    note('exact', ('0123456789abcdef'):rep(2))
    note('long', ('0123456789abcdef'):rep(2) .. 'and more')
    note('binary', '\0\1\255')
    membership.set_encryption_key(nil)
    return in_use
end

fact('a key is padded on the left or cut to 32 bytes, and nil is none, before init and after', function(t, cluster)
    local a = cluster:node()
    local expected = {
        short = (' '):rep(26) .. 'XXXXXX',
        null = 'none',
        empty = (' '):rep(32),
        absent = 'none',
        exact = ('0123456789abcdef'):rep(2),
        long = ('0123456789abcdef'):rep(2),
        binary = (' '):rep(29) .. '\0\1\255',
    }
    t:is(a.membership.get_encryption_key(), nil, 'there is none at first')
    t:is_deeply(a:call(keys_in_use), expected, 'before init')
    cluster:init(a)
    t:is_deeply(a:call(keys_in_use), expected, 'after init')
end)

fact('what is no key raises, and the key stays', function(t, cluster)
    local a = cluster:member()
    a.membership.set_encryption_key('the key')
    for _, case in ipairs({{5, 'number'}, {{}, 'table'}, {true, 'boolean'}}) do
        local bad, type_name = unpack(case)
        local ok, err = pcall(a.membership.set_encryption_key, bad)
        t:is(ok, false, type_name .. ' raises')
        t:like(err, ('bad argument #1 to set_encryption_key %%(%%?string expected, got %s%%)'):format(type_name),
            'in the words users know')
    end
    t:is(a.membership.get_encryption_key():strip(), 'the key', 'it is what it was')
end)

fact('a key that was set before init, after it or before leave is the one that is used', function(t, cluster)
    local a, b = cluster:node(), cluster:member()
    a.membership.set_encryption_key('the key')
    cluster:init(a)
    b.membership.set_encryption_key('the key')
    a.membership.add_member(b.uri)
    cluster:acquaint({a, b})
    a.membership.leave()
    cluster:everyone_sees(a.uri, 'left', {b})
    t:is(a.membership.get_encryption_key():strip(), 'the key', 'who has left has kept it')
    a.membership.init(a.host, a.port)
    t:is(a.membership.probe_uri(b.uri), true, 'and uses it when it is back')
end)

--- Waits until the listener has had one message of each type from `uri`; returns where in its inbox.
local function wait_for_each_type(cluster, listener, uri)
    local found = {}
    for _, type_ in ipairs({'PING', 'ACK', 'SYNC_REQ', 'SYNC_ACK', 'LEAVE'}) do
        cluster:wait(type_ .. ' from ' .. uri, function()
            for i, plain in ipairs(listener.inbox) do
                local message = wire.decode(plain)
                if message ~= nil and message[1] == uri and message[2] == type_ then
                    found[type_] = i
                    return true
                end
            end
        end)
    end
    return found
end

fact('nothing on the wire can be read without the key', function(t, cluster)
    local a = cluster:node()
    a.membership.set_encryption_key('the key')
    cluster:init(a)
    a.membership.set_payload('password', 'swordfish')
    local near = scene.listener(cluster, '127.0.0.1:' .. cluster:port(), 'the key')
    near.answers = true
    a.membership.add_member(near.uri)
    near:send(a.uri, 'PING', {ts = fiber.time64(), src = near.uri, dst = a.uri}, {})
    near:send(a.uri, 'SYNC_REQ', {}, {})
    local found = wait_for_each_type(cluster, near, a.uri)

    local words = {a.uri, near.uri, 'password', 'swordfish', 'PING', 'ACK', 'SYNC', 'LEAVE', 'src', 'dst', 'the key'}
    local function readable(bytes)
        for _, word in ipairs(words) do
            if bytes:find(word, 1, true) then
                return word
            end
        end
    end
    t:is(#near.raw, #near.inbox, 'who has the key can read all of it')
    for type_, i in pairs(found) do
        t:ok(readable(near.inbox[i]) ~= nil, type_ .. ' has words in it')
    end
    for i, bytes in ipairs(near.raw) do
        if readable(bytes) or #bytes % 16 ~= 0 then
            t:fail(('%q can be read in datagram %d of %d bytes'):format(readable(bytes), i, #bytes))
        end
    end

    a.membership.set_encryption_key(nil)
    local since = #near.raw
    cluster:wait('a datagram that can be read, now that there is no key', function()
        return near.raw[since + 1] and readable(near.raw[#near.raw])
    end)
    t:ok(true, 'without a key everything could be')
end)

fact('while a group changes its key member by member, those with the other one are non-decryptable, until all agree',
    function(t, cluster)
        local members = {cluster:group(3)}
        for _, key in ipairs({'first key', 'second key'}) do
            for i, changed in ipairs(members) do
                changed.membership.set_encryption_key(key)
                -- Who has the new one by now, and who has not yet: two groups that cannot read each other.
                for j, one in ipairs(members) do
                    for k, other in ipairs(members) do
                        local agree = (j <= i) == (k <= i)
                        cluster:everyone_sees(other.uri, agree and 'alive' or 'non-decryptable', {one})
                    end
                end
                changed.membership.set_payload('key', key)
            end
            for _, member in ipairs(members) do
                t:ok(cluster:everyone_sees_payload(member.uri, {key = key}, members), member.uri .. ' has the ' .. key)
            end
        end
    end)

--- What a node has found a member to be, one thing after the other, by its log: what is so for some milliseconds only
-- is in no table that a test could read.
local function found(node, uri)
    local statuses = {}
    for _, line in ipairs(logged.lines(node, 'info')) do
        local named, status = line.text:match('^[%a ]+:? (%S+) %- ([%l-]+)')
        if named == uri then
            table.insert(statuses, status)
        end
    end
    return statuses
end

fact('a member with another key is suspected, then dead, then non-decryptable', function(t, cluster)
    local a, b = cluster:group(2) -- in a larger one, others could be the first to find out
    logged.begin(a)
    logged.begin(b)
    a.membership.set_encryption_key('another key')
    for observer, other in pairs({[a] = b, [b] = a}) do
        logged.wait(observer, 'info', ('Broken UDP packet from %s - non-decryptable'):format(other.uri))
        t:is_deeply(found(observer, other.uri), {'suspect', 'dead', 'non-decryptable'}, other.uri .. ' was')
    end
end)

fact('encryption can be switched on and off in a running group', function(t, cluster)
    local a, b = cluster:group(2)
    for _, key in ipairs({'', 'none'}) do
        key = key ~= 'none' and key or nil
        a.membership.set_encryption_key(key)
        cluster:everyone_sees(a.uri, 'non-decryptable', {b})
        cluster:everyone_sees(b.uri, 'non-decryptable', {a})
        t:is(a.membership.probe_uri(b.uri), false, 'they cannot hear each other')
        b.membership.set_encryption_key(key)
        cluster:acquaint({a, b})
        t:is(a.membership.probe_uri(b.uri), true, 'they can')
    end
end)

fact('who has another key is not met', function(t, cluster)
    local a, b = cluster:member(), cluster:member()
    a.membership.set_encryption_key('one key')
    b.membership.set_encryption_key('another key')
    local answered, why = a:call(function(uri)
        return require('membership').probe_uri(uri)
    end, b.uri)
    t:is(answered, false, 'a probe fails')
    t:is(why, 'no response', 'for want of an answer')
    t:is(a.membership.get_member(b.uri), nil, 'neither knows')
    t:is(b.membership.get_member(a.uri), nil, 'the other')
end)

fact('the initialisation vector can be agreed on, too', function(t, cluster)
    local a, b = cluster:member(), cluster:member()
    local function set_vector(node)
        node:call(function()
            require('membership.options').ENCRYPTION_INIT = 'another-16-bytes'
        end)
    end
    a.membership.set_encryption_key('the key')
    b.membership.set_encryption_key('the key')
    set_vector(a)
    t:is(a.membership.probe_uri(b.uri), false, 'one who uses another is not understood')
    set_vector(b)
    t:is(a.membership.probe_uri(b.uri), true, 'until both do')
end)

fact('the log tells whether there is encryption, and of a strange key', function(t, cluster)
    local a, b = cluster:group(2)
    local enabled, disabled = 'Membership encryption enabled', 'Membership encryption disabled'
    logged.begin(a)
    a.membership.set_encryption_key('the key')
    t:is(logged.count(a, 'info', enabled), 1, 'that it is on')
    local broken = ('Broken UDP packet from %s - non-decryptable'):format(b.uri)
    t:ok(logged.wait(a, 'info', broken), 'that somebody else has no key')
    cluster:let_pass(1) -- in which more such packets come
    t:is(logged.count(a, 'info', broken), 1, 'once')
    a:call(function() require('membership').set_encryption_key(box.NULL) end)
    t:is(logged.count(a, 'info', disabled), 1, 'that it is off')
    a.membership.set_encryption_key('')
    t:is(logged.count(a, 'info', enabled), 2, 'that an empty key is one, too')
end)

fact('a newcomer with another key is told of on both sides', function(t, cluster)
    local a, b = cluster:member(), cluster:member()
    a.membership.set_encryption_key('one key')
    b.membership.set_encryption_key('another key')
    logged.begin(a)
    logged.begin(b)
    b.membership.add_member(a.uri)
    local told = ('^Ignoring datagrams from %s: %%d+ in a row cannot be decoded. Has it another encryption key%%?$')
        :format(b.uri)
    cluster:wait('a line about the newcomer', function()
        local lines = logged.lines(a, 'warn')
        return #lines > 0 and lines[1].text:match(told)
    end)
    t:ok(true, 'the instance that is asked names the address of the newcomer')
    local never = 'Node timed out: %s - dead (it has never been heard: is it running, with the same encryption key '
        .. 'and label, and does UDP get through?)'
    t:ok(logged.wait(b, 'info', never:format(a.uri)), 'the newcomer is told what may be wrong')
    cluster:let_pass(2)
    t:is(#logged.lines(a, 'warn'), 1, 'for a minute there is no other line')
end)

for _, cipher in ipairs({'aes-256-cbc', 'xchacha20-poly1305'}) do
    fact(('an instance that was forgotten when the key was changed knows why (%s)'):format(cipher), function(t, cluster)
        local members = {}
        for i = 1, 4 do
            members[i] = cluster:node()
            members[i]:call(function(name)
                require('membership.options').ENCRYPTION_CIPHER = name
                require('membership').set_encryption_key('the old one')
            end, cipher)
            cluster:init(members[i])
            if i > 1 then
                members[i].membership.add_member(members[1].uri)
            end
        end
        cluster:acquaint(members)
        local a, b, c, forgotten = unpack(members)
        logged.begin(forgotten)
        for _, step in ipairs({
            {'add_encryption_key', 'the new one'},
            {'use_encryption_key', 'the new one', {force = true}},
            {'remove_encryption_key', 'the old one', {force = true}},
        }) do
            for _, member in ipairs({a, b, c}) do
                member.membership[step[1]](unpack(step, 2))
            end
        end
        local text = 'Datagrams received, and none can be decoded: withholding suspicions. '
            .. 'Has the group another encryption key, cipher or label?'
        t:ok(logged.wait(forgotten, 'warn', text), 'its log says so')
        for _, line in ipairs(logged.lines(forgotten)) do
            t:unlike(line.text, 'firewall', 'and blames no firewall')
        end
        cluster:wait('a hint', function()
            local hints = table.concat(a.membership.diagnose(forgotten.uri).hints, '; ')
            return hints:find('it encrypts with another key than this instance, and does not answer', 1, true),
                hints
        end)
        t:ok(true, 'the others have a hint about it')
        forgotten.membership.add_encryption_key('the new one')
        forgotten.membership.use_encryption_key('the new one')
        t:ok(cluster:everyone_sees(forgotten.uri, 'alive', {a, b, c}), 'with the new key it is back')
    end)
end

suite.run()
