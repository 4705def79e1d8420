#!/bin/bash
# Finds out what this machine lacks of what the targets of the Makefile need. Prints nothing when nothing is missing.
# usage: scripts/setup.sh                          installs the Debian packages that are missing, for all targets
#        scripts/setup.sh check build|rock|pack    installs nothing: names what that target lacks, and fails
# TARANTOOL names another tarantool than the one on the PATH, and has to exist.
set -eu

target=all
case "$*" in
'') ;;
'check build' | 'check rock' | 'check pack') target=$2 ;;
*)
    echo 'usage: scripts/setup.sh [check build|rock|pack]' >&2
    exit 2
    ;;
esac

missing=()

# need PACKAGE COMMAND...: the package is missing unless COMMAND succeeds.
need() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}

# enough_for TARGET: if that is the target, all that it needs has been looked for. Ends the script.
enough_for() {
    [ "$target" = "$1" ] || return 0
    [ ${#missing[@]} -gt 0 ] || exit 0
    echo "$target: missing: ${missing[*]} (the names of Debian's packages). Run: make setup" >&2
    exit 1
}

links_programs() {
    echo 'int main(void) { return 0; }' | cc -x c - -o /dev/null
}

if ! command -v cargo >/dev/null; then
    echo 'setup: cargo was not found. Install Rust (https://rustup.rs), open a new shell and try again.' >&2
    exit 1
fi

tarantool=${TARANTOOL:-tarantool}
if [ "$tarantool" != tarantool ] && ! command -v "$tarantool" >/dev/null; then
    echo "setup: TARANTOOL names no program: $tarantool" >&2
    exit 1
fi

# The oldest that Cargo.toml allows.
wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$(dirname "$0")/../Cargo.toml")
found=$(cargo --version | cut -d ' ' -f 2)
oldest=$(printf '%s\n' "$wanted" "${found%%-*}" | sort -V | head -n 1)
if [ "$oldest" != "$wanted" ]; then
    echo "setup: cargo is $found, and $wanted or newer is needed. Run: rustup update stable" >&2
    echo 'setup: If there is no rustup, cargo came with a package: install Rust from https://rustup.rs instead.' >&2
    exit 1
fi

need gcc command -v cc
need libc6-dev links_programs
enough_for build

# Where there is a Tarantool, no other is installed, which Debian's tarantool-common (tarantoolctl) would bring.
# Without a package manager for rocks, cmake installs.
if ! command -v "$tarantool" >/dev/null; then
    missing+=(tarantool tarantool-common)
fi
need cmake command -v cmake
enough_for rock

need git command -v git
need zip command -v zip
need unzip command -v unzip
enough_for pack

need g++ command -v c++
need lua-check command -v luacheck
need shellcheck command -v shellcheck
need bsdutils command -v script
need iproute2 command -v ip
need util-linux command -v unshare
need python3 python3 -c 'import tomllib'
need nftables env PATH="$PATH:/usr/sbin:/sbin" sh -c 'command -v nft'

# The alerts are checked where it is: nothing else needs it.
get_promtool() {
    "$(dirname "$0")/promtool.sh" || true
}

if [ ${#missing[@]} -eq 0 ]; then
    get_promtool
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo "setup: missing: ${missing[*]} (the names of Debian's packages). Install them and try again." >&2
    exit 1
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "setup: missing: ${missing[*]}. Become root and run: apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

echo "setup: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
install() {
    "${as_root[@]}" apt-get update -q &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}
if ! install >"$log" 2>&1; then
    cat "$log" >&2
    echo "setup: apt-get could not install ${missing[*]}" >&2
    exit 1
fi
get_promtool
