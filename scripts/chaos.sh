#!/usr/bin/env bash
# Kills real validators while banks pay, and checks that nothing was lost, twice there or different:
#
#   ./scripts/chaos.sh [--kills N] [--power-cuts N] [--validators N] [--seed S] [--calm] [--json FILE]
#
# Ends with the line "kills=N power_cuts=M lost=0 duplicated=0 forked=0 ..."; exits 1 if any of them is not 0.
# Power cuts need root and loop devices (a file system of its own for each validator, which the kernel shuts down).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"
ensure_build_tools
cargo build --quiet --release --locked -p carat-node -p carat-chaos
# The run before is kept: its disks and logs are all that tells why it failed.
rm -rf .run/chaos-before
if [[ -d .run/chaos ]]; then mv .run/chaos .run/chaos-before; fi
exec "${CARGO_TARGET_DIR:-$ROOT/target}/release/carat-chaos" --folder .run/chaos "$@"
