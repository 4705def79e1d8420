--- A copy of the member table. It makes reads cheap: they need no lock, no decoding and no call of the native library.
--
-- The copy follows the table by asking the native library what has changed.

local ffi = require('ffi')

local codec = require('membership.internal.codec')
local core = require('membership.internal.native')
local log_writer = require('membership.internal.log_writer')
local payloads = require('membership.internal.payload')
local record = require('membership.internal.record')

-- How much the decoded payloads may weigh together (see membership.internal.payload), some 100 MB at most: those of
-- 65,536 members with sixteen values each. Beyond that, all are dropped, and decoded again when they are read.
local TEMPLATES_WEIGHT_MAX = 2 ^ 21

-- A table of at most so many members is copied as it changes.
local FOLLOWED_MAX = 4096

-- Outlives a reload of this file.
local state = core.persistent.mirror
if state == nil then
    state = {
        version = 0, -- of the table, up to which the copy is complete
        origin = 0, -- the version of the table when the copy was last begun anew
        previous = nil, -- until the copy that was begun anew is complete: the records before it, by URI
        list = {}, -- of records, in no order: LuaJIT compiles loops over it
        by_uri = {},
        templates_weight = 0, -- of the payloads decoded since all were last dropped
    }
    core.persistent.mirror = state
end

-- Three numbers in memory that the native library keeps up to date: the version of the table, that of the last change
-- which subscribers are notified of, and the number of members. So most reads need not call the library. A loop that
-- LuaJIT has compiled may go on with the numbers that it has read, until it yields or calls C.
local progress = ffi.cast('const volatile double *', core.progress_address())

local mirror = {}

-- Returns the version of the table of the native library, -1 when the engine has failed.
local function version()
    return progress[0]
end

--- Returns the number of the last change that subscribers are notified of.
---@return number -1 when the engine has failed
function mirror.news()
    return progress[1]
end

local function remove(uri)
    local removed = state.by_uri[uri]
    if removed == nil then
        return
    end
    -- The last of the list takes its place.
    local last = table.remove(state.list)
    if last ~= removed then
        last.index = removed.index
        state.list[removed.index] = last
    end
    state.by_uri[uri] = nil
end

local function log_change(known, new)
    if known == nil then
        log_writer.debug({'Adding: %s (inc. %d) is %s', new.uri, new.incarnation, new.status})
    elseif known.status_number ~= new.status_number or known.incarnation ~= new.incarnation then
        log_writer.debug({'Rumor: %s (inc. %d) is %s', new.uri, new.incarnation, new.status})
    end
end

local function put(raw)
    local uri = raw[1]
    local replaced = state.by_uri[uri]
    local known = replaced
    if known == nil and state.previous ~= nil then
        known = state.previous[uri]
    end
    local new = record.new(raw, known)
    new.index = replaced ~= nil and replaced.index or #state.list + 1
    state.list[new.index] = new
    state.by_uri[uri] = new
    log_change(known, new)
end

local function begin_anew()
    local previous = state.by_uri
    if state.previous ~= nil then -- the last copy was not complete: take the rest from the one before
        for uri, old in pairs(state.previous) do
            previous[uri] = previous[uri] or old
        end
    end
    state.list, state.by_uri, state.previous = {}, {}, previous
end

--- Copies changes, in so many parts at most, each of which takes a millisecond or two.
---@param parts number all at once, as of one moment
---@return boolean|nil complete whether the copy has all; nil on an error
---@return string|number|nil err, or the version that the table had
local function advance(parts)
    local blob, err = core.changes(state.version, state.origin, parts)
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
        state.previous = nil
    end
    return reached == latest, tonumber(latest)
end

--- Brings the copy to the version that the table has at this moment, or a later one: a member that was not in the copy
-- yet, and has changed since, has a later one. The engine may change members as fast as they are copied here, so more
-- and more are copied at once.
---@return membership.Record[]|nil list of all members
---@return string|nil err
function mirror.current()
    local parts = 1
    local complete, latest = advance(parts)
    local goal = latest
    while not complete do
        if complete == nil then
            return nil, latest
        elseif state.version >= goal then
            parts = 2 * parts
        end
        complete, latest = advance(parts)
    end
    return state.list
end

--- Copies some changes in advance, so that little is left for reads. A larger table, as flooding peers can make it, is
-- copied only when a program reads it: LuaJIT's collector stops the thread for a time in proportion to the copy.
---@return boolean|nil complete whether nothing is left to copy in advance; nil when the engine has failed
function mirror.follow()
    if state.version == version() then
        return true
    elseif progress[2] > FOLLOWED_MAX and not log_writer.wants_debug() then
        return true
    end
    return (advance(1))
end

--- Returns what the copy has of a member, which may be old.
---@param uri string
---@return membership.Record|nil
function mirror.get(uri)
    return state.by_uri[uri]
end

--- Copies some changes in advance, and tells how far that went.
---@return number version of the table of the native library
---@return boolean complete whether the copy is complete up to that version
function mirror.progress()
    mirror.follow()
    local now = version()
    return now, state.version == now
end

local function drop_templates()
    local list = state.list
    for i = 1, #list do
        list[i].template = nil
    end
    state.templates_weight = 0
end

-- Payloads are decoded when a program first reads them: most never are. Only those of the copy are counted: they are
-- kept for as long as their members, and can be dropped.
local function decode_payload(described)
    if described.bytes == nil then
        described.template = payloads.EMPTY
        return payloads.EMPTY
    end
    local template, weight, err = payloads.read(described.bytes)
    if err ~= nil then
        log_writer.debug({'Cannot decode the payload of %s: %s', described.uri, err})
    end
    if described.index ~= nil then
        if state.templates_weight + weight > TEMPLATES_WEIGHT_MAX then
            drop_templates()
        end
        state.templates_weight = state.templates_weight + weight
    end
    described.template = template
    return template
end

--- Makes a table that belongs to the caller, who may edit it.
---@param described membership.Record
---@return membership.MemberInfo
function mirror.describe(described)
    return {
        uri = described.uri,
        status = described.status,
        incarnation = described.incarnation,
        payload = payloads.instantiate(described.template or decode_payload(described)),
        timestamp = described.timestamp,
        clock_delta = described.clock_delta,
    }
end

--- Does the same with what the native library says of a member, and does not keep it.
---@param raw any[] see membership.internal.record
---@return membership.MemberInfo
function mirror.describe_raw(raw)
    return mirror.describe(record.new(raw, mirror.get(raw[1])))
end

return mirror
