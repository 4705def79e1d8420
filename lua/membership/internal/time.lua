--- What Lua programs see as the time: `fiber.time64()`, which a program may replace, as tests do.

local clock = require('clock')
local fiber = require('fiber')

-- As it was when this file was loaded: it shows for how long the event loop has stood still.
local loop_time = fiber.time

local time = {}

--- Reads the clock.
---@return number|nil µs; nil if a function in its place does not tell the time
---@return number for how many seconds this clock has stood still
function time.read()
    local ok, shown = pcall(fiber.time64)
    shown = ok and tonumber(shown) or 0
    return shown > 0 and shown or nil, math.max(0, clock.time() - loop_time())
end

return time
