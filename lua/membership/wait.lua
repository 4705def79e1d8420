--- Waiting for a newer member table, without missing anything in between.

local clock = require('clock')

local check = require('membership.check')
local journal = require('membership.journal')
local mirror = require('membership.mirror')
local watch = require('membership.watch')

--- What has changed after `version`. Without one, or where nobody remembers, everything that there is.
local function changes_since(version, state)
    local changed = {}
    local uris = version > 0 and journal.since(version) or nil
    if uris == nil then
        for _, record in ipairs(state.list) do
            changed[record.uri] = mirror.describe(record)
        end
        return changed, true
    end
    for _, uri in ipairs(uris) do
        local record = state.by_uri[uri]
        changed[uri] = record ~= nil and mirror.describe(record) or false
    end
    return changed
end

--- Returns the error of the engine, if there is one; then what `wait` does.
local function run(version, timeout)
    -- Not fiber.clock(), which stands still while this thread computes.
    local deadline = timeout ~= nil and clock.monotonic() + timeout or math.huge
    while true do
        local state, err = mirror.current()
        if state == nil then
            return err
        elseif journal.number() ~= version then
            return nil, journal.number(), changes_since(version, state)
        end
        local left = deadline - clock.monotonic()
        if left <= 0 then
            return nil
        end
        watch.wait_for_change(left < math.huge and left or nil)
        watch.ensure()
    end
end

local function is_from_zero(value)
    return type(value) ~= 'number' or value >= 0 -- which NaN is not
end

--- Waits until the member table is newer than `version`, as `subscribe` tells of changes; but none is missed between
-- two calls.
---@param version? number what the last call has returned; 0 or nil to begin with the table as it is
---@param timeout? number seconds; nil waits for ever
---@return number|nil version of the table as it is now; nil when the time was over
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
    watch.ensure()
    -- Not `or`: box.NULL is equal to nil, but true.
    local err, new_version, changed, all = run(version ~= nil and version or 0, timeout ~= nil and timeout or nil)
    check.result(nil, err)
    if new_version == nil then
        return nil
    end
    return new_version, changed, all
end

return wait
