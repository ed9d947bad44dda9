#!/usr/bin/env python3
"""Checks what scripts rely on in `backbox send`, against a running MPF 0.81 on virtual hardware.

usage: mpf_send.py BACKBOX [--keep]

The media controller of this MPF is in this script, and takes 3 s for `reset_complete`: `--ready` has to wait for it.
Then replies, failed replies, goals, time, handshakes, and 1,000 sends of which MPF executes each and loses nothing.

Run it with a Python that has mpf 0.81.0: "$(tests/peers/venv.sh)" tests/peers/mpf_send.py target/release/backbox
Exit status: 0 all checks passed, 1 one failed (the output of all programs is printed), 2 they could not be run.
"""
import json
import re
import socket
import subprocess
import sys
import threading
import time

import mpf_live
from mpf_live import descriptors, settled_descriptors
from processes import Failed, port_of

SENDS = 1000
SLOW_SECONDS = 3
PROBE = ["--ready", "60s", "monitor_start", "category=modes", "-e", "mode_list"]


class Media(threading.Thread):
    """A media controller for one MPF that is slow to be ready, and keeps what it receives."""

    def __init__(self):
        super().__init__(daemon=True)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(60)
        self.port = self._listener.getsockname()[1]
        self._socket = None
        self.lines = []
        self.ready_at = None

    def run(self):
        """Replies to hello at once and to the first reset late."""
        self._socket, _ = self._listener.accept()
        with self._socket.makefile("rb") as stream:
            for raw in stream:
                line = raw.decode().rstrip("\n")
                self.lines.append(line)
                if line.startswith("hello"):
                    self._socket.sendall(b"hello?version=1.1\n")
                elif line == "reset":
                    if self.ready_at is None:
                        self._socket.sendall(b"monitor_start?category=machine_vars\n")
                        time.sleep(SLOW_SECONDS)
                        self.ready_at = time.monotonic()
                    self._socket.sendall(b"reset_complete\n")

    def leave(self):
        """Sends goodbye, which ends this MPF."""
        self._socket.sendall(b"goodbye\n")
        self._socket.shutdown(socket.SHUT_WR)


def main():
    """The steps of mpf_live's kind, in their order."""
    return mpf_live.main([readiness, replies, failed_replies, json_lines, time_up, peer_leaves, hello, many_sends,
                          leaving], __doc__)


def must(process, status, out=None, err=""):
    """Checks the exit status of a send, that its output matches, and that its standard error contains `err`."""
    if process.status != status or err not in process.err():
        raise Failed(f"{process.name} exited with {process.status}, not {status}, and reported {process.err()!r}")
    if out is not None and not re.fullmatch(out, process.out()):
        raise Failed(f"{process.name} printed {process.out()!r}, which does not match {out!r}")


def readiness(this):
    """send --ready waits for the attract mode of an MPF whose media controller is slow"""
    this.media = Media()
    this.media.start()
    this.start_mpf(this.media.port)
    probe = this.send(*PROBE)
    ended_at = time.monotonic()
    must(probe, 0, r"mode_list\?[^\n]*attract[^\n]*\n")
    if this.media.ready_at is None or ended_at < this.media.ready_at:
        raise Failed("it ended before the media controller was ready")


def replies(this):
    """send -w service is 0 for a coil that exists"""
    must(this.send("-w", "service", "subcommand=coil_pulse", "coil=c_knocker"), 0, r"coil_pulse[^\n]*\n")


def failed_replies(this):
    """... and 4 for one that does not, printed and reported"""
    process = this.send("-w", "service", "subcommand=coil_pulse", "coil=c_nothing")
    must(process, 4, r"coil_pulse\?[^\n]*error=[^\n]*\n", "the reply failed: coil_pulse?")


def json_lines(this):
    """send -e list_switches --json prints one line that json.loads reads"""
    process = this.send("service", "subcommand=list_switches", "-e", "list_switches", "--json")
    must(process, 0, r"[^\n]+\n")
    message = json.loads(process.out())
    if message["command"] != "list_switches" or "s_start" not in json.dumps(message["params"]):
        raise Failed(f"it printed {message}")


def time_up(this):
    """a message that does not arrive by -W is 124, and MPF continues"""
    began = time.monotonic()
    must(this.send("-W", "300ms", "-e", "nothing_such", "trigger", "name=x"), 124, None, "timed out after 0.3 s")
    if time.monotonic() - began < 0.3:
        raise Failed("it exited too early")


def peer_leaves(this):
    """MPF closing before the goal, as it does on goodbye, is 1"""
    must(this.send("-e", "nothing_such", "goodbye"), 1, None, "still waiting for nothing_such")


def hello(this):
    """--hello works with MPF, whose greeting is the reply, and with listen"""
    must(this.send("--hello", "trigger", "name=x"), 0)
    announced = f"{this.folder}/announced"
    this.listen = this.start("listen", [this.backbox, "listen", "-a", "127.0.0.1:0", "--announce", announced, "--once"])
    port = this.wait("listen to announce its address", lambda: port_of(announced))
    must(this.send("--hello", "trigger", "name=x", port=port), 0)
    this.listen.wait()
    received = this.listen.out().split("\n")
    this.listen = None
    if received[1:] != ["reset", "trigger?name=x", "goodbye", ""] or not received[0].startswith("hello?version=1.1&"):
        raise Failed(f"listen printed {received}")


def counted(this):
    """The count that MPF last reported."""
    found = [line for line in list(this.media.lines) if line.startswith("machine_variable?name=backbox_count&")]
    return int(re.search(r"value=int:(\d+)", found[-1])[1]) if found else 0


def many_sends(this):
    """1,000 sends: each exits with 0, each event is executed, MPF's descriptors do not grow"""
    before = settled_descriptors(this)
    most = before
    command = [this.backbox, "send", "-a", f"127.0.0.1:{this.own_port}", "trigger", "name=backbox_count_up"]
    for _ in range(SENDS):
        ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
        if ended.returncode != 0 or ended.stderr:
            raise Failed(f"one exited with {ended.returncode} and reported {ended.stderr!r}")
        most = max(most, descriptors(this))
    this.wait(f"the count of {SENDS}", lambda: counted(this) >= SENDS)
    if counted(this) != SENDS:
        raise Failed(f"MPF counted {counted(this)} of {SENDS}")
    this.wait(f"MPF to have {before} descriptors again", lambda: descriptors(this) == before)
    print(f"    descriptors of MPF: {before} before, {most} at the most, {descriptors(this)} after {SENDS} sends")


def leaving(this):
    """MPF runs until its media controller closes"""
    if this.mpf.status is not None:
        raise Failed(f"MPF left with {this.mpf.status}")
    this.media.leave()
    this.mpf.wait()
    if this.mpf.status != 0:
        raise Failed(f"MPF left with {this.mpf.status}")


if __name__ == "__main__":
    sys.exit(main())
