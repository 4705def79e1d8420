--- Reads the configuration of the role `roles.membership`. What makes no sense raises, and the error names the field.
--
-- Nothing is changed here: this is what the role's `validate` does, and what its `apply` begins with.

local errno = require('errno')
local fio = require('fio')

local check = require('membership.internal.check')
local codec = require('membership.internal.codec')
local core = require('membership.internal.native')
local topology = require('membership.internal.role.topology')

---@class membership.RoleSettings
---@field uri string what the instance advertises
---@field seeds string[] URIs of other members
---@field options table<string, number|boolean|string|string[]>
---@field profile string
---@field keys? string[] the first is sent with, and all decrypt; nil is no encryption
---@field payload table<string, any>
---@field allowed_members string[] URIs; none: all are allowed
---@field is_strict boolean whether others are refused also while they are alive
---@field state_file? string a path; relative to the directory of the process

local PATH = 'roles_cfg.roles.membership'

-- Of a file for a key. A key has 32 bytes or so.
local KEY_FILE_SIZE_MAX = 4096

local FIELDS = {
    advertise = 'string',
    port = 'number',
    seeds = 'table',
    cipher = 'string',
    key_file = 'string',
    keys = 'table',
    group_label = 'string',
    payload = 'table',
    options = 'table',
    state_file = 'string',
    allowed_networks = 'table',
    allowed_members = 'table',
    strict = 'boolean',
    profile = 'string',
}

-- The options that have a field of their own.
local FIELD_OF_OPTION = {
    ENCRYPTION_CIPHER = 'cipher',
    GROUP_LABEL = 'group_label',
    ALLOWED_NETWORKS = 'allowed_networks',
}

local settings = {}

--- Raises: a field cannot be what it is.
---@param field string what follows after the path of the role, as in `.options.MAX_MEMBERS`
---@param reason string
function settings.fail(field, reason)
    error(('%s%s: %s'):format(PATH, field, reason), 0)
end

local fail = settings.fail

local function sorted_keys(map)
    local keys = {}
    for key in pairs(map) do
        table.insert(keys, key)
    end
    table.sort(keys, function(one, other)
        return tostring(one) < tostring(other)
    end)
    return keys
end

local function check_fields(cfg)
    if type(cfg) ~= 'table' then
        fail('', ('table expected, got %s'):format(type(cfg)))
    end
    for _, name in ipairs(sorted_keys(cfg)) do
        local value, expected = cfg[name], FIELDS[name]
        if expected == nil then
            local known = table.concat(sorted_keys(FIELDS), ', ')
            fail('.' .. check.show(name), ('unknown field; there are %s'):format(known))
        end
        local may_be_auto = name == 'seeds' or name == 'allowed_members'
        local is_auto = may_be_auto and value == 'auto'
        if value ~= nil and type(value) ~= expected and not is_auto then
            expected = may_be_auto and "'auto' or a list" or expected
            fail('.' .. name, ('%s expected, got %s'):format(expected, type(value)))
        end
    end
end

-- Calls `read(item, field)` for each item of a list of strings.
local function read_list(list, field, read)
    if not check.is_list_of_strings(list) then
        fail(field, 'list of strings expected')
    end
    local result = {}
    for i, item in ipairs(list) do
        result[i] = read(item, ('%s[%d]'):format(field, i))
    end
    return result
end

local function parse_uri(text, field)
    local uri, reason = core.parse_uri(text)
    if uri == nil then
        fail(field, ("host:port expected, got '%s' (%s)"):format(check.show(text), reason))
    end
    return uri
end

local function read_uri(cfg)
    if cfg.port ~= nil and not check.is_port(cfg.port) then
        fail('.port', ('%s expected, got %s'):format(check.PORT, tostring(cfg.port)))
    end
    if cfg.advertise == nil or cfg.advertise == 'auto' then
        local uri, reason = topology.find_uri(cfg)
        if uri == nil then
            fail('.advertise', reason .. ': give host:port')
        end
        return uri
    end
    local uri = parse_uri(cfg.advertise, '.advertise')
    if cfg.port ~= nil and tonumber(uri:match('%d+$')) ~= cfg.port then
        fail('.port', ("%d is not the port of advertise, '%s': leave one out"):format(cfg.port, uri))
    end
    return uri
end

-- A list of URIs, or those of all instances of the configuration.
local function read_uris(list, field)
    if list ~= nil and list ~= 'auto' then
        return read_list(list, field, parse_uri)
    end
    local uris, reason = topology.find_all()
    if uris == nil then
        fail(field, reason .. ': give a list')
    end
    return uris
end

local function read_allowed_members(cfg)
    if cfg.allowed_members == nil then
        if cfg.strict then
            fail('.strict', 'there are no allowed_members: give a list of them, or auto')
        end
        return {}
    end
    return read_uris(cfg.allowed_members, '.allowed_members')
end

-- The key in a file, without the line break that editors put at the end: as membershipctl reads it.
local function read_key(path, field)
    local function fail_to_read(reason)
        fail(field, ("cannot read '%s': %s"):format(check.show(path), reason))
    end
    local found = fio.stat(path)
    if found == nil then
        fail_to_read(errno.strerror())
    elseif not found:is_reg() then
        fail_to_read('not a regular file') -- a pipe could hold up the instance
    elseif found.size > KEY_FILE_SIZE_MAX then
        fail_to_read(('more than %d bytes'):format(KEY_FILE_SIZE_MAX))
    end
    local file = fio.open(path, {'O_RDONLY'})
    if file == nil then
        fail_to_read(errno.strerror())
    end
    local key = file:read(KEY_FILE_SIZE_MAX)
    local reason = errno.strerror()
    file:close()
    if key == nil then
        fail_to_read(reason)
    end
    key = key:gsub('\n$', ''):gsub('\r$', '')
    if key == '' then
        fail_to_read('it is empty')
    end
    return key
end

local function read_keys(cfg)
    if cfg.keys ~= nil and cfg.key_file ~= nil then
        fail('.keys', 'there is a key_file, too: give one of them')
    elseif cfg.key_file ~= nil then
        return {read_key(cfg.key_file, '.key_file')}
    elseif cfg.keys == nil then
        return nil
    elseif #cfg.keys == 0 then
        fail('.keys', 'list of files expected; leave it out for no encryption')
    end
    local keys = read_list(cfg.keys, '.keys', read_key)
    local _, reason = core.has_encryption_keys(keys)
    if reason ~= nil then
        fail('.keys', reason)
    end
    return keys
end

local function check_option(name, value, field)
    local default = core.default_option(name)
    if default == nil then
        fail(field, 'no such option')
    elseif type(value) ~= type(default) then
        fail(field, ('%s expected, got %s'):format(type(default), type(value)))
    end
    if type(value) == 'table' and not check.is_list_of_strings(value) then
        fail(field, 'list of strings expected')
    end
    local ok, reason = core.check_option(name, value)
    if not ok then
        fail(field, ('%s, got %s'):format(reason, check.show(value)))
    end
end

-- The values of a map, without those that are null in YAML. So may be the map.
local function without_null(map)
    local result = {}
    for key, value in pairs(map ~= nil and map or {}) do
        if value ~= nil then
            result[key] = value
        end
    end
    return result
end

local function read_options(cfg)
    local options = without_null(cfg.options)
    for _, name in ipairs(sorted_keys(options)) do
        local field = '.options.' .. check.show(name)
        if FIELD_OF_OPTION[name] ~= nil then
            fail(field, ('it is called %s, beside options'):format(FIELD_OF_OPTION[name]))
        end
        check_option(tostring(name), options[name], field)
    end
    for name, field in pairs(FIELD_OF_OPTION) do
        if cfg[field] ~= nil then
            check_option(name, cfg[field], '.' .. field)
            options[name] = cfg[field]
        end
    end
    if cfg.cipher ~= nil and cfg.keys == nil and cfg.key_file == nil then
        fail('.cipher', 'nothing is encrypted without a key: give key_file, too')
    end
    return options
end

local function read_payload(cfg)
    local payload = without_null(cfg.payload)
    for _, key in ipairs(sorted_keys(payload)) do
        if type(key) ~= 'string' then
            fail('.payload', ('keys are strings, and %s is a %s'):format(check.show(key), type(key)))
        end
        local ok, reason = pcall(codec.encode, payload[key])
        if not ok then
            fail('.payload.' .. check.show(key), tostring(reason))
        end
    end
    return payload
end

local function read_profile(cfg)
    if cfg.profile == nil then
        return 'lan'
    elseif not core.check_profile(cfg.profile) then
        fail('.profile', ("one of lan, wan, local, failover expected, got '%s'"):format(check.show(cfg.profile)))
    end
    return cfg.profile
end

local function read_state_file(cfg)
    if cfg.state_file == nil then
        return nil
    elseif not check.is_path(cfg.state_file) then
        fail('.state_file', check.PATH .. ' expected, and this is none')
    end
    return cfg.state_file
end

--- Reads the configuration of the role, or raises.
---@param cfg table|nil
---@return membership.RoleSettings
function settings.read(cfg)
    cfg = cfg ~= nil and cfg or {}
    check_fields(cfg)
    return {
        uri = read_uri(cfg),
        seeds = read_uris(cfg.seeds, '.seeds'),
        allowed_members = read_allowed_members(cfg),
        is_strict = cfg.strict == true,
        options = read_options(cfg),
        profile = read_profile(cfg),
        keys = read_keys(cfg),
        payload = read_payload(cfg),
        state_file = read_state_file(cfg),
    }
end

return settings
