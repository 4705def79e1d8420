--- The ACKs that came for pings of this peer.

local fiber = require('fiber')

local Acks = {}
Acks.__index = Acks

function Acks.new()
    return setmetatable({list = {}, came = fiber.cond()}, Acks)
end

function Acks:put(data)
    table.insert(self.list, data)
    self.came:broadcast()
end

--- The protocol step does this for everybody, so a probe at the same time may lose its ACK.
function Acks:clear()
    self.list = {}
end

--- Waits for the ACK to the ping of `uri` that was sent at `ts`; nil when none came by the deadline.
function Acks:wait(uri, ts, deadline)
    while true do
        for _, data in ipairs(self.list) do
            if data.dst == uri and data.ts == ts then
                return data
            end
        end
        local left = deadline - fiber.clock()
        if left <= 0 then
            return nil
        end
        self.came:wait(left)
    end
end

return Acks
