"""Small runs for tests: grants, scopes, decisions, a plan, an approval, each in one line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rescind.ledger import (
    Approval,
    Certificate,
    Ledger,
    NewBatch,
    NewCall,
    NewInput,
    NewItem,
    NewPlan,
    NewRun,
    Plan,
    Run,
    ScopeSpec,
)
from rescind.model import Cell, Choice, Decision, Grant, GrantKey, PlannedCall, canonical
from tests.support.reviews.approval import KEYS

SYSTEM = "quickbi_menus"
ACCOUNT = "alibaba:1234567890123456:cn-hangzhou"


def grant(number: int, *, system: str = SYSTEM, account: str = ACCOUNT, portal: str = "portal-1", **more: Any) -> Grant:
    """Grant ``number``: user ``number`` may view menu ``number % 10`` of a portal."""
    user, menu = f"u{number:06d}", f"m{number % 10}"
    key = GrantKey(system, account, "menu", f"{portal}/{menu}", "user", user, "view")
    return Grant(key, Cell(portal, menu, "user", (user,)), principal_name=f"User {number}", **more)


def certificate(counted: int, **more: Any) -> Certificate:
    """A complete listing of ``counted`` grants."""
    return Certificate(
        identity="acs:ram::1:user/reader", query={"PortalId": "portal-1"}, pages=1, counted=counted, **more
    )


def begin(
    ledger: Ledger,
    name: str = "manual__1",
    *,
    dry_run: bool = False,
    requested_by: str = "rita",
    inputs: Sequence[NewInput] = (),
    policy_version: str = "",
) -> Run:
    """A run."""
    new = NewRun(
        "access_review", name, "manual", requested_by, reason="leavers", params={"n": 1}, dry_run=dry_run,
        policy_version=policy_version,
    )  # fmt: skip
    return ledger.runs.begin(new, inputs)


def list_scope(ledger: Ledger, run: Run, grants: Sequence[Grant], *, complete: bool = True, part: str = "") -> str:
    """Open one scope, write its grants, return its id."""
    system, account = (grants[0].key.system, grants[0].key.account) if grants else (SYSTEM, ACCOUNT)
    spec = ScopeSpec(system, account, part, "quickbi_default")
    ledger.scopes.open(run.run_id, [spec])
    ledger.snapshot.replace_scope(
        run.run_id, spec.scope_id, grants, [], [], certificate(len(grants), complete=complete)
    )
    return spec.scope_id


def decide(ledger: Ledger, run: Run, grants: Iterable[Grant], revoke: Iterable[Grant]) -> None:
    """Revoke some grants and keep the others."""
    gone = {one.grant_id for one in revoke}
    ledger.decisions.write(
        run.run_id,
        [
            Decision(
                one.grant_id,
                Choice.REVOKE if one.grant_id in gone else Choice.KEEP,
                "leaver" if one.grant_id in gone else "default",
                "left the company",
            )
            for one in grants
        ],
    )


def call_for(grants: Sequence[Grant]) -> PlannedCall:
    """One call over the rectangle that these grants span."""
    key = grants[0].key
    rows = tuple(sorted({one.cell.row for one in grants}))
    columns = tuple(sorted({(one.cell.kind, one.cell.column) for one in grants}))
    return PlannedCall(key.system, key.account, grants[0].cell.container, rows, columns)


def effects_of(grants: Iterable[Grant]) -> bytes:
    """Canonical bytes of a set of effects."""
    return canonical(sorted(list(one.key) for one in grants))


@dataclass
class Frozen:
    """A run with a plan; ``batch_id`` is its first batch, ``calls`` maps call ids to the grants of each call."""

    run: Run
    plan: Plan
    batch_id: str
    calls: Mapping[str, Sequence[Grant]]
    grants: Sequence[Grant]
    extra: dict[str, object] = field(default_factory=dict)

    @property
    def call_ids(self) -> list[str]:
        """The calls in the order of the batch."""
        return list(self.calls)


def freeze(
    ledger: Ledger,
    run: Run,
    groups: Sequence[Sequence[Grant]],
    *,
    valid_for: timedelta = timedelta(hours=1),
    batches: int = 1,
) -> Frozen:
    """Freeze a plan with one call for each group of grants. The calls go to the batches in turn."""
    calls = {call_for(group).call_id: list(group) for group in groups}
    made = [
        NewBatch(
            groups[number][0].key.system,
            groups[number][0].key.account,
            "quickbi_default",
            [NewCall(call_for(group), {"give": "back"}) for group in groups[number::batches]],
        )
        for number in range(batches)
    ]
    every = [one for group in groups for one in group]
    effects = effects_of(every)
    plan = ledger.plans.freeze(
        run.run_id,
        NewPlan(
            hashlib.sha256(effects).hexdigest(),
            effects,
            datetime.now(UTC) + valid_for,
            "0.1.0",
            guards={"max": 10},
            caps={"count": 100, "percent": 10},
            lower_bound=1,
        ),
        made,
        [NewItem(one.grant_id, call_id) for call_id, group in calls.items() for one in group],
    )
    return Frozen(run, plan, made[0].batch_id, calls, every)


def approve(ledger: Ledger, frozen: Frozen, *, by: str = "anna") -> Approval:
    """Ask for the approval of a plan and give it, signed with the key of the tests."""
    ledger.approvals.keys = KEYS
    asked = ledger.approvals.request(
        frozen.run.run_id, frozen.plan.digest, requested_by=frozen.run.requested_by, valid_until=frozen.plan.valid_until
    )
    return ledger.approvals.answer(
        frozen.run.run_id, frozen.plan.digest, nonce=asked.nonce, answer="approve", responded_by=by
    )


def frozen_run(
    ledger: Ledger, name: str = "manual__1", *, dry_run: bool = False, groups: int = 2, batches: int = 1
) -> Frozen:
    """A run over at least 10 grants, of which ``2 * groups`` are to be revoked by ``groups`` calls; not approved."""
    run = begin(ledger, name, dry_run=dry_run)
    grants = [grant(number) for number in range(max(10, 2 * groups + 2))]
    list_scope(ledger, run, grants)
    revoke = [[grants[2 * number], grants[2 * number + 1]] for number in range(groups)]
    decide(ledger, run, grants, [one for group in revoke for one in group])
    return freeze(ledger, run, revoke, batches=batches)


def ready_run(ledger: Ledger, name: str = "manual__1", *, groups: int = 2, batches: int = 1) -> Frozen:
    """A run as :func:`frozen_run` makes it, approved."""
    frozen = frozen_run(ledger, name, groups=groups, batches=batches)
    approve(ledger, frozen)
    return frozen
