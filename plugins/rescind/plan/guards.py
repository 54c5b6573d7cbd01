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
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, NamedTuple

from rescind.errors import ConfigurationError, GuardTrippedError
from rescind.model import GrantKey

Percent = Fraction | int | str
"""A percentage: an integer, an exact fraction, or decimal text such as ``"2.5"``; never a float."""


class AdminSlot(NamedTuple):
    """One administrative entitlement on one resource: what must never be left without a holder."""

    system: str
    account: str
    resource_type: str
    resource_id: str
    entitlement: str


@dataclass(frozen=True, slots=True)
class Caps:
    """The size limits of a plan. ``total`` and ``percent`` have no default: 0 means none may be revoked.

    :param total: most grants in one plan.
    :param percent: most grants of one plan, as a percentage of the complete population.
    :param system_totals: most grants by system; a system that is not named has no limit of its own.
    :param system_percents: the same, as a percentage of that system's complete population.
    :param per_principal: most grants that one principal may lose, or None.
    :param per_resource: most grants that one resource may lose, or None.
    """

    total: int
    percent: Percent
    system_totals: Mapping[str, int] = field(default_factory=dict)
    system_percents: Mapping[str, Percent] = field(default_factory=dict)
    per_principal: int | None = None
    per_resource: int | None = None

    def __post_init__(self) -> None:
        counts = {"total": self.total, **{f"system_totals[{name}]": cap for name, cap in self.system_totals.items()}}
        counts |= {"per_principal": self.per_principal or 0, "per_resource": self.per_resource or 0}
        for name, cap in counts.items():
            if type(cap) is not int or cap < 0:
                raise ConfigurationError(f"cap {name}: not a count of 0 or more. Give a whole number; 0 means none")
        for percent in (self.percent, *self.system_percents.values()):
            _exact(percent)

    def facts(self) -> dict[str, Any]:
        """Return the caps as JSON without floats, for the effects digest. Equal caps give equal facts."""
        return {
            "total": self.total,
            "percent": _text(_exact(self.percent)),
            "system_totals": dict(self.system_totals),
            "system_percents": {name: _text(_exact(value)) for name, value in self.system_percents.items()},
            "per_principal": self.per_principal,
            "per_resource": self.per_resource,
        }


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


def check_caps(planned: Collection[GrantKey], population: Mapping[str, int], caps: Caps) -> tuple[GuardRecord, ...]:
    """Hold a plan against all its size limits.

    :param planned: every grant that the plan would revoke, each once.
    :param population: system -> number of grants in its complete snapshot; no entry means not complete.
    :returns: one record for each limit that applies.
    :raises GuardTrippedError: for the first limit that is exceeded, or when a planned system has no complete
        population.
    """
    by_system = Counter(key.system for key in planned)
    for system in sorted(by_system.keys() - population.keys()):
        raise GuardTrippedError(
            f"population of {system}",
            "a complete population",
            "none",
            "Run the discovery again until its listings are complete; without them the percentage cannot be computed.",
        )
    everyone = sum(population.values())
    records = [
        _count_cap("cap_total", "plan", len(planned), caps.total),
        _percent_cap("cap_percent", "plan", len(planned), everyone, caps.percent),
    ]
    for system, cap in sorted(caps.system_totals.items()):
        records.append(_count_cap("cap_system_total", system, by_system[system], cap))
    for system, percent in sorted(caps.system_percents.items()):
        records.append(
            _percent_cap("cap_system_percent", system, by_system[system], population.get(system, 0), percent)
        )
    if caps.per_principal is not None:
        records.append(_largest_cap("cap_per_principal", "principal", planned, _principal, caps.per_principal))
    if caps.per_resource is not None:
        records.append(_largest_cap("cap_per_resource", "resource", planned, _resource, caps.per_resource))
    return tuple(records)


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
    for slot, going in sorted(slots.items()):
        have = holders.get(slot, 0)
        if len(going) < have:
            continue
        reason = f"would leave {slot.resource_type} {slot.resource_id} without a holder of {slot.entitlement}"
        held |= {key.grant_id: f"{reason} ({len(going)} of {have} would go)" for key in going}
    ends = sum(1 for slot, going in slots.items() if len(going) >= holders.get(slot, 0))
    measured = f"{ends} of {len(slots)} administrative slots would lose their last holder"
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


def _count_cap(guard: str, scope: str, measured: int, cap: int) -> GuardRecord:
    if measured > cap:
        raise GuardTrippedError(
            f"{guard} ({scope})",
            f"{cap} grants",
            f"{measured} grants",
            "Narrow the review or raise the cap deliberately.",
        )
    return GuardRecord(guard, scope, f"{cap} grants", f"{measured} grants")


def _percent_cap(guard: str, scope: str, measured: int, population: int, percent: Percent) -> GuardRecord:
    limit = _exact(percent)
    share = Fraction(100 * measured, population) if population else Fraction(100 if measured else 0)
    text = f"{_text(share)} % ({measured} of {population} grants)"
    if share > limit:
        raise GuardTrippedError(
            f"{guard} ({scope})", f"{_text(limit)} %", text, "Narrow the review or raise the cap deliberately."
        )
    return GuardRecord(guard, scope, f"{_text(limit)} %", text)


def _largest_cap(
    guard: str, noun: str, planned: Iterable[GrantKey], owner: Callable[[GrantKey], tuple[str, ...]], cap: int
) -> GuardRecord:
    counts = Counter(owner(key) for key in planned)
    worst, count = max(((who, n) for who, n in counts.items()), key=lambda pair: (pair[1], pair[0]), default=((), 0))
    if count > cap:
        raise GuardTrippedError(
            guard,
            f"{cap} grants",
            f"{count} grants of {noun} {' '.join(worst[2:])}",
            "Split the review or raise the cap deliberately.",
        )
    return GuardRecord(guard, f"{len(counts)} {noun}s", f"{cap} grants", f"{count} grants at most")


def _principal(key: GrantKey) -> tuple[str, ...]:
    return (key.system, key.account, key.principal_type, key.principal_id)


def _resource(key: GrantKey) -> tuple[str, ...]:
    return (key.system, key.account, key.resource_type, key.resource_id)


def _exact(percent: Percent) -> Fraction:
    if isinstance(percent, bool | float):
        kind = type(percent).__name__
        raise ConfigurationError(f"percentage: a {kind} is not exact. Give an integer or text like '2.5'")
    try:
        value = Fraction(percent)
    except (ValueError, ZeroDivisionError) as error:
        raise ConfigurationError("percentage: not a number. Give an integer or text like '2.5'") from error
    if not 0 <= value <= 100:
        raise ConfigurationError("percentage: outside 0 to 100. 0 means none may be revoked")
    return value


def _text(value: Fraction) -> str:
    """Decimal text with at most four places: exact when it fits, rounded up otherwise so that it never flatters."""
    if 10_000 % value.denominator == 0:
        return format(value.numerator * (10_000 // value.denominator) / 10_000, "f").rstrip("0").rstrip(".") or "0"
    return f"{-(-value.numerator * 10_000 // value.denominator) / 10_000:.4f}"
