-- A table that strangers have filled: real newcomers get in all the same.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local scene = require('scene')
local suite = require('suite')

local MAX_MEMBERS = 20

suite.fact('a newcomer takes the place of a member that was made up and is dead', function(t, cluster)
    local a, b = cluster:member(), cluster:member()
    a:call(function(most) require('membership.options').MAX_MEMBERS = most end, MAX_MEMBERS)
    a.membership.add_member(b.uri)
    cluster:acquaint({a, b})
    local stranger = scene.listener(cluster, '127.0.0.1:' .. cluster:port())
    local inventions = {}
    for i = 1, 2 * MAX_MEMBERS do
        table.insert(inventions, {('127.0.0.1:%d'):format(i), 3, 1, {}, 1})
    end
    stranger:send(a.uri, 'LEAVE', nil, inventions)
    cluster:wait('the table to be full', function()
        return a.membership.stats().members_refused > 0
    end)
    local newcomer = cluster:member()
    newcomer.membership.add_member(a.uri)
    cluster:everyone_sees(newcomer.uri, 'alive', {a})
    t:ok(true, 'it is in')
    t:is(a:status_of(b.uri), 'alive', 'for none that has answered')
    local count = 0
    for _ in pairs(a.membership.members()) do
        count = count + 1
    end
    t:is(count, MAX_MEMBERS, 'and the table is no larger')
    t:ok(a.membership.stats().members_displaced > 0, 'which is counted')
end)

suite.run()
