--- How something changes in the eyes of several instances.

local Watch = {}
Watch.__index = Watch

function Watch.new(cluster, observers, value_of)
    local watch = setmetatable(
        {cluster = cluster, observers = observers, value_of = value_of, values = {}, sightings = {}}, Watch)
    for _, name in ipairs(observers) do
        watch.values[name] = {value_of(name)}
    end
    cluster.watches[watch] = true
    return watch
end

function Watch:look(instance, at)
    local name = instance.name
    local held = self.values[name]
    if held == nil then
        return
    end
    local value = self.value_of(name)
    if value ~= held[1] then
        held[1] = value
        table.insert(self.sightings, {name = name, at = at, value = value})
    end
end

--- Those who do not see this value now.
function Watch:blind(value)
    local blind = {}
    for _, name in ipairs(self.observers) do
        if self.values[name][1] ~= value then
            table.insert(blind, name)
        end
    end
    return blind
end

--- Waits until all observers see this value, then ends the watch.
-- @param told function(sighting), called for each change that an observer saw: {name, at, value}
-- @return true, or false and the names of those who do not see it in time
function Watch:follow(value, seconds, told)
    local count = 0
    local seen_by_all = self.cluster:wait_for(seconds, function()
        while count < #self.sightings do
            count = count + 1
            told(self.sightings[count])
        end
        return #self:blind(value) == 0
    end)
    self:stop()
    return seen_by_all, self:blind(value)
end

--- Ends the watch; what was seen is kept in `sightings`.
function Watch:stop()
    self.cluster.watches[self] = nil
end

--- When observers first saw this value.
function Watch:times(value)
    local times, counted = {}, {}
    for _, sighting in ipairs(self.sightings) do
        if sighting.value == value and not counted[sighting.name] then
            counted[sighting.name] = true
            table.insert(times, sighting.at)
        end
    end
    return times
end

return Watch
