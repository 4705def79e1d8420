--- The program of a test instance: a Tarantool that runs what the test sends it, and ends when the test ends.
--
-- It does not load the module under test by itself: when that happens is for the test to say.

local ffi = require('ffi')
local fiber = require('fiber')

local lib = debug.getinfo(1, 'S').source:match('^@(.*/)')
package.path = lib .. '?.lua;' .. package.path

ffi.cdef([[
    int prctl(int option, unsigned long signal);
    int kill(int pid, int signal);
]])
local PR_SET_PDEATHSIG, SIGKILL = 1, 9

-- The kernel ends this process with the test, even when it is stopped or its event loop hangs ...
ffi.C.prctl(PR_SET_PDEATHSIG, SIGKILL)

-- ... but forgets about it in a fork, that is, after box.cfg{background = true}.
local driver = tonumber(os.getenv('MEMBERSHIP_TEST_DRIVER'))
fiber.create(function()
    fiber.name('lifeline')
    while ffi.C.kill(driver, 0) == 0 do
        fiber.sleep(0.5)
    end
    os.exit(1)
end)

require('rpc').serve(os.getenv('MEMBERSHIP_TEST_SOCKET'))
