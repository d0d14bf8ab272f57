#!/usr/bin/env bash
# Runs the commands of docs/story.md, in a folder of its own: what the page says works, or this fails.
#
#   ./scripts/story.sh
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

case ${1:-} in
-h | --help)
    sed -n '2,4s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
    ;;
"") ;;
*) die "unknown argument: $1" "./scripts/story.sh" ;;
esac

ensure_build_tools
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
cargo build --release --locked -p carat-node -p carat-genesis -p carat-client
export PATH="$TARGET/release:$PATH"

FOLDER=$ROOT/.run/story
if [ -d "$FOLDER/net" ]; then
    carat --network "$FOLDER/net" network down >/dev/null 2>&1 || true
fi
rm -rf "$FOLDER" && mkdir -p "$FOLDER" && cd "$FOLDER"
trap 'carat --network "$FOLDER/net" network down >/dev/null 2>&1 || true' EXIT

awk '/^```sh$/ { inside = 1; next } /^```$/ { inside = 0 } inside' "$ROOT/docs/story.md" >story.sh
[ -s story.sh ] || die "docs/story.md has no commands" "its blocks begin with \`\`\`sh"
bash -euo pipefail -x story.sh
grep -q '400\.0000000' supply.txt || die "the supply of USD is not 400" "cat $FOLDER/supply.txt"
grep -q '"successful": true' payment.json || die "the payment did not succeed" "cat $FOLDER/payment.json"
say "the story of docs/story.md works"
