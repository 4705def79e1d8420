--- What the configuration of Tarantool 3.x says of the instances that have the role: where each is reached.

local core = require('membership.internal.native')

local ROLE = 'roles.membership'

local topology = {}

-- Tarantool's own `config`, if it can tell of other instances: since 3.1, in a process that was started with one.
local function get_config()
    local found, config = pcall(require, 'config')
    local is_it = found and type(config) == 'table' and config.instances ~= nil
    if is_it and config:info().status ~= 'uninitialized' then
        return config
    end
    return nil, "'auto' takes a configuration of Tarantool 3.1 or later"
end

-- The host of the URI at which others reach the instance by iproto, and the port of it.
local function find_iproto(config, instance)
    local found = config:instance_uri('peer', {instance = instance})
    if found == nil or found.uri == nil then
        return nil, "'auto' takes the host from iproto.advertise.peer or iproto.listen, and neither has one"
    end
    local uri = core.parse_uri(found.uri)
    if uri == nil then
        local text = "'auto' takes the host from iproto.advertise.peer or iproto.listen, and '%s' is no host:port"
        return nil, text:format(found.uri)
    end
    return uri:match('^(.*):(%d+)$')
end

--- Returns the URI that an instance advertises, by the configuration of its role.
---@param cfg table
---@param instance? string its name; nil for this instance
---@return string|nil uri
---@return string|nil err
function topology.find_uri(cfg, instance)
    if cfg.advertise ~= nil and cfg.advertise ~= 'auto' then
        return core.parse_uri(tostring(cfg.advertise))
    end
    local config, reason = get_config()
    if config == nil then
        return nil, reason
    end
    local host, port = find_iproto(config, instance)
    if host == nil then
        return nil, port
    end
    return core.parse_uri(('%s:%s'):format(host, tostring(cfg.port ~= nil and cfg.port or port)))
end

-- What is null in YAML is a value of its own, though equal to nil.
local function table_or_empty(value)
    return type(value) == 'table' and value or {}
end

local function has_role(config, opts)
    for _, role in ipairs(table_or_empty(config:get('roles', opts))) do
        if role == ROLE then
            return true
        end
    end
    return false
end

--- Returns the URIs of all instances that have the role, this one included.
--
-- An instance without a URI is left out: it refuses that configuration itself, and says why.
---@return string[]|nil uris in the order of the names of the instances
---@return string|nil err
function topology.find_all()
    local config, err = get_config()
    if config == nil then
        return nil, err
    end
    local names = {}
    for name in pairs(config:instances()) do
        table.insert(names, name)
    end
    table.sort(names)
    local uris = {}
    for _, name in ipairs(names) do
        local opts = {instance = name}
        if has_role(config, opts) then
            local roles_cfg = table_or_empty(config:get('roles_cfg', opts))
            local uri = topology.find_uri(table_or_empty(roles_cfg[ROLE]), name)
            table.insert(uris, uri) -- nothing, if it is nil
        end
    end
    return uris
end

return topology
