"""Backtests: what a policy would have revoked in past snapshots."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from rescind.errors import InputError
from rescind.model import Choice, Grant
from rescind.review.decide import DecisionContext, decide
from rescind.review.policy.load import Policy

SAMPLES = 20
"""Grants named as examples, for each rule and snapshot."""


@dataclass(frozen=True)
class Snapshot:
    """A stored snapshot: its grants, as one iterable that is read once.

    :param taken_at: when it was taken; the policy sees this as ``now``.
    :param context: what was known then (roster, principals, exceptions), or None to use the backtest's.
    :param revoked: ids of the grants that were decided to go then, to compare with.
    """

    name: str
    taken_at: datetime
    grants: Iterable[Grant]
    context: DecisionContext | None = None
    revoked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SnapshotResult:
    """What would have happened to one snapshot.

    :param by_rule: number of grants by rule, kept and revoked alike.
    :param samples: for each rule that revokes, the first few grant ids.
    :param new: grants that no earlier snapshot of the backtest would have lost.
    :param then: grants that were decided to go when the snapshot was taken.
    :param more: grants that would go now and were to stay then, with the first few ids; ``fewer`` the other way.
    """

    name: str
    taken_at: datetime
    grants: int
    revoked: int
    new: int
    by_rule: dict[str, int]
    samples: dict[str, list[str]]
    then: int = 0
    more: int = 0
    fewer: int = 0
    more_samples: tuple[str, ...] = ()
    fewer_samples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Backtest:
    """The results of all snapshots, in their order.

    :param returned: grants that would have been taken from one snapshot and stand in a later one: either nobody
        took them away, or people asked for them back. Read them before the first real run.
    """

    policy: str
    version: str
    snapshots: tuple[SnapshotResult, ...]
    distinct: int
    returned: int


def backtest(
    snapshots: Iterable[Snapshot], ctx: DecisionContext | None = None, *, policy: Policy | None = None
) -> Backtest:
    """Run a policy over the snapshots, each at its own time; memory grows with what would go.

    :param ctx: what is known for snapshots that bring no context of their own; its policy is the one to try.
    :param policy: the policy to try instead.
    :raises InputError: without a policy or without any context, or as :func:`~rescind.review.decide.decide`.
    """
    policy = policy or (ctx.policy if ctx else None)
    if policy is None:
        raise InputError("policy", "a backtest needs a policy", "Give a policy file.")
    lost: set[str] = set()
    returned: set[str] = set()
    results: list[SnapshotResult] = []
    for snapshot in snapshots:
        known = snapshot.context or ctx
        if known is None:
            raise InputError(snapshot.name, "a snapshot without a context", "Give the backtest a context.")
        own = dataclasses.replace(known, now=snapshot.taken_at, policy=policy, request=None)
        results.append(_run(snapshot, own, lost, returned))
    return Backtest(policy.name, policy.version, tuple(results), len(lost), len(returned))


def _run(snapshot: Snapshot, ctx: DecisionContext, lost: set[str], returned: set[str]) -> SnapshotResult:
    by_rule: Counter[str] = Counter()
    samples: dict[str, list[str]] = {}
    revoked: set[str] = set()
    count = 0
    for decision in decide(snapshot.grants, ctx):
        count += 1
        by_rule[decision.rule] += 1
        if decision.grant_id in lost:
            returned.add(decision.grant_id)
        if decision.choice is Choice.REVOKE:
            revoked.add(decision.grant_id)
            examples = samples.setdefault(decision.rule, [])
            if len(examples) < SAMPLES:
                examples.append(decision.grant_id)
    new = len(revoked - lost)
    lost |= revoked
    more, fewer = sorted(revoked - snapshot.revoked), sorted(snapshot.revoked - revoked)
    return SnapshotResult(
        snapshot.name,
        snapshot.taken_at,
        count,
        len(revoked),
        new,
        dict(sorted(by_rule.items())),
        samples,
        then=len(snapshot.revoked),
        more=len(more),
        fewer=len(fewer),
        more_samples=tuple(more[:SAMPLES]),
        fewer_samples=tuple(fewer[:SAMPLES]),
    )
