"""Both roles of OBE_Socket, written from its documentation: one connection a message, one reply, only clients close.

Only Python's standard library is needed. Nothing in this file depends on backbox.
"""
import json
import socket

from obe_values import LENGTH_DIGITS, frame

SECONDS_MAX = 20
ADDRESS = ("127.0.0.1", 0)


def receive(connection):
    """Reads the next message of a connection in pieces, as the reference class does; every early close is an error."""
    def exactly(count):
        data = b""
        while len(data) < count:
            piece = connection.recv(min(count - len(data), 1024))
            if not piece:
                raise RuntimeError("socket connection broken")
            data += piece
        return data
    return json.loads(exactly(int(exactly(LENGTH_DIGITS))).decode())


def send(connection, value):
    """Sends one message."""
    connection.sendall(frame(json.dumps(value)))


def ask(address, value):
    """Sends one message over a new connection and returns the reply."""
    with socket.create_connection(address, timeout=SECONDS_MAX) as connection:
        send(connection, value)
        return receive(connection)


class Server:
    """A server that serves one client after another and never closes first: the next client replaces the connection."""

    def __init__(self):
        self.socket = socket.create_server(ADDRESS, backlog=1)
        self.socket.settimeout(SECONDS_MAX)
        self.connection = None
        self.address = "%s:%d" % self.socket.getsockname()

    def receive(self):
        """Returns the message of the next client. A client that closes without one ends the server, as in the reference."""
        previous = self.connection
        self.connection, _ = self.socket.accept()
        if previous is not None:
            previous.close()
        self.connection.settimeout(SECONDS_MAX)
        return receive(self.connection)

    def reply(self, value):
        """Replies to the last message."""
        send(self.connection, value)

    def close(self):
        """Ends the server."""
        self.connection and self.connection.close()
        self.socket.close()
