--- One instance of the demo: a Tarantool without box.cfg that uses what is public of membership only.
-- usage: tarantool instance.lua HOST PORT
-- Reads calls from stdin and writes what it sees to stdout, a JSON object a line. Ends when stdin is closed, so it
-- cannot outlive its parent.

local clock = require('clock')
local ffi = require('ffi')
local fiber = require('fiber')
local json = require('json')
local socket = require('socket')

local membership = require('membership')

ffi.cdef('ssize_t read(int fd, void *buffer, size_t size);')

local STDIN = 0
local CHUNK_SIZE = 4096

local function report(message)
    io.stdout:write(json.encode(message), '\n')
    io.stdout:flush()
end

--- Waits for input without blocking the event loop; nil at the end of it.
local function read_input(buffer)
    socket.iowait(STDIN, 'R')
    local size = tonumber(ffi.C.read(STDIN, buffer, CHUNK_SIZE))
    return size > 0 and ffi.string(buffer, size) or nil
end

--- What an instance can do besides.
local OWN = {}

--- Computes without yielding: no other fiber can run.
function OWN.compute(seconds)
    local deadline = clock.monotonic() + seconds
    while clock.monotonic() < deadline do end
    return true
end

function OWN.authenticate(cipher, key)
    require('membership.options').ENCRYPTION_CIPHER = cipher
    membership.set_encryption_key(key)
    return true
end

--- {id, call, args}: the name of a function of membership, or of an own one, and its arguments.
local function obey(line)
    local command = json.decode(line)
    local called_at = clock.realtime()
    local ok, result, err = pcall(OWN[command.call] or membership[command.call], unpack(command.args))
    if not ok then
        result, err = nil, result
    end
    report({
        id = command.id, at = called_at, returned_at = clock.realtime(),
        ok = result == true, err = err and tostring(err),
    })
end

local function obey_all()
    local buffer = ffi.new('char[?]', CHUNK_SIZE)
    local pending = ''
    while true do
        local input = read_input(buffer)
        if input == nil then
            os.exit(0)
        end
        pending = pending .. input
        for line in pending:gmatch('([^\n]*)\n') do
            obey(line)
        end
        pending = pending:match('[^\n]*$')
    end
end

--- Reports every change of the member table, with the time at which this fiber was woken.
local function watch(changed)
    local reported = {}
    while true do
        local woken_at = clock.realtime()
        local news = {}
        for uri, member in membership.pairs() do
            local payload = json.encode(member.payload)
            local seen = ('%s %s %s'):format(member.status, member.incarnation, payload)
            if reported[uri] ~= seen then
                reported[uri] = seen
                table.insert(news, {
                    uri = uri, status = member.status, incarnation = member.incarnation, payload = member.payload,
                })
            end
        end
        for uri in pairs(reported) do
            if membership.get_member(uri) == nil then
                reported[uri] = nil
                table.insert(news, {uri = uri})
            end
        end
        if #news > 0 then
            report({at = woken_at, news = news})
        end
        changed:wait()
    end
end

local function main(host, port)
    local changed = membership.subscribe()
    local started_at = clock.realtime()
    -- On the address that it advertises alone: a demo has no business on other networks.
    membership.init(host, tonumber(port), {bind = host})
    report({at = started_at, up = true})
    fiber.create(obey_all)
    watch(changed)
end

main(...)
