--- A peer that speaks the protocol of the Lua rock `membership` 2.5.3, defects included.
--
-- It stands for those instances of a cluster that still run the Lua rock. What a datagram makes the
-- rock log as an error is in `peer.errors`, what the rock cannot read is counted in `peer.broken`:
-- neither may ever happen in a group with us.
--
--     local peer = old_peer.new{host = 'localhost', port = 3301}
--     peer:init()
--     peer:add_member('localhost:3302')
--     peer:stop()
--
-- Any number of peers live in one process. The methods are the functions of the rock; its checks of
-- argument types are left out.

local fiber = require('fiber')
local socket = require('socket')
local uri_lib = require('uri')

local here = (...) .. '.'
local Acks = require(here .. 'acks')
local Journal = require(here .. 'journal')
local Resolver = require(here .. 'resolver')
local Rumours = require(here .. 'rumours')
local Seal = require(here .. 'seal')
local View = require(here .. 'view')
local entropy = require(here .. 'entropy')
local interfaces = require(here .. 'interfaces')
local options = require(here .. 'options')
local packing = require(here .. 'packing')
local probing = require(here .. 'probing')
local receiving = require(here .. 'receiving')
local wire = require(here .. 'wire')

local Peer = {}

-- What the journal shows under the peer's own name.
local OBSERVATIONS = {
    errors = true, broken = true, short = true, longest = true, log = true, history = true, trace = true,
}

local metatable = {
    __index = function(peer, name)
        return Peer[name] or OBSERVATIONS[name] and rawget(peer, 'journal')[name] or nil
    end,
}

local old_peer = {}

--- A peer that is not in any group yet.
-- @param config  `host` and `port`, for an init() that is given none; `key` and `options` to begin
--   with; `trace = true` to keep every datagram; `interfaces`, a function to use in the place of the
--   system's list in broadcast()
function old_peer.new(config)
    local peer = setmetatable({
        host = config.host or 'localhost',
        port = config.port,
        options = options.new(config.options),
        interfaces = config.interfaces or interfaces,
        view = View.new(),
        acks = Acks.new(),
        -- Woken by every SYNC_ACK.
        synced = fiber.cond(),
        -- Whom to ping before the round begins anew.
        round = {},
        -- Set of 'host:port' with which there is no connection; see cut().
        cuts = {},
        fibers = {},
        sock = nil,
        bound_port = nil,
        family = nil,
        advertise_uri = nil,
    }, metatable)
    peer.journal = Journal.new(peer.options, config.trace)
    peer.seal = Seal.new(peer.options)
    peer.seal:set_key(config.key)
    peer.resolver = Resolver.new(peer)
    peer.rumours = Rumours.new(peer)
    return peer
end

--- Runs `step` for ever in a fiber; `pause` turns what it returned and when it began into a pause.
local function loop(peer, name, step, pause)
    local function turn()
        local began = fiber.clock()
        local ok, result = xpcall(step, debug.traceback, peer)
        fiber.testcancel()
        if not ok then
            peer.journal:error(result)
        end
        fiber.sleep(pause(ok and result or nil, began))
    end
    local handle = fiber.new(function()
        while true do
            turn()
        end
    end)
    handle:name('old_peer.' .. name)
    table.insert(peer.fibers, handle)
end

local function start_fibers(peer)
    loop(peer, 'main', probing.step, function(_, began)
        return math.max(0, began + peer.options.PROTOCOL_PERIOD_SECONDS - fiber.clock())
    end)
    loop(peer, 'entropy', entropy.step, function(pause)
        return pause or peer.options.PROTOCOL_PERIOD_SECONDS
    end)
    loop(peer, 'handle', receiving.step, function()
        return 0
    end)
end

local function stop_fibers(peer)
    for _, handle in ipairs(peer.fibers) do
        if handle:status() ~= 'dead' then
            handle:cancel()
        end
    end
    peer.fibers = {}
end

--- Opens the new socket, and only then closes the old one.
local function bind(peer, host, port)
    local is_ipv6 = uri_lib.parse(('%s:%s'):format(host, port)).ipv6 ~= nil
    local family = is_ipv6 and 'AF_INET6' or 'AF_INET'
    local sock = socket(family, 'SOCK_DGRAM', 'udp')
    sock:setsockopt('SOL_SOCKET', 'SO_BROADCAST', true)
    if not sock:bind(is_ipv6 and '::' or '0.0.0.0', port) then
        local err = ('Socket bind error (%s/udp): %s'):format(port, sock:error())
        sock:close()
        peer.journal:error(err)
        error(err, 3)
    end
    sock:nonblock(true)
    stop_fibers(peer)
    if peer.sock ~= nil then
        peer.sock:close()
    end
    peer.sock, peer.bound_port, peer.family = sock, port, family
end

function Peer:init(host, port)
    host, port = host or self.host, port or self.port
    if self.sock == nil or self.bound_port ~= port then
        bind(self, host, port)
    end
    self.advertise_uri = ('%s:%s'):format(host, port)
    self.rumours:generate(self.advertise_uri, options.ALIVE, 1, {})
    stop_fibers(self)
    start_fibers(self)
    return true
end

local function forget_everything(self)
    self.sock:close()
    self.sock, self.bound_port, self.advertise_uri = nil, nil, nil
    self.view:clear()
    self.rumours:clear()
    self.round = {}
end

--- Sends what `compose()` makes to `uri`. False when `uri` cannot be resolved or sent to; then
-- nothing is composed, and no rumour counted down, unless it was the sending that failed.
function Peer:send(uri, compose)
    local address = self.resolver:resolve(uri)
    if address == nil then
        return false
    end
    return self:send_to(address, uri, compose())
end

--- Sends the message to an address. `uri` is for the trace.
function Peer:send_to(address, uri, message)
    if self:is_cut_from(address) then
        return true
    end
    local bytes = self.seal:encrypt(wire.encode(message))
    self.journal:datagram('out', uri, bytes, message)
    return self.sock:sendto(address.host, address.port, bytes) ~= nil
end

function Peer:send_gossip(uri, type_, data)
    return self:send(uri, function()
        return packing.gossip(self, uri, type_, data)
    end)
end

--- Sends the message to everybody alive but `but`.
local function send_to_alive(self, but, message)
    local recipients = self.view:shuffled(function(uri, member)
        return member.status == options.ALIVE and uri ~= but
    end)
    for _, uri in ipairs(recipients) do
        self:send(uri, function() return message end)
    end
end

function Peer:leave()
    if self.sock == nil then
        return false
    end
    stop_fibers(self)
    local me = self.advertise_uri
    local incarnation = self.view:get(me).incarnation
    send_to_alive(self, me, packing.leave(self, me, incarnation))
    forget_everything(self)
    return true
end

--- Ends like an instance that is killed: no word to anybody. Not in the rock.
function Peer:stop()
    if self.sock ~= nil then
        stop_fibers(self)
        forget_everything(self)
    end
end

--- Loses every datagram to and from the address 'host:port' until mend(). Not in the rock.
function Peer:cut(address)
    self.cuts[address] = true
end

function Peer:mend(address)
    self.cuts[address] = nil
end

function Peer:is_cut_from(address)
    return self.cuts[('%s:%d'):format(address.host, address.port)]
end

--- Says in the name of `uri` that it left. This very peer learns it from its own datagram.
function Peer:mark_left(uri)
    local member = self.view:get(uri)
    if self.sock == nil or member == nil or member.status == options.LEFT then
        return false
    end
    send_to_alive(self, uri, packing.leave(self, uri, member.incarnation))
    return true
end

local function member_info(uri, member)
    return {
        uri = uri,
        status = options.status_name(member.status),
        payload = member.payload or {},
        incarnation = member.incarnation,
        timestamp = member.timestamp,
        clock_delta = member.clock_delta,
    }
end

function Peer:members()
    local infos = {}
    for uri, member in self.view:pairs() do
        infos[uri] = member_info(uri, member)
    end
    return infos
end

function Peer:pairs()
    return pairs(self:members())
end

function Peer:get_member(uri)
    local member = self.view:get(uri)
    return member and member_info(uri, member)
end

function Peer:myself()
    return self:get_member(self.advertise_uri)
end

--- Pings. Only nil, never false, when that fails.
function Peer:probe_uri(uri)
    local target = Resolver.normalise(uri)
    if target == nil then
        return nil, 'parse error'
    end
    local answered, err = probing.ping_and_wait(self, target)
    if not answered then
        return nil, err
    end
    return true
end

function Peer:add_member(uri)
    local target = Resolver.normalise(uri)
    if target == nil then
        return nil, 'parse error'
    end
    local member = self.view:get(target)
    if member == nil then
        self.rumours:generate(target, options.ALIVE, 1)
    elseif member.status == options.LEFT then
        self.rumours:generate(target, options.ALIVE, member.incarnation + 1)
    end
    return true
end

function Peer:set_payload(key, value)
    local myself = self.view:get(self.advertise_uri)
    local payload = myself.payload or {}
    if payload[key] ~= value then
        payload[key] = value
        self.rumours:generate(self.advertise_uri, myself.status, myself.incarnation + 1, payload)
    end
    return true
end

function Peer:remove_member(uri)
    self.view:remove(uri)
    self.resolver:forget(uri)
end

function Peer:set_allowed_members(uris)
    self.rumours:clear()
    self.round = {}
    self.rumours:set_allowed(uris)
    if #uris == 0 then
        return
    end
    for uri in self:pairs() do
        if not self.rumours.allowed[uri] then
            self:remove_member(uri)
        end
    end
end

local function broadcast_to(self, host, port)
    local me = self.advertise_uri
    local data = {ts = fiber.time64(), src = me, dst = me}
    local address = {host = host, port = port}
    local uri = ('%s:%s'):format(host, port)
    if self:send_to(address, uri, packing.gossip(self, uri, 'PING', data)) then
        self.journal:info('Membership BROADCAST sent to %s', uri)
    end
end

function Peer:broadcast(port)
    local ok, found = pcall(self.interfaces)
    if not ok then
        self.journal:warn('Membership BROADCAST impossible: %s', found)
        return false
    elseif #found == 0 then
        self.journal:warn('Membership BROADCAST not sent: No suitable ifaddrs found')
        return false
    end
    for _, interface in ipairs(found) do
        broadcast_to(self, interface.bcast or interface.inet4, port)
    end
    return true
end

function Peer:get_encryption_key()
    return self.seal.key
end

function Peer:set_encryption_key(key)
    self.seal:set_key(key)
    self.journal:info('Membership encryption %s', self.seal.key and 'enabled' or 'disabled')
end

function Peer:subscribe()
    local cond = fiber.cond()
    self.rumours.subscribers[cond] = true
    return cond
end

function Peer:unsubscribe(cond)
    self.rumours.subscribers[cond] = nil
end

return old_peer
