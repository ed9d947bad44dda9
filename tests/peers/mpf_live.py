#!/usr/bin/env python3
"""Checks `backbox listen` and `backbox send` against a running MPF 0.81 on virtual hardware.

usage: mpf_live.py BACKBOX [--keep]

MPF is started with the machine beside this file and connects to `listen`, its media controller, which has to bring it through
start-up; `send` fires events that MPF executes; after 100 sends MPF has as many descriptors as before; both exit as
expected. Every port is a free one of the loopback interface, every wait has a deadline, and no process is left.

Run it with a Python that has mpf 0.81.0: "$(tests/peers/venv.sh)" tests/peers/mpf_live.py target/release/backbox
Exit status: 0 all checks passed, 1 one failed (the output of all processes is printed), 2 they could not run.
"""
import os
import re
import shutil
import signal
import socket
import sys

import frame
from processes import Failed, Process, port_of, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
SENDS = 100
SUBSCRIPTIONS = ["core_events", "service_events", "modes", "player_vars", "machine_vars"]

# A client that closes without goodbye costs MPF a descriptor until Python's garbage collector runs. It is disabled here,
# so that a lost descriptor is still counted.
START_MPF = "import gc, runpy; gc.disable(); runpy.run_module('mpf', run_name='__main__', alter_sys=True)"

PORTS = """#config_version=6
bcp:
  connections:
    local_display:
      host: 127.0.0.1
      port: {media}
      exit_on_close: true
  servers:
    url_style:
      ip: 127.0.0.1
      port: {own}
"""


def main(steps, documentation):
    """The steps of a check whose MPF has a media controller."""
    return frame.main(steps, documentation, Run)


class Run:
    """The processes of one run and their output so far."""

    def __init__(self, backbox, folder, stack):
        self.backbox, self.folder, self.stack = backbox, folder, stack
        self.own_port = None
        self.listen = self.mpf = self._log = None
        self.sends = 0

    def start(self, name, arguments):
        """Starts a process that is ended with the run."""
        return self.stack.enter_context(Process(name, arguments, self.folder))

    def start_mpf(self, media_port, machine="machine", name="mpf"):
        """Starts MPF on a copy of the machine, since it writes logs and data there; each MPF of a run has its name."""
        source, machine = os.path.join(HERE, machine), os.path.join(self.folder, f"{name}-machine")
        shutil.copytree(source, machine)
        self._log = os.path.join(machine, "mpf.log")
        self.own_port = frame.free_port()
        with open(os.path.join(machine, "config", "ports.yaml"), "w", encoding="ascii") as file:
            file.write(PORTS.format(media=media_port, own=self.own_port))
        flags = ["-X", "-t", "-a", "-A", "-v", "-l", "mpf.log", "-c", "config.yaml,ports.yaml"]
        self.mpf = self.start(name, [sys.executable, "-c", START_MPF, "game", machine, *flags])

    def send(self, *arguments, port=None):
        """One `backbox send` to MPF, waited for; returns the ended process."""
        self.sends += 1
        address = f"127.0.0.1:{port or self.own_port}"
        process = self.start(f"send-{self.sends}", [self.backbox, "send", "-a", address, *arguments])
        process.wait()
        return process

    def must_send(self, *arguments):
        """Runs a send that must exit with 0."""
        process = self.send(*arguments)
        if process.status != 0:
            raise Failed(f"send {' '.join(arguments)} exited with {process.status}: {process.err()}")

    def bcp_log(self):
        """The BCP lines of MPF's log so far: pairs of `Sending` or `Received`, and the line."""
        if self._log is None or not os.path.exists(self._log):
            return []
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return re.findall(r"""BCPClientSocket\S* : (Sending|Received) "(?:b['"])?(.*?)['"]?"$""", file.read(), re.M)

    def received(self):
        """The lines that MPF has received so far according to its log, from all clients."""
        return [line for direction, line in self.bcp_log() if direction == "Received"]

    def printed(self):
        """The lines that `listen` has printed so far, whole ones only."""
        return self.listen.out().split("\n")[:-1]

    def wait(self, what, condition):
        """Waits until `condition()` is true; the end of `listen` or MPF ends the waiting."""
        return wait_for(what, condition, [process for process in (self.listen, self.mpf) if process])

    def show(self):
        """Shows the output of all processes after a failure."""
        for process in (self.listen, self.mpf):
            if process:
                process.show()
        if self.mpf and self.mpf.status is None:
            print(f"--- mpf has {descriptors(self)} descriptors")
        print("--- BCP in MPF's log, the last lines:")
        for direction, line in self.bcp_log()[-40:]:
            print(f"{direction:8} {line[:200]}")


def start_up(this):
    """listen is MPF's media controller through start-up: hello, reset, its subscriptions, reset_complete, reports"""
    announced = os.path.join(this.folder, "announced")
    arguments = ["listen", "-a", "127.0.0.1:0", "--announce", announced, "-v"]
    this.listen = this.start("listen", [this.backbox, *arguments])
    media_port = this.wait("listen to announce its address", lambda: port_of(announced))
    this.start_mpf(media_port)
    this.wait("the attract mode in what listen prints", lambda: any(
        line.startswith("mode_list?") and "attract" in line for line in this.printed()))
    # MPF writes its log from another thread, so it may lag behind what it sent.
    this.wait("reset_complete in MPF's log", lambda: "reset_complete" in this.received())
    received = this.received()
    wanted = [f"monitor_start?category={name}" for name in SUBSCRIPTIONS] + ["reset_complete"]
    if not received or not re.fullmatch(r"hello\?version=1\.1(&.*)?", received[0]):
        raise Failed(f"the reply to MPF's hello was {received[:1]}, not with hello?version=1.1")
    if received[1:] != wanted:
        raise Failed(f"after its reset MPF received {received[1:]}, not {wanted}")
    for line in ("hello?", "reset", "machine_variable?name=backbox_count&value=int:0", "mode_start?name=attract"):
        if not any(printed.startswith(line) for printed in this.printed()):
            raise Failed(f"listen did not print a line that begins with {line}")
    for line in ("< reset", "> reset_complete"):
        this.wait(f"{line!r} in the output of listen -v", lambda: f"{line}\n" in this.listen.err())


def trigger(this):
    """send fires events, as arguments and as a line, and MPF acts on them"""
    this.must_send("--retry", "30s", "trigger", "name=backbox_knock")
    this.wait("the machine variable that backbox_knock sets", lambda: any(
        line.startswith("machine_variable?name=backbox_last&value=knocked") for line in this.printed()))
    this.must_send("trigger?name=backbox_count_up")
    this.wait("the count of 1", lambda: counted(this) == [0, 1])


def counted(this):
    """Each value of the machine variable backbox_count that listen has printed, in order."""
    text = "\n".join(this.printed())
    return [int(digits) for digits in re.findall(r"^machine_variable\?name=backbox_count&value=int:(\d+)", text, re.M)]


def many_sends(this):
    """100 sends: each exits with 0, each event is executed once, and MPF has as many descriptors as before"""
    before = settled_descriptors(this)
    most = before
    for _ in range(SENDS):
        this.must_send("trigger", "name=backbox_count_up")
        most = max(most, descriptors(this))
    this.wait(f"the count of {SENDS + 1}", lambda: counted(this)[-1] >= SENDS + 1)
    if counted(this) != list(range(SENDS + 2)):
        raise Failed(f"the counts that MPF reported are not 0 to {SENDS + 1}, each once: {counted(this)}")
    this.wait(f"MPF to have {before} descriptors again, as before {SENDS} sends", lambda: descriptors(this) == before)
    print(f"    descriptors of MPF: {before} before, {most} at the most, {descriptors(this)} after {SENDS} sends")


def lost_descriptor_is_counted(this):
    """a client that closes without goodbye does cost MPF a descriptor, which proves that the count above can fail"""
    before = descriptors(this)
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", this.own_port), timeout=30) as client:
            client.makefile("rb").readline()  # MPF's hello: it has accepted the connection.
    this.wait("MPF to lose three descriptors", lambda: descriptors(this) == before + 3)


def refused(this):
    """send to a closed port exits with 3 and names the option that waits for it"""
    with socket.socket() as taken:
        # Bound, but not listening: no other program can have the port, and it refuses.
        taken.bind(("127.0.0.1", 0))
        process = this.send("trigger", "name=x", port=taken.getsockname()[1])
    if process.status != 3 or "--retry" not in process.err() or process.out():
        raise Failed(f"exited with {process.status}, printed {process.out()!r} and printed {process.err()!r}")


def leaving(this):
    """SIGINT: listen sends goodbye and exits with 130, and MPF ends with its media controller"""
    this.listen.signal(signal.SIGINT)
    this.listen.wait()
    if this.listen.status != 130:
        raise Failed(f"listen exited with {this.listen.status}, not 130: {this.listen.err()[-500:]}")
    this.mpf.wait()
    if this.mpf.status != 0:
        raise Failed(f"MPF exited with {this.mpf.status}")
    if this.received()[-1:] != ["goodbye"]:
        raise Failed(f"the last thing that MPF received was {this.received()[-1:]}, not goodbye")


def descriptors(this):
    """The number of descriptors that MPF has open."""
    try:
        return len(os.listdir(f"/proc/{this.mpf.pid}/fd"))
    except OSError:
        raise Failed(f"MPF exited with {this.mpf.status}") from None


def settled_descriptors(this):
    """The number of MPF's descriptors after it has not changed for 20 checks."""
    seen = []

    def settled():
        seen.append(descriptors(this))
        return len(seen) >= 20 and len(set(seen[-20:])) == 1

    this.wait("MPF's descriptors to stay alike", settled)
    return seen[-1]


if __name__ == "__main__":
    sys.exit(main([start_up, trigger, many_sends, lost_descriptor_is_counted, refused, leaving], __doc__))
