-- What strangers say of a member without a key: none of it makes it immortal, or keeps it from saying something new.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local msgpack = require('msgpack')
local suite = require('suite')

local LAST = 2ULL ^ 53 - 2
local STRANGER = '127.0.0.9:3301'

--- Tells `to` that `about` is thus, in the name of `sender`.
local function tell(cluster, to, sender, about, status, incarnation)
    local socket = cluster:udp('127.0.0.9', cluster:port())
    local event = {about.uri, status, incarnation, {}, 1}
    local sent = socket:sendto(to.host, to.port, msgpack.encode({sender, 'LEAVE', msgpack.NULL, {event}}))
    assert(sent, socket:error())
end

--- Waits until what was sent to `node` has been heard.
local function let_hear(cluster, node, count)
    cluster:wait('it to be heard', function()
        local heard = node.membership.stats().received.datagrams.LEAVE
        return heard >= count, heard
    end)
end

local function lives_and_dies_as_ever(t, cluster, a, b, c)
    t:is(b.membership.set_payload('said', 'later'), true, 'it says something new')
    cluster:everyone_sees_payload(b.uri, {said = 'later'}, {a, c})
    t:ok(true, 'which the others hear')
    b:kill()
    cluster:everyone_sees(b.uri, 'dead', {a, c})
    t:ok(true, 'killed, it is dead')
    local again = cluster:member({port = b.port})
    again.membership.add_member(a.uri)
    again.membership.set_payload('said', 'in another life')
    cluster:everyone_sees(b.uri, 'alive', {a, c, again})
    cluster:everyone_sees_payload(b.uri, {said = 'in another life'}, {a, c})
    t:ok(true, 'restarted, it is alive, and says something new')
end

suite.fact('a stranger cannot say that a member is at its last incarnation', function(t, cluster)
    t:plan(5)
    local a, b, c = cluster:group(3)
    local before = a.membership.stats().received.datagrams.LEAVE
    tell(cluster, a, STRANGER, b, 1, LAST)
    let_hear(cluster, a, before + 1)
    t:is(a.membership.get_member(b.uri).incarnation, 1, 'it is not believed')
    lives_and_dies_as_ever(t, cluster, a, b, c)
end)

suite.fact('nor to the member itself, and in its own name only for a while', function(t, cluster)
    t:plan(5)
    local a, b, c = cluster:group(3)
    tell(cluster, b, STRANGER, b, 1, LAST - 1)
    tell(cluster, a, b.uri, b, 1, LAST)
    tell(cluster, c, b.uri, b, 3, LAST)
    cluster:everyone_agrees('it is where it says', function(observer)
        local seen = observer.membership.get_member(b.uri)
        return seen.status == 'alive' and seen.incarnation < 1000, seen.incarnation
    end, {a, b, c})
    t:ok(true, 'its own word counts')
    lives_and_dies_as_ever(t, cluster, a, b, c)
end)

suite.fact('of one that is gone it is found out, and an operator can put an end to it', function(t, cluster)
    t:plan(3)
    local a, b, c = cluster:group(3)
    b:kill()
    cluster:everyone_sees(b.uri, 'dead', {a, c})
    tell(cluster, a, b.uri, b, 1, LAST)
    cluster:wait('it to be believed', function()
        return a.membership.get_member(b.uri).incarnation == LAST
    end)
    cluster:everyone_sees(b.uri, 'dead', {a})
    t:ok(true, 'it is dead again')
    t:is(a.membership.mark_left(b.uri), true, 'mark_left')
    cluster:everyone_sees(b.uri, 'left', {a})
    t:ok(true, 'takes effect')
end)

suite.run()
