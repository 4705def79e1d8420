-- Reads payloads as the module does, and does with them what programs do that use it; see main.rs.
-- usage: tarantool reader.lua DIRECTORY_OF_THE_MODULE
--
-- In:  count, and so many times: size, payload. Out, for each: '+', '?' or '-', size, text. Numbers are of 4 bytes,
-- big-endian. '+' comes with what Tarantool encodes of the payload, '-' with an error.

package.path = arg[1] .. '/?.lua;' .. package.path

local ffi = require('ffi')
local json = require('json')
local yaml = require('yaml')

local codec = require('membership.internal.codec')
local payloads = require('membership.internal.payload')

local KNOWS_DATETIME = pcall(require, 'datetime')

local function read_number()
    local bytes = io.stdin:read(4)
    if bytes == nil then
        os.exit(0) -- the test is over
    end
    local a, b, c, d = bytes:byte(1, 4)
    return ((a * 256 + b) * 256 + c) * 256 + d
end

local function write(verdict, text)
    local size = #text
    io.stdout:write(verdict, string.char(0, math.floor(size / 65536), math.floor(size / 256) % 256, size % 256), text)
end

local function is_reference(value)
    local ctype = tostring(ffi.typeof(value))
    return ctype:find('&', 1, true) or ctype:find('*', 1, true) and not ffi.istype('void *', value)
end

-- All that there is in a value, printed, in some order.
local function print_all(value, lines)
    if type(value) == 'table' then
        for key, item in pairs(value) do
            print_all(key, lines)
            print_all(item, lines)
        end
    else
        if type(value) == 'cdata' and is_reference(value) then
            error('it has a reference: ' .. tostring(ffi.typeof(value)))
        end
        table.insert(lines, tostring(value))
    end
    return lines
end

local function printed(value)
    local lines = print_all(value, {})
    table.sort(lines)
    return table.concat(lines, '\n')
end

-- What a program has kept, and how it was printed at that time.
local kept = {}

local function use(bytes)
    local template, _, err = payloads.read(bytes)
    if err ~= nil then
        error(err, 0)
    end
    local value, another = payloads.instantiate(template), payloads.instantiate(template)
    local text = printed(value)
    assert(text == printed(another), 'two copies differ')
    table.insert(kept, {value = value, text = text})
    json.encode(value)
    yaml.encode(value)
    return codec.encode(value)
end

local function answer(bytes)
    local ok, result = pcall(use, bytes)
    if ok then
        write('+', result)
    elseif not KNOWS_DATETIME and tostring(result):find('xtension.*: [46]') then
        write('?', '')
    else
        write('-', tostring(result))
    end
end

-- Whatever else a copy had pointed to is gone by then.
local function look_again()
    collectgarbage()
    for _, one in ipairs(kept) do
        assert(printed(one.value) == one.text, 'what was kept has changed')
    end
    kept = {}
end

while true do
    local batch = {}
    for i = 1, read_number() do
        batch[i] = io.stdin:read(read_number())
    end
    for _, bytes in ipairs(batch) do
        answer(bytes)
    end
    look_again()
    io.stdout:flush()
end
