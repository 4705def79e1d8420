#!/bin/bash
# The demo tells the truth by its exit code, and leaves nothing behind however it ends. Needs `make rock`.
# TARANTOOL is the tarantool to run it with, by default the one on the PATH.
set -u
cd "$(dirname "$0")/.." || exit

root=$PWD
tarantool=$(realpath "$(command -v "${TARANTOOL:-tarantool}")") || exit
# Within the project, so that Tarantool finds .rocks in a parent directory; empty, to see what the demo leaves there.
mkdir -p target
dir=$(mktemp -d "$root/target/demo.XXXXXX")
log=$(mktemp)
failed=0
demo=
cleanup() {
    [ -z "$demo" ] || kill -KILL "$demo" 2>/dev/null
    rm -rf "$dir" "$log"
}
trap cleanup EXIT

# ok FACT COMMAND...: a fact is what the command finds to be true.
ok() {
    local fact=$1
    shift
    if "$@"; then
        echo "ok - $fact"
    else
        echo "not ok - $fact"
        failed=1
    fi
}

# within SECONDS COMMAND...: waits for the command to succeed.
within() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.05
    done
}

# start [SCENARIO]
start() {
    : >"$log"
    (cd "$dir" && exec "$tarantool" "$root/examples/demo.lua" "$@") >"$log" 2>&1 &
    demo=$!
}

shows() { grep -q -- "$1" "$log"; }

# end_of_demo SECONDS: waits for the demo to end, and sets code.
end_of_demo() {
    within "$1" demo_ended || return 1
    wait "$demo" 2>/dev/null
    code=$?
    demo=
}
demo_ended() { ! kill -0 "$demo" 2>/dev/null; }

instances() { sed -n 's/.* is up.*process \([0-9]*\)$/\1/p' "$log"; }
ports() { sed -n 's/.* is up: [0-9.]*:\([0-9]*\),.*/\1/p' "$log"; }

no_process_left() {
    local pid
    for pid in $(instances); do
        ! kill -0 "$pid" 2>/dev/null || return 1
    done
}

no_port_left() {
    local port
    for port in $(ports); do
        ! grep -q "^ *[0-9]*: [0-9A-F]*:$(printf %04X "$port") " /proc/net/udp || return 1
    done
}

no_file_left() { [ -z "$(ls -A "$dir")" ]; }

leaves_nothing() {
    ok "$1: no process is left" within 5 no_process_left
    ok "$1: no port is left" no_port_left
    ok "$1: no file is left" no_file_left
}

# midway: the demo is running, with five instances up.
midway() { within 30 shows 'has A.s payload'; }

echo '# to its end'
code=
start
ok 'it ends by itself' end_of_demo 60
ok 'and says that all went well' test "$code" = 0
ok 'five instances were up, and one came back' test "$(instances | sort -u | wc -l)" -eq 6
ok 'they met' shows '^all know all .* s$'
ok 'the payload arrived' shows "^all have A's payload .* s$"
ok 'the death was seen' shows '^C was killed: dead for all .* s$'
ok 'the return was seen' shows '^C is back: .* s$'
ok 'the leave was seen' shows '^E left: .* s$'
ok 'no colours in a file' test -z "$(tr -dc '\033' <"$log")"
leaves_nothing 'at the end'
[ "$failed" -eq 0 ] || cat "$log"

# plays SCENARIO: from beginning to end. Returns 3 where this machine cannot show it.
plays() {
    echo "# the scenario $1"
    start "$1"
    ok 'it ends by itself' end_of_demo 180
    if [ "$code" = 3 ]; then
        echo "ok - # SKIP $(cat "$log")"
        return 3
    fi
    ok 'and says that all went well' test "$code" = 0
    [ "$code" = 0 ] || cat "$log"
    leaves_nothing 'at the end'
}

if plays partition; then
    ok 'the split was seen' shows '^split: all on the other side are dead .* s$'
    ok 'but no instance was suspected by its own side' shows 'no instance was suspected by its own side$'
    ok 'so was the healing' shows '^healed: all alive for all, with what they missed .* s$'
fi
if plays loss; then
    ok 'they met' shows '^all know all .* s$'
    ok 'no instance was declared dead for it' shows 'no instance was declared dead$'
    ok 'but the killed one was' shows '^C was killed: dead for all .* s$'
fi
plays stall
ok 'no instance noticed the busy one' shows 'no instance noticed$'
ok 'the one that hung was called dead' shows '^E hangs: dead for all .* s$'
ok 'and came back' shows '^E runs again: alive for all .* s$'
plays rotate
ok 'no instance was suspected while the key changed' shows 'no instance was suspected$'
ok 'who had the old one was not heard' shows "probe_uri(A) returns false, 'no response'\$"
ok 'until it had the new one' shows '^E has the new key: all hear it again .* s$'

echo '# a machine that lets no user make a network'
(cd "$dir" && PATH=/nonexistent "$tarantool" "$root/examples/demo.lua" loss) >"$log" 2>&1
ok 'has an exit code of its own' test $? = 3
ok 'and is told why' shows 'neither root nor user namespaces'

echo '# no such scenario'
(cd "$dir" && "$tarantool" "$root/examples/demo.lua" nonsense) >"$log" 2>&1
ok 'is a wrong call' test $? = 2
ok 'and is told which there are' shows '^  rotate '

# on_terminal VARIABLE=VALUE...: plays the shortest scenario on a terminal.
on_terminal() {
    (cd "$dir" && script -qec "env -u CI -u NO_COLOR TERM=xterm $* '$tarantool' '$root/examples/demo.lua' rotate" \
        /dev/null) >"$log" 2>&1
}

echo '# on a terminal'
ok 'it goes well' on_terminal
ok 'and is redrawn in place' shows "$(printf '\033')\[[0-9]*A"
ok 'and shows which sees which' shows 'A  *.*alive.*alive.*alive.*alive.*alive'
ok 'and gives the cursor back' shows "$(printf '\033')\[?25h"
for variable in NO_COLOR=1 CI=true; do
    ok "it goes well with $variable" on_terminal "$variable"
    ok "and is a plain log with $variable" test -z "$(tr -dc '\033' <"$log")"
done

for signal in INT TERM; do
    echo "# SIG$signal"
    start
    ok "it is midway when SIG$signal comes" midway
    kill -s "$signal" "$demo"
    ok 'it ends at once' end_of_demo 5
    ok 'with the exit code of an interrupted program' test "$code" = 130
    leaves_nothing "after SIG$signal"
done

echo '# kill -9 of the demo itself'
start
ok 'it is midway when it is killed' midway
kill -s KILL "$demo"
end_of_demo 5
leaves_nothing 'after kill -9'

echo '# an instance crashes'
start
ok 'it is midway when an instance is killed' midway
victim=$(instances | tail -n 1)
kill -s KILL "$victim"
ok 'it ends' end_of_demo 5
ok 'it says that not all went well' test "$code" = 1
ok 'it says who crashed and how' shows "FAILED: E (process $victim) was ended by SIGKILL"
leaves_nothing 'after a crash'

exit "$failed"
