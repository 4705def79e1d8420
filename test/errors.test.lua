package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

fact('a bad argument raises, at the line of the caller, in the words users know', function(t, cluster)
    local a = cluster:member()
    local cases = a:call(function()
        local membership = require('membership')
        local cases = {}

        --- `call` must have its call of the API on its first line.
        local function case(text, call)
            local _, err = pcall(call)
            local here = debug.getinfo(call, 'S')
            table.insert(cases, {
                expected = ('%s:%d: %s'):format(here.short_src, here.linedefined, text),
                got = tostring(err),
                type = type(err),
            })
        end

        local str, num = 'string expected, got ', 'number expected, got '
        case('bad argument #1 to init (' .. str .. 'nil)', function() membership.init() end)
        case('bad argument #1 to init (' .. str .. 'number)', function() membership.init(1, 2) end)
        case('bad argument #2 to init (' .. num .. 'nil)', function() membership.init('h') end)
        case('bad argument #2 to init (' .. num .. 'string)', function() membership.init('h', '33001') end)
        case('bad argument #1 to get_member (' .. str .. 'nil)', function() membership.get_member() end)
        case('bad argument #1 to get_member (' .. str .. 'number)', function() membership.get_member(1) end)
        case('bad argument #1 to probe_uri (' .. str .. 'nil)', function() membership.probe_uri() end)
        case('bad argument #1 to probe_uri (' .. str .. 'table)', function() membership.probe_uri({}) end)
        case('bad argument #1 to add_member (' .. str .. 'nil)', function() membership.add_member() end)
        case('bad argument #1 to add_member (' .. str .. 'boolean)', function() membership.add_member(true) end)
        case('bad argument #1 to set_payload (' .. str .. 'nil)', function() membership.set_payload(nil, 1) end)
        case('bad argument #1 to set_payload (' .. str .. 'number)', function() membership.set_payload(1, 1) end)
        case('bad argument #1 to set_payload (' .. str .. 'table)', function() membership.set_payload({}, 1) end)
        case('bad argument #1 to remove_member (' .. str .. 'nil)', function() membership.remove_member() end)
        case('bad argument #1 to remove_member (' .. str .. 'number)', function() membership.remove_member(1) end)
        case('bad argument #1 to set_allowed_members (table expected, got nil)',
            function() membership.set_allowed_members() end)
        case('bad argument #1 to set_allowed_members (table expected, got string)',
            function() membership.set_allowed_members('x') end)
        case('bad argument #1 to set_allowed_members (table of strings expected, got number)',
            function() membership.set_allowed_members({'localhost:1', 2}) end)
        for _, no_list in ipairs({{a = 'x'}, {'localhost:1', a = 'x'}, {[2] = 'localhost:1'}}) do
            case('bad argument #1 to set_allowed_members (list of strings expected, got table)',
                function() membership.set_allowed_members(no_list) end)
        end
        case('bad argument #1 to wait (?number expected, got string)', function() membership.wait('1') end)
        case('bad argument #1 to wait (version expected, got -1)', function() membership.wait(-1) end)
        case('bad argument #1 to wait (version expected, got nan)', function() membership.wait(0 / 0) end)
        case('bad argument #2 to wait (?number expected, got table)', function() membership.wait(1, {}) end)
        case('bad argument #2 to wait (number of seconds expected, got -1)', function() membership.wait(1, -1) end)
        case('bad argument #1 to history (?number expected, got string)', function() membership.history('1') end)
        case('bad argument #1 to history (version expected, got -1)', function() membership.history(-1) end)
        case('bad argument #2 to history (?number expected, got table)', function() membership.history(1, {}) end)
        case('bad argument #2 to history (number of seconds expected, got -1)',
            function() membership.history(1, -1) end)
        case('bad argument #1 to use_encryption_key (' .. str .. 'nil)',
            function() membership.use_encryption_key() end)
        case('bad argument #2 to use_encryption_key (?table expected, got boolean)',
            function() membership.use_encryption_key('key', true) end)
        case('bad argument opts.force to remove_encryption_key (?boolean expected, got number)',
            function() membership.remove_encryption_key('key', {force = 1}) end)
        case('unexpected argument opts.forced to remove_encryption_key',
            function() membership.remove_encryption_key('key', {forced = true}) end)
        case('table index is nil', function() membership.unsubscribe() end)
        return cases
    end)
    for _, case in ipairs(cases) do
        t:is(case.got, case.expected, case.expected:match(': (.*)'))
        t:is(case.type, 'string', 'it is a string')
    end
end)

fact('the options of init are a table', function(t, cluster)
    local a = cluster:node()
    local ok, err = pcall(a.membership.init, a.host, a.port, 'x')
    t:ok(not ok, 'a string raises')
    t:like(err, 'bad argument #3 to init %(%??table expected, got string%)', 'in the words users know')
end)

fact('other errors have the line of the caller, too', function(t, cluster)
    local a = cluster:member()
    local errors = a:call(function()
        local membership = require('membership')
        local errors = {}
        local function note(call)
            local _, err = pcall(call)
            local here = debug.getinfo(call, 'S')
            table.insert(errors, {here = ('%s:%d: '):format(here.short_src, here.linedefined), got = tostring(err)})
        end
        note(function() membership.init('::1', 1) end)
        note(function() membership.init('localhost', 0) end)
        note(function() membership.set_payload('f', print) end)
        note(function() membership.set_allowed_members({'a:b:c'}) end)
        note(function() membership.set_encryption_key(5) end)
        note(function() membership.set_payload('long', ('x'):rep(10000)) end)
        note(function() require('membership.options').PROTOCOL_PERIOD_SECONDS = -1 end)
        note(function() require('membership.options').NO_SUCH_OPTION = 1 end)
        membership.leave()
        note(function() membership.myself() end)
        note(function() membership.set_payload('a', 1) end)
        note(function() membership.probe_uri('localhost:1') end)
        return errors
    end)
    for _, err in ipairs(errors) do
        t:is(err.got:sub(1, #err.here), err.here, err.got)
        t:unlike(err.got, 'stack traceback', 'without a stack trace')
    end
end)

fact('who is called through pcall, or last of all, is named as well', function(t, cluster)
    local a = cluster:node()
    local errors = a:call(function()
        local membership = require('membership')
        local _, by_pcall = pcall(membership.add_member, nil)
        local _, by_tail_call = pcall(function() return membership.add_member(nil) end)
        return {by_pcall, by_tail_call}
    end)
    for _, err in ipairs(errors) do
        t:like(err, 'bad argument #1 to add_member %(string expected, got nil%)$', err)
    end
end)

fact('a list of allowed members with what is no uri changes nothing', function(t, cluster)
    local a, b = cluster:group(2, {options = {}})
    local ok, err = pcall(a.membership.set_allowed_members, {a.uri, 'a:b:c'})
    t:is(ok, false, 'it raises')
    t:like(err, "parse error: 'a:b:c'", 'and says what it is')
    t:is(a:status_of(b.uri), 'alive', 'nobody was forgotten')
end)

fact('an error is one short line, whatever it is about', function(t, cluster)
    local a = cluster:member()
    local errors = a:call(function(port)
        local membership, options = require('membership'), require('membership.options')
        local role = require('roles.membership')
        local errors = {}
        for _, text in ipairs({'a\nb', 'a\0b', ('x'):rep(1e6), ('\n'):rep(1e6)}) do
            for what, call in pairs({
                host = function() membership.init(text, port) end,
                bind = function() membership.init('127.0.0.1', port, {bind = text}) end,
                state_file = function() membership.init('127.0.0.1', port, {state_file = text .. '\0'}) end,
                option = function() membership.init('127.0.0.1', port, {[text] = true}) end,
                allowed = function() membership.set_allowed_members({text}) end,
                profile = function() options.use_profile(text) end,
                cipher = function() options.ENCRYPTION_CIPHER = text end,
                networks = function() options.ALLOWED_NETWORKS = {text} end,
                key = function() membership.set_payload(text, print) end,
                field = function() role.validate({[text] = true}) end,
                advertise = function() role.validate({advertise = text}) end,
                seed = function() role.validate({advertise = 'localhost:1', seeds = {text}}) end,
                profile_of_role = function() role.validate({advertise = 'localhost:1', profile = text}) end,
                place = function() membership.set_payload('a', {[text] = {[true] = 1}}) end,
            }) do
                local ok, err = pcall(call)
                table.insert(errors, {what = what, ok = ok, err = err})
            end
        end
        return errors
    end, a.port)
    for _, case in ipairs(errors) do
        t:ok(not case.ok and #case.err < 500 and not case.err:find('%c'), case.what .. ': ' .. case.err:sub(1, 100))
    end
end)

fact('what is no subscription is no harm to end', function(t, cluster)
    local a = cluster:member()
    local result = a:call(function()
        local membership, results = require('membership'), {}
        for _, value in ipairs({0 / 0, 1, 'x', true, {}}) do
            table.insert(results, tostring(pcall(membership.unsubscribe, value)))
        end
        return table.concat(results, ' ')
    end)
    t:is(result, 'true true true true true', 'nothing is raised')
end)

fact('box.NULL is nothing, for events.generate, too', function(t, cluster)
    local a = cluster:member()
    local ok, err = a:call(function()
        return pcall(require('membership.events').generate, 'localhost:1', 1, box.NULL, box.NULL)
    end)
    t:is(ok, true, tostring(err))
    t:is(a.membership.get_member('localhost:1').incarnation, 1, 'it is the first incarnation')
end)

suite.run()
