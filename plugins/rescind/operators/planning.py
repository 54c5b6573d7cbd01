"""From decisions to a frozen plan: hold what must not go, cap the rest, cover it with calls, check, freeze."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import rescind
from rescind.hooks.settings import cloud_settings
from rescind.ledger import Ledger, NewBatch, NewCall, NewItem, NewPlan, Plan, Run
from rescind.model import CallShape, Cell, Choice, Grant, ItemState, Mode, PlannedCall, PrincipalType
from rescind.plan import Cover, SystemEffects, effects, plan_calls
from rescind.plan.batches import split
from rescind.plan.check import check_plan
from rescind.plan.guards import (
    Caps,
    GuardRecord,
    Holding,
    check_caps,
    count_holders,
    hold_irreversible,
    hold_last_holders,
)
from rescind.settings import Settings
from rescind.systems import REGISTRY, system_named

Account = tuple[str, str]
"""(system, account)."""


@dataclass(slots=True)
class _Part:
    """One system and account of the plan."""

    conn_id: str
    identity: str
    revoke: dict[str, Grant] = field(default_factory=dict)
    keep: list[Cell] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)
    cover: Cover | None = None
    by_cell: dict[Cell, list[Grant]] = field(default_factory=dict)

    def hold(self, grant_id: str, reason: str) -> None:
        """Take a grant out of the plan; its cell must survive from now on."""
        grant = self.revoke.pop(grant_id)
        self.keep.append(grant.cell)
        self.held[grant_id] = reason


@dataclass(slots=True)
class Planner:
    """Plans one run.

    :param caps: (most grants, most percent of the complete population) for this run.
    """

    ledger: Ledger
    run: Run
    settings: Settings
    caps: tuple[int, int]
    parts: dict[Account, _Part] = field(default_factory=dict)
    guards: list[GuardRecord] = field(default_factory=list)

    def freeze(self, *, now: datetime) -> Plan:
        """Plan, check, and write the plan to the ledger under its digest.

        :raises GuardTripped: when a cap stops the run; nothing was planned then.
        """
        self._read()
        self._hold()
        guards = Caps(total=self.caps[0], percent=self.caps[1], per_principal=self.settings.max_per_principal)
        planned = [grant.key for part in self.parts.values() for grant in part.revoke.values()]
        self.guards += check_caps(planned, self._population(), guards)
        for (system, account), part in self.parts.items():
            part.cover = self._cover(system, account, part)
        valid_for = timedelta(hours=self.settings.plan_valid_hours)
        bound = effects(
            [
                SystemEffects(
                    system, account, {"caller": part.identity}, Mode.STRICT, [g.key for g in part.revoke.values()]
                )
                for (system, account), part in self.parts.items()
                if part.revoke
            ],
            policy_version=self.run.policy_version,
            guards=guards.facts(),
            valid_for_s=int(valid_for.total_seconds()),
        )
        return self._write(bound, guards, now + valid_for)

    def lines(self) -> Iterator[str]:
        """The plan in a few lines, for the task's log."""
        for (system, account), part in sorted(self.parts.items()):
            cover = part.cover
            if cover is None:
                continue
            proof = "optimal, proven" if cover.proven else f"at least {cover.lower_bound}"
            what = f"{len(part.revoke)} to revoke in {len(cover.calls)} calls ({proof})"
            yield f"{system} {account}: {what}, {len(part.held)} held"
        for guard in self.guards:
            figures = f"limit {guard.limit}, measured {guard.measured}, held {guard.held}"
            yield f"guard {guard.guard} ({guard.scope}): {figures}"

    def _read(self) -> None:
        """Decisions of the complete scopes, by system and account."""
        for scope in self.ledger.scopes.all(self.run.run_id):
            if scope.state == "complete":
                self.parts[scope.system, scope.account] = _Part(scope.conn_id, scope.identity)
        for (system, account), part in self.parts.items():
            for grant, decision in self.ledger.decisions.each(self.run.run_id, system=system, account=account):
                if decision.choice is Choice.REVOKE:
                    part.revoke[grant.grant_id] = grant
                else:
                    part.keep.append(grant.cell)

    def _hold(self) -> None:
        """Take out what cannot be given back, and what would leave a resource without an administrator."""
        keys = {grant.key: grant for part in self.parts.values() for grant in part.revoke.values()}
        irreversible = hold_irreversible(
            keys, lambda key: _irreversible(keys[key]), allowed=self.settings.allow_irreversible
        )
        self._apply(irreversible)
        administrative = [(s.name, entitlement) for s in REGISTRY.values() for entitlement in s.admin_entitlements]
        everything = (grant.key for grant in self.ledger.snapshot.grants(self.run.run_id, complete_only=True))
        planned = [grant.key for part in self.parts.values() for grant in part.revoke.values()]
        self._apply(hold_last_holders(planned, count_holders(everything, administrative), administrative))

    def _apply(self, holding: Holding) -> None:
        self.guards.append(holding.record)
        for grant_id, reason in holding.held.items():
            next(part for part in self.parts.values() if grant_id in part.revoke).hold(grant_id, reason)

    def _population(self) -> Mapping[str, int]:
        sizes: dict[str, int] = {}
        for count in self.ledger.snapshot.counts(self.run.run_id):
            if count.complete:
                sizes[count.system] = sizes.get(count.system, 0) + count.grants
        return sizes

    def _cover(self, system: str, account: str, part: _Part) -> Cover:
        shape = self._shape(system)
        cover = plan_calls(system, account, shape, [(g.cell, i) for i, g in part.revoke.items()], part.keep)
        for grant_id, reason in cover.held.items():
            part.hold(grant_id, reason)
        cells = {grant_id: grant.cell for grant_id, grant in part.revoke.items()}
        check_plan(cover.calls, cells, part.keep, system=system, account=account, shape=shape)
        return cover

    def _shape(self, system: str) -> CallShape:
        """What one call may cover: the system's own limit, or fewer rows where the deployment says so.

        Every cell in exactly one call, also where a second call over it would be harmless: then each item has one
        call that answers for it, and a call's blast set is exactly its own items.
        """
        shape = system_named(system).shape
        rows = self.settings.rows_per_call.get(system, shape.max_rows)
        return replace(shape, max_rows=min(rows, shape.max_rows), overlap=False)

    def _write(self, bound: bytes, guards: Caps, valid_until: datetime) -> Plan:
        owner: dict[tuple[Account, Cell], str] = {}
        for account, part in self.parts.items():
            for call in part.cover.calls if part.cover else ():
                owner |= {(account, cell): call.call_id for cell in call.cells()}
        items = [
            NewItem(grant_id, owner[account, grant.cell])
            for account, part in self.parts.items()
            for grant_id, grant in part.revoke.items()
        ]
        items += [
            NewItem(grant_id, None, ItemState.HELD, reason)
            for part in self.parts.values()
            for grant_id, reason in part.held.items()
        ]
        plan = NewPlan(
            digest=hashlib.sha256(bound).hexdigest(),
            effects=bound,
            valid_until=valid_until,
            code_version=rescind.__version__,
            policy_version=self.run.policy_version,
            guards=[guard.facts() for guard in self.guards],
            caps=guards.facts(),
            lower_bound=sum(part.cover.lower_bound for part in self.parts.values() if part.cover),
        )
        return self.ledger.plans.freeze(self.run.run_id, plan, list(self._batches()), items)

    def _batches(self) -> Iterator[NewBatch]:
        calls = [call for part in self.parts.values() if part.cover for call in part.cover.calls]
        rates = {account: self._rate(account) for account in self.parts}
        for number, batch in enumerate(
            split(
                calls,
                rates,
                canary=self.settings.canary_items,
                canary_above=self.settings.canary_above,
                risk=self._risk,
                target_seconds=self.settings.batch_seconds,
                max_batches=self.settings.max_batches,
            ),
            1,
        ):
            account = (batch.system, batch.account)
            part = self.parts[account]
            new = [NewCall(call, self._inverse(part, call)) for call in batch.calls]
            items = sum(len(call.inverse) for call in new)
            label = (
                f"{system_named(batch.system).title} · {batch.account} · {items} grants in {len(new)} calls · {number}"
            )
            label = f"canary · {label}" if batch.canary else label
            yield NewBatch(batch.system, batch.account, part.conn_id, new, label=label, canary=batch.canary)

    def _risk(self, call: PlannedCall) -> int:
        """How many grants of a call cannot be given back, or are held by more than one person."""
        part = self.parts[call.system, call.account]
        kinds = {ident: part.revoke[ident].key.principal_type for ident in self._inverse(part, call)}
        back = self._inverse(part, call)
        return sum(back[ident] is None or kind != PrincipalType.USER for ident, kind in kinds.items())

    def _inverse(self, part: _Part, call: PlannedCall) -> dict[str, object]:
        """What giving back needs, by grant id."""
        system = system_named(call.system)
        if not part.by_cell:
            for grant in part.revoke.values():
                part.by_cell.setdefault(grant.cell, []).append(grant)
        return {g.grant_id: system.inverse(g) for cell in sorted(call.cells()) for g in part.by_cell.get(cell, ())}

    def _rate(self, account: Account) -> float:
        system = system_named(account[0])
        return cloud_settings(system.hook, self.parts[account].conn_id).rate(system.revoke_action, write=True)


def _irreversible(grant: Grant) -> str:
    return "" if system_named(grant.key.system).inverse(grant) is not None else "it cannot be given back faithfully"
