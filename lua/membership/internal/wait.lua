--- `membership.wait`: waiting for members that have changed, with none missed between two calls.

local fiber = require('fiber')

local check = require('membership.internal.check')
local codec = require('membership.internal.codec')
local core = require('membership.internal.native')
local mirror = require('membership.internal.mirror')
local notifier = require('membership.internal.notifier')

-- The last answer of the native library, for other fibers that ask for the same.
local last = {since = nil, latest = nil, news = nil}

-- Returns false if the library does not remember the changes since this version.
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

-- Reads the changes since `version`, in parts, between which other fibers run if `may_yield`. Reads the whole table if
-- `version` is 0, or too old. Returns an error, or nil and the results of `wait`.
local function read(version, latest, may_yield)
    if version == 0 then
        return whole_table(latest)
    end
    local changed = {}
    while true do
        local news, err = news_since(version, latest)
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

--- Waits until the member table is newer than `version`, and returns what the members that have changed are now. What
-- one was in between is not in it: see `membership.history`. The changes are those that `subscribe` notifies of; no
-- member that has changed is missed between two calls. Where there are many, other fibers run while they are read,
-- unless `timeout` is 0.
---@param version? number what the last call has returned; 0 or nil for the whole table, at once
---@param timeout? number seconds; nil waits for ever
---@return number|nil version up to which `changed` reaches; nil after the timeout
---@return table<string, membership.MemberInfo|false>|nil changed by URI; false is a member that is gone
---@return boolean|nil all true if `changed` is the whole table, and members that are not in it are gone
local function wait(version, timeout)
    version, timeout = check.version_and_timeout('wait', version, timeout)
    notifier.ensure_running()
    local latest = notifier.wait_for_newer(version, notifier.deadline(timeout))
    if latest == nil then
        return nil
    end
    local err, new_version, changed, all = read(version, latest, timeout ~= 0)
    check.result(nil, err)
    return new_version, changed, all
end

return wait
