-- Who comes back, or under another name, or adds nonsense, is seen alike by ours and by peers of the Lua rock.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local mixed = require('mixed')
local scene = require('scene')
local suite = require('suite')

suite.fact('an old peer that is back at once, with fewer incarnations behind it, is told', function(t, cluster)
    local a, b, old = mixed.ours(cluster), mixed.ours(cluster), mixed.old(cluster)
    local members = {a, b, old}
    mixed.join(cluster, members)
    for i = 1, 5 do
        old:set_payload('life', 'first, ' .. i)
    end
    cluster:everyone_sees_payload(old.uri, {life = 'first, 5'}, members)
    old:stop()
    old:init()
    old:set_payload('life', 'second')
    old:add_member(a.uri)
    cluster:everyone_sees_payload(old.uri, {life = 'second'}, members)
    mixed.is_calm(t, cluster, members)
    mixed.is_digestible(t, members)
end)

suite.fact('the former name of a member is dead to both kinds', function(t, cluster)
    local ours, observer, old = mixed.ours(cluster), mixed.ours(cluster), mixed.old(cluster)
    local members = {ours, observer, old}
    mixed.join(cluster, members)
    ours.membership.set_payload('x', 1)
    for _, renamed in ipairs({ours, old}) do
        local former = renamed.uri
        renamed.membership.init('localhost', cluster:port())
        local new = renamed.membership.myself().uri
        cluster:everyone_sees(former, 'dead', members)
        cluster:everyone_sees(new, 'alive', members)
    end
    mixed.is_digestible(t, members)
end)

suite.fact('one that was stopped for a while is dead, then alive, and blames nobody', function(t, cluster)
    local a, b = mixed.ours(cluster), mixed.ours(cluster)
    local watching = mixed.old(cluster)
    local stopped = cluster:member{program = scene.OLD_PEER, options = mixed.CALM}
    local members = {a, watching, b, stopped}
    mixed.join(cluster, members)
    for _, sleeper in ipairs({stopped, a}) do
        sleeper:stop()
        cluster:everyone_sees(sleeper.uri, 'dead', mixed.others(members, sleeper))
        sleeper:cont()
        cluster:acquaint(members)
    end
    mixed.is_calm(t, cluster, {b, watching})
    mixed.is_digestible(t, members)
    t:is_deeply(stopped:call(function() return require('membership').peer.errors end), {}, 'no error in the process')
end)

suite.fact('nonsense that an old peer adds does no harm', function(t, cluster)
    local members = {mixed.ours(cluster), mixed.ours(cluster), mixed.old(cluster), mixed.old(cluster)}
    mixed.join(cluster, members)
    -- A member with an empty uri, one without a port, one without an address, one out of reach.
    for _, uri in ipairs({'33705', 'foo', 'no-such-host.invalid:1', '[::1]:9'}) do
        t:is(members[3]:add_member(uri), true, uri)
    end
    for _, uri in ipairs({'no-such-host.invalid:1', '[::1]:9'}) do
        cluster:everyone_sees(uri, 'dead', members)
    end
    mixed.is_calm(t, cluster, members)
    mixed.is_digestible(t, members)
end)

suite.fact('names and IPv6 addresses serve both kinds', function(t, cluster)
    for _, host in ipairs({'localhost', '[::1]'}) do
        local ours = mixed.begin(cluster, cluster:node{host = host, options = mixed.CALM})
        local old = scene.peer(cluster, {host = host, options = mixed.CALM})
        old:init()
        mixed.join(cluster, {ours, old})
        for _, member in ipairs({ours, old}) do
            member.membership.set_payload('host', host)
            cluster:everyone_sees_payload(member.uri, {host = host}, {ours, old})
        end
        mixed.is_calm(t, cluster, {ours, old})
        mixed.is_digestible(t, {old})
    end
end)

suite.run()
