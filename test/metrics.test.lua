-- membership.metrics: the counters, for the rock `metrics`. A model of it stands in for it; what Tarantool has built
-- in, from 2.11 on, is tried as well.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local promtool = require('promtool')
local suite = require('suite')

local fact = suite.fact

--- What a scraper would read: values by name, with labels as in `name{label=value}`.
local function scrape(node)
    return node:call(function()
        local metrics, values = require('metrics'), {}
        metrics.invoke_callbacks()
        for _, observation in ipairs(metrics.collect()) do
            local label, value = next(observation.label_pairs)
            local name = observation.metric_name .. (label and ('{%s=%s}'):format(label, value) or '')
            values[name] = observation.value
        end
        return values
    end)
end

local function use_model(node)
    node:call(function()
        package.loaded['metrics'] = require('fake_metrics')
        package.loaded['metrics.plugins.prometheus'] = require('fake_metrics').prometheus
    end)
end

local IS_BUILT_IN = pcall(require, 'metrics')

--- What is so with the model, and with what is built in. `check` is given what has an instance use it.
local function fact_of_both(name, check)
    fact(name, function(t, cluster)
        check(t, cluster, use_model)
    end)
    if IS_BUILT_IN then
        fact(name .. ' (built in)', function(t, cluster)
            check(t, cluster, function() end)
        end)
    end
end

local function enable(node)
    return node:call(function()
        return require('membership.metrics').enable()
    end)
end

local function count_callbacks(node)
    return node:call(function()
        local count = 0
        for _ in pairs(require('metrics').registry.callbacks) do
            count = count + 1
        end
        return count
    end)
end

fact('without the rock it says so, at the line of the caller', function(t, cluster)
    if IS_BUILT_IN then
        t:skip('this Tarantool has it built in')
        return
    end
    local ok, err, here = cluster:node():call(function()
        local function try()
            require('membership.metrics').enable()
        end
        local ok, err = pcall(try)
        return ok, err, debug.getinfo(try, 'S').linedefined
    end)
    t:is(ok, false, 'it raises')
    local expected = (":%d: the rock 'metrics' is not installed: module 'metrics' not found"):format(here + 1)
    t:like(err, expected, 'what is wrong')
end)

fact_of_both('once enabled, each collection shows what is so', function(t, cluster, install)
    local a, b = cluster:group(2)
    install(a)
    t:is(enable(a), true, 'it is enabled')
    local first = scrape(a)
    t:is(first['tnt_membership_members{status=alive}'], 2, 'members')
    t:is(first['tnt_membership_members{status=dead}'], 0, 'by status')
    t:is(first['tnt_membership_up'], 1, 'the engine works')
    b:kill()
    cluster:everyone_sees(b.uri, 'dead', {a})
    local second = scrape(a)
    t:is(second['tnt_membership_members{status=dead}'], 1, 'a gauge follows')
    t:is(second['tnt_membership_suspicions_turned_dead_total'], 1, 'a counter counts')
    local pings = 'tnt_membership_datagrams_sent_total{type=PING}'
    t:ok(second[pings] > first[pings], 'and goes on counting where it was')
    t:is(scrape(a)['tnt_membership_suspicions_turned_dead_total'], 1, 'to look at it does not change it')
end)

fact_of_both('all that stats has is there, and the names are as Prometheus wants them', function(t, cluster, install)
    local a = cluster:group(2)
    install(a)
    enable(a)
    cluster:wait('a round trip', function() return a.membership.stats().round_trip.last_seconds end)
    local expected = 0
    local function count(value)
        if type(value) == 'table' then
            for _, item in pairs(value) do
                count(item)
            end
        else
            expected = expected + 1
        end
    end
    count(a.membership.stats())
    local shown = 0
    for name in pairs(scrape(a)) do
        shown = shown + 1
        if not name:match('^tnt_membership_[%l_%d]+') then
            t:fail(name)
        end
    end
    t:is(shown, expected + 2, 'each number, whether the engine is up, and how many members have room')
    for _, collector in pairs(a:call(function()
        local kinds = {}
        for _, collector in pairs(require('metrics').registry.collectors) do
            table.insert(kinds, {name = collector.name, kind = collector.kind, help = collector.help})
        end
        return kinds
    end)) do
        t:is(collector.name:endswith('_total'), collector.kind == 'counter', collector.name)
        t:ok(#collector.help > 0, 'has a help text')
    end
end)

fact_of_both('to enable it twice, or after a reload, is to enable it once', function(t, cluster, install)
    local a = cluster:member()
    install(a)
    enable(a)
    enable(a)
    t:is(count_callbacks(a), 1, 'twice')
    a:call(function()
        package.loaded['membership'] = nil
        require('membership')
    end)
    enable(a)
    t:is(count_callbacks(a), 1, 'after a reload')
    t:is(scrape(a)['tnt_membership_members{status=alive}'], 1, 'it works')
end)

fact_of_both('disabled, it leaves nothing behind', function(t, cluster, install)
    local a = cluster:member()
    install(a)
    enable(a)
    scrape(a)
    local function disable()
        return a:call(function()
            return require('membership.metrics').disable()
        end)
    end
    t:is(disable(), true, 'it is disabled')
    t:is_deeply(scrape(a), {}, 'nothing is collected')
    t:is(count_callbacks(a), 0, 'and nobody is called')
    t:is(disable(), true, 'twice is no error')
    enable(a)
    t:is(scrape(a)['tnt_membership_up'], 1, 'it can be enabled again')
end)

fact_of_both('after metrics.clear() it can be enabled anew, and disabled', function(t, cluster, install)
    local a = cluster:member()
    install(a)
    enable(a)
    scrape(a)
    local function clear()
        a:call(function() require('metrics').clear() end)
    end
    clear()
    t:is_deeply(scrape(a), {}, 'nothing is left')
    t:is(enable(a), true, 'it is enabled')
    t:is(scrape(a)['tnt_membership_up'], 1, 'and collected')
    t:is(count_callbacks(a), 1, 'by one callback')
    clear()
    t:is(a:call(function() return require('membership.metrics').disable() end), true, 'disabled after a clear')
    t:is_deeply(scrape(a), {}, 'nothing comes back')
end)

fact('a rock that is too old is named as such, and left as it was', function(t, cluster)
    for _, version in ipairs({10, 9}) do
        local a = cluster:member()
        use_model(a)
        for _, name in ipairs({'enable', 'disable'}) do
            local ok, err, here = a:call(function(called, minor)
                require('metrics').become(minor)
                local function try()
                    require('membership.metrics')[called]()
                end
                local ok, err = pcall(try)
                return ok, err, debug.getinfo(try, 'S').linedefined
            end, name, version)
            t:is(ok, false, ('%s() raises with metrics 0.%d'):format(name, version))
            local expected = (":%d: the rock 'metrics' is too old: 0.11.0 or newer expected$"):format(here + 1)
            t:like(err, expected, 'and says why')
        end
        t:is_deeply(scrape(a), {}, 'no metric is there')
        t:is(a:call(function() return next(require('metrics').registry.collectors) end), nil, 'nor a collector')
    end
end)

fact_of_both('promtool has nothing to say against what Prometheus reads', function(t, cluster, install)
    if promtool.PATH == nil then
        t:skip('promtool is not installed: make setup')
        return
    end
    local a = cluster:group(2)
    install(a)
    enable(a)
    cluster:wait('a round trip', function() return a.membership.stats().round_trip.last_seconds end)
    local exposition = a:call(function()
        return require('metrics.plugins.prometheus').collect_http().body
    end)
    t:like(exposition, '\ntnt_membership_up 1\n', 'what Prometheus reads')
    -- Others may have registered metrics, too.
    local own = {}
    for line in exposition:gmatch('[^\n]+') do
        if line:match('^#? ?%u* ?tnt_membership_') then
            table.insert(own, line)
        end
    end
    local run = promtool.run({'check', 'metrics'}, table.concat(own, '\n') .. '\n')
    t:is(run.output, '', 'no remark')
    t:is(run.code, 0, 'and no error')
end)

suite.run()
