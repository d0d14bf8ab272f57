#!/usr/bin/env bash
# The unmodified stellar-sdk for Python on a members' network, as two banks, each through its own `carat gateway`. Uses what run.sh
# installed; closes with a line "N passed, N failed".
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../network.sh"
HERE=$ROOT/tests/sdk
PYTHON=$HERE/.venv/bin/python
if [ ! -e "$HERE/.venv/ready" ]; then
    say "SKIP Python SDK on a members' network: tests/sdk/run.sh could not install it"
    exit 77
fi

prepare_network sdk-members
"$TARGET/release/carat-genesis" init --validators 4 --visibility members --out "$NETWORK" >/dev/null || die "no network could be made"
start_network
carat keys generate root --seed-from-passphrase >/dev/null || die "the root key could not be made"
for bank in alice bob; do
    carat --as root friendbot "$bank" --new >/dev/null || die "$bank has no account"
done
CARAT_BINARY=$TARGET/release/carat CARAT_NETWORK=$NETWORK "$PYTHON" -B "$HERE/members.py"
