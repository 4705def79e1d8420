-- Networks that carry less than Ethernet and do not say so: large payloads arrive all the same.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local logged = require('logged')
local routed = require('routed')
local suite = require('suite')
local fact = suite.fact

-- The router drops fragments, and packets of more than so many bytes.
local RULES = [[
table ip path {
    chain forward {
        type filter hook forward priority 0;
        ip length > %d drop
        ip frag-off & 0x3fff != 0 drop
    }
}
]]

--- Calls `play(instance)` with such a network; `instance(host, name)` starts a member at one of its hosts.
local function with_network(t, cluster, carried, play)
    routed.play(t, cluster, RULES:format(carried), nil, play)
end

--- The hints of `node` about `uri` that speak of the size of datagrams.
local function hints(node, uri)
    local found = {}
    for _, hint in ipairs(node.membership.diagnose(uri).hints) do
        if hint:startswith('datagrams above') then
            table.insert(found, hint)
        end
    end
    return found
end

fact('a payload arrives where large datagrams vanish, and no member is suspected', function(t, cluster)
    with_network(t, cluster, 1000, function(instance)
        local a, b = instance('10.9.1.2', 'one'), instance('10.9.2.2', 'other')
        a.membership.add_member(b.uri)
        cluster:acquaint({a, b})
        t:is(a.membership.probe_uri(b.uri), true, 'small datagrams pass')
        t:is(b.membership.probe_uri(a.uri), true, 'in both directions')
        cluster:record(a)
        cluster:record(b)
        logged.begin(a)
        local payload = {big = ('x'):rep(1200)}
        a.membership.set_payload('big', payload.big)
        t:ok(cluster:everyone_sees_payload(a.uri, payload, {b}), 'a payload larger than any datagram that passes')
        b.membership.set_payload('big', payload.big)
        t:ok(cluster:everyone_sees_payload(b.uri, payload, {a}), 'the other way, too')
        t:is_deeply(hints(a, b.uri), {'datagrams above 972 bytes do not reach it: lower MAX_PACKET_SIZE'}, 'diagnose')
        local line = ('Datagrams above 972 bytes do not reach %s: sending it smaller ones. '):format(b.uri)
            .. 'Lower MAX_PACKET_SIZE, or let the network carry more'
        t:ok(logged.wait(a, 'warn', line), 'the log says so')
        cluster:let_pass(2) -- many periods
        t:is(logged.count(a, 'warn', line), 1, 'once')
        for observer, other in pairs({[a] = b, [b] = a}) do
            for _, seen in ipairs(cluster:recorded(observer, other.uri)) do
                t:like(seen, '^alive ', 'never suspected: ' .. seen)
            end
        end
    end)
end)

suite.run()
