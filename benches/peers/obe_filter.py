#!/usr/bin/env python3
"""Measures Python's json on OBE_Socket's frames as a filter, for the ratios that `cargo bench` prints.

usage: obe_filter.py FILE [--seconds 1]

Each frame of FILE is read as by the reference class, with json.loads, and written as a line by json.dumps. FILE is read
again, if it is short, until the seconds have passed. Start, imports and reading FILE are not
counted; writing is, into memory. Prints one line: {"lines": ..., "seconds": ..., "lines_per_second": ...}.
Exit status: 0 measured, 1 FILE cannot be read or contains no frame.
"""
import argparse
import io
import json
import sys
import time

LENGTH_DIGITS = 10

# The clock is read once in this many frames, so that reading it does not count.
FRAMES_A_LOOK = 64

# Only this much of a large file is read, because one second is too short for the rest.
FILE_BYTES_MAX = 64 * 1024 * 1024


def one_pass(data, writer, deadline):
    """Decodes all whole frames of `data`, or until the deadline; returns how many."""
    at = count = 0
    while at + LENGTH_DIGITS <= len(data):
        end = at + LENGTH_DIGITS + int(data[at:at + LENGTH_DIGITS])
        if end > len(data):
            break
        writer.write(json.dumps(json.loads(data[at + LENGTH_DIGITS:end].decode())) + "\n")
        at, count = end, count + 1
        if count % FRAMES_A_LOOK == 0 and time.perf_counter() > deadline:
            break
    return count


def main():
    """Reads the arguments, measures, prints the result."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("file", metavar="FILE")
    parser.add_argument("--seconds", type=float, default=1.0, help="how long to measure (default 1)")
    options = parser.parse_args()
    try:
        with open(options.file, "rb") as file:
            data = file.read(FILE_BYTES_MAX)
    except OSError as error:
        sys.exit(f"obe_filter.py: cannot read {options.file}: {error.strerror}")
    lines, start = 0, time.perf_counter()
    while time.perf_counter() - start < options.seconds:
        done = one_pass(data, io.StringIO(), start + options.seconds)
        if done == 0:
            sys.exit("obe_filter.py: the file contains no frame")
        lines += done
    seconds = time.perf_counter() - start
    print(json.dumps({"lines": lines, "seconds": round(seconds, 3), "lines_per_second": round(lines / seconds)}))


if __name__ == "__main__":
    main()
