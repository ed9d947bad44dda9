#!/usr/bin/env python3
"""Checks `listen` and `send --wire obe` against a client and a server of Python.

usage: obe_live.py BACKBOX [--values 300] [--seed N]

The client sends 300 requests to `backbox listen`, and several clients at once; the server gets 300 from `backbox
send`, from arguments and as JSON Lines, and does not reply to one command.
Exit status: 0 no difference, 1 a difference, 2 the check could not run.
"""
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import obe_values
from obe_peer import SECONDS_MAX, Server, ask
from obe_values import same


def check(what, got, want):
    """Exits if the values differ."""
    if not (got == want or same(got, want)):
        print(f"DIFFERENCE: {what}\n  got:    {got!r}\n  wanted: {want!r}")
        sys.exit(1)


def start(program, *arguments):
    """A running backbox."""
    try:
        return subprocess.Popen([program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        print(f"obe_live.py: cannot run {program}: {error}", file=sys.stderr)
        sys.exit(2)


def listening(program, folder, *arguments):
    """A `backbox listen` and its address."""
    file = Path(folder) / "address"
    running = start(program, "listen", "--wire", "obe", "-a", "127.0.0.1:0", "--announce", str(file), *arguments)
    end = time.monotonic() + SECONDS_MAX
    while not file.exists():
        check("whether it listens", running.poll() is None and time.monotonic() < end, True)
        time.sleep(0.01)
    host, port = file.read_text().strip().split(":")
    return running, (host, int(port))


def as_server(program, values):
    """backbox is the server."""
    with tempfile.TemporaryDirectory() as folder:
        running, address = listening(program, folder, "-e", "done", "--reply", "setting => {\"got\": \"{value}\", \"é\": [1.0]}")
        printed = []
        reader = threading.Thread(target=lambda: printed.extend(running.stdout))
        reader.start()
        for value in values:
            check("the reply to any value", ask(address, value), "OK")
            reply = ask(address, {"command": "setting", "value": value})
            check("a reply with something filled in", reply, {"got": value, "\u00e9": [1.0]})
        replies = []
        clients = [threading.Thread(target=lambda: replies.append(ask(address, ["at once"]))) for _ in range(20)]
        for client in clients:
            client.start()
        for client in clients:
            client.join(SECONDS_MAX)
        check("the replies to several clients at once", replies, ["OK"] * len(clients))
        check("the reply to done", ask(address, {"command": "done"}), "OK")
        check("the exit status", running.wait(SECONDS_MAX), 0)
        reader.join(SECONDS_MAX)
        lines = [json.loads(line) for line in printed]
        check("how many messages were printed", len(lines), 2 * len(values) + len(clients) + 1)
        check("the messages that were printed", lines[:2 * len(values):2], values)
        check("the last message", lines[-1], {"command": "done"})


class Replier:
    """A server in a thread, which replies to everything except one command, and stores what it receives."""

    def __init__(self, count):
        self.server, self.received, self.failed = Server(), [], None
        self.thread = threading.Thread(target=self.run, args=(count,))
        self.thread.start()

    def run(self, count):
        """Serves a number of clients."""
        try:
            for _ in range(count):
                message = self.server.receive()
                self.received.append(message)
                if not (isinstance(message, dict) and message.get("command") == "unknown"):
                    self.server.reply({"reply": message})
        except Exception as error:  # noqa: BLE001 - any exception is a failure of the check.
            self.failed = error

    def join(self):
        """Waits for the thread; returns what was received."""
        self.thread.join(SECONDS_MAX)
        check("whether the server lives", self.failed, None)
        self.server.close()
        return self.received


def as_client(program, values):
    """backbox is the client."""
    replier = Replier(len(values))
    sending = start(program, "send", "--wire", "obe", "-a", replier.server.address, "-")
    lines = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
    out, err = sending.communicate(lines.encode(), SECONDS_MAX * 3)
    check("the report about a stream", (sending.returncode, err.decode()), (0, ""))
    check("what the server received", replier.join(), values)
    check("the replies that were printed", [json.loads(line) for line in out.splitlines()], [{"reply": v} for v in values])

    cases = [
        (["goodset", "pickiness:=4", "name=a b"], {"command": "goodset", "pickiness": 4, "name": "a b"}, 0),
        (['{"command": "done"}'], {"command": "done"}, 0),
        (['"OK"', "-e", '{"reply":"OK"}'], "OK", 0),
        (["x", "-e", "y"], {"command": "x"}, 1),
        (["x", "--no-reply"], {"command": "x"}, 0),
        (["unknown", "-W", "0.2"], {"command": "unknown"}, 124),
    ]
    replier = Replier(len(cases))
    for words, message, status in cases:
        sending = start(program, "send", "--wire", "obe", "-a", replier.server.address, *words)
        sending.communicate(b"", SECONDS_MAX)
        check(f"the exit status of send {words}", sending.returncode, status)
    check("what the server received", replier.join(), [message for _, message, _ in cases])


def main():
    """Runs both roles."""
    options, _, values = obe_values.arguments()
    as_server(options.backbox, values)
    as_client(options.backbox, values)
    print(f"{len(values)} values in each role, seed {options.seed}: all the same")


if __name__ == "__main__":
    main()
