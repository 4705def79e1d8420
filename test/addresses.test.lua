package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fio = require('fio')
local machine = require('machine')
local suite = require('suite')
local tarantool = require('tarantool')
local fact = suite.fact

--- Options of a node to which names lead to these addresses, in this order.
local function with_hosts(host, lines)
    local opts = machine.with_etc({
        ['hosts'] = table.concat(lines, '\n') .. '\n',
        ['host.conf'] = 'multi on\n',
        ['nsswitch.conf'] = 'hosts: files\n',
    })
    opts.host = host
    return opts
end

local function has_hint(node, uri, pattern)
    for _, hint in ipairs(node.membership.diagnose(uri).hints) do
        if hint:match(pattern) then
            return true
        end
    end
    return false
end

--- It may take a probe or two until it is known where it answers.
local function answers(t, cluster, node, other)
    t:ok(cluster:wait('an answer', function()
        return node:call(function(uri) return (require('membership').probe_uri(uri)) end, other.uri)
    end), 'it answers')
end

fact('a name with a stale address leads to its member all the same', function(t, cluster)
    if not machine.can_have_etc(t) then
        return
    end
    local store = with_hosts('store', {'127.0.0.1 localhost store'})
    store.bind = '127.0.0.1'
    local a = cluster:member(store)
    -- Takes what comes, and never answers.
    t:ok(cluster:udp('127.0.0.9', a.port), 'there is something at the stale address')
    local b = cluster:member(with_hosts('127.0.0.1', {'127.0.0.9 store', '127.0.0.1 store'}))
    t:is(b.membership.probe_uri(a.uri), true, 'it is found at once')
    cluster:acquaint({a, b})
    cluster:record(b)
    cluster:let_pass(2)
    t:is_deeply(cluster:recorded(b, a.uri), {'alive 1'}, 'it is never suspected')
    -- The resolver orders the addresses by rules of its own.
    local hint = '^its name has 2 addresses: .*127%.0%.0%.9 did not answer'
    t:ok(has_hint(b, a.uri, hint), 'diagnose says which address is stale')
end)

fact('a member that has moved is found by its datagrams, before its name knows', function(t, cluster)
    if not machine.can_have_etc(t) then
        return
    end
    local pod = with_hosts('pod', {'127.0.0.1 localhost pod'})
    pod.bind = '127.0.0.1'
    local a = cluster:node(pod)
    t:ok(cluster:udp('127.0.0.9', a.port), 'where it was, something else is now')
    local b = cluster:member(with_hosts('127.0.0.1', {'127.0.0.9 pod'}))
    b.membership.add_member(a.uri)
    t:ok(cluster:everyone_sees(a.uri, 'dead', {b}), 'it is dead')
    cluster:init(a)
    a.membership.add_member(b.uri)
    cluster:acquaint({a, b})
    answers(t, cluster, b, a)
    local hint = '^it has 2 addresses: 127%.0%.0%.9 did not answer, 127%.0%.0%.1:%d+, where .*, does$'
    t:ok(cluster:wait('the hint', function() return has_hint(b, a.uri, hint) end), 'diagnose says what was tried')
end)

fact('names that have IPv6 only are served without further ado', function(t, cluster)
    if not (machine.can_have_etc(t) and machine.has_ipv6(t, cluster)) then
        return
    end
    local names = {'::1 pod-0.storage', '::1 pod-1.storage'}
    local a, b = cluster:member(with_hosts('pod-0.storage', names)), cluster:member(with_hosts('pod-1.storage', names))
    t:is(b.membership.probe_uri(a.uri), true, 'they find each other')
    cluster:acquaint({a, b})
    t:is(a.membership.probe_uri(a.uri), true, 'and themselves')
    t:is_deeply(a.membership.diagnose(b.uri).hints, {}, 'nothing is wrong')
end)

fact('a name is served in both families', function(t, cluster)
    if not (machine.can_have_etc(t) and machine.has_ipv6(t, cluster)) then
        return
    end
    local both = {'127.0.0.1 both', '::1 both'}
    local a = cluster:member(with_hosts('both', both))
    local four = cluster:member(with_hosts('127.0.0.1', both))
    local six = cluster:member(with_hosts('[::1]', both))
    t:is(four.membership.probe_uri(a.uri), true, 'an instance with an address of IPv4 reaches it')
    t:is(six.membership.probe_uri(a.uri), true, 'so does one with an address of IPv6')
    cluster:acquaint({a, four})
    cluster:acquaint({a, six})
    t:is(a.membership.probe_uri(four.uri), true, 'it reaches the one')
    t:is(a.membership.probe_uri(six.uri), true, 'and the other')
    six:kill()
    t:ok(cluster:everyone_sees(six.uri, 'dead', {a}), 'a death is found in IPv6')
    t:is(a.membership.init('127.0.0.1', a.port), true, 'from a name to an address')
    t:is(a.membership.init('both', a.port), true, 'and back')
    t:is(four.membership.probe_uri(a.uri), true, 'it is reached')
end)

fact('an address to bind may have a zone', function(t, cluster)
    local set_up = 'ip link set lo up && ip addr add fe80::1/64 dev lo nodad'
    if not machine.can(t, 'a network with link-local addresses', ("unshare -n sh -c '%s'"):format(set_up)) then
        return
    end
    local a = cluster:node({
        host = '[fe80::1]',
        prefix = {'unshare', '-n', 'sh', '-c', set_up .. ' && exec "$0" "$@"'},
    })
    local ok, err = pcall(a.membership.init, a.host, a.port, {bind = 'fe80::1%nowhere'})
    t:ok(not ok, 'a zone that is none is refused')
    t:like(err, "bad address to bind 'fe80::1%%nowhere': there is no such network interface", 'and said to be none')
    t:is(a.membership.init(a.host, a.port, {bind = 'fe80::1%lo'}), true, 'one that exists is taken')
    t:is(a.membership.probe_uri(a.uri), true, 'it is reached there')
end)

-- A router that forwards a port of its own address to an instance behind it, as Docker does.
local ROUTER = [[
set -e
R=router-$1 A=inner-$1 B=outer-$1
case $2 in
up)
    for n in $R $A $B; do ip netns add $n; ip -n $n link set lo up; done
    ip -n $R link add out type veth peer name e netns $B; ip -n $R link add in type veth peer name e netns $A
    ip -n $R addr add 10.9.0.1/24 dev out; ip -n $B addr add 10.9.0.2/24 dev e
    ip -n $R addr add 10.9.1.1/24 dev in; ip -n $A addr add 10.9.1.2/24 dev e
    ip -n $R link set out up; ip -n $R link set in up; ip -n $A link set e up; ip -n $B link set e up
    ip -n $A route add default via 10.9.1.1
    ip netns exec $R sysctl -qw net.ipv4.ip_forward=1
    inner=10.9.1.2
    ;;
move)
    ip -n $A addr del 10.9.1.2/24 dev e; ip -n $A addr add 10.9.1.3/24 dev e
    ip -n $A route add default via 10.9.1.1
    inner=10.9.1.3
    ;;
down)
    for n in $R $A $B; do ip netns del $n || true; done
    exit
    ;;
esac
ip netns exec $R nft -f - <<END
flush ruleset
table ip nat {
    chain pre { type nat hook prerouting priority dstnat; ip daddr 10.9.0.1 udp dport $3 dnat to $inner:$3; }
    chain post { type nat hook postrouting priority srcnat; oifname "out" masquerade; }
}
END
]]

fact('a member behind NAT that returns with another address is found', function(t, cluster)
    local id, port = tarantool.pid(), cluster:port()
    local script = fio.pathjoin(fio.tempdir(), 'router')
    local file = fio.open(script, {'O_CREAT', 'O_WRONLY'}, tonumber('700', 8))
    file:write(ROUTER)
    file:close()
    local function router(command)
        return ('sh %s %d %s %d'):format(script, id, command, port)
    end
    if not machine.can(t, 'a router', router('up')) then
        os.execute(router('down') .. ' 2>/dev/null')
        return
    end
    local function instance(host, namespace)
        return cluster:member({
            host = host,
            port = port,
            prefix = {'ip', 'netns', 'exec', ('%s-%d'):format(namespace, id)},
        })
    end
    local ok, err = pcall(function()
        local b = instance('10.9.0.2', 'outer')
        local a = instance('10.9.0.1', 'inner')
        a.membership.add_member(b.uri)
        t:ok(cluster:everyone_sees(a.uri, 'alive', {b}), 'they meet')
        t:is(b.membership.probe_uri(a.uri), true, 'it answers')
        a:kill()
        t:ok(cluster:everyone_sees(a.uri, 'dead', {b}), 'it is killed')
        t:is(os.execute(router('move')), 0, 'it moves')
        a = instance('10.9.0.1', 'inner')
        a.membership.add_member(b.uri)
        a.membership.set_payload('life', 2)
        t:ok(cluster:everyone_sees_payload(a.uri, {life = 2}, {b}), 'its new payload is known')
        t:ok(cluster:everyone_sees(a.uri, 'alive', {a, b}), 'it is alive, also in its own eyes')
        answers(t, cluster, b, a)
    end)
    os.execute(router('down'))
    t:ok(ok, tostring(err))
end)

suite.run()
