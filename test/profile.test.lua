-- Profiles: options for a kind of network by one name. What a program assigns itself stays.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

local PERIOD, MINIMUM = 'PROTOCOL_PERIOD_SECONDS', 'SUSPECT_TIMEOUT_MIN_SECONDS'

--- Runs steps on the options of a process: `{'use_profile', name}`, or `{option, value}`. Returns what the last one
-- returned, and the options.
local function options_after(node, steps)
    return node:call(function(list)
        local options = require('membership.options')
        local returned
        for _, step in ipairs(list) do
            if step[1] == 'use_profile' then
                returned = {options.use_profile(step[2])}
            else
                options[step[1]] = step[2]
            end
        end
        local all = {profile = options.profile}
        for name, value in pairs(options) do
            if type(value) == 'number' then
                all[name] = value
            end
        end
        return returned, all
    end, steps)
end

fact('a profile says what it has changed', function(t, cluster)
    local a = cluster:node()
    local returned, options = options_after(a, {{'use_profile', 'failover'}})
    t:is_deeply(returned, {{[PERIOD] = 0.5, [MINIMUM] = 0.5}, {}}, 'and what it has not')
    t:is_deeply({options[PERIOD], options[MINIMUM], options.profile}, {0.5, 0.5, 'failover'}, 'the options have it')
    returned, options = options_after(a, {{'use_profile', 'local'}})
    t:is_deeply({options[PERIOD], options[MINIMUM]}, {0.5, 0}, 'the next one leaves nothing of it')
    t:is(returned[1][MINIMUM], 0, 'which it says')
    t:is(returned[1][PERIOD], nil, 'but not what was so before')
end)

fact('what is assigned stays, before and after', function(t, cluster)
    for _, value in ipairs({1, 3}) do -- one of them is the default
        local before, after = cluster:node(), cluster:node()
        local returned, options = options_after(before, {{PERIOD, value}, {'use_profile', 'failover'}})
        t:is_deeply({options[PERIOD], options[MINIMUM]}, {value, 0.5}, 'before')
        t:is_deeply(returned, {{[MINIMUM] = 0.5}, {[PERIOD] = value}}, 'and the profile says so')
        local _, other = options_after(after, {{'use_profile', 'failover'}, {PERIOD, value}})
        t:is_deeply(other, options, 'after')
        _, options = options_after(after, {{'use_profile', 'wan'}})
        t:is(options[PERIOD], value, 'also when another one is used')
    end
end)

fact('a profile outlives a reload', function(t, cluster)
    local a = cluster:member({options = {[PERIOD] = 0.4}})
    options_after(a, {{'use_profile', 'failover'}})
    a:call(function() package.loaded['membership'] = nil; require('membership') end)
    local _, options = options_after(a, {})
    t:is_deeply({options.profile, options[PERIOD], options[MINIMUM]}, {'failover', 0.4, 0.5}, 'and so do assignments')
    _, options = options_after(a, {{'use_profile', 'lan'}})
    t:is_deeply({options[PERIOD], options[MINIMUM]}, {0.4, 0}, 'it is known what was assigned')
end)

fact('an unknown profile is an error that names all', function(t, cluster)
    local a = cluster:node()
    for _, row in ipairs({
        {'moon', 'bad profile (one of lan, wan, local, failover expected, got moon)'},
        {1, 'bad argument #1 to use_profile (string expected, got number)'},
    }) do
        local err = a:call(function(name)
            local ok, err = pcall(require('membership.options').use_profile, name)
            return not ok and err or nil
        end, row[1])
        t:like(err, row[2]:gsub('%p', '%%%0'), row[2])
    end
    local ok, err = pcall(options_after, a, {{'profile', 'lan'}})
    t:ok(not ok and err:find('options table is readonly', 1, true), 'and it is not assigned')
end)

fact('the role has a field for it', function(t, cluster)
    local a = cluster:node()
    local function apply(cfg)
        cfg.advertise, cfg.seeds = a.uri, {}
        return a:call(function(wanted)
            local role, options = require('roles.membership'), require('membership.options')
            local ok, err = pcall(role.validate, wanted)
            if not ok then
                return err
            end
            role.apply(wanted)
            return {options.PROTOCOL_PERIOD_SECONDS, options.SUSPECT_TIMEOUT_MIN_SECONDS, options.profile}
        end, cfg)
    end
    t:is_deeply(apply({profile = 'failover'}), {0.5, 0.5, 'failover'}, 'it is used')
    t:is_deeply(apply({profile = 'failover', options = {[PERIOD] = 1}}), {1, 0.5, 'failover'}, 'options win')
    t:is_deeply(apply({profile = 'failover'}), {0.5, 0.5, 'failover'}, 'an option that is taken out has its value')
    t:is_deeply(apply({options = {[PERIOD] = 1}}), {1, 0, 'lan'}, 'without it the defaults are back')
    t:is_deeply(apply({profile = 'wan', options = {[PERIOD] = 1}}), {1, 0, 'wan'}, 'and another one')
    t:is(apply({profile = 'moon'}),
        "roles_cfg.roles.membership.profile: one of lan, wan, local, failover expected, got 'moon'", 'an error')
end)

suite.run()
