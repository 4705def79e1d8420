--- The recorded datagrams of the Lua rock, and a reader of MessagePack that tells every marker.
--
-- The reader is independent of Tarantool's msgpack on purpose: that one decodes a double 7.0 and a fixint 7
-- to the same number, and the tests care which of them was on the wire.

local fio = require('fio')
local json = require('json')

local LIB = fio.abspath(debug.getinfo(1, 'S').source:match('^@(.*/)'))
local RECORDED = fio.pathjoin(fio.dirname(LIB), 'vectors', 'old-rock.jsonl')

local vectors = {}

local function bytes_of_key(key)
    if type(key) == 'table' then
        return key['$str_hex']:fromhex()
    end
    return key
end

--- All of them, in order. `datagram` is what was on the wire, `plain` what it was before encryption.
function vectors.load()
    local list = {}
    for line in io.lines(RECORDED) do
        local vector = json.decode(line)
        vector.key = bytes_of_key(vector.key)
        vector.datagram = vector.hex:fromhex()
        vector.plain = vector.plain_hex and vector.plain_hex:fromhex() or vector.datagram
        table.insert(list, vector)
    end
    return list
end

--- One of them by its name.
function vectors.find(list, name)
    for _, vector in ipairs(list) do
        if vector.name == name then
            return vector
        end
    end
    error('no vector has the name ' .. name)
end

-- Reading: each function gets the bytes and the position behind the marker, and returns a node and the
-- position behind the value. A node is {text =} for a scalar, {open =, items =} for an array and
-- {open =, pairs =} for a map.

local function big_endian(bytes, position, size)
    local number = 0ULL
    for i = position, position + size - 1 do
        number = number * 256ULL + bytes:byte(i)
    end
    return number
end

local function integer_text(number)
    return (tostring(number):gsub('U?LL$', ''))
end

--- The shortest decimal that reads back as the same double.
local function double_text(number)
    if number ~= number then
        return 'nan'
    elseif math.abs(number) == math.huge then
        return number > 0 and 'inf' or '-inf'
    end
    for precision = 1, 17 do
        local text = ('%.' .. precision .. 'g'):format(number)
        if tonumber(text) == number then
            return text:find('[.e]') and text or text .. '.0'
        end
    end
end

local ffi = require('ffi')

local function float_reader(name, ctype, size)
    return function(bytes, position)
        local raw = bytes:sub(position, position + size - 1):reverse()
        local number = tonumber(ffi.cast(ctype .. '*', ffi.cast('const char *', raw))[0])
        return {text = name .. ':' .. double_text(number)}, position + size
    end
end

local function unsigned_reader(name, size)
    return function(bytes, position)
        return {text = name .. ':' .. integer_text(big_endian(bytes, position, size))}, position + size
    end
end

local function signed_reader(name, size)
    return function(bytes, position)
        local number = ffi.cast('int64_t', big_endian(bytes, position, size))
        local unused = 64 - size * 8
        number = bit.arshift(bit.lshift(number, unused), unused)
        return {text = name .. ':' .. integer_text(number)}, position + size
    end
end

local function escape(string)
    return (string:gsub('[^\32-\126]', function(char)
        return ('\\x%02x'):format(char:byte())
    end))
end

local function read_string(name, bytes, position, size)
    local string = bytes:sub(position, position + size - 1)
    return {text = ('%s:"%s"'):format(name, escape(string)), string = string}, position + size
end

local function read_extension(bytes, position, size)
    local text = ('ext(%d):%s'):format(bytes:byte(position), bytes:sub(position + 1, position + size):hex())
    return {text = text}, position + 1 + size
end

local read

local function read_array(name, bytes, position, count)
    local items = {}
    for i = 1, count do
        items[i], position = read(bytes, position)
    end
    return {open = name, items = items}, position
end

local function read_map(name, bytes, position, count)
    local entries = {}
    for i = 1, count do
        local entry = {}
        entry.key, position = read(bytes, position)
        entry.value, position = read(bytes, position)
        entries[i] = entry
    end
    return {open = name, pairs = entries}, position
end

--- A reader of something that says its size in `header` bytes.
local function sized(reader, name, header)
    return function(bytes, position)
        local size = tonumber(big_endian(bytes, position, header))
        return reader(name, bytes, position + header, size)
    end
end

local function sized_extension(header)
    return function(bytes, position)
        local size = tonumber(big_endian(bytes, position, header))
        return read_extension(bytes, position + header, size)
    end
end

local function constant(text)
    return function(_, position)
        return {text = text}, position
    end
end

local function fixed_extension(size)
    return function(bytes, position)
        return read_extension(bytes, position, size)
    end
end

local READERS = {
    [0xc0] = constant('nil'), [0xc2] = constant('false'), [0xc3] = constant('true'),
    [0xc4] = sized(read_string, 'bin8', 1), [0xc5] = sized(read_string, 'bin16', 2),
    [0xc7] = sized_extension(1), [0xc8] = sized_extension(2),
    [0xca] = float_reader('f32', 'float', 4), [0xcb] = float_reader('f64', 'double', 8),
    [0xcc] = unsigned_reader('u8', 1), [0xcd] = unsigned_reader('u16', 2),
    [0xce] = unsigned_reader('u32', 4), [0xcf] = unsigned_reader('u64', 8),
    [0xd0] = signed_reader('i8', 1), [0xd1] = signed_reader('i16', 2),
    [0xd2] = signed_reader('i32', 4), [0xd3] = signed_reader('i64', 8),
    [0xd4] = fixed_extension(1), [0xd5] = fixed_extension(2), [0xd6] = fixed_extension(4),
    [0xd7] = fixed_extension(8), [0xd8] = fixed_extension(16),
    [0xd9] = sized(read_string, 'str8', 1), [0xda] = sized(read_string, 'str16', 2),
    [0xdc] = sized(read_array, 'array16', 2), [0xde] = sized(read_map, 'map16', 2),
}

function read(bytes, position)
    local marker = bytes:byte(position) or error('the bytes end too early')
    position = position + 1
    if marker < 0x80 then
        return {text = 'fixint:' .. marker}, position
    elseif marker < 0x90 then
        return read_map('fixmap', bytes, position, marker - 0x80)
    elseif marker < 0xa0 then
        return read_array('fixarray', bytes, position, marker - 0x90)
    elseif marker < 0xc0 then
        return read_string('fixstr', bytes, position, marker - 0xa0)
    elseif marker >= 0xe0 then
        return {text = 'fixint:' .. marker - 256}, position
    end
    local reader = READERS[marker] or error(('marker %02x is not in use here'):format(marker))
    return reader(bytes, position)
end

--- The first value in the bytes as a tree of nodes.
function vectors.read(bytes)
    return (read(bytes, 1))
end

--- The tree as text. `in_order` sorts the entries of maps, whose order on the wire means nothing.
function vectors.render(node, in_order)
    if node.text then
        return node.text
    end
    local parts = {}
    for i, item in ipairs(node.items or {}) do
        parts[i] = vectors.render(item, in_order)
    end
    for i, entry in ipairs(node.pairs or {}) do
        parts[i] = vectors.render(entry.key, in_order) .. '=' .. vectors.render(entry.value, in_order)
    end
    if node.pairs and in_order then
        table.sort(parts)
    end
    local brackets = node.items and '[%s]' or '{%s}'
    return node.open .. brackets:format(table.concat(parts, ', '))
end

return vectors
