-- Our instances and peers of the Lua rock form one group, and notice nothing of it.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local mixed = require('mixed')
local suite = require('suite')

local fact, strangers, others = mixed.fact, mixed.strangers, mixed.others

fact('an old peer joins one of ours', function(t, cluster, key)
    local ours, old = unpack(strangers(cluster, 1, 1, key))
    t:is(old:add_member(ours.uri), true, 'add_member')
    cluster:acquaint({ours, old})
    t:is(old:probe_uri(ours.uri), true, 'it can probe us')
    t:is(ours.membership.probe_uri(old.uri), true, 'we can probe it')
    t:ok(math.abs(old:get_member(ours.uri).clock_delta) < 1e6, 'it knows our clock')
    mixed.is_calm(t, cluster, {ours, old})
    mixed.is_digestible(t, {old})
end)

fact('one of ours joins an old peer', function(t, cluster, key)
    local ours, old = unpack(strangers(cluster, 1, 1, key))
    t:is(ours.membership.add_member(old.uri), true, 'add_member')
    cluster:acquaint({ours, old})
    mixed.is_calm(t, cluster, {ours, old})
    mixed.is_digestible(t, {old})
end)

fact('to probe is to meet, whoever probes', function(t, cluster, key)
    local a, b, c, d = unpack(strangers(cluster, 2, 2, key))
    t:is(a.membership.probe_uri(c.uri), true, 'we probe it')
    cluster:acquaint({a, c})
    t:is(d:probe_uri(b.uri), true, 'it probes us')
    cluster:acquaint({b, d})
    mixed.is_digestible(t, {c, d})
end)

fact('all of a mixed group meet, hear of payloads, and live on calmly', function(t, cluster, key)
    local members = strangers(cluster, 3, 3, key)
    -- In turn, so that every second one is met by way of the other kind.
    local chain = {members[1], members[4], members[2], members[5], members[3], members[6]}
    mixed.join(cluster, chain)
    for i, member in ipairs(members) do
        member.membership.set_payload('alias', {'member ' .. i, {2}, {x = 'three'}})
    end
    for _, member in ipairs(members) do
        cluster:everyone_sees_payload(member.uri, member.membership.myself().payload, members)
    end
    for _, member in ipairs(members) do
        member.membership.set_payload('alias', nil)
        member.membership.set_payload('second', 2)
        cluster:everyone_sees_payload(member.uri, {second = 2}, members)
    end
    cluster:wait('everybody to probe the old peers twice', function()
        for i = 4, 6 do
            for _, member in ipairs(others(members, members[i])) do
                local pings = mixed.received(members[i], 'PING', function(message)
                    return message[1] == member.uri and message[3].dst == members[i].uri
                end)
                if pings < 2 then
                    return false, ('%s has got %d from %s'):format(members[i].uri, pings, member.uri)
                end
            end
        end
        return true
    end)
    mixed.is_calm(t, cluster, members)
    mixed.is_digestible(t, members)
end)

fact('a death is noticed and told on by either kind, and so is a return', function(t, cluster, key)
    local members = strangers(cluster, 2, 2, key)
    local ours, observer, old = unpack(members)
    mixed.join(cluster, members)

    ours:kill()
    local rest = others(members, ours)
    cluster:everyone_sees(ours.uri, 'dead', rest)
    old:stop()
    rest = others(rest, old)
    cluster:everyone_sees(old.uri, 'dead', rest)
    t:like(table.concat(mixed.seen(cluster, observer, old.uri), ', '), 'suspect 1, dead 1', 'as a suspect first')

    mixed.revive(cluster, ours, key)
    ours.membership.add_member(observer.uri)
    old:init()
    old:add_member(members[4].uri)
    cluster:acquaint(members)
    mixed.is_calm(t, cluster, {observer, members[4]})
    mixed.is_digestible(t, members)
end)

fact('who leaves is seen to have left, and can come back', function(t, cluster, key)
    local members = strangers(cluster, 2, 2, key)
    local ours, _, old = unpack(members)
    mixed.join(cluster, members)
    ours.membership.set_payload('role', 'storage')
    cluster:everyone_sees_payload(ours.uri, {role = 'storage'}, members)

    for _, leaver in ipairs({ours, old}) do
        local rest = others(members, leaver)
        t:is(leaver.membership.leave(), true, 'leave')
        cluster:everyone_sees(leaver.uri, 'left', rest)
        for _, observer in ipairs(rest) do
            local seen = table.concat(mixed.seen(cluster, observer, leaver.uri), ', ')
            t:unlike(seen, 'suspect', 'without any suspicion')
        end
        t:is(leaver.membership.init(leaver.host, leaver.port), true, 'init')
        leaver.membership.add_member(rest[1].uri)
        cluster:acquaint(members)
    end
    cluster:everyone_sees_payload(ours.uri, {role = 'storage'}, members)
    mixed.is_digestible(t, members)
end)

fact('who is marked as left has left, unless he is there', function(t, cluster, key)
    local members = strangers(cluster, 3, 2, key)
    local ours, dead, marker, old = unpack(members)
    mixed.join(cluster, members)
    dead:kill()
    cluster:everyone_sees(dead.uri, 'dead', others(members, dead))
    t:is(old:mark_left(dead.uri), true, 'an old peer marks one of ours that is dead')
    cluster:everyone_sees(dead.uri, 'left', others(members, dead))

    local rest = others(members, dead)
    t:is(old:mark_left(ours.uri), true, 'an old peer marks one of ours that is not')
    cluster:wait('the refutation', function()
        return ours.membership.myself().incarnation > 1
    end)
    cluster:acquaint(rest)

    t:is(marker.membership.mark_left(old.uri), true, 'one of ours marks an old peer that is not dead')
    cluster:wait('the refutation', function()
        return old:myself().incarnation > 1
    end)
    cluster:acquaint(rest)
    mixed.is_digestible(t, members)
end)

fact('one of ours that is back at once, under the same incarnation, has its new payload seen', function(t, cluster, key)
    local members = strangers(cluster, 2, 2, key)
    local ours = members[1]
    mixed.join(cluster, members)
    ours.membership.set_payload('life', 'first')
    cluster:everyone_sees_payload(ours.uri, {life = 'first'}, members)
    mixed.revive(cluster, ours, key)
    ours.membership.set_payload('life', 'second')
    ours.membership.add_member(members[3].uri)
    cluster:everyone_sees_payload(ours.uri, {life = 'second'}, members)
    cluster:acquaint(members)
    mixed.is_digestible(t, members)
end)

fact('an old peer that is restarted has its new payload seen, once it was dead', function(t, cluster, key)
    local members = strangers(cluster, 2, 2, key)
    local old = members[3]
    mixed.join(cluster, members)
    old:set_payload('life', 'first')
    cluster:everyone_sees_payload(old.uri, {life = 'first'}, members)
    old:stop()
    cluster:everyone_sees(old.uri, 'dead', others(members, old))
    old:init()
    old:add_member(members[1].uri)
    cluster:acquaint(members)
    -- Earlier, another old peer's table might bring the first one back to it.
    old:set_payload('life', 'second')
    cluster:everyone_sees_payload(old.uri, {life = 'second'}, members)
    mixed.is_digestible(t, members)
end)

suite.run()
