--- Waiting for a newer member table, without missing anything in between.

local clock = require('clock')
local fiber = require('fiber')

local check = require('membership.internal.check')
local codec = require('membership.internal.codec')
local core = require('membership.internal.native')
local mirror = require('membership.internal.mirror')
local notifier = require('membership.internal.notifier')

-- The last answer of the core, for the others who wait for the same.
local last = {since = nil, latest = nil, news = nil}

local function news_since(version, latest)
    if last.since ~= version or last.latest ~= latest then
        local blob, err = core.news(version)
        if err ~= nil then
            return nil, err
        end
        last.since, last.latest, last.news = version, latest, blob ~= nil and codec.decode(blob)
    end
    return last.news
end

local function whole_table(latest)
    local list, err = mirror.current()
    if list == nil then
        return err
    end
    local changed = {}
    for _, record in ipairs(list) do
        changed[record.uri] = mirror.describe(record)
    end
    return nil, latest, changed, true
end

local function add(news, changed)
    local reached, members, gone = unpack(news, 1, 3)
    for _, uri in ipairs(gone) do
        changed[uri] = false
    end
    for _, raw in ipairs(members) do
        changed[raw[1]] = mirror.describe_raw(raw)
    end
    return tonumber(reached)
end

-- What is new after `version`, in parts, between which other fibers run if they may. Without a version, or where
-- nobody remembers so much, everything that there is.
local function read(version, latest, may_yield)
    local changed = {}
    while true do
        local news, err
        if version > 0 then
            news, err = news_since(version, latest)
        end
        if err ~= nil then
            return err
        elseif not news then
            return whole_table(mirror.news())
        end
        version = add(news, changed)
        if version >= latest then
            return nil, version, changed
        elseif may_yield then
            fiber.sleep(0)
        end
    end
end

--- Returns the error of the engine, if there is one; then what `wait` does.
local function run(version, timeout)
    -- Not fiber.clock(), which stands still while this thread computes.
    local deadline = timeout ~= nil and clock.monotonic() + timeout or math.huge
    while true do
        local latest = mirror.news()
        if latest ~= version then
            return read(version, latest, timeout ~= 0)
        end
        local left = deadline - clock.monotonic()
        if left <= 0 then
            return nil
        end
        notifier.wait_for_change(left < math.huge and left or nil)
        notifier.ensure()
    end
end

local function is_from_zero(value)
    return type(value) ~= 'number' or value >= 0 -- which NaN is not
end

--- Waits until the member table is newer than `version`, as `subscribe` tells of changes; but none is missed between
-- two calls. Where there are many changes, other fibers run while they are read, unless `timeout` is 0.
---@param version? number what the last call has returned; 0 or nil to begin with the table as it is
---@param timeout? number seconds; nil waits for ever
---@return number|nil version of the table up to which `changed` reaches; nil when the time was over
---@return table<string, membership.MemberInfo|false>|nil changed by URI; false is a member that is gone
---@return boolean|nil all true if `changed` is the whole table, and whoever is not in it is gone
local function wait(version, timeout)
    if version ~= nil and type(version) ~= 'number' then
        check.fail(1, 'wait', '?number', version)
    elseif not is_from_zero(version) then
        check.fail_value(1, 'wait', 'version', version)
    elseif timeout ~= nil and type(timeout) ~= 'number' then
        check.fail(2, 'wait', '?number', timeout)
    elseif not is_from_zero(timeout) then
        check.fail_value(2, 'wait', 'number of seconds', timeout)
    end
    notifier.ensure()
    -- Not `or`: box.NULL is equal to nil, but true.
    local err, new_version, changed, all = run(version ~= nil and version or 0, timeout ~= nil and timeout or nil)
    check.result(nil, err)
    if new_version == nil then
        return nil
    end
    return new_version, changed, all
end

return wait
