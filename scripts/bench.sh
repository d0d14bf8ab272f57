#!/usr/bin/env bash
# Measures real validators under load, all on this machine; docs/benchmarks.md says how.
#
#   ./scripts/bench.sh [run] [--validators N] [--scenario S] [--rate max|N] [--duration S] [--json FILE] ...
#   ./scripts/bench.sh sweep [--scenario S] [--duration S] [--json FILE] ...
#   ./scripts/bench.sh compare postgres [--duration S] [--json FILE] ...
#   ./scripts/bench.sh ordering [--validators N] [--under-way N] [--duration S] [--json FILE]
#
# Scenarios: payments, hot-account, book, paths, multisig. "run --help" and so on name all options.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case ${1:-} in
-h | --help)
    sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
"" | -*) set -- run "$@" ;;
esac
# Files that the caller names are meant from where the caller stands: so no change of folder.
MANIFEST=$ROOT/Cargo.toml
ensure_build_tools
cargo build --quiet --release --locked --manifest-path "$MANIFEST" -p carat-node -p carat-benches
CARAT_COMMIT=$(git -C "$ROOT" describe --always --dirty 2>/dev/null || true)
export CARAT_COMMIT
exec "${CARGO_TARGET_DIR:-$ROOT/target}/release/carat-bench" "$@"
