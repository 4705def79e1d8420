--- Log lines, on their way to the log of Tarantool.
--
-- A user may have put a function of his own in place of one of `log`, or of `options.log_debug`, and it may yield or
-- raise. So a fiber writes them that nobody waits for. It is there only as long as there are lines.

local fiber = require('fiber')
local log = require('log')

local core = require('membership.core')

local FIBER_NAME = 'membership.log'

-- As many as the core queues of its own, for which there is as much room again: what it has to say matters more.
local QUEUE_MAX = 1024

-- Outlives a reload of this file.
local state = core.lasting.lines
if state == nil then
    state = {
        queue = {}, -- of {level, format, arguments...}: from `first` to `last`
        first = 1,
        last = 0,
        left_out = 0,
        log_debug = nil,
        writing = false,
    }
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

local function push(line, room)
    if state.last - state.first + 1 >= room then
        state.left_out = state.left_out + 1
    else
        state.last = state.last + 1
        state.queue[state.last] = line
    end
end

local function pop()
    local line = state.queue[state.first]
    state.queue[state.first] = nil
    state.first = state.first + 1
    return line
end

--- Queues a line at debug level.
---@param line any[] a format and its arguments
function lines.debug(line)
    push({'debug', unpack(line)}, QUEUE_MAX)
end

local function is_something_left()
    return state.first <= state.last or state.left_out > 0
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

local function write_next()
    if state.first <= state.last then
        local line = pop()
        local level = line[1]
        write(level == 'debug' and lines.get_log_debug() or log[level], unpack(line, 2))
    else
        local left_out = state.left_out
        state.left_out = 0
        write(log.warn, 'Too much to log: %d lines were left out', left_out)
    end
end

-- A fiber that is killed leaves the rest to the next one.
local function write_all()
    fiber.name(FIBER_NAME)
    pcall(function()
        while is_something_left() do
            write_next()
            fiber.testcancel()
        end
    end)
    state.writing = false
end

--- Has everything written that is queued here, and what the core has to say.
---@param reports table of {level, text} pairs
---@param left_out number of those that the core had no room for
function lines.write(reports, left_out)
    for _, report in ipairs(reports) do
        push({report[1], '%s', report[2]}, 2 * QUEUE_MAX)
    end
    state.left_out = state.left_out + left_out
    if is_something_left() and not state.writing then
        state.writing = true
        fiber.create(write_all) -- runs at once, until somebody yields
    end
end

return lines
