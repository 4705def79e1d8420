-- A running group changes its key: each step is done when all are known to be ready, and none that misses one is lost.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local logged = require('logged')
local mixed = require('mixed')
local suite = require('suite')

local fact = suite.fact

local OLD, NEW = 'the old key', 'the new key'

--- Members with the old key, that know each other.
local function group(cluster, count, cipher, opts)
    local members = {}
    for i = 1, count do
        members[i] = cluster:node(opts)
        members[i]:call(function(name, key)
            require('membership.options').ENCRYPTION_CIPHER = name
            require('membership').set_encryption_key(key)
        end, cipher, OLD)
        cluster:init(members[i])
        if i > 1 then
            members[i].membership.add_member(members[1].uri)
        end
    end
    cluster:acquaint(members)
    return members
end

local function others(members, excluded)
    local rest = {}
    for _, member in ipairs(members) do
        if member ~= excluded then
            table.insert(rest, member)
        end
    end
    return rest
end

--- Does a step on each of these members.
local function each(members, step, ...)
    for _, member in ipairs(members) do
        assert(member.membership[step](...))
    end
end

--- The ids of the old key and of the new one.
local function ids_of(member)
    return unpack(member:call(function(old, new)
        local membership = require('membership')
        local function id(key)
            membership.set_encryption_key(key)
            return membership.keys()[membership.myself().uri].uses
        end
        local ids = {id(old), id(new)}
        membership.set_encryption_key(nil)
        return ids
    end, OLD, NEW))
end

--- Stops a member, and waits until these call it dead.
local function stop(cluster, member, observers)
    member:stop()
    cluster:everyone_sees(member.uri, 'dead', observers)
end

--- Has a member run again, and waits until all see all alive.
local function resume(cluster, member, members)
    member:cont()
    cluster:acquaint(members)
end

fact('keys says which keys each member accepts, and which it uses, and never a key', function(t, cluster)
    local alone = cluster:member()
    t:is_deeply(alone.membership.keys(), {}, 'nothing without encryption')
    local old, new = ids_of(alone)
    t:like(old, '^%x%x%x%x%x%x%x%x$', 'an id has eight digits')
    local members = group(cluster, 3, 'xchacha20-poly1305')
    local a, b, c = unpack(members)
    local keys = a.membership.keys()
    for _, member in ipairs(members) do
        local expected = {status = 'alive', uses = old, accepts = {old}, answered = true}
        t:is_deeply(keys[member.uri], expected, member.uri .. ' has the old key')
    end
    each({b, c}, 'add_encryption_key', NEW)
    c.membership.use_encryption_key(NEW, {force = true})
    keys = a.membership.keys()
    t:is_deeply(keys[a.uri].accepts, {old}, 'one has only that')
    t:is_deeply({keys[b.uri].uses, keys[b.uri].accepts}, {old, {old, new}}, 'another accepts two, and uses the old one')
    t:is_deeply({keys[c.uri].uses, keys[c.uri].accepts}, {new, {new, old}}, 'a third uses the new one')
end)

for _, cipher in ipairs({'aes-256-cbc', 'xchacha20-poly1305'}) do
    fact(('a step that comes too early is refused, and names the members (%s)'):format(cipher), function(t, cluster)
        local members = group(cluster, 4, cipher)
        local a, b, c, d = unpack(members)
        each({a, b}, 'add_encryption_key', NEW)
        local ok, why = a.membership.use_encryption_key(NEW)
        t:is(ok, nil, 'use is refused')
        local named = {c.uri, d.uri}
        table.sort(named)
        t:like(why, ('^encryption key %%x+ stays unused: it is not accepted by %s and %s%%. Add the key there, '
            .. 'or pass {force = true}$'):format(unpack(named)), 'with the members that do not accept it')
        each({c, d}, 'add_encryption_key', NEW)
        t:is(a.membership.use_encryption_key(NEW), true, 'it is accepted once all accept it')
        ok, why = a.membership.remove_encryption_key(OLD)
        t:is(ok, nil, 'remove is refused')
        t:like(why, '^encryption key %x+ stays: it is still used by .*%. Use another key there, or pass {force = true}',
            'with the members that use it')
        for _, member in ipairs({b, c, d}) do
            t:like(why, member.uri, 'and ' .. member.uri .. ' does')
        end
        each({b, c, d}, 'use_encryption_key', NEW)
        each(members, 'remove_encryption_key', OLD)
        cluster:acquaint(members)
        for _, observer in ipairs(members) do
            for _, member in ipairs(members) do
                t:is(observer.membership.get_member(member.uri).incarnation, 1, member.uri .. ' was never suspected')
            end
        end
    end)

    fact(('no instance that is stopped in a step is stranded (%s)'):format(cipher), function(t, cluster)
        local members = group(cluster, 4, cipher)
        local a, _, _, stopped = unpack(members)
        local rest = others(members, stopped)

        stopped:stop() -- while the new key is added
        each(rest, 'add_encryption_key', NEW)
        cluster:everyone_sees(stopped.uri, 'dead', rest)
        logged.begin(a)
        each(rest, 'use_encryption_key', NEW)
        t:like(logged.first(a, 'warn'), 'is used now, and not known to be accepted by ' .. stopped.uri,
            'a dead one is not waited for, and the log names it')
        resume(cluster, stopped, members)
        t:ok(true, 'the one that has only the old key is back')
        t:is(stopped.membership.probe_uri(a.uri), true, 'it hears the others')
        t:is(a.membership.probe_uri(stopped.uri), true, 'and is heard')
        local ok, why = a.membership.remove_encryption_key(OLD)
        t:is(ok, nil, 'its key cannot be removed')
        t:like(why, 'still used by ' .. stopped.uri, 'as long as it is used there')
        assert(stopped.membership.add_encryption_key(NEW))

        stop(cluster, stopped, rest) -- while the new key is used
        cluster:let_pass(1)
        resume(cluster, stopped, members)
        assert(stopped.membership.use_encryption_key(NEW))

        stop(cluster, stopped, rest) -- while the old key is removed
        each(rest, 'remove_encryption_key', OLD)
        resume(cluster, stopped, members)
        assert(stopped.membership.remove_encryption_key(OLD))
        cluster:acquaint(members)
        local keys = a.membership.keys()
        for _, member in ipairs(members) do
            t:is(#keys[member.uri].accepts, 1, member.uri .. ' has one key')
            t:is(keys[member.uri].uses, keys[a.uri].uses, 'the same as all')
        end
    end)

    fact(('force does a step at once, and the log names those that are left behind (%s)'):format(cipher),
        function(t, cluster)
            local members = group(cluster, 4, cipher)
            local behind = members[4]
            local rest = others(members, behind)
            logged.begin(members[1])
            each(rest, 'add_encryption_key', NEW)
            each(rest, 'use_encryption_key', NEW, {force = true})
            t:like(logged.first(members[1], 'warn'),
                ('^Encryption key %%x+ is used now, and not known to be accepted .*%s'):format(behind.uri), 'of use')
            cluster:let_pass(2)
            cluster:acquaint(members)
            t:ok(true, 'the one with the old key alone is not cut off')
            local hints = table.concat(members[1].membership.diagnose(behind.uri).hints, '; ')
            t:like(hints, 'it uses encryption key %x+, and this instance %x+: ', 'a hint tells of it')
            t:is(members[1].membership.stats().other_keys, 1, 'and a count')
            logged.clear(members[1])
            each(rest, 'remove_encryption_key', OLD, {force = true})
            t:like(logged.first(members[1], 'warn'),
                'Encryption keys are removed, and no other is known to be accepted by ' .. behind.uri, 'of remove')
            cluster:wait('the one with the old key to be cut off', function()
                return rest[1]:status_of(behind.uri) ~= 'alive' and rest[2]:status_of(behind.uri) ~= 'alive'
            end)
            t:ok(true, 'by then it is')
        end)
end

fact('a member that does not answer is waited for until it is dead, and named', function(t, cluster)
    local patient = {
        PROTOCOL_PERIOD_SECONDS = 0.2,
        ACK_TIMEOUT_SECONDS = 0.1,
        SUSPECT_TIMEOUT_SECONDS = 60,
    }
    local members = group(cluster, 3, 'xchacha20-poly1305', {options = patient})
    local a, _, silent = unpack(members)
    each(members, 'add_encryption_key', NEW)
    silent:stop()
    for _, step in ipairs({{'use_encryption_key', NEW}, {'remove_encryption_key', NEW}}) do
        local ok, why = a.membership[step[1]](step[2])
        t:is(ok, nil, step[1] .. ' is refused')
        t:like(why, ': ' .. silent.uri .. ' did not answer%.', 'since one does not answer')
    end
    t:is(a.membership.keys()[silent.uri].answered, false, 'keys says so')
    silent:cont()
    cluster:wait('an answer', function()
        return a.membership.keys()[silent.uri].answered
    end)
    t:is(a.membership.use_encryption_key(NEW), true, 'it does once it runs again')
end)

fact('a peer of the Lua rock notices nothing, and its key is known', function(t, cluster)
    local members = mixed.strangers(cluster, 2, 1, OLD)
    local a, b, old = unpack(members)
    mixed.join(cluster, members)
    local keys = a.membership.keys()
    t:is_deeply(keys[old.uri], keys[b.uri], 'it is known to accept the key that it uses')
    each({a, b}, 'add_encryption_key', NEW)
    local ok, why = a.membership.use_encryption_key(NEW)
    t:is(ok, nil, 'a key that it has not got is refused')
    t:like(why, 'it is not accepted by ' .. old.uri .. '%.', 'because of it')
    each({a, b}, 'use_encryption_key', NEW, {force = true})
    cluster:let_pass(4)
    t:isnt(a.membership.keys()[b.uri].uses, keys[b.uri].uses, 'the others use the new one among themselves')
    mixed.is_calm(t, cluster, members)
    mixed.is_digestible(t, members)
end)

fact('alone, and before init, no other member is waited for', function(t, cluster)
    local a = cluster:node()
    t:is_deeply({a.membership.use_encryption_key(NEW)}, {nil, 'unknown encryption key'}, 'an unknown key is refused')
    a.membership.set_encryption_key(OLD)
    t:is(a.membership.add_encryption_key(NEW), true, 'add')
    t:is(a.membership.use_encryption_key(NEW), true, 'use')
    t:is_deeply({a.membership.remove_encryption_key(NEW)}, {nil, 'encryption key is in use'}, 'not the one in use')
    t:is(a.membership.remove_encryption_key(OLD), true, 'remove')
    t:is_deeply(a.membership.keys(), {}, 'no member has keys')
    cluster:init(a)
    t:is(a.membership.add_encryption_key(OLD), true, 'add, alone')
    t:is(a.membership.use_encryption_key(OLD), true, 'use, alone')
    t:is(a.membership.remove_encryption_key(NEW), true, 'remove, alone')
    local keys = a.membership.keys()
    t:is_deeply(keys[a.uri].accepts, {keys[a.uri].uses}, 'its own key')
end)

suite.run()
