-- A flood of hostile datagrams: nobody is suspected for it, and memory has its bounds.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fio = require('fio')
local popen = require('popen')
local suite = require('suite')

local RATE = 100000

-- Tables, addresses and rumors of 2000 members, however many were invented.
local GROWTH_MAX_MB = 64

local FLOOD = fio.abspath(debug.getinfo(1, 'S').source:match('^@(.*/)')) .. '/lib/flood.lua'

local function resident_mb(node)
    local status = fio.open(('/proc/%d/status'):format(node.pid), {'O_RDONLY'})
    local text = status:read(65536)
    status:close()
    return tonumber(text:match('VmRSS:%s*(%d+) kB')) / 1024
end

--- Has a fiber of the instance ask for the time again and again, and remember by how much it was late.
local function watch_fibers(node)
    node:call(function()
        local clock, fiber = require('clock'), require('fiber')
        local late = {}
        rawset(_G, 'late', late)
        fiber.create(function()
            while true do
                local before = clock.monotonic()
                fiber.sleep(0.01)
                table.insert(late, clock.monotonic() - before - 0.01)
            end
        end)
    end)
end

local function lateness(node)
    return node:call(function()
        local late = rawget(_G, 'late')
        table.sort(late)
        local ms = function(share) return 1000 * late[math.max(1, math.floor(#late * share))] end
        return ('a fiber was late by %.2f ms (median), %.2f (p99), %.2f (at most)'):format(ms(0.5), ms(0.99), ms(1))
    end)
end

--- Notes every status but alive that the instance sees of the others from now on.
local function watch_others(node, others)
    node:call(function(uris)
        local fiber, membership = require('fiber'), require('membership')
        local seen = {}
        rawset(_G, 'doubts', seen)
        fiber.create(function()
            local changed = membership.subscribe()
            while true do
                for _, uri in ipairs(uris) do
                    local member = membership.get_member(uri)
                    if member == nil or member.status ~= 'alive' then
                        seen[uri] = member and member.status or 'unknown'
                    end
                end
                changed:wait(0.1)
            end
        end)
    end, others)
end

--- Has an instance flooded, and checks that nobody suspects anybody for it.
local function withstands(t, cluster, kind, senders, seconds)
    local members = {cluster:group(4, {options = {MAX_MEMBERS = 2000}})}
    local uris = {}
    for _, member in ipairs(members) do
        table.insert(uris, member.uri)
    end
    -- Each has pinged each: until then the one is a stranger to the other.
    cluster:wait('all to have answered all', function()
        for _, member in ipairs(members) do
            for _, uri in ipairs(uris) do
                if member.membership.get_member(uri).clock_delta == nil then
                    return false, uri
                end
            end
        end
        return true
    end)
    local target = members[1]
    for _, member in ipairs(members) do
        watch_others(member, uris)
    end
    watch_fibers(target)
    local before = resident_mb(target)
    local flood = popen.new({
        arg[-1], FLOOD, target.uri, tostring(RATE), tostring(seconds), kind, tostring(senders),
    }, {stdout = popen.opts.PIPE})
    local sent = flood:read({timeout = 5 * seconds + 10})
    flood:wait()
    local growth = resident_mb(target) - before
    local stats = target.membership.stats()
    t:diag('%d datagrams in %d s, %d of them turned away', tonumber(sent), seconds, stats.turned_away)
    t:diag('%s', lateness(target))
    t:diag('%.1f MB before, %.1f MB more after', before, growth)
    t:ok(tonumber(sent) > 10000 * seconds, 'there was a flood')
    t:ok(stats.turned_away > 0, 'not all of it was taken in')
    for _, member in ipairs(members) do
        local doubts = member:call(function() return rawget(_G, 'doubts') end)
        t:is_deeply(doubts, {}, member.uri .. ' has doubted nobody')
    end
    t:ok(growth < GROWTH_MAX_MB, 'memory has its bound')
    -- The end of the flood is still in its receive buffer, and a single ping may find no room there.
    t:ok(cluster:wait('it to answer', function()
        return members[2].membership.probe_uri(target.uri)
    end), 'it answers')
    return target
end

suite.fact('members that are flooded stay alive in each other\'s eyes, and small', function(t, cluster)
    local target = withstands(t, cluster, 'mix', 0, 10)
    local count = target:call(function() return require('membership.members').count() end)
    t:ok(count > 100 and count <= 2000, 'the table has its bound: it is full of strangers')
    t:diag('%d members in the table', count)
    t:ok(target.membership.stats().dropped.oversized > 0, 'what is too long is not read')
end)

suite.fact('so they do under status changes', function(t, cluster)
    withstands(t, cluster, 'dense', 0, 5)
end)

suite.fact('so they do under status changes from 60 addresses that have been answered', function(t, cluster)
    withstands(t, cluster, 'dense', 60, 5)
end)

suite.fact('so they do when one is called dead over and over', function(t, cluster)
    withstands(t, cluster, 'refute', 60, 5)
end)

suite.fact('so they do when one is shown payloads that it has never had', function(t, cluster)
    withstands(t, cluster, 'nils', 0, 5)
end)

suite.fact('so they do when the table is asked for', function(t, cluster)
    withstands(t, cluster, 'table', 60, 5)
end)

suite.run()
