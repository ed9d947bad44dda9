#!/usr/bin/env python3
"""Checks that `backbox` does not harm a running MPF 0.81 when it ends inside a message, or when its output is not read.

usage: mpf_faults.py BACKBOX [--keep]

The lines end MPF wherever they are truncated, as the last step shows. MPF is stopped (SIGSTOP) until `send`, or
`listen --forward` before it, blocks inside such a line; then backbox is ended by a signal, by two, by
-W, by the loss of its connection, by SIGKILL. MPF must continue. Then more than the queue limit passes a
`listen --forward` whose output is not read: MPF continues, and the dropped output is counted.

Run it with a Python that has mpf 0.81.0: "$(tests/peers/venv.sh)" tests/peers/mpf_faults.py target/release/backbox
Exit status: 0 all checks passed, 1 one failed (the output of all processes is printed), 2 they could not run.
"""
import os
import re
import signal
import socket
import sys
import time

from mpf_forward import announce
from mpf_live import counted, descriptors, main, settled_descriptors, start_up
from processes import LOOK_SECONDS, Failed

# Nearly the maximum line length, and invalid JSON without the last byte.
LINE = b'trigger?json={"name": "backbox_count_up", "text": "' + b"x" * 60_000 + b'"}\n'
# More than the 64 MiB of the queue of listen --forward.
UNREAD_LINES = 1_200
# A process that has read nothing in this many checks, 20 ms apart, is blocked.
LOOKS = 25


def stuck(this, name, *arguments, port=None):
    """Starts a `send` to MPF, stops MPF once it executes messages, and returns the `send` when it is blocked."""
    path, before = os.path.join(this.folder, f"{name}.in"), counted(this)[-1]
    this.before = settled_descriptors(this)
    os.mkfifo(path)
    command = [this.backbox, "send", "-a", f"127.0.0.1:{port or this.own_port}", *arguments]
    process = this.start(name, ["sh", "-c", 'exec "$@" < "$0"', path, *command])
    stdin = this.stack.enter_context(open(path, "wb", buffering=0))
    os.set_blocking(stdin.fileno(), False)
    stdin.write(b"trigger?name=backbox_count_up\n")
    # If stopped earlier, MPF would greet a closed peer, and notice that before it reads the incomplete message.
    this.wait(f"MPF to act on what {name} sends", lambda: counted(this)[-1] > before)
    this.mpf.signal(signal.SIGSTOP)
    rest, looks = LINE, 0
    while looks < LOOKS:
        written = stdin.write(rest)
        looks = 0 if written else looks + 1
        rest = rest[written or 0:] or LINE
        if not written:
            time.sleep(LOOK_SECONDS)
    return process


def goes_on(this, process, *statuses, may_leak=False):
    """The process exited with one of these statuses, and MPF, after SIGCONT, replies. An orderly close without a
    goodbye, which forwarding does not add, costs MPF a descriptor until its garbage is collected."""
    process.wait()
    this.mpf.signal(signal.SIGCONT)
    if process.status not in statuses:
        raise Failed(f"{process.name} exited with {process.status}, not one of {statuses}: {process.err()}")
    # Until MPF has read everything and noticed the close.
    most = this.before + (1 if may_leak else 0)
    this.wait(f"MPF to be rid of {process.name}", lambda: this.before <= descriptors(this) <= most)
    reply = this.send("-W", "60s", "-w", "service", "subcommand=list_coils")
    if reply.status != 0 or this.mpf.status is not None:
        raise Failed(f"MPF exited with {this.mpf.status}; asked for its coils, send exited with {reply.status}")


def one_signal(this):
    """SIGTERM in the middle of a message: 143, and MPF continues"""
    process = stuck(this, "one-signal")
    process.signal(signal.SIGTERM)
    goes_on(this, process, 143)


def two_signals(this):
    """two signals in the middle of a message: it exits at once, and MPF continues"""
    process = stuck(this, "two-signals")
    for number in (signal.SIGSTOP, signal.SIGINT, signal.SIGTERM, signal.SIGCONT):
        process.signal(number)
    goes_on(this, process, 130, 143)


def time_up(this):
    """-W in the middle of a message: 124, and MPF continues"""
    goes_on(this, stuck(this, "time-up", "-W", "3s", "-e", "nothing_such"), 124)


def killed(this):
    """SIGKILL in the middle of a message, and MPF continues"""
    process = stuck(this, "killed")
    process.signal(signal.SIGKILL)
    goes_on(this, process, -signal.SIGKILL)


def lost(this):
    """a connection that is lost in the middle of a message, because listen --forward ends: 3, and MPF continues"""
    for name, numbers in (("once", [signal.SIGTERM]), ("killed", [signal.SIGKILL])):
        forward, port = announce(this, f"forward-{name}", "--forward", str(this.own_port), "-q")
        process = stuck(this, f"lost-{name}", port=port)
        for number in numbers:
            forward.signal(number)
        forward.wait()
        goes_on(this, process, 3, may_leak=True)


def unread(this):
    """more than the queue of listen --forward while its output is not read: MPF executes each line, dropped output is counted"""
    before, go = counted(this)[-1], os.path.join(this.folder, "go")
    path = os.path.join(this.folder, "unread")
    with open(path, "wb") as file:
        for _ in range(UNREAD_LINES):
            file.write(LINE)
    reader = f'{{ while ! [ -e "{go}" ]; do sleep 0.1; done; wc -c; }}'
    forward, port = announce(this, "forward-unread", "--forward", str(this.own_port), "--once", shell=reader)
    process = this.start("unread", ["sh", "-c", 'exec "$@" < "$0"', path, this.backbox, "send", "-a", f"127.0.0.1:{port}"])
    this.wait(f"the count of {UNREAD_LINES} more", lambda: counted(this)[-1] >= before + UNREAD_LINES)
    process.wait()
    if process.status != 0 or counted(this)[-1] != before + UNREAD_LINES:
        raise Failed(f"send exited with {process.status}; MPF counted {counted(this)[-1] - before} of {UNREAD_LINES}")
    with open(go, "w", encoding="ascii"):
        pass
    forward.wait()
    missed = [int(number) for number in re.findall(r"(\d+) bytes were forwarded and not printed", forward.err())]
    printed = int(forward.out())
    sent = UNREAD_LINES * len(LINE)
    if not missed or not sent <= sum(missed) + printed <= sent + 100_000:
        raise Failed(f"{sent} bytes were sent; {printed} printed; dropped, as reported: {missed}")
    print(f"    {sent} bytes, of which {printed} were printed and {sum(missed)} dropped")


def not_blind(this):
    """half such a line and an orderly close does end MPF, which proves that the steps above can fail"""
    with socket.create_connection(("127.0.0.1", this.own_port), timeout=30) as client:
        # An unread greeting would turn the close into a reset.
        client.makefile("rb").readline()
        client.sendall(LINE[:-100])
        client.shutdown(socket.SHUT_WR)
        this.mpf.wait()


if __name__ == "__main__":
    sys.exit(main([start_up, one_signal, two_signals, time_up, killed, lost, unread, not_blind], __doc__))
