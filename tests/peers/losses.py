"""What MPF's own encoder loses, class by class: for each message, what a right reader of MPF's line must come to.

MPF 0.81 writes `name=value` with every text escaped, and all parameters as raw JSON once one of them is a list or an
object. The classes are the cases in which that line does not say what was meant, or not in backbox's normal form. They
are told from the message and MPF's line, never from what came out, and each predicts the result exactly, so that no
fault can hide in one. bcp.7 lists the same classes ("What MPF loses").
"""
import json
from urllib.parse import unquote_plus

from messages import WHITE_SPACE, fold

# What a line comes to that is no message: an error, and nothing at all.
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
    """What a right reader gets from `line`, which MPF wrote for this message.

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
    """The parameters that a reader makes of `name=value&...`, and the length of an unmeant payload or None."""
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
    """What a reader makes of the rest of a query that began with json=; MPF has escaped it."""
    try:
        pairs = json.loads(unquote_plus(query), object_pairs_hook=Pairs)
    except ValueError:
        return REFUSED
    return last_wins(pairs.as_members(), found) if isinstance(pairs, Pairs) else REFUSED


class Pairs(list):
    """A JSON object as its members in order, so that two that collide are both seen."""

    def as_members(self):
        """The pairs, objects further in as dictionaries."""
        return [(name, as_dictionaries(value)) for name, value in self]


def as_dictionaries(value):
    """A JSON value whose objects are dictionaries again."""
    if isinstance(value, Pairs):
        return dict(value.as_members())
    return [as_dictionaries(item) for item in value] if isinstance(value, list) else value


def is_digits(text):
    """Whether a text is one or more ASCII digits."""
    return text != "" and all(c in "0123456789" for c in text)


def typed(value, found):
    """What a reader makes of a plain value: a text is typed once more by its prefix."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if not isinstance(value, str):
        found.add("no JSON type")
        value = str(value)
    for prefix, number in (("int:", int), ("float:", float)):
        if value.startswith(prefix):
            try:
                # Python reads other scripts' digits too; backbox reads ASCII.
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
    """A value as MPF's JSON holds it: a tuple is a list there, what JSON has no form for is its str()."""
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
    """The parameters by folded name, of two that collide the first."""
    members = {}
    for name, value in pairs:
        members.setdefault(fold(name), value)
    note_names(pairs, members, found)
    return members


def last_wins(pairs, found):
    """The parameters by folded name, of two that collide the last, at the place of the first."""
    members = {fold(name): value for name, value in pairs}
    note_names(pairs, members, found)
    return members


def note_names(pairs, members, found):
    """Adds the classes that folding the names brings in."""
    if any(fold(name) != name for name, _ in pairs):
        found.add("case and blanks")
    if len(members) != len(pairs):
        found.add("names that collide")
