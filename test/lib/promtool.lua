--- promtool, the tool that comes with Prometheus, and checks what Prometheus is to read.

local fio = require('fio')
local popen = require('popen')

local promtool = {}

local ROOT = fio.abspath(debug.getinfo(1, 'S').source:match('^@(.*/)') .. '../..')

local function find()
    local places = {fio.pathjoin(ROOT, 'target', 'tools')}
    for directory in os.getenv('PATH'):gmatch('[^:]+') do
        table.insert(places, directory)
    end
    for _, directory in ipairs(places) do
        local path = fio.pathjoin(directory, 'promtool')
        if fio.path.is_file(path) then
            return path
        end
    end
end

--- Where it is, nil if it is not installed.
promtool.PATH = find()

--- Runs it with these arguments, and this input, if any. Returns its exit code, `code`, and all that it has written,
-- `output`.
function promtool.run(args, input)
    local child = assert(popen.new({promtool.PATH, unpack(args)}, {
        stdin = popen.opts.PIPE,
        stdout = popen.opts.PIPE,
        stderr = popen.opts.STDOUT,
    }))
    if input ~= nil then
        child:write(input)
    end
    child:shutdown({stdin = true})
    local output = ''
    repeat
        local piece = child:read()
        output = output .. (piece or '')
    until piece == nil or piece == ''
    local status = child:wait()
    child:close()
    return {code = status.exit_code, output = output}
end

return promtool
