package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

fact('os.exit ends the process, with its code', function(t, cluster)
    local a = cluster:group(2)
    a:cast(function()
        os.exit(7)
    end)
    t:is(a:wait_exit(), 7, 'it does')
end)

fact('SIGTERM ends the process well', function(t, cluster)
    local a, b = cluster:group(2)
    b:call(function()
        box.cfg({})
    end)
    for name, node in pairs({['without box.cfg'] = a, ['with box.cfg'] = b}) do
        node:signal('TERM')
        t:is(node:wait_exit(), 0, name)
    end
end)

fact('leave() in a shutdown trigger is heard by everybody', function(t, cluster)
    local a, b, c = cluster:group(3)
    cluster:record(c)
    local function leave_on_shutdown(node, configured)
        node:call(function(with_box)
            if with_box then
                box.cfg({})
            end
            box.ctl.on_shutdown(function()
                require('membership').leave()
            end)
        end, configured)
    end
    leave_on_shutdown(a, false)
    leave_on_shutdown(b, true)
    a:signal('TERM')
    t:is(a:wait_exit(), 0, 'by SIGTERM')
    t:ok(cluster:everyone_sees(a.uri, 'left', {b, c}), 'everybody sees that it left')
    b:cast(function()
        os.exit(0)
    end)
    t:is(b:wait_exit(), 0, 'by os.exit')
    t:ok(cluster:everyone_sees(b.uri, 'left', {c}), 'everybody sees that it left')
    for _, uri in ipairs({a.uri, b.uri}) do
        t:unlike(table.concat(cluster:recorded(c, uri), ', '), 'suspect', 'it was not suspected before')
    end
end)

--- Runs a program in the directory of the node, and returns its exit code.
local function run(cluster, program)
    local a = cluster:node({files = {['program.lua'] = program:format(cluster:port())}})
    return a:call(function()
        local popen = require('popen')
        local argv = {'/bin/sh', '-c', 'exec timeout 15 "$0" program.lua', arg[-1]}
        local child = popen.new(argv, {env = os.environ(), stdin = popen.opts.DEVNULL})
        return child:wait().exit_code
    end)
end

fact('os.exit right after init, in the first turn of the event loop, ends the process', function(t, cluster)
    t:is(run(cluster, [[
        local membership = require('membership')
        membership.init('127.0.0.1', %d)
        membership.set_payload('n', 1)
        os.exit(3)
    ]]), 3, 'with its code')
end)

fact('an error that ends the script ends the process', function(t, cluster)
    t:is(run(cluster, [[
        require('membership').init('127.0.0.1', %d)
        error('no more')
    ]]), 1, 'with code 1')
end)

suite.run()
