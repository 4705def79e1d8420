--- The fiber `membership.main`, and the fibers and subscribers that it wakes.
--
-- The engine's thread cannot touch a fiber. It makes a descriptor readable instead, for which the fiber waits: then it
-- wakes subscribers and probes, and has log lines written. Each turn is also a heartbeat. The engine asks for one now
-- and then, to learn whether Tarantool's thread hangs. So the fiber must never wait for a function of a program.

local clock = require('clock')
local fiber = require('fiber')
local socket = require('socket')

local codec = require('membership.internal.codec')
local core = require('membership.internal.native')
local log_writer = require('membership.internal.log_writer')
local mirror = require('membership.internal.mirror')
local time = require('membership.internal.time')

local FIBER_NAME = 'membership.main' -- a reload of Cartridge's roles spares fibers of this name

-- Outlives a reload of this file. The numbers are those of `mirror.news`.
local state = core.persistent.notifier
if state == nil then
    state = {
        running = false,
        -- By cond, the last change that the subscriber has been woken for. Weak keys: a program that has lost its cond
        -- cannot unsubscribe it.
        subscribers = setmetatable({}, {__mode = 'k'}),
        -- Wakes fibers that wait for the outcome of a probe.
        decided = fiber.cond(),
        -- Wakes fibers that wait for a change.
        changed = fiber.cond(),
        -- The last change when the first of those fibers began to wait; nil if none waits.
        waiting_since = nil,
        -- The last change that all subscribers have been woken for.
        notified = 0,
    }
    core.persistent.notifier = state
end

---@class membership.Cond: userdata a `fiber.cond`
---@field wait fun(self: membership.Cond, timeout?: number): boolean whether it was woken before the timeout, in seconds
---@field signal fun(self: membership.Cond) wakes one fiber that waits
---@field broadcast fun(self: membership.Cond) wakes all fibers that wait

local notifier = {}

local function wake_waiting()
    state.waiting_since = nil
    state.changed:broadcast()
end

--- Wakes subscribers, and fibers that wait for a change, if there is one that they have not been woken for.
---@return boolean complete whether the mirror has nothing left to copy
function notifier.notify()
    local complete = mirror.follow() ~= false
    local news = mirror.news()
    if state.waiting_since ~= nil and state.waiting_since ~= news then
        wake_waiting()
    end
    if state.notified ~= news then
        state.notified = news
        for cond, notified in pairs(state.subscribers) do
            if notified ~= news then
                state.subscribers[cond] = news
                cond:broadcast()
            end
        end
    end
    return complete
end

-- One turn of the fiber. Returns whether there is to be another, and whether something is left to do at once. The fiber
-- calls it through `state`, so that after a reload it goes on with the new function.
function state.turn()
    local is_initialized, writes_log, blob = core.heartbeat(time.read())
    log_writer.set_writes_log(writes_log)
    local complete = notifier.notify()
    state.decided:broadcast()
    if blob ~= nil then
        log_writer.write(unpack(codec.decode(blob)))
    else
        log_writer.write({}, 0)
    end
    return is_initialized, not complete
end

local function run()
    local descriptor = assert(core.waker())
    while true do
        local goes_on, is_something_left = state.turn()
        if not goes_on then
            return
        end
        if is_something_left then
            fiber.sleep(0) -- lets other fibers run
        else
            socket.iowait(descriptor, 'R')
        end
        fiber.testcancel() -- Tarantool 3 cancels all fibers before it exits, and waits for them to end
    end
end

local function main()
    local ok, err = pcall(run)
    state.running = false
    core.end_heartbeats() -- a program may cancel this fiber, which does not mean that the thread hangs
    wake_waiting() -- so that they start the fiber again
    if not ok then
        error(err, 0)
    end
end

--- Starts the fiber, unless it runs or this instance is no member. Each function of the API calls this, because a
-- program may have cancelled the fiber.
function notifier.ensure_running()
    if not state.running and core.myself() ~= nil then
        state.running = true
        fiber.new(main):name(FIBER_NAME)
    end
end

--- Subscribes to changes from now on, and not to those that the caller could have read already.
---@return membership.Cond
function notifier.subscribe()
    local cond = fiber.cond()
    state.subscribers[cond] = mirror.news()
    return cond
end

function notifier.unsubscribe(cond)
    if state.subscribers[cond] ~= nil then -- NaN can be no key
        state.subscribers[cond] = nil
    end
end

-- A cancelled fiber wakes as if the cond were broadcast. Then this raises.
local function wait_for(cond, timeout)
    cond:wait(timeout)
    fiber.testcancel()
end

--- Waits for a change after the one of number `news`, which the caller has read: the engine's thread may have made
-- another since.
---@param news number
---@param timeout? number seconds
function notifier.wait_for_change(news, timeout)
    state.waiting_since = state.waiting_since or news
    wait_for(state.changed, timeout)
end

--- Returns when a function that waits has to give up.
---@param timeout? number seconds; nil waits for ever
---@return number by `clock.monotonic`
function notifier.deadline(timeout)
    -- Not fiber.clock(), which stands still while this thread computes.
    return timeout ~= nil and clock.monotonic() + timeout or math.huge
end

--- Waits until the last change that subscribers are notified of is another one than `version`.
---@param version number
---@param deadline number by `clock.monotonic`
---@return number|nil latest its number; nil at the deadline
function notifier.wait_for_newer(version, deadline)
    while true do
        local latest = mirror.news()
        if latest ~= version then
            return latest
        end
        local left = deadline - clock.monotonic()
        if left <= 0 then
            return nil
        end
        notifier.wait_for_change(latest, left < math.huge and left or nil)
        notifier.ensure_running()
    end
end

--- Waits for the next turn of the fiber, after which a probe may have an outcome.
---@param timeout number seconds
function notifier.wait_for_outcome(timeout)
    wait_for(state.decided, timeout)
end

return notifier
