#!/usr/bin/env bash
# Performs the drills of docs/operations/recovery.md on a running four-validator network, with the commands that stand there.
# Closes with a line "N passed, N failed". The drill of the full disk needs root for a file system of its own.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../network.sh"
ensure_python "the recovery drills" || {
    say "SKIP recovery drills: python3 is missing, and this user cannot install it (apt-get install python3)"
    exit 77
}
prepare_network drills
make_network
start_network
python3 -B "$ROOT/tests/drills/drills.py" "$ROOT" "$NETWORK" "$TARGET/release"
