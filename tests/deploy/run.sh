#!/usr/bin/env bash
# Tests the files of docs/operations/deploy with the programs that read them. nginx and HAProxy stand in front of a running
# four-validator network: routing, links, caching, streams, limits, certificates, and a validator that is killed below them.
# The others (systemd, logrotate, containers, Kubernetes, nftables) are checked by systemd's own tools, schemas and linters.
# Each part ends with a line "N passed, N failed"; where a program cannot be had, a line "SKIP ..." says why and the exit code is 77.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../network.sh"
WHY="the tests of the deployment files"

skip() { # WHAT
    say "SKIP deployment files: $1 is missing, and this user cannot install it (apt-get install $1)"
    exit 77
}
# Debian starts both where systemd runs; this test uses the programs alone, on free ports.
have nginx || install_packages "$WHY" nginx-light || skip nginx-light
have haproxy || install_packages "$WHY" haproxy || skip haproxy
have openssl || install_packages "$WHY" openssl || skip openssl
have systemd-analyze || install_packages "$WHY" systemd || skip systemd
have logrotate || install_packages "$WHY" logrotate || skip logrotate
have strace || install_packages "$WHY" strace || skip strace
have groff || install_packages "$WHY" groff-base || skip groff-base
have nft || install_packages "$WHY" nftables || skip nftables
ensure_python "$WHY" || skip python3
# Schemas and a linter, in a git-ignored folder.
VENV=$ROOT/tests/deploy/.venv
if [ ! "$VENV/ready" -nt "$ROOT/tests/deploy/requirements.txt" ]; then
    python3 -m venv "$VENV" >/dev/null 2>&1 || { rm -rf "$VENV" && install_packages "$WHY" python3-venv && python3 -m venv "$VENV" >/dev/null; } ||
        skip python3-venv
    "$VENV/bin/pip" install -q --disable-pip-version-check -r "$ROOT/tests/deploy/requirements.txt" && touch "$VENV/ready" || {
        say "SKIP deployment files: pip cannot install tests/deploy/requirements.txt"
        exit 77
    }
fi
prepare_network deploy
(cd "$ROOT" && cargo build --release --locked -q -p carat-benches) || die "the load generator does not build"
make_network
start_network
FAILED=0
python3 -B "$ROOT/tests/deploy/proxies.py" "$ROOT" "$NETWORK" "$TARGET/release/carat" || FAILED=1
end_network
rm -rf "$ROOT/.run/deploy-files" && mkdir "$ROOT/.run/deploy-files"
"$VENV/bin/python" -B "$ROOT/tests/deploy/files.py" "$ROOT" "$ROOT/.run/deploy-files" "$TARGET/release" || FAILED=1
exit "$FAILED"
