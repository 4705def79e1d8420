-- Service discovery for routers, as of vshard: which replica sets there are, the master of each, and which of their
-- replicas answer. Storages publish in their payload what they are; the router keeps a table of it.
--
-- A storage, after its `init` and each time that its part changes:
--
--     membership.set_payload('storage', {replicaset = 'east', uri = 'localhost:3401', master = true})
--
-- A router that prints its table each time that it changes:
--
--     tarantool discovery.lua localhost:3300 localhost:3301
--
-- In a program of your own take what is between the lines, and give the table to your router: for vshard, as
-- `sharding` of `vshard.router.cfg`.
--
-- The table is what this instance sees: another router may see it some tenths of a second later. A master that is
-- called so here has published that, and answers; whether it may write is for the storages to decide.

local fiber = require('fiber')
local json = require('json')
local membership = require('membership')

------------------------------------------------------------------------------------------------------------------------

-- A suspect is still tried: it may refute.
local ANSWERS = {alive = true, suspect = true}

--- What a member publishes as a storage, or nil. Any member may publish anything: what is not as above is ignored.
local function read_storage(member)
    local storage = member and member.payload.storage
    if type(storage) ~= 'table' or type(storage.replicaset) ~= 'string' or type(storage.uri) ~= 'string' then
        return nil
    end
    return {
        replicaset = storage.replicaset,
        uri = storage.uri,
        is_master = storage.master == true,
        is_up = ANSWERS[member.status] == true,
    }
end

--- The routing table: by replica set its `master`, nil if there is none or more than one says that it is, and the
-- URIs of its `replicas` that answer, in order.
local function build_routes(storages)
    local routes, masters = {}, {}
    for _, storage in pairs(storages) do
        local name = storage.replicaset
        routes[name] = routes[name] or {replicas = {}}
        if storage.is_up then
            table.insert(routes[name].replicas, storage.uri)
            if storage.is_master then
                masters[name] = masters[name] or {}
                table.insert(masters[name], storage.uri)
            end
        end
    end
    for name, route in pairs(routes) do
        table.sort(route.replicas)
        local claims = masters[name] or {}
        route.master = #claims == 1 and claims[1] or nil
    end
    return routes
end

--- Calls `use(routes)` each time that members have changed, in a fiber of its own, until Tarantool ends.
local function discover(use)
    return fiber.create(function()
        local storages, version = {}, 0
        while true do
            -- What has changed since the last call, with nothing missed in between; or all, the first time.
            local reached, changed, all = membership.wait(version)
            version = reached
            if all then
                storages = {}
            end
            for uri, member in pairs(changed) do
                storages[uri] = read_storage(member) -- `member` is false if it was removed
            end
            use(build_routes(storages))
        end
    end)
end

------------------------------------------------------------------------------------------------------------------------

local host, port = (arg[1] or ''):match('^(.+):(%d+)$')
if host == nil then
    io.stderr:write('usage: tarantool discovery.lua HOST:PORT [URI-OF-ANOTHER ...]\n')
    os.exit(2)
end

membership.init(host, tonumber(port))
for i = 2, #arg do
    assert(membership.add_member(arg[i]))
end
box.ctl.on_shutdown(function()
    membership.leave()
end)

io.stdout:setvbuf('line')

-- One line for each replica set, in order: equal tables have equal texts.
local function describe(routes)
    local lines = {}
    for name, route in pairs(routes) do
        local master = route.master or 'none'
        table.insert(lines, ('%s: master %s, replicas %s'):format(name, master, json.encode(route.replicas)))
    end
    table.sort(lines)
    return table.concat(lines, '\n')
end

local printed = ''
discover(function(routes)
    local text = describe(routes)
    if text ~= printed then
        printed = text
        print(text)
    end
end)

box.cfg({log_level = 5, wal_mode = 'none'})
