"""Split calls into batches: what one mapped task sends.

A batch holds calls of one (system, account), is named by the digest of its call ids (so that a cleared or
repeated task meets the same batch again), lasts about ``target_seconds`` at the account's rate limit, and keeps the
calls of one container together, so that one listing verifies them. When the plan is large, a canary batch
of each (system, account) with the fewest cells goes first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest

from rescind.errors import InputError
from rescind.model import PlannedCall, digest

Account = tuple[str, str]
"""(system, account): what a batch never mixes."""
_Place = tuple[str, str, int]
"""(system, account, turn)."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls that one task sends, in this order.

    :param batch_id: SHA-256 (hex) over the sorted ids of its calls.
    :param canary: True for a small first batch whose verification the others wait for.
    :param seconds: how long sending takes at the given rate.
    """

    batch_id: str
    system: str
    account: str
    calls: tuple[PlannedCall, ...]
    canary: bool
    seconds: float


def split(
    calls: Iterable[PlannedCall],
    rates: Mapping[Account, float],
    *,
    target_seconds: float = 60.0,
    max_batches: int = 200,
    canary: int = 5,
    canary_above: int = 200,
    risk: Callable[[PlannedCall], int] = lambda _call: 0,
    turn: Callable[[PlannedCall], int] = lambda _call: 0,
) -> tuple[Batch, ...]:
    """Return every call in exactly one batch: canaries first, then one batch of each (system, account) in turn.

    :param rates: (system, account) -> calls per second that may be sent there.
    :param target_seconds: how long a batch should last; longer when ``max_batches`` asks for it.
    :param max_batches: most batches in all, canaries included.
    :param canary: cells in the canary batch of each (system, account), as near as whole calls allow and at least
        one call; 0 for none. A (system, account) with one call only has none: it would be all that there is.
    :param canary_above: canaries only for a plan with more cells than this.
    :param risk: how much would be lost if a call went wrong; the least goes into the canary, then the fewest cells.
    :param turn: the round in which a call is sent: its batch comes after those of all earlier rounds. Only the first
        round, 0, has canaries: the vendor may refuse a later call while what has to end first is still there.
    :raises InputError: no rate for an account, a rate or limit that is not positive, a call given twice, or fewer
        batches allowed than accounts (and canaries) need.
    """
    places = _by_place(calls, rates, turn)
    paces = {place: rates[place[:2]] for place in places}
    if target_seconds <= 0 or max_batches < 1 or canary < 0:
        raise InputError("batches", "a limit is not positive", "Give target_seconds > 0, max_batches >= 1, canary >= 0")
    first: list[tuple[_Place, list[PlannedCall]]] = []
    if canary and sum(_cells(call) for members in places.values() for call in members) > canary_above:
        for place, members in places.items():
            if place[-1] == 0 and (chosen := _canary(members, canary, risk)):
                first.append((place, chosen))
                taken = set(chosen)
                places[place] = [call for call in members if call not in taken]
    room = max_batches - len(first)
    if room < len(places):
        needed = len(places) + len(first)
        raise InputError("max_batches", f"is {max_batches}, the plan needs {needed}", "Allow more batches")
    rest = sorted(_in_turn(_fit(places, paces, target_seconds, room), paces), key=lambda one: one[0][-1])
    return tuple(
        Batch(
            digest(sorted(call.call_id for call in members)),
            *place[:2],
            tuple(members),
            index < len(first),
            len(members) / paces[place],
        )
        for index, (place, members) in enumerate([*first, *rest])
    )


def _by_place(
    calls: Iterable[PlannedCall], rates: Mapping[Account, float], turn: Callable[[PlannedCall], int]
) -> dict[_Place, list[PlannedCall]]:
    """Return calls by (system, account, turn), containers with the fewest cells first and each together."""
    places: dict[_Place, list[PlannedCall]] = {}
    weight: dict[tuple[str, str, str], int] = {}
    seen: set[PlannedCall] = set()
    for call in calls:
        if call in seen:
            raise InputError("calls", f"name call {call.call_id[:12]} twice", "Give every call once")
        seen.add(call)
        places.setdefault((call.system, call.account, turn(call)), []).append(call)
        container = (call.system, call.account, call.container)
        weight[container] = weight.get(container, 0) + _cells(call)
    for place, members in places.items():
        if not rates.get(place[:2], 0) > 0:
            raise InputError("rates", f"have no positive rate for {place[0]}", "Give calls per second for each account")
        members.sort(
            key=lambda c: (
                weight[c.system, c.account, c.container],
                c.container,
                _cells(c),
                c.rows,
                c.columns,
            )
        )
    return dict(sorted(places.items()))


def _canary(members: Sequence[PlannedCall], size: int, risk: Callable[[PlannedCall], int]) -> list[PlannedCall]:
    """Return the calls of least risk, about ``size`` cells of them, and never all."""
    chosen: list[PlannedCall] = []
    cells = 0
    for call in sorted(members, key=lambda one: (risk(one), _cells(one))):
        if len(chosen) + 1 == len(members) or (chosen and cells + _cells(call) > size):
            break
        chosen.append(call)
        cells += _cells(call)
    return chosen


def _cells(call: PlannedCall) -> int:
    return len(call.rows) * len(call.columns)


def _fit(
    places: Mapping[_Place, Sequence[PlannedCall]], rates: Mapping[_Place, float], seconds: float, room: int
) -> list[tuple[_Place, list[PlannedCall]]]:
    """Pack with batches as short as ``seconds``, then longer by a tenth until there is room for all of them."""
    while True:
        packed = [
            (place, batch)
            for place, members in places.items()
            for batch in _pack(members, max(1, int(rates[place] * seconds)))
        ]
        if len(packed) <= room:
            return packed
        seconds *= 1.1


def _in_turn(
    packed: Sequence[tuple[_Place, list[PlannedCall]]], rates: Mapping[_Place, float]
) -> list[tuple[_Place, list[PlannedCall]]]:
    """Return the batches round by round, one of each account, the account that takes longest first.

    Tasks start in this order. All batches of one account first would fill every slot with tasks that share one limit,
    while the other accounts wait.
    """
    queues: dict[_Place, list[list[PlannedCall]]] = {}
    for place, batch in packed:
        queues.setdefault(place, []).append(batch)
    longest = sorted(queues, key=lambda place: (-sum(map(len, queues[place])) / rates[place], place))
    rounds = zip_longest(*([(place, batch) for batch in queues[place]] for place in longest))
    return [one for each in rounds for one in each if one is not None]


def _pack(calls: Sequence[PlannedCall], size: int) -> list[list[PlannedCall]]:
    """Batches of at most ``size`` calls; a container is cut only where it alone is larger than a batch."""
    batches: list[list[PlannedCall]] = []
    for _, group in groupby(calls, key=lambda call: call.container):
        members = list(group)
        if not batches or len(batches[-1]) + len(members) > size:
            batches.append([])
        for call in members:
            if len(batches[-1]) >= size:
                batches.append([])
            batches[-1].append(call)
    return batches
