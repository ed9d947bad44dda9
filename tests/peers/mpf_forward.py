#!/usr/bin/env python3
"""Checks `backbox listen --forward` between a running MPF 0.81 and its media controller.

usage: mpf_forward.py BACKBOX [--keep]

MPF connects to a first forwarder, which records, and whose output is read for one line only. It forwards to a second
one, which rewrites what MPF sends, and whose recording is on a full disk. That one forwards to `listen`, the media
controller. MPF must start, act on events and exit as it does without forwarders. A third forwarder, whose output is
not read, forwards to MPF's own port; it must not delay replies. The recorded session must contain
what was sent, decode, and play. Then 20,000 requests and replies pass through one forwarder: no reply may be recorded
before its request. What `--canonical` writes for strings that break other decoders is read by MPF's own decoder.

Run it with a Python that has mpf 0.81.0: "$(tests/peers/venv.sh)" tests/peers/mpf_forward.py target/release/backbox
Exit status: 0 all checks passed, 1 one failed (everything that was printed is shown), 2 they could not run.
"""
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

from mpf_live import SUBSCRIPTIONS, counted, main
from processes import Failed, port_of

SENDS = 30
EXCHANGES = 20000
SECONDS_MAX = 60
REQUESTS = 1000
REQUEST = "service?subcommand=list_coils"
# Nearly the maximum line length; this many lines exceed the size of a pipe.
LONG_LINE = 'trigger?json={"name": "backbox_count_up", "text": "' + "x" * 60_000 + '"}'
UNREAD_LINES = 40


def announce(this, name, *arguments, shell=None):
    """Starts a `listen` on a free port; returns the process and the port. `shell` is a command for its output."""
    path = os.path.join(this.folder, f"{name}.address")
    line = [this.backbox, "listen", "-a", "127.0.0.1:0", "--announce", path, *arguments]
    process = this.start(name, ["sh", "-c", f'"$@" | {shell}', "sh", *line] if shell else line)
    return process, this.wait(f"{name} to announce its address", lambda: port_of(path))


def start_up(this):
    """MPF starts through two forwarders: the output of one is closed, the disk of the other is full"""
    this.listen, port = announce(this, "listen")
    this.second, port = announce(this, "second", "--forward", str(port), "--canonical", "--json", "--record", "/dev/full")
    this.session = os.path.join(this.folder, "game.bcp")
    this.first, port = announce(this, "first", "--forward", str(port), "--record", this.session, shell="head -n 1")
    this.start_mpf(port)
    this.wait("the attract mode in what listen prints", lambda: any(
        line.startswith("mode_list?") and "attract" in line for line in this.printed()))
    this.wait("reset_complete in MPF's log", lambda: "reset_complete" in this.received())
    wanted = [f"monitor_start?category={name}" for name in SUBSCRIPTIONS] + ["reset_complete"]
    if this.received()[1:] != wanted:
        raise Failed(f"after its reset MPF received {this.received()[1:]}, not {wanted}")
    if this.first.out().count("\n") != 1:
        raise Failed(f"head printed {this.first.out()!r}")
    if this.second.err().count("cannot continue the recording") != 1:
        raise Failed(f"the forwarder with a full disk reported {this.second.err()!r}")


def play_on(this):
    """MPF acts on 30 events, and what it reports reaches its media controller, each once and in order"""
    this.must_send("--retry", "30s", "trigger", "name=backbox_count_up")
    for _ in range(SENDS - 1):
        this.must_send("trigger", "name=backbox_count_up")
    this.wait(f"the count of {SENDS}", lambda: counted(this)[-1:] == [SENDS])
    if counted(this) != list(range(SENDS + 1)):
        raise Failed(f"the counts received through the forwarders are not 0 to {SENDS}, each once: {counted(this)}")


def unread(this):
    """while a forwarder's output is not read and its pipe is full, MPF's replies through it are as fast as before"""
    go = os.path.join(this.folder, "go")
    reader = f'{{ while ! [ -e "{go}" ]; do sleep 0.1; done; cat; }}'
    forwarder, port = announce(this, "unread", "--forward", str(this.own_port), "--once", shell=reader)
    direct, before = measure(this.own_port, REQUESTS, 0), counted(this)[-1]
    forwarded = measure(port, REQUESTS, UNREAD_LINES)
    this.wait(f"{UNREAD_LINES} more counts", lambda: counted(this)[-1] == before + UNREAD_LINES)
    if forwarder.out():
        raise Failed(f"the reader has read: {forwarder.out()[:200]!r}")
    with open(go, "w", encoding="ascii"):
        pass
    forwarder.wait()
    printed = forwarder.out().splitlines()
    found = [printed.count(line) for line in (REQUEST, LONG_LINE)]
    if found != [REQUESTS, UNREAD_LINES] or "not printed" in forwarder.err():
        raise Failed(f"once read, the forwarder printed {found} requests and long lines, and reported {forwarder.err()!r}")
    print(f"    median of {REQUESTS} replies: {direct * 1000:.2f} ms from MPF itself, {forwarded * 1000:.2f} ms through the forwarder")


def measure(port, requests, long_lines):
    """Sends MPF requests after long lines; returns the median of the seconds until a reply."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines, seconds = client.makefile("r", encoding="utf-8", newline="\n"), []
        for _ in range(long_lines):
            client.sendall(f"{LONG_LINE}\n".encode())
        for _ in range(requests):
            start = time.monotonic()
            client.sendall(f"{REQUEST}\n".encode())
            while not (line := lines.readline()).startswith("list_coils?"):
                if not line:
                    raise Failed(f"MPF closed instead of replying to {REQUEST}")
            seconds.append(time.monotonic() - start)
        client.sendall(b"goodbye\n")
        client.shutdown(socket.SHUT_WR)
        lines.read()
    return statistics.median(seconds)


def leaving(this):
    """the media controller's goodbye passes both forwarders and ends MPF; the forwarders stay until a signal"""
    this.listen.signal(signal.SIGINT)
    this.listen.wait()
    this.mpf.wait()
    if this.mpf.status != 0 or this.received()[-1:] != ["goodbye"]:
        raise Failed(f"MPF left with {this.mpf.status}; the last that it received was {this.received()[-1:]}")
    if this.second.status is not None:
        raise Failed(f"the forwarder with a full disk ended with {this.second.status}")
    for forwarder in (this.first, this.second):
        forwarder.signal(signal.SIGTERM)
        forwarder.wait()
    if this.second.status != 143:
        raise Failed(f"the forwarder with a full disk ended with {this.second.status}, not 143: {this.second.err()}")


def recorded(this):
    """the recorded session contains what was sent, decodes, and plays"""
    sent = decode(this, this.session)
    listened = os.path.join(this.folder, "listen.out")
    if sent != decode(this, listened):
        raise Failed("what was recorded before --canonical is not what was received after it")
    with open(this.session, encoding="utf-8") as file:
        replies = [line[2:-1] for line in file if line.startswith("#<")]
    wanted = [this.received()[0]] + [f"monitor_start?category={name}" for name in SUBSCRIPTIONS]
    if replies != [*wanted, "reset_complete", "goodbye"]:
        raise Failed(f"the recorded replies are {replies}")
    forwarded = [json.loads(line) for line in this.second.out().splitlines()]
    if len(forwarded) != len(sent) + len(replies):
        raise Failed(f"the second forwarder printed {len(forwarded)} messages, not {len(sent)} and {len(replies)}")
    run(this, "replay", "--loopback", "--speed", "max", this.session)
    print(f"    {len(sent)} messages of MPF, {len(replies)} of its media controller")


def exchanges(this):
    """20,000 requests and replies through one forwarder: no reply is recorded before its request"""
    with socket.create_server(("127.0.0.1", 0)) as server:
        session = os.path.join(this.folder, "exchanges.bcp")
        arguments = ["--forward", str(server.getsockname()[1]), "--record", session, "--once", "-q"]
        this.listen = this.mpf = None
        forwarder, port = announce(this, "forwarder", *arguments)
        replier = threading.Thread(target=reply, args=[server], daemon=True)
        replier.start()
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            lines = client.makefile("rb")
            for number in range(EXCHANGES):
                client.sendall(b"q?n=%d\n" % number)
                if lines.readline() != b"a?n=%d\n" % number:
                    raise Failed(f"no reply to request {number}")
            # A file object keeps the socket open, so closing only the socket is not enough.
            client.shutdown(socket.SHUT_RDWR)
        replier.join(SECONDS_MAX)
        forwarder.wait()
    if forwarder.status != 0:
        raise Failed(f"the forwarder ended with {forwarder.status}: {forwarder.err()}")
    with open(session, encoding="ascii") as file:
        found = [line.rstrip("\n") for line in file if line.startswith(("q?", "#<"))]
    wanted = [line for number in range(EXCHANGES) for line in (f"q?n={number}", f"#<a?n={number}")]
    if found != wanted:
        raise Failed(f"{sum(map(str.__ne__, found, wanted))} of {len(found)} lines are not in their place")


def reply(server):
    """Replies to each request of one connection."""
    socket_, _ = server.accept()
    with socket_:
        socket_.settimeout(SECONDS_MAX)
        socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for line in socket_.makefile("rb"):
            socket_.sendall(line.replace(b"q", b"a"))
        socket_.shutdown(socket.SHUT_RDWR)


def risky_strings(this):
    """MPF's own decoder reads what --canonical writes for strings with & ? # %"""
    from mpf.core.bcp.bcp_socket_client import decode_command_string, encode_command_string
    values = ["HIGH SCORE #2", "Brooks & Dunn", ["Ball search enabled?"]]
    with socket.create_server(("127.0.0.1", 0)) as server:
        forwarder, port = announce(this, "cure", "--forward", str(server.getsockname()[1]), "--canonical", "--once", "-q")
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX) as client:
            target, _ = server.accept()
            with target:
                target.settimeout(SECONDS_MAX)
                lines = target.makefile("r", encoding="utf-8", newline="\n")
                for value in values:
                    line = encode_command_string("trigger", name=value)
                    client.sendall(line.encode() + b"\n")
                    cured = lines.readline().rstrip("\n")
                    if decode_command_string(cured) != ("trigger", {"name": value}):
                        raise Failed(f"{line} became {cured}, which MPF reads as {decode_command_string(cured)}")
                target.shutdown(socket.SHUT_RDWR)
        forwarder.wait()


def decode(this, path):
    """Decodes a file with `backbox decode`, one message per line."""
    return run(this, "decode", path).splitlines()


def run(this, *arguments):
    """Runs backbox, which must exit with 0; returns its output."""
    done = subprocess.run(
        [this.backbox, *arguments], capture_output=True, timeout=SECONDS_MAX, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Failed(f"{' '.join(arguments)} left with {done.returncode}: {done.stderr.decode()}")
    return done.stdout.decode()


if __name__ == "__main__":
    sys.exit(main([start_up, play_on, unread, leaving, recorded, exchanges, risky_strings], __doc__))
