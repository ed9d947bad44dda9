#!/usr/bin/env python3
"""Checks `backbox listen` with tools for a running MPF 0.81: `mpf service` and mpf-monitor 1.0.1.

usage: mpf_tools.py BACKBOX [--keep]

`listen --forward` forwards to MPF's own port. The commands of MPF's service shell pass through it and get
replies; then mpf-monitor's BCP client, without its windows, watches MPF through it; then the same client connects to `listen
--as pin`, a stand-in for MPF. No program may report an error, and the recording must be what was sent. Every port is a free one
of the loopback interface, every wait has a deadline, and no process is left.

Run it with a Python that has both: "$(tests/peers/venv.sh)" tests/peers/mpf_tools.py target/release/backbox
Exit status: 0 all checks passed, 1 one failed (the output of all processes is printed), 2 they could not run.
"""
import json
import os
import re
import signal
import sys

from mpf_forward import announce
from mpf_live import HERE, main
from mpf_send import PROBE
from processes import Failed, wait_for

# `mpf service` connects to localhost:5051 only, so its connection is redirected to another port; everything else is MPF's own.
SERVICE = """
import asyncio, runpy, sys
connect, port = asyncio.open_connection, int(sys.argv.pop(1))
asyncio.open_connection = lambda _host, _port: connect("127.0.0.1", port)
sys.stdin = open(sys.argv.pop(1))
runpy.run_module("mpf", run_name="__main__", alter_sys=True)
"""
# Commands for the service shell, and the expected output.
TYPED = [
    ("list_switches", "| s_start "), ("list_coils", "| c_knocker "), ("coil_pulse c_knocker", "Success"),
    ("coil_pulse c_nothing", "Error: Coil not found"), ("coil_pulse c_knocker pulse_ms:30", "Success"),
    ("placeholder_evaluate 6*7", "Result: 42"), ("list_lights", "Board"), ("list_shows", "Token"),
    ("show_play nothing", "Error: "), ("exit", ""),
]
CATEGORIES = ["devices", "events", "modes", "machine_vars", "player_vars"]
COUNTS = 20


def start_up(this):
    """MPF starts up with listen as its media controller, and `listen --forward` before its own port"""
    this.listen, port = announce(this, "listen")
    this.start_mpf(port)
    this.must_send(*PROBE)
    this.session = os.path.join(this.folder, "tools.bcp")
    this.forward, this.forward_port = announce(this, "forward", "--forward", str(this.own_port), "--record", this.session)


def service(this):
    """the commands of `mpf service` get replies through listen --forward"""
    typed = os.path.join(this.folder, "typed")
    with open(typed, "w", encoding="ascii") as file:
        file.writelines(f"{line}\n" for line, _ in TYPED)
    machine = os.path.join(this.folder, "mpf-machine")
    shell = this.start("service", [sys.executable, "-c", SERVICE, str(this.forward_port), typed, "service", machine])
    shell.wait()
    if shell.status != 0 or shell.err():
        raise Failed(f"the service shell exited with {shell.status} and printed {shell.out()} {shell.err()}")
    # Each part must be in the output after the prompt of its command.
    replies = shell.out().split("(service) ")[1:]
    if len(replies) != len(TYPED):
        raise Failed(f"{len(TYPED)} commands, but {len(replies)} prompts: {shell.out()}")
    for (line, part), reply in zip(TYPED, replies):
        if part not in reply:
            raise Failed(f"{line} got the reply {reply!r}, without {part!r}")


def monitor(this):
    """mpf-monitor's client watches MPF through listen --forward"""
    client = watch(this, "monitor", this.forward_port)
    wait(this, client, "the attract mode", lambda: any(command == "mode_list" for command, _ in received(client)))
    for _ in range(COUNTS):
        this.must_send("trigger", "name=backbox_count_up")
    wait(this, client, f"the counts 0 to {COUNTS}", lambda: counts(client)[-1:] == [COUNTS])
    if counts(client) != list(range(COUNTS + 1)):
        raise Failed(f"the monitor counted {counts(client)}, not 0 to {COUNTS}")
    ended(client)
    this.commands = [command for command, _ in received(client)]
    print(f"    {len(this.commands)} messages, of them {this.commands.count('monitored_event')} of events")


def monitor_pin(this):
    """the same client works with listen --as pin"""
    reply = 'monitor_start?category=modes => mode_list?json={"running_modes": [["attract", 10]]}'
    stand_in, port = announce(this, "pin", "--as", "pin", "--reply", reply, "--once")
    client = watch(this, "monitor-pin", port)
    wait(this, client, "the reply of listen", lambda: len(received(client)) >= 2)
    # Its thread sends the categories one after another, and closing would drop the rest.
    wait(this, client, "all that it asks for", lambda: stand_in.out().count("\n") == len(CATEGORIES))
    ended(client)
    stand_in.wait()
    (first, greeting), second = received(client)
    attract = ["mode_list", {"running_modes": [["attract", 10]]}]
    if first != "hello" or greeting.get("version") != "1.1" or second != attract:
        raise Failed(f"the monitor received {received(client)}")
    if stand_in.out().splitlines() != [f"monitor_start?category={name}" for name in CATEGORIES]:
        raise Failed(f"the stand-in printed {stand_in.out()}")
    quiet(stand_in, 0, "listening on ", "received ")


def leaving(this):
    """MPF ends with its media controller, and neither it nor listen has reported an error"""
    this.listen.signal(signal.SIGINT)
    this.listen.wait()
    this.mpf.wait()
    if this.mpf.status != 0:
        raise Failed(f"MPF exited with {this.mpf.status}")
    with open(os.path.join(this.folder, "mpf-machine", "mpf.log"), encoding="utf-8") as file:
        complaints = [line for line in file if re.search(r" : (WARNING|ERROR|CRITICAL) : .*BCP|Traceback", line, re.I)]
    if complaints:
        raise Failed(f"MPF complained: {complaints}")
    this.forward.signal(signal.SIGINT)
    this.forward.wait()
    quiet(this.forward, 130, "listening on ", "forwarding to ", "received ")


def recorded(this):
    """the recording contains what the service shell and the monitor sent and received"""
    sent, replies = exchange(this.session, 1)
    words = [line.split()[0] for line, _ in TYPED if line != "exit"]
    requested = [re.sub(r'.*?subcommand(?:=|": ")(\w+).*', r"\1", line) for line in sent if line.startswith("service?")]
    wanted = ["start", *[word for word in words if word != "placeholder_evaluate"], "stop"]
    if requested != wanted:
        raise Failed(f"the recorded service shell requested {requested}, not {wanted}")
    received = [line.partition("?")[0] for line in replies]
    if received.count("coil_pulse") != words.count("coil_pulse") or "service_stop" not in received:
        raise Failed(f"the service shell received {received}")
    sent, replies = exchange(this.session, 2)
    if sent != [f"monitor_start?category={name}" for name in CATEGORIES]:
        raise Failed(f"the recorded monitor sent {sent}")
    if [line.partition("?")[0] for line in replies[:len(this.commands)]] != this.commands:
        raise Failed("what the monitor received is not what was recorded")


def watch(this, name, port):
    """Starts the monitor's client."""
    return this.start(name, [sys.executable, os.path.join(HERE, "monitor.py"), str(port)])


def wait(this, client, what, condition):
    """Waits until `condition()` is true; the end of the monitor's client ends the waiting as well."""
    wait_for(f"{what} in {client.name}", condition, [this.listen, this.mpf, client])


def ended(client):
    """Ends the monitor's client, which must exit without an error."""
    client.signal(signal.SIGTERM)
    client.wait()
    quiet(client, 0)


def quiet(process, status, *beginnings):
    """Fails unless the process ended with this status and printed exactly lines with these beginnings."""
    lines = process.err().splitlines()
    if process.status != status or len(lines) != len(beginnings) or not all(map(str.startswith, lines, beginnings)):
        raise Failed(f"{process.name} exited with {process.status}, not {status}, and printed {process.err()!r}")


def received(client):
    """The messages that the monitor's client has received so far: lists of command and parameters."""
    return [json.loads(line) for line in client.out().split("\n")[:-1]]


def counts(client):
    """Each value of the machine variable backbox_count that the monitor's client has received, in order."""
    return [values["value"] for command, values in received(client)
            if command == "machine_variable" and values["name"] == "backbox_count"]


def exchange(session, connection):
    """The lines of the client and of the server on one connection of a recorded session."""
    sent, replies, current = [], [], 1
    with open(session, encoding="utf-8") as file:
        for line in file.read().splitlines():
            if line.startswith("#@"):
                current = int((line.split() + ["1"])[1])
            elif current == connection and line.startswith("#<"):
                replies.append(line[2:])
            elif current == connection and not line.startswith("#"):
                sent.append(line)
    return sent, replies


if __name__ == "__main__":
    sys.exit(main([start_up, service, monitor, monitor_pin, leaving, recorded], __doc__))
