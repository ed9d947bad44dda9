"""Random messages with difficult content, and the comparison of two messages.

A message is a pair: the command, and a dictionary of parameters with Python types. Nothing in this file depends on
backbox or MPF; mpf_codec.py tests how a message is encoded.
"""
import json
import math
import random

WHITE_SPACE = " \t\n\v\f\r"

# bcp(7), Lists and objects: 128 levels, the parameters' object being the first.
LEVELS_MAX = 128

COMMANDS = ["trigger", "device", "machine_variable", "player_variable", "x", "a.b-c_d", "0", "-", "settings", "goodbye_x"]

PLAIN_NAMES = ["name", "value", "state", "x", "prev_value", "k-1", "~t", "a.b", "_", "0", "player_num", "number", "int"]

NAMES = PLAIN_NAMES + ["json", "bytes", "", "x y", "a=b", "a&b", "%41", "a+b", "#", ";", ":", "?", "int:", "na\u00efve", "\u212a",
                       "\U0001f3b1", "q\"uote", "back\\slash", "\x00", "\x7f", "\x85", "\u2028", "json=", "bytes=4", "callback",
                       "\u00e9" * 40]

# Each of these broke a decoder of BCP, or may break one.
TROUBLE = ["%", "&", "=", "?", "+", "#", ";", ":", "/", "//", "\"", "'", "\\", "\\u0041", "\\n", "{", "}", "[", "]", ",", "@",
           "\x00", "\x01", "\x08", "\t", "\n", "\v", "\f", "\r", "\x1b", "\x1f", " ", "\x7f", "\x80", "\x85", "\x9b", "\xa0",
           "\u00df", "\u0130", "\u0661", "\u212a", "\u2028", "\u2029", "\ufeff", "\ufffd", "\uffff", "\U0001f3b1", "\U0010ffff",
           "%41", "%2541", "%zz", "%E9", "&bytes=4", "json={", "<b>", "\r\n", "a", "Z", "0", "9", "~", "hello", "caf\u00e9"]

TYPED = ["int:5", "int:", "int:abc", "int:-0", "int:007", "int:1_000", "int:+5", "int: 5 ", "int:5.0", "int:\u0663", "INT:5",
         "Int:5", "float:1.5", "float:2", "float:.00001", "float:1e999", "float:nan", "float:-inf", "float:abc", "float:",
         "FLOAT:1", "float:1_0.5", "bool:true", "bool:TRUE", "BOOL:false", "bool:False", "bool:maybe", "bool:", "NoneType:",
         "nonetype:", "NoneType:x", "NONETYPE:", "int%3A5", " int:5", "true", "null", "5", "1.5", "NaN", "[1]", "{\"a\": 1}"]

FLOATS = [0.0, -0.0, 1.0, 0.1, 2.5, -7.25, 1e16, 1e-7, 1e22, 1e-5, 123456789.125, 5e-324, 2.2250738585072014e-308, 1e-310,
          1.7976931348623157e308, math.pi, float("inf"), float("-inf"), float("nan")]

INTEGERS = [0, 1, -1, 5, 127, 255, 2**31, -2**31 - 1, 2**53 + 1, 2**63, -2**64]


class Generator:
    """Random messages from one seed; the same seed gives the same messages on every machine."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def text(self):
        """A string: one that looks typed, difficult pieces, or any characters except lone surrogates."""
        pick = self.random.random()
        if pick < 0.2:
            return self.random.choice(TYPED)
        if pick < 0.8:
            return "".join(self.random.choice(TROUBLE) for _ in range(self.random.randrange(6)))
        if pick < 0.85:
            return self.random.choice(["INT:", "fLoat:", "Bool:", "NoneType:"]) + self.random.choice(TROUBLE)
        return "".join(self.character() for _ in range(self.random.randrange(12)))

    def character(self):
        """Any character of UTF-8, from each length of its encoding."""
        low, high = self.random.choice([(0, 0x80), (0x80, 0x800), (0x800, 0xD800), (0xE000, 0x10000), (0x10000, 0x110000)])
        return chr(self.random.randrange(low, high))

    def integer(self):
        """An integer, sometimes of 40 digits or more, but within the 4,300 digits that Python reads."""
        pick = self.random.random()
        if pick < 0.6:
            return self.random.choice(INTEGERS)
        digits = 40 if pick < 0.95 else self.random.choice([400, 4000])
        return self.random.choice([1, -1]) * self.random.randrange(10 ** (digits - 1), 10**digits)

    def number(self):
        """An integer or a float, including the extremes of floats."""
        if self.random.random() < 0.5:
            return self.integer()
        if self.random.random() < 0.7:
            return self.random.choice(FLOATS)
        return self.random.uniform(-1, 1) * 10.0 ** self.random.randrange(-308, 308)

    def scalar(self):
        """A value that has a plain form."""
        pick = self.random.random()
        if pick < 0.6:
            return self.text()
        return self.number() if pick < 0.85 else self.random.choice([True, False, None])

    def nested(self, depth):
        """A list or an object with at most `depth` further levels."""
        def inner():
            return self.nested(depth - 1) if depth > 0 and self.random.random() < 0.3 else self.scalar()

        size = self.random.randrange(4)
        if self.random.random() < 0.5:
            return [inner() for _ in range(size)]
        # Nested names are kept verbatim, so they need not be in normal form.
        return {self.random.choice(NAMES) + self.random.choice(["", " ", "A"]): inner() for _ in range(size)}

    def tower(self):
        """Nested lists and objects, down to the maximum level."""
        value = self.scalar()
        for _ in range(self.random.choice([LEVELS_MAX - 1, LEVELS_MAX - 2, 60])):
            value = [value] if self.random.random() < 0.5 else {self.random.choice(NAMES): value}
        return value

    def value(self):
        """Any value of a message."""
        pick = self.random.random()
        if pick < 0.8:
            return self.scalar()
        return self.tower() if pick > 0.99 else self.nested(4)

    def name(self):
        """A name in normal form: trimmed, without ASCII capitals; sometimes any text."""
        return fold(self.text() if self.random.random() < 0.1 else self.random.choice(NAMES))

    def message(self):
        """A message in normal form, with any values."""
        size = self.random.choice([0, 1, 1, 2, 2, 3, 5, 20])
        # Half of the messages have nothing nested and half no odd name, or the plain form would hardly be seen.
        value = self.value if self.random.random() < 0.5 else self.scalar
        name = self.name if self.random.random() < 0.5 else lambda: self.random.choice(PLAIN_NAMES)
        return self.random.choice(COMMANDS), {name(): value() for _ in range(size)}

    def unfold(self, text):
        """The same name with blanks around it or in capitals: `fold` undoes it."""
        if self.random.random() < 0.5:
            text = "".join(c.upper() if c.isascii() else c for c in text)
        return self.random.choice(["", " ", "\t "]) + text + self.random.choice(["", " ", "\r\n"])


def fold(name):
    """A name or command in normal form: trimmed and lower-cased, ASCII only."""
    return "".join(c.lower() if c.isascii() else c for c in name.strip(WHITE_SPACE))


def same(one, other):
    """Whether two values are the same to the type, the sign of a zero and the order of members; a NaN is a NaN."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return one == other and math.copysign(1, one) == math.copysign(1, other) or one != one and other != other
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    return one == other


class Speller:
    """Writes a message as JSON in one of the many ways that mean the same: escapes, spaces, spellings of a number."""

    def __init__(self, source):
        self.random = source

    def message(self, command, params, payload=None):
        """One line of JSON Lines; `payload` is base64 text."""
        members = ['"command":' + self.gap() + self.string(command)]
        if params or self.random.random() < 0.5:
            members.append('"params":' + self.gap() + self.value(params))
        if payload is not None:
            members.append('"bytes":' + self.string(payload))
        self.random.shuffle(members)
        return self.gap() + "{" + ",".join(self.gap() + member for member in members) + self.gap() + "}"

    def gap(self):
        """White space between two tokens of JSON, usually none."""
        return self.random.choice(["", "", "", "", " ", "\t", "  ", "\r"])

    def string(self, text):
        """A JSON string, wholly or partly escaped or with its characters as they are."""
        if self.random.random() < 0.1:
            units = text.encode("utf-16-be").hex()
            return '"' + "".join("\\u" + units[i:i + 4] for i in range(0, len(units), 4)) + '"'
        spelled = json.dumps(text, ensure_ascii=self.random.random() < 0.5)
        return spelled.replace("/", "\\/") if self.random.random() < 0.1 else spelled

    def number(self, value):
        """A JSON number; the digits of a float in another form of the same value now and then."""
        text = json.dumps(value)
        if not isinstance(value, float) or value != value or math.isinf(value):
            return "-0" if value == 0 and self.random.random() < 0.2 and not isinstance(value, float) else text
        return self.random.choice([text, text, text, text.upper(), "%.17e" % value, text.replace("e+", "e")])

    def value(self, value):
        """Any JSON value."""
        if isinstance(value, str):
            return self.string(value)
        if isinstance(value, dict):
            return "{" + ",".join(self.gap() + self.string(k) + self.gap() + ":" + self.value(v) for k, v in value.items()) + "}"
        if isinstance(value, list):
            return "[" + ",".join(self.gap() + self.value(v) + self.gap() for v in value) + "]"
        return json.dumps(value) if value is None or isinstance(value, bool) else self.number(value)
