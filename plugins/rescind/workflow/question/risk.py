"""How much a grant that goes could do: a level with its reasons in words, and an order without hashes."""

from __future__ import annotations

from dataclasses import dataclass

from rescind.i18n import mark
from rescind.last_use import long_unused
from rescind.model import Decision, Grant, PrincipalType
from rescind.systems.entitlement_class import EntitlementClass, entitlement_class

LEVELS = (mark("low"), mark("medium"), mark("high"))
_BASE = {
    EntitlementClass.SEE: 0,
    EntitlementClass.READ: 1,
    EntitlementClass.EXPORT: 2,
    EntitlementClass.UNKNOWN: 2,
    EntitlementClass.CHANGE: 3,
    EntitlementClass.OWN: 4,
}
_NOT_IN_ROSTER = "none"
"""How a principal was matched of whom the roster was searched in vain."""


@dataclass(frozen=True, slots=True)
class Risk:
    """What a grant could do in the wrong hands.

    :param level: ``low``, ``medium`` or ``high``.
    :param reasons: why, in words.
    :param order: larger comes first; equal grants are then ordered by names.
    """

    level: str
    reasons: tuple[str, ...]
    order: tuple[int, int]


def risk_of(grant: Grant, decision: Decision) -> Risk:
    """Return the risk of a grant: the class of its entitlement, and the state of its holder.

    One step up for a person who has left, for an account of nobody in the roster, for a right of many people, and for a
    right that was not seen in use for long. Where the use is not known, nothing is concluded.
    """
    allowed = entitlement_class(grant.key.entitlement)
    facts = decision.facts
    status, matched_by = (str(facts.get(name, "")) for name in ("person.status", "matched_by"))
    more = _raised(grant.key.principal_type, status, matched_by, grant.last_used_days)
    points = _BASE[allowed] + len(more)
    return Risk(_level(points), (_SENTENCES[allowed], *more), (points, int(allowed)))


def risk_level(
    entitlement: str, principal_type: str, status: str, matched_by: str, last_used_days: int | None = None
) -> str:
    """Return :attr:`Risk.level` by what :func:`risk_of` looks at, where the grant itself is not at hand.

    :param status: of the person, by the roster; ``matched_by`` is how the roster was searched.
    """
    return _level(
        _BASE[entitlement_class(entitlement)] + len(_raised(principal_type, status, matched_by, last_used_days))
    )


def _level(points: int) -> str:
    return LEVELS[min(max(points - 1, 0), 2)]


def _raised(principal_type: str, status: str, matched_by: str, last_used_days: int | None) -> list[str]:
    reasons = []
    if status == "left":
        reasons.append(mark("the person has left"))
    elif matched_by == _NOT_IN_ROSTER and principal_type == PrincipalType.USER:
        reasons.append(mark("the roster does not know this account"))
    if principal_type not in (PrincipalType.USER, PrincipalType.UNKNOWN):
        reasons.append(mark("held by more than one person"))
    if long_unused(last_used_days):
        reasons.append(mark("not seen in 90 days"))
    return reasons


_SENTENCES = {
    EntitlementClass.SEE: mark("shows names only, or logs on"),
    EntitlementClass.READ: mark("reads data"),
    EntitlementClass.EXPORT: mark("exports data"),
    EntitlementClass.UNKNOWN: mark("may read or change data"),
    EntitlementClass.CHANGE: mark("changes data"),
    EntitlementClass.OWN: mark("owns, administers or can grant"),
}
