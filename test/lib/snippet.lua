--- Runs a statement of a document, in the process that it is about, and compares what comes of it with what the
-- document says.

local ffi = require('ffi')
local json = require('json')
local yaml = require('yaml')

local snippet = {}

-- Fields of a MemberInfo that nobody can foretell: only their type is compared.
local UNFORESEEABLE = {timestamp = true, clock_delta = true}

local function same(expected, got, name)
    if UNFORESEEABLE[name] then
        return type(expected) == type(got) and (type(got) ~= 'cdata' or ffi.typeof(expected) == ffi.typeof(got))
    elseif type(expected) ~= 'table' or type(got) ~= 'table' then
        return expected == got
    end
    for key, value in pairs(expected) do
        if not same(value, got[key], key) then
            return false
        end
    end
    for key in pairs(got) do
        if expected[key] == nil then
            return false
        end
    end
    return true
end

-- How much fits depends on the length of the URI, and so on the port that the test may use.
local function normalise(text)
    return (text:gsub('at most %d+ fit', 'at most N fit'))
end

local function sorted(lines)
    table.sort(lines)
    return table.concat(lines, '\n')
end

local function capture_print(lines)
    return function(...)
        local words = {}
        for i = 1, select('#', ...) do
            words[i] = tostring((select(i, ...)))
        end
        table.insert(lines, table.concat(words, '\t'))
    end
end

local function pack(...)
    return {count = select('#', ...), ...}
end

--- What it returns, what it raises, and the lines that it prints.
local function run(code)
    local chunk = assert(loadstring('return ' .. code, '=README') or loadstring(code, '=README'))
    local lines, original = {}, print
    rawset(_G, 'print', capture_print(lines))
    local results = pack(pcall(chunk))
    rawset(_G, 'print', original)
    if not results[1] then
        return nil, tostring(results[2]), lines
    end
    return pack(unpack(results, 2, results.count)), nil, lines
end

local function describe(results, err, lines)
    if err ~= nil then
        return 'error: ' .. err
    elseif #lines > 0 then
        return sorted(lines)
    end
    local words = {}
    for i = 1, results.count do
        local ok, text = pcall(json.encode, results[i])
        words[i] = ok and text or tostring(results[i])
    end
    return table.concat(words, ', ')
end

local function is_as_expected(expected, results, err, lines)
    local raised = expected:match('^error: (.*)$')
    if raised ~= nil or err ~= nil then
        -- Where it was raised is for another test.
        return raised ~= nil and err ~= nil and normalise(raised) == normalise(err:gsub('^README:%d+: ', ''))
    elseif #lines > 0 then
        return sorted(expected:split('\n')) == sorted(lines)
    end
    local wanted = pack(assert(loadstring('return ' .. expected))())
    return same(wanted, results)
end

--- Whether the code does what is expected: values as they are written in Lua, lines that it prints, in any order, or
-- `error: ` and what it raises. nil expects nothing but that it raises nothing. Returns, too, what it did.
function snippet.check(code, expected)
    local results, err, lines = run(code)
    local ok = err == nil
    if expected ~= nil then
        ok = is_as_expected(expected, results, err, lines)
    end
    return ok, describe(results, err, lines)
end

--- Whether the interactive console answers this line so; without an answer, that it is no error.
function snippet.check_console(line, expected)
    local output = require('console').eval(line)
    if expected == nil then
        return output:match('^%-%-%-\n%- error:') == nil, output
    end
    return same(yaml.decode(expected), yaml.decode(output)), output
end

return snippet
