--- Pinging a peer and waiting for the outcome.

local clock = require('clock')

local check = require('membership.internal.check')
local core = require('membership.internal.native')
local time = require('membership.internal.time')
local notifier = require('membership.internal.notifier')

local probe = {}

-- The errors of the native library that are outcomes, and are not raised.
local OUTCOMES = {['ping was not sent'] = true}

local function await(ping, timeout)
    -- Not fiber.clock(), which stands still while this thread computes.
    local deadline = clock.monotonic() + timeout
    while true do
        local outcome, err = core.outcome(ping)
        local left = deadline - clock.monotonic()
        if outcome ~= 'waiting' or left <= 0 then
            return outcome, err
        end
        notifier.wait_for_outcome(left)
    end
end

--- Pings a peer and waits up to `ACK_TIMEOUT_SECONDS` for the answer.
---@param uri string
---@return string|nil reason why there was no answer; nil if there was one
---@return string|nil err to be raised instead
function probe.run(uri)
    local ping, err = core.probe(uri, time.read())
    if ping == nil then
        if OUTCOMES[err] or check.REFUSALS[err] then
            return err
        end
        return nil, err
    end
    local timeout, option_err = core.option('ACK_TIMEOUT_SECONDS')
    local ok, outcome, outcome_err = pcall(await, ping, timeout or 0)
    core.forget_probe(ping)
    if not ok then
        error(outcome, 0) -- this fiber was cancelled
    elseif outcome == 'answered' then
        return nil
    end
    -- A name that is still being resolved may lead to a peer: only of one that does not resolve is it known that no
    -- ping was sent.
    local reason = outcome == 'unsent' and 'ping was not sent' or 'no response'
    if outcome == 'unsent' and core.leads_elsewhere(uri) then
        reason = 'its addresses are in none of ALLOWED_NETWORKS'
    end
    return reason, option_err or outcome_err
end

return probe
