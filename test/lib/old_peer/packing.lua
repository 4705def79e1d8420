--- What is put into a datagram, and what fits.

local msgpack = require('msgpack')
local here = (...):match('^(.*%.)')
local wire = require(here .. 'wire')
local options = require(here .. 'options')

local packing = {}

--- Counts one sending of the event down and packs it. Whoever has no sendings left is noted in `expired`.
local function spend(event, expired)
    event.ttl = event.ttl - 1
    if event.ttl <= 0 then
        expired[event.uri] = true
    end
    return wire.pack_event(event)
end

--- What is known of a member as an event for one sending.
local function one_shot(uri, member, payload)
    return {
        uri = uri,
        status = member.status,
        incarnation = member.incarnation,
        payload = payload,
        ttl = 1,
    }
end

--- The recipient learns what we think of it, then who we are. Both whatever the size.
local function add_both_ends(peer, recipient, parcel, done, expired)
    local theirs = peer.view:get(recipient)
    if theirs ~= nil then
        local event = peer.rumours:get(recipient) or one_shot(recipient, theirs, nil)
        parcel:add(spend(event, expired))
        done[recipient] = true
    end
    local me = peer.advertise_uri
    if me ~= recipient then
        local mine = peer.view:get(me)
        local event = peer.rumours:get(me) or one_shot(me, mine, mine.payload)
        parcel:add(spend(event, expired))
        done[me] = true
    end
end

local function add_rumours(peer, parcel, done, expired)
    for uri, event in peer.rumours:pairs() do
        if not done[uri] then
            if not parcel:fits(wire.pack_event(event)) then
                return
            end
            parcel:add(spend(event, expired))
            done[uri] = true
        end
    end
end

--- The rest of the datagram is filled with whom we know. A queued rumour that found no place before
-- may come along here, and counts as spent then.
local function add_others(peer, parcel, done, expired)
    local others = peer.view:shuffled(function(uri) return not done[uri] end)
    for _, uri in ipairs(others) do
        local member = peer.view:get(uri)
        local event = one_shot(uri, member, member.payload)
        if not parcel:fits(wire.pack_event(event)) then
            return
        end
        parcel:add(spend(event, expired))
    end
end

--- A PING or an ACK for `recipient`.
function packing.gossip(peer, recipient, type_, data)
    local events = {}
    local message = {peer.advertise_uri, type_, data, events}
    local parcel = wire.parcel(message, events, peer.options, peer.seal)
    local done, expired = {}, {}
    add_both_ends(peer, recipient, parcel, done, expired)
    add_rumours(peer, parcel, done, expired)
    add_others(peer, parcel, done, expired)
    for uri in pairs(expired) do
        peer.rumours.queue[uri] = nil
    end
    return message
end

--- A SYNC_REQ or a SYNC_ACK with those members for which `accepts(uri, member)` holds.
-- The first one that does not fit ends the selection.
function packing.sync(peer, type_, accepts)
    local records = {}
    local message = {peer.advertise_uri, type_, records, {}}
    local parcel = wire.parcel(message, records, peer.options, peer.seal)
    for _, uri in ipairs(peer.view:shuffled(accepts)) do
        local record = wire.pack_record(uri, peer.view:get(uri))
        if not parcel:fits(record) then
            break
        end
        parcel:add(record)
    end
    return message
end

--- The only event of a LEAVE. The payload stays at home.
function packing.leave(peer, sender, incarnation)
    return {sender, 'LEAVE', msgpack.NULL, {wire.pack_event({
        uri = sender,
        status = options.LEFT,
        incarnation = incarnation,
        ttl = peer.view:count() - 1,
    })}}
end

return packing
