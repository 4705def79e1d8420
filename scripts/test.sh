#!/bin/bash
# Runs every check, also after one has failed, and ends with a table of how each went.
# The output of a check is shown when it fails, less what passed; with V=1, always and in full.
# TARANTOOL is the tarantool to check it with, by default the one on the PATH.
set -u
cd "$(dirname "$0")/.." || exit

# Of cargo's progress nothing, of its warnings and errors all.
[ -n "${V-}" ] || export CARGO_TERM_QUIET=true

version=$("${TARANTOOL:-tarantool}" --version | head -n 1) || exit
log=$(mktemp)
trap 'rm -f "$log"' EXIT
rows=()
failures=0

# check NAME COMMAND...: one line of the table.
check() {
    local name=$1 started=$SECONDS verdict=ok
    shift
    printf '== %s\n' "$name"
    if [ -n "${V-}" ]; then
        "$@" || verdict=FAILED
    elif ! "$@" >"$log" 2>&1; then
        verdict=FAILED
        grep -vE '^ *(ok - |1\.\.[0-9]+$|TAP version)' "$log"
    fi
    [ "$verdict" = ok ] || failures=$((failures + 1))
    rows+=("$(printf '%-8s %-40s %4d s' "$verdict" "$name" $((SECONDS - started)))")
}

check 'rustfmt' cargo fmt --check
check 'clippy' cargo clippy --locked --workspace --all-targets -- -D warnings
check 'rustdoc' env RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --document-private-items
check 'luacheck' luacheck --quiet --codes .
check 'shellcheck' shellcheck --severity=warning .ci/run scripts/*.sh test/run test/*.sh
if command -v cargo-deny >/dev/null; then
    # For this platform only: the crates of others have not been downloaded.
    check 'cargo deny' cargo deny --offline --locked --target "$(rustc --print host-tuple)" check bans licenses sources
else
    echo '== cargo deny: not checked, cargo-deny is not installed'
fi
if [ ! -x target/tools/promtool ] && ! command -v promtool >/dev/null; then
    echo '== alerts: not checked, promtool is not installed'
fi
check 'cargo test' cargo test --locked --workspace
check 'payloads, read by Tarantool' cargo test --locked --test payloads -- --ignored
check 'tap tests' test/run
check 'packaging' test/packaging.sh
check 'demo' test/demo.sh

printf '\n'
printf '%s\n' "${rows[@]}"
if [ "$failures" -gt 0 ]; then
    printf '\n%d of %d checks FAILED with %s\n' "$failures" "${#rows[@]}" "$version"
    exit 1
fi
printf '\nall %d checks passed with %s\n' "${#rows[@]}" "$version"
