--- Waiting for a newer member table, without missing anything in between.

local clock = require('clock')

local journal = require('membership.journal')
local mirror = require('membership.mirror')
local watch = require('membership.watch')

local wait = {}

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

--- As `membership.wait`, but for an error of the engine, which is returned.
---@param version number
---@param timeout? number
---@return string|nil err
---@return number|nil new_version
---@return table<string, membership.MemberInfo|false>|nil changed
---@return boolean|nil all
function wait.run(version, timeout)
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

return wait
