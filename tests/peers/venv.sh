#!/usr/bin/env bash
# Makes a virtual environment with the MPF and mpf-monitor that the checks are written against, or reuses the one that is
# there, and prints the path of its Python: "$(tests/peers/venv.sh)" tests/peers/mpf_codec.py target/release/backbox
set -euo pipefail

readonly MPF_VERSION=0.81.0 MONITOR_VERSION=1.0.1
root=$(cd "${BASH_SOURCE[0]%/*}/../.." && pwd)
readonly root venv=$root/.venv
readonly python=$venv/bin/python peers="mpf==$MPF_VERSION and mpf-monitor==$MONITOR_VERSION"

fail() {
    printf 'venv.sh: %s\n' "$1" >&2
    exit 1
}

# The version alone is not enough: an interrupted installation has the metadata of a package without its files.
usable() {
    [ -x "$python" ] && "$python" - "$MPF_VERSION" "$MONITOR_VERSION" >/dev/null 2>&1 <<'CHECK'
import sys
from importlib.metadata import version

import mpf.core.bcp.bcp_socket_client
import mpf.core.machine
import mpfmonitor.mpf.bcp_utils

sys.exit([version("mpf"), version("mpf-monitor")] != sys.argv[1:])
CHECK
}

# The output of pip and venv is printed only if they fail; standard output contains only the path.
attempt() {
    local log
    log=$(mktemp) || return 1
    if "$@" </dev/null >"$log" 2>&1; then
        rm -f "$log"
        return 0
    fi
    tail -n 20 "$log" >&2
    rm -f "$log"
    return 1
}

# Only the BCP client of the monitor is run, so its dependency Qt is not installed.
install_peers() {
    attempt "$python" -m pip install --disable-pip-version-check "$@" "mpf==$MPF_VERSION" &&
        attempt "$python" -m pip install --disable-pip-version-check --no-deps "$@" "mpf-monitor==$MONITOR_VERSION"
}

make() {
    command -v python3 >/dev/null || fail 'python3 is not on the PATH; install it (Debian: apt-get install python3-venv)'
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "MPF $MPF_VERSION needs Python 3.10 or newer, and python3 is $(python3 --version 2>&1)"
    # A working environment with other versions is updated; one that does not work or cannot be updated is recreated.
    if [ -x "$python" ] && "$python" -c '' 2>/dev/null && install_peers --force-reinstall 2>/dev/null && usable; then
        return
    fi
    attempt python3 -m venv --clear "$venv" ||
        fail "cannot make a virtual environment in $venv (Debian: apt-get install python3-venv)"
    install_peers || fail "cannot install $peers into $venv; the package index must be reachable"
    usable || fail "$peers are installed in $venv, but do not import; remove $venv and try again"
}

# Two checks must not install at the same time; this file itself is the lock, so no lock file is left.
if command -v flock >/dev/null; then
    exec 9<"${BASH_SOURCE[0]}"
    flock -w 600 9 || fail 'another venv.sh has been running for ten minutes'
fi
usable || make
printf '%s\n' "$python"
