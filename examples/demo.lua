#!/usr/bin/env tarantool
--- Five real Tarantool instances, and what membership does for them, as it happens.
-- usage: tarantool examples/demo.lua [SCENARIO], from the root of the project, once `make rock` was run.
-- Redrawn in place on a terminal; a plain log elsewhere, and where NO_COLOR or CI is set.
-- Exits with 0 if all happened in time, 1 if not, 3 if this machine cannot show it, 130 if it was interrupted.

local ffi = require('ffi')

package.path = arg[0]:gsub('[^/]*$', '') .. '?.lua;' .. package.path

local Cluster = require('demo.cluster')
local Screen = require('demo.screen')
local Timeline = require('demo.timeline')
local network = require('demo.network')
local story = require('demo.story')

local SCENARIOS = {'tour', 'partition', 'loss', 'stall', 'rotate'}
local EXIT_FAILED, EXIT_USAGE, EXIT_IMPOSSIBLE, EXIT_INTERRUPTED = 1, 2, 3, 130
local STDOUT = 1

ffi.cdef([[
    void _exit(int status);
    int isatty(int fd);
]])

local function find(name)
    for _, known in ipairs(SCENARIOS) do
        if known == name then
            return require('demo.' .. name)
        end
    end
    io.stderr:write('usage: make demo SCENARIO=NAME, or tarantool examples/demo.lua NAME; NAME is one of\n')
    for _, known in ipairs(SCENARIOS) do
        io.stderr:write(('  %-10s %s\n'):format(known, require('demo.' .. known).about))
    end
    os.exit(EXIT_USAGE)
end

local function new_display()
    local terminal = ffi.C.isatty(STDOUT) == 1 and os.getenv('TERM') ~= 'dumb'
    local live = terminal and os.getenv('NO_COLOR') == nil and os.getenv('CI') == nil
    return live and Screen.new(io.stdout) or Timeline.new(io.stdout, false)
end

--- What to tell of an error: a plain sentence for what the demo expected, a traceback for a mistake in the demo.
local function explain(err)
    if type(err) == 'table' and err.failure ~= nil then
        return err.failure
    end
    return debug.traceback(tostring(err), 2)
end

local function main(name)
    name = name or SCENARIOS[1]
    local scenario = find(name)
    local installed, err = pcall(require, 'membership')
    if not installed then
        io.stderr:write('demo: membership is not installed here, run `make rock` first: ', tostring(err), '\n')
        os.exit(EXIT_FAILED)
    end
    local why_not = scenario.breaks_network and network.enter()
    if why_not then
        io.stderr:write('demo: this scenario cannot be shown here: ', why_not, '\n')
        os.exit(EXIT_IMPOSSIBLE)
    end

    local cluster = Cluster.new(story.NAMES)
    local display = new_display()

    -- Ctrl-C or SIGTERM. At this point Tarantool 2.6 deadlocks in os.exit().
    local function interrupted()
        display:finish()
        cluster:stop()
        display:interrupted()
        ffi.C._exit(EXIT_INTERRUPTED)
    end
    box.ctl.on_shutdown(interrupted)
    display:begin(name, scenario, cluster)
    local ok, failure = xpcall(scenario.run, explain, cluster, display)
    box.ctl.on_shutdown(nil, interrupted)

    display:finish()
    cluster:stop()
    display:summary(not ok and failure or nil)
    os.exit(ok and 0 or EXIT_FAILED)
end

main(...)
