--- Shows a scenario as a log: when, after what latency, what.
-- A scenario knows no more of its display than the methods below.

local clock = require('clock')

local COLOURS = {alive = 32, suspect = 33, dead = 31, left = 34, bold = 1, dim = 2, failed = 31}

local Timeline = {}
Timeline.__index = Timeline

function Timeline.new(out, coloured)
    out:setvbuf('line')
    return setmetatable({
        out = out,
        started_at = clock.realtime(),
        coloured = coloured,
        rows = {},
    }, Timeline)
end

--- "550.2 ms" or "3.55 s"
function Timeline.duration(seconds)
    if seconds < 0.9995 then
        return ('%.1f ms'):format(seconds * 1000)
    end
    return ('%.2f s'):format(seconds)
end

--- The text in the colour of a mood: a member status, 'bold', 'dim' or 'failed'.
function Timeline:paint(mood, text)
    local colour = self.coloured and COLOURS[mood]
    return colour and ('\27[%dm%s\27[0m'):format(colour, text) or text
end

--- The time, as instances tell it.
function Timeline.now()
    return clock.realtime()
end

--- What it is about, before it begins.
function Timeline:begin(_, scenario)
    if scenario.watch_for ~= nil then
        self.out:write('watch for: ', scenario.watch_for, '\n')
    end
end

--- The left column: seconds since the beginning.
function Timeline:stamp(at)
    return self:paint('dim', ('%8.3f'):format(at - self.started_at))
end

--- A new part of the story.
function Timeline:step(title)
    self.out:write('\n', self:stamp(clock.realtime()), '  ', self:paint('bold', title), '\n')
end

--- Something was done or seen at some time. What was seen is given the time of its cause too, and a live view also
-- wants to know by whom.
function Timeline:event(text, at, cause_at, mood)
    local latency = cause_at and '+' .. Timeline.duration(at - cause_at) or ''
    self.out:write(self:stamp(at), ('  %10s  '):format(latency), self:paint(mood, text), '\n')
end

--- A line of the summary: `what` was expected within so many seconds of its cause, and seen at these times.
function Timeline:result(what, seconds, cause_at, seen_at)
    if #seen_at == 0 then
        return
    end
    local row = {what = what, seconds = seconds}
    for _, at in ipairs(seen_at) do
        local latency = at - cause_at
        row.first = math.min(row.first or latency, latency)
        row.last = math.max(row.last or latency, latency)
    end
    table.insert(self.rows, row)
end

--- The story is over, and what was seen last is to be shown: nothing for a log, which has shown it.
function Timeline.finish() end

--- The table at the end, and why the story broke off, if it did.
function Timeline:summary(failure)
    self.out:write('\n', self:paint('bold', ('%-48s %10s %10s %12s'):format('', 'first', 'last', 'allowed')), '\n')
    for _, row in ipairs(self.rows) do
        self.out:write(('%-48s %10s %10s %12s\n'):format(
            row.what, Timeline.duration(row.first), Timeline.duration(row.last), Timeline.duration(row.seconds)))
    end
    if failure ~= nil then
        self.out:write('\n', self:paint('failed', 'FAILED: ' .. failure), '\n')
    else
        self.out:write('\n', ('all of it happened, in %.1f s\n'):format(clock.realtime() - self.started_at))
    end
    self.out:flush()
end

function Timeline:interrupted()
    self.out:write('\n', self:paint('failed', 'interrupted: all instances were stopped'), '\n')
    self.out:flush()
end

return Timeline
