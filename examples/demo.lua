#!/usr/bin/env tarantool
--- Five real Tarantool instances, and what membership does for them, as it happens.
-- usage: tarantool examples/demo.lua [SCENARIO], from the root of the project, once `make rock` was run.
-- Exits with 0 if all happened in time, 1 if not, 130 if it was interrupted.

local ffi = require('ffi')

package.path = arg[0]:gsub('[^/]*$', '') .. '?.lua;' .. package.path

local Cluster = require('demo.cluster')
local Timeline = require('demo.timeline')

local SCENARIOS = {
    tour = require('demo.tour'),
}
local EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130

ffi.cdef('void _exit(int status);')

local function usage()
    local names = {}
    for name in pairs(SCENARIOS) do
        table.insert(names, name)
    end
    table.sort(names)
    io.stderr:write('usage: tarantool examples/demo.lua [', table.concat(names, '|'), ']\n')
    os.exit(EXIT_USAGE)
end

--- What to tell of an error: a plain sentence for what the demo expected, a traceback for a mistake in the demo.
local function explain(err)
    if type(err) == 'table' and err.failure ~= nil then
        return err.failure
    end
    return debug.traceback(tostring(err), 2)
end

local function main(name)
    local scenario = SCENARIOS[name or 'tour'] or usage()
    local installed, err = pcall(require, 'membership')
    if not installed then
        io.stderr:write('demo: membership is not installed here, run `make rock` first: ', tostring(err), '\n')
        os.exit(EXIT_FAILED)
    end

    local cluster = Cluster.new(scenario.instances)
    local timeline = Timeline.new(io.stdout)

    -- Ctrl-C or SIGTERM. At this point Tarantool 2.6 deadlocks in os.exit().
    local function interrupted()
        cluster:stop()
        timeline:interrupted()
        ffi.C._exit(EXIT_INTERRUPTED)
    end
    box.ctl.on_shutdown(interrupted)
    local ok, failure = xpcall(scenario.run, explain, cluster, timeline)
    box.ctl.on_shutdown(nil, interrupted)

    cluster:stop()
    timeline:summary(not ok and failure or nil)
    os.exit(ok and 0 or EXIT_FAILED)
end

main(...)
