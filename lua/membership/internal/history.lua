--- `membership.history`: every change of the members, in order and with its reason.

local fiber = require('fiber')

local check = require('membership.internal.check')
local codec = require('membership.internal.codec')
local core = require('membership.internal.native')
local notifier = require('membership.internal.notifier')

---@alias membership.Status 'alive'|'suspect'|'dead'|'left'|'non-decryptable'

---@class membership.Change
---@field version number of the member table, as `wait` and `history` count; rises from change to change
---@field time number seconds, as `fiber.time` shows them: when this instance heard of it or found it out
---@field monotonic number the same, as `clock.monotonic` shows them: for the time between two changes
---@field uri string the member
---@field old_status? membership.Status nil if it was not known
---@field status? membership.Status nil if it is not known any more
---@field old_incarnation? number nil if it was not known
---@field incarnation? number nil if it is not known any more
---@field payload_changed boolean it was known, and its payload is another
---@field why string a word for the reason: doc/api.md lists them
---@field by? string the sender of the datagram that said so
---@field relays? string[] the members that were asked to ping it, in vain
---@field confirmed_by? string[] the members that got no answer either
---@field reason string the reason in words; "it" is the member
---@field text string the change and its reason: a line for the log

local history = {}

--- Brings what the native library says of changes into the form that users see.
---@param changes table[] is changed itself
function history.describe(changes)
    for _, change in ipairs(changes) do
        change.version = tonumber(change.version) -- msgpack decodes large numbers as cdata
        change.old_incarnation = tonumber(change.old_incarnation)
        change.incarnation = tonumber(change.incarnation)
    end
end

-- Reads the changes between two versions, in parts, between which other fibers run; or the first part alone, unless
-- `may_yield`: all of them would take tens of milliseconds. Returns an error, or nil and the results of `history`.
local function read(version, latest, may_yield)
    local changes, lost = {}, nil
    while true do
        local blob, err = core.history(version)
        if err ~= nil then
            return err
        end
        local part = codec.decode(blob)
        history.describe(part.changes)
        for _, change in ipairs(part.changes) do
            table.insert(changes, change)
        end
        lost = lost or part.lost or nil
        version = tonumber(part.reached)
        if version >= latest or not may_yield then
            return nil, version, changes, lost
        end
        fiber.sleep(0)
    end
end

-- Returns an error, or nil and the results of `history`.
local function run(version, timeout)
    local deadline = notifier.deadline(timeout)
    while true do
        local latest = notifier.wait_for_newer(version, deadline)
        if latest == nil then
            return nil
        end
        local err, reached, changes, lost = read(version, latest, timeout ~= 0)
        if err ~= nil then
            return err
        elseif changes[1] ~= nil or lost then
            return nil, reached, changes, lost
        end
        version = reached -- nothing that shows
    end
end

--- Waits until there are changes after the one of number `version`, and returns all of them, in order and with their
-- reasons, as far as this instance remembers them. Where there are many, other fibers run while they are read. With a
-- `timeout` of 0 none does, and it returns the first 500 at most: the next call returns more.
---@param version? number what the last call of this or of `wait` has returned; 0 or nil for all that is remembered
---@param timeout? number seconds; nil waits for ever
---@return number|nil version up to which `changes` reaches; nil after the timeout
---@return membership.Change[]|nil changes the oldest first
---@return boolean|nil lost true if some changes are missing: too many came after them
function history.history(version, timeout)
    version, timeout = check.version_and_timeout('history', version, timeout)
    notifier.ensure_running()
    local err, new_version, changes, lost = run(version, timeout)
    check.result(nil, err)
    if new_version == nil then
        return nil
    end
    return new_version, changes, lost
end

return history
