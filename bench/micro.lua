--- What calls cost that programs make all the time, with so many members: prints µs a call, as JSON.
-- usage: tarantool micro.lua MEMBERS

require('table.clear') -- as in instance.lua

local clock = require('clock')
local json = require('json')
local log = require('log')

local membership = require('membership')
local events = require('membership.events')

-- From Tarantool 2.11 on the module has a logger of its own.
local logger = log.new and log.new('membership') or log
logger.info = function() end

local HOST, PORT = '127.0.0.1', 39901
local FIRST_PORT = 40000 -- no process has these
local ALIVE = 1
local BATCHES = 5

local members = tonumber(arg[1])

--- The best of some batches: whatever else runs on the machine makes calls slower and never faster.
local function microseconds(calls, call)
    for _ = 1, math.max(1, calls / 10) do
        call()
    end
    collectgarbage()
    local best = math.huge
    for _ = 1, BATCHES do
        local started = clock.monotonic()
        for _ = 1, calls do
            call()
        end
        best = math.min(best, (clock.monotonic() - started) / calls)
    end
    return best * 1e6
end

membership.init(HOST, PORT)
for i = 1, members do
    local payload = {uuid = '2d00c500-2570-4019-bfcc-ab25e5096b73', alias = 's' .. i}
    events.generate(('%s:%d'):format(HOST, FIRST_PORT + i), ALIVE, i, payload)
end

local someone = ('%s:%d'):format(HOST, FIRST_PORT + math.ceil(members / 2))
local count = 0

local result = {
    members_call = microseconds(50, membership.members),
    get_member_call = microseconds(50000, function() return membership.get_member(someone) end),
    myself_call = microseconds(50000, membership.myself),
    set_payload_call = microseconds(500, function()
        count = count + 1
        membership.set_payload('count', count)
    end),
    probe_call = microseconds(20, function() assert(membership.probe_uri(('%s:%d'):format(HOST, PORT))) end),
}
io.stdout:write(json.encode(result), '\n')
io.stdout:flush()
os.exit(0)
