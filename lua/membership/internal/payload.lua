--- Payloads of members, from bytes to the tables that users get.
--
-- The native library has checked the bytes: they have numbers, strings, tables and four kinds of structs.
--
-- Each call of the API returns a table of its own. So a payload is decoded once, into a template, and instantiated for
-- each call, on which `members()` spends most of its time. The loops of `instantiate` count, and do not call `pairs`:
-- LuaJIT does not compile `next`.

local ffi = require('ffi')
local new_table = require('table.new')

local codec = require('membership.internal.codec')

---@class membership.Template
---@field length number how many elements of an array, not more than there are keys
---@field keys any[] first those of `values`, then those of `parts`
---@field values any[] those that cannot be edited in place, and so are shared
---@field parts? (membership.Template|membership.Struct)[] those that can, and so are copied
---@field metatable? table tells an empty map from an empty array

---@class membership.Struct
---@field ctype ffi.ctype*
---@field value ffi.cdata* a UUID, for instance

-- The types of structs, which can be edited in place and so are copied. All others are refused, above all those that
-- have pointers, such as errors and tuples: a copy would outlive what they point to.
local STRUCTS = {}

-- The types of values that cannot be edited, and so are shared.
local CONSTANTS = {ffi.typeof('int64_t'), ffi.typeof('uint64_t'), ffi.typeof('void *')}

-- Adds the type of what `make` returns, if this version of Tarantool has the module.
local function add_type(types, module, make)
    local found, library = pcall(require, module)
    if found then
        types[#types + 1] = ffi.typeof(make(library))
    end
end

add_type(STRUCTS, 'decimal', function(decimal) return decimal.new(0) end)
add_type(STRUCTS, 'uuid', function(uuid) return uuid.new() end)
add_type(STRUCTS, 'datetime', function(datetime) return datetime.new() end)
add_type(STRUCTS, 'datetime', function(datetime) return datetime.interval.new() end)
add_type(CONSTANTS, 'varbinary', function(varbinary) return varbinary.new() end)

local function is_one_of(types, value)
    for i = 1, #types do
        if ffi.istype(types[i], value) then
            return types[i]
        end
    end
end

-- What a table and each of its values weigh: roughly, in units of 32 bytes of a template.
local TABLE_WEIGHT, VALUE_WEIGHT = 16, 1

---@param value table
---@return membership.Template
---@return number weight
local function template_of(value)
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
            local template, its_weight = template_of(item)
            weight = weight + its_weight
            add_part(key, template)
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
        length = math.min(#value, numbers), -- with gaps, `#value` may be the index before any of them
        keys = keys,
        values = values,
        parts = #parts > 0 and parts or nil,
        metatable = getmetatable(value),
    }, weight
end

--- Makes a new table from a template.
---@param template membership.Template
---@return table
local function instantiate(template)
    local keys, values, parts = template.keys, template.values, template.parts
    local count = #values
    local result = new_table(template.length, #keys - template.length)
    for i = 1, count do
        result[keys[i]] = values[i]
    end
    if parts ~= nil then
        for i = 1, #parts do
            local part = parts[i]
            result[keys[count + i]] = part.ctype and ffi.new(part.ctype, part.value) or instantiate(part)
        end
    end
    return template.metatable and setmetatable(result, template.metatable) or result
end

local EMPTY = template_of({})

--- Decodes a payload that came over the network.
---@param bytes string
---@return membership.Template
---@return number weight how much memory the template takes, in units of its own
---@return string|nil err why the payload cannot be decoded; then the template is that of an empty one
local function read(bytes)
    local value, err = codec.try_decode(bytes)
    if err ~= nil then
        return EMPTY, 0, err
    end
    local ok, template, weight = pcall(template_of, value)
    if not ok then
        return EMPTY, 0, tostring(template)
    end
    return template, weight
end

return {EMPTY = EMPTY, instantiate = instantiate, read = read}
