--- Anti-entropy: a full exchange with a random member now and then.

local here = (...):match('^(.*%.)')
local options = require(here .. 'options')
local packing = require(here .. 'packing')

local entropy = {}

local function everybody()
    return true
end

--- Syncs once, with oneself as likely as with anybody else; returns how long to pause.
function entropy.step(peer)
    local period = peer.options.PROTOCOL_PERIOD_SECONDS
    local alive = peer.view:shuffled(function(_, member)
        return member.status == options.ALIVE
    end)
    if #alive == 0 then
        return period
    end
    local sent = peer:send(alive[1], function()
        return packing.sync(peer, 'SYNC_REQ', everybody)
    end)
    if sent and peer.synced:wait(period) then
        return peer.options.ANTI_ENTROPY_PERIOD_SECONDS
    end
    return period
end

return entropy
