#!/bin/bash
# Runs Tarantool's package manager on the rock, quietly unless something goes wrong.
# usage: scripts/rock.sh make|pack|pack-as VERSION
set -eu
cd "$(dirname "$0")/.."

if command -v tarantoolctl >/dev/null; then
    rocks=(tarantoolctl rocks)
else
    rocks=(tt rocks) # what tarantoolctl became in Tarantool 3
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

case "${1-}" in
make)
    # cmake refuses a build directory that was made before the checkout was moved; making it anew takes no time.
    rm -rf build.luarocks
    # First on its own: cargo shows its progress, which the package manager would hide.
    cargo build --release --locked --package membership --package membershipctl
    quietly "${rocks[@]}" make membership-scm-1.rockspec
    echo 'rock: installed into .rocks'
    ;;
pack)
    quietly "${rocks[@]}" pack membership
    quietly "${rocks[@]}" pack membership-scm-1.rockspec
    ls -- *.rock
    ;;
pack-as)
    # The same module under a version that some rockspec asks for. Made in a tree of its own: .rocks has the real one.
    version=${2-}
    if ! [[ $version =~ ^[0-9a-z.]+-[0-9]+$ ]]; then
        echo "rock: not a version of a rock: '$version'; one is 2.5.3-1" >&2
        exit 2
    fi
    rockspec=$tree/membership-$version.rockspec
    sed "s/^version = .*/version = '$version'/" membership-scm-1.rockspec >"$rockspec"
    quietly "${rocks[@]}" make --tree="$tree" "$rockspec"
    quietly "${rocks[@]}" pack --tree="$tree" membership
    ls -- "membership-$version".*.rock
    ;;
*)
    echo 'usage: scripts/rock.sh make|pack|pack-as VERSION' >&2
    exit 2
    ;;
esac
