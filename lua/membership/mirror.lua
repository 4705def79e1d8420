--- The member table as Lua sees it: decoded once, kept up with by asking the core what has changed.
--
-- This is what makes reads cheap: no lock, no decoding and no call into the core but "anything new since version V?".

local codec = require('membership.codec')
local core = require('membership.core')
local journal = require('membership.journal')
local lines = require('membership.lines')
local payloads = require('membership.payload')

---@class membership.Record what is known of a member; replaced when that changes
---@field uri string
---@field number number the status, as it is on the wire
---@field status string the status, as users see it
---@field incarnation number
---@field timestamp ffi.cdata* uint64, µs
---@field clock_delta? number µs
---@field bytes? string the payload, encoded
---@field mould membership.Mould the payload, decoded
---@field at number its place in `list`

---@class membership.MemberInfo
---@field uri string `host:port`, the identity of a member
---@field status 'alive'|'suspect'|'dead'|'left'|'non-decryptable'
---@field incarnation number rises when the member refutes a rumor or changes its payload; starts at 1
---@field payload table never nil
---@field timestamp ffi.cdata* uint64, µs: local time of the last change of status or incarnation
---@field clock_delta? number µs: the member's clock minus ours, as its last answer showed

local STATUS_NAMES = {'alive', 'suspect', 'dead', 'non-decryptable', 'left'}

-- Outlives a reload of this file.
local state = core.lasting.mirror
if state == nil then
    state = {
        version = 0, -- of the core's table, up to which this one is complete
        myself = nil, -- my URI
        list = {}, -- of records, in no order: loops over it can be compiled
        by_uri = {},
    }
    core.lasting.mirror = state
end

local function remove(uri)
    local record = state.by_uri[uri]
    if record == nil then
        return
    end
    local last = table.remove(state.list)
    if last ~= record then
        last.at = record.at
        state.list[record.at] = last
    end
    state.by_uri[uri] = nil
    journal.note_gone(uri)
end

local function given(value)
    if value ~= nil then -- nor box.NULL
        return value
    end
end

local function read_payload(uri, bytes, before)
    if bytes == nil then
        return payloads.EMPTY
    elseif before ~= nil and bytes == before.bytes then
        return before.mould
    end
    local mould, err = payloads.read(bytes)
    if err ~= nil then
        lines.debug({'Cannot decode the payload of %s: %s', uri, err})
    end
    return mould
end

---@return membership.Record
local function to_record(raw, before)
    local uri, number, bytes = raw[1], raw[2], given(raw[4])
    return {
        uri = uri,
        number = number,
        status = STATUS_NAMES[number] or tostring(number),
        incarnation = tonumber(raw[3]), -- the decoder makes cdata of what is large
        bytes = bytes,
        mould = read_payload(uri, bytes, before),
        timestamp = raw[5] + 0ULL, -- and numbers of what is not
        clock_delta = given(raw[6]),
    }
end

local function put(record, before)
    local claim_is_new = before == nil or before.number ~= record.number or before.incarnation ~= record.incarnation
    if claim_is_new or before.bytes ~= record.bytes then
        journal.note(record.uri)
    end
    record.at = state.by_uri[record.uri] and before.at or #state.list + 1
    state.list[record.at] = record
    state.by_uri[record.uri] = record
    if claim_is_new then
        local text = before == nil and 'Adding: %s (inc. %d) is %s' or 'Rumor: %s (inc. %d) is %s'
        lines.debug({text, record.uri, record.incarnation, record.status})
    end
end

-- Who was there before, and is not any more.
local function note_missing(before)
    for uri in pairs(before) do
        if state.by_uri[uri] == nil then
            journal.note_gone(uri)
        end
    end
end

local function apply(blob)
    local version, reset, changed, gone, myself = unpack(codec.decode(blob), 1, 5)
    local before = state.by_uri
    if reset then
        state.list, state.by_uri = {}, {}
    end
    for _, uri in ipairs(gone) do
        remove(uri)
    end
    for _, raw in ipairs(changed) do
        local known = before[raw[1]]
        put(to_record(raw, known), known)
    end
    if reset then
        note_missing(before)
    end
    state.version, state.myself = tonumber(version), given(myself)
end

--- Catches up with the core.
---@return {list: membership.Record[], by_uri: table<string, membership.Record>, myself?: string}|nil
---@return string|nil err
local function current()
    local blob, err = core.changes(state.version)
    if blob ~= nil then
        apply(blob)
    elseif err ~= nil then
        return nil, err
    end
    return state
end

--- Notes who I am by now: an identity that others had known before changes nothing in the table.
local function identify()
    state.myself = core.myself()
end

--- A table for the user, who may do with it what he likes.
---@param record membership.Record
---@return membership.MemberInfo
local function describe(record)
    return {
        uri = record.uri,
        status = record.status,
        incarnation = record.incarnation,
        payload = payloads.cast(record.mould),
        timestamp = record.timestamp,
        clock_delta = record.clock_delta,
    }
end

return {
    STATUS_NAMES = STATUS_NAMES,
    current = current,
    describe = describe,
    identify = identify,
}
