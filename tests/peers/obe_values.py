"""Random JSON values with difficult content, and OBE_Socket's frames as its documentation describes them.

Only Python's standard library is needed. Nothing in this file depends on backbox.
"""
import argparse
import json
import math

from messages import FLOATS, INTEGERS, Generator

LENGTH_DIGITS = 10


def frame(text):
    """The frame of a JSON text: its length in bytes, ten digits with zeros in front, and the text."""
    body = text.encode("utf-8")
    return b"%010d" % len(body) + body


def frames(data):
    """The bodies of whole frames, as bytes; anything left over is an error."""
    bodies, at = [], 0
    while at < len(data):
        length = int(data[at:at + LENGTH_DIGITS].decode("ascii"))
        at += LENGTH_DIGITS
        if at + length > len(data):
            raise ValueError(f"the frame at byte {at - LENGTH_DIGITS} is cut short")
        bodies.append(data[at:at + length])
        at += length
    return bodies


def same(a, b):
    """Whether two values are the same with their types, the sign of a zero and the order of members; NaN is NaN."""
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[name], b[name]) for name in a)
    return a == b


class Values:
    """Random values from one seed."""

    def __init__(self, seed):
        self.generator = Generator(seed)
        self.random = self.generator.random

    def value(self, depth=4):
        """Any JSON value, of few levels."""
        pick = self.random.random()
        if depth and pick < 0.2:
            return [self.value(depth - 1) for _ in range(self.random.randrange(4))]
        if depth and pick < 0.5:
            return {self.generator.text(): self.value(depth - 1) for _ in range(self.random.randrange(5))}
        if pick < 0.7:
            return self.generator.text()
        return self.random.choice([None, True, False, self.random.choice(FLOATS), self.random.choice(INTEGERS),
                                   self.random.random() * 10 ** self.random.randrange(-20, 20)])

    def command(self):
        """A command and its members, as the reference class's clients send them."""
        members = {name: self.value(2) for name in (self.generator.text() for _ in range(self.random.randrange(4)))}
        members.pop("command", None)
        return {"command": self.generator.text(), **members}

    def text(self, value):
        """One of the ways in which Python writes a value; each is one line."""
        separators = self.random.choice([(", ", ": "), (",", ":"), (" , ", " : ")])
        return json.dumps(value, ensure_ascii=self.random.random() < 0.7, separators=separators)


def arguments():
    """Reads the command line; returns the options, the source of the values, and the values."""
    parser = argparse.ArgumentParser()
    parser.add_argument("backbox")
    parser.add_argument("--values", type=int, default=300)
    parser.add_argument("--seed", type=int, default=12)
    options = parser.parse_args()
    source = Values(options.seed)
    return options, source, [source.command() if number % 2 else source.value() for number in range(options.values)]
