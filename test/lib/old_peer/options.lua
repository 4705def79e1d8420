--- The tunables of the Lua rock 2.5.3, one table per peer.
--
-- As in the rock: read at the moment of use, never validated, and no name can be added.

local log = require('log')

local options = {}

options.STATUS_NAMES = {'alive', 'suspect', 'dead', 'non-decryptable', 'left'}
options.ALIVE = 1
options.SUSPECT = 2
options.DEAD = 3
options.NONDECRYPTABLE = 4
options.LEFT = 5

local function defaults()
    return {
        STATUS_NAMES = options.STATUS_NAMES,
        ALIVE = options.ALIVE,
        SUSPECT = options.SUSPECT,
        DEAD = options.DEAD,
        NONDECRYPTABLE = options.NONDECRYPTABLE,
        LEFT = options.LEFT,

        PROTOCOL_PERIOD_SECONDS = 1.0,
        ACK_TIMEOUT_SECONDS = 0.2,
        ANTI_ENTROPY_PERIOD_SECONDS = 10,
        SUSPICIOUSNESS = true,
        SUSPECT_TIMEOUT_SECONDS = 3,
        NUM_FAILURE_DETECTION_SUBGROUPS = 3,
        MAX_PACKET_SIZE = 1472,
        ENCRYPTION_INIT = 'init-key-16-byte',
        log_debug = log.debug,
    }
end

--- A fresh table of options with `overrides` applied.
function options.new(overrides)
    local values = defaults()
    local readonly = setmetatable({}, {
        __index = values,
        __newindex = function(_, name, value)
            if values[name] == nil then
                error('options table is readonly', 2)
            end
            values[name] = value
        end,
    })
    for name, value in pairs(overrides or {}) do
        readonly[name] = value
    end
    return readonly
end

--- The public name of a status; an unknown number is shown as it is.
function options.status_name(status)
    return options.STATUS_NAMES[status] or tostring(status)
end

return options
