--- The IPv4 interfaces that are up, for broadcast().

local ffi = require('ffi')
local errno = require('errno')

-- Names of our own, so that nobody's declarations of the same calls are in the way.
ffi.cdef([[
    struct old_peer_sockaddr_in {
        uint16_t family;
        uint16_t port;
        uint8_t address[4];
    };
    struct old_peer_ifaddrs {
        struct old_peer_ifaddrs *next;
        char *name;
        unsigned int flags;
        struct old_peer_sockaddr_in *address;
        struct old_peer_sockaddr_in *netmask;
        struct old_peer_sockaddr_in *broadcast;
        void *data;
    };
    int old_peer_getifaddrs(struct old_peer_ifaddrs **list) __asm__("getifaddrs");
    void old_peer_freeifaddrs(struct old_peer_ifaddrs *list) __asm__("freeifaddrs");
]])

local AF_INET = 2
local IFF_UP = 0x1
local IFF_BROADCAST = 0x2

local function dotted(sockaddr)
    local address = sockaddr.address
    return ('%d.%d.%d.%d'):format(address[0], address[1], address[2], address[3])
end

local function describe(interface)
    local has_broadcast = bit.band(interface.flags, IFF_BROADCAST) ~= 0 and interface.broadcast ~= nil
    return {
        name = ffi.string(interface.name),
        inet4 = dotted(interface.address),
        bcast = has_broadcast and dotted(interface.broadcast) or nil,
    }
end

--- An array of {name =, inet4 =, bcast = or nil}; raises when the system refuses.
return function()
    local list = ffi.new('struct old_peer_ifaddrs *[1]')
    if ffi.C.old_peer_getifaddrs(list) ~= 0 then
        error(errno.strerror())
    end
    local found = {}
    local interface = list[0]
    while interface ~= nil do
        local is_up = bit.band(interface.flags, IFF_UP) ~= 0
        if is_up and interface.address ~= nil and interface.address.family == AF_INET then
            table.insert(found, describe(interface))
        end
        interface = interface.next
    end
    ffi.C.old_peer_freeifaddrs(list[0])
    return found
end
