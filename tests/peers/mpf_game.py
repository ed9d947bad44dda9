#!/usr/bin/env python3
"""Checks `backbox listen` as the media controller of a whole game on a running MPF 0.81, and the same game with --canonical.

usage: mpf_game.py BACKBOX [--keep]

One ball, one player: start button, plunger, one target, drain, played by `backbox send switch`, on smart virtual
hardware that moves the ball where a coil is pulsed. `listen` is the media controller and records; the recording has to
decode, to lint without a finding that stops MPF, and to play. Then a fresh MPF plays the game again with `listen
--forward --canonical` in between: every message has to come out as it went in, and the game has to be the same.

Run it with a Python that has mpf 0.81.0: "$(tests/peers/venv.sh)" tests/peers/mpf_game.py target/release/backbox
Exit status: 0 all is as it should be, 1 something is not (the output of all processes is printed), 2 it could not be tried.
"""
import json
import os
import signal
import subprocess
import sys

from mpf_forward import announce, run
from mpf_live import main
from processes import SECONDS_MAX, Failed

# After MPF sends this, the ball is on its way to the playfield and can hit a target.
EJECTING = "balldevice_bd_plunger_ejecting_ball"
ATTRACT = [["attract", 10]]
# Messages of MPF during a game, in this order, with others between them.
STORY = [
    ("mode_start", "name", "game"), ("player_added", "player_num", 1), ("player_turn_start", "player_num", 1),
    ("mode_start", "name", "base"), ("ball_start", "ball", 1), ("trigger", "name", EJECTING),
    ("player_variable", "value", 1000), ("trigger", "name", "backbox_song"), ("ball_end", None, None),
    ("mode_start", "name", "attract"), ("mode_stop", "name", "game"), ("mode_list", "running_modes", ATTRACT),
]
# The message of the machine's target, with characters that break decoders; the list makes MPF write them as JSON.
SONG = {"name": "backbox_song", "title": "Brooks & Dunn",
        "lines": ["HIGH SCORE #2", "Ball search enabled?", "100% + x=y"]}


def game(this):
    """listen is the media controller of a whole one-ball game"""
    this.plain = play(this, "plain")


def recorded(this):
    """its recording contains the printed messages, has no lint finding that stops MPF, and plays"""
    with open(os.path.join(this.folder, "plain.out"), encoding="utf-8") as file:
        messages = decode(this, file.name)
    if this.plain != messages:
        raise Failed(f"{len(this.plain)} messages of MPF were recorded and {len(messages)} printed, or they differ")
    at = 0
    for command, name, value in STORY:
        found = [place for place, message in enumerate(messages[at:], at)
                 if message["command"] == command and (name is None or message["params"].get(name) == value)]
        if not found:
            raise Failed(f"there is no {command} with {name} {value} after message {at}")
        at = found[0] + 1
    session = os.path.join(this.folder, "plain.bcp")
    findings = lint(this, session)
    if ": stop: " in findings or ": trap: " not in findings:
        raise Failed(f"lint has to find the trap in the song, and nothing that stops MPF, but found: {findings}")
    run(this, "replay", "--loopback", "--speed", "max", session)
    print(f"    {len(messages)} messages of MPF")


def canonical(this):
    """the same game with --forward --canonical in between"""
    plain_received = this.received()
    this.cured = play(this, "cured", "--canonical")
    if this.received() != plain_received:
        raise Failed(f"MPF received {this.received()} instead of {plain_received}")


def alike(this):
    """--canonical changes no message, and MPF plays the same game"""
    front = decode(this, os.path.join(this.folder, "cured-front.bcp"))
    if front != this.cured:
        raise Failed("--canonical has changed messages")
    songs = [message["params"] for message in this.cured if message["params"].get("name") == SONG["name"]]
    if songs != [{**SONG, "priority": 0}]:
        raise Failed(f"MPF's song arrived as {songs}")
    with open(os.path.join(this.folder, "cured.out"), encoding="utf-8") as file:
        lines = file.read()
    if SONG["title"] in lines or "Brooks \\u0026 Dunn" not in lines:
        raise Failed("--canonical left the marks as they were, so that nothing was tried")
    differing = [pair for pair in zip(steady(this.plain), steady(this.cured)) if pair[0] != pair[1]]
    if differing or len(this.plain) != len(this.cured):
        raise Failed(f"the games have {len(this.plain)} and {len(this.cured)} messages; they differ in {differing[:3]}")


def play(this, name, *flags):
    """Starts everyone, plays the game, ends everyone; the messages that `listen` recorded of MPF. With flags, they are
    for a listen --forward in between, which records too."""
    this.listen = this.mpf = None
    record = os.path.join(this.folder, f"{name}.bcp")
    registered = ["--register", EJECTING, "--register", "backbox_song"]
    this.listen, port = announce(this, name, "--record", record, *registered)
    forward = None
    if flags:
        front = os.path.join(this.folder, f"{name}-front.bcp")
        forward, port = announce(this, f"{name}-front", "--forward", str(port), "--record", front, "--once", *flags)
    this.start_mpf(port, "game", f"mpf-{name}")
    wait_printed(this, "mode_list?", "attract")
    this.must_send("--retry", "30s", "switch", "name=s_start", "state:=1")
    this.must_send("switch", "name=s_start", "state:=0")
    wait_printed(this, "ball_start?")
    wait_printed(this, f"trigger?name={EJECTING}")
    this.must_send("switch", "name=s_target", "state:=1")
    # The last message that the target causes.
    wait_printed(this, "trigger?", "backbox_song")
    this.must_send("switch", "name=s_target", "state:=0")
    this.must_send("switch", "name=s_trough", "state:=1")
    wait_printed(this, "ball_end")
    # The last message: the attract mode alone, for the second time.
    this.wait("the attract mode alone after the game", lambda: sum(
        line.startswith("mode_list?") and "attract" in line and "game" not in line for line in this.printed()) == 2)
    end(this, forward)
    return decode(this, record)


def wait_printed(this, beginning, part=""):
    """Waits until `listen` has printed such a line."""
    this.wait(f"{beginning}...{part}", lambda: any(
        line.startswith(beginning) and part in line for line in this.printed()))


def end(this, forward):
    """SIGINT ends listen, whose goodbye ends MPF, and both listen --forward."""
    this.listen.signal(signal.SIGINT)
    for process, status in ((this.listen, 130), (this.mpf, 0), (forward, 0)):
        if process is None:
            continue
        process.wait()
        if process.status != status:
            raise Failed(f"{process.name} left with {process.status}, not {status}: {process.err()[-500:]}")


def decode(this, path):
    """Decodes a file with `backbox decode`; returns the messages."""
    return [json.loads(line) for line in run(this, "decode", path).splitlines()]


def lint(this, path):
    """The findings of `decode --lint` in a file; findings about other peers are no failure here."""
    command = [this.backbox, "decode", "--lint", path]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS_MAX, check=False, stdin=subprocess.DEVNULL)
    if done.returncode not in (0, 1):
        raise Failed(f"decode --lint {path} left with {done.returncode}: {done.stderr.decode()}")
    return done.stdout.decode()


def steady(messages):
    """The messages without what differs from run to run: the folder of MPF's log."""
    return [message for message in messages if message["params"].get("name") != "log_file_path"]


if __name__ == "__main__":
    # MPF reports its machine variables in the order of a set, which is the same each time only with the same seed.
    os.environ["PYTHONHASHSEED"] = "0"
    sys.exit(main([game, recorded, canonical, alike], __doc__))
