#!/usr/bin/env bash
# Plays the Twins scenarios of a slice on the real core, and goes on where the last run stopped.
#
#   ./scripts/twins.sh A|B|C [--count N] [--restart]     the next N ranks (default 1,000,000), or all of C
#   ./scripts/twins.sh A|B|C --from RANK --count N       these ranks, and nothing is remembered
#
# Ends with the range of ranks, the scenarios played (mirror images are left out) and the violations; exits 1 if there
# are any. Slices A and B have 67,108,864 ranks each: some machine-days.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

SLICE=${1:-}
case $SLICE in
A | B) COUNT=1000000 TOTAL=67108864 ;;
C) COUNT=262144 TOTAL=262144 ;;
*) die "which slice?" "./scripts/twins.sh A|B|C [--from RANK] [--count N] [--restart]" ;;
esac
shift
FROM='' RESTART=no
while [ $# -gt 0 ]; do
    case $1 in
    --from) FROM=$2 && shift 2 ;;
    --count) COUNT=$2 && shift 2 ;;
    --restart) RESTART=yes && shift ;;
    *) die "unknown argument: $1" "./scripts/twins.sh A|B|C [--from RANK] [--count N] [--restart]" ;;
    esac
done
twins() { cargo run --quiet --release --locked -p carat-sim --bin twins -- "$@"; }
[ -z "$FROM" ] || { twins "$SLICE" --from "$FROM" --count "$COUNT" && exit 0 || exit 1; }

# In steps, so that a run that is ended loses little.
STATE=${CARGO_TARGET_DIR:-$ROOT/target}/twins-$SLICE.rank
mkdir -p "$(dirname "$STATE")"
{ [ "$RESTART" = no ] && [ -e "$STATE" ]; } || echo 0 >"$STATE"
NEXT=$(cat "$STATE")
END=$((NEXT + COUNT < TOTAL ? NEXT + COUNT : TOTAL))
say "slice $SLICE: ranks $NEXT to $END of $TOTAL (remembered in $STATE)"
while [ "$NEXT" -lt "$END" ]; do
    STEP=$((END - NEXT < 50000 ? END - NEXT : 50000))
    twins "$SLICE" --from "$NEXT" --count "$STEP"
    NEXT=$((NEXT + STEP))
    echo "$NEXT" >"$STATE"
done
say "slice $SLICE: ranks 0 to $NEXT of $TOTAL are done"
