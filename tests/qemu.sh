#!/usr/bin/env bash
# Builds the tests for 64-bit and 32-bit ARM, as in a Raspberry Pi, and runs them under QEMU:
# bash tests/qemu.sh [CARGO TEST ARGUMENT]...
#
# It needs rustup and QEMU's user mode (Debian: qemu-user). The binaries are static, so no other compiler is needed.
# Without arguments it leaves out the network tests of the binary, whose deadlines an emulator misses, and one test of the
# loop, for which it needs more than its minute.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ $# -eq 0 ]; then
    set -- --lib --test filters --test vectors --test laws --test session_vectors --test dry_run --test obe -- --skip slow_side_slows
fi

run_tests() {
    local target=$1 variable
    # The tests that start the program do so by this variable.
    export "BACKBOX_TEST_RUNNER=$2"
    shift 2
    variable=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$target")
    rustup --quiet target add "$target"
    env "${variable}_LINKER=rust-lld" "${variable}_RUNNER=$BACKBOX_TEST_RUNNER" cargo test --locked --target "$target" "$@"
}

run_tests aarch64-unknown-linux-musl qemu-aarch64 "$@"
run_tests armv7-unknown-linux-musleabihf qemu-arm "$@"
