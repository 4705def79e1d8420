--- Runs Lua functions in another process, over a Unix socket.
--
-- A function crosses as bytecode, so it may use no upvalue: what it needs comes as arguments, or from `require`. Values
-- cross as msgpack, which keeps uint64, decimal and uuid. One connection a call: a call that waits holds up no other.
--
-- The socket outlives `box.cfg{background = true}`, which stdin and stdout do not.

local fiber = require('fiber')
local msgpack = require('msgpack')
local socket = require('socket')

local HEADER_SIZE = 4

local function pack(...)
    local values = {}
    for i = 1, select('#', ...) do
        local value = select(i, ...)
        if value == nil then
            value = msgpack.NULL -- else an array with holes
        end
        values[i] = value
    end
    return values
end

local function unpack_values(values)
    for i = 1, #values do
        if values[i] == nil then -- msgpack.NULL
            values[i] = nil
        end
    end
    return values
end

local function write_frame(connection, value)
    local body = msgpack.encode(value)
    return connection:write(('%08x'):format(#body):fromhex() .. body)
end

local function read_frame(connection, timeout)
    local deadline = fiber.clock() + timeout
    local header = connection:read(HEADER_SIZE, timeout)
    if header == nil then
        return nil, ('no answer within %g s'):format(timeout)
    end
    if #header < HEADER_SIZE then
        return nil, 'the connection was closed'
    end
    local size = tonumber(header:hex(), 16)
    local body = connection:read(size, deadline - fiber.clock())
    if body == nil or #body < size then
        return nil, 'the answer was cut short'
    end
    return (msgpack.decode(body))
end

--- What became of a call: `{ok, count, values}`.
local function perform(request)
    local count
    local function collect(ok, ...)
        count = select('#', ...)
        return ok, pack(...)
    end
    local run = loadstring(request.code)
    local ok, values = collect(pcall(run, unpack(unpack_values(request.values), 1, request.count)))
    if not ok then
        values = {tostring(values[1])}
    end
    return {ok, count, values}
end

local function handle(connection)
    local request = read_frame(connection, 60)
    if request == nil then
        return
    end
    fiber.name('rpc')
    local outcome = perform(request)
    if not pcall(write_frame, connection, outcome) then
        write_frame(connection, {false, 1, {'the result cannot be encoded'}})
    end
end

local function serve(path)
    return assert(socket.tcp_server('unix/', path, {name = 'rpc', handler = handle}))
end

--- Returns what `pcall(fn, ...)` returned over there; `nil, why` when there was no answer.
local function call(path, timeout, fn, ...)
    assert(debug.getinfo(fn, 'u').nups == 0, 'a function that is sent to another process can have no upvalues')
    local connection, why = socket.tcp_connect('unix/', path, timeout)
    if connection == nil then
        return nil, tostring(why or 'nobody listens')
    end
    local request = {code = string.dump(fn), count = select('#', ...), values = pack(...)}
    write_frame(connection, request)
    local outcome
    outcome, why = read_frame(connection, timeout)
    connection:close()
    if outcome == nil then
        return nil, why
    end
    local ok, count, values = unpack(outcome, 1, 3)
    return ok, unpack(unpack_values(values), 1, count)
end

return {serve = serve, call = call}
