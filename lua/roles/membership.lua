--- The role of a Tarantool 3.x configuration with which an instance takes part in a group, without a line of code.
--
--     roles: [roles.membership]
--     roles_cfg:
--       roles.membership: {key_file: /run/secrets/membership.key, cipher: xchacha20-poly1305}
--
-- doc/role.md has all fields. Tarantool calls `validate` and `apply` at each start and at each reload of the
-- configuration, and `stop` when the role is taken away.

require('membership') -- loads all its parts anew, so it comes before them

local core = require('membership.internal.native')
local reconcile = require('membership.internal.role.reconcile')
local settings = require('membership.internal.role.settings')

-- Outlives a reload of this file.
local state = core.persistent.role_lifecycle
if state == nil then
    state = {
        is_applied = false,
        has_trigger = false,
    }
    core.persistent.role_lifecycle = state
end

local role = {}

--- Raises if the configuration makes no sense, and names the field. Changes nothing.
---@param cfg table|nil
function role.validate(cfg)
    reconcile.check_payload(settings.read(cfg))
end

-- Tarantool from 3.4 on calls `stop` at shutdown itself, in an order in which roles that depend on this one are stopped
-- before.
local function is_stopped_at_shutdown()
    local major, minor = _TARANTOOL:match('^(%d+)%.(%d+)')
    major, minor = tonumber(major), tonumber(minor)
    return major > 3 or major == 3 and minor >= 4
end

local function leave_at_shutdown()
    if state.has_trigger or is_stopped_at_shutdown() then
        return
    end
    state.has_trigger = true
    box.ctl.on_shutdown(function()
        if state.is_applied then
            require('membership').leave()
        end
    end)
end

--- Makes this instance what the configuration says. To apply the same again changes nothing.
---@param cfg table|nil
function role.apply(cfg)
    local wanted = settings.read(cfg)
    reconcile.check_payload(wanted)
    leave_at_shutdown()
    state.is_applied = true
    reconcile.apply(wanted)
end

--- Leaves the group, as others learn at once. `apply` brings the instance back.
function role.stop()
    state.is_applied = false
    require('membership').leave()
end

---@class membership.RoleStatus
---@field uri? string what the instance advertises; nil if it is not a member
---@field members number how many members it knows, itself included
---@field alive number how many of them are alive
---@field suspect number
---@field dead number
---@field left number
---@field ['non-decryptable'] number

--- Returns how many members there are, by status.
---@return membership.RoleStatus
function role.status()
    local status = {uri = core.myself(), members = 0}
    for name, count in pairs(require('membership').stats().members) do
        status[name] = count
        status.members = status.members + count
    end
    return status
end

--- Whether this instance is a live member. Tarantool from 3.8 on asks, and has an alert if it is not. Does not yield.
---@return boolean
---@return string|nil reason
function role.health_check()
    local ok, myself = pcall(require('membership').myself)
    if not ok then
        return false, tostring(myself)
    elseif myself.status ~= 'alive' then
        return false, ('%s is %s'):format(myself.uri, myself.status)
    end
    return true
end

return role
