"""What was approved, read back from the canonical effects.

The stored plan, its calls and its items only say what is to be *sent*. What *may* go is in the effects alone,
whose digest a person has approved; so the revoking task reads them again and judges every call by them.
Shares nothing with the planner but the byte form, see :mod:`rescind.plan.effects`.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rescind.errors import PlanError
from rescind.model import GrantKey, Mode

EmptiedColumn = tuple[str, str, tuple[str, ...]]
"""(container, kind, column)."""

_DECODER = json.JSONDecoder()
_SETTINGS = re.compile(rb',"settings":"([0-9a-f]{64}|)"')
_UNREADABLE = "the approved effects cannot be read: they are not in the format of this version. Create the plan again"


@dataclass(frozen=True, slots=True)
class Approved:
    """What may be done to one account of one permission system.

    :param mode: how calls may treat cells that hold no grant.
    :param grants: those of the grants asked about that may go.
    :param emptied: columns that may be emptied altogether.
    """

    mode: Mode
    grants: frozenset[GrantKey]
    emptied: frozenset[EmptiedColumn]


def read_approved(pieces: Iterable[bytes], system: str, account: str, asked: Collection[GrantKey]) -> Approved:
    """Return the approved effects for one system and account; memory grows with ``asked``, not with the plan.

    :param pieces: the canonical bytes, checked against the approved digest by the caller.
    :param asked: the grants that somebody wants to take away; others are not kept.
    :raises PlanError: the bytes cannot be read, or name no effect on this system and account.
    """
    for entry in _entries(_Text(pieces), frozenset(asked)):
        if (entry.system, entry.account) == (system, account):
            emptied = frozenset((container, kind, tuple(column)) for container, kind, column in entry.emptied)
            return Approved(Mode(entry.mode), frozenset(entry.grants), emptied)
    raise PlanError(f"the approved effects do not contain {system} on account {account}. Nothing was sent")


@dataclass(frozen=True, slots=True)
class Effects:
    """All approved effects of a revocation.

    :param head: caps, policy version and settings.
    :param systems: by (system, account): what may be done there.
    :param identities: by (system, account): who the vendor says we are there.
    """

    head: Mapping[str, Any]
    systems: Mapping[tuple[str, str], Approved]
    identities: Mapping[tuple[str, str], Any]


def read_head(pieces: Iterable[bytes]) -> Mapping[str, Any]:
    """Return caps, policy version and settings of the effects.

    :param pieces: the canonical bytes, checked against the approved digest by the caller.
    :raises PlanError: the bytes cannot be read.
    """
    return _head(_Text(pieces))


def read_effects(pieces: Iterable[bytes]) -> Effects:
    """Return all effects; memory grows with the plan.

    :param pieces: the canonical bytes, checked against the approved digest by the caller.
    :raises PlanError: the bytes cannot be read.
    """
    text = _Text(pieces)
    head, systems, identities = _head(text), dict[tuple[str, str], Approved](), dict[tuple[str, str], Any]()
    for entry in _systems(text, _Everything()):
        emptied = frozenset((container, kind, tuple(column)) for container, kind, column in entry.emptied)
        place = entry.system, entry.account
        systems[place] = Approved(Mode(entry.mode), frozenset(entry.grants), emptied)
        identities[place] = entry.identity
    return Effects(head, systems, identities)


class _Everything:
    def __contains__(self, _: object) -> bool:
        return True


def approved_settings(pieces: Iterable[bytes]) -> str:
    """Return the digest of the settings that an approval covers, from the effects of a revocation or a restore.

    :param pieces: the canonical bytes, checked against the approved digest by the caller.
    :raises PlanError: the bytes name no settings.
    """
    head = b""
    for piece in pieces:
        head += piece
        if (end := head.find(b',"systems":[')) >= 0:
            # In canonical JSON a quote inside a text is escaped, so neither pattern can be part of one.
            found = _SETTINGS.findall(head[:end])
            if len(found) == 1:
                return str(found[0].decode())
            break
    raise PlanError(_UNREADABLE)


@dataclass(slots=True)
class _Entry:
    account: str
    emptied: list[Any]
    grants: set[GrantKey]
    identity: Any = None
    mode: str = ""
    system: str = ""


class _Text:
    """The bytes as text with a place in it; holds no more than is needed to read the next value."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._text, self._at = "", 0

    def take(self, literal: str) -> None:
        """Go past exactly this text."""
        if not self.next_is(literal):
            raise PlanError(_UNREADABLE)
        self._at += len(literal)

    def next_is(self, literal: str) -> bool:
        """Return whether this text comes next."""
        while len(self._text) - self._at < len(literal) and self._more():
            pass
        return self._text.startswith(literal, self._at)

    def value(self) -> Any:
        """Return the JSON value that comes next; never one that the end of a piece has cut short."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except ValueError:
                value, end = None, len(self._text)
            if end < len(self._text):
                self._at = end
                return value
            if not self._more():
                raise PlanError(_UNREADABLE)

    def _more(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            return False
        self._text, self._at = self._text[self._at :] + self._decode(piece), 0
        return True


def _head(text: _Text) -> dict[str, Any]:
    """Return everything before the systems."""
    found: dict[str, Any] = {}
    for name, literal in (("guards", '{"effects":2,"guards":'), ("policy_version", ""), ("settings", "")):
        text.take(literal or f',"{name}":')
        found[name] = text.value()
    text.take(',"systems":[')
    return found


def _entries(text: _Text, asked: Container[GrantKey]) -> Iterator[_Entry]:
    _head(text)
    yield from _systems(text, asked)


def _systems(text: _Text, asked: Container[GrantKey]) -> Iterator[_Entry]:
    while text.next_is('{"account":'):
        yield _entry(text, asked)
        if not text.next_is(","):
            break
        text.take(",")


def _entry(text: _Text, asked: Container[GrantKey]) -> _Entry:
    text.take('{"account":')
    entry = _Entry(text.value(), [], set())
    text.take(',"emptied":')
    entry.emptied = text.value()
    text.take(',"grants":[')
    while text.next_is("["):
        key = GrantKey(*text.value())
        if key in asked:
            entry.grants.add(key)
        if text.next_is(","):
            text.take(",")
    text.take('],"identity":')
    entry.identity = text.value()
    text.take(',"mode":')
    entry.mode = text.value()
    text.take(',"system":')
    entry.system = text.value()
    text.take("}")
    return entry
