# Functions that the tests of running networks share, beside those of scripts/lib.sh. Source it. It defines functions, and
# changes nothing by itself.
source "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

# install_npm FOLDER: what the lock file of FOLDER names, unless it is there. npm leaves a file behind that is newer then.
install_npm() {
    [ "$1/node_modules/.package-lock.json" -nt "$1/package-lock.json" ] && return 0
    say "installing the packages of ${1#"$ROOT"/}/package.json"
    (cd "$1" && npm ci --ignore-scripts --silent >/dev/null 2>&1)
}

# prepare_network NAME: for a test that drives a running network. Builds the programs, sets TARGET and NETWORK (the folder
# .run/NAME, which is empty afterwards) and sees to it that the network ends on every way out.
prepare_network() {
    TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
    NETWORK=$ROOT/.run/$1
    (cd "$ROOT" && cargo build --release --locked -q -p carat-node -p carat-genesis -p carat-client) ||
        die "the validator and the client do not build" "scripts/demo.sh says what is missing"
    trap end_network EXIT
    trap 'exit 130' INT TERM HUP
    end_network
    rm -rf "$NETWORK" && mkdir -p "$ROOT/.run"
}
carat() { "$TARGET/release/carat" --network "$NETWORK" "$@"; }
end_network() { [ ! -e "$NETWORK/network.toml" ] || carat network down >/dev/null 2>&1; }
# The homes of a new network of four; what a test would set in them it sets before start_network.
make_network() {
    "$TARGET/release/carat-genesis" init --validators 4 --out "$NETWORK" >/dev/null || die "no network could be made"
}
start_network() {
    carat network up >/dev/null || die "the network did not start" "the logs are in ${NETWORK#"$ROOT"/}/run"
}
