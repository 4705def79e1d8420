--- The member table with numeric statuses: `require('membership.members')`.
--
-- Most programs want `membership.members()` instead.

local check = require('membership.internal.check')
local lookup = require('membership.internal.lookup')
local mirror = require('membership.internal.mirror')

---@class membership.InternalInfo: membership.MemberInfo
---@field status number one of those in `membership.options`

local members = {}

---@return membership.InternalInfo
local function describe(record)
    local info = mirror.describe(record)
    info.status = record.status_number
    return info
end

--- Returns what is known of one member.
---@param uri string
---@return membership.InternalInfo|nil
function members.get(uri)
    if type(uri) ~= 'string' then
        check.fail(1, 'get', 'string', uri)
    end
    local record = check.result(lookup.find(uri))
    return record and describe(record)
end

--- Iterates over all members: `for uri, info in members.pairs() do`.
---@return fun(members: table, uri?: string): string, membership.InternalInfo
---@return table<string, membership.InternalInfo>
function members.pairs()
    local result = {}
    for _, record in ipairs(check.result(mirror.current())) do
        result[record.uri] = describe(record)
    end
    return pairs(result)
end

--- Returns the number of members, of any status.
---@return number
function members.count()
    local list = check.result(mirror.current())
    return #list
end

return members
