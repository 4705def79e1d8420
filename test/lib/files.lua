--- Files as whole texts.

local fio = require('fio')

local files = {}

function files.read(...)
    local opened = assert(fio.open(fio.pathjoin(...), {'O_RDONLY'}))
    local text = opened:read()
    opened:close()
    return text
end

--- `mode` is in octal digits, '644' by default.
function files.write(path, text, mode)
    local opened = assert(fio.open(path, {'O_CREAT', 'O_TRUNC', 'O_WRONLY'}, tonumber(mode or '644', 8)))
    opened:write(text)
    opened:close()
end

return files
