# Functions that the scripts of this folder share: messages, and the tools that building and testing need.
# Source it. It defines functions and ROOT, and changes nothing by itself. Logic belongs in Rust, not here.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
RUST_MINIMUM=1.95

say() { printf '%s\n' "$*"; }
# die WHAT HINT: an error that ends the script.
die() {
    printf 'error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# install_packages WHY PACKAGE...: Debian packages, where we may; false where we may not.
install_packages() {
    local why=$1
    shift
    if ! have apt-get || [ "$(id -u)" -ne 0 ]; then
        return 1
    fi
    say "installing Debian packages: $* ($why)"
    export DEBIAN_FRONTEND=noninteractive
    # A fresh machine has no package lists, so the first try may find nothing.
    apt-get install -y -q --no-install-recommends "$@" >/dev/null 2>&1 && return 0
    apt-get update -q >/dev/null || return 1
    apt-get install -y -q --no-install-recommends "$@" >/dev/null
}

# missing TOOL WHY PACKAGE...: what to say where a tool is absent and we may not install it.
missing() {
    local tool=$1 why=$2
    shift 2
    die "$tool is missing ($why), and this user cannot install it" \
        "as root: apt-get update && apt-get install -y --no-install-recommends $*"
}

ensure_rust() {
    have cargo && have rustc || die "cargo is missing: the project is written in Rust" \
        "install Rust $RUST_MINIMUM or newer with rustup (https://rustup.rs); the rustc of Debian 12 is too old"
    local found
    found=$(rustc --version | cut -d' ' -f2)
    [ "$(printf '%s\n' "$RUST_MINIMUM" "$found" | sort -V | head -n1)" = "$RUST_MINIMUM" ] ||
        die "rustc is $found, at least $RUST_MINIMUM is needed" "rustup update stable"
}

# A C and C++ compiler for RocksDB and ring.
ensure_compiler() {
    have g++ && have ar && return 0
    local why="the C++ compiler that builds RocksDB"
    install_packages "$why" g++ binutils libc6-dev || missing g++ "$why" g++ binutils libc6-dev
}

# The folder of a libclang that bindgen would find by itself, or nothing.
libclang_folder() {
    local folder
    for folder in "${LIBCLANG_PATH:-}" /usr/lib/llvm-*/lib /usr/lib/*-linux-gnu /usr/lib64 /usr/lib /usr/local/lib; do
        if [ -n "$folder" ] && { compgen -G "$folder/libclang.so*" || compgen -G "$folder/libclang-[0-9]*.so*"; } >/dev/null; then
            say "$folder"
            return 0
        fi
    done
    return 1
}

# libclang, with which bindgen reads RocksDB's C header: installed, else the wheel of PyPI in target/.
# Sets LIBCLANG_PATH and BINDGEN_EXTRA_CLANG_ARGS where bindgen would not find its way without them.
ensure_libclang() {
    local why="bindgen reads RocksDB's header with it" wheel="$ROOT/target/libclang-18.1.1"
    if [ -e "$wheel/clang/native/libclang.so" ] && ! libclang_folder >/dev/null; then
        export LIBCLANG_PATH="$wheel/clang/native"
    elif ! libclang_folder >/dev/null && ! install_packages "$why" libclang-dev; then
        say "installing the PyPI wheel libclang 18.1.1 into target/ ($why; apt-get needs root)"
        have python3 && python3 -m pip install -q --disable-pip-version-check --root-user-action=ignore --no-deps \
            --only-binary :all: --target "$wheel" libclang==18.1.1 && [ -e "$wheel/clang/native/libclang.so" ] ||
            missing libclang "$why" libclang-dev
        export LIBCLANG_PATH="$wheel/clang/native"
    fi
    # A libclang without clang's own headers (the wheel, Debian's libclang1) borrows the compiler's.
    if [ -z "${BINDGEN_EXTRA_CLANG_ARGS:-}" ] && ! compgen -G "$(libclang_folder)/clang/*/include/stdbool.h" >/dev/null; then
        BINDGEN_EXTRA_CLANG_ARGS="-I$(gcc -print-file-name=include)"
        export BINDGEN_EXTRA_CLANG_ARGS
    fi
}

# Everything that `cargo build` needs, RocksDB included. The first call takes minutes, later ones under a second.
ensure_build_tools() {
    ensure_rust
    ensure_compiler
    ensure_libclang
    "$ROOT/scripts/rocksdb.sh"
}

# Python for the tests in tests/sdk and helpers; false where there is none and we may not install it.
ensure_python() {
    have python3 || install_packages "$1" python3
}

# Node and npm, for the tests with the public JavaScript SDK; false where there is none and we may not install it.
ensure_node() {
    { have node && have npm; } || install_packages "$1" nodejs npm
}
