#!/usr/bin/env bash
# Looks for inputs that make a reader of strangers' bytes panic: coverage-guided, SECONDS in all, shared by the targets.
#
#   ./scripts/fuzz.sh SECONDS [--keep]
#
# Begins with the corpora in tests/fuzz/corpus; with --keep what reaches more code is added to them. What makes a target
# fail is kept in .run/fuzz, and the run ends with 1. Works on the installed stable compiler.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case ${1:-} in
-h | --help | "")
    sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
*[!0-9]*) die "SECONDS is $1, expected a whole number" "./scripts/fuzz.sh 120" ;;
esac
SECONDS_IN_ALL=$1
KEEP=${2:-}
[ -z "$KEEP" ] || [ "$KEEP" = --keep ] || die "unknown argument: $KEEP" "./scripts/fuzz.sh SECONDS [--keep]"
cd "$ROOT"
ensure_build_tools
mapfile -t TARGETS < <(sed -n 's/^    ("\([a-z_]*\)", .*/\1/p' tests/fuzz/src/lib.rs)
# A target folder of its own: instrumented code is of no use to anybody else.
FUZZ_TARGET=${CARGO_TARGET_DIR:-$ROOT/target}/fuzz
INSTRUMENTED="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
-Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 -Cdebug-assertions"
TRIPLE=$(rustc -vV | sed -n 's/^host: //p')
say "building the targets with instrumentation"
# With a target triple the flags are not used for build scripts and procedural macros.
RUSTFLAGS=$INSTRUMENTED cargo build --quiet --release --locked --target "$TRIPLE" --target-dir "$FUZZ_TARGET" \
    -p carat-fuzz --features libfuzzer --bin carat-fuzz
rm -rf .run/fuzz
cargo run --quiet --release --locked -p carat-fuzz --example corpus -- unpack .run/fuzz/known
FUZZ=$FUZZ_TARGET/$TRIPLE/release/carat-fuzz
EACH=$((SECONDS_IN_ALL / ${#TARGETS[@]}))
[ "$EACH" -gt 0 ] || EACH=1
FAILED=()
RUNS=0
for target in "${TARGETS[@]}"; do
    mkdir -p ".run/fuzz/found/$target" ".run/fuzz/best/$target" ".run/fuzz/failed/$target"
    log=.run/fuzz/$target.log
    # Limits: 4 s and 2 GiB for one input; inputs of up to 16 KiB.
    export CARAT_FUZZ_TARGET=$target
    "$FUZZ" -max_total_time="$EACH" -timeout=4 -rss_limit_mb=2048 -max_len=16384 -print_final_stats=1 \
        -artifact_prefix=".run/fuzz/failed/$target/" ".run/fuzz/found/$target" ".run/fuzz/known/$target" >"$log" 2>&1 ||
        FAILED+=("$target")
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
    cover=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)
    RUNS=$((RUNS + ${runs:-0}))
    say "$target: ${runs:-0} inputs, ${cover:-0} places reached"
done
if [ "$KEEP" = --keep ]; then
    for target in "${TARGETS[@]}"; do
        CARAT_FUZZ_TARGET=$target "$FUZZ" -set_cover_merge=1 -max_len=16384 ".run/fuzz/best/$target" \
            ".run/fuzz/known/$target" ".run/fuzz/found/$target" >>".run/fuzz/$target.log" 2>&1
    done
    cargo run --quiet --release --locked -p carat-fuzz --example corpus -- pack .run/fuzz/best
fi
echo "targets=${#TARGETS[@]} inputs=$RUNS failed=${#FAILED[@]}"
[ ${#FAILED[@]} -eq 0 ] || die "failed: ${FAILED[*]}" "inputs in .run/fuzz/failed, logs beside; CARAT_FUZZ_TARGET=NAME $FUZZ FILE repeats one"
