--- What the module logs in an instance, from `begin` on.

local wait = require('wait')

local logged = {}

--- In the process of an instance: what the module writes its lines with. From Tarantool 2.11 on there are loggers with
-- names, each with functions of its own, and `log` itself is another one for each file.
function logged.logger()
    local log = require('log')
    return log.new and log.new('membership') or log
end

--- Puts functions of its own in the place of those of the logger, as tests of users do.
function logged.begin(node)
    node:call(function()
        local logger, lines = require('logged').logger(), {}
        rawset(_G, 'logged', lines)
        for _, level in ipairs({'error', 'warn', 'info', 'debug'}) do
            logger[level] = function(fmt, ...)
                table.insert(lines, {level = level, text = fmt:format(...)})
            end
        end
    end)
end

--- Begins anew.
function logged.clear(node)
    node:call(function()
        local lines = rawget(_G, 'logged')
        for i = #lines, 1, -1 do
            lines[i] = nil
        end
    end)
end

--- The lines `{level = 'info', text = 'Node timed out ...'}`, in order; those of one level if one is given.
function logged.lines(node, level)
    local lines = {}
    for _, line in ipairs(node:call(function() return rawget(_G, 'logged') end)) do
        if level == nil or line.level == level then
            table.insert(lines, line)
        end
    end
    return lines
end

--- Waits for the first line at this level, and returns its text. A fiber writes the lines: after the call that caused
-- one has returned, it may take a moment.
function logged.first(node, level)
    local line
    wait.until_true(('%s to log at level %s'):format(node.uri, level), function()
        line = logged.lines(node, level)[1]
        return line ~= nil
    end)
    return line.text
end

--- How often exactly this was said, at this level.
function logged.count(node, level, text)
    local count = 0
    for _, line in ipairs(logged.lines(node, level)) do
        count = count + (line.text == text and 1 or 0)
    end
    return count
end

--- Waits until exactly this was said, at this level.
function logged.wait(node, level, text)
    return wait.until_true(('%s to log: %s'):format(node.uri, text), function()
        return logged.count(node, level, text) > 0
    end)
end

return logged
