-- Networks that carry less than Ethernet and do not say so: large payloads arrive all the same.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fio = require('fio')
local logged = require('logged')
local machine = require('machine')
local suite = require('suite')
local tarantool = require('tarantool')
local fact = suite.fact

-- Two hosts with a router between them, which drops fragments, and packets of more than so many bytes.
local NETWORK = [[
set -e
R=path-router-$1 A=path-one-$1 B=path-other-$1
if [ $2 = down ]; then
    for n in $R $A $B; do ip netns del $n || true; done
    exit
fi
for n in $R $A $B; do ip netns add $n; ip -n $n link set lo up; done
ip netns exec $R sysctl -qw net.ipv4.ip_forward=1
i=1
for n in $A $B; do
    ip -n $R link add to$i type veth peer name e netns $n
    ip -n $R link set to$i up; ip -n $n link set e up
    ip -n $R addr add 10.9.$i.1/24 dev to$i; ip -n $n addr add 10.9.$i.2/24 dev e
    ip -n $n route add default via 10.9.$i.1
    i=2
done
ip netns exec $R nft -f - <<END
table ip path {
    chain forward {
        type filter hook forward priority 0;
        ip length > $3 drop
        ip frag-off & 0x3fff != 0 drop
    }
}
END
]]

--- Calls `play(instance)` with such a network; `instance(host, name)` starts a member at one of its hosts.
local function with_network(t, cluster, carried, play)
    local id = tarantool.pid()
    local script = fio.pathjoin(fio.tempdir(), 'network')
    local file = fio.open(script, {'O_CREAT', 'O_WRONLY'}, tonumber('700', 8))
    file:write(NETWORK)
    file:close()
    local function network(command)
        return ('sh %s %d %s %d'):format(script, id, command, carried)
    end
    local function take_down()
        os.execute(network('down') .. ' >/dev/null 2>&1')
    end
    if not machine.can(t, 'a router', network('up')) then
        return take_down()
    end
    local ok, err = pcall(play, function(host, name)
        return cluster:member({
            host = host,
            prefix = {'ip', 'netns', 'exec', ('path-%s-%d'):format(name, id)},
        })
    end)
    take_down()
    t:ok(ok, ok and 'all of it was played' or tostring(err))
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
