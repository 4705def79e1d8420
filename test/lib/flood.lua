--- Sends hostile datagrams to one instance, as many a second as wanted: a program of its own.
-- usage: tarantool test/lib/flood.lua URI DATAGRAMS_PER_SECOND SECONDS KIND SENDERS
-- Prints how many were sent. To loopback only.
--
-- KIND is what they are: `mix`, `dense` (status changes), `refute` (accusations), `nils` (arrays of them, as
-- the payload of the instance), `table` (requests for the table, and comparisons).
-- SENDERS is from where they come: from that many addresses, each of which has pinged the instance once and
-- got its answer; 0 for one that has not.

local clock = require('clock')
local digest = require('digest')
local ffi = require('ffi')
local fiber = require('fiber')
local msgpack = require('msgpack')
local socket = require('socket')

local URI, RATE, SECONDS, KIND, SENDERS = arg[1], tonumber(arg[2]), tonumber(arg[3]), arg[4], tonumber(arg[5])
local PORT = tonumber(URI:match(':(%d+)$'))
local BATCH = 64
local DATAGRAMS = 4096 -- different ones, sent again and again
local SIZE_MAX = 1472

ffi.cdef([[
    struct flood_address { uint16_t family; uint16_t port; uint32_t host; char zero[8]; };
    struct flood_iovec { void *base; size_t size; };
    struct flood_message {
        void *name; uint32_t name_size; struct flood_iovec *iov; size_t iov_size;
        void *control; size_t control_size; int flags, padding; unsigned sent;
    };
    int sendmmsg(int fd, struct flood_message *messages, unsigned count, int flags);
    uint16_t htons(uint16_t number);
    uint32_t htonl(uint32_t number);
]])

local random = math.random

local function stranger(number)
    return ('127.0.0.2:%d'):format(1 + number % 60000)
end

local function event(number)
    return {stranger(number), random(1, 5), random(1, 3), msgpack.NULL, 1}
end

local function ping(sender, dst, number)
    return msgpack.encode({sender, 'PING', {ts = number + 0ULL, src = sender, dst = dst}, {}})
end

--- A message of events, or a sync of records: as many as `make(1)`, `make(2)` and so on fit.
local function crowded(sender, kind, make)
    local items, size = {}, #sender + 20
    repeat
        local item = msgpack.encode(make(#items + 1))
        table.insert(items, item)
        size = size + #item
    until size > SIZE_MAX
    table.remove(items)
    local count = #items
    local list = ('\xdc%c%c'):format(math.floor(count / 256), count % 256) .. table.concat(items)
    local head = '\x94' .. msgpack.encode(sender) .. msgpack.encode(kind)
    return kind == 'LEAVE' and head .. '\xc0' .. list or head .. list .. '\x90'
end

local function nils(n)
    local sender = stranger(n)
    local head = '\x94' .. msgpack.encode(sender) .. msgpack.encode('LEAVE') .. '\xc0\x91\x94' .. msgpack.encode(URI)
    local count = SIZE_MAX - #head - 5
    return head .. ('\1\1\xdc%c%c'):format(math.floor(count / 256), count % 256) .. ('\xc0'):rep(count)
end

--- By its trailer it is from a native peer, and no bucket is as it is here.
local function comparison(n)
    local sums = digest.sha512(tostring(n)):rep(8):sub(1, 256)
    return msgpack.encode({stranger(n), 'LEAVE', msgpack.NULL, {}}) .. '\x83\0\1\1' .. msgpack.encode(n) ..
        '\3\xc5\1\0' .. sums
end

local mix = {
    function(n) return ping(stranger(n), URI, n) end,
    function(n) return ping(stranger(n), stranger(n + 1), n) end, -- an errand
    function(n) return ping(('name-%d.invalid:%d'):format(n, 1 + n % 60000), URI, n) end, -- to be resolved
    function(n) return msgpack.encode({stranger(n), 'SYNC_REQ', {}, {}}) end,
    function(n) -- invented members
        local events = {}
        for i = 1, 40 do
            events[i] = event(n * 40 + i)
        end
        return msgpack.encode({stranger(n), 'LEAVE', msgpack.NULL, events})
    end,
    function(n) return ping(stranger(n), URI, n):sub(1, random(1, 30)) end, -- truncated
    function() return ('\x93'):rep(random(1, 1400)) end, -- nested without end
    function() return ('x'):rep(9000) end, -- oversized
}

local kinds = {
    mix = function(n) return mix[n % #mix + 1](n) end,
    dense = function(n)
        return crowded(stranger(n), 'LEAVE', function(i)
            return {stranger(n * 70 + i), random(1, 5), random(1, 200), msgpack.NULL}
        end)
    end,
    refute = function(n)
        return crowded(stranger(n), n % 2 == 0 and 'LEAVE' or 'SYNC_ACK', function(i)
            return {URI, 3, n * 100 + i, msgpack.NULL}
        end)
    end,
    nils = nils,
    table = function(n)
        return n % 2 == 0 and comparison(n) or crowded(stranger(n), 'SYNC_REQ', function(i)
            return {stranger(n * 70 + i), 3, random(1, 200), msgpack.NULL}
        end)
    end,
}

local buffers = {} -- luacheck: ignore 241 (keeps them from being collected)
local messages = ffi.new('struct flood_message[?]', DATAGRAMS)
local iovecs = ffi.new('struct flood_iovec[?]', DATAGRAMS)
local address = ffi.new('struct flood_address')
address.family, address.port, address.host = 2, ffi.C.htons(PORT), ffi.C.htonl(0x7f000001)
for i = 0, DATAGRAMS - 1 do
    local datagram = kinds[KIND](i)
    buffers[i] = datagram
    iovecs[i].base, iovecs[i].size = ffi.cast('char *', datagram), #datagram
    messages[i].name, messages[i].name_size = address, ffi.sizeof(address)
    messages[i].iov, messages[i].iov_size = iovecs + i, 1
end

local sockets, senders = {}, {} -- luacheck: ignore 241 (keeps them from being closed)
for i = 1, math.max(1, SENDERS) do
    local sender = socket('AF_INET', 'SOCK_DGRAM', 'udp')
    assert(sender:bind('127.0.0.2', 0))
    sockets[i], senders[i] = sender, sender:fd()
    if SENDERS > 0 then
        local uri = ('127.0.0.2:%d'):format(sender:name().port)
        sender:sendto('127.0.0.1', PORT, ping(uri, URI, i))
        assert(sender:readable(5), 'it answers')
    end
end

local started, sent, taken = clock.monotonic(), 0, 0
while clock.monotonic() - started < SECONDS do
    local due = (clock.monotonic() - started) * RATE
    while sent < due do
        local fd = senders[sent / BATCH % #senders + 1]
        -- What the system refuses is lost, like what it drops.
        taken = taken + math.max(0, ffi.C.sendmmsg(fd, messages + sent % DATAGRAMS, BATCH, 0))
        sent = sent + BATCH
    end
    fiber.sleep(0.0005)
end
print(taken)
os.exit(0)
