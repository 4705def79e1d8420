-- What an instance does whose disk has no room for the state file any more, or whose directories change.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local fio = require('fio')
local logged = require('logged')
local machine = require('machine')
local state_file = require('state_file')
local suite = require('suite')
local fact = suite.fact

local init = state_file.init

fact('a full disk loses nothing but the freshness of the file', function(t, cluster)
    local mount = 'mkdir -p disk && mount -t tmpfs -o size=16k tmpfs disk && exec "$0" "$@"'
    local prefix = {'unshare', '-m', 'sh', '-c', mount}
    if not machine.can(t, 'a small disk', 'unshare -m mount -t tmpfs -o size=16k tmpfs /mnt') then
        return
    end
    local a, b = cluster:member(), cluster:node({prefix = prefix})
    logged.begin(b)
    init(cluster, b, 'disk/members')
    b.membership.add_member(a.uri)
    cluster:acquaint({a, b})
    --- What the file in the namespace of the process says.
    local function incarnation()
        return b:call(function()
            local file = require('fio').open('disk/members', {'O_RDONLY'})
            local text = file and file:read() or ''
            if file then
                file:close()
            end
            return tonumber(text:match('"incarnation": (%d+)'))
        end)
    end
    cluster:wait('the file', function()
        return incarnation() == b.membership.myself().incarnation
    end)
    b:call(function()
        local file = require('fio').open('disk/filler', {'O_CREAT', 'O_WRONLY'}, tonumber('600', 8))
        while file:write(('x'):rep(512)) do end -- until there is no room
        file:close()
    end)
    local before = incarnation()
    b.membership.set_payload('a', 1)
    local path = fio.pathjoin(b.dir, 'disk/members')
    local text = 'State file %s cannot be written: No space left on device. After a restart this instance '
        .. 'remembers what was written last. Check the disk and the permissions'
    t:ok(logged.wait(b, 'warn', text:format(path)), 'the log says so')
    t:is(incarnation(), before, 'the old file stays')
    t:ok(cluster:everyone_sees_payload(b.uri, {a = 1}, {a}), 'and nothing else is wrong')
    b:call(function()
        require('fio').unlink('disk/filler')
    end)
    t:ok(logged.wait(b, 'info', ('State file %s is written again'):format(path)), 'with room, it is written again')
    t:is(incarnation(), b.membership.myself().incarnation, 'as it is now')
end)

fact('a disk that becomes read-only loses nothing but the freshness of the file', function(t, cluster)
    local mount = 'mkdir -p disk && mount -t tmpfs tmpfs disk && exec "$0" "$@"'
    if not machine.can(t, 'a disk of its own', 'unshare -m mount -t tmpfs tmpfs /mnt') then
        return
    end
    local a, b = cluster:member(), cluster:node({prefix = {'unshare', '-m', 'sh', '-c', mount}})
    logged.begin(b)
    init(cluster, b, 'disk/members')
    b.membership.add_member(a.uri)
    cluster:acquaint({a, b})
    cluster:wait('the file', function()
        return b.membership.stats().state_file.saves > 0
    end)
    local function remount(mode)
        return b:call(function(option)
            return os.execute('mount -o remount,' .. option .. ' disk')
        end, mode)
    end
    t:is(remount('ro'), 0, 'it is read-only')
    b.membership.set_payload('a', 1)
    local path = fio.pathjoin(b.dir, 'disk/members')
    local text = 'State file %s cannot be written: Read-only file system. After a restart this instance '
        .. 'remembers what was written last. Check the disk and the permissions'
    t:ok(logged.wait(b, 'warn', text:format(path)), 'the log says so')
    t:is(b.membership.leave(), true, 'it can leave')
    init(cluster, b, 'disk/members')
    t:ok(b.membership.myself().incarnation > 1, 'and come back, with what the file has')
    t:is(remount('rw'), 0, 'it can be written again')
    t:ok(logged.wait(b, 'info', ('State file %s is written again'):format(path)), 'and the file is')
end)

fact('what takes the place of a state file meanwhile is left alone', function(t, cluster)
    local a = state_file.member(cluster)
    logged.begin(a)
    state_file.wait(cluster, a)
    local path = state_file.path_of(a)
    t:is(os.execute(('rm %s && mkfifo %s'):format(path, path)), 0, 'there is a pipe now')
    a.membership.set_payload('a', 1)
    local text = 'State file %s cannot be read: it is not a regular file. It is neither used nor written. '
        .. 'Check the path and its permissions'
    t:ok(logged.wait(a, 'warn', text:format(path)), 'the log says so')
    t:is(a.membership.leave(), true, 'leave does not wait for a reader')
    t:ok(fio.stat(path):is_fifo(), 'it is there still')
end)

fact('a directory that vanishes and comes back', function(t, cluster)
    local a = cluster:node()
    local sub = fio.pathjoin(a.dir, 'sub')
    fio.mkdir(sub)
    logged.begin(a)
    init(cluster, a, 'sub/members')
    cluster:wait('the file', function()
        return a.membership.stats().state_file.saves > 0
    end)
    os.execute('rm -rf ' .. sub)
    a.membership.set_payload('a', 1)
    local text = 'State file %s/members cannot be written: No such file or directory. After a restart this instance '
        .. 'remembers what was written last. Check the disk and the permissions'
    t:ok(logged.wait(a, 'warn', text:format(sub)), 'the log says so')
    fio.mkdir(sub)
    t:ok(logged.wait(a, 'info', ('State file %s/members is written again'):format(sub)), 'it is written again')
end)

fact('a relative path where the directory of the process is gone is a warning', function(t, cluster)
    local a = cluster:node()
    logged.begin(a)
    a:call(function()
        require('membership') -- it is found by paths, which may be relative, too
        require('membership.options')
        local inner = require('fio')
        inner.mkdir('gone')
        inner.chdir('gone')
        inner.rmdir('../gone')
    end)
    t:ok(init(cluster, a), 'init succeeds')
    local text = 'State file members cannot be written: No such file or directory. After a restart this instance '
        .. 'remembers what was written last. Check the disk and the permissions'
    t:ok(logged.wait(a, 'warn', text), 'the log says so')
end)

suite.run()
