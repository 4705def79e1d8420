--- Who has changed, and when: for those who ask what has changed since they last looked.
--
-- Changes are numbered. A reader remembers the number up to which it has read, and asks for what came later. Each
-- member is looked up at its last change only, so the journal is no longer than the table, and as long again.

local core = require('membership.core')

-- How many members that are gone are remembered. A reader who has missed more of them gets the whole table instead.
local GONE_MAX = 65536

-- Outlives a reload of this file.
local state = core.lasting.journal
if state == nil then
    state = {
        number = 0, -- of the last change
        horizon = 0, -- what happened up to here is not remembered in full
        numbers = {}, -- the numbers of the changes, rising
        uris = {}, -- and who has changed
        present = {}, -- by URI, the number of the last change of one who is there
        gone = {}, -- and of one who is not
        present_count = 0,
        gone_count = 0,
    }
    core.lasting.journal = state
end

local function last_change(uri)
    return state.present[uri] or state.gone[uri]
end

-- Leaves out what is outdated by a later change, and the oldest of those who are gone if there are too many.
local function compact()
    local numbers, uris = {}, {}
    for i, uri in ipairs(state.uris) do
        local number = state.numbers[i]
        if last_change(uri) == number then
            if state.gone[uri] and state.gone_count > GONE_MAX then
                state.gone[uri] = nil
                state.gone_count = state.gone_count - 1
                state.horizon = number
            else
                numbers[#numbers + 1], uris[#uris + 1] = number, uri
            end
        end
    end
    state.numbers, state.uris = numbers, uris
end

local function enter(uri)
    state.number = state.number + 1
    local count = #state.numbers + 1
    state.numbers[count], state.uris[count] = state.number, uri
    -- So seldom that it costs each change no more than a few steps.
    if count > 64 + 2 * (state.present_count + math.min(state.gone_count, GONE_MAX)) then
        compact()
    end
end

local journal = {}

--- The number of the last change.
function journal.number()
    return state.number
end

--- Notes that a member is new, or has changed.
function journal.note(uri)
    if state.gone[uri] then
        state.gone[uri] = nil
        state.gone_count = state.gone_count - 1
    end
    if not state.present[uri] then
        state.present_count = state.present_count + 1
    end
    state.present[uri] = state.number + 1
    enter(uri)
end

--- Notes that a member is gone.
function journal.note_gone(uri)
    if state.present[uri] then
        state.present[uri] = nil
        state.present_count = state.present_count - 1
    end
    if not state.gone[uri] then
        state.gone_count = state.gone_count + 1
    end
    state.gone[uri] = state.number + 1
    enter(uri)
end

--- Who has changed after change number `version`, each once.
---@param version number
---@return string[]|nil uris nil if that is not known any more, or was never so
function journal.since(version)
    if version < state.horizon or version > state.number then
        return nil
    end
    local result = {}
    for i = #state.numbers, 1, -1 do
        local number, uri = state.numbers[i], state.uris[i]
        if number <= version then
            break
        elseif last_change(uri) == number then
            result[#result + 1] = uri
        end
    end
    return result
end

return journal
