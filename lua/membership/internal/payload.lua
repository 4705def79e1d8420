--- Payloads of members, from bytes to the tables that users get.
--
-- The core has let in what is harmless: numbers, texts, tables and four kinds of structs.
--
-- Every call of the API hands out a table of its own, so a payload is decoded once into a mould and cast from it as
-- often as it is asked for. Casting is what `members()` spends most of its time on. Its loops count, instead of calling
-- `pairs`: LuaJIT does not compile `next`.

local ffi = require('ffi')
local new_table = require('table.new')

local codec = require('membership.internal.codec')

---@class membership.Mould
---@field length number how many elements of an array, not more than there are keys
---@field keys any[] first those of `values`, then those of `parts`
---@field values any[] what cannot be edited in place, and may be shared
---@field parts? (membership.Mould|membership.Struct)[] what can
---@field metatable? table says of an empty table whether it is a map or an array

---@class membership.Struct
---@field ctype ffi.ctype*
---@field value ffi.cdata* a UUID, for instance

-- The types of structs, which can be edited in place and so are copied. No others are let in, above all none with
-- pointers in them, as errors and tuples have: what they point to does not live as long as a copy.
local STRUCTS = {}

-- What cannot be edited, and may be shared.
local CONSTANTS = {ffi.typeof('int64_t'), ffi.typeof('uint64_t'), ffi.typeof('void *')}

-- Adds a type, if this version of Tarantool has it.
local function know(types, module, make)
    local there, library = pcall(require, module)
    if there then
        types[#types + 1] = ffi.typeof(make(library))
    end
end

know(STRUCTS, 'decimal', function(decimal) return decimal.new(0) end)
know(STRUCTS, 'uuid', function(uuid) return uuid.new() end)
know(STRUCTS, 'datetime', function(datetime) return datetime.new() end)
know(STRUCTS, 'datetime', function(datetime) return datetime.interval.new() end)
know(CONSTANTS, 'varbinary', function(varbinary) return varbinary.new() end)

local function is_one_of(types, value)
    for i = 1, #types do
        if ffi.istype(types[i], value) then
            return types[i]
        end
    end
end

-- What a table and what its values weigh, roughly in 32 bytes of a mould.
local TABLE_WEIGHT, VALUE_WEIGHT = 16, 1

---@param value table
---@return membership.Mould
---@return number weight
local function mould_of(value)
    local keys, values, part_keys, parts = {}, {}, {}, {}
    local numbers, weight = 0, TABLE_WEIGHT
    local function add_part(key, part)
        part_keys[#part_keys + 1], parts[#parts + 1] = key, part
    end
    for key, item in pairs(value) do
        weight = weight + VALUE_WEIGHT
        if type(key) == 'number' then
            numbers = numbers + 1
        end
        local struct = type(item) == 'cdata' and is_one_of(STRUCTS, item)
        if type(item) == 'table' then
            local mould, its_weight = mould_of(item)
            weight = weight + its_weight
            add_part(key, mould)
        elseif struct then
            add_part(key, {ctype = struct, value = item})
        elseif type(item) == 'cdata' and not is_one_of(CONSTANTS, item) then
            error(('a payload has no values of type %s'):format(ffi.typeof(item)))
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
    }, weight
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
---@return number weight of the mould: so much memory it takes, in some unit
---@return string|nil why it cannot be read; what is returned then stands for an empty payload
local function read(bytes)
    local value, err = codec.try_decode(bytes)
    if err ~= nil then
        return EMPTY, 0, err
    end
    local ok, mould, weight = pcall(mould_of, value)
    if not ok then
        return EMPTY, 0, tostring(mould)
    end
    return mould, weight
end

return {EMPTY = EMPTY, cast = cast, read = read}
