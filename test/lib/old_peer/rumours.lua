--- The rumour queue, and how a peer comes to believe an event.

local options = require((...):match('^(.*%.)') .. 'options')

local Rumours = {}
Rumours.__index = Rumours

--- `peer` lends its view, resolver, journal and advertise_uri.
function Rumours.new(peer)
    return setmetatable({
        peer = peer,
        -- At most one event per uri.
        queue = {},
        -- Fiber conds, held weakly.
        subscribers = setmetatable({}, {__mode = 'k'}),
        -- Set of uris; empty means that everybody is allowed.
        allowed = {},
    }, Rumours)
end

function Rumours:get(uri)
    return self.queue[uri]
end

function Rumours:pairs()
    return pairs(self.queue)
end

function Rumours:clear()
    self.queue = {}
end

function Rumours:set_allowed(uris)
    self.allowed = {}
    for _, uri in ipairs(uris) do
        self.allowed[uri] = true
    end
end

local REMOVED_WHEN_NOT_ALLOWED = {
    [options.SUSPECT] = true,
    [options.DEAD] = true,
    [options.LEFT] = true,
}

local function is_unwanted(self, event)
    return next(self.allowed) ~= nil
        and not self.allowed[event.uri]
        and REMOVED_WHEN_NOT_ALLOWED[event.status]
end

local function store(self, event)
    local peer = self.peer
    if is_unwanted(self, event) then
        peer.journal:debug('Ignoring member %s with status %s',
            event.uri, options.status_name(event.status))
        peer.view:remove(event.uri)
        peer.resolver:forget(event.uri)
    else
        peer.view:set(event)
    end
end

--- Believes the event if it beats what is known: queues it, stores it, wakes subscribers.
function Rumours:apply(event)
    local view, journal = self.peer.view, self.peer.journal
    local held = view:get(event.uri)
    if not view.supersedes(event, held) then
        return
    end
    self.queue[event.uri] = event
    journal:debug('%s: %s (inc. %s) is %s', held == nil and 'Adding' or 'Rumor',
        event.uri, event.incarnation, options.status_name(event.status))
    store(self, event)
    journal:accepted(event)
    for cond in pairs(self.subscribers) do
        cond:broadcast()
    end
end

--- Starts a rumour of our own.
function Rumours:generate(uri, status, incarnation, payload)
    if type(uri) ~= 'string' then
        error(('bad argument #1 to generate (string expected, got %s)'):format(type(uri)))
    end
    local view = self.peer.view
    local held = view:get(uri)
    self:apply({
        uri = uri,
        status = status,
        incarnation = incarnation or held and held.incarnation or 1,
        payload = payload,
        -- -inf while there is no member at all: the first rumour of every fresh peer.
        ttl = math.floor(math.log(view:count()) / math.log(2)) + 2,
    })
end

--- Turns a rumour about myself that would do harm into my answer to it.
local function refute(self, event)
    local mine = self.peer.view:get(event.uri)
    local is_not_alive = event.status ~= options.ALIVE and event.incarnation >= mine.incarnation
    if is_not_alive then
        self.peer.journal:info('Refuting the rumor that we are %s', options.status_name(event.status))
    end
    if is_not_alive or event.incarnation > mine.incarnation then
        event.status = options.ALIVE
        event.incarnation = event.incarnation + 1
        event.payload = mine.payload
        event.ttl = self.peer.view:count()
    end
end

--- Takes an event that a datagram brought.
function Rumours:handle(event)
    if event.uri == self.peer.advertise_uri then
        refute(self, event)
    end
    self:apply(event)
end

return Rumours
