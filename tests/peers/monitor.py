#!/usr/bin/env python3
"""The BCP client of mpf-monitor 1.0.1 without its windows: monitor.py PORT

It connects to PORT as the monitor does and prints each message that it received, a JSON list of command and parameters a line,
until SIGTERM. Exit status: 0 without errors, 1 if one of its threads failed or it was disconnected.
"""
import json
import logging
import queue
import signal
import sys
import threading
import types


class Timer:
    """Replaces Qt's timer, with which the client plays its cache and which is only stopped here; Qt is not needed."""

    def __init__(self, _parent):
        """Ignores the parent."""

    def stop(self):
        """Does nothing, because the timer is never started."""


class Monitor:
    """The parts of the monitor's main window that the client uses."""

    log = logging.getLogger("monitor")
    device_window = None
    machine_path = "."

    def __init__(self):
        self.thread_stopper = threading.Event()
        self.complaints = []

    def handle_mpf_disconnected(self):
        """Called by the client when the other side has closed the connection."""
        self.complaints.append("disconnected")


def main():
    """Runs the client until SIGTERM."""
    core = types.ModuleType("PyQt6.QtCore")
    core.QTimer = Timer
    sys.modules.update({"PyQt6": types.ModuleType("PyQt6"), "PyQt6.QtCore": core})
    from mpfmonitor.core.bcp_client import BCPClient

    logging.basicConfig(level=logging.WARNING)
    monitor = Monitor()
    threading.excepthook = lambda failed: monitor.complaints.append(f"{failed.exc_type.__name__}: {failed.exc_value}")
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    received = queue.Queue()
    client = BCPClient(monitor, received, queue.Queue(), "127.0.0.1", int(sys.argv[1]))
    while not stopping.is_set() and not monitor.complaints:
        try:
            print(json.dumps(received.get(timeout=0.05)), flush=True)
        except queue.Empty:
            continue
    monitor.thread_stopper.set()
    # Closing the socket while its threads run makes the client fail; they check the stop flag once a second.
    for thread in filter(None, (client.receive_thread, client.sending_thread)):
        thread.join(10)
    client.close()
    for complaint in monitor.complaints:
        print(complaint, file=sys.stderr)
    return 1 if monitor.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
