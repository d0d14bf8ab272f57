#!/bin/sh
# Hunts every planted bug of the core and its shell: ./scripts/zoo.sh [--bug NAME] [--minutes M] [--from S], or --list.
# One line a bug, then "planted=N killed=N"; exits 1 if one survives its minutes (default 10).
set -eu
cd "$(dirname "$0")/.."
exec cargo run --quiet --release --locked -p carat-zoo --bin zoo -- "$@"
