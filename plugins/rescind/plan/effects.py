"""The canonical effects of a plan: what a person approves, and its digest.

The digest covers *effects*, not calls: which grants go, which columns an approved decision empties, in
which mode, on which account, under which policy, settings and guards, for how long. The calls may be improved
after the approval; each one is still judged against these effects right before it is sent.

The byte form is :func:`rescind.model.canonical` of one JSON object::

    {"effects": 2, "guards": {...}, "policy_version": "...", "settings": "...", "systems": [...], "valid_for_s": 3600}

with systems, grants and emptied columns sorted and each named once. So it changes when, and only when,
an effect changes: the order of the input is irrelevant, and names, reasons and other incidental text are
not part of it. It is made in pieces, so that the digest of a million grants needs no second copy of them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from rescind.errors import InputError
from rescind.model import GrantKey, Mode, canonical

EFFECTS_FORMAT = 2
"""The version of the byte form; a part of it, so that two forms never share a digest."""

EmptiedColumn = tuple[str, str, tuple[str, ...]]
"""(container, kind, column) that an approved decision empties: whatever turns up there may go too."""

_GRANTS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class SystemEffects:
    """What the plan does to one account of one permission system.

    :param system: the system's name in code, for example ``quickbi_menus``.
    :param account: the account (and region) as grants name it.
    :param identity: who the vendor says we are there (``client.identity``): account id, ARN or user id.
    :param mode: how the calls treat cells that hold no grant.
    :param grants: the full keys of all grants that go; at least the keys of every grant in a planned cell.
    :param emptied: the columns that may be emptied; must be empty unless ``mode`` is emptying.
    """

    system: str
    account: str
    identity: Mapping[str, str]
    mode: Mode
    grants: Collection[GrantKey]
    emptied: Collection[EmptiedColumn] = field(default=frozenset())


def effects(
    systems: Iterable[SystemEffects], *, policy_version: str, settings: str, guards: Mapping[str, Any], valid_for_s: int
) -> bytes:
    """Return the canonical bytes of everything that an approval binds.

    :param systems: one entry for each (system, account); their order is irrelevant.
    :param policy_version: names the policies exactly, usually a digest over their files.
    :param settings: SHA-256 (hex) of the settings that the run recorded; empty for a run without a record.
    :param guards: caps and thresholds as JSON without floats, see :func:`rescind.plan.guards.Caps.facts`.
    :param valid_for_s: seconds after the approval in which the plan may be executed; at least 1.
    :raises InputError: a grant is listed under the wrong system or account, a (system, account) is listed
        twice, columns are emptied in a mode that does not empty, or ``valid_for_s`` is below 1.
    :raises TypeError: ``guards`` hold a float or something that is not JSON.
    """
    return b"".join(
        _pieces(systems, {"guards": guards, "policy_version": policy_version, "settings": settings}, valid_for_s)
    )


def _pieces(systems: Iterable[SystemEffects], facts: Mapping[str, Any], valid_for_s: int) -> Iterator[bytes]:
    if valid_for_s < 1:
        raise InputError("valid_for_s", f"is {valid_for_s}", "Give at least 1 second")
    ordered = sorted(systems, key=lambda entry: (entry.system, entry.account))
    for one, two in pairwise(ordered):
        if (one.system, one.account) == (two.system, two.account):
            raise InputError("systems", f"names {one.system} on one account twice", "Merge the two entries")
    head = canonical({"effects": EFFECTS_FORMAT, **facts})
    yield head[:-1] + b',"systems":['
    for index, entry in enumerate(ordered):
        yield b"," if index else b""
        yield from _system_pieces(entry)
    yield b"]," + canonical({"valid_for_s": valid_for_s})[1:]


def _system_pieces(entry: SystemEffects) -> Iterator[bytes]:
    emptied = sorted(set(entry.emptied))
    if emptied and entry.mode is not Mode.EMPTYING:
        raise InputError("emptied", f"names columns in mode {entry.mode}", "Empty columns in mode emptying only")
    yield canonical({"account": entry.account, "emptied": [[c, k, list(v)] for c, k, v in emptied]})[:-1]
    yield b',"grants":['
    grants = sorted(set(entry.grants))
    for start in range(0, len(grants), _GRANTS_AT_ONCE):
        some = grants[start : start + _GRANTS_AT_ONCE]
        for key in some:
            if (key.system, key.account) != (entry.system, entry.account):
                problem = f"hold a grant of {key.system} under {entry.system}"
                raise InputError("grants", problem, "Group grants by account")
        yield (b"," if start else b"") + canonical([list(key) for key in some])[1:-1]
    rest = {"identity": dict(entry.identity), "mode": str(entry.mode), "system": entry.system}
    yield b"]," + canonical(rest)[1:]
