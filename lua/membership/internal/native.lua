--- The native library, if it is of the same version as these Lua files.
--
-- A process keeps the library that it loaded first, whatever is installed later. So newer Lua files may meet it, after
-- an upgrade and a reload. They must not touch its state: the Lua files that were loaded before go on using it.

local core = require('membership.core')

local VERSION = '1.0.0' -- the one in Cargo.toml

-- While `require` loads a module, and after that has failed, it keeps a mark in place of the module, and would complain
-- of the mark the next time. Without it, the next time has the same error. In Tarantool 2.6 the mark is a userdata, in
-- 2.11 and 3.x a number.
local MARKS = {userdata = true, number = true}

local function forget_unfinished()
    for name, module in pairs(package.loaded) do
        local is_ours = name:startswith('membership') or name == 'roles.membership'
        if is_ours and MARKS[type(module)] then
            package.loaded[name] = nil
        end
    end
end

if core.VERSION ~= VERSION then
    forget_unfinished()
    local text = 'membership: the Lua files are of version %s, the library loaded in this process of %s: '
        .. 'restart the instance'
    local theirs = core.VERSION ~= nil and 'version ' .. core.VERSION or 'an older version'
    error(text:format(VERSION, theirs), 0)
end

return core
