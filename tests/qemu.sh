#!/usr/bin/env bash
# Builds the tests for 64-bit and 32-bit ARM, as in a Raspberry Pi, and runs them under QEMU:
# bash tests/qemu.sh [CARGO TEST ARGUMENT]...
#
# It needs rustup, QEMU's user mode and two compilers, whose linkers are used (Debian: qemu-user, gcc-aarch64-linux-gnu,
# gcc-arm-linux-gnueabihf and their libc6-dev). Without arguments it leaves out the network tests of the binary, whose
# deadlines an emulator misses, and one test of the loop, for which it needs more than its minute.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ $# -eq 0 ]; then
    set -- --lib --test filters --test vectors --test laws --test session_vectors --test dry_run --test obe -- --skip slow_side_slows
fi

run_tests() {
    local target=$1 libraries=$2 emulator=$3 variable
    shift 3
    variable=CARGO_TARGET_$(tr a-z- A-Z_ <<<"$target")
    rustup --quiet target add "$target"
    # The first runner is for the tests, the second for the program that some of them start.
    env "${variable}_LINKER=$libraries-gcc" "${variable}_RUNNER=$emulator -L /usr/$libraries" \
        "BACKBOX_TEST_RUNNER=$emulator -L /usr/$libraries" cargo test --locked --target "$target" "$@"
}

run_tests aarch64-unknown-linux-gnu aarch64-linux-gnu qemu-aarch64 "$@"
run_tests armv7-unknown-linux-gnueabihf arm-linux-gnueabihf qemu-arm "$@"
