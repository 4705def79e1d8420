--- The queue of log lines, and the fiber that writes them to the log of Tarantool.
--
-- If several threads of the process use the module, one of them writes: TX, unless it sends no heartbeats. So each line
-- is written once.
--
-- A program may replace the functions of `log`, and `options.log_debug`, by functions that yield or raise. So the
-- lines are left to this fiber, and no other waits for it. It runs only while there are lines.

local ffi = require('ffi')
local fiber = require('fiber')

local core = require('membership.internal.native')
local log = require('membership.internal.logger')

local FIBER_NAME = 'membership.log'

-- How many debug lines of the Lua files are queued at most, as many as the engine queues of its own. The engine's lines
-- matter more: they may fill twice as much.
local QUEUE_MAX = 1024

-- The levels of Tarantool's log, which its module `log` declares: that of all loggers, that of one, and that of the
-- flight recorder. What a version lacks is nil.
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
        debug_left_out = 0, -- counted apart: they are nothing that operators rely on
        log_debug = nil,
        writing = false,
        writes_log = not core.is_log_written(), -- whether it is for this thread to do so
    }
    core.persistent.log_writer = state
end

local log_writer = {}

--- Returns the function that writes debug lines: that of the program, or else the present `log.debug`.
function log_writer.get_log_debug()
    return state.log_debug or log.debug
end

function log_writer.set_log_debug(log_debug)
    state.log_debug = log_debug
end

-- Raises if this version of Tarantool does not declare it.
local function level_of_all()
    return ffi.C.log_level
end

-- Raises before Tarantool 2.11.
local function level_of_logger()
    return ffi.C.say_get_module_log_level(log.name)
end

-- Raises before Tarantool 2.11.
local function level_of_flight_recorder()
    return ffi.C.log_level_flightrec
end

--- Whether debug lines would be written. Tarantool's `log.debug` drops them below its level. A function of a program
-- always gets them.
function log_writer.wants_debug()
    local log_debug = log_writer.get_log_debug()
    local is_default = log_debug == log.debug and type(log_debug) == 'function'
    if not is_default or debug.getinfo(log_debug, 'S').source ~= '@builtin/log.lua' then
        return true
    end
    local ok, level = pcall(log.name ~= nil and level_of_logger or level_of_all)
    local is_recorded, recorded = pcall(level_of_flight_recorder)
    return not ok or level >= S_DEBUG or is_recorded and recorded >= S_DEBUG
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
    if state.writes_log and log_writer.wants_debug() and not push(line, room) then
        state.debug_left_out = state.debug_left_out + 1
    end
end

--- Queues a line at debug level, unless it would be dropped.
---@param line any[] a format and its arguments
function log_writer.debug(line)
    push_debug({'debug', unpack(line)}, QUEUE_MAX)
end

local function is_something_left()
    return state.first <= state.last or state.left_out > 0 or state.debug_left_out > 0
end

-- The log names the file and line of its caller, which must not be pcall.
local function call(log_line, ...)
    log_line(...)
end

-- Logs what a function of a program raises. If that fails, too, there is nothing left to do.
local function write(log_line, ...)
    local ok, err = pcall(call, log_line, ...)
    if not ok then
        pcall(call, log.error, 'Could not write a log line: %s', tostring(err))
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

-- A fiber that is cancelled leaves the rest to the next one.
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

--- Sets whether it is for this thread to write the log.
function log_writer.set_writes_log(writes_log)
    state.writes_log = writes_log
end

--- Queues the lines of the engine, and has all queued lines written.
---@param reports table of {level, text} pairs
---@param left_out number of those that the engine had no room for
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
        fiber.create(write_all) -- runs at once, until it yields
    end
end

return log_writer
