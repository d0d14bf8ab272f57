#!/usr/bin/env bash
# Builds RocksDB once, from the sources that come with the crate librocksdb-sys, and hands the library to cargo; sets what
# else cargo should know of this machine.
#
# The crate compiles 343 files one by one, and nearly all of the time goes into reading the same headers again. Here
# they are compiled as four files that include the others: a third of the work (docs/adr/0002-dependencies.md).
# The result stands in target/rocksdb-<version>/; the git-ignored .cargo/config.toml tells cargo where. Without that
# file, and after any failure here, cargo builds the crate's own copy: slower, otherwise the same.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$ROOT"

CONFIG="$ROOT/.cargo/config.toml"
HEARTBEAT=10

# write_config [FOLDER]: what cargo passes to the build scripts. Without FOLDER only where libclang is.
write_config() {
    local new
    new=$(
        say "# Written by scripts/rocksdb.sh, not part of the repository. Without it cargo builds RocksDB itself."
        say "[env]"
        if [ $# -gt 0 ]; then
            say "ROCKSDB_LIB_DIR = \"$1\""
            say "ROCKSDB_INCLUDE_DIR = \"$1/include\""
            say "ROCKSDB_STATIC = \"1\""
        fi
        [ -z "${LIBCLANG_PATH:-}" ] || say "LIBCLANG_PATH = \"$LIBCLANG_PATH\""
        [ -z "${BINDGEN_EXTRA_CLANG_ARGS:-}" ] || say "BINDGEN_EXTRA_CLANG_ARGS = \"$BINDGEN_EXTRA_CLANG_ARGS\""
        # The code for AVX-512 is built in and used where the processor has it; elsewhere nothing changes.
        say "[target.'cfg(target_arch = \"x86_64\")']"
        say "rustflags = [\"--cfg\", \"curve25519_dalek_backend=\\\"avx512\\\"\"]"
    )
    # An unchanged file stays untouched.
    [ -e "$CONFIG" ] && [ "$new" = "$(cat "$CONFIG")" ] && return 0
    mkdir -p "$(dirname "$CONFIG")"
    say "$new" >"$CONFIG.new" && mv "$CONFIG.new" "$CONFIG"
}

# The quick build is an optimisation: whatever goes wrong with it, the slow one remains.
fall_back() {
    say "RocksDB: $1"
    say "RocksDB: cargo builds the crate's own copy instead (343 files, about 20 minutes on two cores)"
    write_config
    exit 0
}

if [ -n "${ROCKSDB_LIB_DIR:-}" ]; then
    say "RocksDB: ROCKSDB_LIB_DIR is set, so the library in $ROCKSDB_LIB_DIR is used"
    exit 0
fi
ensure_rust
ensure_compiler
ensure_libclang

# The sources: cargo knows where it unpacked them.
manifest_folder() { # NAME
    cargo metadata --locked --format-version 1 2>/dev/null |
        grep -o "\"manifest_path\":\"[^\"]*/$1-[0-9][^\"]*/Cargo.toml\"" | head -n1 | cut -d'"' -f4 | xargs -r dirname
}
cargo fetch --locked -q || fall_back "cargo could not fetch the crates"
CRATE=$(manifest_folder librocksdb-sys)
LZ4=$(manifest_folder lz4-sys)
[ -n "$CRATE" ] && [ -n "$LZ4" ] || fall_back "the sources of librocksdb-sys or lz4-sys were not found"
VERSION=$(basename "$CRATE" | sed 's/^librocksdb-sys-//; s/.*+//')
OUT="$ROOT/target/rocksdb-$VERSION"

# What the library depends on: another compiler, processor or version builds it anew.
MEMORY_GB=$(awk '/^MemTotal/ { print int($2 / 1000000) }' /proc/meminfo)
UNITS=4
[ "$MEMORY_GB" -ge 8 ] || UNITS=8
# The defines are those of the crate's build.rs for Linux. The library is for this machine, so its CRC may use what the
# processor has.
FLAGS=(-std=c++20 -O2 -fPIC -w -include cstdint -DNDEBUG -DHAVE_ALIGNED_NEW -DHAVE_UINT128_EXTENSION -DOS_LINUX
    -DROCKSDB_PLATFORM_POSIX -DROCKSDB_LIB_IO_POSIX -DROCKSDB_SCHED_GETCPU_PRESENT -DROCKSDB_AUXV_GETAUXVAL_PRESENT
    -DROCKSDB_FALLOCATE_PRESENT -DROCKSDB_RANGESYNC_PRESENT -DLZ4=1)
if grep -q -m1 -w sse4_2 /proc/cpuinfo && grep -q -m1 -w pclmulqdq /proc/cpuinfo; then
    FLAGS+=(-msse4.2 -mpclmul)
fi
RECIPE="$(basename "$CRATE") $(basename "$LZ4") g++ $(g++ -dumpfullversion) units $UNITS ${FLAGS[*]}"

is_built() { [ -e "$OUT/librocksdb.a" ] && [ "$(cat "$OUT/recipe" 2>/dev/null)" = "$RECIPE" ]; }

mkdir -p "$OUT"
exec 9>"$OUT/lock"
if ! flock -n 9; then
    say "RocksDB: another run is building it, waiting"
    flock 9
fi
if is_built; then
    write_config "$OUT"
    exit 0
fi

say "RocksDB: building $VERSION in $UNITS units, once (3 to 5 minutes on two cores)"
STARTED=$SECONDS
WORK="$OUT/build"
rm -rf "$WORK" && mkdir -p "$WORK"

# Unit i takes the i-th run of files, so that neighbours share headers.
grep -v -x -e 'util/build_version.cc' -e '' "$CRATE/rocksdb_lib_sources.txt" | sed 's/\r$//' >"$WORK/sources"
split -d -a 1 -n "l/$UNITS" "$WORK/sources" "$WORK/part."
for part in "$WORK"/part.*; do
    sed 's|.*|#include "rocksdb/&"|' "$part" >"$WORK/unit${part##*.}.cc"
done
say '#include "build_version.cc"' >>"$WORK/unit0.cc"

compile() { # UNIT
    g++ "${FLAGS[@]}" -I"$CRATE" -I"$CRATE/rocksdb/include" -I"$CRATE/rocksdb" -I"$LZ4/liblz4/lib" \
        -c "$WORK/$1.cc" -o "$WORK/$1.o.part" 2>"$WORK/$1.log" && mv "$WORK/$1.o.part" "$WORK/$1.o"
}
# A unit needs up to 2.6 GB while it compiles.
JOBS=$(nproc)
[ "$JOBS" -le $((MEMORY_GB / 3 + 1)) ] || JOBS=$((MEMORY_GB / 3 + 1))
queue() {
    local unit
    for unit in "$WORK"/unit*.cc; do
        while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do wait -n || return 1; done
        compile "$(basename "$unit" .cc)" &
    done
    while [ -n "$(jobs -rp)" ]; do wait -n || return 1; done
}
# A process group of its own, so that an interrupted script leaves no compiler behind.
set -m
queue 9>&- &
QUEUE=$!
set +m
trap 'kill -- "-$QUEUE" 2>/dev/null || true' EXIT
while kill -0 "$QUEUE" 2>/dev/null; do
    if [ $(((SECONDS - STARTED) % HEARTBEAT)) -eq 0 ] && [ "$SECONDS" -gt "$STARTED" ]; then
        say "RocksDB: $((SECONDS - STARTED)) s, $(find "$WORK" -name 'unit*.o' | wc -l) of $UNITS units compiled"
    fi
    sleep 1
done
wait "$QUEUE" || fall_back "the quick build failed, its messages are in $WORK/*.log"
[ "$(find "$WORK" -name 'unit*.o' | wc -l)" -eq "$UNITS" ] ||
    fall_back "the quick build failed, its messages are in $WORK/*.log"

ar crs "$WORK/librocksdb.a" "$WORK"/unit*.o || fall_back "ar failed"
rm -rf "$OUT/include" && cp -r "$CRATE/rocksdb/include" "$OUT/include"
mv "$WORK/librocksdb.a" "$OUT/librocksdb.a"
say "$RECIPE" >"$OUT/recipe"
rm -rf "$WORK"
write_config "$OUT"
say "RocksDB: built in $((SECONDS - STARTED)) s"
