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

# The version alone would not do: an installation that was killed midway has the metadata of a package that lacks files.
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

# What pip and venv say is kept for the case that they fail; standard output holds nothing but the path.
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

# Of the monitor only its BCP client is run, so Qt, which it names as a dependency, is left out.
install_peers() {
    attempt "$python" -m pip install --disable-pip-version-check "$@" "mpf==$MPF_VERSION" &&
        attempt "$python" -m pip install --disable-pip-version-check --no-deps "$@" "mpf-monitor==$MONITOR_VERSION"
}

make() {
    command -v python3 >/dev/null || fail 'python3 is not on the PATH; install it (Debian: apt-get install python3-venv)'
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        fail "MPF $MPF_VERSION needs Python 3.10 or newer, and python3 is $(python3 --version 2>&1)"
    # An environment that works but holds other versions is mended; one that does not, or cannot be, is made anew.
    if [ -x "$python" ] && "$python" -c '' 2>/dev/null && install_peers --force-reinstall 2>/dev/null && usable; then
        return
    fi
    attempt python3 -m venv --clear "$venv" ||
        fail "cannot make a virtual environment in $venv (Debian: apt-get install python3-venv)"
    install_peers || fail "cannot install $peers into $venv; their package index has to be reachable"
    usable || fail "$peers are installed in $venv, but do not import; remove $venv and try again"
}

# Two checks started at once must not install into the same place; this file itself is the lock, so that none is left.
if command -v flock >/dev/null; then
    exec 9<"${BASH_SOURCE[0]}"
    flock -w 600 9 || fail 'another venv.sh has been at work for ten minutes'
fi
usable || make
printf '%s\n' "$python"
