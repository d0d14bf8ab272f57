#!/usr/bin/env bash
# Four validators whose homes hold no key file, each with a signer that is a process of its own (as root: one under a user of its
# own), and signers that are killed under payments. Closes with a line "N passed, N failed".
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../network.sh"
ensure_python "the signers" || {
    say "SKIP signers: python3 is missing, and this user cannot install it (apt-get install python3)"
    exit 77
}
prepare_network signer
make_network
python3 -B "$ROOT/tests/signer/signer.py" "$NETWORK" "$TARGET/release"
