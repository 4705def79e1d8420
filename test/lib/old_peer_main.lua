--- The program of a test instance that runs the old peer in the place of the module under test.
--
-- `require('membership')` gives the old peer's functions there, so a test treats it as it treats our own
-- instances: `cluster:member{program = scene.OLD_PEER}`. The peer itself is `require('membership').peer`.

local lib = debug.getinfo(1, 'S').source:match('^@(.*/)')
package.path = lib .. '?.lua;' .. package.path

-- Peers that were started together must not choose alike.
math.randomseed(require('tarantool').pid())

local peer = require('old_peer').new{}

package.loaded['membership.options'] = peer.options
package.loaded['membership'] = setmetatable({peer = peer}, {
    __index = function(_, name)
        return function(...)
            return peer[name](peer, ...)
        end
    end,
})

dofile(lib .. 'instance.lua')
