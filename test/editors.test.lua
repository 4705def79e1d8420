-- The annotations by which editors (LuaLS) complete and check calls of the module: they say what is so.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local files = require('files')
local fio = require('fio')
local suite = require('suite')

local fact = suite.fact

local ROOT = fio.abspath(fio.pathjoin(fio.dirname(arg[0]), '..'))

--- Has the instance read the annotations of what it runs.
local function read_annotations(node)
    node:call(function()
        local directory = debug.getinfo(require('membership').init, 'S').source:match('^@(.*)/membership%.lua$')
        rawset(_G, 'read', require('annotations').read({
            directory .. '/membership.lua',
            directory .. '/membership',
            directory .. '/roles/membership.lua',
        }))
    end)
end

--- What programs may require, with its functions.
local MODULES = {
    'membership',
    'membership.events',
    'membership.members',
    'membership.metrics',
    'membership.network',
    'roles.membership',
}

fact('each function has its parameters annotated, in order, and whether it returns something', function(t, cluster)
    local node = cluster:member()
    read_annotations(node)
    for _, module in ipairs(MODULES) do
        for _, found in ipairs(node:call(function(required)
            local list = {}
            for name, called in pairs(require(required)) do
                if type(called) == 'function' then
                    local about, body = require('annotations').of_function(rawget(_G, 'read'), name, called)
                    local annotated, actual = {}, {}
                    for i, param in ipairs(about and about.params or {}) do
                        annotated[i] = param.name
                    end
                    for i = 1, debug.getinfo(called, 'u').nparams do
                        actual[i] = debug.getlocal(called, i)
                    end
                    table.insert(list, {
                        name = name,
                        is_there = about ~= nil,
                        annotated = annotated,
                        actual = actual,
                        returns = about ~= nil and #about.returns > 0,
                        has_result = body ~= nil and body:match('%f[%w]return[ ]+%S') ~= nil,
                    })
                end
            end
            return list
        end, module)) do
            local name = module .. '.' .. found.name
            t:ok(found.is_there, name .. ' has annotations')
            t:is_deeply(found.annotated, found.actual, name .. ': parameters')
            t:is(found.returns, found.has_result, name .. ': results')
        end
    end
end)

fact('what a function takes and returns is of the annotated type, each field included', function(t, cluster)
    local a, b, c = cluster:group(3)
    a.membership.set_payload('role', 'router')
    cluster:wait('a round trip', function() return a.membership.stats().round_trip.last_seconds end)
    for _, other in ipairs({b, c}) do
        cluster:wait('a clock', function() return a.membership.get_member(other.uri).clock_delta end)
    end
    c:kill()
    cluster:everyone_sees(c.uri, 'dead', {a, b})
    read_annotations(a)
    local calls = {
        {'membership', 'init', {a.host, a.port, {bind = a.host, state_file = 'state'}}},
        {'membership', 'myself', {}},
        {'membership', 'get_member', {b.uri}},
        {'membership', 'get_member', {'nowhere:1'}},
        {'membership', 'members', {}},
        {'membership', 'pairs', {}},
        {'membership', 'add_member', {b.uri}},
        {'membership', 'add_member', {'no URI'}},
        {'membership', 'probe_uri', {b.uri}},
        {'membership', 'probe_uri', {'no URI'}},
        {'membership', 'set_payload', {'role', 'storage'}},
        {'membership', 'set_payload', {{role = 'storage', zone = 1}}},
        {'membership', 'wait', {}},
        {'membership', 'wait', {1, 0}},
        {'membership', 'history', {}},
        {'membership', 'history', {2 ^ 40, 0}},
        {'membership', 'stats', {}},
        {'membership', 'diagnose', {}},
        {'membership', 'diagnose', {b.uri}},
        {'membership', 'diagnose', {c.uri}},
        {'membership', 'diagnose', {'nowhere:1'}},
        {'membership', 'broadcast', {b.port}},
        {'membership', 'mark_left', {c.uri}},
        {'membership', 'remove_member', {c.uri}},
        {'membership', 'set_allowed_members', {{a.uri, b.uri}, {strict = true}}},
        {'membership', 'set_allowed_members', {{}}},
        {'membership', 'get_encryption_key', {}},
        {'membership', 'add_encryption_key', {'new'}},
        {'membership', 'set_encryption_key', {{'one', 'two'}}},
        {'membership', 'get_encryption_key', {}},
        {'membership', 'keys', {}},
        {'membership', 'use_encryption_key', {'two'}},
        {'membership', 'use_encryption_key', {'two', {force = true}}},
        {'membership', 'remove_encryption_key', {'one', {force = true}}},
        {'membership', 'remove_encryption_key', {'two'}},
        {'membership', 'set_encryption_key', {}},
        {'membership', 'subscribe', {}},
        {'membership', 'unsubscribe', {'a cond'}},
        {'membership.events', 'subscribe', {}},
        {'membership.events', 'unsubscribe', {'a cond'}},
        {'membership.events', 'generate', {b.uri, 2, 3, {}}},
        {'membership.members', 'get', {b.uri}},
        {'membership.members', 'get', {'nowhere:1'}},
        {'membership.members', 'pairs', {}},
        {'membership.members', 'count', {}},
        {'membership.network', 'getifaddrs', {}},
        {'membership.metrics', 'enable', {}},
        {'membership.metrics', 'disable', {}},
        {'roles.membership', 'status', {}},
        {'roles.membership', 'health_check', {}},
        {'roles.membership', 'validate', {{advertise = a.uri, seeds = {}}}},
        {'roles.membership', 'apply', {{advertise = a.uri, seeds = {}}}},
        {'roles.membership', 'stop', {}},
        {'membership.options', 'use_profile', {'wan'}},
        {'membership', 'leave', {}},
        {'roles.membership', 'health_check', {}},
    }
    local called = {}
    for _, one in ipairs(calls) do
        local module, name, args = unpack(one)
        called[module .. '.' .. name] = true
        local wrong = a:call(function(called_module, called_name, with)
            package.loaded['metrics'] = package.loaded['metrics'] or require('fake_metrics')
            if with[1] == 'a cond' then
                with = {require('fiber').cond()}
            end
            return require('annotations').check_call(rawget(_G, 'read'), called_module, called_name, with)
        end, module, name, args)
        t:is_deeply(wrong, {}, ('%s.%s'):format(module, name))
    end
    for _, module in ipairs(MODULES) do
        for _, name in ipairs(a:call(function(required)
            local names = {}
            for name, value in pairs(require(required)) do
                table.insert(names, type(value) == 'function' and name or nil)
            end
            return names
        end, module)) do
            t:ok(called[module .. '.' .. name], ('%s.%s was called'):format(module, name))
        end
    end
end)

fact('the options of a call are those that it accepts', function(t, cluster)
    local node = cluster:member()
    read_annotations(node)
    local count = 0
    for _, found in ipairs(node:call(function()
        local list = {}
        for name, called in pairs(require('membership')) do
            local about, body
            if type(called) == 'function' then
                about, body = require('annotations').of_function(rawget(_G, 'read'), name, called)
            end
            for _, param in ipairs(about and about.params or {}) do
                if param.type.kind == 'table' then
                    local annotated, accepted = {}, {}
                    for _, field in ipairs(param.type.fields) do
                        annotated[field.name] = field.type.name
                    end
                    local named = body:match('check%.named%(%d, [%w_\']+, ' .. param.name .. ', (%b{})%)')
                    for field, kind in named:gmatch("([%w_]+) = '(%l+)'") do
                        accepted[field] = kind
                    end
                    table.insert(list, {name = name, annotated = annotated, accepted = accepted})
                end
            end
        end
        return list
    end)) do
        count = count + 1
        t:is_deeply(found.annotated, found.accepted, found.name)
    end
    t:ok(count > 0, 'some functions have options')
end)

fact('each option is annotated, with its type', function(t, cluster)
    local node = cluster:member()
    read_annotations(node)
    t:is(node:call(function()
        local options = require('membership.options')
        -- These two are no settings, and `pairs` does not show them.
        local values = {profile = options.profile, use_profile = options.use_profile}
        for name, value in pairs(options) do
            values[name] = value
        end
        return require('annotations').conforms(rawget(_G, 'read'), values, {
            kind = 'name',
            name = 'membership.Options',
        }, 'options')
    end), nil, 'all of them, and no others')
end)

--- Classes of what functions return, and the section of the API that describes their fields.
local DESCRIBED = {
    ['membership.MemberInfo'] = 'MemberInfo',
    ['membership.Change'] = 'history(version [, timeout])',
    ['membership.Diagnosis'] = 'diagnose([uri])',
    ['membership.Keys'] = 'keys()',
}

fact('the fields of a class are those that the API describes', function(t, cluster)
    local node = cluster:member()
    read_annotations(node)
    local api = files.read(ROOT, 'doc', 'api.md') .. '\n#'
    for class, heading in pairs(DESCRIBED) do
        local section = api:match('\n##+ ' .. heading:gsub('%p', '%%%0') .. '\n(.-)\n##')
        local head = section:match('\n| field |[^\n]*\n|[-|]+|\n(.-)\n\n')
        local described = {}
        for names in ('\n' .. head):gmatch('\n| ([^|]*) |') do
            for name in names:gmatch('`([%l_]+)`') do
                described[name] = true
            end
        end
        local annotated = node:call(function(name)
            local fields = {}
            for field in pairs(require('annotations').fields_of(rawget(_G, 'read'), name)) do
                fields[field] = true
            end
            return fields
        end, class)
        t:is_deeply(annotated, described, class)
    end
end)

suite.run()
