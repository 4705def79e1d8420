-- Two processes with one URI: both are told of each other, and the third of both.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local logged = require('logged')
local machine = require('machine')
local suite = require('suite')
local tool = require('tool')

local fact = suite.fact

local ISOLATED = {'unshare', '-n', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"'}

local SETTLED_SECONDS = 20

--- Connects the networks of three instances: they become 10.88.0.1, 10.88.0.2 and 10.88.0.3.
local function connect(a, b, c)
    local script = [[set -e
        c=%d
        nsenter -t $c -n ip link add bridge type bridge
        nsenter -t $c -n ip link set bridge up
        nsenter -t $c -n ip address add 10.88.0.3/24 dev bridge
        number=0
        for other in %d %d; do
            number=$((number + 1))
            ip link add port$number netns $c type veth peer name cable netns $other
            nsenter -t $c -n ip link set port$number master bridge up
            nsenter -t $other -n ip address add 10.88.0.$number/24 dev cable
            nsenter -t $other -n ip link set cable up
        done]]
    assert(os.execute(script:format(c.pid, a.pid, b.pid)) == 0)
end

--- Two members with the URI that `host` makes, and a third that is right. All have the default options.
local function doubles(cluster, host, options)
    local port = cluster:port()
    local function opts(name)
        return {host = name, port = port, prefix = ISOLATED, options = options or {}}
    end
    local a, b = cluster:node(opts(host)), cluster:node(opts(host))
    local c = cluster:node(opts('10.88.0.3'))
    connect(a, b, c)
    for _, node in ipairs({c, a, b}) do
        logged.begin(node)
        cluster:init(node)
    end
    a.membership.set_payload('of', 'a')
    b.membership.set_payload('of', 'b')
    -- The third is asked often whether it sees anything else than what is.
    for _, node in ipairs({a, b, c}) do
        cluster:record(node)
    end
    a.membership.add_member(c.uri)
    b.membership.add_member(c.uri)
    return a, b, c, ('10.88.0.1:%d'):format(port), ('10.88.0.2:%d'):format(port)
end

--- The hint that two processes use a URI.
local function hint(node, uri)
    local diagnosis = node.membership.diagnose(uri)
    for _, words in ipairs(diagnosis and diagnosis.hints or {}) do
        if words:find('two processes use this URI', 1, true) then
            return words
        end
    end
    return ''
end

local function warnings(node)
    local count = 0
    for _, line in ipairs(logged.lines(node, 'warn')) do
        if line.text:find('Two processes use the URI ' .. node.test_uri, 1, true) then
            count = count + 1
        end
    end
    return count
end

local function diff(node, ...)
    local uris = table.concat({...}, ' ')
    local command = 'nsenter -t %d -n %s diff --timeout 1 --patience 0.1 %s 2>&1'
    local pipe = io.popen(command:format(node.pid, tool.PATH, uris))
    local printed = pipe:read('*a')
    pipe:close()
    return printed
end

local function learns(t, cluster, node, uri, one, other)
    t:ok(cluster:wait('a hint of ' .. node.uri, function()
        local words = hint(node, uri)
        return words:find(one, 1, true) and words:find(other, 1, true), words
    end, 15), 'it is told where both are')
end

local function all_is_well(t, cluster, a, b, c, one, other)
    local shared = a.uri
    for _, node in ipairs({a, b, c}) do
        node.test_uri = shared
    end
    learns(t, cluster, c, shared, one, other)
    learns(t, cluster, a, shared, 'this URI', other)
    learns(t, cluster, b, shared, 'this URI', one)
    cluster:let_pass(SETTLED_SECONDS)
    for _, node in ipairs({a, b, c}) do
        t:is(warnings(node), 1, 'one line says it')
        t:is(node.membership.stats().duplicates, 1, 'and it is counted')
        for _, status in ipairs(cluster:recorded(node, c.uri)) do
            t:like(status, '^alive', 'the third is never suspected')
        end
    end
    local risen = c.membership.get_member(shared).incarnation - 2
    t:ok(risen < 8, 'incarnations do not race: ' .. risen)
    local words = ('two processes use the URI %s: one at '):format(shared)
    t:ok(diff(c, one, other):find(words .. one .. ', another at ' .. other, 1, true), 'diff of both shows it')
    local printed = diff(c, c.uri, c.uri)
    t:ok(printed:find(words, 1, true) and printed:find(other, 1, true), 'and of the third')
end

for situation, host in pairs({
    ['two hosts that call themselves localhost'] = 'localhost',
    ['a configuration that was copied: the address leads to one of the two'] = '10.88.0.1',
}) do
    fact(situation, function(t, cluster)
        if machine.can(t, 'networks that are connected', 'unshare -n ip link set lo up') then
            all_is_well(t, cluster, doubles(cluster, host))
        end
    end)
end

suite.run()
