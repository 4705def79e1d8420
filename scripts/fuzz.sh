#!/bin/bash
# Fuzzes one target from the recorded seeds on, with AddressSanitizer. Needs a nightly compiler and cargo-fuzz.
# usage: scripts/fuzz.sh decode|open|life|cost [SECONDS]
set -eu
cd "$(dirname "$0")/.."

target=${1-}
case $target in
decode | open | life | cost) ;;
*)
    echo 'usage: scripts/fuzz.sh decode|open|life|cost [SECONDS]' >&2
    exit 2
    ;;
esac

cargo run --quiet --package membership-fuzz --example seeds
# The profile of what ships optimizes across crates, which takes the counters of the fuzzer away.
export CARGO_PROFILE_RELEASE_LTO=false CARGO_PROFILE_RELEASE_STRIP=false
# It takes a while to make the full tables that `cost` begins with.
cargo +nightly fuzz run "$target" -- -max_total_time="${2-3600}" -max_len=65507 -rss_limit_mb=4096 -timeout=120
