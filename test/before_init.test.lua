package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')
local fact = suite.fact

fact('require alone starts no thread, opens no descriptor and creates no fiber', function(t, cluster)
    local a = cluster:node()
    local before, after = a:call(function()
        local ffi = require('ffi')
        ffi.cdef([[
            void *opendir(const char *name);
            void *readdir(void *dir);
            int closedir(void *dir);
        ]])
        local function entries(name) -- fio.listdir may start a thread
            local dir = ffi.C.opendir('/proc/self/' .. name)
            local number = 0
            while ffi.C.readdir(dir) ~= nil do
                number = number + 1
            end
            ffi.C.closedir(dir)
            return number
        end
        local function count()
            local fibers = 0
            for _ in pairs(require('fiber').info()) do
                fibers = fibers + 1
            end
            return {threads = entries('task'), descriptors = entries('fd'), fibers = fibers}
        end
        local before = count()
        require('membership')
        return before, count()
    end)
    for what, number in pairs(before) do
        t:ok(number > 0 and after[what] <= number, ('%s: %d, then %d'):format(what, number, after[what]))
    end
end)

fact('what needs no address works before init', function(t, cluster)
    local a, b = cluster:node(), cluster:member()
    t:is_deeply(a.membership.members(), {}, 'members() is empty')
    t:is(a:call(function()
        local count = 0
        for _ in require('membership').pairs() do
            count = count + 1
        end
        return count
    end), 0, 'pairs() has nothing to go through')
    t:is(a.membership.get_member(b.uri), nil, 'get_member() knows nobody')
    t:is(a.membership.leave(), false, 'leave() has nothing to leave')
    t:is(a.membership.mark_left(b.uri), false, 'mark_left() has nobody to mark')
    t:is(a.membership.remove_member(b.uri), nil, 'remove_member() has nobody to remove')
    t:is(a.membership.set_allowed_members({}), nil, 'set_allowed_members() has nobody to forget')
    t:is(a.membership.get_encryption_key(), nil, 'get_encryption_key() has none')
    t:is(a.membership.add_member(b.uri), true, 'add_member() works')
    t:is(a:status_of(b.uri), 'alive', 'the member is there')

    a.membership.init(a.host, a.port)
    t:ok(cluster:everyone_sees(a.uri, 'alive'), 'and is acquainted by init')
    t:ok(cluster:everyone_sees(b.uri, 'alive'), 'both know each other')
end)

local UNINITIALISED = 'membership is not initialized'

fact('what needs an address says that it has none', function(t, cluster)
    local a = cluster:node()
    local function refused()
        for _, call in ipairs({
            {'myself'}, {'set_payload', 'a', 1}, {'probe_uri', 'localhost:31000'}, {'broadcast', 31000},
        }) do
            local ok, err = pcall(a.membership[call[1]], unpack(call, 2))
            t:ok(not ok, call[1] .. ' raises')
            t:like(err, UNINITIALISED, call[1] .. ' says why')
        end
    end
    refused()
    a.membership.init(a.host, a.port)
    a.membership.leave()
    refused()
end)

suite.run()
