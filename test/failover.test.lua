package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

--- Without confirmations nobody is dead within an hour.
local function options(least)
    return {
        PROTOCOL_PERIOD_SECONDS = 0.2,
        ACK_TIMEOUT_SECONDS = 0.1,
        SUSPECT_TIMEOUT_SECONDS = 3600,
        SUSPECT_TIMEOUT_MIN_SECONDS = least,
    }
end

local function confirmations(members)
    local sum = 0
    for _, member in ipairs(members) do
        sum = sum + member.membership.stats().suspicions.confirmed
    end
    return sum
end

fact('who is killed is dead for everybody as soon as others have confirmed it', function(t, cluster)
    local members = {cluster:group(5, {options = options(0.5)})}
    local victim = table.remove(members, 3)
    victim:signal('KILL')
    t:ok(cluster:everyone_sees(victim.uri, 'dead', members), 'everybody sees it dead')
    t:ok(confirmations(members) >= 2, 'several have had no answer')
    for _, member in ipairs(members) do
        t:ok(cluster:everyone_sees(member.uri, 'alive', members), member.uri .. ' is alive')
    end
end)

fact('who is stopped is dead for everybody, and alive again when it goes on', function(t, cluster)
    local members = {cluster:group(4, {options = options(0.5)})}
    local victim = table.remove(members, 2)
    victim:stop()
    t:ok(cluster:everyone_sees(victim.uri, 'dead', members), 'everybody sees it dead')
    victim:cont()
    table.insert(members, victim)
    for _, member in ipairs(members) do
        t:ok(cluster:everyone_sees(member.uri, 'alive', members), member.uri .. ' is alive')
    end
end)

fact('who answers is not dead, whoever suspects it', function(t, cluster)
    local members = {cluster:group(4, {options = options(0.1)})}
    local a, b = members[1], members[2]
    cluster:record(members[3])
    for _ = 1, 5 do
        a:call(function(uri)
            require('membership.events').generate(uri, require('membership.options').SUSPECT)
        end, b.uri)
        t:ok(cluster:everyone_sees(b.uri, 'alive', members), 'it has contradicted')
    end
    t:unlike(table.concat(cluster:recorded(members[3], b.uri), ', '), 'dead', 'nobody has seen it dead')
    t:is(confirmations(members), 0, 'nobody has confirmed it')
end)

fact('without the option a suspect has all the time that there is', function(t, cluster)
    local members = {cluster:group(3, {options = options(0)})}
    local victim = table.remove(members, 3)
    victim:signal('KILL')
    t:ok(cluster:everyone_sees(victim.uri, 'suspect', members), 'everybody suspects it')
    cluster:let_pass(3)
    t:ok(cluster:everyone_sees(victim.uri, 'suspect', members), 'and still does')
    t:is(confirmations(members), 0, 'nobody was asked to confirm it')
end)

suite.run()
