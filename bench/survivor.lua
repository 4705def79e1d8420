--- One instance of the soak: a Tarantool without box.cfg that does what it is told, and shows its table when asked.
-- usage: tarantool survivor.lua HOST PORT
-- Reads commands from stdin, `NAME JSON` a line, and answers each by a line of JSON on stdout. Its log is stderr.

package.path = arg[0]:gsub('[^/]*$', '?.lua;') .. package.path
require('table.clear') -- Tarantool 2.6.0 does not load it by itself

local ffi = require('ffi')
local fiber = require('fiber')
local json = require('json')
local log = require('log')
local stdin = require('stdin')

ffi.cdef('int prctl(int option, unsigned long argument);')

local PR_SET_PDEATHSIG = 1
local SIGKILL = 9

local HOST, PORT = arg[1], tonumber(arg[2])

-- One that is stopped would never see that its stdin is closed.
ffi.C.prctl(PR_SET_PDEATHSIG, SIGKILL)
log.cfg({level = 5}) -- without it, lines of the log do not show their level

local commands = {}

-- Required anew by each command: after a hot reload it is another table.
local function membership()
    return require('membership')
end

function commands.start(how)
    require('membership.options').ENCRYPTION_CIPHER = how.cipher
    membership().set_encryption_key(how.keys)
    commands.enter(how)
end

function commands.enter(how)
    assert(membership().init(HOST, PORT))
    assert(membership().set_payload('mark', how.mark))
    for _, uri in ipairs(how.seeds) do
        assert(membership().add_member(uri))
    end
end

function commands.leave()
    assert(membership().leave())
end

function commands.reload()
    package.loaded['membership'] = nil
    require('membership')
end

function commands.mark(mark)
    assert(membership().set_payload('mark', mark))
end

function commands.add_key(key)
    assert(membership().add_encryption_key(key))
end

function commands.use_key(key)
    assert(membership().use_encryption_key(key, {force = true}))
end

function commands.remove_key(key)
    assert(membership().remove_encryption_key(key, {force = true}))
end

function commands.table()
    local rows = {}
    for uri, member in membership().pairs() do
        rows[uri] = {member.status, tonumber(member.incarnation), json.encode(member.payload)}
    end
    return rows
end

--- What is garbage is not what grew.
function commands.collect()
    collectgarbage()
    collectgarbage()
end

local function obey(line)
    local name, argument = line:match('^(%S+) (.*)$')
    local ok, result = pcall(commands[name], json.decode(argument))
    if not ok then
        log.error('%s: %s', name, result)
    end
    io.stdout:write(json.encode({ok = ok, result = ok and result or tostring(result)}), '\n')
    io.stdout:flush()
end

fiber.create(stdin.serve, obey)
