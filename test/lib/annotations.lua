--- The annotations for editors (LuaLS), as far as this project uses them: read from the sources, and compared with what
-- is so.
--
-- Runs in the instance under test, since cdata does not cross to the test.

local fio = require('fio')
local files = require('files')

local annotations = {}

-- Types ------------------------------------------------------------------------------------------------------------
--
-- A type is a table with a `kind`: 'name', 'literal', 'array', 'map', 'table', 'function' or 'union'.

local Parser = {}
Parser.__index = Parser

--- Skips spaces, and takes what the pattern matches, if it does.
function Parser:take(pattern)
    local space, taken = self.text:match('^(%s*)(' .. pattern .. ')', self.at)
    if taken ~= nil then
        self.at = self.at + #space + #taken
    end
    return taken
end

function Parser:expect(pattern)
    return self:take(pattern) or error(('%s expected in "%s" at %d'):format(pattern, self.text, self.at))
end

--- The types behind a function: those that it returns.
function Parser:returns()
    local results = {}
    if self:take(':') then
        repeat
            table.insert(results, self:union())
        until not self:take(',')
    end
    return results
end

--- `{a: T, b?: T}`, and the parameters of a function: names with their types, up to what closes them.
function Parser:fields(close)
    local fields = {}
    while not self:take(close) do
        if not self:take('%.%.%.') then
            local name = self:expect('[%w_]+')
            local is_optional = self:take('%?') ~= nil
            self:expect(':')
            table.insert(fields, {name = name, type = self:union(), is_optional = is_optional})
        end
        self:take(',')
    end
    return fields
end

function Parser:primary()
    local literal = self:take("'[^']*'")
    if literal ~= nil then
        return {kind = 'literal', value = literal:sub(2, -2)}
    elseif self:take('false') then
        return {kind = 'literal', value = false}
    elseif self:take('{') then
        return {kind = 'table', fields = self:fields('}')}
    elseif self:take('%(') then
        local inner = self:union()
        self:expect('%)')
        return inner
    elseif self:take('fun%(') then
        local params = self:fields('%)')
        return {kind = 'function', params = params, returns = self:returns()}
    elseif self:take('table<') then
        local key = self:union()
        self:expect(',')
        local value = self:union()
        self:expect('>')
        return {kind = 'map', key = key, value = value}
    end
    return {kind = 'name', name = self:expect('[%a_][%w_.]*%*?')}
end

function Parser:suffixed()
    local found = self:primary()
    while self:take('%[%]') do
        found = {kind = 'array', item = found}
    end
    return found
end

function Parser:union()
    local members = {self:suffixed()}
    while self:take('|') do
        table.insert(members, self:suffixed())
    end
    return #members == 1 and members[1] or {kind = 'union', members = members}
end

--- The types that a text begins with, separated by commas.
local function parse_types(text)
    local parser, types = setmetatable({text = text, at = 1}, Parser), {}
    repeat
        table.insert(types, parser:union())
    until not parser:take(',')
    return types
end

-- Sources ----------------------------------------------------------------------------------------------------------

--- Adds a line of annotation to what is known of classes, aliases and the function below.
local function read_tag(all, pending, tag, text)
    if tag == 'class' then
        local name, parent = text:match('^([%w_.]+):?%s*([%w_.]*)')
        pending.class = {parent = text:match('^[%w_.]+:') and parent or nil, fields = {}}
        all.classes[name] = pending.class
    elseif tag == 'alias' then
        local name, definition = text:match('^(%S+)%s+(.*)$')
        all.aliases[name] = parse_types(definition)[1]
    elseif tag == 'field' then
        local name, optional, definition = text:match("^%[?'?([%w_-]+)'?%]?(%??)%s+(.*)$")
        pending.class.fields[name] = {type = parse_types(definition)[1], is_optional = optional == '?'}
    elseif tag == 'param' then
        local name, optional, definition = text:match('^([%w_]+)(%??)%s+(.*)$')
        table.insert(pending.params, {name = name, type = parse_types(definition)[1], is_optional = optional == '?'})
    elseif tag == 'return' then
        for _, one in ipairs(parse_types(text)) do
            table.insert(pending.returns, one)
        end
    elseif tag == 'type' then
        -- Results of a function behind the first would be types of their own.
        pending.type = parse_types(text)[1]
    end
end

--- Reads the annotations of a file. What stands right above a line is in `at`, by its number.
local function read_file(all, path)
    local at, lines = {}, {}
    local pending = nil
    for line in (files.read(path) .. '\n'):gmatch('(.-)\n') do
        table.insert(lines, line)
        if line:match('^%-%-') then
            pending = pending or {params = {}, returns = {}}
            local tag, text = line:match('^%-%-%-@(%l+)%s*(.*)$')
            if tag ~= nil then
                read_tag(all, pending, tag, text)
            end
        elseif pending ~= nil then
            at[#lines] = pending
            pending = nil
        end
    end
    all.files[path] = {at = at, lines = lines}
end

local function read_below(all, path)
    if not fio.path.is_dir(path) then
        read_file(all, path)
        return
    end
    for _, name in ipairs(fio.listdir(path)) do
        read_below(all, fio.pathjoin(path, name))
    end
end

--- Reads the annotations of these files, and of those below these directories.
function annotations.read(paths)
    local all = {classes = {}, aliases = {}, files = {}}
    for _, path in ipairs(paths) do
        read_below(all, path)
    end
    return all
end

--- What is said of a function, with the lines of its source.
function annotations.of_function(all, name, called)
    local info = debug.getinfo(called, 'S')
    local file = all.files[info.source:match('^@(.*)$')]
    if file == nil then
        return nil
    end
    local body = table.concat(file.lines, '\n', info.linedefined, info.lastlinedefined)
    for number, found in pairs(file.at) do
        -- One that another function has made: `encryption.use_encryption_key = key_function('…')`.
        if found.type ~= nil and file.lines[number]:match('%.' .. name .. ' = ') then
            return {params = found.type.params, returns = found.type.returns}, body
        end
    end
    return file.at[info.linedefined], body
end

-- Values -----------------------------------------------------------------------------------------------------------

local conforms

--- All fields of a class, those of its parents included.
local function fields_of(all, name)
    local fields, class = {}, all.classes[name]
    while class ~= nil do
        for field, about in pairs(class.fields) do
            fields[field] = fields[field] or about
        end
        class = all.classes[class.parent]
    end
    return fields
end

local function check_table(all, value, fields, path)
    if type(value) ~= 'table' then
        return ('%s is a %s'):format(path, type(value))
    end
    for name, item in pairs(value) do
        local field = fields[name]
        if field == nil then
            return ('%s.%s has no annotation'):format(path, name)
        end
        local wrong = conforms(all, item, field.type, path .. '.' .. name)
        if wrong ~= nil then
            return wrong
        end
    end
    for name, field in pairs(fields) do
        if value[name] == nil and not field.is_optional then
            return ('%s.%s is annotated, and not there'):format(path, name)
        end
    end
end

local function check_items(all, value, key_type, item_type, path)
    if type(value) ~= 'table' then
        return ('%s is a %s'):format(path, type(value))
    end
    for key, item in pairs(value) do
        local inner = ('%s[%s]'):format(path, tostring(key))
        local wrong = conforms(all, key, key_type, inner .. ' (the key)') or conforms(all, item, item_type, inner)
        if wrong ~= nil then
            return wrong
        end
    end
end

local NUMBER = {kind = 'name', name = 'number'}

local function check_methods(value, methods, path)
    if type(value) ~= 'userdata' then
        return ('%s is a %s'):format(path, type(value))
    end
    for name in pairs(methods) do
        if type(value[name]) ~= 'function' then
            return ('%s:%s() is annotated, and not there'):format(path, name)
        end
    end
end

local function check_name(all, value, name, path)
    if all.aliases[name] ~= nil then
        return conforms(all, value, all.aliases[name], path)
    elseif all.classes[name] ~= nil and all.classes[name].parent == 'userdata' then
        return check_methods(value, all.classes[name].fields, path)
    elseif all.classes[name] ~= nil then
        return check_table(all, value, fields_of(all, name), path)
    elseif name ~= 'any' and type(value) ~= name and not (name == 'ffi.cdata*' and type(value) == 'cdata') then
        return ('%s is a %s, and annotated as %s'):format(path, type(value), name)
    end
end

local CHECKS = {}

function CHECKS.name(all, value, wanted, path)
    return check_name(all, value, wanted.name, path)
end

function CHECKS.literal(_, value, wanted, path)
    return value ~= wanted.value and ('%s is not %s'):format(path, tostring(wanted.value)) or nil
end

function CHECKS.array(all, value, wanted, path)
    return check_items(all, value, NUMBER, wanted.item, path)
end

function CHECKS.map(all, value, wanted, path)
    return check_items(all, value, wanted.key, wanted.value, path)
end

function CHECKS.table(all, value, wanted, path)
    local fields = {}
    for _, field in ipairs(wanted.fields) do
        fields[field.name] = field
    end
    return check_table(all, value, fields, path)
end

CHECKS['function'] = function(_, value, _, path)
    return type(value) ~= 'function' and ('%s is a %s'):format(path, type(value)) or nil
end

function CHECKS.union(all, value, wanted, path)
    local wrong
    for _, member in ipairs(wanted.members) do
        wrong = conforms(all, value, member, path)
        if wrong == nil then
            return nil
        end
    end
    return wrong
end

--- What is wrong with a value of this type, nil if nothing is.
function conforms(all, value, wanted, path)
    return CHECKS[wanted.kind](all, value, wanted, path)
end

annotations.conforms, annotations.fields_of = conforms, fields_of

--- Calls a function of a module. Returns what is wrong with the annotations of its parameters and results.
function annotations.check_call(all, module, name, args)
    local wrong = {}
    local function check(value, expected, is_optional, path)
        if expected == nil then
            table.insert(wrong, path .. ' has no annotation')
        elseif value ~= nil or not is_optional then
            wrong[#wrong + 1] = conforms(all, value, expected, path)
        end
    end
    local called = require(module)[name]
    local about = annotations.of_function(all, name, called)
    for i = 1, math.max(#args, #about.params) do
        local param = about.params[i] or {}
        check(args[i], param.type, param.is_optional, ('argument %d'):format(i))
    end
    local results = {called(unpack(args))}
    for i = 1, math.max(table.maxn(results), #about.returns) do
        check(results[i], about.returns[i], false, ('result %d'):format(i))
    end
    return wrong
end

return annotations
