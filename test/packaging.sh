#!/bin/bash
# What a user does with the project who has only git, cargo and Tarantool: clone, make, pack, install, run; all of it
# without a network. It is the last commit that is tried. Needs the crates in cargo's cache, where any build puts them.
# TARANTOOL is the tarantool that runs what was installed, by default the one on the PATH.
set -u
cd "$(dirname "$0")/.." || exit

SIZE_MAX=$((2 * 1024 * 1024)) # bytes, of each native part

root=$PWD
tarantool=$(realpath "$(command -v "${TARANTOOL:-tarantool}")") || exit
work=$(mktemp -d)
# Elsewhere than cargo's default, as for users who share one among projects; kept, for the next run to be quick.
export CARGO_TARGET_DIR=$root/target/packaging
export CARGO_NET_OFFLINE=true
failed=0

cleanup() {
    # The crates stay compiled. What was made from the clone is of no use to any other.
    (cd "$work/clone" 2>/dev/null && cargo clean --quiet --release --package membership) >/dev/null 2>&1
    rm -rf "$work"
}
trap cleanup EXIT

# ok FACT COMMAND...: a fact is what the command finds to be true. Its output is shown if it does not.
ok() {
    local fact=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        echo "ok - $fact"
    else
        echo "not ok - $fact"
        sed 's/^/    /' "$work/log"
        failed=1
    fi
}

# offline COMMAND...: runs it where there is no network but loopback, if we may make such a place.
if [ "$(id -u)" -eq 0 ] && unshare --net true 2>/dev/null; then
    offline() { unshare --net sh -c 'PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && exec "$@"' offline "$@"; }
elif unshare --map-root-user --net true 2>/dev/null; then
    offline() { unshare --map-root-user --net sh -c 'PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && exec "$@"' offline "$@"; }
else
    echo '# no network namespace can be made here: only cargo is told to stay offline'
    offline() { "$@"; }
fi

in_dir() {
    (cd "$1" && shift && "$@")
}

is_small() {
    local size
    size=$(stat -c %s "$1") && echo "$size bytes" && [ "$size" -lt "$SIZE_MAX" ]
}

has_section() { readelf --section-headers --wide "$2" | grep -q " $1 "; }
is_stripped() { ! has_section .symtab "$1" && ! has_section .debug_info "$1"; }
stays_loaded() { readelf --dynamic "$1" | grep -q NODELETE; }

is_clean() {
    git -C "$1" status --porcelain
    [ -z "$(git -C "$1" status --porcelain)" ]
}

has_file() { unzip -Z1 "$1" | grep -qx "$2"; }

lua_files_of() { (cd "$1" && find . -name '*.lua' | sort); }
has_lua_files() { diff <(lua_files_of "$1") <(lua_files_of "$2"); }

try_rock() { # ROCK TREE: installs the rock into an empty tree, runs two instances on it
    mkdir -p "$2"
    ok 'it installs into an empty tree' in_dir "$2" offline tarantoolctl rocks install --tree "$2/.rocks" "$1"
    ok 'two instances that run on it meet' in_dir "$2" offline "$tarantool" "$root/test/packaging/mesh.lua"
    ok 'it brings membershipctl' "$2/.rocks/bin/membershipctl" --version
}

# A project that pins a version of the Lua rock, with a stand-in for that installed.
make_project() ( # DIRECTORY
    mkdir -p "$1/lua_rock" && cd "$1" || return
    echo 'return {}' >lua_rock/membership.lua
    cat >lua_rock/membership-2.5.3-1.rockspec <<'END'
package, version, source = 'membership', '2.5.3-1', {url = '/dev/null'}
build = {type = 'builtin', modules = {membership = 'membership.lua'}}
END
    cat >project-scm-1.rockspec <<'END'
package, version, source = 'project', 'scm-1', {url = '/dev/null'}
dependencies = {'membership == 2.5.3-1'}
build = {type = 'none'}
END
    in_dir lua_rock offline tarantoolctl rocks make --tree="$1/.rocks"
    offline tarantoolctl rocks make
)

# Every program on the PATH but these, in one directory. Its apt-get only leaves a note.
make_path_without() { # DIRECTORY PROGRAM...
    local target=$1 directory directories
    shift
    mkdir "$target"
    IFS=: read -r -a directories <<<"$PATH"
    for directory in "${directories[@]}"; do
        ln -s "$directory"/* "$target" 2>/dev/null # the first of a name stays
    done
    (cd "$target" && rm -f "$@" sudo apt-get)
    printf '#!/bin/sh\necho "$@" >>%q\n' "$work/apt-get.log" >"$target/apt-get"
    chmod +x "$target/apt-get"
}

on_path() { # DIRECTORY COMMAND...
    local path=$1
    shift
    in_dir "$clone" env PATH="$path" "$@"
}

fails_with() { # LINE COMMAND...
    local line=$1 output
    shift
    if output=$("$@" 2>&1); then
        return 1
    fi
    echo "$output"
    # Below another make, it also says which directory it enters.
    grep -Fqx "$line" <<<"$output"
}

says_what_is_missing() { # TARGET PACKAGES
    fails_with "$1: missing: $2 (the names of Debian's packages). Run: make setup" on_path "$work/bare" make "$1"
}

# To have the alerts checked, setup takes one program out of a package, without installing that.
installs_nothing() { ! grep -Fqw install "$work/apt-get.log" 2>/dev/null; }

setup_asks_for() { on_path "$work/bare" make setup 2>&1 | grep -F " $1"; }

describes_itself() { # TREE SUMMARY
    offline tarantoolctl rocks show --tree "$1" membership | grep -F "$2"
}

clone=$work/clone
core=$clone/.rocks/lib/tarantool/membership/core.so
tool=$clone/.rocks/bin/membershipctl
platform=$(uname -s | tr '[:upper:]' '[:lower:]')-$(uname -m)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml)
rock=$work/membership-scm-1.$platform.rock
src_rock=$work/membership-scm-1.src.rock
pinned_rock=$work/membership-2.5.3-1.$platform.rock

echo '# a clean clone'
ok 'it can be cloned' git clone --quiet --no-hardlinks . "$clone"

echo '# a machine that lacks a compiler, cmake and zip'
make_path_without "$work/bare" cc cmake zip
ok 'make build names what is missing' says_what_is_missing build 'gcc libc6-dev'
ok 'make rock names what is missing' says_what_is_missing rock 'gcc libc6-dev cmake'
ok 'make pack names what is missing' says_what_is_missing pack 'gcc libc6-dev cmake zip'
ok 'none of them calls apt-get' test ! -e "$work/apt-get.log"
ok 'make setup asks for all of it' setup_asks_for 'gcc libc6-dev cmake zip'

echo '# a machine with a Tarantool that was installed without tarantoolctl and tt'
rm -f "$work/apt-get.log"
make_path_without "$work/alone" tarantoolctl tt
ok 'make rock installs' on_path "$work/alone" make rock
ok 'every Lua file is installed' has_lua_files "$clone/lua" "$clone/.rocks/share/tarantool"
ok 'two instances that run on it meet' in_dir "$clone" offline "$tarantool" "$root/test/packaging/mesh.lua"
ok 'it brings membershipctl' "$tool" --version
ok 'make pack says what to do' fails_with 'pack: neither tarantoolctl nor tt was found, and only these pack rocks. Get tt from' \
    on_path "$work/alone" make pack
ok 'no other Tarantool is asked for' on_path "$work/alone" make setup
ok 'none of them installs a package' installs_nothing
rm -rf "$clone/.rocks"
if ! command -v tarantoolctl >/dev/null; then
    echo '# nothing more can be tried without tarantoolctl'
    exit "$failed"
fi

echo '# a build in the clone'
ok 'tarantoolctl rocks make' in_dir "$clone" offline tarantoolctl rocks make
ok 'the native part is smaller than 2 MB' is_small "$core"
ok 'it is stripped' is_stripped "$core"
ok 'membershipctl is smaller than 2 MB' is_small "$tool"
ok 'it is stripped, too' is_stripped "$tool"
ok 'it is never unloaded under its running thread' stays_loaded "$core"
ok 'every Lua file is installed' has_lua_files "$clone/lua" "$clone/.rocks/share/tarantool"
ok 'tarantoolctl rocks pack membership' in_dir "$clone" offline tarantoolctl rocks pack membership
ok 'tarantoolctl rocks pack membership-scm-1.rockspec' \
    in_dir "$clone" offline tarantoolctl rocks pack membership-scm-1.rockspec
ok 'it can be packed as another version' in_dir "$clone" offline scripts/rock.sh pack-as 2.5.3-1
ok 'make pack' in_dir "$clone" offline make pack
ok 'that packs a rock of the present version, too' test -e "$clone/membership-$version-1.$platform.rock"
ok 'git ignores all that was made' is_clean "$clone"
mv "$clone"/*.rock "$work"
# From here on nothing may come from the clone.
(cd "$clone" && cargo clean --quiet --release --package membership) >/dev/null 2>&1
rm -rf "$clone"

echo '# the packed rock'
ok 'it carries the licence' has_file "$rock" doc/LICENSE
try_rock "$rock" "$work/binary"

echo '# the packed source'
try_rock "$src_rock" "$work/source"

echo '# the place of the Lua rock, in a project that pins it'
project=$work/project
ok 'a project pins the Lua rock' make_project "$project"
ok 'the Lua rock is removed' in_dir "$project" offline tarantoolctl rocks remove --force membership
ok 'this one is installed under its version' in_dir "$project" offline tarantoolctl rocks install "$pinned_rock"
ok 'and can be told from the Lua rock' describes_itself "$project/.rocks" "The native module membership $version"
ok 'two instances that run on it meet' in_dir "$project" offline "$tarantool" "$root/test/packaging/mesh.lua"
ok 'the project finds the version that it asks for' in_dir "$project" offline tarantoolctl rocks make

exit "$failed"
