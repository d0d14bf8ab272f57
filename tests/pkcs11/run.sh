#!/usr/bin/env bash
# Validators whose acceptor keys are in tokens of SoftHSM2: one made there, one brought in; killed, and with the tokens taken away
# under payments. Closes with a line "N passed, N failed".
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../network.sh"
skip() {
    say "SKIP keys in tokens: $1"
    exit 77
}
ensure_python "keys in tokens" || skip "python3 is missing, and this user cannot install it (apt-get install python3)"
{ have softhsm2-util && have pkcs11-tool; } || install_packages "tokens in software" softhsm2 opensc ||
    skip "softhsm2 or opensc is missing, and this user cannot install it (apt-get install softhsm2 opensc)"
prepare_network pkcs11
python3 -B "$ROOT/tests/pkcs11/pkcs11.py" "$NETWORK" "$TARGET/release"
