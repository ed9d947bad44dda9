"""What MPF's own encoder loses, by class: for each message, the correct result of decoding MPF's line.

MPF 0.81 writes `name=value` with every text escaped, and all parameters as raw JSON once one of them is a list or an
object. The classes are the cases in which that line differs from the message or from backbox's normal form. They
are determined from the message and MPF's line, never from the output, and each predicts the result exactly, so that no
fault can hide in one. bcp.7 lists the same classes ("What MPF loses").
"""
import json
from urllib.parse import unquote_plus

from messages import WHITE_SPACE, fold

# The result of a line that is not a message: an error, or nothing.
REFUSED = "refused"
NOTHING = "nothing"

CLASSES = {
    "typed text": 'a text that looks typed arrives typed: "int:5" as 5, "bool:TRUE" as true, "NoneType:" as null',
    "typed text, unreadable": 'a text such as "int:abc" that is no ASCII number is refused, with its line; it ends MPF',
    "json first": "a parameter json in front of plain ones is read as the JSON of all, or refused; it ends MPF",
    "bytes last": "a parameter bytes at the end whose text is digits is read as the mark of a payload (&bytes=N by MPF too)",
    "no JSON type": "a tuple, bytes or any other object arrives as its str(), a tuple beside a list or object as a list",
    "command with #": "a line whose command begins with # is a comment; to MPF it is a command",
    "case and blanks": "command and names arrive trimmed and in lower case; MPF keeps them as they are",
    "names that collide": "of two names that are one in lower case the first counts, inside json= the last; MPF has both",
}


def predict(command, params, line):
    """Returns the correct result of decoding `line`, which MPF wrote for this message.

    Returns three things: the pair of command and parameters, or REFUSED or NOTHING; the set of classes that apply; and
    the length of the payload that the line announces without meaning to, or None.
    """
    found = set()
    payload = None
    if command.lstrip(WHITE_SPACE).startswith("#"):
        return NOTHING, {"command with #"}, None
    if fold(command) != command:
        found.add("case and blanks")
    if any(isinstance(value, (dict, list)) for value in params.values()):
        members = last_wins([(name, as_json(value, found)) for name, value in params.items()], found)
    else:
        members, payload = plain(list(params.items()), line, found)
    if members is REFUSED:
        return REFUSED, found, payload
    return (fold(command), members), found, payload


def plain(pairs, line, found):
    """Decodes the parameters of `name=value&...`; also returns the length of an unintended payload, or None."""
    payload = None
    if pairs and pairs[-1][0] == "bytes" and isinstance(pairs[-1][1], str) and is_digits(pairs[-1][1]):
        found.add("bytes last")
        payload = int(pairs.pop()[1])
        line = line[: line.rindex("bytes=") - 1]
    if pairs and pairs[0][0].lower() == "json":
        found.add("json first")
        return whole_json(line[line.index("?") + len("?json="):], found), payload
    read = [(name, typed(value, found)) for name, value in pairs]
    if any(value is REFUSED for _, value in read):
        return REFUSED, payload
    return first_wins(read, found), payload


def whole_json(query, found):
    """Decodes the rest of a query that began with json=, which MPF has escaped."""
    try:
        pairs = json.loads(unquote_plus(query), object_pairs_hook=Pairs)
    except ValueError:
        return REFUSED
    return last_wins(pairs.as_members(), found) if isinstance(pairs, Pairs) else REFUSED


class Pairs(list):
    """A JSON object as a list of its members in order, so that duplicates are kept."""

    def as_members(self):
        """The pairs, with nested objects as dictionaries."""
        return [(name, as_dictionaries(value)) for name, value in self]


def as_dictionaries(value):
    """Converts the objects in a JSON value to dictionaries."""
    if isinstance(value, Pairs):
        return dict(value.as_members())
    return [as_dictionaries(item) for item in value] if isinstance(value, list) else value


def is_digits(text):
    """Whether a text is one or more ASCII digits."""
    return text != "" and all(c in "0123456789" for c in text)


def typed(value, found):
    """Decodes a plain value: the prefix of a string selects its type."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if not isinstance(value, str):
        found.add("no JSON type")
        value = str(value)
    for prefix, number in (("int:", int), ("float:", float)):
        if value.startswith(prefix):
            try:
                # Python also reads digits of other scripts; backbox reads only ASCII digits.
                result = number(value[len(prefix):].encode("ascii").decode())
            except ValueError:
                found.add("typed text, unreadable")
                return REFUSED
            found.add("typed text")
            return result
    words = {"bool:true": True, "bool:false": False}
    if value.lower() in words or value == "NoneType:":
        found.add("typed text")
        return words.get(value.lower())
    return value


def as_json(value, found):
    """A value in MPF's JSON: a tuple becomes a list, and a value without a JSON form its str()."""
    if isinstance(value, tuple):
        found.add("no JSON type")
        value = list(value)
    if isinstance(value, list):
        return [as_json(item, found) for item in value]
    if isinstance(value, dict):
        return {name: as_json(item, found) for name, item in value.items()}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    found.add("no JSON type")
    return str(value)


def first_wins(pairs, found):
    """The parameters by folded name; the first of duplicates wins."""
    members = {}
    for name, value in pairs:
        members.setdefault(fold(name), value)
    note_names(pairs, members, found)
    return members


def last_wins(pairs, found):
    """The parameters by folded name; the last of duplicates wins, at the place of the first."""
    members = {fold(name): value for name, value in pairs}
    note_names(pairs, members, found)
    return members


def note_names(pairs, members, found):
    """Adds the classes that result from folding the names."""
    if any(fold(name) != name for name, _ in pairs):
        found.add("case and blanks")
    if len(members) != len(pairs):
        found.add("names that collide")
