#!/usr/bin/env bash
# Builds what is needed and plays the demo: four validators settle payments, lose their leader, and are checked.
#
#   ./scripts/demo.sh [--keep] [--json FILE]
#
# Everything stays inside this folder: target/ for what is built, .run/demo for the network. What the demo does is in
# client/src/demo; here is only the way to it.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# A file that the caller names is meant from where the caller stands.
ARGUMENTS=()
while [ $# -gt 0 ]; do
    case $1 in
    --keep) ARGUMENTS+=(--keep) ;;
    --json)
        [ $# -ge 2 ] || die "--json needs a file" "./scripts/demo.sh --json results.json"
        ARGUMENTS+=(--json "$(realpath -m "$2")")
        shift
        ;;
    -h | --help)
        sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    *) die "unknown argument: $1" "./scripts/demo.sh [--keep] [--json FILE]" ;;
    esac
    shift
done
cd "$ROOT"

STARTED=$SECONDS
ensure_build_tools
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
[ -x "$TARGET/release/carat-node" ] ||
    say "building the validator and the client; the first build takes some minutes, and cargo says how far it is"
cargo build --release --locked -p carat-node -p carat-genesis -p carat-client
say "built in $((SECONDS - STARTED)) s"

# The program ends all processes that it started, on every way out; so it takes our place and gets the signals.
exec "$TARGET/release/carat" demo --folder .run/demo "${ARGUMENTS[@]:+${ARGUMENTS[@]}}"
