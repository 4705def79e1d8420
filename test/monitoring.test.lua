-- The alerts and the dashboard: they name metrics that exist, and an alert tells what to do.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local files = require('files')
local fio = require('fio')
local json = require('json')
local promtool = require('promtool')
local suite = require('suite')
local yaml = require('yaml')

local fact = suite.fact

local ROOT = fio.abspath(fio.pathjoin(fio.dirname(arg[0]), '..'))
local DASHBOARD = fio.pathjoin(ROOT, 'doc', 'grafana', 'membership.json')
local RULES = fio.pathjoin(ROOT, 'doc', 'prometheus', 'membership.rules.yml')
local SCENARIOS = fio.pathjoin(ROOT, 'test', 'alerts.yml')
local OPERATIONS = fio.pathjoin(ROOT, 'doc', 'operations.md')

--- What a member shows to Prometheus: by name `label`, nil if there is none, and the `values` that it may have.
local function exported(cluster)
    local member, other = cluster:group(2)
    cluster:wait('a round trip', function() return member.membership.stats().round_trip.last_seconds end)
    assert(other:is_running())
    local observations = member:call(function()
        package.loaded['metrics'] = require('fake_metrics')
        require('membership.metrics').enable()
        require('metrics').invoke_callbacks()
        return require('metrics').collect()
    end)
    local metrics = {}
    for _, observation in ipairs(observations) do
        local label, value = next(observation.label_pairs)
        local metric = metrics[observation.metric_name] or {label = label, values = {}}
        metrics[observation.metric_name] = metric
        metric.values[value or ''] = true
    end
    return metrics
end

--- All rules, of all groups.
local function read_rules()
    local rules = {}
    for _, group in ipairs(yaml.decode(files.read(RULES)).groups) do
        for _, rule in ipairs(group.rules) do
            table.insert(rules, rule)
        end
    end
    return rules
end

--- The panels of the dashboard, those in rows that are folded included.
local function read_panels()
    local panels = {}
    local function add(list)
        for _, panel in ipairs(list) do
            table.insert(panels, panel)
            add(panel.panels or {})
        end
    end
    add(json.decode(files.read(DASHBOARD)).panels)
    return panels
end

--- The metrics that an expression names.
local function names_in(expression)
    local names = {}
    for name in expression:gmatch('tnt_[%w_]+') do
        table.insert(names, name)
    end
    return names
end

--- Checks that what an expression names exists: metrics, and the values of their labels.
local function check_expression(t, whose, expression, metrics)
    t:ok(#names_in(expression) > 0, whose .. ' looks at a metric')
    for _, name in ipairs(names_in(expression)) do
        t:ok(metrics[name], ('%s: %s exists'):format(whose, name))
    end
    for name, matchers in expression:gmatch('(tnt_[%w_]+)(%b{})') do
        for label, wanted in matchers:gmatch('(%l+)=~?"([^"]*)"') do
            if label ~= 'alias' then -- of all metrics
                t:is(label, metrics[name].label, ('%s: the label of %s'):format(whose, name))
                for value in wanted:gmatch('[^|]+') do
                    t:ok(metrics[name].values[value], ('%s: %s may be %s'):format(whose, label, value))
                end
            end
        end
    end
end

fact('each expression of an alert names metrics and labels that exist', function(t, cluster)
    local metrics = exported(cluster)
    for _, rule in ipairs(read_rules()) do
        check_expression(t, rule.alert, rule.expr, metrics)
    end
end)

fact('a datagram that is dropped has one alert, whatever the reason', function(t, cluster)
    local alerts = {}
    for _, rule in ipairs(read_rules()) do
        for reasons in rule.expr:gmatch('dropped_total{reason=~"([^"]*)"') do
            for reason in reasons:gmatch('[^|]+') do
                t:is(alerts[reason], nil, ('%s has %s'):format(reason, rule.alert))
                alerts[reason] = rule.alert
            end
        end
    end
    for reason in pairs(exported(cluster).tnt_membership_dropped_total.values) do
        t:ok(alerts[reason], reason .. ' has one')
    end
end)

--- The anchors of the sections of troubleshooting, as links name them.
local function read_sections()
    local chapter = files.read(OPERATIONS):match('\n## Troubleshooting\n(.-)\n## ')
    local anchors = {}
    for heading in chapter:gmatch('\n### ([^\n]+)') do
        anchors[heading:lower():gsub('[^%w_ -]', ''):gsub(' ', '-')] = true
    end
    return anchors
end

fact('an alert tells an operator what to do, and where to read more', function(t)
    local sections, seen = read_sections(), {}
    for _, rule in ipairs(read_rules()) do
        local name, annotations = rule.alert, rule.annotations
        t:is(seen[name], nil, name .. ' is there once')
        seen[name] = true
        t:ok(({critical = true, warning = true})[rule.labels.severity], name .. ' has a severity')
        t:like(annotations.summary, '%S', name .. ' has a summary')
        local anchor = annotations.runbook:match('^doc/operations%.md#(.*)$')
        t:ok(sections[anchor], ('%s leads to troubleshooting: %s'):format(name, annotations.runbook))
        -- Of an expression about the group, other labels are empty.
        local is_of_group = rule.expr:match('^%l+ by %(job%)') ~= nil
        for label in annotations.summary:gmatch('%$labels%.(%l+)') do
            t:is(label == 'job', is_of_group, ('%s names %s'):format(name, label))
        end
    end
end)

fact('an operator finds each alert in the guide', function(t)
    local guide = files.read(OPERATIONS):match('\n## Monitoring\n(.-)\n## ')
    local described = {}
    for name in guide:gmatch('`(Membership%u%a+)`') do
        described[name] = true
    end
    local existing = {}
    for _, rule in ipairs(read_rules()) do
        existing[rule.alert] = true
    end
    t:is_deeply(described, existing, 'all of them, and no others')
end)

fact('alerts fire when they should, and not before: promtool', function(t)
    local fires = {}
    local scenarios = files.read(SCENARIOS)
    for name in scenarios:gmatch('alertname="(%u%a+)"') do
        fires[name] = true
    end
    for _, rule in ipairs(read_rules()) do
        t:ok(fires[rule.alert], rule.alert .. ' has a scenario')
    end
    if promtool.PATH == nil then
        t:skip('promtool is not installed: make setup')
        return
    end
    for _, args in ipairs({{'check', 'rules', RULES}, {'test', 'rules', SCENARIOS}}) do
        local run = promtool.run(args)
        if not t:is(run.code, 0, ('promtool %s %s'):format(args[1], args[2])) then
            t:diag('%s', run.output)
        end
    end
end)

fact('each expression of the dashboard names metrics and labels that exist', function(t, cluster)
    local metrics, expressions = exported(cluster), 0
    for _, panel in ipairs(read_panels()) do
        for _, target in ipairs(panel.targets or {}) do
            expressions = expressions + 1
            check_expression(t, panel.title, target.expr, metrics)
            local own_label = metrics[names_in(target.expr)[1]].label
            for label in (target.legendFormat or ''):gmatch('{{(%l+)}}') do
                t:ok(label == 'alias' or label == own_label, ('%s: its label %s'):format(panel.title, label))
            end
        end
    end
    t:ok(expressions > 0, 'there are some')
end)

fact('the dashboard shows each metric', function(t, cluster)
    local shown = {}
    for _, panel in ipairs(read_panels()) do
        for _, target in ipairs(panel.targets or {}) do
            for _, name in ipairs(names_in(target.expr)) do
                shown[name] = true
            end
        end
    end
    for name in pairs(exported(cluster)) do
        t:ok(shown[name], name)
    end
end)

fact('no panel of the dashboard covers another, and each has an id of its own', function(t)
    local ids = {}
    for _, panel in ipairs(read_panels()) do
        t:is(ids[panel.id], nil, ('%s: id %d'):format(panel.title, panel.id))
        ids[panel.id] = panel.title
    end
    local taken = {}
    local function place(list)
        for _, panel in ipairs(list) do
            local at = panel.gridPos
            for y = at.y, at.y + at.h - 1 do
                for x = at.x, at.x + at.w - 1 do
                    local cell = ('%d %d'):format(x, y)
                    if taken[cell] ~= nil then
                        t:fail(('%s covers %s'):format(panel.title, taken[cell]))
                    end
                    taken[cell] = panel.title
                end
            end
        end
    end
    for _, panel in ipairs(json.decode(files.read(DASHBOARD)).panels) do
        if panel.panels ~= nil and #panel.panels > 0 then
            taken = {} -- a row that is unfolded moves those below it down
            place(panel.panels)
        end
    end
    taken = {}
    place(json.decode(files.read(DASHBOARD)).panels)
end)

suite.run()
