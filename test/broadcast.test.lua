package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local ffi = require('ffi')
local suite = require('suite')
local fact = suite.fact

ffi.cdef('int getuid(void);')

local IS_ROOT = ffi.C.getuid() == 0
-- Nothing is to be broadcast in the networks of this machine: each of these has networks of its own.
local UNSHARE = IS_ROOT and 'unshare -n' or 'unshare -rn'

local function can_unshare(t)
    if os.execute(UNSHARE .. ' ip link set lo up 2>/dev/null') == 0 then
        return true
    end
    t:skip('this user cannot have networks of his own: ' .. UNSHARE)
    return false
end

--- A command that runs another in networks of its own, after `setup`.
local function isolated(setup)
    local prefix = UNSHARE:split(' ')
    for _, word in ipairs({'sh', '-c', (setup or 'true') .. ' && exec "$0" "$@"'}) do
        table.insert(prefix, word)
    end
    return prefix
end

--- A command that runs another in the networks of this one.
local function beside(node)
    local prefix = ('nsenter -t %d -n'):format(node.pid):split(' ')
    if not IS_ROOT then
        table.insert(prefix, '-U')
        table.insert(prefix, '--preserve-credentials')
    end
    return prefix
end

local function broadcast(node, port)
    return node:call(function(wanted)
        return require('membership').broadcast(wanted)
    end, port)
end

local function getifaddrs(node)
    return node:call(function()
        return require('membership.network').getifaddrs()
    end)
end

local function has_logged(t, cluster, node, line)
    t:ok(cluster:wait(line, function()
        for _, logged in ipairs(node:log_tail(100)) do
            if logged == line then
                return true
            end
        end
    end), line)
end

fact('who is in no network reaches nobody', function(t, cluster)
    if not can_unshare(t) then
        return
    end
    local a = cluster:member({prefix = isolated()})
    t:is_deeply(getifaddrs(a), {}, 'there is none')
    t:is(broadcast(a, 31000), false, 'nobody was reached')
    has_logged(t, cluster, a, 'Membership BROADCAST not sent: No suitable ifaddrs found')
end)

fact('on one machine, the instances get acquainted', function(t, cluster)
    if not can_unshare(t) then
        return
    end
    local a = cluster:member({prefix = isolated('ip link set lo up')})
    local b = cluster:member({prefix = beside(a)})
    t:is_deeply(getifaddrs(a), {{name = 'lo', inet4 = '127.0.0.1'}}, 'there is the loopback interface')
    t:is(broadcast(a, b.port), true, 'somebody may have been reached')
    has_logged(t, cluster, a, 'Membership BROADCAST sent to 127.0.0.1:' .. b.port)
    t:ok(cluster:everyone_sees(a.uri, 'alive'), 'both know who has asked')
    t:ok(cluster:everyone_sees(b.uri, 'alive'), 'both know who was found')
end)

--- Connects the networks of two instances by a cable, as it were.
local function plug(one, other)
    local add = 'ip link add cable netns %d type veth peer name cable netns %d'
    local up = 'nsenter -t %d -n ip address add 10.77.0.%d/24 broadcast + dev cable && '
        .. 'nsenter -t %d -n ip link set cable up && nsenter -t %d -n ip link set lo up'
    assert(os.execute(add:format(one.pid, other.pid)) == 0)
    assert(os.execute(up:format(one.pid, 1, one.pid, one.pid)) == 0)
    assert(os.execute(up:format(other.pid, 2, other.pid, other.pid)) == 0)
end

local function has_interface(node, wanted)
    for _, interface in ipairs(getifaddrs(node)) do
        if interface.name == wanted.name then
            return interface.inet4 == wanted.inet4 and interface.bcast == wanted.bcast
        end
    end
end

fact('in one network, the instances get acquainted', function(t, cluster)
    if not (IS_ROOT and can_unshare(t)) then
        t:skip('only root can connect two networks')
        return
    end
    local a = cluster:node({host = '10.77.0.1', prefix = isolated()})
    local b = cluster:node({host = '10.77.0.2', prefix = isolated()})
    plug(a, b)
    t:ok(cluster:wait('the interface', function()
        return has_interface(a, {name = 'cable', inet4 = '10.77.0.1', bcast = '10.77.0.255'})
    end), 'the network is found')
    cluster:init(a)
    cluster:init(b)
    t:is(broadcast(a, b.port), true, 'somebody may have been reached')
    has_logged(t, cluster, a, 'Membership BROADCAST sent to 10.77.0.255:' .. b.port)
    t:ok(cluster:everyone_sees(a.uri, 'alive'), 'both know who has asked')
    t:ok(cluster:everyone_sees(b.uri, 'alive'), 'both know who was found')
end)

fact('an instance of IPv6 has nobody to ask', function(t, cluster)
    if not can_unshare(t) then
        return
    end
    local a = cluster:member({host = '[::1]', prefix = isolated('ip link set lo up')})
    local port = cluster:port()
    t:is(broadcast(a, port), true, 'it has tried')
    local reason = require('errno').strerror(require('errno').ENETUNREACH)
    has_logged(t, cluster, a, ('Membership BROADCAST not sent to 127.0.0.1:%d: %s'):format(port, reason))
end)

fact('when the system does not tell of networks, its words are quoted', function(t, cluster)
    local a = cluster:member()
    local ok, err, reached = a:call(function()
        local C, new = require('ffi').C, require('ffi').new
        require('ffi').cdef([[
            struct limits { unsigned long soft, hard; };
            int getrlimit(int resource, struct limits *limits);
            int setrlimit(int resource, const struct limits *limits);
        ]])
        local membership, network = require('membership'), require('membership.network')
        local RLIMIT_NOFILE = 7
        local limits = new('struct limits')
        C.getrlimit(RLIMIT_NOFILE, limits)
        C.setrlimit(RLIMIT_NOFILE, new('struct limits', {0, limits.hard}))
        local ok, err = pcall(network.getifaddrs)
        local reached = membership.broadcast(31000)
        C.setrlimit(RLIMIT_NOFILE, limits)
        return ok, err, reached
    end)
    local reason = require('errno').strerror(require('errno').EMFILE)
    t:is(ok, false, 'getifaddrs raises')
    t:ok(tostring(err):endswith(reason), tostring(err))
    t:is(reached, false, 'nobody was reached')
    has_logged(t, cluster, a, 'Membership BROADCAST impossible: ' .. reason)
end)

fact('bad arguments are named', function(t, cluster)
    local a = cluster:member()
    for _, case in ipairs({
        {'31000', 'number expected, got string'},
        {true, 'number expected, got boolean'},
    }) do
        local value, text = unpack(case)
        local ok, err = pcall(broadcast, a, value)
        t:is(ok, false, tostring(value) .. ' raises')
        t:ok(err:endswith(('bad argument #1 to broadcast (%s)'):format(text)), err)
    end
end)

fact('a number that is no port reaches nobody, and stops nothing', function(t, cluster)
    local a = cluster:member()
    for _, number in ipairs({0, 65536, -1, 1.5, 0 / 0, math.huge}) do
        t:is(broadcast(a, number), false, ('broadcast(%s)'):format(number))
        local line = 'Membership BROADCAST not sent: port between 1 and 65535 expected, got %s'
        has_logged(t, cluster, a, line:format(number))
    end
end)

suite.run()
