--- From a uri to an address, and back from an address to a member.

local socket = require('socket')
local uri_lib = require('uri')
local options = require((...):match('^(.*%.)') .. 'options')

local Resolver = {}
Resolver.__index = Resolver

-- In the place of an address: the lookup failed, and that has been said.
local WARNED = 'warned'

function Resolver.new(peer)
    return setmetatable({peer = peer, cache = {}}, Resolver)
end

--- host[:service] of any uri that Tarantool can parse, or nil.
function Resolver.normalise(uri)
    local parts = uri_lib.parse(uri)
    if parts == nil then
        return nil
    end
    -- A lone port parses, and comes out as an empty uri.
    local host = parts.ipv6 and ('[%s]'):format(parts.ipv6) or parts.host or ''
    if host ~= '' and parts.service ~= nil then
        return host .. ':' .. parts.service
    end
    return host
end

local function fail(self, uri, text)
    if self.cache[uri] ~= WARNED then
        self.peer.journal:warn('%s (%s)', text, uri)
        self.cache[uri] = WARNED
    end
    return nil
end

local function look_up(self, uri)
    local parts = uri_lib.parse(uri)
    if parts == nil then
        return fail(self, uri, 'parse error')
    end
    local is_ipv6 = parts.ipv6 ~= nil or self.peer.family == 'AF_INET6'
    local found = socket.getaddrinfo(parts.host, parts.service, {
        family = is_ipv6 and 'AF_INET6' or 'AF_INET',
        type = 'SOCK_DGRAM',
    })
    if found == nil then
        return fail(self, uri, tostring(box.error.last()))
    elseif #found == 0 then
        return fail(self, uri, 'getaddrinfo: no address')
    end
    self.cache[uri] = {host = found[1].host, port = found[1].port}
    return self.cache[uri]
end

--- {host =, port =}, or nil. May yield. Only those who are alive are resolved from the cache.
function Resolver:resolve(uri)
    if type(uri) ~= 'string' then
        error(('bad argument #1 to resolve (string expected, got %s)'):format(type(uri)))
    end
    local cached = self.cache[uri]
    if type(cached) == 'table' then
        local member = self.peer.view:get(uri)
        if member ~= nil and member.status == options.ALIVE then
            return cached
        end
        self.cache[uri] = nil
    end
    return look_up(self, uri)
end

--- The uri that was resolved to this address, or nil.
function Resolver:uri_of(host, port)
    for uri, address in pairs(self.cache) do
        if address ~= WARNED and address.host == host and address.port == port then
            return uri
        end
    end
end

function Resolver:forget(uri)
    self.cache[uri] = nil
end

return Resolver
