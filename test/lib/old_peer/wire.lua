--- Messages, events and member records as MessagePack values.
--
--     message = {sender_uri, type, data, events}
--     event   = {uri, status, incarnation, payload, ttl}
--     record  = {uri, status, incarnation, payload}
--
-- Tarantool's msgpack gives the rest of the rock's form by itself: integers in their shortest form,
-- times (uint64 cdata) as uint64, an empty payload as an empty array, a ttl of -inf as a double.

local msgpack = require('msgpack')
local options = require((...):match('^(.*%.)') .. 'options')

local has_varbinary, varbinary = pcall(require, 'varbinary')

local wire = {}

-- An array header takes one byte up to 15 elements and three from the 16th on.
local FIXARRAY_MAX = 15
local ARRAY16_EXTRA_BYTES = 2

--- Makes strings of all binary values. Tarantool 3 has a type for them; what the rock was recorded on had not.
local function without_varbinary(value)
    if type(value) == 'table' then
        for key, item in pairs(value) do
            value[key] = without_varbinary(item)
        end
    end
    return varbinary.is(value) and tostring(value) or value
end

--- Decodes a datagram; nil when it is no message at all ("broken packet").
-- Bytes behind the first value are ignored.
function wire.decode(bytes)
    local ok, message = pcall(msgpack.decode, bytes)
    if not ok or type(message) ~= 'table' or #message ~= 4 then
        return nil
    end
    return has_varbinary and without_varbinary(message) or message
end

--- Whether it is in the short form that this module speaks with its own kind: a small integer in MessagePack.
function wire.is_short(bytes)
    local first = bytes:byte(1)
    return first ~= nil and first >= 0x40 and first < 0x80
end

wire.encode = msgpack.encode

function wire.pack_event(event)
    return {
        event.uri,
        event.status,
        event.incarnation,
        event.payload or msgpack.NULL,
        event.ttl,
    }
end

local function table_or_nil(value)
    return type(value) == 'table' and value or nil
end

--- Tolerates any values in an event, but not an event that is no table.
function wire.unpack_event(packed)
    if type(packed) ~= 'table' then
        error(('bad argument #1 to unpack (table expected, got %s)'):format(type(packed)))
    end
    return {
        uri = tostring(packed[1]),
        status = tonumber(packed[2]) or options.DEAD,
        incarnation = tonumber(packed[3]) or 1,
        payload = table_or_nil(packed[4]),
        ttl = tonumber(packed[5]) or 0,
    }
end

function wire.pack_record(uri, member)
    return {uri, member.status, member.incarnation, member.payload or msgpack.NULL}
end

--- Tolerates less than `unpack_event`: what is missing stays missing, and breaks the comparison later.
function wire.unpack_record(packed)
    return packed[1], {
        status = tonumber(packed[2]),
        incarnation = tonumber(packed[3]),
        payload = table_or_nil(packed[4]),
    }
end

--- Size of an event or a record: its values and the header of its array.
local function item_size(item)
    local size = 1
    for _, value in ipairs(item) do
        size = size + #msgpack.encode(value)
    end
    return size
end

local Parcel = {}
Parcel.__index = Parcel

--- Fills `list`, a still empty array inside of `message`, and keeps count of the size of the whole.
function wire.parcel(message, list, options_, seal)
    return setmetatable({
        list = list,
        size = #msgpack.encode(message),
        options = options_,
        seal = seal,
    }, Parcel)
end

function Parcel:size_with(item)
    local header = #self.list == FIXARRAY_MAX and ARRAY16_EXTRA_BYTES or 0
    return self.size + item_size(item) + header
end

--- Adds the item, whatever the size.
function Parcel:add(item)
    self.size = self:size_with(item)
    table.insert(self.list, item)
end

function Parcel:fits(item)
    return self.seal:encrypted_size(self:size_with(item)) <= self.options.MAX_PACKET_SIZE
end

return wire
