--- Log lines, on their way to the log of Tarantool.
--
-- A user may have put a function of his own in place of one of `log`, or of `options.log_debug`, and it may yield or
-- raise. So a fiber writes them that nobody waits for. It is there only as long as there are lines.

local ffi = require('ffi')
local fiber = require('fiber')
local log = require('log')

local core = require('membership.internal.native')

local FIBER_NAME = 'membership.log'

-- As many as the core queues of its own, for which there is as much room again: what it has to say matters more.
local QUEUE_MAX = 1024

-- Tarantool's own levels. The log declares `log_level` itself; should a version not have it, debug lines are wanted.
local S_DEBUG = 7
pcall(ffi.cdef, 'extern int log_level;')

-- Outlives a reload of this file.
local state = core.persistent.log_writer
if state == nil then
    state = {
        queue = {}, -- of {level, format, arguments...}: from `first` to `last`
        first = 1,
        last = 0,
        left_out = 0,
        debug_left_out = 0, -- of debug lines, apart: the log is not short of anything that operators rely on
        log_debug = nil,
        writing = false,
    }
    core.persistent.log_writer = state
end

local log_writer = {}

--- Where debug lines go: what the user has put there, else `log.debug`, whatever that is by now.
function log_writer.get_log_debug()
    return state.log_debug or log.debug
end

function log_writer.set_log_debug(log_debug)
    state.log_debug = log_debug
end

local function log_level()
    return ffi.C.log_level
end

--- Whether anything would come of debug lines. Tarantool's `log.debug` drops what is below the level of the log. Any
-- other function is there to be called.
function log_writer.wants_debug()
    local log_debug = log_writer.get_log_debug()
    local is_default = log_debug == log.debug and type(log_debug) == 'function'
    if not is_default or debug.getinfo(log_debug, 'S').source ~= '@builtin/log.lua' then
        return true
    end
    local ok, level = pcall(log_level)
    return not ok or level >= S_DEBUG
end

-- Returns false when there is no room.
local function push(line, room)
    if state.last - state.first + 1 >= room then
        return false
    end
    state.last = state.last + 1
    state.queue[state.last] = line
    return true
end

local function pop()
    local line = state.queue[state.first]
    state.queue[state.first] = nil
    state.first = state.first + 1
    return line
end

local function push_debug(line, room)
    if log_writer.wants_debug() and not push(line, room) then
        state.debug_left_out = state.debug_left_out + 1
    end
end

--- Queues a line at debug level, if anything would come of it.
---@param line any[] a format and its arguments
function log_writer.debug(line)
    push_debug({'debug', unpack(line)}, QUEUE_MAX)
end

local function is_something_left()
    return state.first <= state.last or state.left_out > 0 or state.debug_left_out > 0
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
        write(level == 'debug' and log_writer.get_log_debug() or log[level], unpack(line, 2))
    elseif state.left_out > 0 then
        local left_out = state.left_out
        state.left_out = 0
        write(log.warn, 'Too much to log: %d lines were left out', left_out)
    else
        local left_out = state.debug_left_out
        state.debug_left_out = 0
        write(log_writer.get_log_debug(), 'Too much to log: %d debug lines were left out', left_out)
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
function log_writer.write(reports, left_out)
    for _, report in ipairs(reports) do
        local line = {report[1], '%s', report[2]}
        if report[1] == 'debug' then
            push_debug(line, 2 * QUEUE_MAX)
        elseif not push(line, 2 * QUEUE_MAX) then
            state.left_out = state.left_out + 1
        end
    end
    state.left_out = state.left_out + left_out
    if is_something_left() and not state.writing then
        state.writing = true
        fiber.create(write_all) -- runs at once, until somebody yields
    end
end

return log_writer
