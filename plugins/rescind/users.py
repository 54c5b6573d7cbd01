"""Comparing the names of users: whether two names may be the same person.

Where two people must differ (approver and requester, a reviewer and their alternate), :func:`same_user` compares them,
so that another spelling does not make another person. Where a user must be on a list, such as the approvers, the exact
name counts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from rescind.errors import InputError

_REMEDY = "Use a user name of visible characters of one script"
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Characters of other categories that show nothing."""
_VARIANTS = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
_TOGETHER = (
    {"LATIN", "CJK", "HIRAGANA", "KATAKANA"},
    {"LATIN", "CJK", "BOPOMOFO"},
    {"LATIN", "CJK", "HANGUL"},
)
"""Scripts that one name may mix (the level "highly restrictive" of Unicode TS 39)."""
_EUROPEAN = {"LATIN", "GREEK", "CYRILLIC"}
_LIKE_LATIN = frozenset("асеіјорѕухԁһӏԛԝАВЕІЈКМНОРЅСТУХԌԚԜ" + "αικνορτυχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ")
"""Cyrillic and Greek letters that look like Latin ones."""
_FOLDED = str.maketrans("ıɑɡ", "iag")  # noqa: RUF001
"""Latin letters that look like other Latin ones."""


def same_user(left: str, right: str) -> bool:
    """Return whether two names may be those of one user. An empty name is nobody.

    :raises InputError: as :func:`user_key`.
    """
    return bool(left and right) and user_key(left) == user_key(right)


def user_key(name: str, *, where: str = "user") -> str:
    """Return the form in which names of users are compared: NFKC, without outer blanks, case folded.

    :param where: names the value in errors, for example ``requester``.
    :raises InputError: for an empty name, invisible characters, mixed scripts and letters that imitate Latin ones.
    """
    if name.isascii() and name.isprintable() and name.strip():
        return name.strip().casefold()  # what almost every name is; nothing below could refuse it
    text = unicodedata.normalize("NFKC", name).strip()
    problem = _problem(name.strip()) or _problem(text) or _look_alike(text)
    if problem:
        raise InputError(where, f"the user name {printed(name)} is not usable: {problem}", _REMEDY)
    return unicodedata.normalize("NFKC", text.casefold()).translate(_FOLDED)


def check_different(names: Iterable[str], *, where: str = "user") -> None:
    """Check that every name is usable, and that no two of them are one user.

    :raises InputError: as :func:`user_key`, and for one user in two spellings.
    """
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(user_key(name, where=where), name)
        if other != name:
            raise InputError(where, f"{printed(other)} and {printed(name)} are one user", "Keep one of the two")


def shown_user(user_id: str, name: str) -> str:
    """Return a user for people: the name with the id, or the id where there is no other name."""
    return f"{name} ({user_id})" if name and name != user_id else user_id


def printed(name: str) -> str:
    """Return a name in quotes and in ASCII, at most 80 characters of it."""
    return ascii(name if len(name) <= 80 else name[:80] + "...")


def _problem(text: str) -> str:
    """Return what is invisible in a name, or an empty text."""
    if not text:
        return "it is empty"
    for place, character in enumerate(text, 1):
        blank = character in _BLANK_LETTERS or any(ord(character) in variants for variants in _VARIANTS)
        odd_space = character != " " and unicodedata.category(character) == "Zs"
        if blank or odd_space or unicodedata.category(character) in _INVISIBLE:
            return f"character {place} is invisible or another blank (U+{ord(character):04X})"
    return ""


def _look_alike(text: str) -> str:
    """Return why a visible name may be taken for another one, or an empty text."""
    scripts = set(_scripts(text))
    if len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER):
        return f"it mixes the scripts {', '.join(sorted(scripts))}"
    marks = [place for place, character in enumerate(text, 1) if unicodedata.category(character) == "Mn"]
    if marks and scripts <= _EUROPEAN:
        return f"character {marks[0]} is a separate accent (U+{ord(text[marks[0] - 1]):04X})"
    letters = [character for character in text if character.isalpha()]
    if letters and all(character in _LIKE_LATIN for character in letters):
        return f"all its letters are {scripts.pop()} and look like LATIN ones"
    return ""


def _scripts(text: str) -> Iterator[str]:
    """Yield the script of each letter and of each digit that is not ASCII."""
    for character in text:
        if character.isalpha() or (character.isdecimal() and not character.isascii()):
            script = unicodedata.name(character, "UNKNOWN").replace("-", " ").split()[0]
            yield "CJK" if script == "IDEOGRAPHIC" else script
