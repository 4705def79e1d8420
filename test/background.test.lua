package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

-- box.cfg{background = true} forks: of all threads only the one that calls it lives on, in the child. The parent exits.
local function go_into_background(node)
    node:call(function()
        box.cfg({background = true, pid_file = 'instance.pid', log = 'background.log'})
    end)
    local code = node:wait_exit()
    node:follow('instance.pid')
    return code
end

fact('a member that goes into the background after init is not missed', function(t, cluster)
    local a, b, c = cluster:group(3, {options = {}})
    cluster:record(a)
    cluster:record(b)
    t:is(go_into_background(c), 0, 'the parent exited well')
    cluster:let_pass(6) -- in which each peer pings it several times, and a suspicion would come to its end
    for _, observer in ipairs({a, b}) do
        t:is_deeply(cluster:recorded(observer, c.uri), {'alive 1'}, observer.uri .. ' saw nothing')
    end
    t:is(c:status_of(a.uri), 'alive', 'it sees its peers')
    t:is(c:status_of(b.uri), 'alive', 'both of them')
end)

fact('in the background it does all that it did before', function(t, cluster)
    local a, b, c = cluster:group(3)
    c.membership.set_payload('life', 'foreground')
    local wakes = c:count_wakes() -- by a subscriber that waits through the fork
    go_into_background(c)

    t:is(a:reaches(c.uri), true, 'it answers')
    t:is(c:reaches(a.uri), true, 'it asks')
    t:is_deeply(c.membership.myself().payload, {life = 'foreground'}, 'it kept its payload')
    c.membership.set_payload('life', 'background')
    t:ok(cluster:everyone_sees_payload(c.uri, {life = 'background'}), 'it is heard')

    local before = wakes()
    a.membership.set_payload('news', true)
    t:ok(cluster:everyone_sees_payload(a.uri, {news = true}, {c}), 'it hears')
    cluster:wait('the subscriber to be woken', function()
        return wakes() > before
    end)
    t:ok(true, 'and a subscriber from before is woken')

    b:kill()
    t:ok(cluster:everyone_sees(b.uri, 'dead', {a, c}), 'it notices who dies')
    b:restart()
    cluster:init(b)
    t:ok(cluster:everyone_sees(b.uri, 'alive', {a, b, c}), 'and who comes back')
end)

fact('alone in a group of two it still finds the other one dead', function(t, cluster)
    local a, b = cluster:group(2)
    go_into_background(a)
    b:kill()
    t:ok(cluster:everyone_sees(b.uri, 'dead', {a}), 'nobody else could have told it')
end)

fact('from the background it can leave, come back and change its port', function(t, cluster)
    local a, b = cluster:group(2)
    go_into_background(a)
    t:is(a.membership.leave(), true, 'it leaves')
    t:ok(cluster:everyone_sees(a.uri, 'left', {b}), 'which is seen')
    t:ok(cluster:udp('0.0.0.0', a.port), 'the port is free: no other process has the socket')

    local port = cluster:port()
    local uri = a.host .. ':' .. port
    t:is(a.membership.init(a.host, port), true, 'it comes back')
    a.membership.add_member(b.uri)
    t:ok(cluster:everyone_sees(uri, 'alive'), 'which is seen, too')
end)

fact('init after going into the background', function(t, cluster)
    local a, b = cluster:node(), cluster:member()
    a:call(function()
        require('membership').add_member('127.0.0.1:1')
    end)
    go_into_background(a)
    cluster:init(a)
    a.membership.add_member(b.uri)
    cluster:acquaint({a, b})
    a.membership.set_payload('n', 1)
    t:ok(cluster:everyone_sees_payload(a.uri, {n = 1}), 'it works')
end)

fact('SIGTERM ends it', function(t, cluster)
    local a = cluster:group(2)
    go_into_background(a)
    a:signal('TERM')
    a:wait_exit()
    t:ok(not a:is_running(), 'it is gone')
end)

suite.run()
