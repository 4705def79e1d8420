--- The view: the member table, and which of two statements about a member to believe.

local fiber = require('fiber')

local View = {}
View.__index = View

function View.new()
    return setmetatable({by_uri = {}}, View)
end

--- Whether `claim` beats `held`. Payload, ttl and time take no part.
function View.supersedes(claim, held)
    if held == nil or claim.incarnation > held.incarnation then
        return true
    end
    return claim.incarnation == held.incarnation and claim.status > held.status
end

function View:get(uri)
    return self.by_uri[uri]
end

function View:pairs()
    return pairs(self.by_uri)
end

function View:count()
    local count = 0
    for _ in pairs(self.by_uri) do
        count = count + 1
    end
    return count
end

--- Stores what `event` says. A payload that it does not bring is kept, and so is the clock delta.
function View:set(event)
    local old = self.by_uri[event.uri] or {}
    self.by_uri[event.uri] = {
        status = event.status,
        incarnation = event.incarnation,
        payload = event.payload or old.payload,
        timestamp = fiber.time64(),
        clock_delta = old.clock_delta,
    }
end

function View:remove(uri)
    self.by_uri[uri] = nil
end

function View:clear()
    self.by_uri = {}
end

local function shuffle(list)
    for i = #list, 2, -1 do
        local j = math.random(i)
        list[i], list[j] = list[j], list[i]
    end
    return list
end

--- The uris of the members for which `accepts(uri, member)` holds, in random order.
function View:shuffled(accepts)
    local uris = {}
    for uri, member in pairs(self.by_uri) do
        if accepts(uri, member) then
            table.insert(uris, uri)
        end
    end
    return shuffle(uris)
end

return View
