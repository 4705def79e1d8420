--- Shows a scenario on a terminal, redrawn in place: who sees whom as what, what was seen last, and the last events.
-- It has the methods of a Timeline, and one of those for what remains on the terminal at the end.

local fiber = require('fiber')

local Timeline = require('demo.timeline')

local FRAMES_PER_SECOND = 10
local EVENTS_SHOWN = 8
local CELL_WIDTH = 8
local LINE_WIDTH = 78

-- Cursor and wrapping of long lines: off while frames are drawn, or they would not stay in place.
local BEGIN, END = '\27[?25l\27[?7l', '\27[?25h\27[?7h'
local CLEAR_LINE, CLEAR_BELOW = '\27[K', '\27[J'

local SHORT = {['non-decryptable'] = 'no key'}

local Screen = {}
Screen.__index = Screen

function Screen.new(out)
    local timeline = Timeline.new(out, true)
    out:setvbuf('full')
    return setmetatable({out = out, timeline = timeline, events = {}, last = {}, title = '', height = 0}, Screen)
end

Screen.now = Timeline.now

function Screen:begin(name, scenario, cluster)
    self.cluster, self.name, self.scenario = cluster, name, scenario
    self.out:write(BEGIN)
    self.drawing = true
    fiber.create(function()
        while self.drawing do
            self:draw()
            fiber.sleep(1 / FRAMES_PER_SECOND)
        end
    end)
end

local function cell(text)
    return text .. (' '):rep(CELL_WIDTH - #text)
end

--- What `name` sees: a status for each, in its colour.
function Screen:row(name)
    local instance = self.cluster.instances[name]
    local words = {'  ', self.timeline:paint('bold', cell(name))}
    for _, of in ipairs(self.cluster.names) do
        local member = instance.running and self.cluster:view(name, of)
        local status = member and member.status
        table.insert(words, self.timeline:paint(status or 'dim', cell(SHORT[status] or status or '.')))
    end
    local last = instance.running and self.last[name] or ''
    table.insert(words, instance.running and last or self.timeline:paint('dim', 'not running'))
    return table.concat(words)
end

--- A text in lines that every terminal has room for.
local function wrap(text)
    local lines = {''}
    for word in text:gmatch('%S+') do
        local line = lines[#lines]
        if #line + 1 + #word > LINE_WIDTH then
            table.insert(lines, word)
        else
            lines[#lines] = line == '' and word or line .. ' ' .. word
        end
    end
    return lines
end

function Screen:lines()
    local timeline = self.timeline
    local head = {}
    for _, name in ipairs(self.cluster.names) do
        table.insert(head, cell(name))
    end
    local lines = {('%s  %s'):format(timeline:paint('bold', self.name), self.scenario.about)}
    if self.scenario.watch_for ~= nil then
        for _, line in ipairs(wrap('watch for: ' .. self.scenario.watch_for)) do
            table.insert(lines, timeline:paint('dim', line))
        end
    end
    for _, line in ipairs({
        '',
        ('%s  %s'):format(timeline:stamp(self.now()), timeline:paint('bold', self.title)),
        '',
        timeline:paint('dim', ('  %s%slast seen after'):format(cell('sees'), table.concat(head))),
    }) do
        table.insert(lines, line)
    end
    for _, name in ipairs(self.cluster.names) do
        table.insert(lines, self:row(name))
    end
    table.insert(lines, '')
    for i = 1, EVENTS_SHOWN do
        table.insert(lines, self.events[#self.events - EVENTS_SHOWN + i] or '')
    end
    return lines
end

function Screen:draw()
    local lines = self:lines()
    if self.height > 0 then
        self.out:write(('\27[%dA\r'):format(self.height))
    end
    for _, line in ipairs(lines) do
        self.out:write(line, CLEAR_LINE, '\n')
    end
    self.out:write(CLEAR_BELOW)
    self.out:flush()
    self.height = #lines
end

--- A new part of the story: what was seen last belongs to the one before.
function Screen:step(title)
    self.title, self.last = title, {}
    table.insert(self.events, ('%s  %s'):format(
        self.timeline:stamp(self.now()), self.timeline:paint('bold', title)))
end

function Screen:event(text, at, cause_at, mood, observer)
    local latency = cause_at and '+' .. Timeline.duration(at - cause_at) or ''
    local line = ('%s  %10s  %s'):format(self.timeline:stamp(at), latency, self.timeline:paint(mood, text))
    table.insert(self.events, line)
    if observer ~= nil then
        self.last[observer] = latency
    end
end

function Screen:result(...)
    self.timeline:result(...)
end

--- The last frame stays, and the table follows.
function Screen:finish()
    if self.drawing then
        self.drawing = false
        self:draw()
    end
    self.out:write(END)
end

function Screen:summary(failure)
    self.timeline:summary(failure)
end

function Screen:interrupted()
    self.timeline:interrupted()
end

return Screen
