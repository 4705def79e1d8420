--- Reads commands from the process that started this one: a line of stdin each. Ends when stdin is closed.

local ffi = require('ffi')
local socket = require('socket')

ffi.cdef('ssize_t read(int fd, void *buffer, size_t size);')

local STDIN = 0
local CHUNK_SIZE = 65536

local stdin = {}

--- Gives each line to `obey`, without end.
function stdin.serve(obey)
    local buffer = ffi.new('char[?]', CHUNK_SIZE)
    local pending = ''
    while true do
        socket.iowait(STDIN, 'R')
        local size = tonumber(ffi.C.read(STDIN, buffer, CHUNK_SIZE))
        if size <= 0 then
            os.exit(0)
        end
        pending = pending .. ffi.string(buffer, size)
        for line in pending:gmatch('([^\n]*)\n') do
            obey(line)
        end
        pending = pending:match('[^\n]*$')
    end
end

return stdin
