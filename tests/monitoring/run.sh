#!/usr/bin/env bash
# Checks the alert rules and tests them (promtool), then lets a real Prometheus scrape a running four-validator network: every
# expression of rules and dashboards must name metrics that it has, and a validator that is killed must raise its alert.
# Closes with a line "N passed, N failed"; where there is no Prometheus, a line "SKIP ..." says why and the exit code is 77.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../network.sh"
WHY="the tests of metrics, alerts and dashboards"

# Debian starts a Prometheus of its own where systemd runs; this test uses the program alone, on a free port.
{ have prometheus && have promtool; } || install_packages "$WHY" prometheus || {
    say "SKIP monitoring: prometheus and promtool are missing, and this user cannot install them (apt-get install prometheus)"
    exit 77
}
ensure_python "$WHY" || {
    say "SKIP monitoring: python3 is missing, and this user cannot install it (apt-get install python3)"
    exit 77
}
prepare_network monitoring
make_network
start_network
python3 -B "$ROOT/tests/monitoring/check.py" "$ROOT" "$NETWORK" "$TARGET/release/carat"
