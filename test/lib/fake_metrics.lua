--- As much of the rock `metrics` as membership.metrics uses, with the same names, rules and shapes.

local clock = require('clock')

local registry = {collectors = {}, callbacks = {}}

function registry:find(kind, name)
    return self.collectors[name .. kind]
end

function registry:find_or_create(class, name, help)
    local found = self:find(class.kind, name)
    if found == nil then
        found = setmetatable({name = name, help = help, observations = {}}, {__index = class})
        self.collectors[name .. class.kind] = found
    end
    return found
end

function registry:unregister(collector)
    self.collectors[collector.name .. collector.kind] = nil
end

local function key_of(labels)
    local parts = {}
    for name, value in pairs(labels) do
        table.insert(parts, name .. '\t' .. value)
    end
    table.sort(parts)
    return table.concat(parts, '\n')
end

local function set(self, value, labels)
    assert(type(tonumber(value)) == 'number', 'a value is a number')
    labels = labels or {}
    self.observations[key_of(labels)] = {
        label_pairs = labels,
        timestamp = clock.time64(),
        metric_name = self.name,
        value = value,
    }
end

local gauge = {kind = 'gauge', set = set}

local counter = {kind = 'counter'}

function counter:inc(value, labels)
    assert(value >= 0, 'Counter increment should not be negative')
    local held = self.observations[key_of(labels or {})]
    set(self, (held and held.value or 0) + value, labels)
end

function counter:reset(labels)
    set(self, 0, labels)
end

local metrics = {registry = registry}

function metrics.counter(name, help)
    return registry:find_or_create(counter, name, help)
end

function metrics.gauge(name, help)
    return registry:find_or_create(gauge, name, help)
end

function metrics.register_callback(callback)
    for _, registered in ipairs(registry.callbacks) do
        if registered == callback then
            return
        end
    end
    table.insert(registry.callbacks, callback)
end

function metrics.unregister_callback(callback)
    for i, registered in ipairs(registry.callbacks) do
        if registered == callback then
            table.remove(registry.callbacks, i)
            return
        end
    end
end

function metrics.clear()
    registry.collectors, registry.callbacks = {}, {}
end

function metrics.invoke_callbacks()
    for _, callback in ipairs(registry.callbacks) do
        callback()
    end
end

function metrics.collect()
    local all = {}
    for _, collector in pairs(registry.collectors) do
        for _, observation in pairs(collector.observations) do
            table.insert(all, observation)
        end
    end
    return all
end

local function serialize(observation)
    local labels = {}
    for name, value in pairs(observation.label_pairs) do
        table.insert(labels, ('%s="%s"'):format(name, value))
    end
    local braced = labels[1] and ('{%s}'):format(table.concat(labels, ',')) or ''
    return ('%s%s %s'):format(observation.metric_name, braced, observation.value)
end

--- What `metrics.plugins.prometheus` is.
metrics.prometheus = {}

function metrics.prometheus.collect_http()
    metrics.invoke_callbacks()
    local lines = {}
    for _, collector in pairs(registry.collectors) do
        table.insert(lines, ('# HELP %s %s'):format(collector.name, collector.help))
        table.insert(lines, ('# TYPE %s %s'):format(collector.name, collector.kind))
        for _, observation in pairs(collector.observations) do
            table.insert(lines, serialize(observation))
        end
    end
    return {
        status = 200,
        headers = {['content-type'] = 'text/plain; charset=utf8'},
        body = table.concat(lines, '\n') .. '\n',
    }
end

--- Makes it what 0.10 or an older version was, which had less.
function metrics.become(version)
    counter.reset = nil
    if version < 10 then
        metrics.unregister_callback = nil
    end
end

return metrics
