"""The frame of the checks that run an MPF: arguments, a folder, the steps in their order, cleaning up."""
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
    """Runs the steps in their order and cleans up whatever happens; gives the status to leave with.

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
    # Ending by SIGTERM has to clean up as well.
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
    """Says why the check cannot be made at all."""
    print(f"{os.path.basename(sys.argv[0])}: {reason}", file=sys.stderr)
    return 2


def run(this, steps):
    """All steps; the output of all processes is shown when one fails."""
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
    """A port that was free a moment ago; MPF cannot pick one itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
