--- The state file of an instance under test.

local files = require('files')
local fio = require('fio')
local json = require('json')

local NAME = 'members'

local state_file = {NAME = NAME}

function state_file.path_of(node)
    return fio.pathjoin(node.dir, NAME)
end

--- What the state file says, or nil.
function state_file.read(node)
    if not fio.path.exists(state_file.path_of(node)) then
        return nil
    end
    local _, _, body = files.read(state_file.path_of(node)):find('^membership%-state 1 %x+\n(.*)$')
    return body and json.decode(body)
end

--- Makes a process a member that remembers, in the file of that name in its directory.
function state_file.init(cluster, node, name)
    node.opts.state_file = name or NAME
    return cluster:init(node)
end

function state_file.member(cluster, opts)
    return state_file.init(cluster, cluster:node(opts))
end

function state_file.contains(list, item)
    for _, other in ipairs(list) do
        if other == item then
            return true
        end
    end
    return false
end

--- Waits until the file of a member names all others, and its incarnation.
function state_file.wait(cluster, node, others)
    return cluster:wait('the state file of ' .. node.uri, function()
        local record, seen = state_file.read(node), node.membership.myself()
        if record == nil or record.uri ~= node.uri or record.incarnation ~= seen.incarnation then
            return false, json.encode(record)
        end
        for _, other in ipairs(others or {}) do
            if not state_file.contains(record.members, other.uri) then
                return false, json.encode(record)
            end
        end
        return true
    end)
end

return state_file
