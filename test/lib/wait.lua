--- Waiting for a condition, instead of sleeping and hoping.

local fiber = require('fiber')

local POLL_SECONDS = 0.02
local TIMEOUT_SECONDS = 20

--- Waits until `condition()` is true, and returns what it returned. It may return `false, detail` to say how far it is:
-- that goes into the error that is raised when the time is up.
local function until_true(what, condition, timeout)
    local deadline = fiber.clock() + (timeout or TIMEOUT_SECONDS)
    while true do
        local value, detail = condition()
        if value then
            return value
        end
        if fiber.clock() > deadline then
            error(('gave up waiting for %s%s'):format(what, detail and ': ' .. detail or ''), 0)
        end
        fiber.sleep(POLL_SECONDS)
    end
end

return {until_true = until_true}
