-- An instance that takes part in a group, and prints every change of every member, each with its reason.
--
--     tarantool init.lua localhost:3301                   # the first
--     tarantool init.lua localhost:3302 localhost:3301    # another one, which is told of the first
--
-- Kill one with `kill -9`, stop another with Ctrl-C, start it again, and see what the others print.

local fiber = require('fiber')
local membership = require('membership')

local USAGE = 'usage: tarantool init.lua HOST:PORT [URI-OF-ANOTHER ...]'

local host, port = (arg[1] or ''):match('^(.+):(%d+)$')
if host == nil then
    io.stderr:write(USAGE, '\n')
    os.exit(2)
end

membership.init(host, tonumber(port))
for i = 2, #arg do
    -- One is enough: it tells of all others. One that does not run yet is tried again.
    local ok, err = membership.add_member(arg[i])
    if not ok then
        io.stderr:write(('%s: %s\n'):format(arg[i], err))
        os.exit(2)
    end
end

-- The others know at once that this instance ends, and need not find out.
box.ctl.on_shutdown(function()
    membership.leave()
end)

io.stdout:setvbuf('line')

fiber.create(function()
    local version = 0
    while true do
        -- Waits for the next changes. When Tarantool ends, it raises, and so ends the loop.
        local reached, changes, lost = membership.history(version)
        version = reached
        if lost then
            print('some changes are missing: more came than are remembered')
        end
        for _, change in ipairs(changes) do
            print(('%s  %s'):format(os.date('%X', change.time), change.text))
        end
    end
end)

box.cfg({log_level = 5, wal_mode = 'none'})
