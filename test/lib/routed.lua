--- Two networks with a router between them, in network namespaces of their own.

local fio = require('fio')
local tarantool = require('tarantool')

local files = require('files')
local machine = require('machine')

local routed = {}

-- The addresses of the one are 10.9.1.2 and 10.9.1.3, those of the other 10.9.2.2 and 10.9.2.3.
local NETWORK = [[
set -e
R=routed-router-$1 A=routed-one-$1 B=routed-other-$1
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
    ip -n $R addr add 10.9.$i.1/24 dev to$i; ip -n $n addr add 10.9.$i.2/24 dev e; ip -n $n addr add 10.9.$i.3/24 dev e
    ip -n $n route add default via 10.9.$i.1
    i=2
done
]]

--- Calls `play(instance)` with such networks; `instance(host, name)` starts a member in the one or the other.
---@param rules string|nil what the router drops, for nft
---@param opts table|nil options of each member
function routed.play(t, cluster, rules, opts, play)
    local id = tarantool.pid()
    local script = fio.pathjoin(fio.tempdir(), 'network')
    local filter = rules and ('ip netns exec $R nft -f - <<END\n%sEND\n'):format(rules) or ''
    files.write(script, NETWORK .. filter, '700')
    local function network(command)
        return ('sh %s %d %s'):format(script, id, command)
    end
    local function take_down()
        os.execute(network('down') .. ' >/dev/null 2>&1')
    end
    if not machine.can(t, 'a router', network('up')) then
        return take_down()
    end
    opts = opts or {}
    local ok, err = pcall(play, function(host, name)
        local prefix = {'ip', 'netns', 'exec', ('routed-%s-%d'):format(name, id), unpack(opts.prefix or {})}
        return cluster:member({host = host, prefix = prefix, files = opts.files})
    end)
    take_down()
    t:ok(ok, ok and 'all of it was played' or tostring(err))
end

return routed
