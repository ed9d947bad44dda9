#!/usr/bin/env python3
"""Fills fuzz/corpus with the lines, messages, sessions and logs of tests/data, a file each."""
import hashlib, json, pathlib

ROOT = pathlib.Path(__file__).resolve().parent
DATA = ROOT.parent / "tests" / "data"


def add(target, content):
    folder = ROOT / "corpus" / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(content).hexdigest()).write_bytes(content)


def texts(value):
    """All strings in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)


for path in sorted(DATA.rglob("*")):
    if not path.is_file() or path.stat().st_size > 200_000:
        continue
    content = path.read_bytes()
    if path.suffix != ".jsonl":
        add("session", b"\x10" + content[:4096])
        add("framer", b"\x10" + content[:4096])
        for line in content.split(b"\n")[:300]:
            for target in ("decode", "guard", "encode"):
                add(target, line)
        continue
    for line in content.splitlines():
        add("encode", line)
        try:
            case = json.loads(line)
        except ValueError:
            continue
        for text in texts(case):
            text = text.encode("utf-8", "surrogatepass")
            for target in ("decode", "guard", "encode"):
                add(target, text)
            add("pattern", text + b"\n" + text)
            add("framer", b"\x07" + text)
            add("session", b"\x03" + text)
