#!/usr/bin/env bash
# Opens the pages of a real four-validator network in Debian's Chromium, without a display, and compares what they show with the
# interface. Starts the network, ends it, and closes with a line "N passed, N failed". Screenshots are in .run/ui-screenshots.
#
# Where no browser can be had, a line "SKIP ..." says why and the exit code is 77.
set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../network.sh"
HERE=$ROOT/tests/ui
SCREENSHOTS=$ROOT/.run/ui-screenshots

skip() { # WHY
    say "SKIP pages: $1"
    exit 77
}

have chromium || install_packages "the tests of the pages" chromium ||
    skip "chromium is missing, and this user cannot install it (apt-get install chromium)"
ensure_node "the tests of the pages" || skip "node and npm are missing, and this user cannot install them (apt-get install nodejs npm)"
install_npm "$HERE" || skip "npm could not install playwright-core"
NODE=node
if [ "$(node -p 'Number(process.versions.node.split(".")[0]) >= 20')" != true ]; then
    # As the tests with the public libraries do: Node 22 as a package of npm.
    install_npm "$ROOT/tests/sdk/node22" || skip "node is $(node --version), at least 20 is needed, and npm has no other"
    NODE=$(ls "$ROOT"/tests/sdk/node22/node_modules/node-linux-*/bin/node | head -n1)
fi

prepare_network ui
rm -rf "$SCREENSHOTS" && mkdir -p "$SCREENSHOTS"

# The demo leaves accounts, two currencies and a hundred payments; a market and a payment that fails are added.
"$TARGET/release/carat" demo --folder "$NETWORK" --keep >"$ROOT/.run/ui-demo.log" 2>&1 ||
    die "the demo failed" "its output is in .run/ui-demo.log"
market() {
    local name
    for name in maker taker; do
        carat friendbot "$name" --new && carat trust set "$name" EUR:anchor-eur && carat trust set "$name" USD:anchor-usd &&
            carat asset authorize anchor-eur "$name" EUR && carat asset authorize anchor-usd "$name" USD &&
            carat asset issue anchor-eur "$name" 5000 EUR && carat asset issue anchor-usd "$name" 5000 USD || return 1
    done
    carat offer sell maker 1000 EUR:anchor-eur --for USD:anchor-usd --price 1.10 &&
        carat offer sell maker 2000 EUR:anchor-eur --for USD:anchor-usd --price 1.12 &&
        carat offer sell maker 1500 USD:anchor-usd --for EUR:anchor-eur --price 0.92 &&
        carat offer sell maker 800 USD:anchor-usd --for EUR:anchor-eur --price 0.95 &&
        carat offer sell taker 110 USD:anchor-usd --for EUR:anchor-eur --price 0.9
}
market >>"$ROOT/.run/ui-demo.log" 2>&1 || die "the market could not be made" "the output is in .run/ui-demo.log"
if carat pay maker taker 90000000 EUR:anchor-eur >>"$ROOT/.run/ui-demo.log" 2>&1; then die "a payment without cover was settled"; fi

CARAT_API=$(sed -n 's/^api *= *"\(.*\)"/\1/p' "$NETWORK/network.toml" | head -n1)
CARAT_METRICS=$(sed -n 's/^metrics *= *"\(.*\)"/\1/p' "$NETWORK/network.toml" | head -n1)
export CARAT_API CARAT_METRICS CARAT_BINARY=$TARGET/release/carat CARAT_NETWORK=$NETWORK CARAT_SCREENSHOTS=$SCREENSHOTS
"$NODE" "$HERE/pages.mjs"
