#!/usr/bin/env python3
"""Compares backbox's codec with MPF's own, with random messages.

usage: mpf_codec.py BACKBOX [--messages 20000] [--seed N]

Three parts: what `backbox encode` writes, read by MPF; the same with payloads, through MPF's own reader of a
connection; and what MPF's encoder writes, read by `backbox decode`. Types count, and so do the sign of a zero and the
order. Every difference of the third part must be one that losses.py predicts; any other difference is a failure.

Run it with a Python that has mpf 0.81.0: "$(tests/peers/venv.sh)" tests/peers/mpf_codec.py target/release/backbox
Exit status: 0 no difference, 1 a difference, 2 the check could not run.
"""
import argparse
import asyncio
import base64
import json
import re
import subprocess
import sys
from collections import Counter

from losses import CLASSES, NOTHING, REFUSED, predict
from messages import Generator, Speller, fold, same

try:
    from mpf.core.bcp.bcp_socket_client import AsyncioBcpClientSocket, decode_command_string, encode_command_string
except ImportError:
    print('mpf_codec.py: mpf is not installed in this Python; run it with "$(tests/peers/venv.sh)"', file=sys.stderr)
    sys.exit(2)

FILTER_SECONDS_MAX = 300

# MPF takes more than this, other peers do not: printable ASCII, and inside JSON none of % & = ? + # ;
SAFE_LINE = re.compile(r"[a-z0-9_.-]+(\?json=\{[ !\"$'-*,-:<>@-~]*\}|\?[!-~]*)?")
SHOWN_MAX = 5


class Differences:
    """Counts what went wrong and shows the first few in full."""

    def __init__(self):
        self.count = 0

    def add(self, message, line, got, want):
        """Records a wrong result: the message, its line, and both results."""
        self.count += 1
        if self.count <= SHOWN_MAX:
            print(f"DIFFERENCE\n  message: {message!r}\n  line:    {line!r}\n  got:     {got!r}\n  wanted:  {want!r}")

    def check(self, message, line, got, want):
        """Records a difference unless both are the same."""
        if not same(got, want):
            self.add(message, line, got, want)


def run_filter(program, command, data):
    """One `backbox COMMAND` with `data` as input: its output, its reports, its exit status."""
    try:
        done = subprocess.run([program, command], input=data, capture_output=True, timeout=FILTER_SECONDS_MAX)
    except OSError as error:
        give_up(f"cannot run {program}: {error.strerror}; build it with cargo build --release")
    except subprocess.TimeoutExpired:
        give_up(f"{program} {command} was not done with {len(data)} bytes after {FILTER_SECONDS_MAX} s")
    if done.returncode not in (0, 1):
        give_up(f"{program} {command} exited with {done.returncode}: {done.stderr.decode(errors='replace')[:2000]}")
    return done.stdout, done.stderr.decode(errors="replace"), done.returncode


def give_up(reason):
    """Exits if the check cannot run."""
    print(f"mpf_codec.py: {reason}", file=sys.stderr)
    sys.exit(2)


def encode_all(program, texts):
    """The output of `backbox encode` for JSON Lines that are all right; a refusal ends the run."""
    output, reports, status = run_filter(program, "encode", "".join(text + "\n" for text in texts).encode())
    if status != 0 or reports:
        print(f"FAILED: backbox encode refused messages that it must accept (exit {status}):\n{reports[:2000]}")
        for number in list(dict.fromkeys(re.findall(r"^<stdin>:(\d+):", reports, re.M)))[:SHOWN_MAX]:
            print(f"  message {number}: {texts[int(number) - 1]}")
        sys.exit(1)
    return output


def folded(text):
    """The message that a line of JSON Lines means: command and names in normal form."""
    message = json.loads(text)
    return fold(message["command"]), {fold(name): value for name, value in message.get("params", {}).items()}


def from_backbox(program, generator, count, differences):
    """Part 1: MPF's decode_command_string must decode the output of `backbox encode` to the same message."""
    speller = Speller(generator.random)
    texts = []
    for _ in range(count):
        command, params = generator.message()
        if generator.random.random() < 0.1:
            # encode folds names that are not in normal form.
            command = generator.unfold(command)
            params = {generator.unfold(name): value for name, value in params.items()}
        texts.append(speller.message(command, params))
    lines = encode_all(program, texts).decode("utf-8", "replace").split("\n")
    if len(lines) != count + 1 or lines[-1] != "":
        print(f"FAILED: {count} messages became {len(lines) - 1} lines")
        sys.exit(1)
    forms = Counter()
    for text, line in zip(texts, lines):
        forms["json" if "?json=" in line else "plain"] += 1
        try:
            got = decode_command_string(line)
        except Exception as error:  # Any exception would end MPF.
            got = error
        differences.check(text, line, got, folded(text))
        if not SAFE_LINE.fullmatch(line):
            differences.add(text, line, "a character that some peer trips over", "section 5's form")
    print(f"encode, read by MPF: {count} messages ({forms['plain']} plain, {forms['json']} as json=)")


def payloads_from_backbox(program, generator, count, differences):
    """Part 2: messages with payloads, all in one stream, through MPF's reader of a connection."""
    speller = Speller(generator.random)
    texts = []
    for _ in range(count):
        command, params = generator.message()
        params.pop("rawbytes", None)
        size = generator.random.choice([1, 2, 10, 300])
        payload = bytes(generator.random.choice(b"\n\r#&\x00\xffabc") for _ in range(size))
        texts.append(speller.message(command, params, base64.b64encode(payload).decode()))
    stream = encode_all(program, texts)
    for text, got in zip(texts, asyncio.run(read_stream(stream, count))):
        command, params = folded(text)
        want = (command, {**params, "rawbytes": base64.b64decode(json.loads(text)["bytes"])})
        differences.check(text, "(in a stream)", got, want)
    print(f"encode with payloads, read by MPF: {count} messages")


async def read_stream(stream, count):
    """What MPF reads from a connection with `stream`; an error that ends MPF's reading is the result of all that follow."""
    reader = asyncio.StreamReader(limit=len(stream) + 1)
    reader.feed_data(stream)
    reader.feed_eof()
    connection = AsyncioBcpClientSocket(None, reader)
    messages = []
    try:
        while len(messages) < count:
            messages.append(await connection.read_message())
        if await reader.read():
            messages[-1] = "bytes were left over after this message"
    except Exception as error:
        messages += [error] * (count - len(messages))
    return messages


def from_mpf(program, generator, count, differences):
    """Part 3: `backbox decode` must decode each line of MPF's encode_command_string as predicted."""
    stream = bytearray()
    place = 1
    cases = {}
    for _ in range(count):
        command, params = mpf_message(generator)
        line = encode_command_string(command, **params)
        want, classes, payload = predict(command, params, line)
        cases[place] = (command, params, line, want, classes, payload)
        # An unintended payload also gets its bytes, because it would otherwise consume the next message.
        stream += line.encode() + b"\n" + b"x" * (payload or 0)
        place += 1
    output, reports, status = run_filter(program, "decode", bytes(stream))
    results = iter(output.decode().split("\n")[:-1])
    refused = {int(number) for number in re.findall(r"^<stdin>:(\d+):", reports, re.M)}
    counts = Counter()
    for place, (command, params, line, want, classes, payload) in cases.items():
        counts.update(classes or ["none"])
        if want is not NOTHING:
            got = REFUSED if place in refused else next(results, "no line of output was left")
            compare((command, params), line, got, want, payload, differences)
    for left in results:
        differences.add("none", "none", left, "no further output")
    if (status == 1) != bool(refused):
        differences.add("all", "all", f"exit status {status}", f"1 only when a line was refused ({len(refused)} were)")
    print(f"MPF's lines, read by decode: {count} messages, {counts.pop('none')} come back as they were; known losses:")
    for name, meaning in CLASSES.items():
        print(f"  {counts[name]:6} {name}: {meaning}")
        if counts[name] == 0 and count >= 20_000:
            differences.add(name, "none", "no message of this class", "some, or the generator misses it")


def compare(message, line, got, want, payload, differences):
    """Compares a line of `decode`'s output, or REFUSED, with what was predicted."""
    if isinstance(want, tuple):
        want = {"command": want[0], "params": want[1]}
        if payload is not None:
            want["bytes"] = base64.b64encode(b"x" * payload).decode()
    if got is not REFUSED:
        try:
            got = json.loads(got)
        except ValueError:
            pass  # The text itself is printed as the difference.
    differences.check(message, line, got, want)


def mpf_message(generator):
    """A message as MPF's code may send it, with capitals, blanks and Python objects."""
    command, params = generator.message()
    source = generator.random
    if source.random() < 0.1:
        params = {source.choice([name, generator.unfold(name)]): value for name, value in params.items()}
        params.update({name.upper(): generator.value() for name in list(params)[:1]})
    if source.random() < 0.05:
        command = source.choice(["#" + command, " " + command, command.upper() + "X", command + " ", command + " b"])
    if source.random() < 0.05:
        params[source.choice(["value", "x"])] = source.choice([(1, "a"), (), b"x\xff", 1j, ("int:5", (None,))])
    last = list(params)[-1:]
    if last == ["bytes"] and isinstance(params["bytes"], str):
        params["bytes"] = source.choice([params["bytes"][:3], "0", "12", "007"])
    return command, params


def main():
    """Reads the arguments, runs the three parts, prints the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("backbox", help="the program to check")
    parser.add_argument("--messages", type=int, default=20_000, help="how many in each direction (default 20000)")
    parser.add_argument("--seed", type=int, default=81, help="the same seed gives the same messages (default 81)")
    options = parser.parse_args()
    if options.messages < 1:
        parser.error("--messages has to be at least 1")
    generator = Generator(options.seed)
    differences = Differences()
    from_backbox(options.backbox, generator, options.messages, differences)
    payloads_from_backbox(options.backbox, generator, max(options.messages // 10, 1), differences)
    from_mpf(options.backbox, generator, options.messages, differences)
    if differences.count:
        print(f"FAILED: {differences.count} differences that no class explains (seed {options.seed})")
        return 1
    print(f"passed: backbox and MPF agree on {options.messages} messages in each direction (seed {options.seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
