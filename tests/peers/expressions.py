"""Checks the guard's rules for placeholders: Python must not compile any expression that they refuse.

    python3 tests/peers/expressions.py target/release/backbox [--messages N] [--seed N]

MPF compiles a placeholder as a Python expression and exits if that fails. The guard checks only brackets, quotes and
operators, and must not refuse what MPF accepts, with a few exceptions that are not used in one line: comments,
triple quotes, a default of a lambda, a comma or a dot at the end. The share of malformed expressions that it refuses is
printed.
"""

import argparse
import ast
import random
import re
import subprocess
import sys
import urllib.parse
import warnings

PIECES = (
    "a b1 _x players current_player score 1 0 5.5 .5 2. 1e5 0xff 1_000 2j 'a' \"b\" f'd' r'e' "
    "+ - * ** / // % @ & | ^ ~ << >> < > <= >= == != <> . , : ( ) [ ] { } := = ! "
    "and or not in is if else for from lambda yield await async None True"
).split() + [" ", " ", " ", "\n", "\r", "\\\n", "\\\r", "é"]

# Complete phrases, so that many of the combinations are expressions.
PHRASES = (
    "players[0].score", "a + 1", "f(a, *b, **c)", "a if b else c", "[x for x in y]", "lambda a, /, *, b: a", "(a, b)",
    "{1: 2}", "a[1:, ::2]", "not a", "a not in b", "a is not None", "-1", "'a' 'b'", "(yield)", "1if a else 2", "x == 1",
    "1.5. real", "f(a=1)", "f(1, a=b(c=2))", "a=", "b1 = ",
)


def expression(rng):
    pieces = [rng.choice(PHRASES if rng.random() < 0.3 else PIECES) for _ in range(rng.randint(1, 6))]
    return rng.choice(["", " "]).join(pieces)


def python_accepts(text):
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return False
    return True


def is_exception(text):
    """Whether the guard may refuse an expression of Python's."""
    return text.rstrip().endswith((",", ".")) or "lambda" in text


def guard_refuses(program, texts):
    """Returns the line numbers that the guard refuses, with the reasons."""
    # MPF decodes twice, and so does the guard.
    twice = (urllib.parse.quote(text.replace("%", "%25"), safe="") for text in texts)
    lines = "".join(f"evaluate_placeholder?placeholder={text}\n" for text in twice)
    run = subprocess.run([program, "decode", "--lint"], input=lines.encode(), capture_output=True, timeout=60)
    if run.returncode not in (0, 1):
        sys.exit(f"failed: decode --lint: exit {run.returncode}: {run.stderr.decode()[:500]}")
    found = re.findall(r"^<stdin>:(\d+): stop: (.*)$", run.stdout.decode(), re.MULTILINE)
    return {int(number) - 1: why for number, why in found}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=81)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rng = random.Random(options.seed)
    # A leading space stops MPF for another reason.
    texts = [text for text in (expression(rng) for _ in range(options.messages)) if text.strip("\n")[:1].strip()]
    refused = guard_refuses(options.program, texts)
    wrong = [(text, refused[at]) for at, text in enumerate(texts)
             if at in refused and python_accepts(text) and not is_exception(text)]
    for text, why in wrong[:20]:
        print(f"refused, but Python accepts it: {text!r}: {why}")
    bad = [at for at, text in enumerate(texts) if not python_accepts(text)]
    caught = sum(at in refused for at in bad)
    print(f"{len(texts)} expressions, Python rejects {len(bad)} of them and the guard {caught / len(bad):.0%} of those")
    if wrong:
        sys.exit(f"failed: {len(wrong)} expressions that Python accepts are refused")
    print("passed: Python compiles nothing that the guard refuses")


if __name__ == "__main__":
    main()
