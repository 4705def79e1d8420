-- Groups with other labels never merge, whoever introduces them to each other.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local logged = require('logged')
local suite = require('suite')

local fact = suite.fact

local function labelled(cluster, label, cipher)
    local node = cluster:node()
    node:call(function(name, how)
        local options = require('membership.options')
        options.GROUP_LABEL = name
        if how ~= nil then
            options.ENCRYPTION_CIPHER = how
            require('membership').set_encryption_key('the same key')
        end
    end, label, cipher)
    return cluster:init(node)
end

--- Two groups of two, the first member of each introduced to the other.
local function two_groups(cluster, one, other, cipher)
    local groups = {}
    for i, label in ipairs({one, other}) do
        groups[i] = {labelled(cluster, label, cipher), labelled(cluster, label, cipher)}
        groups[i][1].membership.add_member(groups[i][2].uri)
        cluster:acquaint(groups[i])
        for _, member in ipairs(groups[i]) do
            cluster:record(member)
            logged.begin(member)
        end
    end
    return unpack(groups)
end

local function they_keep_apart(t, cluster, ours, theirs)
    ours[1].membership.add_member(theirs[1].uri)
    theirs[2].membership.add_member(ours[2].uri)
    cluster:everyone_sees(theirs[1].uri, 'dead', ours)
    cluster:everyone_sees(ours[2].uri, 'dead', theirs)
    cluster:let_pass(2) -- in which they might yet meet
    for _, groups in ipairs({{ours, theirs}, {theirs, ours}}) do
        local group, strangers = unpack(groups)
        for _, member in ipairs(group) do
            for _, friend in ipairs(group) do
                t:is_deeply(cluster:recorded(member, friend.uri), {'alive 1'}, 'nobody doubted his own')
            end
            for _, stranger in ipairs(strangers) do
                t:isnt(member:status_of(stranger.uri), 'alive', 'nobody met a stranger')
            end
        end
    end
end

for _, case in ipairs({
    {'plain'},
    {'in the encryption of the Lua rock', 'aes-256-cbc'},
    {'authenticated', 'xchacha20-poly1305'},
}) do
    local name, cipher = unpack(case)
    fact('two groups with other labels that are introduced to each other do not merge, ' .. name, function(t, cluster)
        local ours, theirs = two_groups(cluster, 'ours', 'theirs', cipher)
        they_keep_apart(t, cluster, ours, theirs)
        local line = 'Ignoring datagrams from %s: of a group with another GROUP_LABEL'
        t:ok(logged.wait(theirs[1], 'warn', line:format(ours[1].uri)), 'and the log tells why')
    end)
end

fact('a group without a label and one with do not merge either', function(t, cluster)
    they_keep_apart(t, cluster, two_groups(cluster, '', 'theirs'))
end)

fact('a label is a string of at most 64 bytes', function(t, cluster)
    local a = cluster:member()
    local function set(value)
        return a:call(function(label)
            return {pcall(function()
                require('membership.options').GROUP_LABEL = label
            end)}
        end, value)
    end
    t:is(set(('x'):rep(64))[1], true, '64 bytes are a label')
    for _, bad in ipairs({('x'):rep(65), 5, true}) do
        local ok, err = unpack(set(bad))
        t:ok(not ok and err:match('bad option GROUP_LABEL'), tostring(err))
    end
    t:is(set('')[1], true, 'none is none')
end)

suite.run()
