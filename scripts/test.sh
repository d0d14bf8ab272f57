#!/usr/bin/env bash
# Format, lints and all tests: ./scripts/test.sh, or some parts: ./scripts/test.sh PART ..., or --help for their names.
# Installs what it needs, skips nothing silently, ends with one line of counts.
#
# A test that cannot run here writes a line "SKIP <what>: <why>" to standard error (past the test runner, which keeps the
# output of passing tests to itself); the lines are counted and repeated at the end.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT" || exit 1

LOG="$ROOT/target/test.log"
PASSED=0
FAILED=0
FAILURES=()
# Those to run; none, and all are.
PARTS=("$@")

parts() { sed -nE 's/^ *(step|live) "([^"]+)".*/\2/p' "${BASH_SOURCE[0]}"; }

for part in "$@"; do
    case $part in
    -h | --help)
        say "usage: ./scripts/test.sh [PART ...], all parts without one:" && parts
        exit 0
        ;;
    esac
    parts | grep -qxF -- "$part" || die "there is no part \"$part\"" "./scripts/test.sh --help lists them; a name with a space is quoted"
done

# Whether a part is to run.
wanted() {
    local part
    for part in "${PARTS[@]}"; do [ "$part" != "$1" ] || return 0; done
    [ "${#PARTS[@]}" -eq 0 ]
}

# step NAME COMMAND...: runs one part, with its time; a failure is noted and the next part runs all the same.
# Exit code 77 means that the part could not run here, and said why in a SKIP line.
step() {
    local name=$1 started=$SECONDS
    wanted "$name" || return 0
    shift
    say "== $name"
    logged "$@"
    concluded "$name" $? "$started"
}

# live NAME COMMAND...: the same for a part that starts real networks and waits by the clock. What a machine that stood still
# has broken passes when it is tried once more; the line UNSTEADY is repeated at the end, so that nobody overlooks it.
live() {
    local name=$1 started=$SECONDS code
    wanted "$name" || return 0
    shift
    say "== $name"
    logged "$@"
    code=$?
    if [ "$code" -ne 0 ] && [ "$code" -ne 77 ]; then
        say "== $name: failed, tried once more"
        logged "$@"
        code=$?
        [ "$code" -ne 0 ] || say "UNSTEADY $name: failed once" | tee -a "$LOG"
    fi
    concluded "$name" "$code" "$started"
}

logged() {
    "$@" 2>&1 | tee -a "$LOG"
    return "${PIPESTATUS[0]}"
}

concluded() { # NAME CODE STARTED
    local name=$1 code=$2 started=$3
    case $code in
    0)
        say "== $name: passed in $((SECONDS - started)) s"
        PASSED=$((PASSED + 1))
        ;;
    77) say "== $name: skipped" ;;
    *)
        say "== $name: FAILED after $((SECONDS - started)) s"
        FAILED=$((FAILED + 1))
        FAILURES+=("$name")
        ;;
    esac
}

# The sum of a column of cargo's "test result: ok. 12 passed; 0 failed; ..." lines.
total() { # WORD
    grep -o "^test result: .*" "$LOG" | grep -o "[0-9]* $1" | awk '{ sum += $1 } END { print sum + 0 }'
}

mkdir -p "$ROOT/target" && : >"$LOG"
ensure_rust
cargo fmt --version >/dev/null 2>&1 && cargo clippy --version >/dev/null 2>&1 ||
    die "rustfmt or clippy is missing" "rustup component add rustfmt clippy (Debian: apt-get install rustfmt rust-clippy)"
ensure_build_tools || exit 1

step "format" cargo fmt --all --check
step "lints" cargo clippy --release --locked --workspace --all-targets -- -D warnings
# One or two of the integration tests, which run whole networks, get a second try by themselves, as in live().
tests() {
    local log="$ROOT/target/tests.log" again
    cargo test --release --locked --workspace --no-fail-fast 2>&1 | tee "$log"
    [ "${PIPESTATUS[0]}" -ne 0 ] || return 0
    [ "$(sed -n '/^error: [0-9]* targets\? failed/,$ s/^ *`\(.*\)`$/\1/p' "$log")" = "-p carat-tests --test integration" ] || return 1
    mapfile -t again < <(sed -n 's/^test \(.*\) \.\.\. FAILED$/\1/p' "$log")
    [ "${#again[@]}" -gt 0 ] && [ "${#again[@]}" -le 2 ] || return 1
    say "== tried once more: ${again[*]}"
    cargo test --release --locked --workspace --test integration -- --exact --test-threads 1 "${again[@]}" || return 1
    printf 'UNSTEADY %s: failed once\n' "${again[@]}"
}
step "tests" tests
# What another implementation recorded, stream by stream; the last line has the figures.
replay_recordings() {
    local recordings=${CARAT_VECTORS:-../shared/vectors}/ledger-close
    if [ ! -d "$recordings" ]; then
        say "SKIP recorded closes: no folder $recordings (CARAT_VECTORS names the folder above ledger-close)"
        return 77
    fi
    cargo run --release --locked -q -p carat-tests --bin replay-ledger-close -- "$recordings"
}
step "recorded closes" replay_recordings
# The tests with the public SDKs, in their own languages.
# Two minutes of new inputs for everything that reads bytes of strangers; the corpora themselves are among the tests.
step "fuzzing" scripts/fuzz.sh 120
# Two thousand runs with faults, each of which must come alive at its end; the tests of the simulator have played others.
step "simulator" scripts/sim.sh --seeds 2000 --from 100000
# Real validators behind a network with faults, killed while banks pay; and the power of their disks, where the kernel lets us.
live "chaos" scripts/chaos.sh --kills 50 --power-cuts 20
# Real processes, a real SIGKILL: the only part of the tests that a harness in one process cannot stand for.
live "demo" scripts/demo.sh --json target/demo.json
live "worked story" scripts/story.sh
# The load generator: a few seconds, to see that it measures and that nothing is lost. No figure is asserted.
bench_smoke() {
    local field results=target/bench-smoke.json
    rm -f "$results"
    scripts/bench.sh --validators 4 --scenario payments --rate 50 --duration 4 --warm-up 1 --accounts 100 --json "$results" || return 1
    for field in settled_tps offered_tps latency_ms p50 p90 p99 p999 max cpu_us_per_tx cpu_seconds commit_rule; do
        grep -q "\"$field\": " "$results" || { say "$results has no field $field" && return 1; }
    done
    grep -q '^  "errors": 0,' "$results" && grep -q '^  "validators": 4,' "$results"
}
live "load generator" bench_smoke
# The same of consensus alone; it fails where something was not ordered.
ordering_smoke() {
    local field results=target/ordering-smoke.json
    rm -f "$results"
    scripts/bench.sh ordering --duration 2 --warm-up 1 --under-way 400 --json "$results" || return 1
    for field in ordered_tps latency_ms cpu_us_per_tx behind; do
        grep -q "\"$field\": " "$results" || { say "$results has no field $field" && return 1; }
    done
}
live "ordering alone" ordering_smoke
if [ -x tests/sdk/run.sh ]; then
    live "SDK tests" tests/sdk/run.sh
    live "SDK on a members' network" tests/sdk/members.sh
fi
# The pages in a real browser.
live "pages" tests/ui/run.sh
# Alert rules, dashboards, and a real Prometheus that scrapes a network.
live "monitoring" tests/monitoring/run.sh
# What stands around a validator: proxies in front of a network, systemd, containers, Kubernetes, the packet filter.
live "deployment files" tests/deploy/run.sh
# Killed, wiped, full, without a quorum: what docs/operations/recovery.md promises, performed.
live "recovery drills" tests/drills/run.sh
# Keys in processes of their own, killed under payments.
live "signers" tests/signer/run.sh
# Keys in tokens, which are taken away under payments.
live "keys in tokens" tests/pkcs11/run.sh
# Keys encrypted at rest, and certificates replaced while a validator runs.
live "keys at rest" tests/keys/run.sh
# Two builds, one after the other on each node of a running network. Last: it builds the validator anew.
live "rolling upgrade" scripts/upgrade.sh

SKIPPED=$(($(grep -c '^SKIP ' "$LOG") + $(total ignored)))
say ""
[ "$SKIPPED" -eq 0 ] || grep '^SKIP ' "$LOG" | sort -u
for name in "${FAILURES[@]:+${FAILURES[@]}}"; do say "failed: $name (the whole output is in $LOG)"; done
# The parts themselves count too: format, lints, the test run as a whole.
# The second try of a test is counted among those that passed.
RETRIED=$(grep -c '^UNSTEADY .*::' "$LOG")
grep '^UNSTEADY ' "$LOG"
say "$((PASSED + $(total passed))) passed, $((FAILED + $(total failed) - RETRIED)) failed, $SKIPPED skipped"
[ "$FAILED" -eq 0 ]
