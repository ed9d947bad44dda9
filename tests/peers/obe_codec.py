#!/usr/bin/env python3
"""Compares `encode` and `decode --wire obe` with Python's json, with random values.

usage: obe_codec.py BACKBOX [--values 300] [--seed N]

Both ways: what `backbox encode` frames, read by Python; and what Python frames, printed by `backbox decode`. Texts go
through unchanged, to the byte. Commands written as arguments come out as json.dumps writes them.
Exit status: 0 no difference, 1 a difference, 2 the check could not run.
"""
import json
import re
import subprocess
import sys

import obe_values
from obe_values import frame, frames, same

SECONDS_MAX = 60


def run(program, *arguments, data=b""):
    """Returns the output of a run; exits if the run reports an error."""
    try:
        done = subprocess.run([program, *arguments], input=data, capture_output=True, timeout=SECONDS_MAX)
    except OSError as error:
        sys.exit(f"obe_codec.py: cannot run {program}: {error}")
    if done.returncode or done.stderr:
        print(f"FAILED: {program} {' '.join(arguments)[:200]}: status {done.returncode}: {done.stderr.decode()[:500]}")
        sys.exit(1)
    return done.stdout


def check(what, got, want):
    """Exits if the values differ."""
    if got != want:
        print(f"DIFFERENCE: {what}\n  got:    {got!r}\n  wanted: {want!r}")
        sys.exit(1)


def arguments(command):
    """A command as command line arguments, or None if arguments cannot express it."""
    words = [command["command"]]
    for name, value in command.items():
        if name == "command":
            continue
        # The first = ends a name, and a : before it makes the rest JSON.
        if "=" in name or name.endswith(":"):
            return None
        words.append(f"{name}={value}" if isinstance(value, str) else f"{name}:={json.dumps(value)}")
    # Text that arguments cannot contain, or that would be read as a JSON value or an option.
    if any("\0" in word for word in words) or words[0].startswith(("{", "[", '"', "-")) or len(words) == 1:
        return None
    return words


def main():
    """Runs all parts."""
    options, source, all_values = obe_values.arguments()
    texts = [source.text(value) for value in all_values]

    bodies = frames(run(options.backbox, "encode", "--wire", "obe", data="".join(t + "\n" for t in texts).encode()))
    check("how many frames are encoded", len(bodies), len(texts))
    for value, text, body in zip(all_values, texts, bodies):
        check("a text that was encoded", body, text.encode())
        check("what Python reads of it", same(json.loads(body), value), True)

    lines = run(options.backbox, "decode", "--wire", "obe", data=b"".join(map(frame, texts)))
    check("what is decoded", lines, "".join(t + "\n" for t in texts).encode())
    pretty = b"".join(frame(json.dumps(value, indent=2)) for value in all_values)
    lines = run(options.backbox, "decode", "--wire", "obe", data=pretty).decode().split("\n")
    check("how many lines are decoded", len(lines), len(all_values) + 1)
    for value, line in zip(all_values, lines):
        check("what Python reads of a body of many lines", same(json.loads(line), value), True)

    written = 0
    for command in filter(lambda value: isinstance(value, dict) and "command" in value, all_values):
        words = arguments(command)
        if words is None or not isinstance(command["command"], str):
            continue
        written += 1
        [body] = frames(run(options.backbox, "encode", "--wire", "obe", "--", *words))
        # The + of an exponent is dropped.
        check("a command of arguments", body.decode(), re.sub(r"(\d)e\+(\d)", r"\1e\2", json.dumps(command)))
    check("whether enough commands were written", written > options.values // 8, True)
    print(f"{len(texts)} values both ways, {written} commands from arguments, seed {options.seed}: all the same")


if __name__ == "__main__":
    main()
