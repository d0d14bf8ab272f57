#!/usr/bin/env bash
# Upgrades a running network from a build that knows fewer protocol versions, node by node and under load, and votes the new
# version into force:
#
#   ./scripts/upgrade.sh
#
# Builds the validator twice. The old build knows version 28: with 29 validators begin to spread bodies, which is the most that a vote
# has changed under load. Ends with a line "N passed, N failed". What it does stands in tests/upgrade/upgrade.py.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../tests/network.sh"
ensure_python "the rolling upgrade" || die "python3 is missing" "apt-get install python3"
ensure_build_tools

# The build before: the same source, made to know fewer versions. A build cannot be made to know more.
OLD=$ROOT/.run/upgrade-old
rm -rf "$OLD" && mkdir -p "$OLD"
say "building a validator that knows protocol versions up to 28"
(cd "$ROOT" && CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target} CARAT_NEWEST_PROTOCOL=28 cargo build --release --locked -q -p carat-node)
cp "${CARGO_TARGET_DIR:-$ROOT/target}/release/carat-node" "$OLD/"
say "building the present one"
prepare_network upgrade
# A program runs the validator beside it.
cp "$TARGET/release/carat" "$OLD/"
"$TARGET/release/carat-genesis" init --validators 4 --out "$NETWORK" --protocol-version 28 \
    --checkpoint-interval 16 --heartbeat-ms 100 >/dev/null || die "no network could be made"
NEWEST=$(sed -nE 's/^const NEWEST_WRITTEN: u32 = ([0-9]+);$/\1/p' "$ROOT/node/ledger/src/governance.rs")
python3 -B "$ROOT/tests/upgrade/upgrade.py" "$NETWORK" "$OLD" "$TARGET/release" "$NEWEST"
