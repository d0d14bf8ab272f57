#!/bin/sh
# Runs the deterministic simulator: ./scripts/sim.sh --seeds N [--from S] [--n N], or --seed S [--trace].
# Ends with the line "seeds=N events=E violations=V"; exits 1 if a rule was broken.
set -eu
cd "$(dirname "$0")/.."
exec cargo run --quiet --release --locked -p carat-sim --bin sim -- "$@"
