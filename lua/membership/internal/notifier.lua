--- The fiber that watches the engine, and those who wait for it.
--
-- The engine cannot touch a fiber from its thread. It makes a descriptor readable instead, and the fiber
-- `membership.main` waits for that: it wakes subscribers and probes, and has log lines written. It also beats each
-- time. The engine rings now and then for that alone, to know that this thread does not hang: nothing in the fiber may
-- wait for a function of the user's.

local fiber = require('fiber')
local socket = require('socket')

local codec = require('membership.internal.codec')
local core = require('membership.internal.native')
local log_writer = require('membership.internal.log_writer')
local mirror = require('membership.internal.mirror')
local time = require('membership.internal.time')

local FIBER_NAME = 'membership.main' -- fibers of this name survive a reload of Cartridge's roles

-- Outlives a reload of this file.
local state = core.persistent.notifier
if state == nil then
    state = {
        running = false,
        -- By cond, the number of the last news that its subscriber knows, or has been woken for. Weak: a subscriber
        -- who has lost his cond cannot unsubscribe it.
        subscribers = setmetatable({}, {__mode = 'k'}),
        -- Wakes those who wait for the outcome of a probe.
        decided = fiber.cond(),
        -- Wakes those who wait for a change.
        changed = fiber.cond(),
        -- The number of the last news that the first of them has seen; nil if nobody waits.
        seen = nil,
        -- The number of the last news that all subscribers know, or have been woken for.
        told = 0,
    }
    core.persistent.notifier = state
end

local notifier = {}

local function wake_waiting()
    state.seen = nil
    state.changed:broadcast()
end

--- Wakes the subscribers, and those who wait for a change, if there is news for them.
---@return boolean complete whether nothing is left to be copied
function notifier.tell()
    local complete = mirror.follow() ~= false
    local number = mirror.news()
    if state.seen ~= nil and state.seen ~= number then
        wake_waiting()
    end
    if state.told ~= number then
        state.told = number
        for cond, told in pairs(state.subscribers) do
            if told ~= number then
                state.subscribers[cond] = number
                cond:broadcast()
            end
        end
    end
    return complete
end

-- One turn of the fiber: the bell has rung, or something was left. Returns false when it was the last, and whether
-- something is left now. It is found in `state`, so that after a reload the fiber that runs goes on with the new one.
function state.turn(descriptor)
    local blob, err = core.beat(descriptor, time.read())
    local complete = notifier.tell()
    state.decided:broadcast()
    if blob ~= nil then
        log_writer.write(unpack(codec.decode(blob)))
    else
        log_writer.write({}, 0)
    end
    return err == nil and core.myself() ~= nil, not complete
end

local function turn_until_the_end()
    local descriptor = assert(core.bell())
    while true do
        local goes_on, is_something_left = state.turn(descriptor)
        if not goes_on then
            return
        end
        -- Raises when this fiber is cancelled, as Tarantool 3 does to all of them before it exits. It must end then.
        if is_something_left then
            fiber.sleep(0) -- let the others run
        else
            socket.iowait(descriptor, 'R')
        end
        fiber.testcancel()
    end
end

local function main()
    local ok, err = pcall(turn_until_the_end)
    state.running = false
    core.end_beats() -- whoever killed this fiber does not mean that the thread hangs
    wake_waiting() -- and start it again
    if not ok then
        error(err, 0)
    end
end

--- Starts the fiber, unless it runs or there is nothing to watch. Each function of the API calls this, since somebody
--- may have killed the fiber.
function notifier.ensure()
    if not state.running and core.myself() ~= nil then
        state.running = true
        fiber.new(main):name(FIBER_NAME)
    end
end

--- Subscribes to what changes from here on: not to what can have been read already.
---@return table a fiber.cond
function notifier.subscribe()
    local cond = fiber.cond()
    state.subscribers[cond] = mirror.news()
    return cond
end

function notifier.unsubscribe(cond)
    state.subscribers[cond] = nil
end

--- Waits until there is more news than by now.
---@param timeout? number
function notifier.wait_for_change(timeout)
    state.seen = state.seen or mirror.news()
    state.changed:wait(timeout)
    fiber.testcancel() -- a cancelled fiber wakes from wait() as if it were broadcast to
end

--- Waits until the fiber has something new, which may have been the outcome of a probe.
function notifier.wait_for_outcome(timeout)
    state.decided:wait(timeout)
    fiber.testcancel() -- a cancelled fiber wakes from wait() as if it were broadcast to
end

return notifier
