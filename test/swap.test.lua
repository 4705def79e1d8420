-- A running cluster changes from the Lua rock to this module, instance by instance, and back.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local mixed = require('mixed')
local suite = require('suite')

local KEY = 'a cluster cookie'

--- Two members of ours each may send a ping and some pushes to the address of one that has just been replaced.
local SHORT_MAX = 12

local function payload_of(generation, i)
    return {generation .. ' ' .. i}
end

suite.fact('each member is alive in the eyes of each throughout a rolling swap and back', function(t, cluster)
    local members, retired = {}, {}
    for i = 1, 3 do
        members[i] = mixed.old(cluster, {key = KEY})
    end
    mixed.join(cluster, members)
    for i, old in ipairs(members) do
        old:set_payload('is', payload_of('old', i))
        cluster:everyone_sees_payload(old.uri, {is = payload_of('old', i)}, members)
    end

    for i, old in ipairs(members) do
        -- The process is there already: what is measured is the swap, not the start of Tarantool.
        local ours = cluster:node{port = old.port, options = mixed.CALM}
        old:stop()
        mixed.begin(cluster, ours, KEY)
        ours.membership.set_payload('is', payload_of('new', i))
        ours.membership.add_member(members[i % 3 + 1].uri)
        members[i] = ours
        table.insert(retired, old)
        cluster:acquaint(members)
        cluster:everyone_sees_payload(ours.uri, {is = payload_of('new', i)}, members)
    end
    mixed.is_calm(t, cluster, members)

    for i, ours in ipairs(members) do
        -- Nothing can be asked of it later.
        mixed.is_calm(t, cluster, members, {ours})
        ours:kill()
        members[i] = mixed.old(cluster, {key = KEY, port = ours.port})
        members[i]:add_member(members[i % 3 + 1].uri)
        cluster:acquaint(members)
    end
    mixed.is_calm(t, cluster, members)
    mixed.is_calm(t, cluster, members, retired)
    mixed.is_digestible(t, retired)
    -- What was sent to the module that had run there, before its successor was heard.
    mixed.is_digestible(t, members, SHORT_MAX)
end)

suite.run()
