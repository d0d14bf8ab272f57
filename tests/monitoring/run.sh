#!/usr/bin/env bash
# Checks the alert rules and tests them (promtool), then lets a real Prometheus scrape a running four-validator network: every
# expression of rules and dashboards must name metrics that it has, and a validator that is killed must raise its alert.
# Closes with a line "N passed, N failed"; where there is no Prometheus, a line "SKIP ..." says why and the exit code is 77.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
NETWORK=$ROOT/.run/monitoring
WHY="the tests of metrics, alerts and dashboards"

carat() { "$TARGET/release/carat" --network "$NETWORK" "$@"; }

# Debian starts a Prometheus of its own where systemd runs; this test uses the program alone, on a free port.
{ have prometheus && have promtool; } || install_packages "$WHY" prometheus || {
    say "SKIP monitoring: prometheus and promtool are missing, and this user cannot install them (apt-get install prometheus)"
    exit 77
}
ensure_python "$WHY" || {
    say "SKIP monitoring: python3 is missing, and this user cannot install it (apt-get install python3)"
    exit 77
}
(cd "$ROOT" && cargo build --release --locked -q -p carat-node -p carat-genesis -p carat-client) ||
    die "the validator and the client do not build" "scripts/demo.sh says what is missing"

end_network() { [ ! -e "$NETWORK/network.toml" ] || carat network down >/dev/null 2>&1; }
trap end_network EXIT
trap 'exit 130' INT TERM HUP
end_network
rm -rf "$NETWORK" && mkdir -p "$ROOT/.run"
"$TARGET/release/carat-genesis" init --validators 4 --out "$NETWORK" >/dev/null || die "no network could be made"
carat network up >/dev/null || die "the network did not start" "the logs are in .run/monitoring/run"
python3 -B "$ROOT/tests/monitoring/check.py" "$ROOT" "$NETWORK" "$TARGET/release/carat"
