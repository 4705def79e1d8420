--- What several scenarios tell: instances start and meet, and something is expected to be seen.

local story = {NAMES = {'A', 'B', 'C', 'D', 'E'}}

local MEET_SECONDS = 10

--- Ends the scenario with a sentence for the user.
function story.fail(text, ...)
    error({failure = text:format(...)}, 0)
end

--- "A, B and C"
function story.enumerate(names)
    if #names < 2 then
        return names[1]
    end
    return table.concat(names, ', ', 1, #names - 1) .. ' and ' .. names[#names]
end

--- Shows a watch until all see the value, and books it into the summary; else fails, saying who does not see it.
-- @param e {what, watch, value, seconds, cause_at, told}; `before` = {what, value} books what some saw on the way
function story.expect(display, e)
    local ok, blind = e.watch:follow(e.value, e.seconds, e.told)
    if e.before ~= nil then
        display:result(e.before.what, e.seconds, e.cause_at, e.watch:times(e.before.value))
    end
    if not ok then
        story.fail('%s: after %d s still not so for %s', e.what, e.seconds, story.enumerate(blind))
    end
    display:result(e.what, e.seconds, e.cause_at, e.watch:times(e.value))
end

--- For a watch: what an observer sees of one member.
function story.status_of(cluster, of)
    return function(name)
        local member = cluster:view(name, of)
        return member and member.status
    end
end

--- For expect(): shows who sees that member as what.
function story.tell_status(display, of, cause_at)
    return function(sighting)
        if sighting.value ~= nil then
            display:event(('%s sees %s %s'):format(sighting.name, of, sighting.value), sighting.at, cause_at,
                sighting.value, sighting.name)
        end
    end
end

--- For a watch: the first of these whom an observer does not see alive, as "D suspect".
function story.any_not_alive(cluster, names)
    return function(observer)
        for _, name in ipairs(names) do
            local member = cluster:view(observer, name)
            if member ~= nil and member.status ~= 'alive' then
                return ('%s %s'):format(name, member.status)
            end
        end
    end
end

--- Ends a watch in which nothing was to be seen.
function story.expect_nothing(watch, what)
    watch:stop()
    local seen = watch.sightings[1]
    if seen ~= nil then
        story.fail('%s: but %s saw %s', what, seen.name, seen.value or 'a change')
    end
end

function story.start_all(cluster, display)
    display:step(('%d instances start, without box.cfg'):format(#story.NAMES))
    for _, name in ipairs(story.NAMES) do
        local up_since = cluster:start(name)
        local instance = cluster.instances[name]
        display:event(('%s is up: %s, process %d'):format(name, instance.uri, instance.pid), up_since)
    end
end

--- @param seconds how long it may take, if that is not what is usual
function story.meet(cluster, display, seconds)
    local names = story.NAMES
    display:step('they meet: B is told of A, C of B, D of C, E of D; how many does each know?')
    local watch = cluster:watch(names, function(name) return cluster:count_alive(name) end)
    local calls = {}
    for i = 2, #names do
        table.insert(calls, cluster:tell(names[i], 'add_member', cluster.instances[names[i - 1]].uri))
    end
    local told_at = math.huge
    for _, call in ipairs(calls) do
        told_at = math.min(told_at, (cluster:answer(call)))
    end

    local counts = {}
    story.expect(display, {
        what = 'all know all', watch = watch, value = #names, seconds = seconds or MEET_SECONDS,
        cause_at = told_at,
        told = function(sighting)
            counts[sighting.name] = sighting.value
            local row = {}
            for _, name in ipairs(names) do
                table.insert(row, ('%s %d'):format(name, counts[name] or 1))
            end
            display:event(table.concat(row, '   '), sighting.at, told_at, nil, sighting.name)
        end,
    })
end

--- One of them sets a key of its payload; all others get it.
function story.share_payload(cluster, display, e)
    local watch = cluster:watch(cluster:others(e.from), function(name)
        local member = cluster:view(name, e.from)
        return member and member.payload[e.key]
    end)
    local set_at = cluster:call(e.from, 'set_payload', e.key, e.value)
    story.expect(display, {
        what = e.what or ("all have %s's payload"):format(e.from), watch = watch, value = e.value,
        seconds = e.seconds, cause_at = set_at,
        told = function(sighting)
            local text = ("%s has %s's payload"):format(sighting.name, e.from)
            display:event(text, sighting.at, set_at, nil, sighting.name)
        end,
    })
end

return story
