#!/usr/bin/env python3
"""Checks the guard of `backbox send` against a running MPF 0.81 on virtual hardware.

usage: mpf_guard.py BACKBOX [--keep]

Random lines are checked against MPF's own decoder. Then one line for each rule of the guard: without --force none is
sent and MPF continues, also through every line of guard.jsonl and guard-more.jsonl that MPF survives; with --force each
ends an MPF of its own. Every port is a free one of the loopback interface, every wait has a deadline, and everything is
cleaned up.

Run it with a Python that has mpf 0.81.0: "$(tests/peers/venv.sh)" tests/peers/mpf_guard.py target/release/backbox
Exit status: 0 passed, 1 failed (the output of every MPF is printed), 2 could not run.
"""
import base64
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from random import Random

import frame
from processes import SECONDS_MAX, Failed, Process, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
CASES = [os.path.join(HERE, "..", "data", name) for name in ("guard.jsonl", "guard-more.jsonl")]
# The number of MPFs that start in parallel without much delay.
ENDING_AT_ONCE = 6

# With -b MPF connects to no media controller and opens its own port at once.
PORTS = """#config_version=6
bcp:
  servers:
    url_style:
      ip: 127.0.0.1
      port: {own}
"""

# With displays, MPF knows dmd_frame and rgb_dmd_frame, and exits on those for an unknown display.
DISPLAYS = """
displays:
  window:
    width: 128
    height: 32
dmds:
  default:
    source_display: window
rgb_dmds:
  default:
    source_display: window
"""

# One line for each rule; `nosuch` is a command that MPF does not know.
ENDING = {
    "a line over 65,536 bytes": b"nosuch?x=" + b"a" * 65_536 + b"\n",
    "a byte that is not UTF-8": b"nosuch?x=\xff\n",
    "a payload whose length is no number": b"nosuch&bytes=abc\n",
    "a command that is a malformed URL": b"//[\n",
    "an integer that is no number": b"nosuch?x=int:abc\n",
    "a float that is no number": b"nosuch?x=float:abc\n",
    "JSON that is malformed": b"nosuch?json={\n",
    "JSON that is no object": b"trigger?json=[1]\n",
    "a required parameter in capitals": b"trigger?Name=backbox_knock\n",
    "a parameter where there is none": b"goodbye?x=1\n",
    "a payload where there is none": b"monitor_start?category=modes&bytes=4\nABCD",
    "a parameter of MPF's own": b"error?self=1\n",
    "a callback": b"trigger?name=backbox_knock&callback=x\n",
    "a state that is no integer": b"switch?name=s_start&state=on\n",
    "text where a number is": b"service?subcommand=coil_pulse&coil=c_knocker&pulse_ms=-1\n",
    "a list as a name": b'switch?json={"name": ["s_start"], "state": 1}\n',
    "an event with a dot": b"register_trigger?event=a.int\n",
    "an event with a malformed condition": b"register_trigger?event=a{x=1}\n",
    "a placeholder with an open bracket": b"evaluate_placeholder?placeholder=foo(\n",
    "JSON with a trailing comma": b'nosuch?json={"a": [1,]}\n',
    "a frame without payload": b"dmd_frame?name=default\n",
    "a color frame without name": b"rgb_dmd_frame&bytes=4\nABCD",
}


# Parts of random lines: everything for which Python's numbers, escapes and JSON have a rule.
PIECES = """int: float: bool: NoneType: 5 - + _ 1_0 . e nan inf %20 % %3A %69 int%3A float%3A1 %41 a = & x= y= json= json={ { }
 [ ] " : , \\u00e9 \\ud800 \\ 1 0 01 null true false NaN -Infinity é ٣ %D9%A3 %FF ? # ; "a" "a": {"a": [1, 1.5 1e5 "a":1}
 Infinity %0A %2B""".split() + [" ", "\t", "\x1c", "\u2003"]
OPENINGS = ["", "x=int:", "x=float:", "x=int%3A", "x=", "json=", 'json={"a":']
RANDOM_LINES = 20_000


class Machine:
    """A running MPF and its port."""

    def __init__(self, run, name, displays):
        folder = os.path.join(run.folder, name)
        shutil.copytree(os.path.join(HERE, "machine"), folder)
        self.port = frame.free_port()
        with open(os.path.join(folder, "config", "ports.yaml"), "w", encoding="ascii") as file:
            file.write(PORTS.format(own=self.port) + displays)
        flags = ["-X", "-t", "-a", "-A", "-b", "-v", "-l", "mpf.log", "-c", "config.yaml,ports.yaml"]
        self.process = run.stack.enter_context(
            Process(name, [sys.executable, "-m", "mpf", "game", folder, *flags], run.folder))

    def wait_until_ready(self):
        """Waits until it has started the attract mode, as its port opens before that."""
        wait_for(f"{self.process.name} to start the attract mode", self._is_ready, [self.process])

    def _is_ready(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS_MAX) as client:
                client.settimeout(SECONDS_MAX)
                client.sendall(b"monitor_start?category=modes\ngoodbye\n")
                return b'"attract"' in read_all(client)
        except OSError:
            return False

    def check_lives(self, after):
        """Fails unless MPF still replies."""
        if self.process.status is None and self._is_ready():
            return
        raise Failed(f"MPF did not survive {after}")


class Run:
    """What the steps share: the machines of this run."""

    def __init__(self, backbox, folder, stack):
        self.backbox, self.folder, self.stack = backbox, folder, stack
        self.machines = []

    def start_machine(self, displays=""):
        """Starts an MPF that is ended with the run."""
        self.machines.append(Machine(self, f"mpf-{len(self.machines) + 1}", displays))
        return self.machines[-1]

    def show(self):
        """Prints the output of every MPF after a failure."""
        for machine in self.machines:
            machine.process.show()

    def send(self, machine, lines, *flags):
        """Sends `lines` as a stream; returns the exit status of `send` and its standard error."""
        arguments = [self.backbox, "send", "-a", f"127.0.0.1:{machine.port}", *flags]
        try:
            done = subprocess.run(arguments, input=lines, capture_output=True, timeout=SECONDS_MAX, check=False)
        except subprocess.TimeoutExpired:
            raise Failed(f"send {' '.join(flags)} was still running after {SECONDS_MAX} s: {lines[:80]}") from None
        return done.returncode, done.stderr.decode(errors="replace")


def read_alike(this):
    """random lines: lint reports an end of MPF if and only if MPF's decoder raises an exception"""
    from mpf.core.bcp.bcp_socket_client import decode_command_string
    random = Random(81)
    lines = []
    for _ in range(RANDOM_LINES):
        pieces = random.choices(PIECES, k=random.randint(0, 7))
        lines.append("nosuch?" + random.choice(OPENINGS) + "".join(pieces))
    found = subprocess.run([this.backbox, "decode", "--lint", "-q"], input="\n".join(lines).encode() + b"\n",
                           capture_output=True, timeout=SECONDS_MAX, check=False)
    ends = {int(number) for number in re.findall(rb"^<stdin>:(\d+): stop: would end MPF", found.stdout, re.M)}
    # A lone surrogate is reported before what may follow it.
    others = {int(number) for number in re.findall(rb"^<stdin>:(\d+): trap: would be rejected", found.stdout, re.M)}
    for number, line in enumerate(lines, 1):
        try:
            decode_command_string(line)
            raised = None
        except Exception as error:  # Any exception ends MPF.
            raised = error
        if (raised is not None) != (number in ends) and number not in others:
            raise Failed(f"{line!r}: MPF's decoder raised {raised!r}, and lint disagrees")
    if not RANDOM_LINES / 10 < len(ends) < RANDOM_LINES * 9 / 10:
        raise Failed(f"{len(ends)} of {RANDOM_LINES} random lines are found to end MPF, which tests too little")
    print(f"    {len(lines)} lines, {len(ends)} of them would end MPF")


def refused(this):
    """without --force each line is refused with exit 1 and a message that names MPF, and MPF continues"""
    machine = this.start_machine()
    machine.wait_until_ready()
    for kind, lines in ENDING.items():
        status, errors = this.send(machine, lines)
        if status != 1 or "would end MPF 0.81" not in errors or "--force" not in errors:
            raise Failed(f"{kind}: send exited with {status} and reported {errors!r}")
    machine.check_lives("what send refused to send")


def survived(this):
    """every line of the data files that MPF survives, through send, and MPF continues"""
    machine = this.machines[0]
    cases = []
    for path in CASES:
        with open(path, encoding="utf-8") as file:
            cases += [json.loads(line) for line in file]
    inputs = [base64.b64decode(case["line_b64"]) if "line_b64" in case else case["line"].encode()
              for case in cases if not case["ends_mpf"]]
    statuses = []
    for lines in inputs:
        status, errors = this.send(machine, lines)
        # 4: MPF's reply reports a failure. 3: MPF closed after this goodbye, before send sent its own. MPF continues.
        fine = (0, 1, 3, 4) if b"goodbye" in lines else (0, 1, 4)
        if machine.process.status is not None or status not in fine or (status == 1) != ("MPF 0.81" in errors):
            raise Failed(f"{lines[:80]}: send exited with {status} and reported {errors!r}; MPF: {machine.process.status}")
        statuses.append(status)
    machine.check_lives("the lines that it survived one by one")
    print(f"    {len(inputs)} inputs, the guard refused {statuses.count(1)} of them")


def forced(this):
    """with --force each line ends an MPF"""
    left = list(ENDING.items())
    while left:
        batch, left = left[:ENDING_AT_ONCE], left[ENDING_AT_ONCE:]
        machines = [(this.start_machine(DISPLAYS), kind, lines) for kind, lines in batch]
        for machine, kind, lines in machines:
            machine.wait_until_ready()
            this.send(machine, lines, "--force")
            machine.process.wait()
            if machine.process.status != 0:
                raise Failed(f"{kind}: MPF exited with {machine.process.status}, expected 0")


def read_all(client):
    """Reads everything until the peer closes."""
    received = b""
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        piece = client.recv(65_536)
        if not piece:
            break
        received += piece
    return received


if __name__ == "__main__":
    sys.exit(frame.main([read_alike, refused, survived, forced], __doc__, Run))
