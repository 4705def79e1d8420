--- Log lines, on their way to the log of Tarantool.
--
-- They are written by the fiber `membership.main`: a user may have put a function of his own in place of one of `log`,
-- or of `options.log_debug`, and it may yield or raise.

local log = require('log')

local core = require('membership.core')

-- As many as the core queues of its own.
local QUEUE_MAX = 1024

-- Outlives a reload of this file.
local state = core.lasting.lines
if state == nil then
    state = {queue = {}, left_out = 0, log_debug = nil}
    core.lasting.lines = state
end

local lines = {}

--- Where debug lines go: what the user has put there, else `log.debug`, whatever that is by now.
function lines.get_log_debug()
    return state.log_debug or log.debug
end

function lines.set_log_debug(log_debug)
    state.log_debug = log_debug
end

--- Queues a line at debug level.
---@param line any[] a format and its arguments
function lines.debug(line)
    if #state.queue >= QUEUE_MAX then
        state.left_out = state.left_out + 1
    else
        state.queue[#state.queue + 1] = line
    end
end

-- The log names the file and line that it is called from: not those of pcall.
local function say(log_line, ...)
    log_line(...)
end

-- What a user's function raises is for the log too; when that fails as well, nothing can be done about it.
local function write(log_line, ...)
    local ok, err = pcall(say, log_line, ...)
    if not ok then
        pcall(say, log.error, 'Could not write a log line: %s', tostring(err))
    end
end

--- Writes what is queued here, and what the core has to say.
---@param reports table of {level, text} pairs
---@param left_out number of those that the core had no room for
function lines.write(reports, left_out)
    local queue = state.queue
    left_out, state.queue, state.left_out = left_out + state.left_out, {}, 0
    for _, line in ipairs(queue) do
        write(lines.get_log_debug(), unpack(line))
    end
    for _, report in ipairs(reports) do
        local level, text = unpack(report)
        write(level == 'debug' and lines.get_log_debug() or log[level], '%s', text)
    end
    if left_out > 0 then
        write(log.warn, 'Too much to log: %d lines were left out', left_out)
    end
end

return lines
