--- Errors, raised at the line where the user called us; about arguments in the words of the rock `checks`.
--
-- To be called by the public function itself, and not in a `return`: a tail call would hide who called whom.

local check = {}

local CALLER = 3 -- 1 is the function below, 2 the public one

--- The argument is of another type. Its function is named, because that name gets lost in pcall.
function check.fail(position, name, expected, value)
    error(('bad argument #%d to %s (%s expected, got %s)'):format(position, name, expected, type(value)), CALLER)
end

--- The argument is of the right type, but cannot be that.
function check.fail_value(position, name, expected, value)
    error(('bad argument #%d to %s (%s expected, got %s)'):format(position, name, expected, tostring(value)), CALLER)
end

--- A table of named arguments: each must be known, and nil or of its type.
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
            error(('unexpected argument opts.%s to %s'):format(tostring(key), name), CALLER)
        end
        if type(item) ~= expected then
            local text = 'bad argument opts.%s to %s (?%s expected, got %s)'
            error(text:format(key, name, expected, type(item)), CALLER)
        end
    end
end

--- Passes on what the core has returned, or raises what it has complained of.
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
