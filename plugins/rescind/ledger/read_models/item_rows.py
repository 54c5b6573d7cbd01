"""The rows about items, their people and regrants that :mod:`rescind.ledger.read_models.queries` returns.

Counts are counts of grants unless stated otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rescind.last_use import last_use_words

NO_DEPARTMENT = "-"


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which items of a run to show; empty fields match everything.

    :param verdict: a verdict, ``none`` (no verdict yet) or ``open`` (not proven).
    :param text: part of a name, an id, a department, an entitlement or a rule; case does not matter.
    :param person: :attr:`PersonLine.person`.
    :param since: compared with the run before, see :class:`SinceLine`: ``new``, ``changed`` or ``unchanged``.
    :param sort: ``resource`` or ``right``; otherwise by system, account and person.
    :param department: of the person, or :data:`NO_DEPARTMENT` where the roster does not tell.
    :param by: ``person``, ``resource`` or ``system``: items of one group stand together.
    """

    system: str = ""
    state: str = ""
    verdict: str = ""
    text: str = ""
    person: str = ""
    since: str = ""
    sort: str = ""
    department: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class SinceLine:
    """The items of a run, compared with the last sealed run before it of the same DAG, kind and listing scopes.

    :param number: that run.
    :param new: items whose grant it did not list.
    :param changed: its grant had another end or another decision.
    :param unchanged: the same grant, with the same decision by the same rule.
    """

    number: int
    new: int
    changed: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class GrantLine:
    """The columns of a grant on a page."""

    system: str
    account: str
    resource_type: str
    resource_id: str
    resource_name: str
    principal_type: str
    principal_id: str
    principal_name: str
    entitlement: str
    native_id: str


@dataclass(frozen=True, slots=True)
class ItemLine(GrantLine):
    """One planned item: the grant, its decision, its last attempt and its verdict.

    :param group_key: names the group of the item; empty without groups.
    :param group_parts: of all matching items of the group: (entitlement, principal type, status of the person, how the
        person was matched, days since the last use, items, proven ones, held ones).
    :param matching: how many items match, where that was not known before.
    """

    grant_id: str
    state: str
    reason: str
    rule: str
    why: str
    verdict: str
    path: str
    observed_at: datetime | None
    call_id: str | None
    outcome: str
    code: str
    request_id: str
    sent_at: datetime | None
    person: str = ""
    department: str = ""
    last_used_days: int | None = None
    last_used_on: str = ""
    last_use: str = ""
    group_key: str = ""
    group_parts: Sequence[Sequence[Any]] = ()
    matching: int = 0

    @property
    def last_used(self) -> str:
        """When its holder last used it, in words; empty where the run did not ask."""
        return last_use_words(self.last_used_days, self.last_used_on, self.last_use) if self.last_use else ""


@dataclass(frozen=True, slots=True)
class PersonLine:
    """The items of one person of the roster, or of one principal that the roster does not know.

    :param person: the roster's id, or ``system/account/type/id``.
    :param roster_id: the roster's id, or empty.
    :param gone_from: moment in UTC as text, or empty.
    :param matched: how the principal was looked for in the roster, or empty.
    :param left_out: those of ``held`` that an approver left out.
    :param remaining: items that are not proven gone, without those whose record is gone.
    :param people: the number of all people that match, on every line.
    """

    person: str
    name: str
    roster_id: str
    principal_type: str
    principal_id: str
    department: str
    status: str
    gone_from: str
    matched: str
    systems: Sequence[str]
    items: int
    held: int
    left_out: int
    proven: int
    unproven: int
    effective: int
    remaining: int
    people: int


@dataclass(frozen=True, slots=True)
class PeoplePage:
    """A page of people, and the number of all of them that match."""

    total: int
    rows: Sequence[PersonLine]


@dataclass(frozen=True, slots=True)
class ItemPage:
    """A page of items, and the number of all matching items."""

    total: int
    rows: Sequence[ItemLine]


@dataclass(frozen=True, slots=True)
class ItemCount:
    """The number of items with the same system, state and verdict (empty: none yet), and how many are proven."""

    system: str
    state: str
    verdict: str
    items: int
    proven: int


@dataclass(frozen=True, slots=True)
class ReturnLine(GrantLine):
    """A regrant: a grant that a run proved gone and that reappeared.

    :param first_seen: when a watching run first saw it.
    :param last_seen: when a watching run last saw it.
    :param times: number of watching runs that saw it.
    :param seen_entitlement: entitlement at the last check. The fields with this prefix are empty where the platform
        shows nothing.
    """

    first_seen: datetime
    last_seen: datetime
    times: int
    seen_entitlement: str
    seen_native_id: str
    seen_created: str
    seen_expires: str
    seen_origin: str
