--- One member of a group that is measured: a Tarantool without box.cfg that uses membership's public functions only.
-- usage: tarantool instance.lua HOST PORT member|bystander; a bystander has the module and takes no part
-- Reads commands from stdin, a line each, and writes what it sees to stdout, a JSON object a line. Ends when stdin is
-- closed, so it cannot outlive the process that started it.
--
-- It does nothing by itself: reading the table more often than it changes would be measured, too.

package.path = arg[0]:gsub('[^/]*$', '?.lua;') .. package.path
require('table.clear') -- membership 2.x needs it, and Tarantool 2.6.0 does not load it by itself

local clock = require('clock')
local fiber = require('fiber')
local json = require('json')
local stdin = require('stdin')

local membership = require('membership')
local options = require('membership.options')

local MARK_SHOWN_MAX = 24 -- bytes: of a large payload, its size tells enough

local HOST, PORT, ROLE = arg[1], tonumber(arg[2]), arg[3]

-- All processes of a machine share this clock, and so does the program that measures.
local function report(message)
    message.at = clock.monotonic()
    io.stdout:write(json.encode(message), '\n')
    io.stdout:flush()
end

local known = {}

--- Reports the members with another status or payload than before, all in one line.
local function look()
    local changes = {}
    for uri, member in membership.pairs() do
        local before = known[uri]
        local mark = member.payload.mark or ''
        if before == nil or before.status ~= member.status or before.mark ~= mark then
            known[uri] = {status = member.status, mark = mark}
            table.insert(changes, {uri, member.status, mark:sub(1, MARK_SHOWN_MAX), #mark})
        end
    end
    if changes[1] ~= nil then
        report({event = 'changes', changes = changes})
    end
end

local changed = membership.subscribe()
local timeout -- nil: until something changes

local function watch()
    while true do
        look()
        if timeout == nil then
            changed:wait()
        else
            changed:wait(timeout)
        end
    end
end

local function spin(seconds)
    local started = clock.monotonic()
    repeat until clock.monotonic() - started >= seconds
end

local commands = {}

function commands.join(uri)
    membership.add_member(uri)
end

--- `NAME NUMBER`. Membership 2.x has not all of them.
function commands.option(assignment)
    local name, number = assignment:match('^(%S+) (%S+)$')
    if options[name] ~= nil then
        options[name] = tonumber(number)
    end
end

function commands.mark(mark)
    membership.set_payload('mark', mark)
end

--- Looks at the table at least so often too, so that what lasts for a moment is seen.
function commands.look_every(seconds)
    timeout = tonumber(seconds)
    changed:broadcast()
end

function commands.spin(seconds)
    spin(tonumber(seconds))
    report({event = 'spun'})
end

local function obey(line)
    local name, argument = line:match('^(%S+) ?(.*)$')
    commands[name](argument)
end

if ROLE == 'member' then
    membership.init(HOST, PORT)
end
fiber.create(watch)
fiber.create(stdin.serve, obey)
report({event = 'up', source = debug.getinfo(membership.init, 'S').source})
