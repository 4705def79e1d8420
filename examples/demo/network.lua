--- A network of one's own, in which links can be cut and datagrams lost: a network namespace, and nftables in it.
-- Takes root for that, or user namespaces, which most systems grant all users. Nothing outside of it is touched, and it
-- goes with its last process.

local ffi = require('ffi')

ffi.cdef([[
    int setenv(const char *name, const char *value, int overwrite);
    unsigned alarm(unsigned seconds);
    int execvp(const char *file, const char *const argv[]);
]])

local INSIDE = 'MEMBERSHIP_DEMO_NETWORK'
local UNSHARE = {{'unshare', '--net'}, {'unshare', '--map-root-user', '--net'}}

local network = {}

local function succeeds(command)
    return os.execute(command .. ' >/dev/null 2>&1') == 0
end

--- nft is often where only root's PATH leads.
local function nft(commands)
    return succeeds(("PATH=\"$PATH:/usr/sbin:/sbin\" nft '%s'"):format(commands))
end

local function exec(words)
    local argv = ffi.new('const char *[?]', #words + 1)
    for i, word in ipairs(words) do
        argv[i - 1] = word
    end
    -- From 2.11 on Tarantool has a timer tick. It would go on, and its SIGALRM end a program that does not expect it.
    ffi.C.alarm(0)
    ffi.C.execvp(words[1], argv)
end

--- Starts this program again in a network of its own, unless it is in one; returns why that cannot be.
function network.enter()
    if os.getenv(INSIDE) ~= nil then
        return not nft('add table inet demo') and 'nft does not work: install nftables, by `make setup`' or nil
    end
    for _, unshare in ipairs(UNSHARE) do
        if succeeds(table.concat(unshare, ' ') .. ' true') then
            ffi.C.setenv(INSIDE, 'own', 1)
            local words = {unpack(unshare)}
            for _, word in ipairs({'sh', '-c', 'PATH="$PATH:/usr/sbin:/sbin" ip link set lo up && exec "$@"', 'sh'}) do
                table.insert(words, word)
            end
            for i = -1, #arg do
                table.insert(words, arg[i])
            end
            exec(words)
        end
    end
    return 'neither root nor user namespaces are there to make a network that can be broken'
end

local function rule(text)
    local chain = 'inet demo input'
    if not nft(('add chain %s { type filter hook input priority 0; }; add rule %s %s'):format(chain, chain, text)) then
        error({failure = 'nft does not take the rule: ' .. text}, 0)
    end
end

--- Nothing goes from these ports to those, nor back; and no process is told.
function network.split(some, others)
    some, others = table.concat(some, ', '), table.concat(others, ', ')
    rule(('udp sport { %s } udp dport { %s } drop'):format(some, others))
    rule(('udp sport { %s } udp dport { %s } drop'):format(others, some))
end

--- So many of 100 datagrams are lost, of all senders.
function network.lose(percent)
    rule(('meta l4proto udp numgen random mod 100 < %d drop'):format(percent))
end

--- All is well again.
function network.heal()
    if not nft('flush chain inet demo input') then
        error({failure = 'nft does not drop its rules'}, 0)
    end
end

return network
