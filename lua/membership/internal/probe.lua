--- Waiting for the outcome of a probe.

local clock = require('clock')

local core = require('membership.internal.native')
local time = require('membership.internal.time')
local notifier = require('membership.internal.notifier')

local probe = {}

-- What a probe can come to at once, without anything being wrong.
local OUTCOMES = {['parse error'] = true, ['ping was not sent'] = true}

local function await(ticket, timeout)
    -- Not fiber.clock(), which stands still while this thread computes.
    local deadline = clock.monotonic() + timeout
    while true do
        local outcome, err = core.outcome(ticket)
        local left = deadline - clock.monotonic()
        if outcome ~= 'waiting' or left <= 0 then
            return outcome, err
        end
        notifier.wait_for_outcome(left)
    end
end

--- Pings `uri` and waits.
---@param uri string
---@return string|nil why there was no answer; nil if there was one
---@return string|nil err what is to be raised instead
function probe.run(uri)
    local ticket, err = core.probe(uri, time.read())
    if ticket == nil then
        if OUTCOMES[err] then
            return err
        end
        return nil, err
    end
    local timeout, option_err = core.option('ACK_TIMEOUT_SECONDS')
    local ok, outcome, outcome_err = pcall(await, ticket, timeout or 0)
    core.forget_probe(ticket)
    if not ok then
        error(outcome, 0) -- this fiber was cancelled
    elseif outcome == 'answered' then
        return nil
    end
    local unsent = outcome == 'unsent' or core.is_resolving(uri)
    return unsent and 'ping was not sent' or 'no response', option_err or outcome_err
end

return probe
