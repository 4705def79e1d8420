#!/bin/bash
# Installs the module into .rocks, and packs it as rocks. Quiet unless something goes wrong.
# usage: scripts/rock.sh make|pack|pack-as VERSION
set -eu
cd "$(dirname "$0")/.."

# What manages rocks: tarantoolctl up to Tarantool 2, tt from 3 on. Nothing, where Tarantool was installed alone.
rocks=()
if command -v tarantoolctl >/dev/null; then
    rocks=(tarantoolctl rocks)
elif command -v tt >/dev/null; then
    rocks=(tt rocks)
fi

log=$(mktemp)
tree=$(mktemp -d)
trap 'rm -rf "$log" "$tree"' EXIT
quietly() {
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        echo "rock: failed: $*" >&2
        exit 1
    fi
}

needs_package_manager() {
    [ ${#rocks[@]} -eq 0 ] || return 0
    echo 'pack: neither tarantoolctl nor tt was found, and only these pack rocks. Get tt from' >&2
    echo 'pack: https://github.com/tarantool/tt, or install without a rock: make rock, or cmake (doc/install.md)' >&2
    exit 1
}

# The version in Cargo.toml, which is that of the module.
version_of_module() {
    sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml
}

# Installs as the package manager would, which first removes what an older version has left.
install_with_cmake() {
    rm -rf .rocks/share/tarantool/{membership,membership.lua,roles/membership.lua}
    quietly cmake -S . -B "$tree/build"
    quietly cmake --build "$tree/build"
    quietly cmake --install "$tree/build" --prefix "$PWD/.rocks"
}

# pack_as VERSION: packs the module under that version. Made in a tree of its own: .rocks has the real one.
pack_as() {
    local version=$1 rockspec=$tree/membership-$1.rockspec summary
    # `tarantoolctl rocks show membership` shows it: else nothing would tell it from another rock of that version.
    summary="The native module membership $(version_of_module)"
    sed "s/^version = .*/version = '$version'/; s/^\( *summary = \).*/\1'$summary',/" \
        membership-scm-1.rockspec >"$rockspec"
    quietly "${rocks[@]}" make --tree="$tree" "$rockspec"
    quietly "${rocks[@]}" pack --tree="$tree" membership
    ls -- "membership-$version".*.rock
}

case "${1-}" in
make)
    # cmake refuses a build directory that was made before the checkout was moved; making it anew takes no time.
    rm -rf build.luarocks
    # First on its own: cargo shows its progress, which the package manager would hide.
    cargo build --release --locked --package membership --package membershipctl
    if [ ${#rocks[@]} -gt 0 ]; then
        quietly "${rocks[@]}" make membership-scm-1.rockspec
    else
        install_with_cmake
    fi
    echo 'rock: installed into .rocks'
    ;;
pack)
    needs_package_manager
    quietly "${rocks[@]}" pack membership
    quietly "${rocks[@]}" pack membership-scm-1.rockspec
    ls -- membership-scm-1.*.rock
    pack_as "$(version_of_module)-1"
    ;;
pack-as)
    version=${2-}
    if ! [[ $version =~ ^[0-9a-z.]+-[0-9]+$ ]]; then
        echo "rock: not a version of a rock: '$version'; one is 2.5.3-1" >&2
        exit 2
    fi
    needs_package_manager
    pack_as "$version"
    ;;
*)
    echo 'usage: scripts/rock.sh make|pack|pack-as VERSION' >&2
    exit 2
    ;;
esac
