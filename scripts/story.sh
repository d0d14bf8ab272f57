#!/usr/bin/env bash
# Runs the commands of docs/story.md, docs/ledger.md and docs/api.md, in a folder of its own: what the pages say works, or
# this fails.
#
#   ./scripts/story.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

case ${1:-} in
-h | --help)
    sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
"") ;;
*) die "unknown argument: $1" "./scripts/story.sh" ;;
esac

ensure_build_tools
have curl || install_packages "the examples of docs/api.md" curl ca-certificates || die "curl is missing" "apt-get install curl"
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
cargo build --release --locked -p carat-node -p carat-genesis -p carat-client
export PATH="$TARGET/release:$PATH"

FOLDER=$ROOT/.run/story
if [ -d "$FOLDER/net" ]; then
    carat --network "$FOLDER/net" network down >/dev/null 2>&1 || true
fi
rm -rf "$FOLDER" && mkdir -p "$FOLDER" && cd "$FOLDER"
trap 'carat --network "$FOLDER/net" network down >/dev/null 2>&1 || true' EXIT

# play PAGE: its blocks, in one shell.
play() {
    awk '/^```sh$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$ROOT/docs/$1.md" >"$1.sh"
    [ -s "$1.sh" ] || die "docs/$1.md has no commands" "its blocks begin with \`\`\`sh"
    bash -euo pipefail -x "$1.sh" || die "docs/$1.md does not work" "the last command above"
}

play story
grep -q '400\.0000000' supply.txt || die "the supply of USD is not 400" "cat $FOLDER/supply.txt"
grep -q '"successful": true' payment.json || die "the payment did not succeed" "cat $FOLDER/payment.json"
# The other pages go on with the same network, which has kept everything.
export CARAT_NETWORK=net
carat network up >/dev/null
play ledger
play api
say "the commands of docs/story.md, docs/ledger.md and docs/api.md work"
