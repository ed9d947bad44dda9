#!/usr/bin/env python3
"""Checks `backbox listen --forward` in between a running MPF 0.81 and its media controller.

usage: mpf_forward.py BACKBOX [--keep]

MPF dials a first tap, whose output only one line is read of, and which records; behind it stands a second one, which
rewrites what MPF sends, and whose recording meets a full disk; behind that `listen`, the media controller. Start-up has to
go through, events have to be acted on, and everything has to leave as if there were no taps. A third tap, whose reader
has stopped, stands in front of MPF's own port, whose answers have to come as if it were not there. The recorded session
has to hold what was said, to decode, and to play. Then 20,000 exchanges through one tap: no answer may be recorded before
its question; and what `--canonical` makes of MPF's own troublemakers is read by MPF's own decoder.

Run it with a Python that has mpf 0.81.0: "$(tests/peers/venv.sh)" tests/peers/mpf_forward.py target/release/backbox
Exit status: 0 all is as it should be, 1 something is not (what everyone said is printed), 2 it could not be tried.
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
ASKED = 1000
QUESTION = "service?subcommand=list_coils"
# Nearly as long as a line may be, and so many of them are more than a pipe holds.
LONG_LINE = 'trigger?json={"name": "backbox_count_up", "text": "' + "x" * 60_000 + '"}'
UNREAD_LINES = 40


def announce(this, name, *arguments, shell=None):
    """Starts a `listen` on a free port; the process and the port. `shell` is what its output goes through."""
    path = os.path.join(this.folder, f"{name}.address")
    line = [this.backbox, "listen", "-a", "127.0.0.1:0", "--announce", path, *arguments]
    process = this.start(name, ["sh", "-c", f'"$@" | {shell}', "sh", *line] if shell else line)
    return process, this.wait(f"{name} to announce its address", lambda: port_of(path))


def start_up(this):
    """MPF starts up through two taps: one whose reader has gone, one whose disk is full"""
    this.listen, port = announce(this, "listen")
    this.second, port = announce(this, "second", "--forward", str(port), "--canonical", "--json", "--record", "/dev/full")
    this.session = os.path.join(this.folder, "game.bcp")
    this.first, port = announce(this, "first", "--forward", str(port), "--record", this.session, shell="head -n 1")
    this.start_mpf(port)
    this.wait("the attract mode in what listen prints", lambda: any(
        line.startswith("mode_list?") and "attract" in line for line in this.heard()))
    this.wait("reset_complete in MPF's log", lambda: "reset_complete" in this.received())
    wanted = [f"monitor_start?category={name}" for name in SUBSCRIPTIONS] + ["reset_complete"]
    if this.received()[1:] != wanted:
        raise Failed(f"after its reset MPF received {this.received()[1:]}, not {wanted}")
    if this.first.out().count("\n") != 1:
        raise Failed(f"head printed {this.first.out()!r}")
    if this.second.err().count("cannot go on recording") != 1:
        raise Failed(f"the tap with a full disk said {this.second.err()!r}")


def play_on(this):
    """MPF acts on 30 events, and what it reports reaches its media controller, each once and in order"""
    this.must_send("--retry", "30s", "trigger", "name=backbox_count_up")
    for _ in range(SENDS - 1):
        this.must_send("trigger", "name=backbox_count_up")
    this.wait(f"the count of {SENDS}", lambda: counted(this)[-1:] == [SENDS])
    if counted(this) != list(range(SENDS + 1)):
        raise Failed(f"the counts that came through the taps are not 0 to {SENDS}, each once: {counted(this)}")


def unread(this):
    """while the reader of a tap has stopped and its pipe is full, MPF's answers through the tap keep their pace"""
    go = os.path.join(this.folder, "go")
    reader = f'{{ while ! [ -e "{go}" ]; do sleep 0.1; done; cat; }}'
    tap, port = announce(this, "unread", "--forward", str(this.own_port), "--once", shell=reader)
    direct, before = asked(this.own_port, ASKED, 0), counted(this)[-1]
    tapped = asked(port, ASKED, UNREAD_LINES)
    this.wait(f"{UNREAD_LINES} more counts", lambda: counted(this)[-1] == before + UNREAD_LINES)
    if tap.out():
        raise Failed(f"the reader has read: {tap.out()[:200]!r}")
    with open(go, "w", encoding="ascii"):
        pass
    tap.wait()
    printed = tap.out().splitlines()
    found = [printed.count(line) for line in (QUESTION, LONG_LINE)]
    if found != [ASKED, UNREAD_LINES] or "not printed" in tap.err():
        raise Failed(f"once read, the tap printed {found} questions and long lines, and said {tap.err()!r}")
    print(f"    median of {ASKED} answers: {direct * 1000:.2f} ms from MPF itself, {tapped * 1000:.2f} ms through the tap")


def asked(port, questions, long_lines):
    """Asks MPF so often, behind so many long lines; the median of the seconds until an answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX) as asker:
        asker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines, seconds = asker.makefile("r", encoding="utf-8", newline="\n"), []
        for _ in range(long_lines):
            asker.sendall(f"{LONG_LINE}\n".encode())
        for _ in range(questions):
            start = time.monotonic()
            asker.sendall(f"{QUESTION}\n".encode())
            while not (line := lines.readline()).startswith("list_coils?"):
                if not line:
                    raise Failed(f"MPF closed instead of answering {QUESTION}")
            seconds.append(time.monotonic() - start)
        asker.sendall(b"goodbye\n")
        asker.shutdown(socket.SHUT_WR)
        lines.read()
    return statistics.median(seconds)


def leaving(this):
    """the media controller's goodbye passes both taps and ends MPF; the taps stay until they are told"""
    this.listen.signal(signal.SIGINT)
    this.listen.wait()
    this.mpf.wait()
    if this.mpf.status != 0 or this.received()[-1:] != ["goodbye"]:
        raise Failed(f"MPF left with {this.mpf.status}; the last that it received was {this.received()[-1:]}")
    if this.second.status is not None:
        raise Failed(f"the tap with a full disk left with {this.second.status}")
    for tap in (this.first, this.second):
        tap.signal(signal.SIGTERM)
        tap.wait()
    if this.second.status != 143:
        raise Failed(f"the tap with a full disk left with {this.second.status}, not 143: {this.second.err()}")


def recorded(this):
    """the recorded session holds what was said, decodes, and plays"""
    said = decode(this, this.session)
    heard = os.path.join(this.folder, "listen.out")
    if said != decode(this, heard):
        raise Failed("what was recorded in front of --canonical is not what came out behind it")
    with open(this.session, encoding="utf-8") as file:
        answers = [line[2:-1] for line in file if line.startswith("#<")]
    wanted = [this.received()[0]] + [f"monitor_start?category={name}" for name in SUBSCRIPTIONS]
    if answers != [*wanted, "reset_complete", "goodbye"]:
        raise Failed(f"the recorded answers are {answers}")
    tapped = [json.loads(line) for line in this.second.out().splitlines()]
    if len(tapped) != len(said) + len(answers):
        raise Failed(f"the second tap printed {len(tapped)} messages, not {len(said)} and {len(answers)}")
    run(this, "replay", "--loopback", "--speed", "max", this.session)
    print(f"    {len(said)} messages of MPF, {len(answers)} of its media controller")


def exchanges(this):
    """20,000 questions and answers through one tap: none is recorded before what it answers"""
    with socket.create_server(("127.0.0.1", 0)) as server:
        session = os.path.join(this.folder, "exchanges.bcp")
        arguments = ["--forward", str(server.getsockname()[1]), "--record", session, "--once", "-q"]
        this.listen = this.mpf = None
        tap, port = announce(this, "tap", *arguments)
        answerer = threading.Thread(target=answer, args=[server], daemon=True)
        answerer.start()
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX) as asker:
            asker.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            lines = asker.makefile("rb")
            for number in range(EXCHANGES):
                asker.sendall(b"q?n=%d\n" % number)
                if lines.readline() != b"a?n=%d\n" % number:
                    raise Failed(f"the answer to question {number} did not come")
            # A file made of a socket keeps it open, so closing it would not be enough.
            asker.shutdown(socket.SHUT_RDWR)
        answerer.join(SECONDS_MAX)
        tap.wait()
    if tap.status != 0:
        raise Failed(f"the tap left with {tap.status}: {tap.err()}")
    with open(session, encoding="ascii") as file:
        found = [line.rstrip("\n") for line in file if line.startswith(("q?", "#<"))]
    wanted = [line for number in range(EXCHANGES) for line in (f"q?n={number}", f"#<a?n={number}")]
    if found != wanted:
        raise Failed(f"{sum(map(str.__ne__, found, wanted))} of {len(found)} lines are not in their place")


def answer(server):
    """Answers each question of one connection."""
    socket_, _ = server.accept()
    with socket_:
        socket_.settimeout(SECONDS_MAX)
        socket_.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for line in socket_.makefile("rb"):
            socket_.sendall(line.replace(b"q", b"a"))
        socket_.shutdown(socket.SHUT_RDWR)


def troublemakers(this):
    """what --canonical makes of marks in names is what MPF's own decoder reads"""
    from mpf.core.bcp.bcp_socket_client import decode_command_string, encode_command_string
    values = ["HIGH SCORE #2", "Brooks & Dunn", ["Ball search enabled?"]]
    with socket.create_server(("127.0.0.1", 0)) as server:
        tap, port = announce(this, "cure", "--forward", str(server.getsockname()[1]), "--canonical", "--once", "-q")
        with socket.create_connection(("127.0.0.1", port), timeout=SECONDS_MAX) as asker:
            target, _ = server.accept()
            with target:
                target.settimeout(SECONDS_MAX)
                lines = target.makefile("r", encoding="utf-8", newline="\n")
                for value in values:
                    line = encode_command_string("trigger", name=value)
                    asker.sendall(line.encode() + b"\n")
                    cured = lines.readline().rstrip("\n")
                    if decode_command_string(cured) != ("trigger", {"name": value}):
                        raise Failed(f"{line} became {cured}, which MPF reads as {decode_command_string(cured)}")
                target.shutdown(socket.SHUT_RDWR)
        tap.wait()


def decode(this, path):
    """What `backbox decode` makes of a file, a line a message."""
    return run(this, "decode", path).splitlines()


def run(this, *arguments):
    """Runs backbox to its end, which has to be 0; what it printed."""
    done = subprocess.run(
        [this.backbox, *arguments], capture_output=True, timeout=SECONDS_MAX, check=False, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Failed(f"{' '.join(arguments)} left with {done.returncode}: {done.stderr.decode()}")
    return done.stdout.decode()


if __name__ == "__main__":
    sys.exit(main([start_up, play_on, unread, leaving, recorded, exchanges, troublemakers], __doc__))
