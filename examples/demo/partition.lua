--- The network splits, and heals: each side holds the other dead, goes on by itself, and finds the other again.

local network = require('demo.network')
local story = require('demo.story')

local SIDES = {{'A', 'B', 'C'}, {'D', 'E'}}
local SPLIT_SECONDS = 60
local HEAL_SECONDS = 60

--- The side of a name, and the other one.
local function sides_of(name)
    for i, side in ipairs(SIDES) do
        for _, member in ipairs(side) do
            if member == name then
                return side, SIDES[3 - i]
            end
        end
    end
end

local function split(cluster, display)
    display:step('the network splits: A, B, C | D, E; no instance is told')
    local watch = cluster:watch(story.NAMES, function(name)
        local _, others = sides_of(name)
        local seen, dead = {}, 0
        for _, other in ipairs(others) do
            local status = story.status_of(cluster, other)(name)
            dead = dead + (status == 'dead' and 1 or 0)
            table.insert(seen, ('%s %s'):format(other, status))
        end
        return dead == #others and 'dead' or table.concat(seen, ', ')
    end)
    network.split(cluster:ports(SIDES[1]), cluster:ports(SIDES[2]))
    local split_at = display:now()
    story.expect(display, {
        what = 'split: all on the other side are dead', watch = watch, value = 'dead', seconds = SPLIT_SECONDS,
        cause_at = split_at,
        told = function(sighting)
            local _, others = sides_of(sighting.name)
            local seen = sighting.value == 'dead' and story.enumerate(others) .. ' dead' or sighting.value
            local mood = seen:match('dead$') and 'dead' or 'suspect'
            display:event(('%s sees %s'):format(sighting.name, seen), sighting.at, split_at, mood, sighting.name)
        end,
    })
end

local function heal(cluster, display)
    display:step("A sets its payload, unheard by the other side; then the network heals")
    local watch = cluster:watch(story.NAMES, function(name)
        local first = cluster:view(name, 'A')
        return cluster:count_alive(name) == #story.NAMES and first.payload.side == 'one' and 'alive' or nil
    end)
    cluster:call('A', 'set_payload', 'side', 'one')
    network.heal()
    local healed_at = display:now()
    story.expect(display, {
        what = 'healed: all alive for all, with what they missed', watch = watch, value = 'alive',
        seconds = HEAL_SECONDS, cause_at = healed_at,
        told = function(sighting)
            if sighting.value ~= nil then
                local text = ("%s sees all alive, and A's payload"):format(sighting.name)
                display:event(text, sighting.at, healed_at, 'alive', sighting.name)
            end
        end,
    })
end

local function run(cluster, display)
    story.start_all(cluster, display)
    story.meet(cluster, display)
    local own_side = cluster:watch(story.NAMES, function(name)
        return story.any_not_alive(cluster, (sides_of(name)))(name)
    end)
    split(cluster, display)
    story.expect_nothing(own_side, 'no instance is to be suspected by its own side')
    display:event('no instance was suspected by its own side', display:now())
    heal(cluster, display)
end

return {
    about = 'the network splits in two, and heals',
    watch_for = 'the matrix falls apart into two blocks; within a block all stay alive to each other',
    breaks_network = true,
    run = run,
}
