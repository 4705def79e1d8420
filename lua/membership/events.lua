--- Rumors and subscriptions: `require('membership.events')`.
--
-- For tests of programs that have to cope with members that fail.

local check = require('membership.internal.check')
local codec = require('membership.internal.codec')
local core = require('membership.internal.native')
local notifier = require('membership.internal.notifier')
local record = require('membership.internal.record')

local events = {}

--- Makes a rumor of a member, and spreads it as if a peer had sent it.
---@param uri string
---@param status number one of those in `membership.options`
---@param incarnation? number by default, the known one, or 1
---@param payload? table by default, the known one
---@return boolean true
function events.generate(uri, status, incarnation, payload)
    if type(uri) ~= 'string' then
        check.fail(1, 'generate', 'string', uri)
    elseif type(status) ~= 'number' then
        check.fail(2, 'generate', 'number', status)
    elseif record.STATUS_NAMES[status] == nil then
        check.fail_value(2, 'generate', 'number between 1 and 5', status)
    elseif incarnation ~= nil and type(incarnation) ~= 'number' then
        check.fail(3, 'generate', '?number', incarnation)
    elseif payload ~= nil and type(payload) ~= 'table' then
        check.fail(4, 'generate', '?table', payload)
    end
    local encoded
    if payload ~= nil then
        local ok, result = pcall(codec.encode, payload)
        if not ok then
            error(('bad argument #4 to generate (%s)'):format(tostring(result)), 2)
        end
        encoded = result
    end
    local given = incarnation ~= nil and incarnation or nil -- box.NULL is nothing, too
    check.result(core.generate(uri, status, given, encoded))
    notifier.ensure_running()
    notifier.notify()
    return true
end

--- Does the same as `membership.subscribe`.
---@return membership.Cond
function events.subscribe()
    notifier.ensure_running()
    return notifier.subscribe()
end

--- Does the same as `membership.unsubscribe`.
---@param cond membership.Cond what `subscribe` returned
function events.unsubscribe(cond)
    if cond == nil then
        error('table index is nil', 2)
    end
    notifier.unsubscribe(cond)
end

return events
