-- Recorded datagrams, played to others: of groups with the same key, each goes on as if nothing had come.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')

local KEY = '5sN2c1hGd4sLkJ0cUJgq3WQv3hXq6b1c0n9iYyXc1zM='

local function sealed(cluster)
    local node = cluster:node()
    node:call(function(key)
        require('membership.options').ENCRYPTION_CIPHER = 'xchacha20-poly1305'
        require('membership').set_encryption_key(key)
    end, KEY)
    cluster:init(node)
    return node
end

local function sealed_pair(cluster)
    local one, other = sealed(cluster), sealed(cluster)
    one.membership.add_member(other.uri)
    cluster:acquaint({one, other})
    return one, other
end

suite.fact('a recording does not make two groups with one key acquainted', function(t, cluster)
    local a, b = sealed_pair(cluster)
    local c, d = sealed_pair(cluster)
    local port = cluster:port()
    local recorder = cluster:udp('127.0.0.1', port)
    a.membership.probe_uri('127.0.0.1:' .. port)
    assert(recorder:readable(10), 'nothing to record')
    local recording = recorder:recvfrom(65535)
    local heard = c.membership.stats().dropped.unconfirmed
    assert(recorder:sendto('127.0.0.1', c.port, recording))
    cluster:wait('it to be heard', function()
        return c.membership.stats().dropped.unconfirmed > heard
    end)
    cluster:let_pass(2)
    for _, pair in ipairs({{a, c}, {a, d}, {b, c}, {b, d}}) do
        local one, other = unpack(pair)
        t:is(one.membership.get_member(other.uri), nil, 'one does not know the other')
        t:is(other.membership.get_member(one.uri), nil, 'nor the other way round')
    end
end)

suite.run()
