--- What this machine lets a test have of its own: networks, names, IPv6. What it does not have is skipped.

local ffi = require('ffi')

ffi.cdef('int getuid(void);')

local machine = {}

--- Whether the test is run by root, who can make namespaces, and the command succeeds; else the test is skipped.
function machine.can(t, what, command)
    if ffi.C.getuid() == 0 and os.execute(command .. ' >/dev/null 2>&1') == 0 then
        return true
    end
    t:skip(what .. ' cannot be had')
    return false
end

--- Whether a process can have files of /etc of its own: see `with_etc`.
function machine.can_have_etc(t)
    return machine.can(t, 'files of /etc for one process', 'unshare -m mount --bind /etc/hosts /etc/hosts')
end

--- Whether there is a loopback address of IPv6.
function machine.has_ipv6(t, cluster)
    local _, err = cluster:udp('::1', cluster:port())
    if err then
        t:skip('this machine has no ::1: ' .. err)
    end
    return err == nil
end

--- Options of a node that has these files in /etc, by name, in place of those of the machine.
function machine.with_etc(files)
    local steps = {}
    for name in pairs(files) do
        table.insert(steps, ('mount --bind %s /etc/%s'):format(name, name))
    end
    table.insert(steps, 'exec "$0" "$@"')
    return {prefix = {'unshare', '-m', 'sh', '-c', table.concat(steps, ' && ')}, files = files}
end

return machine
