package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local suite = require('suite')

suite.fact('the module works where undeclared globals raise', function(t, cluster)
    local a, b = cluster:node(), cluster:member()
    local globals_before, globals_after = a:call(function(host, port, peer)
        require('strict').on()
        local function globals()
            local names = {}
            for name in pairs(_G) do
                table.insert(names, name)
            end
            table.sort(names)
            return names
        end
        local before = globals()
        local membership = require('membership')
        local changed = membership.subscribe()
        membership.add_member(peer)
        membership.init(host, port)
        assert(membership.probe_uri(peer) == true)
        assert(membership.probe_uri('nonsense:::') == false)
        membership.set_payload('n', 1)
        membership.set_payload({n = 2})
        assert(not pcall(membership.set_payload, 'n', print))
        assert(not pcall(membership.init))
        assert(membership.myself().payload.n == 2)
        assert(membership.get_member(peer).status == 'alive')
        assert(membership.members()[peer])
        for _ in membership.pairs() do -- luacheck: ignore
        end
        membership.unsubscribe(changed)
        membership.init(host, port)
        return before, globals()
    end, a.host, a.port, b.uri)
    t:is_deeply(globals_after, globals_before, 'and makes no global of its own')
    t:ok(cluster:everyone_sees_payload(a.uri, {n = 2}), 'a peer hears it')
    t:is(a.membership.leave(), true, 'it can leave')
    t:ok(cluster:everyone_sees(a.uri, 'left', {b}), 'which is seen')
end)

suite.run()
