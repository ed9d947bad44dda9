#!/usr/bin/env python3
"""Checks `backbox replay --check` against a running MPF 0.81: a fresh MPF replies as it did when recorded.

usage: mpf_check.py BACKBOX [--keep]

Two conversations with MPF are recorded by `listen --forward`: the commands of MPF's service shell, and a game of
one ball. Each is then played with `--check` to several fresh MPFs, as recorded and at maximum speed, and must
pass with the settings that MPF needs; the game also on both ports at once, with a replay as MPF's media controller
beside the one that plays the ball. Then the recordings are changed in one place, in sixteen ways: each change must
be found, at its line, as one difference, with the parameter named. What MPF never does (a payload, an `error`, a
late reply, a closed connection) is done by `replay --serve` in its place. Finally the recipe of docs/ci.md is run
unchanged, on MPF's own ports.

BACKBOX_CHECKS is the number of fresh MPFs for each recording and speed (default 10).

Run it with a Python that has mpf 0.81.0: "$(tests/peers/venv.sh)" tests/peers/mpf_check.py target/release/backbox
Exit status: 0 all checks passed, 1 one failed (all output is printed), 2 they could not run.
"""
import os
import re
import shlex
import shutil
import signal
import socket
import sys
from xml.etree import ElementTree

from mpf_forward import announce
from mpf_game import EJECTING
from mpf_live import HERE, main
from mpf_send import PROBE
from mpf_tools import service
from processes import Failed, port_of, wait_for

CHECKS = int(os.environ.get("BACKBOX_CHECKS", "10"))
# What differs from one start of MPF to the next.
SETTINGS = ["--any-order", "machine_variable", "--exclude", "machine_variable?name=log_file_path"]
MONITORED = ["modes", "core_events", "player_vars", "machine_vars"]


class Player:
    """Plays a ball over one connection, and waits for the messages of MPF."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._lines = self._socket.makefile("r", encoding="utf-8", newline="\n")

    def send(self, *lines):
        """Sends lines, in one write."""
        self._socket.sendall("".join(f"{line}\n" for line in lines).encode())

    def wait_for(self, pattern):
        """Reads up to a line that matches."""
        for line in self._lines:
            if re.match(pattern, line):
                return
        raise Failed(f"MPF closed the connection before {pattern}")

    def close(self):
        """Sends goodbye, and waits until MPF has closed."""
        self.send("goodbye")
        self._socket.shutdown(socket.SHUT_WR)
        self._lines.read()
        self._socket.close()


def start_up(this, machine, name, *flags):
    """Starts an MPF with `listen` as its media controller, and waits until it is ready."""
    this.listen = this.mpf = None
    this.listen, port = announce(this, f"listen-{name}", *flags)
    this.start_mpf(port, machine, f"mpf-{name}")
    this.must_send(*PROBE)


def end(this):
    """SIGINT ends listen, whose goodbye ends MPF."""
    this.listen.signal(signal.SIGINT)
    for process, status in ((this.listen, 130), (this.mpf, 0)):
        process.wait()
        if process.status != status:
            raise Failed(f"{process.name} left with {process.status}, not {status}: {process.err()[-500:]}")


def record(this, name, talk):
    """Records through listen --forward what `talk` does."""
    path = os.path.join(this.folder, f"{name}.bcp")
    this.forward, this.forward_port = announce(this, f"forward-{name}", "--forward", str(this.own_port), "--record", path)
    talk(this)
    this.forward.signal(signal.SIGINT)
    this.forward.wait()
    with open(path, encoding="utf-8") as file:
        return file.read()


def service_recorded(this):
    """the commands of `mpf service` are recorded by listen --forward"""
    start_up(this, "machine", "service")
    # The service shell needs the machine folder.
    os.symlink(os.path.join(this.folder, "mpf-service-machine"), os.path.join(this.folder, "mpf-machine"))
    this.service = record(this, "service", service)
    end(this)
    print(f"    {replies(this.service)} replies")


def game_recorded(this):
    """a game of one ball is recorded by listen --forward, and by its media controller"""
    media = os.path.join(this.folder, "media.bcp")
    start_up(this, "game", "game", "--record", media)
    this.game = record(this, "game", play)
    end(this)
    with open(media, encoding="utf-8") as file:
        this.media = file.read()
    print(f"    {replies(this.game)} replies, and {messages(this.media)} messages to the media controller")


def play(this):
    """One player, one ball, one target, drain; MPF reports what it does."""
    player = Player(this.forward_port)
    player.send("hello?version=1.1")
    player.wait_for("hello")
    player.send(*[f"monitor_start?category={category}" for category in MONITORED])
    # After all machine variables, whose order differs with each start of MPF.
    player.wait_for("settings")
    player.send(*[f"register_trigger?event={event}" for event in (EJECTING, "backbox_song")])
    player.send("switch?name=s_start&state=int:1")
    player.send("switch?name=s_start&state=int:0")
    player.wait_for("ball_start")
    player.wait_for(r"trigger\?.*" + EJECTING)
    player.send("switch?name=s_target&state=int:1")
    player.wait_for(r"trigger\?.*backbox_song")
    player.send("switch?name=s_target&state=int:0")
    player.send("switch?name=s_trough&state=int:1")
    player.wait_for("ball_end")
    player.wait_for(r"mode_list\?(?!.*game).*attract")
    player.close()


def replies(text):
    """The number of replies in a recording."""
    return len(re.findall(r"^#<", text, re.M))


def messages(text):
    """The number of messages of the client in a recording."""
    return len(re.findall(r"^[^#]", text, re.M))


def check(this, text, *flags, port=None):
    """Plays a recording with --check; returns the ended process."""
    this.checks = getattr(this, "checks", 0) + 1
    path = os.path.join(this.folder, f"check-{this.checks}.bcp")
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    address = f"127.0.0.1:{port or this.own_port}"
    arguments = [this.backbox, "replay", "--check", "-a", address, "-W", "60s", *SETTINGS, *flags, path]
    process = this.start(f"check-{this.checks}", arguments)
    process.wait()
    return process


def passes(this, machine, text):
    """Checks a recording against fresh MPFs, at both speeds."""
    for speed in ("1", "max"):
        for count in range(CHECKS):
            start_up(this, machine, f"{machine}-{speed}-{count}")
            process = check(this, text, "--speed", speed)
            if process.status != 0 or not process.out().startswith("PASS: "):
                raise Failed(f"check {count + 1} at speed {speed} left with {process.status}: "
                             f"{process.out()} {process.err()}")
            end(this)
    print(f"    {CHECKS} at each speed: {process.err().splitlines()[1]}")


def service_passes(this):
    """the service conversation passes against fresh MPFs, as recorded and at full speed"""
    passes(this, "machine", this.service)


def game_passes(this):
    """the game passes against fresh MPFs, as recorded and at full speed"""
    passes(this, "game", this.game)


def media_controller(this, text, name):
    """Starts a replay as the media controller of an MPF whose messages it checks, and starts that MPF."""
    path = os.path.join(this.folder, f"media-{name}.bcp")
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
    address = f"{path}.address"
    arguments = ["--serve", "--check", "-a", "127.0.0.1:0", "--announce", address, "-W", "90s", *SETTINGS]
    this.mpf = None
    media = this.start(f"media-{name}", [this.backbox, "replay", *arguments, path])
    port = wait_for("the media controller's address", lambda: port_of(address), [media])
    this.start_mpf(port, "game", f"mpf-{name}")
    this.must_send(*PROBE)
    return media


def both_ports_pass(this):
    """the game passes on both ports at once: one replay is the media controller, another plays the ball"""
    for count in range(CHECKS):
        media = media_controller(this, this.media, f"both-{count}")
        both = [check(this, this.game), media]
        media.wait()
        for process in both:
            if process.status != 0 or not process.out().startswith("PASS: "):
                raise Failed(f"{process.name} left with {process.status}: {process.out()} {process.err()}")
        this.mpf.wait()
    print(f"    {CHECKS} times: {media.err().splitlines()[1]}")
    # A line that MPF sent after the start of the ball, changed in the recording.
    old = next(line for line in this.media.splitlines() if line.startswith("ball_end"))
    media = media_controller(this, this.media.replace(old, "ball_ended", 1), "both-changed")
    check(this, this.game)
    media.wait()
    heads = [line for line in media.out().splitlines() if not line.startswith(("  ", "FAIL: "))]
    if media.status != 1 or len(heads) != 1 or f":{number(this.media, old)}: " not in heads[0]:
        raise Failed(f"differences {heads} and {media.status}: {media.out()} {media.err()}")
    this.mpf.wait()


def mutants(this):
    """each reply that differs from the recorded one is found, one difference for each change"""
    start_up(this, "machine", "mutants")
    text, evaluated = this.service, "#<evaluate_placeholder?value=int:42&error=bool:False"
    switches = next(line for line in text.splitlines() if line.startswith("#<list_switches?"))
    hello = next(line for line in text.splitlines() if line.startswith("#<hello?"))
    lights = '#<list_lights?json={"lights": []}'
    # Changes to the recording, and the expected report of the changed line.
    changes = [
        (evaluated, evaluated.replace("42", "43"), "differs in value"),
        (evaluated, evaluated.replace("int:42", "42"), "differs in value"),
        (evaluated, evaluated.replace("evaluate_", "evaluated_"), "no reply within .*"),
        (evaluated, evaluated.replace("value", "valu"), "differs in valu, value"),
        (evaluated, evaluated.replace("&error=bool:False", ""), "differs in error"),
        (evaluated, evaluated + "&more=1", "differs in more"),
        (evaluated, evaluated.replace("#<", "#~").replace("int:42", "int:5*"), "differs in value"),
        (switches, switches.replace('"s_start", 0', '"s_start", 1'), "differs in switches"),
        (hello, f"{hello}\n#<nothing?like=it", "no reply within .*"),
        ("service?subcommand=list_lights", "nosuch?x=1", "no reply within .*"),
    ]
    found(this, text, [], "--exact")
    found(this, text.replace(evaluated, "#~evaluate_placeholder?value=int:4*"), [])
    for old, new, report in changes:
        if text.count(old) != 1 or old == new:
            raise Failed(f"{old} stands {text.count(old)} times in the recording")
        # The reported line: the first changed or added line, or the reply to a changed request.
        line = number(text, old) + new.count("\n") + (2 if not old.startswith("#") else 0)
        found(this, text.replace(old, new), [(str(line), report)])
    found(this, text.replace(f"{lights}\n", ""), [("", "not recorded: received after line .*")], "--exact")
    end(this)
    print(f"    {len(changes) + 1} changes")


def swapped(this):
    """two replies of a game recorded the other way round are one difference"""
    start_up(this, "game", "swapped")
    one, other = [line for line in this.game.splitlines() if line.startswith("#<player_variable?")][:2]
    text = this.game.replace(one, "#<swapped").replace(other, one).replace("#<swapped", other)
    found(this, text, [(str(number(text, other)), f"out of order: received after line {number(text, one)}")])
    end(this)


def number(text, part):
    """The number of the first line with this text."""
    return text[:text.index(part)].count("\n") + 1


def recipe(this):
    """the check of a whole machine in docs/ci.md passes as it is written, and fails with a changed recording"""
    with open(os.path.join(HERE, "..", "..", "docs", "ci.md"), encoding="utf-8") as file:
        script = next(block for block in re.findall(r"```sh\n(.*?)```", file.read(), re.S) if "mpf game" in block)
    if any(is_taken(port) for port in (5050, 5051)):
        print("    skipped: port 5050 or 5051 is in use, and the recipe uses them")
        return
    folder = os.path.join(this.folder, "recipe")
    shutil.copytree(os.path.join(HERE, "machine"), os.path.join(folder, "my_machine"))
    path = os.pathsep.join([os.path.dirname(this.backbox), os.path.dirname(sys.executable), os.environ["PATH"]])
    for text, status in ((this.service, 0), (this.service.replace("value=int:42", "value=int:43"), 1)):
        with open(os.path.join(folder, "service.bcp"), "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        line = f"cd {shlex.quote(folder)}; PATH={shlex.quote(path)}; {script}"
        done = this.start(f"recipe-{status}", ["sh", "-e", "-c", line])
        done.wait()
        with open(os.path.join(folder, "report.xml"), encoding="utf-8") as file:
            failures = len(ElementTree.parse(file).findall("testsuite/testcase/failure"))
        os.remove(os.path.join(folder, "report.xml"))
        if (done.status, failures) != (status, status):
            done.show()
            raise Failed(f"the recipe left with {done.status} and {failures} failures, not {status}")


def is_taken(port):
    """Whether a program listens on this port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


STAND_IN = """#backbox-session 1
#@0
ask
#@0.01
#<frame?name=dmd&bytes=4
#=AAECAw==
#<end
#@0.02
next
#@0.03
#<last?n=int:1
#@0.04
#<goodbye
"""


def stand_in(this):
    """so is what MPF does not do: another payload, an error, a late reply, a connection that is closed"""
    for count, (old, new, expected) in enumerate([
            ("", "", []),
            ("AAECAw==", "AAECBA==", [("5", "differs in @payload")]),
            ("#<last?n=int:1", "#<error?message=no", [("11", "the peer replied with an error")]),
            ("#@0.03\n", "#@1.06\n", [("11", "no reply within .*")]),
            (STAND_IN[STAND_IN.index("#<end"):], "", [("7", "the peer closed the connection before this reply and 1 more")]),
    ]):
        path = os.path.join(this.folder, f"stand-in-{count}.bcp")
        with open(path, "w", encoding="ascii") as file:
            file.write(STAND_IN.replace(old, new))
        address = f"{path}.address"
        peer = this.start(f"stand-in-{count}", [
            this.backbox, "replay", "--serve", "-a", "127.0.0.1:0", "--announce", address, "--reply-timeout", "5s", path])
        port = wait_for("the stand-in's address", lambda: port_of(address), [peer])
        found(this, STAND_IN, expected, port=port)
        peer.wait()


def found(this, text, expected, *flags, port=None):
    """Checks a recording, which must have these differences: pairs of a line number and a pattern of the report."""
    process = check(this, text, "--speed", "max", "--reply-timeout", "1s", *flags, port=port)
    heads = [re.match(r".*?\.bcp:?(\d*): (.*)", line).groups() for line in process.out().splitlines()
             if not line.startswith(("  ", "PASS: ", "FAIL: "))]
    alike = len(heads) == len(expected) and all(
        line == number and re.fullmatch(report, head) for (line, head), (number, report) in zip(heads, expected))
    if not alike or process.status != (1 if expected else 0):
        raise Failed(f"differences {heads}, not {expected}, and {process.status}: {process.out()} {process.err()}")


if __name__ == "__main__":
    sys.exit(main([service_recorded, game_recorded, service_passes, game_passes, both_ports_pass, mutants, swapped, stand_in, recipe], __doc__))
