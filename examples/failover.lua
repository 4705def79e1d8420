-- Follows a leader: of the members with one role that are not dead, the one whose URI comes first.
--
--     tarantool failover.lua localhost:3301
--     tarantool failover.lua localhost:3302 localhost:3301
--     tarantool failover.lua localhost:3303 localhost:3301
--
-- Kill the leader with `kill -9`: the others follow the next one as soon as it is dead to them.
--
-- THIS IS NO CONSENSUS. There are no votes, and nothing is fenced: for a moment instances follow different leaders, and
-- when the network splits, each side has a leader of its own for as long as that lasts. So a leader that was elected
-- like this may do what two may do at once, or what something with votes confirms: synchronous replication with
-- elections (box.cfg{election_mode = …}), or a lock in etcd. It may not be the one that writes because of this alone.

local fiber = require('fiber')
local log = require('log')
local membership = require('membership')

local ROLE = 'storage'
local USAGE = 'usage: tarantool failover.lua HOST:PORT [URI-OF-ANOTHER ...]'

-- A suspect may still refute. To fail over only when a member is dead or has left saves needless failovers; it costs
-- SUSPECT_TIMEOUT_SECONDS.
local CANDIDATES = {alive = true, suspect = true}

local host, port = (arg[1] or ''):match('^(.+):(%d+)$')
if host == nil then
    io.stderr:write(USAGE, '\n')
    os.exit(2)
end

local function find_leader()
    local leader
    for uri, member in membership.pairs() do
        local is_candidate = CANDIDATES[member.status] and member.payload.role == ROLE
        if is_candidate and (leader == nil or uri < leader) then
            leader = uri
        end
    end
    return leader
end

-- What your program does when it becomes the leader, ceases to be it, or is to follow another one.
local function follow(leader, former)
    local own = membership.myself().uri
    if leader == own then
        log.info('this instance leads')
    elseif former == own then
        log.info('this instance does not lead any more: the leader is %s', leader)
    else
        log.info('the leader is %s', leader)
    end
end

membership.init(host, tonumber(port))
for i = 2, #arg do
    assert(membership.add_member(arg[i]))
end
-- From now on it is a candidate: a real program says so when it is ready to lead.
membership.set_payload('role', ROLE)

-- A leader that ends is replaced at once, and not only when the others have found out.
box.ctl.on_shutdown(function()
    membership.leave()
end)

fiber.create(function()
    local version, leader = 0, nil
    while true do
        -- Waits for the next change. When Tarantool ends, it raises, and so ends the loop.
        version = membership.wait(version)
        local found = find_leader()
        if found ~= leader then
            follow(found, leader)
            leader = found
        end
    end
end)

box.cfg({log_level = 5, wal_mode = 'none'})
