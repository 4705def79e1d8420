package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

local function configure(node)
    node:call(function()
        box.cfg({log_level = 5})
    end)
end

--- What a member must be able to do at any time.
local function works(t, cluster, node, peer, when)
    node.membership.set_payload('when', when)
    t:ok(cluster:everyone_sees_payload(node.uri, {when = when}), when .. ' it is heard')
    peer.membership.set_payload('when', when)
    t:ok(cluster:everyone_sees_payload(peer.uri, {when = when}), when .. ' it hears')
    t:is(node.membership.probe_uri(peer.uri), true, when .. ' it can probe')
    t:is(peer.membership.probe_uri(node.uri), true, when .. ' it can be probed')
end

fact('init before box.cfg', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    works(t, cluster, a, b, 'before box.cfg')
    cluster:record(b)
    configure(a)
    works(t, cluster, a, b, 'after box.cfg')
    for _, mark in ipairs(cluster:recorded(b, a.uri)) do
        t:like(mark, 'alive', 'the peer saw it ' .. mark)
    end
end)

fact('init after box.cfg', function(t, cluster)
    local a, b = cluster:node(), cluster:member()
    configure(a)
    cluster:init(a)
    a.membership.add_member(b.uri)
    cluster:acquaint({a, b})
    works(t, cluster, a, b, 'after box.cfg')
end)

fact('a member with a database and one without make a group', function(t, cluster)
    local a, b, c = cluster:node(), cluster:node(), cluster:member()
    configure(a)
    cluster:init(a)
    cluster:init(b)
    configure(b)
    b.membership.add_member(a.uri)
    c.membership.add_member(b.uri)
    cluster:acquaint({a, b, c})
    for _, node in ipairs({a, b}) do
        t:is(node:call(function()
            local space = box.schema.space.create('test')
            space:create_index('primary', {parts = {1, 'string'}})
            local membership = require('membership')
            for uri in membership.pairs() do
                space:insert({uri})
            end
            return space:count()
        end), 3, 'members can be stored')
    end
    t:ok(cluster:everyone_sees(c.uri, 'alive'), 'and live on')
end)

suite.run()
