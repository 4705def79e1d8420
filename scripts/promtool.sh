#!/bin/bash
# Puts promtool, which checks the alerts, into target/tools, unless there is one on the PATH. Prints nothing when it is
# there.
#
# It comes with Debian's package `prometheus`. That is not installed, for it would start a server: promtool alone is
# taken out of it.
set -u
cd "$(dirname "$0")/.." || exit

tools=target/tools
if [ -x "$tools/promtool" ] || command -v promtool >/dev/null; then
    exit 0
fi

# fail REASON: everything but the alerts can be checked without it.
fail() {
    echo "setup: promtool was not found, and $1: the alerts stay unchecked." >&2
    echo 'setup: It comes with Prometheus (https://prometheus.io/download): put it on the PATH.' >&2
    exit 1
}

for command in apt-get dpkg-deb; do
    command -v "$command" >/dev/null || fail "there is no $command to get it with"
done

echo 'setup: getting promtool'
mkdir -p "$tools"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
download() {
    (cd "$work" && apt-get download -q prometheus)
}
# Root may have lists of packages that are missing, or too old.
if ! download >"$work/log" 2>&1; then
    [ "$(id -u)" -ne 0 ] || apt-get update -q >>"$work/log" 2>&1
    if ! download >>"$work/log" 2>&1; then
        cat "$work/log" >&2
        fail 'the package prometheus could not be downloaded'
    fi
fi
if ! dpkg-deb --fsys-tarfile "$work"/prometheus_*.deb | tar --extract --to-stdout ./usr/bin/promtool >"$work/promtool"; then
    fail 'the package prometheus does not have it'
fi
chmod +x "$work/promtool"
mv "$work/promtool" "$tools/promtool"
