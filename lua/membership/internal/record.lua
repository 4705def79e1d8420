--- What is known of one member: from what the native library says to the fields that users see.

---@class membership.Record is replaced when anything changes
---@field uri string
---@field status_number number as on the wire
---@field status string as users see it
---@field incarnation number
---@field timestamp ffi.cdata* uint64, µs
---@field clock_delta? number µs
---@field bytes? string the payload, encoded
---@field template? membership.Template the payload, decoded; nil until a program reads it
---@field index? number the place in the list of the mirror, if the record is part of that

---@class membership.MemberInfo
---@field uri string `host:port`, the identity of a member
---@field status 'alive'|'suspect'|'dead'|'left'|'non-decryptable'
---@field incarnation number rises when the member refutes a rumor or changes its payload; starts at 1
---@field payload table never nil
---@field timestamp ffi.cdata* uint64, µs: local time of the last change of status or incarnation
---@field clock_delta? number µs: the member's clock minus the local one, as of its last answer

local record = {}

record.STATUS_NAMES = {'alive', 'suspect', 'dead', 'non-decryptable', 'left'}

-- Turns box.NULL into nil.
local function given(value)
    if value ~= nil then
        return value
    end
end

--- Makes a record of what the native library says.
---@param raw any[] URI, status, incarnation, payload, timestamp, clock delta
---@param known? membership.Record the record that this one replaces: an equal payload is not decoded again
---@return membership.Record
function record.new(raw, known)
    local status_number, bytes = raw[2], given(raw[4])
    return {
        uri = raw[1],
        status_number = status_number,
        status = record.STATUS_NAMES[status_number] or tostring(status_number),
        incarnation = tonumber(raw[3]), -- msgpack decodes large numbers as cdata
        bytes = bytes,
        template = known ~= nil and known.bytes == bytes and known.template or nil,
        timestamp = raw[5] + 0ULL, -- and small ones as numbers
        clock_delta = given(raw[6]),
    }
end

return record
