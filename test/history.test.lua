-- membership.history: every change in order, and why.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

-- A member that is gone is forgotten soon.
local REAPED = {
    PROTOCOL_PERIOD_SECONDS = 0.2,
    ACK_TIMEOUT_SECONDS = 0.1,
    SUSPECT_TIMEOUT_SECONDS = 1,
    REAP_TIMEOUT_SECONDS = 1,
}

--- The changes of one member after a version that are remembered, as far as a condition holds of the last of them.
local function changes_of(cluster, node, version, uri, what, holds)
    local changes
    cluster:wait(what, function()
        local _, all = node.membership.history(version, 0)
        changes = {}
        for _, change in ipairs(all or {}) do
            if change.uri == uri then
                table.insert(changes, change)
            end
        end
        local last = changes[#changes]
        return last ~= nil and holds(last), last and last.text
    end)
    return changes
end

local function has_status(status)
    return function(change)
        return change.status == status
    end
end

local function is_without_gap(t, changes, what)
    local gaps = {}
    for i = 2, #changes do
        local before, after = changes[i - 1], changes[i]
        local is_next = before.version < after.version and before.monotonic <= after.monotonic
            and before.status == after.old_status and before.incarnation == after.old_incarnation
        table.insert(gaps, not is_next and after.text or nil)
    end
    t:is_deeply(gaps, {}, what)
end

fact('of a member that is killed it is told who did not reach it, and that its time was up', function(t, cluster)
    local a, b, c = cluster:group(3)
    local versions = {[a] = a.membership.wait(), [b] = b.membership.wait()}
    local before = require('fiber').time()
    c:kill()
    local probers, judges = 0, 0
    for observer, version in pairs(versions) do
        local changes = changes_of(cluster, observer, version, c.uri, 'it to be dead', has_status('dead'))
        is_without_gap(t, changes, 'nothing is missing in between')
        local suspicion, death = changes[#changes - 1], changes[#changes]
        t:is(suspicion.status, 'suspect', 'it was suspect first')
        t:is(suspicion.old_status, 'alive', 'and alive before')
        t:ok(suspicion.time >= before and death.time >= suspicion.time, 'with the times')
        local other = observer == a and b or a
        if suspicion.why == 'probe_failed' then
            probers = probers + 1
            t:is_deeply(suspicion.relays, {other.uri}, 'the other one was asked')
            t:like(suspicion.text, 'is suspect: it did not answer this instance, nor ' .. other.uri, 'in words')
        else
            t:is(suspicion.why, 'told', 'or it was told')
            t:is(suspicion.by, other.uri, 'by the other one')
        end
        if death.why == 'timed_out' then
            judges = judges + 1
            t:ok(death.monotonic - suspicion.monotonic >= 1, 'it had its time')
        else
            t:is(death.why .. death.by, 'told' .. other.uri, 'or the other one was first')
        end
    end
    t:ok(probers > 0 and judges > 0, 'at least one has found it out')
end)

fact('a suspicion that was refuted while a program looked away is in the history', function(t, cluster)
    local a, b = cluster:group(2)
    local version = a.membership.wait()
    b:signal('STOP')
    cluster:everyone_sees(b.uri, 'suspect', {a})
    b:signal('CONT')
    cluster:everyone_sees(b.uri, 'alive', {a})
    local reached, changed = a.membership.wait(version)
    t:is(changed[b.uri].status, 'alive', 'what wait returns has nothing of it')
    local changes = changes_of(cluster, a, version, b.uri, 'it to be alive', has_status('alive'))
    t:is(changes[1].status .. ' ' .. changes[2].status, 'suspect alive', 'the history has both')
    t:is(changes[1].why, 'probe_failed', 'why it was suspect')
    t:is(changes[2].why, 'announced', 'and why it is not')
    t:ok(changes[2].version <= reached, 'with the versions of wait')
    local own = changes_of(cluster, b, 0, b.uri, 'the refutation', function(change)
        return change.why == 'refuted'
    end)
    t:is(own[#own].by, a.uri, 'the one that was suspected knows who said so')
end)

fact('whatever a member or an operator does has a reason of its own', function(t, cluster)
    local a, b, c = cluster:group(3)
    local function check(observer, uri, what, expected, act)
        local version = observer.membership.wait()
        act()
        local changes = changes_of(cluster, observer, version, uri, what, function(change)
            return change.why == expected.why
        end)
        local last, seen = changes[#changes], {}
        for key in pairs(expected) do
            seen[key] = last[key]
        end
        t:is_deeply(seen, expected, ('%s: %s'):format(what, last.text))
        return last
    end
    check(b, b.uri, 'set_payload', {why = 'payload_set', payload_changed = true}, function()
        b.membership.set_payload('n', 1)
    end)
    local heard = check(a, b.uri, 'another payload', {why = 'announced', payload_changed = true}, function()
        b.membership.set_payload('n', 2)
    end)
    t:ok(heard.incarnation > heard.old_incarnation, 'the incarnation has risen')
    check(a, c.uri, 'leave', {why = 'left', status = 'left', old_status = 'alive'}, function()
        c.membership.leave()
    end)
    local absent = '127.0.0.1:' .. cluster:port()
    local added = check(a, absent, 'add_member', {why = 'added', status = 'alive'}, function()
        a.membership.add_member(absent)
    end)
    t:is(added.old_status, nil, 'it was not known')
    check(a, absent, 'mark_left', {why = 'marked', status = 'left'}, function()
        a.membership.mark_left(absent)
    end)
    changes_of(cluster, b, 0, absent, 'b to be told', function(change)
        return change.status == 'left' and change.why == 'told' and change.by == a.uri
    end)
    local removed = check(a, absent, 'remove_member', {why = 'removed', old_status = 'left'}, function()
        a.membership.remove_member(absent)
    end)
    t:is(removed.status, nil, 'it is not known any more')
    check(a, c.uri, 'set_allowed_members', {why = 'not_allowed', old_status = 'left'}, function()
        a.membership.set_allowed_members({b.uri})
    end)
    local left = check(b, b.uri, 'having left', {why = 'left', old_status = 'alive'}, function()
        b.membership.leave()
    end)
    t:is(left.status, nil, 'its table is empty')
end)

fact('diagnose shows the last changes of a member, also of one that is forgotten', function(t, cluster)
    local a, b = cluster:group(2, {options = REAPED})
    local function texts()
        local list = {}
        for _, change in ipairs(a.membership.diagnose(b.uri).changes) do
            table.insert(list, change.why)
        end
        return table.concat(list, ' ')
    end
    t:like(texts(), '^announced', 'how it was heard of')
    b:kill()
    cluster:everyone_sees(b.uri, nil, {a})
    t:like(texts(), 'probe_failed timed_out reaped$', 'why it is gone')
    local diagnosis = a.membership.diagnose(b.uri)
    t:is(diagnosis.status, nil, 'it is not in the table')
    t:is_deeply(diagnosis.hints, {}, 'and there is nothing to look at')
    t:is(a.membership.diagnose('127.0.0.1:1'), nil, 'one that was never heard of is not known')
    for i = 1, 20 do
        a.membership.set_payload('n', i)
    end
    t:is(#a.membership.diagnose(a.uri).changes, 10, 'the last ones')
    t:is(a.membership.diagnose()[a.uri].changes, nil, 'without a URI it has none')
end)

fact('it waits for a change, and blocks no other fiber', function(t, cluster)
    local a = cluster:member()
    local result = a:call(function()
        local fiber, membership = require('fiber'), require('membership')
        local version = membership.history()
        local result = {at_once = membership.history(version, 0), soon = membership.history(version, 0.2)}
        local reader = fiber.new(function()
            local reached, changes, lost = membership.history(version, 10)
            result.is_newer, result.why, result.lost = reached > version, changes[1].why, lost
        end)
        reader:set_joinable(true)
        fiber.yield()
        membership.set_payload('n', 1)
        reader:join()
        return result
    end)
    t:is_deeply(result, {is_newer = true, why = 'payload_set'}, 'it wakes with what has changed, and not before')
end)

fact('what there is no room for is lost, and it says so', function(t, cluster)
    local a = cluster:member()
    local result = a:call(function()
        local fiber, membership = require('fiber'), require('membership')
        local version, turns, done = membership.history(), 0, false
        for i = 1, 5000 do
            local uri = '127.0.0.2:' .. i
            membership.add_member(uri)
            membership.remove_member(uri)
        end
        fiber.create(function()
            while not done do
                turns = turns + 1
                fiber.sleep(0)
            end
        end)
        local before = turns
        local reached, changes, lost = membership.history(version, 10)
        local result = {turns = turns - before, lost = lost, count = #changes}
        local _, rest, rest_lost = membership.history(changes[1].version, 10)
        result.rest, result.rest_lost = #rest, rest_lost
        before, result.largest, result.in_parts = turns, 0, 0
        local part_reached, part = membership.history(version, 0)
        while part ~= nil do
            result.largest, result.in_parts = math.max(result.largest, #part), result.in_parts + #part
            result.part_is_of = part[#part].version == part_reached
            part_reached, part = membership.history(part_reached, 0)
        end
        result.parts_end, result.turns_between_parts = part_reached, turns - before
        result.is_all = changes[#changes].uri == '127.0.0.2:5000' and changes[#changes].version == reached
        result.foreign = select(3, membership.history(reached + 1000, 0))
        result.stats = membership.stats().history
        done = true
        return result
    end)
    t:is(result.lost, true, 'a reader that is too far behind is told so')
    t:ok(result.is_all, 'the last ones are there')
    t:ok(result.turns > 1, 'another fiber runs in between')
    t:is(result.rest, result.count - 1, 'one that has read so far gets the rest')
    t:is(result.rest_lost, nil, 'and has lost none')
    t:is(result.largest, 500, 'with a timeout of 0 it returns a part')
    t:ok(result.part_is_of, 'and how far that reaches')
    t:is(result.in_parts, result.count, 'all parts are all that there is')
    t:is(result.parts_end, nil, 'then there is no more')
    t:is(result.turns_between_parts, 0, 'and no other fiber runs')
    t:is(result.foreign, true, 'a number that was never given out is of another life')
    t:is(result.stats.kept, result.count, 'stats count what is there')
    t:ok(result.stats.forgotten > 0, 'and what is not')
end)

fact('it survives a reload, and goes on', function(t, cluster)
    local a = cluster:member()
    local result = a:call(function()
        local fiber, membership = require('fiber'), require('membership')
        membership.set_payload('n', 1)
        local version = membership.history()
        local got = fiber.channel(1)
        fiber.create(function()
            local _, changes = membership.history(version, 10)
            got:put(changes[1].why)
        end)
        package.loaded['membership'] = nil
        local reloaded = require('membership')
        local _, changes = reloaded.history()
        local last = changes[#changes].why
        reloaded.set_payload('n', 2)
        return {last = last, woken = got:get(10)}
    end)
    t:is_deeply(result, {last = 'payload_set', woken = 'payload_set'}, 'what was is there, and who waits is woken')
end)

suite.run()
