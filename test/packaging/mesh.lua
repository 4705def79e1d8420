--- Two processes that load membership from where they run form a group; exits with 0 once both see it.
-- usage: tarantool mesh.lua, in the directory whose .rocks is to be tried

local fiber = require('fiber')
local popen = require('popen')
local socket = require('socket')

local membership = require('membership')

local HOST = '127.0.0.1'
local DEADLINE_SECONDS = 20

local function free_port()
    local held = assert(socket('AF_INET', 'SOCK_DGRAM', 'udp'))
    assert(held:bind(HOST, 0))
    local port = held:name().port
    held:close()
    return port
end

local function wait_for_two()
    local changed = membership.subscribe()
    local deadline = fiber.clock() + DEADLINE_SECONDS
    while true do
        local alive = 0
        for _, member in membership.pairs() do
            alive = alive + (member.status == 'alive' and 1 or 0)
        end
        if alive == 2 then
            return true
        end
        if fiber.clock() > deadline then
            return false
        end
        changed:wait(0.1)
    end
end

local seed = ...
local port = free_port()
membership.init(HOST, port)
if seed ~= nil then
    membership.add_member(seed)
    os.exit(wait_for_two() and 0 or 1)
end

local peer = assert(popen.new({arg[-1], arg[0], ('%s:%d'):format(HOST, port)}, {
    stdin = popen.opts.DEVNULL,
}))
local met = wait_for_two()
local status = peer:wait()
os.exit(met and status.exit_code == 0 and 0 or 1)
