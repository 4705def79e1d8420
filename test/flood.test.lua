-- A flood of hostile datagrams: nobody is suspected for it, and memory has its bounds.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fio = require('fio')
local popen = require('popen')
local suite = require('suite')

local RATE, SECONDS = 100000, 10

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

suite.fact('members that are flooded stay alive in each other\'s eyes, and small', function(t, cluster)
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
    local flood = popen.new({arg[-1], FLOOD, tostring(target.port), tostring(RATE), tostring(SECONDS)},
        {stdout = popen.opts.PIPE})
    local sent = flood:read({timeout = 5 * SECONDS})
    flood:wait()
    local growth = resident_mb(target) - before
    t:diag('%d datagrams in %d s, %s', tonumber(sent), SECONDS, lateness(target))
    t:diag('%.1f MB before, %.1f MB more after', before, growth)
    t:ok(tonumber(sent) > 100000, 'there was a flood')
    for _, member in ipairs(members) do
        local doubts = member:call(function() return rawget(_G, 'doubts') end)
        t:is_deeply(doubts, {}, member.uri .. ' has doubted nobody')
    end
    t:ok(growth < GROWTH_MAX_MB, 'memory has its bound')
    local count = target:call(function() return require('membership.members').count() end)
    t:ok(count > 100 and count <= 2000, 'so has the table, which is full of strangers')
    t:diag('%d members in the table', count)
    t:ok(members[2].membership.probe_uri(target.uri), 'it answers')
end)

suite.run()
