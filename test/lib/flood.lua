--- Sends hostile datagrams to one instance, as many a second as wanted: a program of its own.
-- usage: tarantool test/lib/flood.lua PORT DATAGRAMS_PER_SECOND SECONDS
-- Prints how many were sent. To loopback only.

local clock = require('clock')
local ffi = require('ffi')
local fiber = require('fiber')
local msgpack = require('msgpack')

local PORT, RATE, SECONDS = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3])
local BATCH = 64
local DATAGRAMS = 4096 -- different ones, sent again and again

ffi.cdef([[
    struct flood_address { uint16_t family; uint16_t port; uint32_t host; char zero[8]; };
    struct flood_iovec { void *base; size_t size; };
    struct flood_message {
        void *name; uint32_t name_size; struct flood_iovec *iov; size_t iov_size;
        void *control; size_t control_size; int flags, padding; unsigned sent;
    };
    int socket(int domain, int type, int protocol);
    int sendmmsg(int fd, struct flood_message *messages, unsigned count, int flags);
    uint16_t htons(uint16_t number);
    uint32_t htonl(uint32_t number);
]])

local own = ('127.0.0.1:%d'):format(PORT)
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

local kinds = {
    function(n) return ping(stranger(n), own, n) end,
    function(n) return ping(stranger(n), stranger(n + 1), n) end, -- an errand
    function(n) return ping(('name-%d.invalid:%d'):format(n, 1 + n % 60000), own, n) end, -- to be resolved
    function(n) return msgpack.encode({stranger(n), 'SYNC_REQ', {}, {}}) end,
    function(n) -- invented members
        local events = {}
        for i = 1, 40 do
            events[i] = event(n * 40 + i)
        end
        return msgpack.encode({stranger(n), 'LEAVE', msgpack.NULL, events})
    end,
    function(n) return ping(stranger(n), own, n):sub(1, random(1, 30)) end, -- truncated
    function() return ('\x93'):rep(random(1, 1400)) end, -- nested without end
    function() return ('x'):rep(9000) end, -- oversized
}

local buffers = {} -- luacheck: ignore 241 (keeps them from being collected)
local messages = ffi.new('struct flood_message[?]', DATAGRAMS)
local iovecs = ffi.new('struct flood_iovec[?]', DATAGRAMS)
local address = ffi.new('struct flood_address')
address.family, address.port, address.host = 2, ffi.C.htons(PORT), ffi.C.htonl(0x7f000001)
for i = 0, DATAGRAMS - 1 do
    local datagram = kinds[i % #kinds + 1](i)
    buffers[i] = datagram
    iovecs[i].base, iovecs[i].size = ffi.cast('char *', datagram), #datagram
    messages[i].name, messages[i].name_size = address, ffi.sizeof(address)
    messages[i].iov, messages[i].iov_size = iovecs + i, 1
end

local fd = ffi.C.socket(2, 2, 0)
local started, sent, taken = clock.monotonic(), 0, 0
while clock.monotonic() - started < SECONDS do
    local due = (clock.monotonic() - started) * RATE
    while sent < due do
        -- What the system refuses is lost, like what it drops.
        taken = taken + math.max(0, ffi.C.sendmmsg(fd, messages + sent % DATAGRAMS, BATCH, 0))
        sent = sent + BATCH
    end
    fiber.sleep(0.0005)
end
print(taken)
os.exit(0)
