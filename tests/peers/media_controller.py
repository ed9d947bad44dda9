#!/usr/bin/env python3
"""A small media controller, independent of backbox, with faults on request: media_controller.py [--fault NAME]

It listens on a free port of 127.0.0.1, prints the port as its first line, serves one connection after another, and
ends with its standard input. Without a fault it follows the BCP specification.
"""
import argparse
import socket
import sys
import threading
from urllib.parse import quote, unquote_plus

FAULTS = {
    "case": "commands and names are case-sensitive",
    "trimming": "white space around commands and names is kept",
    "blank-lines": "a blank line is an unknown command",
    "comments": "a line that begins with a hash is an unknown command",
    "unknown-command": "an unknown command gets no reply",
    "any-version": "every version is accepted",
    "payload": "a payload is read as lines",
    "unknown-parameter": "a command with an unknown parameter is refused",
}
KNOWN = {
    "hello": {"version", "controller_name", "controller_version"},
    "mode_start": {"name", "priority"},
    "mode_stop": {"name"},
    "mode_list": {"running_modes"},
    "player_added": {"player_num"},
    "ball_start": {"player_num", "ball"},
    "ball_end": set(),
    "player_variable": {"name", "value", "prev_value", "change", "player_num"},
    "machine_variable": {"name", "value", "prev_value", "change"},
    "device": {"type", "name", "changes", "state"},
    "trigger": {"name"},
    "reset": set(),
    "goodbye": set(),
}


class Connection:
    """One connection of a pin controller."""

    def __init__(self, peer, fault):
        self.file, self.fault = peer.makefile("rwb"), fault

    def serve(self):
        """Reads lines until the peer closes or sends goodbye."""
        while True:
            raw = self.file.readline()
            if not raw:
                return
            line = raw.decode("utf-8").replace("\r", "").removesuffix("\n")
            line, marker, length = line.rpartition("&bytes=")
            if not marker or not length.isdigit():
                line = line + marker + length
            elif self.fault != "payload":
                self.file.read(int(length))
            if self.is_ignored(line):
                continue
            if self.execute(line) == "goodbye":
                return

    def is_ignored(self, line):
        if not line.strip():
            return self.fault != "blank-lines"
        return line.lstrip().startswith("#") and self.fault != "comments"

    def execute(self, line):
        """Replies to one command and returns its name."""
        command, _, query = line.partition("?")
        command = self.normal(command)
        if command not in KNOWN:
            if self.fault != "unknown-command":
                self.reply("error", message="unknown command", command=command)
            return command
        names = {"json"} if query.lower().startswith("json=") else set()
        params = {}
        if not names:
            for part in filter(None, query.split("&")):
                name, _, value = part.partition("=")
                params.setdefault(self.normal(unquote_plus(name)), unquote_plus(value))
        if self.fault == "unknown-parameter" and set(params) - KNOWN[command]:
            self.reply("error", message="unknown parameter", command=command)
        elif command == "hello":
            self.greet(params.get("version", "1.1"))
        elif command == "reset":
            self.reply("monitor_start", category="modes")
            self.reply("reset_complete")
        return command

    def greet(self, version):
        if version.split(".")[0] == "1" or self.fault == "any-version":
            self.reply("hello", version="1.1", controller_name="example", controller_version="1")
        else:
            self.reply("error", message="unknown protocol version")

    def normal(self, name):
        """Folds a command or name for comparison."""
        name = name if self.fault == "trimming" else name.strip(" \t\v\f")
        return name if self.fault == "case" else name.lower()

    def reply(self, reply, **params):
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in params.items())
        self.file.write(f"{reply}{'?' if query else ''}{query}\n".encode())
        self.file.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fault", choices=FAULTS)
    fault = parser.parse_args().fault
    server = socket.create_server(("127.0.0.1", 0))
    print(server.getsockname()[1], flush=True)

    def serve():
        while True:
            peer, _ = server.accept()
            with peer:
                try:
                    Connection(peer, fault).serve()
                except OSError:
                    pass

    threading.Thread(target=serve, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
