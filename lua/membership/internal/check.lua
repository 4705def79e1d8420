--- Errors, raised at the line that called the API. Those about arguments have the words of the rock `checks`.
--
-- The public function calls these itself, and not in a `return`: a tail call would hide its caller.

local check = {}

local CALLER = 3 -- 1 is the function below, 2 the public one
local PORT_MAX = 65535
local SHOWN_MAX = 100 -- bytes

--- What `is_port` expects.
check.PORT = 'port between 1 and ' .. PORT_MAX

--- Why a member is not asked or added: the caller is told, and nothing is raised.
check.REFUSALS = {
    ['parse error'] = true,
    ['its address is in none of ALLOWED_NETWORKS'] = true,
    ['it is not on the strict list of set_allowed_members'] = true,
}

--- What `is_path` expects.
check.PATH = 'path'

function check.is_path(text)
    return text ~= '' and not text:find('%z')
end

function check.is_port(number)
    return number >= 1 and number <= PORT_MAX and number % 1 == 0
end

--- Whether a table is a list of strings and nothing else. Other entries must not be skipped: that would be one URI, or
-- one key, less than the caller meant.
function check.is_list_of_strings(value)
    local count = 0
    for _, item in ipairs(value) do
        if type(item) ~= 'string' then
            return false
        end
        count = count + 1
    end
    for _ in pairs(value) do
        count = count - 1
    end
    return count == 0
end

local function escape(character)
    return ('\\%d'):format(character:byte())
end

--- A value as a text, for errors. They go to the log, a line each: of a long value the beginning is enough.
function check.show(value)
    local is_list = type(value) == 'table' and check.is_list_of_strings(value)
    local text = is_list and '{' .. table.concat(value, ', ') .. '}' or tostring(value)
    local shown = text:sub(1, SHOWN_MAX):gsub('%c', escape)
    return #text > SHOWN_MAX and shown .. '...' or shown
end

--- Raises: the argument has the wrong type. The text names the function, because pcall loses that name.
function check.fail(position, name, expected, value)
    error(('bad argument #%d to %s (%s expected, got %s)'):format(position, name, expected, type(value)), CALLER)
end

--- Raises: the argument has the right type, but not a possible value.
function check.fail_value(position, name, expected, value)
    error(('bad argument #%d to %s (%s expected, got %s)'):format(position, name, expected, check.show(value)), CALLER)
end

local function is_negative(value)
    return value < 0 or value ~= value -- NaN is not equal to itself
end

--- Checks the arguments of a function that waits for what is newer than a version.
---@param name string
---@param version any
---@param timeout any
---@return number version 0 if it is nil
---@return number|nil timeout
function check.version_and_timeout(name, version, timeout)
    if version == nil then -- or box.NULL, which is equal to nil
        version = 0
    elseif type(version) ~= 'number' then
        error(('bad argument #1 to %s (?number expected, got %s)'):format(name, type(version)), CALLER)
    elseif is_negative(version) then
        error(('bad argument #1 to %s (version expected, got %s)'):format(name, version), CALLER)
    end
    if timeout == nil then
        return version, nil -- and not box.NULL
    elseif type(timeout) ~= 'number' then
        error(('bad argument #2 to %s (?number expected, got %s)'):format(name, type(timeout)), CALLER)
    elseif is_negative(timeout) then
        error(('bad argument #2 to %s (number of seconds expected, got %s)'):format(name, timeout), CALLER)
    end
    return version, timeout
end

--- Checks a table of named arguments: each must be known, and nil or of its type.
---@param position number
---@param name string
---@param value any
---@param types table<string, string>
function check.named(position, name, value, types)
    if type(value) ~= 'table' then
        error(('bad argument #%d to %s (?table expected, got %s)'):format(position, name, type(value)), CALLER)
    end
    for key, item in pairs(value) do
        local expected = types[key]
        if expected == nil then
            error(('unexpected argument opts.%s to %s'):format(check.show(tostring(key)), name), CALLER)
        end
        -- box.NULL is nothing, too.
        if item ~= nil and type(item) ~= expected then
            local text = 'bad argument opts.%s to %s (?%s expected, got %s)'
            error(text:format(key, name, expected, type(item)), CALLER)
        end
    end
end

--- Returns what the native library has returned, or raises its error.
---@generic T
---@param value T|nil
---@param err string|nil
---@return T
function check.result(value, err)
    if err ~= nil then
        error(err, CALLER)
    end
    return value
end

return check
