"""Processes with their output in files; every wait has a deadline, and no process is left running."""
import os
import re
import signal
import subprocess
import time

# Long enough for a slow machine; only a process that hangs reaches this limit.
SECONDS_MAX = 60
LOOK_SECONDS = 0.02
SHOWN_LINES = 40


class Failed(Exception):
    """A failed check, with its reason."""


class Process:
    """A process in a group of its own, with no input, and its output in two files of `folder`."""

    def __init__(self, name, arguments, folder):
        self.name = name
        self._paths = [os.path.join(folder, f"{name}.{kind}") for kind in ("out", "err")]
        with open(self._paths[0], "wb") as out, open(self._paths[1], "wb") as err:
            self._process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder, start_new_session=True)
        self.pid = self._process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Ends the process and its children if it still runs."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.status is not None:
                return
            self.signal(number)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                continue

    @property
    def status(self):
        """The exit status, negative for a signal; None while the process runs."""
        return self._process.poll()

    def signal(self, number):
        """Sends a signal to it and its children, unless it has ended."""
        if self.status is None:
            os.killpg(self.pid, number)

    def wait(self):
        """Waits until it has ended."""
        try:
            self._process.wait(SECONDS_MAX)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} was still running after {SECONDS_MAX} s") from None

    def out(self):
        """Its standard output so far."""
        return self._read(0)

    def err(self):
        """Its standard error so far."""
        return self._read(1)

    def _read(self, which):
        with open(self._paths[which], encoding="utf-8", errors="replace", newline="\n") as file:
            return file.read()

    def show(self):
        """Prints the state of the process and the last lines of its output."""
        state = "still runs" if self.status is None else f"exited with {self.status}"
        for kind, text in (("output", self.out()), ("errors", self.err())):
            print(f"--- {self.name} {state}; the last lines of its {kind}:")
            print("\n".join(line[:300] for line in text.split("\n")[-SHOWN_LINES:]))


def wait_for(what, condition, processes):
    """Waits until `condition()` is true and returns its value.

    Fails after SECONDS_MAX, and as soon as one of `processes` has ended, since nothing more can come of it then.
    """
    deadline = time.monotonic() + SECONDS_MAX
    while True:
        # Read before the condition, so that what a process did just before its end still counts.
        left = [process for process in processes if process.status is not None]
        value = condition()
        if value:
            return value
        if left:
            raise Failed(f"{left[0].name} exited with {left[0].status} before: {what}")
        if time.monotonic() > deadline:
            raise Failed(f"not seen within {SECONDS_MAX} s: {what}")
        time.sleep(LOOK_SECONDS)


def port_of(path):
    """The port in a file that holds HOST:PORT and a line end; None while there is no such text."""
    try:
        with open(path, encoding="ascii") as file:
            found = re.fullmatch(r"\S+:([1-9]\d*)\n", file.read())
    except FileNotFoundError:
        return None
    return int(found[1]) if found else None
