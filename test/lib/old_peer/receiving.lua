--- What a peer does with a datagram.

local fiber = require('fiber')
local here = (...):match('^(.*%.)')
local options = require(here .. 'options')
local packing = require(here .. 'packing')
local wire = require(here .. 'wire')

local receiving = {}

local handlers = {}

function handlers.PING(peer, sender, data)
    if data.dst == peer.advertise_uri then
        data.ats = fiber.time64()
        peer:send_gossip(sender, 'ACK', data)
    elseif sender == peer.advertise_uri then
        -- A ping through ourselves would go round for ever.
        return
    elseif data.dst ~= nil then
        peer:send_gossip(data.dst, 'PING', data)
    else
        peer.journal:error('Message PING without destination uri')
    end
end

function handlers.ACK(peer, _, data)
    if data.src == peer.advertise_uri then
        data.rts = fiber.time64()
        peer.acks:put(data)
    elseif data.src ~= nil then
        peer:send_gossip(data.src, 'ACK', data)
    else
        peer.journal:error('Message ACK without source uri')
    end
end

--- Takes the records over where they beat ours. Unlike events, those about myself are believed too.
local function take_records(peer, data)
    local theirs = {}
    for _, packed in ipairs(data) do
        local uri, record = wire.unpack_record(packed)
        theirs[uri] = record
        if peer.view.supersedes(record, peer.view:get(uri)) then
            peer.rumours:generate(uri, record.status, record.incarnation, record.payload)
        end
    end
    return theirs
end

function handlers.SYNC_REQ(peer, sender, data)
    local theirs = take_records(peer, data)
    peer:send(sender, function()
        return packing.sync(peer, 'SYNC_ACK', function(uri, member)
            return peer.view.supersedes(member, theirs[uri])
        end)
    end)
end

function handlers.SYNC_ACK(peer, _, data)
    take_records(peer, data)
    peer.synced:broadcast()
end

function handlers.LEAVE()
end

local function handle(peer, message)
    local sender, type_, data, events = unpack(message, 1, 4)
    for _, packed in ipairs(events) do
        peer.rumours:handle(wire.unpack_event(packed))
    end
    local handler = handlers[type_]
    if handler == nil then
        error(('Unknown message %s'):format(type_))
    end
    handler(peer, sender, data)
end

--- A dead member that says what we cannot read has another key than we have.
local function blame_key(peer, from)
    local uri = peer.resolver:uri_of(from.host, from.port)
    local member = uri and peer.view:get(uri)
    if member ~= nil and member.status == options.DEAD then
        peer.journal:info('Broken UDP packet from %s - non-decryptable', uri)
        peer.rumours:generate(uri, options.NONDECRYPTABLE)
    end
end

--- Handles one datagram as it left the receive buffer; `sent_size` is the size it had on the wire.
function receiving.handle_datagram(peer, bytes, from, sent_size)
    local ok, plain = pcall(peer.seal.decrypt, peer.seal, bytes)
    local message = ok and wire.decode(plain) or nil
    local journal = peer.journal
    journal:datagram('in', ('%s:%s'):format(from.host, from.port), bytes, message)
    journal.longest = math.max(journal.longest, sent_size)
    if ok and wire.is_short(plain) then
        journal.short = journal.short + 1
    elseif message == nil or sent_size > #bytes then
        journal.broken = journal.broken + 1
    end
    if message == nil then
        blame_key(peer, from)
    else
        handle(peer, message)
    end
end

-- The rock reads with a buffer of MAX_PACKET_SIZE bytes, and the kernel throws the rest away. We read
-- everything, to know that there was more, and do the same.
local DATAGRAM_BYTES_MAX = 65536

--- One turn of the receive loop.
function receiving.step(peer)
    if not peer.sock:readable(peer.options.PROTOCOL_PERIOD_SECONDS) then
        return
    end
    local bytes, from = peer.sock:recvfrom(DATAGRAM_BYTES_MAX)
    if bytes ~= nil and not peer:is_cut_from(from) then
        receiving.handle_datagram(peer, bytes:sub(1, peer.options.MAX_PACKET_SIZE), from, #bytes)
    end
end

return receiving
