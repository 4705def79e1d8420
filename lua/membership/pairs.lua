--- Lets `pairs` go through a table whose assignments are checked.
--
-- Such a table has no fields: Lua checks no assignment to a field that is there. `pairs` would ask a metamethod what to
-- go through in Lua 5.2, but the LuaJIT of Tarantool, up to 3.8 at least, does not ask that of tables. So a function
-- takes the place of the global `pairs`. It knows the tables that were made known here, and hands all others on by a
-- tail call, in which the original one sees its caller as ever: also where an error is to be told.

local core = require('membership.core')

-- Outlives a reload of this file. By table, what lists its fields.
local listed = core.lasting.pairs
if listed == nil then
    listed = setmetatable({}, {__mode = 'k'})
    core.lasting.pairs = listed
    local original = pairs
    rawset(_G, 'pairs', function(...)
        local list = listed[(...)]
        if list ~= nil then
            return next, list()
        end
        return original(...)
    end)
end

--- From now on `pairs(of)` goes through what `list` returns.
---@param of table
---@param list fun(): table
local function let_list(of, list)
    listed[of] = list
end

return let_list
