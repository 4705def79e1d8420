--- The protocol step: expiry of suspicions, and one ping.

local fiber = require('fiber')
local options = require((...):match('^(.*%.)') .. 'options')

local probing = {}

local MICROSECONDS = 1000000

local function bury_suspects(peer)
    local age_max = peer.options.SUSPECT_TIMEOUT_SECONDS * MICROSECONDS
    local now = fiber.time64()
    local timed_out = peer.view:shuffled(function(_, member)
        return member.status == options.SUSPECT
            and tonumber(now - member.timestamp) > age_max
    end)
    for _, uri in ipairs(timed_out) do
        peer.journal:info('Node timed out: %s - dead', uri)
        peer.rumours:generate(uri, options.DEAD)
    end
end

--- Who is next in the round; nil when there is nobody.
local function next_in_round(peer)
    if #peer.round == 0 then
        peer.round = peer.view:shuffled(function(_, member)
            return member.status ~= options.LEFT
        end)
    end
    return table.remove(peer.round)
end

local function ping(peer, via, uri, ts)
    return peer:send_gossip(via, 'PING', {ts = ts, src = peer.advertise_uri, dst = uri})
end

local function clock_delta(ack)
    if ack.ats == nil or ack.ts == nil or ack.rts == nil then
        return nil
    end
    return tonumber(ack.ats) - (tonumber(ack.ts) + tonumber(ack.rts)) / 2
end

--- An ACK tells the clock and keeps a suspicion from expiring, but makes nobody alive.
local function note_ack(peer, uri, ack)
    local member = peer.view:get(uri)
    if member ~= nil then
        member.clock_delta = clock_delta(ack)
        member.timestamp = fiber.time64()
    end
end

--- Pings `uri` and waits for the answer. True, or false and what happened; with the `ts` of the ping.
function probing.ping_and_wait(peer, uri)
    local ts = fiber.time64()
    if not ping(peer, uri, uri, ts) then
        return false, 'ping was not sent', ts
    end
    local ack = peer.acks:wait(uri, ts, fiber.clock() + peer.options.ACK_TIMEOUT_SECONDS)
    if ack == nil then
        return false, 'no response', ts
    end
    note_ack(peer, uri, ack)
    return true, nil, ts
end

--- Asks others to ping `uri`; true when its ACK came through any of them, or late from itself.
local function ping_through_others(peer, uri, ts, deadline)
    local relays = peer.view:shuffled(function(other, member)
        return member.status == options.ALIVE and other ~= peer.advertise_uri and other ~= uri
    end)
    local sent = 0
    for _, relay in ipairs(relays) do
        if sent >= peer.options.NUM_FAILURE_DETECTION_SUBGROUPS then
            break
        end
        if ping(peer, relay, uri, ts) then
            sent = sent + 1
        end
    end
    local ack = sent > 0 and peer.acks:wait(uri, ts, deadline) or nil
    if ack ~= nil then
        note_ack(peer, uri, ack)
    end
    return ack ~= nil
end

local function suspect(peer, uri)
    local mine = peer.view:get(peer.advertise_uri)
    if mine.status ~= options.ALIVE then
        peer.journal:debug('Could not reach node: %s (%s myself)', uri, mine.status)
    elseif peer.options.SUSPICIOUSNESS == false then
        peer.journal:debug('Could not reach node: %s (ignored)', uri)
    else
        peer.journal:info('Could not reach node: %s - suspect', uri)
        peer.rumours:generate(uri, options.SUSPECT)
    end
end

--- One protocol period, without the pause at its end.
function probing.step(peer)
    local deadline = fiber.clock() + peer.options.PROTOCOL_PERIOD_SECONDS
    bury_suspects(peer)
    peer.acks:clear()
    local uri = next_in_round(peer)
    if uri == nil then
        return
    end
    local answered, _, ts = probing.ping_and_wait(peer, uri)
    if answered then
        return
    end
    local member = peer.view:get(uri)
    if member ~= nil and member.status >= options.DEAD then
        return
    end
    if ping_through_others(peer, uri, ts, deadline) then
        return
    end
    member = peer.view:get(uri)
    if member ~= nil and member.status == options.ALIVE then
        suspect(peer, uri)
    end
end

return probing
