--- As much of Tarantool 3.x's `config` as the role asks: which instances there are, and what is configured for each.

local fake_config = {}

local Config = {}
Config.__index = Config

local function configured(self, opts)
    local name = opts and opts.instance or self.name
    return assert(self.all[name], 'Unknown instance ' .. tostring(name))
end

function Config.info()
    return {status = 'ready'}
end

function Config:instances()
    local result = {}
    for name in pairs(self.all) do
        result[name] = {instance_name = name}
    end
    return result
end

function Config:get(path, opts)
    local instance = configured(self, opts)
    if path == 'roles' then
        return instance.cfg ~= nil and {'roles.membership'} or nil
    end
    assert(path == 'roles_cfg')
    return {['roles.membership'] = instance.cfg}
end

function Config:instance_uri(kind, opts)
    assert(kind == 'peer')
    local uri = configured(self, opts).iproto
    return uri and {uri = uri}
end

--- Puts it in the place of Tarantool's own, if that has one.
-- `all` is a table of instances by name: `iproto`, the URI of each, and `cfg`, the configuration of its role, nil if it
-- has none. `name` is that of the process.
function fake_config.install(name, all)
    package.loaded.config = setmetatable({name = name, all = all}, Config)
end

return fake_config
