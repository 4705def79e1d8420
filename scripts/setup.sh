#!/bin/bash
# Installs what building, testing and the demo need and this machine lacks. Says nothing when nothing is missing.
set -eu

missing=()

# need PACKAGE COMMAND...: the package is missing unless COMMAND succeeds.
need() {
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}

links_programs() {
    echo 'int main(void) { return 0; }' | cc -x c - -o /dev/null
}

if ! command -v cargo >/dev/null; then
    echo 'setup: cargo was not found. Install Rust (https://rustup.rs), open a new shell and try again.' >&2
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

need tarantool command -v tarantool
need tarantool-common command -v tarantoolctl
need tarantool-dev test -e /usr/include/tarantool/module.h
need cmake command -v cmake
need gcc command -v cc
need libc6-dev links_programs
need g++ command -v c++
need git command -v git
need zip command -v zip
need unzip command -v unzip
need lua-check command -v luacheck
need bsdutils command -v script
need iproute2 command -v ip
need util-linux command -v unshare
need python3 python3 -c 'import tomllib'
need nftables env PATH="$PATH:/usr/sbin:/sbin" sh -c 'command -v nft'

if [ ${#missing[@]} -eq 0 ]; then
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
