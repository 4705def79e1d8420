-- membershipctl tells what is so, in the way that it says, and changes nothing.

package.path = arg[0]:gsub('[^/]*$', 'lib/?.lua;') .. package.path
local files = require('files')
local fio = require('fio')
local json = require('json')
local scene = require('scene')
local suite = require('suite')
local tool = require('tool')

local fact = suite.fact

local function find(members, uri)
    for _, member in ipairs(members) do
        if member.uri == uri then
            return member
        end
    end
end

local function uris(members)
    local list = {}
    for _, member in ipairs(members) do
        table.insert(list, member.uri)
    end
    table.sort(list)
    return list
end

--- Those whom a member knows.
local function known_to(member)
    local list = {}
    for uri in pairs(member.membership.members()) do
        table.insert(list, uri)
    end
    table.sort(list)
    return list
end

local function write_file(cluster, name, contents)
    local path = fio.pathjoin(cluster.dir, name)
    assert(fio.mktree(cluster.dir))
    files.write(path, contents, '600')
    return path
end

local function old_group(cluster)
    return cluster:group(3, {program = scene.OLD_PEER})
end

for kind, group in pairs({
    ours = function(cluster) return cluster:group(3) end,
    ['the Lua rock'] = old_group,
    ['both kinds'] = function(cluster)
        local a, b = cluster:group(2)
        local old = cluster:member({program = scene.OLD_PEER})
        old.membership.add_member(a.uri)
        cluster:acquaint({a, b, old})
        return a, b, old
    end,
}) do
    fact(('in a group of %s everybody is asked, and nobody learns of who has asked'):format(kind), function(t, cluster)
        local members = {group(cluster)}
        local expected = known_to(members[1])
        members[2].membership.set_payload('role', 'router')
        cluster:everyone_sees_payload(members[2].uri, {role = 'router'}, members)
        for _, member in ipairs(members) do
            local answer, code = tool.json({'members', member.uri, '--probe'})
            t:is(code, 0, 'all is well')
            t:is(answer.node, member.uri, 'it has asked whom it was told to')
            t:is(answer.complete, true, 'it is all')
            t:is_deeply(uris(answer.members), expected, 'everybody is there')
            local second = find(answer.members, members[2].uri)
            t:is_deeply(second.payload, {role = 'router'}, 'with the payload')
            t:is(second.status, 'alive', 'the status')
            t:is(second.incarnation, member.membership.get_member(members[2].uri).incarnation, 'the incarnation')
            for _, seen in ipairs(answer.members) do
                t:is(type(seen.round_trip_ms), 'number', seen.uri .. ' has a round trip')
            end
        end
        local run = tool.run({'ping', members[3].uri, '-c', '3', '-i', '0.1'})
        t:is(run.code, 0, 'pings are answered')
        t:like(run.stdout, '3 sent, 3 answered, 0 %% lost', 'and counted')
        run = tool.run({'diff', members[1].uri})
        t:is(run.code, 0, 'views do not differ')
        t:like(run.stdout, '3 of 3 have answered', 'all were asked')
        t:like(run.stdout, 'they agree', 'and agree')
        cluster:let_pass(1) -- in which somebody new would be told of
        for _, member in ipairs(members) do
            t:is_deeply(known_to(member), expected, member.uri .. ' knows whom it knew')
        end
    end)
end

fact('a table of an old peer that takes many datagrams is whole', function(t, cluster)
    local old = cluster:member({program = scene.OLD_PEER, options = {SUSPICIOUSNESS = false}})
    local expected = {old.uri}
    for port = 1, 60 do
        local uri = ('an-instance-with-a-name-that-is-rather-long:%d'):format(port)
        old.membership.add_member(uri)
        table.insert(expected, uri)
    end
    table.sort(expected)
    local answer = tool.json({'members', old.uri})
    t:is_deeply(uris(answer.members), expected, 'nobody is missing')
end)

fact('who is dead is seen as such, and that is no success', function(t, cluster)
    local a, b, c = cluster:group(3)
    c:kill()
    cluster:everyone_sees(c.uri, 'dead', {a, b})
    local answer, code = tool.json({'members', a.uri, '--probe'})
    t:is(code, 1, 'the exit code says so')
    local dead = find(answer.members, c.uri)
    t:is(dead.status, 'dead', 'so does the status')
    t:is(dead.round_trip_ms, json.NULL, 'it has no round trip')
    local run = tool.run({'members', a.uri, '--probe'})
    t:like(run.stdout, c.port .. ' +dead +%d+ +its port is closed', 'the table says why')
    t:like(run.stdout, '3 members: 2 alive, 1 dead', 'they are counted')
    run = tool.run({'diff', a.uri})
    t:is(run.code, 1, 'diff is no success, either')
    t:like(run.stdout, '2 of 3 have answered', 'for one has not answered')
    b.membership.mark_left(c.uri)
    cluster:everyone_sees(c.uri, 'left', {a, b})
    t:is(tool.run({'members', a.uri}).code, 0, 'of who has left nothing is expected')
    t:is(tool.run({'diff', a.uri}).code, 0, 'nor by diff')
end)

fact('a member that is alive to the instance, and does not answer here, is no success of a probe', function(t, cluster)
    local a = cluster:member({options = {SUSPICIOUSNESS = false}})
    local port = cluster:port()
    cluster:udp('127.0.0.1', port)
    local mute = ('127.0.0.1:%d'):format(port)
    a.membership.add_member(mute)
    local answer, code = tool.json({'members', a.uri})
    t:is(find(answer.members, mute).status, 'alive', 'the instance sees it alive')
    t:is(code, 0, 'which is all that is asked without --probe')
    local run = tool.run({'members', a.uri, '--probe', '--timeout', '0.3'})
    t:like(run.stdout, port .. ' +alive +%d+ +no answer', 'with --probe it is seen not to answer')
    t:is(run.code, 1, 'and the exit code says so')
end)

fact('who does not answer is told apart, with what to do about it', function(t, cluster)
    local closed = ('127.0.0.1:%d'):format(cluster:port())
    local port = cluster:port()
    cluster:udp('127.0.0.1', port)
    local mute = ('127.0.0.1:%d'):format(port)
    local stopped = cluster:member()
    stopped:stop()
    for _, case in ipairs({
        {closed, 'its port is closed', 'is the instance running'},
        {mute, 'no answer', '%-%-key%-file'},
        {stopped.uri, 'no answer', 'is it running'},
        {'no..name:3301', 'Name or service not known', 'check the name'},
    }) do
        local uri, what, advice = unpack(case)
        for _, command in ipairs({'members', 'ping', 'watch', 'diff'}) do
            local run = tool.run({command, uri, '--timeout', '0.3'})
            t:is(run.code, 3, ('%s %s: exit code 3'):format(command, uri))
            t:like(run.stderr, what, 'says ' .. what)
            t:like(run.stderr, advice, 'and what to do')
            t:is(run.stdout, '', 'and nothing else')
        end
    end
    stopped:cont()
end)

fact('an instance whose Lua hangs still tells its table', function(t, cluster)
    local a, b = cluster:group(2)
    local busy = a:begin(function()
        local clock = require('clock')
        local deadline = clock.time() + 2
        while clock.time() < deadline do end
    end)
    local answer = tool.json({'members', a.uri})
    t:is_deeply(uris(answer.members), known_to(b), 'everybody')
    busy()
end)

fact('without the key there is no answer, with it there is', function(t, cluster)
    local key_file = write_file(cluster, 'key', 'the key\n')
    local wrong_file = write_file(cluster, 'wrong', 'another key')
    for _, program in ipairs({'ours', 'old'}) do
        local a = cluster:node({program = program == 'old' and scene.OLD_PEER or nil})
        a.membership.set_encryption_key('the key')
        cluster:init(a)
        local run = tool.run({'members', a.uri, '--timeout', '0.3'})
        t:is(run.code, 3, program .. ': none')
        t:like(run.stderr, '%-%-key%-file', 'it says how to give one')
        run = tool.run({'members', a.uri, '--timeout', '0.3', '--key-file', wrong_file})
        t:is(run.code, 3, 'a wrong one')
        t:like(run.stderr, 'use this key', 'it asks whether that is the one')
        t:is(tool.run({'members', a.uri, '--key-file', key_file}).code, 0, 'the right one')
        t:is(tool.run({'--key-file', key_file, 'ping', '-c1', a.uri}).code, 0, 'for ping, before the command')
        t:is(tool.run({'members', a.uri}, {MEMBERSHIP_KEY_FILE = key_file}).code, 0, 'from the environment')
    end
    local run = tool.run({'members', '127.0.0.1:1', '--key-file', '/nowhere/key'})
    t:is(run.code, 2, 'a file that is not there')
    t:like(run.stderr, '/nowhere/key: No such file', 'is named')
end)

fact('who authenticates is asked so, and so is a group with a label', function(t, cluster)
    local key_file = write_file(cluster, 'key', 'the key')
    local members = {}
    for i = 1, 2 do
        local node = cluster:node()
        node.membership.set_encryption_key('the key')
        node:call(function()
            local options = require('membership.options')
            options.ENCRYPTION_CIPHER = 'xchacha20-poly1305'
            options.GROUP_LABEL = 'this group'
        end)
        members[i] = cluster:init(node)
    end
    local a, b = unpack(members)
    a.membership.add_member(b.uri)
    cluster:acquaint(members)
    local access = {'--key-file', key_file, '--cipher', 'xchacha20-poly1305', '--label', 'this group'}
    local function with_access(...)
        local args = {...}
        for _, word in ipairs(access) do
            table.insert(args, word)
        end
        return args
    end
    local answer, code = tool.json(with_access('--timeout=1', 'members', a.uri, '--probe'))
    t:is(code, 0, 'it answers')
    t:is_deeply(uris(type(answer) == 'table' and answer.members or {}), known_to(a), 'and tells everybody')
    t:is(tool.run(with_access('ping', '-c3', '-i0.1', b.uri)).code, 0, 'it answers pings')
    t:is(tool.run(with_access('diff', a.uri)).code, 0, 'both are asked')
    local elsewhere = ('localhost:%d'):format(a.port)
    t:is(tool.run(with_access('members', elsewhere)).code, 0, 'also by another name than its own')
    t:is(tool.run({'members', a.uri, '--timeout', '0.3', unpack(access, 1, 4)}).code, 3, 'not without the label')
    t:is(tool.run({'members', a.uri, '--timeout', '0.3', unpack(access, 1, 2)}).code, 3, 'nor with the other cipher')
    local run = tool.run({'members', a.uri, '--cipher', 'xchacha20-poly1305'})
    t:is(run.code, 2, 'a cipher without a key is a mistake')
    t:is_deeply(known_to(b), known_to(a), 'and nobody else is known')

    local labelled = cluster:node()
    labelled:call(function() require('membership.options').GROUP_LABEL = 'that group' end)
    cluster:init(labelled)
    t:is(tool.run({'members', labelled.uri, '--label', 'that group'}).code, 0, 'a label without a key')
    t:is(tool.run({'members', labelled.uri, '--timeout', '0.3'}).code, 3, 'is needed as well')
end)

fact('members that were forgotten are not shown, and nothing is wrong with them', function(t, cluster)
    local a, b, c = cluster:group(3)
    for _, member in ipairs({a, b}) do
        member:call(function() require('membership.options').REAP_TIMEOUT_SECONDS = 0.5 end)
    end
    c:kill()
    cluster:wait('it to be forgotten', function()
        return a.membership.get_member(c.uri) == nil and b.membership.get_member(c.uri) == nil
    end)
    local answer, code = tool.json({'members', a.uri})
    t:is_deeply(uris(answer.members), known_to(a), 'members() and the tool show the same')
    t:is(code, 0, 'all are alive')
    t:is(answer.complete, true, 'and there are no others')
    t:is(tool.run({'diff', a.uri}).code, 0, 'nor does diff speak of it')
end)

fact('who is of another opinion is found', function(t, cluster)
    local a, b = cluster:group(2)
    local c = cluster:member()
    local run = tool.run({'diff', a.uri, b.uri, c.uri, '--patience', '0.1'})
    t:is(run.code, 1, 'views differ')
    t:like(run.stdout, 'views differ on 3 members', 'it says on how many')
    t:like(run.stdout, c.port .. ' sees 3 members otherwise than most', 'and who is alone with its view')
    local answer, code = tool.json({'diff', a.uri, b.uri, c.uri, '--patience', '0.1'})
    t:is(code, 1, 'so in JSON')
    t:is(#answer.differences, 3, 'which names them all')
    for _, difference in ipairs(answer.differences) do
        t:is(#difference.opinions, 2, difference.uri .. ': two opinions')
        local expected = {a.uri, b.uri}
        t:is_deeply(difference.opinions[1].according_to, expected, 'the first is that of most')
    end
    c.membership.add_member(a.uri)
    t:is(tool.run({'diff', a.uri, b.uri, c.uri, '--patience', '20'}).code, 0, 'it waits for them to agree')
    c:stop()
    run = tool.run({'diff', a.uri, '--timeout', '0.3', '--patience', '0.1'})
    t:is(run.code, 1, 'who has just stopped')
    t:like(run.stdout, c.port .. ': no answer', 'is named, too')
    c:cont()
end)

fact('what changes is shown as it changes, until Ctrl-C', function(t, cluster)
    local a, b, c = cluster:group(3)
    local watch = tool.begin({'watch', a.uri, '--interval', '0.05'})
    local lines = tool.begin({'watch', a.uri, '--interval', '0.05', '--json'})
    t:ok(watch:wait_for('3 members: 3 alive'), 'everybody at first')
    lines:wait_for('"found".*"found".*"found"')
    b.membership.set_payload('role', 'router')
    t:ok(watch:wait_for(b.port .. ' payload {"role":"router"}, incarnation %d+: it said so itself'), 'a payload')
    c:kill()
    t:ok(watch:wait_for(c.port .. ' was alive, is suspect: [^\n]*' .. b.port), 'a suspicion, and by whom')
    t:ok(watch:wait_for(c.port .. ' was suspect, is dead: %w'), 'a death, and why')
    b.membership.leave()
    t:ok(watch:wait_for(b.port .. ' was alive, is left: it called leave'), 'a good-bye')
    local d = cluster:member()
    d.membership.add_member(a.uri)
    t:ok(watch:wait_for(d.port .. ' is new, and alive'), 'a newcomer')
    lines:wait_for('"joined"')
    a.membership.remove_member(c.uri)
    t:ok(watch:wait_for(c.port .. ' was dead, is not there any more: remove_member'), 'one that is gone')
    lines:wait_for('"forgotten"')
    a:stop()
    watch:signal('INT')
    t:is(watch:finish().code, 0, 'it ends well')
    lines:signal('TERM')
    t:is(lines:finish().code, 0, 'so it does when asked to')
    a:cont()
    local events = {}
    for line in lines.stdout:gmatch('[^\n]+') do
        local event = json.decode(line)
        t:like(event.time, '^%d+%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$', 'each has its time')
        if event.was ~= nil and event.was ~= event.status then
            table.insert(events, ('%s %s'):format(event.was, event.status or 'gone'))
            t:ok(event.why and event.reason, 'and its reason')
        end
    end
    local expected = {'alive suspect', 'suspect dead', 'alive left', 'dead gone'}
    t:is_deeply(events, expected, 'and what has become of what')
end)

fact('a suspicion that is refuted between two looks is shown all the same', function(t, cluster)
    local a, b = cluster:group(2)
    local watch = tool.begin({'watch', a.uri, '--interval', '4'})
    t:ok(watch:wait_for('2 members: 2 alive'), 'it begins')
    b:signal('STOP')
    cluster:everyone_sees(b.uri, 'suspect', {a})
    b:signal('CONT')
    cluster:everyone_sees(b.uri, 'alive', {a})
    t:ok(watch:wait_for(b.port .. ' was alive, is suspect: [^\n]*\n[^\n]*' .. b.port .. ' was suspect, is alive'),
        'both changes, in order')
    watch:signal('INT')
    watch:finish()
end)

fact('an instance that stops answering and is back is noticed', function(t, cluster)
    local a = cluster:member()
    local watch = tool.begin({'watch', a.uri, '--interval', '0.05', '--timeout', '0.3'})
    watch:wait_for('1 member: 1 alive')
    local ping = tool.begin({'ping', a.uri, '--count', '6', '--interval', '0.2', '--timeout', '0.3'})
    ping:wait_for('\n1: ')
    a:stop()
    ping:wait_for('%d: no answer')
    t:ok(watch:wait_for(a.port .. ' no answer'), 'silence')
    a:cont()
    t:ok(watch:wait_for(a.port .. ' answers again'), 'and its end')
    watch:signal('INT')
    watch:finish()
    t:is(ping:finish().code, 1, 'pings were lost')
    t:like(ping.stdout, '6 sent, %d answered, %d+ %% lost', 'and counted')
end)

fact('instances are asked over IPv6, too', function(t, cluster)
    if not cluster:udp('::1', cluster:port()) then
        return t:skip('this machine has no ::1')
    end
    local a, b = cluster:group(2, {host = '[::1]'})
    local answer, code = tool.json({'members', a.uri, '--probe'})
    t:is(code, 0, 'it answers')
    t:is_deeply(uris(answer.members), known_to(b), 'and tells everybody')
    t:is(tool.run({'diff', b.uri}).code, 0, 'both do')
end)

fact('answers can be sent to another address', function(t, cluster)
    local a = cluster:member()
    local reply_to = ('localhost:%d'):format(cluster:port())
    t:is(tool.run({'members', a.uri, '--reply-to', reply_to}).code, 0, 'they come')
    t:is(tool.run({'diff', a.uri, a.uri, '--reply-to', reply_to}).code, 0, 'one after the other')
    t:is_deeply(known_to(a), {a.uri}, 'who lives there does not become a member')
end)

fact('a wrong command line is explained', function(t)
    for _, case in ipairs({
        {{}, 'Usage'},
        {{'members'}, 'HOST:PORT'},
        {{'members', 'localhost'}, 'it needs a port'},
        {{'members', 'localhost:0'}, 'it needs a port'},
        {{'members', '::1:3301'}, 'needs brackets'},
        {{'members', 'localhost:1', '--timeout', 'soon'}, 'not a time'},
        {{'members', 'localhost:1', '--key', 'secret'}, 'unexpected argument'},
        {{'ping', 'localhost:1', '--count', '0'}, '0'},
        {{'member', 'localhost:1'}, "'members'"},
        {{'diff'}, 'HOST:PORT'},
        {{'completions', 'cmd'}, 'bash'},
    }) do
        local args, said = unpack(case)
        local run = tool.run(args)
        t:is(run.code, 2, 'membershipctl ' .. table.concat(args, ' '))
        t:like(run.stderr, said, 'says ' .. said)
    end
end)

fact('the help says all that there is to know', function(t)
    local run = tool.run({'--help'})
    t:is(run.code, 0, 'it is no error')
    for _, part in ipairs({'members', 'watch', 'ping', 'diff', 'completions', 'Exit codes', 'Environment', 'Examples',
        'MEMBERSHIP_KEY_FILE', 'NO_COLOR', '%-%-key%-file', '%-%-timeout', 'without%s+joining'}) do
        t:like(run.stdout, part, part)
    end
    for _, command in ipairs({'members', 'watch', 'ping', 'diff'}) do
        t:like(tool.run({command, '--help'}).stdout, '[Ee]xit code', command .. ' tells its exit codes')
    end
    t:like(tool.run({'--version'}).stdout, '^membershipctl %d+%.%d+%.%d+\n$', 'the version')
end)

fact('each command in the documents is one', function(t)
    local root = fio.abspath(fio.pathjoin(fio.dirname(arg[0]), '..'))
    local count = 0
    for _, name in ipairs({'README.md', 'doc/operations.md', 'doc/membershipctl.md'}) do
        local file = io.open(fio.pathjoin(root, name))
        for line in file:lines() do
            local command = line:match('^[$ ]*membershipctl (%l[^|#]*)')
            if command ~= nil then
                local run = tool.run((command .. ' --help'):split())
                t:is(run.code, 0, ('%s: %s'):format(name, command))
                count = count + 1
            end
        end
        file:close()
    end
    t:ok(count > 5, 'there are some')
end)

fact('there are completions for shells', function(t, cluster)
    for _, shell in ipairs({'bash', 'zsh', 'fish'}) do
        local run = tool.run({'completions', shell})
        t:is(run.code, 0, shell)
        t:like(run.stdout, 'key%-file', 'has the options')
    end
    local script = write_file(cluster, 'completions', tool.run({'completions', 'bash'}).stdout)
    t:is(os.execute('bash -n ' .. script), 0, 'bash can read its own')
end)

fact('colors are for terminals', function(t, cluster)
    local a = cluster:member()
    local ESCAPE = '\27%['
    local plain = tool.run({'members', a.uri}).stdout
    t:unlike(plain, ESCAPE, 'there are none in a pipe')
    t:like(tool.run({'members', a.uri}, {CLICOLOR_FORCE = '1'}).stdout, ESCAPE, 'unless that is wanted')
    local function on_terminal(env)
        local pipe = io.popen(("%s script -qec '%s members %s' /dev/null </dev/null"):format(env, tool.PATH, a.uri))
        local out = pipe:read('*a')
        pipe:close()
        return out
    end
    t:like(on_terminal('TERM=xterm'), ESCAPE, 'there are on a terminal')
    t:unlike(on_terminal('NO_COLOR=1 TERM=xterm'), ESCAPE, 'unless NO_COLOR is set')
end)

fact('what a payload has for the terminal does not get there, and json reads as it was set', function(t, cluster)
    -- ESC, DEL, two controls of C1; then what turns text around, isolates it, has no width, separates lines
    local tricks = {
        '\27', '\127', '\194\133', '\194\155',
        '\226\128\174', '\226\129\166', '\226\128\139', '\226\128\168',
    }
    local text = table.concat(tricks, 'x') .. ' Straße 日本'
    local a, b = cluster:group(2)
    a.membership.set_payload({[text] = text})
    cluster:everyone_sees_payload(a.uri, {[text] = text}, {a, b})
    local function check(run, what)
        local found = {}
        for _, trick in ipairs(tricks) do
            if run.stdout:find(trick, 1, true) then
                table.insert(found, string.hex(trick))
            end
        end
        t:is_deeply(found, {}, what .. ': there are none')
        t:ok(run.stdout:find('Straße 日本', 1, true), what .. ': what is honest is left alone')
    end
    check(tool.run({'members', b.uri}), 'members')
    local run = tool.run({'members', b.uri, '--json'})
    check(run, 'members --json')
    t:is_deeply(find(json.decode(run.stdout).members, a.uri).payload, {[text] = text}, 'which means the same')

    local stranger = cluster:member() -- with another view
    for _, args in ipairs({
        {'diff', a.uri, stranger.uri, '--patience', '0.1'},
        {'diff', a.uri, stranger.uri, '--patience', '0.1', '--json'},
    }) do
        check(tool.run(args), table.concat(args, ' '))
    end
    for _, args in ipairs({{'watch', a.uri, '-i', '0.1'}, {'watch', a.uri, '-i', '0.1', '--json'}}) do
        local watch = tool.begin(args)
        watch:wait_for(b.port .. '[^\n]*alive')
        a.membership.set_payload({[text] = table.concat(args, ' ')})
        watch:wait_for('Straße 日本')
        watch:signal('INT')
        check(watch:finish(), table.concat(args, ' '))
    end
end)

fact('who reads no further ends it quietly', function(t, cluster)
    local a = cluster:member()
    local log = fio.pathjoin(cluster.dir, 'stderr')
    local command = "bash -c 'set -o pipefail; %s members --json %s 2>%s | true'"
    local code = os.execute(command:format(tool.PATH, a.uri, log))
    t:is(code, 0, 'it is no error')
    local file = io.open(log)
    t:is(file:read('*a'), '', 'and says nothing')
    file:close()
end)

for _, cipher in ipairs({'aes-256-cbc', 'xchacha20-poly1305'}) do
    fact(('keys shows who accepts and uses which key, and fails while they differ (%s)'):format(cipher),
        function(t, cluster)
            local members = {}
            for i = 1, 3 do
                members[i] = cluster:node()
                members[i]:call(function(name)
                    require('membership.options').ENCRYPTION_CIPHER = name
                    require('membership').set_encryption_key('the old key')
                end, cipher)
                cluster:init(members[i])
                members[i].membership.add_member(members[1].uri)
            end
            cluster:acquaint(members)
            local a, b, c = unpack(members)
            local function ask(key)
                local key_file = write_file(cluster, 'key', key)
                return tool.json({'keys', a.uri, '--key-file', key_file, '--cipher', cipher})
            end
            local answer, code = ask('the old key')
            t:is(code, 0, 'they agree')
            local old = answer.asked_with
            for _, member in ipairs(answer.members) do
                t:is_deeply({member.uses, member.accepts}, {old, {old}}, member.uri .. ' has the old key')
            end
            for _, member in ipairs({a, b}) do
                member.membership.add_encryption_key('the new key')
            end
            answer, code = ask('the old key')
            t:is(code, 1, 'one has not added the new key: they differ')
            t:is(#find(answer.members, b.uri).accepts, 2, 'one has')
            t:is(#find(answer.members, c.uri).accepts, 1, 'another has not')
            c.membership.add_encryption_key('the new key')
            t:is(select(2, ask('the old key')), 0, 'all have')
            a.membership.use_encryption_key('the new key')
            answer, code = ask('the old key')
            t:is(code, 1, 'one uses the new key: they differ')
            t:is(find(answer.members, c.uri).uses, old, 'another uses the old one')
            for _, member in ipairs({b, c}) do
                member.membership.use_encryption_key('the new key')
            end
            t:is(select(2, ask('the old key')), 0, 'all use the new one, and answer one that has the old one')
            for _, member in ipairs(members) do
                member.membership.remove_encryption_key('the old key')
            end
            answer, code = ask('the new key')
            t:is(code, 0, 'the old one is removed')
            t:is_deeply(find(answer.members, c.uri).accepts, {answer.asked_with}, 'everywhere')
            c:kill()
            cluster:everyone_sees(c.uri, 'dead', {a, b})
            answer, code = ask('the new key')
            t:is(code, 0, 'one that is dead is not asked')
            t:is(find(answer.members, c.uri).status, 'dead', 'and shown')
        end)
end

fact('keys needs a key, and says when a member does not answer', function(t, cluster)
    local a, b = cluster:member(), cluster:member()
    local run = tool.run({'keys', a.uri})
    t:is(run.code, 2, 'without a key')
    t:like(run.stderr, 'use %-%-key%-file FILE', 'it says what is missing')
    for _, member in ipairs({a, b}) do
        member.membership.set_encryption_key('the key')
    end
    b.membership.add_member(a.uri)
    cluster:acquaint({a, b})
    b:stop()
    run = tool.run({'keys', a.uri, '--key-file', write_file(cluster, 'key', 'the key'), '--timeout', '0.5'})
    b:cont()
    t:is(run.code, 1, 'a member does not answer')
    t:like(run.stdout, b.uri .. '%s+%a+%s+%-%s+no answer', 'the table says so')
    t:like(run.stdout, a.uri .. '%s+alive%s+(%x+)%s+%1\n', 'and shows the others')
end)

suite.run()
