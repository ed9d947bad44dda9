#!/usr/bin/env python3
"""Checks the sessions in conformance/ against known peers.

usage: conformance.py BACKBOX [--keep]

Media controllers: `backbox listen` and the independent one beside this file pass every file, and each deliberate fault
of the latter fails in one or two. Pin controllers: a running MPF 0.81 passes every file on its own port.

Run it with a Python that has mpf 0.81.0: "$(tests/peers/venv.sh)" tests/peers/conformance.py target/release/backbox
Exit status: 0 all checks passed, 1 one failed, 2 they could not run.
"""
import glob
import os
import re
import subprocess
import sys

from media_controller import FAULTS
from mpf_live import HERE, main, start_up
from processes import Failed, port_of, wait_for

SESSIONS = os.path.join(HERE, "..", "..", "conformance")


def files(kind):
    found = sorted(glob.glob(os.path.join(SESSIONS, kind, "*.bcp")))
    if len(found) < 4:
        raise Failed(f"only {len(found)} sessions in conformance/{kind}")
    return found


def failed_files(this, port, kind, *flags):
    """The names of the files that fail against a peer, from the line that each one gets in the summary."""
    command = [this.backbox, "replay", "--check", "-a", f"127.0.0.1:{port}", "--reply-timeout", "1", *flags, *files(kind)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    found = re.findall(r"^(ok|FAIL) +.*?([\w-]+)\.bcp", done.stdout + done.stderr, re.M)
    if len(found) != len(files(kind)):
        raise Failed(f"{len(found)} of {len(files(kind))} files have a line in the summary: {done.stdout}{done.stderr}")
    failed = [name for result, name in found if result == "FAIL"]
    if done.returncode != (1 if failed else 0):
        raise Failed(f"exit status {done.returncode} with {failed} failed: {done.stdout}{done.stderr}")
    return failed


def small_controller(this, fault=None):
    """The failed files of the independent media controller."""
    command = [sys.executable, os.path.join(HERE, "media_controller.py"), *(["--fault", fault] if fault else [])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        port = int(process.stdout.readline())
        failed = failed_files(this, port, "media-controller")
        process.stdin.close()
        process.wait(10)
    return failed


def independent(this):
    """the independent media controller passes"""
    failed = small_controller(this)
    if failed:
        raise Failed(f"failed: {failed}")


def faults(this):
    """each deliberate fault fails in one or two files"""
    for fault in FAULTS:
        failed = small_controller(this, fault)
        print(f"    {fault}: {', '.join(failed)}")
        if len(failed) not in (1, 2):
            raise Failed(f"{fault} fails in {len(failed)} files: {failed}")


def listen_passes(this):
    """backbox listen passes as a media controller"""
    announced = os.path.join(this.folder, "media-announced")
    arguments = ["listen", "-a", "127.0.0.1:0", "--announce", announced]
    process = this.start("media", [this.backbox, *arguments])
    port = wait_for("listen to announce its address", lambda: port_of(announced), [process])
    failed = failed_files(this, port, "media-controller")
    if failed:
        raise Failed(f"failed: {failed}")


def mpf_passes(this):
    """a running MPF passes as a pin controller"""
    this.must_send("--retry", "30s", "-e", "mode_list?running_modes=[[*", "monitor_start", "category=modes")
    failed = failed_files(this, this.own_port, "pin-controller", "--retry", "30s")
    if failed:
        raise Failed(f"failed: {failed}")


if __name__ == "__main__":
    sys.exit(main([listen_passes, independent, faults, start_up, mpf_passes], __doc__))
