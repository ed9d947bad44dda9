"""Common parts of the checks that run MPF: arguments, a folder, the steps in order, cleanup."""
import argparse
import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import sys
import tempfile

from processes import Failed


def main(steps, documentation, make):
    """Runs the steps in order and always cleans up; returns the exit status.

    `make(backbox, folder, stack)` makes what each step is called with; when one fails, its `show()` is called.
    """
    parser = argparse.ArgumentParser(description=documentation.split("\n", 1)[0])
    parser.add_argument("backbox", help="the program to check")
    parser.add_argument("--keep", action="store_true", help="keep the folder with MPF's log and the output of all processes")
    options = parser.parse_args()
    if importlib.util.find_spec("mpf") is None:
        return give_up('mpf is not installed in this Python; run it with "$(tests/peers/venv.sh)"')
    if shutil.which(options.backbox) is None:
        return give_up(f"cannot run {options.backbox}; build it with cargo build --release")
    # SIGTERM must also clean up.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    folder = tempfile.mkdtemp(prefix="backbox-mpf-")
    try:
        with contextlib.ExitStack() as stack:
            return run(make(os.path.abspath(shutil.which(options.backbox)), folder, stack), steps)
    finally:
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def give_up(reason):
    """Reports why the check cannot run."""
    print(f"{os.path.basename(sys.argv[0])}: {reason}", file=sys.stderr)
    return 2


def run(this, steps):
    """Runs all steps; prints the output of all processes if one fails."""
    for step in steps:
        try:
            step(this)
        except Failed as failed:
            print(f"FAILED: {step.__name__}: {failed}")
            this.show()
            return 1
        print(f"ok: {step.__doc__.split(chr(10), 1)[0]}", flush=True)
    print("passed: all checks with a running MPF 0.81")
    return 0


def free_port():
    """Returns a port that was just free, because MPF cannot choose one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
