--- Reading one member, which takes no longer where there is much else that is new.

local codec = require('membership.internal.codec')
local core = require('membership.internal.native')
local mirror = require('membership.internal.mirror')
local record = require('membership.internal.record')

-- How many answers are kept.
local ANSWERS_MAX = 1024

-- Outlives a reload of this file. The answers of the native library, as of one version of its member table.
local state = core.persistent.lookup
if state == nil then
    state = {
        version = 0,
        count = 0,
        by_uri = {}, -- a record, or false for a member that is unknown
        myself = nil, -- the same, of this instance
    }
    core.persistent.lookup = state
end

local function forget(version)
    state.version, state.count, state.by_uri, state.myself = version, 0, {}, nil
end

local function ask(uri)
    local blob, err = core.member(uri)
    if err ~= nil then
        return nil, err
    end
    local answer = false
    if blob ~= nil then
        local raw = codec.decode(blob)
        answer = record.new(raw, mirror.get(raw[1]))
    end
    if uri == nil then
        state.myself = answer
    else
        state.by_uri[uri] = answer
        state.count = state.count + 1
    end
    return answer
end

local lookup = {}

--- Returns what is known of one member at this moment.
---@param uri string|nil by default, this instance
---@return membership.Record|nil
---@return string|nil err
function lookup.find(uri)
    local version, is_copied = mirror.progress()
    if uri ~= nil and is_copied then
        return mirror.get(uri)
    elseif state.version ~= version or state.count >= ANSWERS_MAX then
        forget(version)
    end
    local answer, err
    if uri == nil then
        answer = state.myself
    else
        answer = state.by_uri[uri]
    end
    if answer == nil then
        answer, err = ask(uri)
    end
    return answer or nil, err
end

return lookup
