--- What the rock would have logged, what it choked on, and what passed over the wire: for the tests to look at.

local fiber = require('fiber')

local Journal = {}
Journal.__index = Journal

--- `trace` asks for every datagram to be kept.
function Journal.new(options, trace)
    return setmetatable({
        options = options,
        -- {level =, text =} of every info and warn line.
        log = {},
        -- Texts of the lines at error level, tracebacks included.
        errors = {},
        -- Datagrams longer than the receive buffer, or that are no message.
        broken = 0,
        -- Datagrams in the short form that this module speaks with its own kind. The rock takes no notice of them.
        short = 0,
        -- Bytes of the longest datagram that arrived.
        longest = 0,
        -- {uri =, status =, incarnation =, time =} of everything that the member table accepted.
        history = {},
        -- If asked for, a list of {way =, uri =, bytes =, message =, time =}.
        trace = trace and {} or nil,
    }, Journal)
end

local function line(self, level, text, ...)
    table.insert(self.log, {level = level, text = text:format(...)})
end

function Journal:info(...)
    line(self, 'info', ...)
end

function Journal:warn(...)
    line(self, 'warn', ...)
end

function Journal:error(text)
    table.insert(self.errors, tostring(text))
end

function Journal:debug(...)
    self.options.log_debug(...)
end

function Journal:accepted(event)
    table.insert(self.history, {
        uri = event.uri,
        status = event.status,
        incarnation = event.incarnation,
        time = fiber.time(),
    })
end

function Journal:datagram(way, uri, bytes, message)
    if self.trace ~= nil then
        table.insert(self.trace, {
            way = way, uri = uri, bytes = bytes, message = message, time = fiber.time(),
        })
    end
end

return Journal
