-- Lua files and a native library of different versions: what an upgrade that is followed by a hot reload comes to.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local files = require('files')
local fio = require('fio')
local suite = require('suite')

local fact = suite.fact

local ROOT = fio.abspath(fio.pathjoin(fio.dirname(arg[0]), '..'))
local NEWER = '999.0.0'
local ERROR = 'membership: the Lua files are of version %s, the library loaded in this process of %s: '
    .. 'restart the instance'

local function declared_version()
    return files.read(ROOT, 'Cargo.toml'):match('\nversion = "([^"]+)"')
end

--- Has the process find the Lua files of a newer version, as after an upgrade.
local function install_newer(node)
    local path = fio.pathjoin(node.dir, 'newer')
    assert(fio.copytree(fio.pathjoin(ROOT, 'lua'), path))
    local native = fio.pathjoin(path, 'membership', 'internal', 'native.lua')
    local text, count = files.read(native):gsub("VERSION = '[^']+'", ("VERSION = '%s'"):format(NEWER))
    assert(count == 1)
    files.write(native, text)
    node:call(function(directory)
        rawset(_G, 'old_path', package.path)
        package.path = directory .. '/?.lua;' .. package.path
    end, path)
end

--- Reloads a module; returns what `require` has raised.
local function error_of_reload(node, name)
    return node:call(function(module)
        package.loaded[module] = nil
        local ok, err = pcall(require, module)
        return not ok and err or nil
    end, name)
end

--- Forgets all modules that were loaded, as frameworks do which reload everything.
local function forget_modules(node)
    node:call(function()
        for name in pairs(package.loaded) do
            if name:startswith('membership') then
                package.loaded[name] = nil
            end
        end
    end)
end

local function keep_old_handle(node)
    node:call(function()
        local old = require('membership')
        rawset(_G, 'old', old)
        rawset(_G, 'old_events', require('membership.events'))
        rawset(_G, 'changed', old.subscribe())
    end)
end

--- What was loaded before goes on working.
local function goes_on(t, cluster, a, b)
    t:is(a:call(function()
        return rawget(_G, 'old_events') == require('membership.events')
    end), true, 'no part of the old version is dropped')
    local is_woken = a:await_wake('changed')
    b.membership.set_payload('n', 1)
    t:ok(cluster:wait('an old subscription to wake', is_woken), 'an old subscription wakes')
    cluster:everyone_sees_payload(b.uri, {n = 1}, {b})
    t:ok(cluster:wait('the old handle to see what is new', function()
        return a:call(function(uri)
            return rawget(_G, 'old').get_member(uri).payload.n
        end, b.uri) == 1
    end), 'the old handle sees what is new')
    t:is(a:call(function(uri)
        rawget(_G, 'old').set_payload('by', 'old handle')
        return rawget(_G, 'old').probe_uri(uri)
    end, b.uri), true, 'it can probe')
    t:ok(cluster:everyone_sees_payload(a.uri, {by = 'old handle'}, {b}), 'and what it sets is heard')
end

fact('the version of the module is that of its native library and of Cargo.toml', function(t, cluster)
    local version, library = cluster:node():call(function()
        return require('membership')._VERSION, require('membership.core').VERSION
    end)
    t:is(version, declared_version(), 'that of Cargo.toml')
    t:is(library, declared_version(), 'so is that of the library')
end)

fact('a reload to newer Lua files says to restart the instance, which goes on as it was', function(t, cluster)
    local a, b = cluster:group(2)
    keep_old_handle(a)
    install_newer(a)
    local expected = ERROR:format(NEWER, 'version ' .. declared_version())
    t:is(error_of_reload(a, 'membership'), expected, 'it does')
    t:is(a:call(function()
        return select(2, pcall(require, 'membership'))
    end), expected, 'and once more')
    goes_on(t, cluster, a, b)

    a:call(function() package.path = rawget(_G, 'old_path') end)
    t:is(error_of_reload(a, 'membership'), nil, 'with the old files installed again, it can be reloaded')
    t:is(a.membership.get_member(b.uri).payload.n, 1, 'and sees its peer')
    t:is(a:call(function()
        return rawget(_G, 'old_events') ~= require('membership.events')
    end), true, 'all of it is new')
end)

fact('a library from before there were versions is told of as well', function(t, cluster)
    local a, b = cluster:group(2)
    keep_old_handle(a)
    a:call(function()
        require('membership.core').VERSION = nil
    end)
    t:is(error_of_reload(a, 'membership'), ERROR:format(declared_version(), 'an older version'), 'it is')
    goes_on(t, cluster, a, b)
end)

fact('whichever part of newer Lua files is loaded first says so, over and over', function(t, cluster)
    local a = cluster:group(2)
    install_newer(a)
    forget_modules(a)
    local expected = ERROR:format(NEWER, 'version ' .. declared_version())
    local names = {'roles.membership'}
    for _, part in ipairs({'events', 'members', 'metrics', 'network', 'options'}) do
        table.insert(names, 'membership.' .. part)
    end
    for _, name in ipairs(names) do
        for _ = 1, 2 do
            t:is(a:call(function(module)
                return select(2, pcall(require, module))
            end, name), expected, name)
        end
    end
    t:is(a:call(function()
        return select(2, pcall(require, 'membership'))
    end), expected, 'and the module itself')
end)

suite.run()
