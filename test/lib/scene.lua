--- Old peers and bare sockets in the process of the test itself; they end with the cluster.

local fiber = require('fiber')
local fio = require('fio')
local msgpack = require('msgpack')
local old_peer = require('old_peer')
local Seal = require('old_peer.seal')
local wait = require('wait')
local wire = require('old_peer.wire')

local scene = {}

local LIB = fio.abspath(debug.getinfo(1, 'S').source:match('^@(.*/)'))

--- For `cluster:member{program = ...}`: an instance with the old peer instead of the module.
scene.OLD_PEER = {arg[-1], fio.pathjoin(LIB, 'old_peer_main.lua')}

--- As quick as the members of a cluster are by default, which see.
scene.QUICK = {
    PROTOCOL_PERIOD_SECONDS = 0.2,
    ACK_TIMEOUT_SECONDS = 0.1,
    ANTI_ENTROPY_PERIOD_SECONDS = 1,
    SUSPECT_TIMEOUT_SECONDS = 1,
}

local function end_with(cluster, stop)
    table.insert(cluster.sockets, {close = stop})
end

--- What a process has as `node.membership`: `peer.membership.add_member(uri)` is `peer:add_member(uri)`.
local function membership_of(peer)
    return setmetatable({}, {__index = function(_, name)
        return function(...)
            return peer[name](peer, ...)
        end
    end})
end

--- An old peer that has not called init() yet. `config` is as for old_peer.new; `options` are quick by
-- default. It has what an observer must have in a cluster, and is stopped with it.
function scene.peer(cluster, config)
    config = config or {}
    local peer = old_peer.new{
        host = config.host or '127.0.0.1',
        port = config.port or cluster:port(),
        key = config.key,
        trace = config.trace,
        interfaces = config.interfaces,
        options = config.options or scene.QUICK,
    }
    peer.uri = ('%s:%d'):format(peer.host, peer.port)
    peer.membership = membership_of(peer)
    peer.status_of = function(_, uri)
        local member = peer:get_member(uri)
        return member and member.status
    end
    end_with(cluster, function() peer:stop() end)
    return peer
end

--- The same as a member of a group of its own.
function scene.old_member(cluster, config)
    local peer = scene.peer(cluster, config)
    peer:init()
    return peer
end

local Listener = {}
Listener.__index = Listener

--- A socket that keeps what it receives and says what it is told to. While `answers` is true it also
-- answers each PING for itself, without events.
-- @param uri  what it calls itself; its host is a literal address
function scene.listener(cluster, uri, key)
    local host, port = uri:match('^%[?(.-)%]?:(%d+)$')
    local listener = setmetatable({
        uri = uri,
        host = host,
        sock = assert(cluster:udp(host, tonumber(port))),
        seal = Seal.new({ENCRYPTION_INIT = 'init-key-16-byte'}),
        -- The datagrams, decrypted, as they came. What it cannot decrypt is left out.
        inbox = {},
        -- All of them, as they came.
        raw = {},
        answers = false,
    }, Listener)
    listener.seal:set_key(key)
    local reader = fiber.new(listener.read, listener)
    reader:name('listener')
    end_with(cluster, function() reader:cancel() end)
    return listener
end

function Listener:read()
    while true do
        fiber.testcancel()
        if self.sock:readable(1) then
            local bytes = self.sock:recvfrom(65536)
            table.insert(self.raw, bytes)
            local ok, plain = pcall(self.seal.decrypt, self.seal, bytes)
            if ok then
                table.insert(self.inbox, plain)
                self:answer(wire.decode(plain))
            end
        end
    end
end

function Listener:answer(message)
    local sender, type_, data = unpack(message, 1, 3)
    if self.answers and type_ == 'PING' and data.dst == self.uri then
        data.ats = fiber.time64()
        self:send(sender, 'ACK', data, {})
    end
end

--- Sends a message in its own name.
function Listener:send(to, type_, data, events)
    self:send_bytes(to, msgpack.encode({self.uri, type_, data or msgpack.NULL, events}))
end

--- Sends a datagram, which is encrypted on the way.
function Listener:send_bytes(to, plain)
    local port = tonumber(to:match(':(%d+)$'))
    assert(self.sock:sendto(self.host, port, self.seal:encrypt(plain)))
end

--- Waits until `accepts(datagram)` is true of one received from now on, or of one received since the
-- inbox had `since` of them; returns what it returned.
function Listener:wait(what, accepts, since)
    local checked = since or #self.inbox
    return wait.until_true(what, function()
        while checked < #self.inbox do
            checked = checked + 1
            local accepted = accepts(self.inbox[checked])
            if accepted then
                return accepted
            end
        end
        return false, ('%d other datagrams came'):format(#self.inbox)
    end)
end

return scene
