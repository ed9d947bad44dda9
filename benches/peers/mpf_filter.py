#!/usr/bin/env python3
"""Measures MPF's own codec as a filter, for the ratios that `cargo bench` prints.

usage: mpf_filter.py decode|encode FILE [--seconds 2]

decode reads a BCP stream as MPF does (a line's payload is skipped) and does decode_command_string and json.dumps for
each line; encode does json.loads and encode_command_string for each line of JSON Lines. FILE is read again and
again, if it is short, until the seconds have passed. Start, imports and reading FILE are not counted; writing is, into
memory. Prints one line: {"lines": ..., "bytes": ..., "seconds": ..., "lines_per_second": ..., "bytes_per_second": ...}.
Exit status: 0 measured, 1 FILE cannot be read or holds nothing that MPF decodes, 2 MPF is not installed or usage.
"""
import argparse
import base64
import io
import json
import sys
import time

try:
    from mpf.core.bcp.bcp_socket_client import decode_command_string, encode_command_string
except ImportError:
    print("mpf is not installed", file=sys.stderr)
    sys.exit(2)

MARKER = b"&bytes="

# The clock is read once in this many lines, so that reading it does not count.
LINES_A_LOOK = 64

# Only this much of a large file is read, because two seconds are too short for the rest.
FILE_BYTES_MAX = 64 * 1024 * 1024


def decode_pass(data, writer, deadline):
    """Decodes all of `data`, or until the deadline; returns how many lines and bytes were done."""
    reader = io.BytesIO(data)
    lines = 0
    for line in iter(reader.readline, b""):
        message = line.rstrip(b"\n")
        if not message.strip() or message.lstrip().startswith(b"#"):
            continue  # MPF reads these as commands, backbox does not; both must do the same work.
        payload = None
        if MARKER in message:
            message, size = message.split(MARKER)
            payload = reader.read(int(size))
        command, params = decode_command_string(message.decode())
        record = {"command": command, "params": params}
        if payload is not None:
            record["bytes"] = base64.b64encode(payload).decode()
        writer.write(json.dumps(record) + "\n")
        lines += 1
        if lines % LINES_A_LOOK == 0 and time.perf_counter() > deadline:
            break
    return lines, reader.tell()


def encode_pass(data, writer, deadline):
    """Encodes all of `data`, or until the deadline; returns how many lines and bytes were done."""
    reader = io.BytesIO(data)
    lines = 0
    for line in iter(reader.readline, b""):
        if not line.strip():
            continue
        record = json.loads(line)
        text = encode_command_string(record["command"], **record.get("params", {}))
        if "bytes" in record:
            payload = base64.b64decode(record["bytes"])
            text = f"{text}{MARKER.decode()}{len(payload)}"
            writer.write(text + "\n" + payload.decode("latin-1"))
        else:
            writer.write(text + "\n")
        lines += 1
        if lines % LINES_A_LOOK == 0 and time.perf_counter() > deadline:
            break
    return lines, reader.tell()


def measure(one_pass, data, seconds):
    """Repeats the pass until the seconds have passed and adds up the lines and bytes."""
    lines = size = 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        done_lines, done_bytes = one_pass(data, io.StringIO(), start + seconds)
        if done_lines == 0:
            sys.exit("mpf_filter.py: the file contains no message")
        lines += done_lines
        size += done_bytes
    return lines, size, time.perf_counter() - start


def whole_lines(path, limit):
    """Returns the beginning of a file, up to its last line end if the file is longer.

    A payload may be cut as well, or hold that line end; MPF's reader gets what there is, as at the end of an input.
    """
    with open(path, "rb") as file:
        data = file.read(limit)
        return data if len(data) < limit else data[: data.rfind(b"\n") + 1]


def main():
    """Reads the arguments, measures, prints the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("work", choices=["decode", "encode"])
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long to measure (default 2)")
    options = parser.parse_args()
    try:
        data = whole_lines(options.file, FILE_BYTES_MAX)
    except OSError as error:
        sys.exit(f"mpf_filter.py: cannot read {options.file}: {error.strerror}")
    one_pass = decode_pass if options.work == "decode" else encode_pass
    try:
        lines, size, seconds = measure(one_pass, data, options.seconds)
    except (ValueError, KeyError, TypeError) as error:
        # Some of Python's errors carry the whole line; print only the beginning of their text.
        sys.exit(f"mpf_filter.py: MPF cannot {options.work} a line of {options.file}: {str(error)[:200]}")
    print(json.dumps({"lines": lines, "bytes": size, "seconds": round(seconds, 3),
                      "lines_per_second": round(lines / seconds), "bytes_per_second": round(size / seconds)}))


if __name__ == "__main__":
    main()
