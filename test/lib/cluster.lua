--- A group of real Tarantool processes on loopback, and what one wants to know about it.

local fiber = require('fiber')
local fio = require('fio')
local json = require('json')
local node = require('node')
local socket = require('socket')
local wait = require('wait')

--- A quick life, for tests in which something has to happen.
local QUICK = {
    PROTOCOL_PERIOD_SECONDS = 0.2,
    ACK_TIMEOUT_SECONDS = 0.1,
    ANTI_ENTROPY_PERIOD_SECONDS = 1,
    SUSPECT_TIMEOUT_SECONDS = 1,
}

local Cluster = {}
Cluster.__index = Cluster

local function same(one, other)
    if type(one) ~= 'table' or type(other) ~= 'table' then
        return one == other
    end
    for key, value in pairs(one) do
        if not same(value, other[key]) then
            return false
        end
    end
    for key in pairs(other) do
        if one[key] == nil then
            return false
        end
    end
    return true
end

--- `ports` is the first of the ports that the cluster may use.
local function new(dir, ports)
    return setmetatable({dir = dir, next_port = ports, nodes = {}, sockets = {}}, Cluster)
end

--- A port that nobody uses.
function Cluster:port()
    local port = self.next_port
    self.next_port = port + 1
    return port
end

--- Starts a process that has not loaded the module. Options: see node.lua; `port`, when it is not to be a new one.
function Cluster:node(opts)
    opts = opts or {}
    local port = opts.port or self:port()
    local started = node.start(fio.pathjoin(self.dir, tostring(#self.nodes + 1)), port, opts)
    table.insert(self.nodes, started)
    return started
end

--- Makes a process a member: options, then init. `opts.options` are the module's, quick ones by default;
-- `opts.bind` is where it is to listen, `opts.state_file` the path of its state file.
function Cluster.init(_, started)
    started:call(function(host, port, options, opts)
        for name, value in pairs(options) do
            require('membership.options')[name] = value
        end
        assert(require('membership').init(host, port, opts) == true)
    end, started.host, started.port, started.opts.options or QUICK, {
        bind = started.opts.bind,
        state_file = started.opts.state_file,
    })
    return started
end

--- Starts a process and makes it a member, of a group of its own.
function Cluster:member(opts)
    return self:init(self:node(opts))
end

--- Starts `count` members that know each other.
function Cluster:group(count, opts)
    local members = {}
    for i = 1, count do
        members[i] = self:member(opts)
        if i > 1 then
            members[i].membership.add_member(members[1].uri)
        end
    end
    self:acquaint(members)
    return unpack(members)
end

--- Waits until each of these members sees each other one alive.
function Cluster:acquaint(members)
    for _, member in ipairs(members) do
        self:everyone_sees(member.uri, 'alive', members)
    end
end

function Cluster.wait(_, what, condition, timeout)
    return wait.until_true(what, condition, timeout)
end

--- Waits until all observers see the member so. All running processes are observers when none are named.
function Cluster:everyone_sees(uri, status, observers)
    return self:everyone_agrees(('%s is %s'):format(uri, status), function(observer)
        local seen = observer:status_of(uri)
        return seen == status, tostring(seen)
    end, observers)
end

--- Waits until all observers see this payload of a member.
function Cluster:everyone_sees_payload(uri, payload, observers)
    return self:everyone_agrees(('%s has the payload %s'):format(uri, json.encode(payload)), function(observer)
        local member = observer.membership.get_member(uri)
        return member and same(member.payload, payload), json.encode(member and member.payload)
    end, observers)
end

function Cluster:everyone_agrees(what, agrees, observers)
    return wait.until_true('everyone to agree that ' .. what, function()
        local others = {}
        for _, observer in ipairs(observers or self.nodes) do
            if observers ~= nil or observer:is_running() then
                local yes, seen = agrees(observer)
                if not yes then
                    table.insert(others, ('%s sees %s'):format(observer.uri, seen))
                end
            end
        end
        return #others == 0, table.concat(others, ', ')
    end)
end

--- Begins to note down, in the process, each change of anyone's status or incarnation that the API shows.
function Cluster.record(_, started)
    started:call(function()
        local membership = require('membership')
        local history, known = {}, {}
        local function look()
            for uri, member in membership.pairs() do
                local mark = ('%s %d'):format(member.status, member.incarnation)
                if known[uri] ~= mark then
                    known[uri] = mark
                    table.insert(history, {uri = uri, mark = mark})
                end
            end
            return history
        end
        rawset(_G, 'look_and_recall', look)
        require('fiber').create(function()
            local changed = membership.subscribe()
            while true do
                look()
                changed:wait(0.02)
            end
        end)
    end)
end

--- What was noted of one member, in order: `{'alive 1', 'suspect 1'}`.
function Cluster.recorded(_, started, uri)
    local history = started:call(function()
        return rawget(_G, 'look_and_recall')()
    end)
    local marks = {}
    for _, entry in ipairs(history) do
        if entry.uri == uri then
            table.insert(marks, entry.mark)
        end
    end
    return marks
end

--- Lets time pass in which something must *not* happen.
function Cluster.let_pass(_, seconds)
    fiber.sleep(seconds)
end

--- A UDP socket of the test's own, bound to the address.
function Cluster:udp(host, port)
    local family = host:find(':', 1, true) and 'AF_INET6' or 'AF_INET'
    local bound = assert(socket(family, 'SOCK_DGRAM', 'udp'))
    table.insert(self.sockets, bound)
    if not bound:bind(host, port) then
        return nil, bound:error()
    end
    return bound
end

--- Ends all that the cluster started.
function Cluster:close()
    for _, started in ipairs(self.nodes) do
        started:close()
    end
    for _, bound in ipairs(self.sockets) do
        pcall(bound.close, bound)
    end
    fio.rmtree(self.dir)
end

return {new = new}
