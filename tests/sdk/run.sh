#!/usr/bin/env bash
# Drives a real four-validator network with client libraries that we did not write: @stellar/stellar-sdk for JavaScript
# and stellar-sdk for Python, unmodified. Starts the network, ends it, and closes with a line "N passed, N failed".
#
# A library that cannot run here is named in a line "SKIP ..."; exit code 77 says that none could.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../network.sh"
HERE=$ROOT/tests/sdk
LOG=$ROOT/.run/sdk-tests.log
# What this script installs stays in git-ignored folders of this one.
VENV=$HERE/.venv

skip() { # WHAT WHY
    say "SKIP $1: $2"
}

# Sets NODE20 and NODE22 to programs that run the older and the newer library, or leaves them empty. Node 22 comes as an
# npm package, so that a machine with the Node 18 of Debian 12 skips nothing.
prepare_javascript() {
    NODE20="" NODE22=""
    if ! ensure_node "the tests with the public JavaScript library"; then
        skip "JavaScript SDK" "node and npm are missing, and this user cannot install them (apt-get install nodejs npm)"
        return 1
    fi
    if install_npm "$HERE/node22"; then
        NODE22=$(ls "$HERE"/node22/node_modules/node-linux-*/bin/node 2>/dev/null | head -n1)
    fi
    [ -n "$NODE22" ] || skip "JavaScript SDK 17" "npm has no Node 22 for this machine"
    if ! install_npm "$HERE"; then
        skip "JavaScript SDK 15" "npm could not install it"
    elif [ "$(node -p 'Number(process.versions.node.split(".")[0]) >= 20')" = true ]; then
        NODE20=node
    elif [ -n "$NODE22" ]; then
        NODE20=$NODE22
    else
        skip "JavaScript SDK 15" "node is $(node --version), at least 20 is needed"
    fi
    [ -n "$NODE20$NODE22" ]
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

# The bank of the first validator: names, login, and what it says of itself.
set_up_bank() {
    local home=$NETWORK/v0 alice issuer name
    for name in login token customer issuer; do
        "$TARGET/release/carat" --keys "$home/keys" keys generate "$name" >/dev/null || die "no key could be made"
    done
    alice=$(sed -n 's/^address = "\(.*\)"/\1/p' "$home/keys/customer.toml")
    issuer=$(sed -n 's/^address = "\(.*\)"/\1/p' "$home/keys/issuer.toml")
    CARAT_BANK=bank.example
    CARAT_BANK_ADDRESS=$(sed -n '/^\[api\]/,/^\[/s/^listen = "\(.*\)"/\1/p' "$home/node.toml")
    CARAT_CUSTOMER=$(sed -n 's/^secret = "\(.*\)"/\1/p' "$home/keys/customer.toml")
    export CARAT_BANK CARAT_BANK_ADDRESS CARAT_CUSTOMER
    cat >>"$home/node.toml" <<EOF

[bank]
domain = "$CARAT_BANK"
url = "http://$CARAT_BANK_ADDRESS"
directory = "names.toml"
documentation = { org_name = "Bank A" }

[[bank.currencies]]
code = "EUR"
issuer = "$issuer"
display_decimals = 2

[bank.login]
signing_key = "keys/login.toml"
token_key = "keys/token.toml"
EOF
    cat >"$home/names.toml" <<EOF
[[record]]
name = "alice"
account = "$alice"

[[record]]
name = "bob"
account = "$issuer"
memo_type = "id"
memo = "7"
EOF
}

PYTHON=no
prepare_javascript
prepare_python && PYTHON=yes
[ "$NODE20$NODE22$PYTHON" != no ] || exit 77

prepare_network sdk
make_network
set_up_bank
start_network

CARAT_PASSPHRASE=$(sed -n 's/.*"network_passphrase": *"\([^"]*\)".*/\1/p' "$NETWORK/genesis.json")
CARAT_API=$(sed -n 's/^api *= *"\(.*\)"/\1/p' "$NETWORK/network.toml" | paste -sd, -)
CARAT_BINARY=$TARGET/release/carat CARAT_NETWORK=$NETWORK
export CARAT_PASSPHRASE CARAT_API CARAT_BINARY CARAT_NETWORK

: >"$LOG"
[ -z "$NODE20" ] || "$NODE20" "$HERE/javascript.mjs" 2>&1 | tee -a "$LOG" | grep -v ' passed, '
[ -z "$NODE22" ] || CARAT_SDK="$HERE/node22" "$NODE22" "$HERE/javascript.mjs" 2>&1 | tee -a "$LOG" | grep -v ' passed, '
[ "$PYTHON" = no ] || "$VENV/bin/python" -B "$HERE/python_sdk.py" 2>&1 | tee -a "$LOG" | grep -v ' passed, '

# Last, when the network holds some of everything; the figures of it are in its own last lines.
"$HERE/schemathesis.sh" "${CARAT_API%%,*}" >"$ROOT/.run/schemathesis.log" 2>&1
case $? in
0)
    say "schemathesis: $(grep -o '[0-9]* generated, [0-9]* passed' "$ROOT/.run/schemathesis.log")"
    echo "ok      schemathesis" >>"$LOG"
    ;;
77) grep '^SKIP ' "$ROOT/.run/schemathesis.log" ;;
*)
    say "schemathesis found what it should not: .run/schemathesis.log"
    echo "FAILED  schemathesis" >>"$LOG"
    ;;
esac

PASSED=$(grep -c '^ok  ' "$LOG")
FAILED=$(grep -c '^FAILED  ' "$LOG")
# A library that ended early has no closing line, and counts as a failure.
ENDED=$(grep -c '^[0-9]* passed, [0-9]* failed$' "$LOG")
EXPECTED=$(printf '%s\n' "$NODE20" "$NODE22" "${PYTHON#no}" | grep -c .)
FAILED=$((FAILED + EXPECTED - ENDED))
say "$PASSED passed, $FAILED failed"
[ "$FAILED" -eq 0 ]
