"""Guards: limits that stop a plan, or take items out of it, before anybody approves it.

Pure functions over planned grants and counts of the complete population. Each returns a record with
limit and measured value, for the approval page and the evidence; a guard that is passed is recorded too.
A cap raises :class:`~rescind.errors.GuardTrippedError`: a plan that is too large is a sign that something is
wrong, and a part of it is not the answer. The other guards hold single items and let the rest go on.

All comparisons are exact (integers and fractions), and whatever is not known counts against revoking.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from rescind.errors import ConfigurationError, GuardTrippedError
from rescind.model import GrantKey

_REMEDY = "Narrow the review or raise the cap deliberately."


PrincipalPlace = tuple[str, str, str, str]
"""(system, account, principal type, principal id)."""


class AdminSlot(NamedTuple):
    """One administrative entitlement on one resource: what must never be left without a holder."""

    system: str
    account: str
    resource_type: str
    resource_id: str
    entitlement: str


@dataclass(frozen=True, slots=True)
class Caps:
    """The size limits of a plan. None has a default: 0 means none may be revoked.

    :param total: most grants in one plan.
    :param percent: most grants of one plan, as a whole percentage (0 to 100) of the complete population.
    :param per_principal: most grants that one principal may lose.
    """

    total: int
    percent: int
    per_principal: int

    def __post_init__(self) -> None:
        for name, cap in self.facts().items():
            if type(cap) is not int or cap < 0:
                raise ConfigurationError(f"cap {name}: not a count of 0 or more. Give a whole number; 0 means none")
        if self.percent > 100:
            raise ConfigurationError("cap percent: more than 100. Give a whole number from 0 to 100; 0 means none")

    def facts(self) -> dict[str, int]:
        """Return the caps as JSON, for the effects digest."""
        return {"total": self.total, "percent": self.percent, "per_principal": self.per_principal}


@dataclass(frozen=True, slots=True)
class GuardRecord:
    """What one guard allowed and what it measured.

    :param guard: the guard's name.
    :param scope: what was measured: ``plan``, a system, or a count of things of one kind.
    :param held: how many items the guard took out of the plan.
    """

    guard: str
    scope: str
    limit: str
    measured: str
    held: int = 0

    def facts(self) -> dict[str, Any]:
        """Return the record as JSON."""
        return {name: getattr(self, name) for name in ("guard", "scope", "limit", "measured", "held")}


@dataclass(frozen=True, slots=True)
class Holding:
    """What a holding guard decided.

    :param held: grant id -> reason, for items that leave the plan and are reported.
    """

    held: Mapping[str, str]
    record: GuardRecord


def check_caps(
    planned: Collection[GrantKey],
    population: Mapping[str, int],
    caps: Caps,
    beside: Mapping[PrincipalPlace, int] | None = None,
) -> tuple[GuardRecord, ...]:
    """Hold a plan against all its size limits.

    :param planned: every grant that the plan would revoke, each once.
    :param beside: what people would lose beside these grants, such as what a group gives them, as counts.
    :param population: system -> number of grants in its complete snapshot; no entry means not complete.
    :returns: one record for each limit.
    :raises GuardTrippedError: for the first limit that is exceeded, or when a planned system has no complete
        population.
    """
    for system in sorted({key.system for key in planned} - population.keys()):
        raise GuardTrippedError(
            f"population of {system}",
            "a complete population",
            "none",
            "Run the discovery again until its listings are complete; without them the percentage cannot be computed.",
        )
    everyone = sum(population.values())
    return (
        _count_cap(len(planned), caps.total, sum((beside or {}).values())),
        _percent_cap(len(planned), everyone, caps.percent),
        _principal_cap(planned, caps.per_principal, beside or {}),
    )


def hold_last_holders(
    planned: Iterable[GrantKey], holders: Mapping[AdminSlot, int], administrative: Collection[tuple[str, str]]
) -> Holding:
    """Hold every planned grant of a slot that the plan would leave without a holder.

    All of them, not all but one: which administrator is to stay is for a person to decide.

    :param holders: slot -> number of grants of the complete population in it that work (holders who are disabled
        do not count); a slot without an entry is not known and is held.
    :param administrative: (system, entitlement) pairs that count as administrative.
    """
    counted = set(administrative)
    slots: dict[AdminSlot, list[GrantKey]] = {}
    for key in planned:
        if (key.system, key.entitlement) in counted:
            slots.setdefault(admin_slot(key), []).append(key)
    held: dict[str, str] = {}
    ending = [(slot, going) for slot, going in sorted(slots.items()) if len(going) >= holders.get(slot, 0)]
    for slot, going in ending:
        reason = f"would leave {slot.resource_type} {slot.resource_id} without a holder of {slot.entitlement}"
        figures = f"{len(going)} of {holders.get(slot, 0)} would go"
        held |= {key.grant_id: f"{reason} ({figures})" for key in going}
    measured = f"{len(ending)} of {len(slots)} administrative slots would lose their last holder"
    return Holding(held, GuardRecord("last_holder", "plan", "at least 1 holder stays", measured, len(held)))


def hold_irreversible(
    planned: Iterable[GrantKey], irreversible: Callable[[GrantKey], str], *, allowed: bool
) -> Holding:
    """Hold what cannot be restored, unless that was permitted explicitly.

    :param irreversible: why a grant cannot be restored faithfully, or empty when it can.
    :param allowed: True when the run was given permission for irreversible items.
    """
    found = {key.grant_id: why for key in planned if (why := irreversible(key))}
    held = {} if allowed else {grant_id: f"cannot be restored: {why}" for grant_id, why in found.items()}
    limit = "allowed" if allowed else "none without explicit permission"
    return Holding(held, GuardRecord("irreversible", "plan", limit, f"{len(found)} irreversible items", len(held)))


def admin_slot(key: GrantKey) -> AdminSlot:
    """Return the slot that a grant of an administrative entitlement fills."""
    return AdminSlot(key.system, key.account, key.resource_type, key.resource_id, key.entitlement)


def count_holders(population: Iterable[GrantKey], administrative: Collection[tuple[str, str]]) -> dict[AdminSlot, int]:
    """Return slot -> number of grants in it, over a complete population (working holders only)."""
    counted = set(administrative)
    return dict(Counter(admin_slot(key) for key in population if (key.system, key.entitlement) in counted))


def _count_cap(measured: int, cap: int, beside: int) -> GuardRecord:
    text = f"{measured} grants" + (f" and {beside} that people lose with them" if beside else "")
    if measured + beside > cap:
        raise GuardTrippedError("cap_total (plan)", f"{cap} grants", text, _REMEDY)
    return GuardRecord("cap_total", "plan", f"{cap} grants", text)


def _percent_cap(measured: int, population: int, percent: int) -> GuardRecord:
    """Compare without division: no share is rounded, and one of an empty population is never within a limit."""
    figures = f"{measured} of {population} grants"
    text = f"{_text(Fraction(100 * measured, population))} % ({figures})" if population else figures
    if measured > population or 100 * measured > percent * population:
        raise GuardTrippedError("cap_percent (plan)", f"{percent} %", text, _REMEDY)
    return GuardRecord("cap_percent", "plan", f"{percent} %", text)


def _principal_cap(planned: Iterable[GrantKey], cap: int, beside: Mapping[PrincipalPlace, int]) -> GuardRecord:
    counts = Counter((key.system, key.account, key.principal_type, key.principal_id) for key in planned)
    counts.update(beside)
    worst, count = max(counts.items(), key=lambda pair: (pair[1], pair[0]), default=((), 0))
    if count > cap:
        remedy = "Split the review or raise the cap deliberately."
        raise GuardTrippedError(
            "cap_per_principal", f"{cap} grants", f"{count} grants of principal {' '.join(worst[2:])}", remedy
        )
    return GuardRecord("cap_per_principal", f"{len(counts)} principals", f"{cap} grants", f"{count} grants at most")


def _text(value: Fraction) -> str:
    """Decimal text with at most four places: exact when it fits, rounded up otherwise so that it never flatters."""
    if 10_000 % value.denominator == 0:
        return format(value.numerator * (10_000 // value.denominator) / 10_000, "f").rstrip("0").rstrip(".") or "0"
    return f"{-(-value.numerator * 10_000 // value.denominator) / 10_000:.4f}"
