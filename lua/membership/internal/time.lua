--- The time as Lua programs see it: `fiber.time64()`, which a program may replace, as tests do.

local clock = require('clock')
local fiber = require('fiber')

-- The function of Tarantool, even if a program replaces it later. It shows when the event loop last turned.
local loop_time = fiber.time

local time = {}

--- Reads the clock.
---@return number|nil µs; nil if the function in its place does not return a time
---@return number seconds for which the clock has stood still: it moves only when the event loop turns
function time.read()
    local ok, value = pcall(fiber.time64)
    local shown = ok and tonumber(value) or 0
    local still = math.max(0, clock.time() - loop_time())
    if shown > 0 then
        return shown, still
    end
    return nil, still
end

return time
