#!/bin/sh
# Explores every behaviour of four acceptors at one slot, and then with everything that is planted:
# ./scripts/model.sh [--views V] [--sound] [--bug NAME]. One line each, then "planted=N found=N states=M";
# exits 1 if the core as it is is not green, if something planted is not found, or if fewer views find it too.
set -eu
cd "$(dirname "$0")/.."
exec cargo run --quiet --release --locked -p carat-model --bin model -- "$@"
