#!/usr/bin/env bash
# Drives a real four-validator network with client libraries that we did not write: @stellar/stellar-sdk for JavaScript
# and stellar-sdk for Python, unmodified. Starts the network, ends it, and closes with a line "N passed, N failed".
#
# A library that cannot run here is named in a line "SKIP ..."; exit code 77 says that none could.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
HERE=$ROOT/tests/sdk
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
NETWORK=$ROOT/.run/sdk
LOG=$ROOT/.run/sdk-tests.log
# What this script installs stays in git-ignored folders of this one.
VENV=$HERE/.venv

carat() { "$TARGET/release/carat" --network "$NETWORK" "$@"; }

skip() { # WHAT WHY
    say "SKIP $1: $2"
}

prepare_javascript() {
    if ! ensure_node "the tests with the public JavaScript library"; then
        skip "JavaScript SDK" "node and npm are missing, and this user cannot install them (apt-get install nodejs npm)"
        return 1
    fi
    if [ "$(node -p 'Number(process.versions.node.split(".")[0]) >= 20')" != true ]; then
        skip "JavaScript SDK" "node is $(node --version), at least 20 is needed (apt-get of Debian 12 has 18; see nodejs.org)"
        return 1
    fi
    # npm leaves this file behind; it is newer than the lock file where nothing has to be installed.
    [ "$HERE/node_modules/.package-lock.json" -nt "$HERE/package-lock.json" ] && return 0
    say "installing @stellar/stellar-sdk into tests/sdk/node_modules"
    (cd "$HERE" && npm ci --ignore-scripts --silent >/dev/null) && return 0
    skip "JavaScript SDK" "npm could not install it"
    return 1
}

prepare_python() {
    if ! ensure_python "the tests with the public Python library"; then
        skip "Python SDK" "python3 is missing, and this user cannot install it (apt-get install python3 python3-venv)"
        return 1
    fi
    [ "$VENV/ready" -nt "$HERE/requirements.txt" ] && return 0
    say "installing stellar-sdk into tests/sdk/.venv"
    if ! python3 -m venv "$VENV" >/dev/null 2>&1; then
        rm -rf "$VENV"
        install_packages "the tests with the public Python library" python3-venv && python3 -m venv "$VENV" >/dev/null || {
            skip "Python SDK" "python3 -m venv does not work (apt-get install python3-venv)"
            return 1
        }
    fi
    "$VENV/bin/pip" install -q --disable-pip-version-check -r "$HERE/requirements.txt" && touch "$VENV/ready" && return 0
    skip "Python SDK" "pip could not install it"
    return 1
}

# Ends the network on every way out.
end_network() {
    [ ! -e "$NETWORK/network.toml" ] || carat network down >/dev/null 2>&1
}

JAVASCRIPT=no PYTHON=no
prepare_javascript && JAVASCRIPT=yes
prepare_python && PYTHON=yes
[ "$JAVASCRIPT$PYTHON" != nono ] || exit 77

(cd "$ROOT" && cargo build --release --locked -q -p carat-node -p carat-genesis -p carat-client) ||
    die "the validator and the client do not build" "scripts/demo.sh says what is missing"
trap end_network EXIT
trap 'exit 130' INT TERM HUP
end_network
rm -rf "$NETWORK" && mkdir -p "$ROOT/.run"
"$TARGET/release/carat-genesis" init --validators 4 --out "$NETWORK" >/dev/null || die "no network could be made"
carat network up >/dev/null || die "the network did not start" "the logs are in .run/sdk/run"

CARAT_PASSPHRASE=$(sed -n 's/.*"network_passphrase": *"\([^"]*\)".*/\1/p' "$NETWORK/genesis.json")
CARAT_API=$(sed -n 's/^api *= *"\(.*\)"/\1/p' "$NETWORK/network.toml" | paste -sd, -)
export CARAT_PASSPHRASE CARAT_API

: >"$LOG"
[ "$JAVASCRIPT" = no ] || (cd "$HERE" && node javascript.mjs 2>&1) | tee -a "$LOG" | grep -v ' passed, '
[ "$PYTHON" = no ] || "$VENV/bin/python" "$HERE/python_sdk.py" 2>&1 | tee -a "$LOG" | grep -v ' passed, '

PASSED=$(grep -c '^ok  ' "$LOG")
FAILED=$(grep -c '^FAILED  ' "$LOG")
# A library that ended early has no closing line, and counts as a failure.
ENDED=$(grep -c '^[0-9]* passed, [0-9]* failed$' "$LOG")
EXPECTED=$(($([ "$JAVASCRIPT" = yes ] && echo 1 || echo 0) + $([ "$PYTHON" = yes ] && echo 1 || echo 0)))
FAILED=$((FAILED + EXPECTED - ENDED))
say "$PASSED passed, $FAILED failed"
[ "$FAILED" -eq 0 ]
