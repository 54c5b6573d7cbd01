"""Split calls into batches: what one mapped task sends.

A batch holds calls of one (system, account), is named by the digest of its call ids (so that a cleared or
repeated task meets the same batch again), lasts about ``target_seconds`` at the account's rate limit, and keeps the
calls of one container together, so that one listing verifies them. When the plan is large, a canary batch
of each (system, account) with the fewest cells goes first.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest

from rescind.errors import InputError
from rescind.model import PlannedCall, digest

Account = tuple[str, str]
"""(system, account): what a batch never mixes."""


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
    last: Container[Account] = (),
) -> tuple[Batch, ...]:
    """Return every call in exactly one batch: canaries first, then one batch of each (system, account) in turn.

    :param rates: (system, account) -> calls per second that may be sent there.
    :param target_seconds: how long a batch should last; longer when ``max_batches`` asks for it.
    :param max_batches: most batches in all, canaries included.
    :param canary: cells in the canary batch of each (system, account), as near as whole calls allow and at least
        one call; 0 for none. A (system, account) with one call only has none: it would be all that there is.
    :param canary_above: canaries only for a plan with more cells than this.
    :param risk: how much would be lost if a call went wrong; the least goes into the canary, then the fewest cells.
    :param last: those whose batches come after all others. They have no canary: the vendor may refuse it, while what
        has to end first is still there.
    :raises InputError: no rate for an account, a rate or limit that is not positive, a call given twice, or fewer
        batches allowed than accounts (and canaries) need.
    """
    accounts = _by_account(calls, rates)
    if target_seconds <= 0 or max_batches < 1 or canary < 0:
        raise InputError("batches", "a limit is not positive", "Give target_seconds > 0, max_batches >= 1, canary >= 0")
    first: list[tuple[Account, list[PlannedCall]]] = []
    if canary and sum(_cells(call) for members in accounts.values() for call in members) > canary_above:
        for account, members in accounts.items():
            if account not in last and (chosen := _canary(members, canary, risk)):
                first.append((account, chosen))
                taken = set(chosen)
                accounts[account] = [call for call in members if call not in taken]
    room = max_batches - len(first)
    if room < len(accounts):
        needed = len(accounts) + len(first)
        raise InputError("max_batches", f"is {max_batches}, the plan needs {needed}", "Allow more batches")
    rest = sorted(_in_turn(_fit(accounts, rates, target_seconds, room), rates), key=lambda one: one[0] in last)
    return tuple(
        Batch(
            digest(sorted(call.call_id for call in members)),
            *account,
            tuple(members),
            index < len(first),
            len(members) / rates[account],
        )
        for index, (account, members) in enumerate([*first, *rest])
    )


def _by_account(calls: Iterable[PlannedCall], rates: Mapping[Account, float]) -> dict[Account, list[PlannedCall]]:
    """Return calls by (system, account), containers with the fewest cells first and each together."""
    accounts: dict[Account, list[PlannedCall]] = {}
    weight: dict[tuple[str, str, str], int] = {}
    seen: set[PlannedCall] = set()
    for call in calls:
        if call in seen:
            raise InputError("calls", f"name call {call.call_id[:12]} twice", "Give every call once")
        seen.add(call)
        accounts.setdefault((call.system, call.account), []).append(call)
        container = (call.system, call.account, call.container)
        weight[container] = weight.get(container, 0) + _cells(call)
    for account, members in accounts.items():
        if not rates.get(account, 0) > 0:
            raise InputError(
                "rates", f"have no positive rate for {account[0]}", "Give calls per second for each account"
            )
        members.sort(
            key=lambda c: (
                weight[(*account, c.container)],
                c.container,
                _cells(c),
                c.rows,
                c.columns,
            )
        )
    return dict(sorted(accounts.items()))


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
    accounts: Mapping[Account, Sequence[PlannedCall]], rates: Mapping[Account, float], seconds: float, room: int
) -> list[tuple[Account, list[PlannedCall]]]:
    """Pack with batches as short as ``seconds``, then longer by a tenth until there is room for all of them."""
    while True:
        packed = [
            (account, batch)
            for account, members in accounts.items()
            for batch in _pack(members, max(1, int(rates[account] * seconds)))
        ]
        if len(packed) <= room:
            return packed
        seconds *= 1.1


def _in_turn(
    packed: Sequence[tuple[Account, list[PlannedCall]]], rates: Mapping[Account, float]
) -> list[tuple[Account, list[PlannedCall]]]:
    """Return the batches round by round, one of each account, the account that takes longest first.

    Tasks start in this order. All batches of one account first would fill every slot with tasks that share one limit,
    while the other accounts wait.
    """
    queues: dict[Account, list[list[PlannedCall]]] = {}
    for account, batch in packed:
        queues.setdefault(account, []).append(batch)
    longest = sorted(queues, key=lambda account: (-sum(map(len, queues[account])) / rates[account], account))
    rounds = zip_longest(*([(account, batch) for batch in queues[account]] for account in longest))
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
