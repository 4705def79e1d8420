--- Groups of our instances and old peers, and whether they get along.

local scene = require('scene')
local suite = require('suite')

local mixed = {}

--- As slow as a busy machine needs it, so that whoever is suspected is suspected for a reason.
mixed.CALM = {
    PROTOCOL_PERIOD_SECONDS = 1,
    ACK_TIMEOUT_SECONDS = 0.5,
    ANTI_ENTROPY_PERIOD_SECONDS = 1,
    SUSPECT_TIMEOUT_SECONDS = 1,
}

--- Two facts, plain and encrypted: `check` gets the key as well, or nil.
function mixed.fact(name, check)
    suite.fact(name, function(t, cluster)
        check(t, cluster, nil)
    end)
    suite.fact(name .. ' (encrypted)', function(t, cluster)
        check(t, cluster, 'a cluster cookie')
    end)
end

--- Makes a process a member of a group of its own that notes what it sees.
function mixed.begin(cluster, started, key)
    if key ~= nil then
        started.membership.set_encryption_key(key)
    end
    cluster:init(started)
    cluster:record(started)
    return started
end

--- One of ours. `config` may have `key`, `port` and `options`.
function mixed.ours(cluster, config)
    config = config or {}
    local started = cluster:node{port = config.port, options = config.options or mixed.CALM}
    return mixed.begin(cluster, started, config.key)
end

--- The same address, another life.
function mixed.revive(cluster, killed, key)
    killed:restart()
    return mixed.begin(cluster, killed, key)
end

--- An old peer.
function mixed.old(cluster, config)
    config = config or {}
    return scene.old_member(cluster, {
        key = config.key,
        port = config.port,
        trace = true,
        options = config.options or mixed.CALM,
    })
end

--- Makes a group of these members: each adds the one before it. Waits until all know each other.
function mixed.join(cluster, members)
    for i = 2, #members do
        assert(members[i].membership.add_member(members[i - 1].uri))
    end
    cluster:acquaint(members)
end

--- So many of ours and old peers, strangers to one another.
function mixed.strangers(cluster, count_ours, count_old, key)
    local members = {}
    for _ = 1, count_ours do
        table.insert(members, mixed.ours(cluster, {key = key}))
    end
    for _ = 1, count_old do
        table.insert(members, mixed.old(cluster, {key = key}))
    end
    return members
end

--- The members but this one.
function mixed.others(members, but)
    local list = {}
    for _, member in ipairs(members) do
        if member ~= but then
            table.insert(list, member)
        end
    end
    return list
end

local function is_old(member)
    return member.journal ~= nil
end

--- What the observer has seen of a member, in order: `{'alive 1', 'suspect 1'}`.
function mixed.seen(cluster, observer, uri)
    if not is_old(observer) then
        return cluster:recorded(observer, uri)
    end
    local marks = {}
    for _, event in ipairs(observer.history) do
        if event.uri == uri then
            local status = observer.options.STATUS_NAMES[event.status]
            table.insert(marks, ('%s %d'):format(status, event.incarnation))
        end
    end
    return marks
end

--- No old peer has choked on anything. It got at most `short_max` datagrams, none by default, in the short form that
-- this module speaks with its own kind.
function mixed.is_digestible(t, members, short_max)
    for _, member in ipairs(members) do
        if is_old(member) then
            t:is_deeply(member.errors, {}, member.uri .. ' had no error')
            t:is(member.broken, 0, member.uri .. ' could read everything')
            t:ok(member.short <= (short_max or 0), ('%s got %d in the short form'):format(member.uri, member.short))
            t:ok(member.longest <= 1472, ('%s got no more than 1472 bytes at once'):format(member.uri))
        end
    end
end

--- Nobody has ever seen one of these members otherwise than alive.
function mixed.is_calm(t, cluster, members, observers)
    local doubts = {}
    for _, observer in ipairs(observers or members) do
        for _, member in ipairs(members) do
            for _, mark in ipairs(mixed.seen(cluster, observer, member.uri)) do
                if not mark:match('^alive ') then
                    table.insert(doubts, ('%s saw %s %s'):format(observer.uri, member.uri, mark))
                end
            end
        end
    end
    t:is_deeply(doubts, {}, 'nobody was ever doubted')
end

--- How many messages of this type an old peer has got, of which `accepts(message)` is true.
function mixed.received(peer, type_, accepts)
    local count = 0
    for _, datagram in ipairs(peer.trace) do
        local message = datagram.way == 'in' and datagram.message
        if message and message[2] == type_ and accepts(message) then
            count = count + 1
        end
    end
    return count
end

return mixed
