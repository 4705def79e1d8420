--- The member table as Lua sees it: decoded once, kept up with by asking the core what has changed.
--
-- This is what makes reads cheap: no lock, no decoding and no call into the core but "anything new since version V?".
-- The core answers in parts, so that the fiber that keeps up can yield between them.

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
---@field mould? membership.Mould the payload, decoded; nil until it is read
---@field at number its place in `list`

---@class membership.MemberInfo
---@field uri string `host:port`, the identity of a member
---@field status 'alive'|'suspect'|'dead'|'left'|'non-decryptable'
---@field incarnation number rises when the member refutes a rumor or changes its payload; starts at 1
---@field payload table never nil
---@field timestamp ffi.cdata* uint64, µs: local time of the last change of status or incarnation
---@field clock_delta? number µs: the member's clock minus ours, as its last answer showed

-- How much decoded payloads may weigh together (see membership.payload), some 100 MB at most: 65,536 members with
-- sixteen values each. Beyond that all are forgotten, and decoded again as they are read.
local MOULDS_WEIGHT_MAX = 2 ^ 21

local STATUS_NAMES = {'alive', 'suspect', 'dead', 'non-decryptable', 'left'}

-- Outlives a reload of this file.
local state = core.lasting.mirror
if state == nil then
    state = {
        version = 0, -- of the core's table, up to which this one is complete
        origin = 0, -- its version when this one was begun anew
        before = nil, -- while it is begun anew: the records that it replaces, by URI
        myself = nil, -- my URI
        moulds_weight = 0, -- of the payloads decoded since they were last forgotten
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

---@return membership.Record
local function to_record(raw, known)
    local number, bytes = raw[2], given(raw[4])
    return {
        uri = raw[1],
        number = number,
        status = STATUS_NAMES[number] or tostring(number),
        incarnation = tonumber(raw[3]), -- the decoder makes cdata of what is large
        bytes = bytes,
        mould = known ~= nil and known.bytes == bytes and known.mould or nil,
        timestamp = raw[5] + 0ULL, -- and numbers of what is not
        clock_delta = given(raw[6]),
    }
end

local function put(raw)
    local uri = raw[1]
    local here = state.by_uri[uri]
    local known = here or state.before ~= nil and state.before[uri] or nil
    local record = to_record(raw, known)
    local claim_is_new = known == nil or known.number ~= record.number or known.incarnation ~= record.incarnation
    if claim_is_new or known.bytes ~= record.bytes then
        journal.note(uri)
    end
    record.at = here ~= nil and here.at or #state.list + 1
    state.list[record.at] = record
    state.by_uri[uri] = record
    if claim_is_new then
        local text = known == nil and 'Adding: %s (inc. %d) is %s' or 'Rumor: %s (inc. %d) is %s'
        lines.debug({text, uri, record.incarnation, record.status})
    end
end

local function begin_anew()
    local before = state.by_uri
    for uri, record in pairs(state.before or {}) do -- it was not done with the last time
        before[uri] = before[uri] or record
    end
    state.list, state.by_uri, state.before = {}, {}, before
end

-- Who was there before, and is not any more.
local function note_missing()
    for uri in pairs(state.before) do
        if state.by_uri[uri] == nil then
            journal.note_gone(uri)
        end
    end
    state.before = nil
end

--- Takes some of what the core has new, and at most so much that it takes a millisecond or two.
---@return boolean|nil complete whether that was all
---@return string|number|nil err, or the version that the core's table had
local function advance()
    local blob, err = core.changes(state.version, state.origin)
    if blob == nil then
        if err ~= nil then
            return nil, err
        end
        return true, state.version
    end
    local version, origin, latest, reset, changed, gone, myself = unpack(codec.decode(blob), 1, 7)
    if reset then
        begin_anew()
    end
    for _, uri in ipairs(gone) do
        remove(uri)
    end
    for _, raw in ipairs(changed) do
        put(raw)
    end
    state.version, state.origin, state.myself = tonumber(version), tonumber(origin), given(myself)
    if state.before ~= nil and state.version >= state.origin then
        note_missing()
    end
    return version == latest, tonumber(latest)
end

--- Catches up with the core, as it is at this moment.
---@return {list: membership.Record[], by_uri: table<string, membership.Record>, myself?: string}|nil
---@return string|nil err
local function current()
    local complete, latest = advance()
    local goal = latest
    while not complete do
        if complete == nil then
            return nil, latest
        elseif state.version >= goal and state.before == nil then
            break -- since then more has happened
        end
        complete, latest = advance()
    end
    return state
end

--- What is known of one member by now. Takes no longer if there is much else that is new.
---@param uri string|nil by default, myself
---@return membership.Record|nil
---@return string|nil err
local function find(uri)
    local complete, err = advance()
    if complete == nil then
        return nil, err
    end
    uri = uri or state.myself
    if not complete and uri ~= nil then
        local blob = core.member(uri)
        if blob ~= nil then
            put(codec.decode(blob))
        else
            remove(uri)
        end
    end
    return state.by_uri[uri]
end

--- Notes who I am by now: an identity that others had known before changes nothing in the table.
local function identify()
    state.myself = core.myself()
end

local function forget_moulds()
    local list = state.list
    for i = 1, #list do
        list[i].mould = nil
    end
    state.moulds_weight = 0
end

-- The payload is decoded when it is first read: most of those that others send never are.
local function decode_payload(record)
    if record.bytes == nil then
        record.mould = payloads.EMPTY
        return payloads.EMPTY
    end
    local mould, weight, err = payloads.read(record.bytes)
    if err ~= nil then
        lines.debug({'Cannot decode the payload of %s: %s', record.uri, err})
    end
    if state.moulds_weight + weight > MOULDS_WEIGHT_MAX then
        forget_moulds()
    end
    state.moulds_weight = state.moulds_weight + weight
    record.mould = mould
    return mould
end

--- A table for the user, who may do with it what he likes.
---@param record membership.Record
---@return membership.MemberInfo
local function describe(record)
    return {
        uri = record.uri,
        status = record.status,
        incarnation = record.incarnation,
        payload = payloads.cast(record.mould or decode_payload(record)),
        timestamp = record.timestamp,
        clock_delta = record.clock_delta,
    }
end

return {
    STATUS_NAMES = STATUS_NAMES,
    advance = advance,
    current = current,
    describe = describe,
    find = find,
    identify = identify,
}
