--- The member table as Lua sees it: a copy, decoded once and kept up with by asking the core what has changed.
--
-- This is what makes reads cheap: no lock, no decoding and no call into the core.

local ffi = require('ffi')

local codec = require('membership.internal.codec')
local core = require('membership.internal.native')
local log_writer = require('membership.internal.log_writer')
local payloads = require('membership.internal.payload')

---@class membership.Record what is known of a member; replaced when that changes
---@field uri string
---@field number number the status, as it is on the wire
---@field status string the status, as users see it
---@field incarnation number
---@field timestamp ffi.cdata* uint64, µs
---@field clock_delta? number µs
---@field bytes? string the payload, encoded
---@field mould? membership.Mould the payload, decoded; nil until it is read
---@field at? number its place in `list`, if it is part of the copy

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

-- A table of up to so many members is copied as it changes.
local FOLLOWED_MAX = 4096

-- How many members that were looked up one by one are remembered.
local FOUND_MAX = 1024

-- Outlives a reload of this file.
local state = core.persistent.mirror
if state == nil then
    state = {
        -- The copy of the whole table.
        version = 0, -- of the core's table, up to which the copy is complete
        origin = 0, -- its version when the copy was begun anew
        before = nil, -- while it is begun anew: the records that it replaces, by URI
        list = {}, -- of records, in no order: loops over it can be compiled
        by_uri = {},
        -- Members that were looked up one by one, as of one version of the core's table.
        found_version = 0,
        found_count = 0,
        found = {}, -- by URI: a record, or false for a member that is unknown
        found_myself = nil,
        moulds_weight = 0, -- of the payloads decoded since they were last forgotten
    }
    core.persistent.mirror = state
end

-- The core keeps two numbers up to date here: the versions of its table at the last change, and at the last news. So
-- most reads need not call it.
local progress = ffi.cast('const volatile double *', core.progress_address())

local function version()
    return progress[0]
end

--- The number of the last change that subscribers are told of.
---@return number -1 when the engine has failed
local function news()
    return progress[1]
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
    record.at = here ~= nil and here.at or #state.list + 1
    state.list[record.at] = record
    state.by_uri[uri] = record
    if known == nil or known.number ~= record.number or known.incarnation ~= record.incarnation then
        local text = known == nil and 'Adding: %s (inc. %d) is %s' or 'Rumor: %s (inc. %d) is %s'
        log_writer.debug({text, uri, record.incarnation, record.status})
    end
end

local function begin_anew()
    local before = state.by_uri
    for uri, record in pairs(state.before or {}) do -- it was not done with the last time
        before[uri] = before[uri] or record
    end
    state.list, state.by_uri, state.before = {}, {}, before
end

--- Copies some of what the core has new, and at most so much that it takes a millisecond or two.
---@return boolean|nil complete whether that was all
---@return string|number|nil err, or the version that the core's table had
local function advance()
    if state.version == version() then
        return true, state.version
    end
    local blob, err = core.changes(state.version, state.origin)
    if err ~= nil then
        return nil, err
    elseif blob == nil then
        return true, state.version
    end
    local reached, origin, latest, reset, changed, gone = unpack(codec.decode(blob), 1, 6)
    if reset then
        begin_anew()
    end
    for _, uri in ipairs(gone) do
        remove(uri)
    end
    for _, raw in ipairs(changed) do
        put(raw)
    end
    state.version, state.origin = tonumber(reached), tonumber(origin)
    if state.version >= state.origin then
        state.before = nil
    end
    return reached == latest, tonumber(latest)
end

--- Catches up with the core, as it is at this moment.
---@return membership.Record[]|nil list of all members
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
    return state.list
end

--- Copies some of what is new, so that little is left for reads. But a large table, which strangers may have made up,
-- is copied when a program reads it: LuaJIT's collector stops the thread for a time in proportion to it.
---@return boolean|nil complete whether nothing is left to be copied; nil when the engine has failed
local function follow()
    if #state.list > FOLLOWED_MAX and not log_writer.wants_debug() then
        return true
    end
    return (advance())
end

local function forget_found(now)
    state.found, state.found_count, state.found_myself = {}, 0, nil
    state.found_version = now
end

local function look_up(uri)
    local blob, err = core.member(uri)
    if err ~= nil then
        return nil, err
    end
    local record = blob ~= nil and to_record(codec.decode(blob), state.by_uri[uri])
    if uri == nil then
        state.found_myself = record
    else
        state.found[uri] = record
        state.found_count = state.found_count + 1
    end
    return record
end

--- What is known of one member by now. Takes no longer if there is much else that is new.
---@param uri string|nil by default, myself
---@return membership.Record|nil
---@return string|nil err
local function find(uri)
    follow()
    local now = version()
    if uri ~= nil and state.version == now then
        return state.by_uri[uri]
    elseif state.found_version ~= now or state.found_count >= FOUND_MAX then
        forget_found(now)
    end
    local record
    if uri == nil then
        record = state.found_myself
    else
        record = state.found[uri]
    end
    if record == nil then
        local err
        record, err = look_up(uri)
        if err ~= nil then
            return nil, err
        end
    end
    return record or nil
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
        log_writer.debug({'Cannot decode the payload of %s: %s', record.uri, err})
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

--- The same of what the core says of a member, which is not kept.
---@return membership.MemberInfo
local function describe_raw(raw)
    return describe(to_record(raw, state.by_uri[raw[1]]))
end

return {
    STATUS_NAMES = STATUS_NAMES,
    current = current,
    describe = describe,
    describe_raw = describe_raw,
    find = find,
    follow = follow,
    news = news,
}
