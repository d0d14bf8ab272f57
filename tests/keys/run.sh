#!/usr/bin/env bash
# Keys encrypted at rest, those of a bank's login among them, and certificates that are replaced while a validator of a members' network
# runs; and a main network whose banks made their keys each for itself. Each part closes with a line "N passed, N failed".
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../network.sh"
skip() {
    say "SKIP keys at rest: $1"
    exit 77
}
ensure_python "keys at rest" || skip "python3 is missing, and this user cannot install it (apt-get install python3)"
have openssl || install_packages "certificates" openssl ||
    skip "openssl is missing, and this user cannot install it (apt-get install openssl)"
prepare_network keys
"$TARGET/release/carat-genesis" init --validators 1 --visibility members --out "$NETWORK" >/dev/null ||
    die "no network could be made"
python3 -B "$ROOT/tests/keys/keys.py" "$NETWORK" "$TARGET/release" || exit 1
prepare_network founding
python3 -B "$ROOT/tests/keys/founding.py" "$NETWORK" "$TARGET/release"
