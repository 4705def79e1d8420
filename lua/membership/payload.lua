--- Payloads of members, from bytes to the tables that users get.
--
-- Every call of the API hands out a table of its own, so a payload is decoded once into a mould and cast from it as
-- often as it is asked for. Casting is what `members()` spends most of its time on. Its loops count, instead of calling
-- `pairs`: LuaJIT does not compile `next`.

local ffi = require('ffi')
local new_table = require('table.new')

local codec = require('membership.codec')

---@class membership.Mould
---@field length number how many elements of an array, not more than there are keys
---@field keys any[] first those of `values`, then those of `parts`
---@field values any[] what cannot be edited in place, and may be shared
---@field parts? (membership.Mould|membership.Struct)[] what can
---@field metatable? table says of an empty table whether it is a map or an array

---@class membership.Struct
---@field ctype ffi.ctype*
---@field value ffi.cdata* a UUID, for instance

-- Whether a value can be edited in place, as structs of the FFI can. Numbers of 64 bits and box.NULL cannot.
local function is_struct(value)
    return type(value) == 'cdata'
        and tonumber(value) == nil
        and not ffi.istype('void *', value)
        and pcall(ffi.new, ffi.typeof(value), value) -- some cannot be copied, nor written to
end

---@param value table
---@return membership.Mould
local function mould_of(value)
    local keys, values, part_keys, parts = {}, {}, {}, {}
    local numbers = 0
    for key, item in pairs(value) do
        if type(key) == 'number' then
            numbers = numbers + 1
        end
        if type(item) == 'table' then
            part_keys[#part_keys + 1], parts[#parts + 1] = key, mould_of(item)
        elseif is_struct(item) then
            part_keys[#part_keys + 1], parts[#parts + 1] = key, {ctype = ffi.typeof(item), value = item}
        else
            keys[#keys + 1], values[#values + 1] = key, item
        end
    end
    for i = 1, #parts do
        keys[#values + i] = part_keys[i]
    end
    return {
        length = math.min(#value, numbers), -- in a map with gaps, `#value` may be any number next to one
        keys = keys,
        values = values,
        parts = #parts > 0 and parts or nil,
        metatable = getmetatable(value),
    }
end

--- Makes a new table of what a mould holds.
---@param mould membership.Mould
---@return table
local function cast(mould)
    local keys, values, parts = mould.keys, mould.values, mould.parts
    local count = #values
    local result = new_table(mould.length, #keys - mould.length)
    for i = 1, count do
        result[keys[i]] = values[i]
    end
    if parts ~= nil then
        for i = 1, #parts do
            local part = parts[i]
            result[keys[count + i]] = part.ctype and ffi.new(part.ctype, part.value) or cast(part)
        end
    end
    return mould.metatable and setmetatable(result, mould.metatable) or result
end

local EMPTY = mould_of({})

--- Reads a payload that came over the network.
---@param bytes string
---@return membership.Mould
---@return string|nil why it cannot be read; what is returned then stands for an empty payload
local function read(bytes)
    local value, err = codec.try_decode(bytes)
    if err ~= nil then
        return EMPTY, err
    end
    -- What cannot be cast is found out here, once, and not whenever somebody reads.
    local ok, mould = pcall(function()
        local mould = mould_of(value)
        cast(mould)
        return mould
    end)
    if not ok then
        return EMPTY, tostring(mould)
    end
    return mould
end

return {EMPTY = EMPTY, cast = cast, read = read}
