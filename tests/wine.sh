#!/usr/bin/env bash
# Builds the tests for Windows and runs them under Wine: bash tests/wine.sh [CARGO TEST ARGUMENT]...
#
# It needs rustup, MinGW and Wine (Debian: gcc-mingw-w64-x86-64 and wine). What cannot run there is left out with its
# reason: the tests of Unix signals, terminals and /dev/full are compiled for Unix only.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly TARGET=x86_64-pc-windows-gnu
target_dir=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER=wine
export WINEPREFIX=$target_dir/wine WINEDEBUG=-all
unset DISPLAY

# Wine 8 lacks a DLL from which Rust's standard library takes random numbers; newer ones have it.
add_random_numbers() {
    local dll=$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll
    [ -e "$dll" ] && return
    x86_64-w64-mingw32-gcc -O2 -shared -x c -o "$dll" - -ladvapi32 <<'C'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T count) {
    while (count > 0) {
        ULONG part = count > 65536 ? 65536 : (ULONG)count;
        if (!SystemFunction036(bytes, part)) return FALSE;
        bytes += part;
        count -= part;
    }
    return TRUE;
}
C
}

rustup --quiet target add "$TARGET"
[ -d "$WINEPREFIX/drive_c" ] || wineboot --init >/dev/null 2>&1
add_random_numbers
if [ $# -eq 0 ]; then
    set -- --lib --test filters --test vectors --test session_vectors --test dry_run --test network
fi
cargo test --locked --target "$TARGET" "$@"
