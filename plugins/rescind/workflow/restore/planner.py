"""Plans a restore: which of the selected grants need a call, and the fewest calls for them."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import rescind
from rescind.errors import ConfigurationError, GuardTrippedError
from rescind.hooks.clients import connected, hook_of
from rescind.ledger import Ledger, NewBatch, NewCall, NewItem, NewPlan, Plan, Run, Scope
from rescind.model import Cell, Grant, GrantKey, ItemState, PlannedCall
from rescind.plan import plan_calls
from rescind.plan.batches import split
from rescind.plan.check import check_plan
from rescind.plan.guards import GuardRecord
from rescind.plan.restore_effects import OPERATION, Inverse, SystemRestores, restore_effects
from rescind.settings import VARIABLE, Settings
from rescind.systems import system_named
from rescind.systems.walker import account_of
from rescind.workflow.execute.listings import match_regranted
from rescind.workflow.execute.restoration import ALREADY_REGRANTED, REGRANTED_DIFFERENTLY
from rescind.workflow.restore.request import RestoreRequest
from rescind.workflow.restore.source import RestoreSource
from rescind.workflow.run_settings import settings_digest

TOUCHED = "affected listing scopes"
"""Name of the part of the population that a restore lists. It is never complete, so later listings do not use it."""
GONE_LISTINGS, GONE_HOLDERS = "gone_places", "gone_holders"
"""Names of the notes of a scope: by grant id, why its resource or its principal no longer exists."""

_UNFAITHFUL = "it cannot be restored faithfully"

Account = tuple[str, str]
"""(system, account)."""


def reading_scopes(ledger: Ledger, source: Run, grants: Mapping[str, Grant]) -> list[Scope]:
    """Return one scope of the source run for each system and account of the grants, with its connection."""
    touched = {(grant.key.system, grant.key.account) for grant in grants.values()}
    scopes = {(scope.system, scope.account): scope for scope in ledger.scopes.all(source.run_id)}
    return [scopes[account] for account in sorted(touched)]


async def granting(ledger: Ledger, settings: Settings, account: Account) -> tuple[str, str]:
    """Return the granting connection of an account, as (connection id, identity).

    :raises ConfigurationError: when no connection is configured, or none answers for that account.
    """
    system, number = account
    conn_ids = settings.granting_connections.get(system, [])
    seen = []
    for conn_id in conn_ids:
        async with connected(system_named(system), conn_id, ledger, settings) as (client, _):
            if account_of(client) == number:
                caller = client.identity
                return conn_id, (caller.arn or caller.user_id) if caller else ""
            seen.append(f"{conn_id!r} answers for {account_of(client)}")
    actions = ", ".join(sorted(system_named(system).restore_actions))
    example = f'"granting_connections": {{"{system}": ["..."]}}'
    raise ConfigurationError(
        f"no granting connection for {system} of account {number}{': ' + ', '.join(seen) if seen else ''}. "
        f"The key that revokes cannot grant. Create a connection whose key may call "
        f"{actions}, and add {example} to the Airflow Variable {VARIABLE!r}"
    )


@dataclass(slots=True)
class _Part:
    """One system and account of the plan."""

    scope: Scope
    conn_id: str = ""
    identity: str = ""
    give: dict[str, Grant] = field(default_factory=dict)
    settled: dict[str, tuple[ItemState, str]] = field(default_factory=dict)
    calls: list[PlannedCall] = field(default_factory=list)
    lower_bound: int = 0


@dataclass(slots=True)
class RestorePlanner:
    """Plans one restore.

    :param source: the run to restore and its selected grants, verified just before.
    """

    ledger: Ledger
    run: Run
    settings: Settings
    request: RestoreRequest
    source: RestoreSource
    parts: dict[Account, _Part] = field(default_factory=dict)
    _inverses: dict[str, Inverse | None] = field(default_factory=dict)

    def freeze(self, *, now: datetime) -> Plan:
        """Settle the grants that need no call, cover the rest with calls, and freeze the plan.

        :raises GuardTrippedError: when more grants are selected than the cap allows.
        """
        source, grants = self.source.run, self.source.grants
        self._inverses = dict(self.source.inverses)
        for ident, grant in grants.items():
            # A missing retained grant was in no call; the snapshot has what its restore needs.
            if ident not in self._inverses and grant.revocable:
                self._inverses[ident] = system_named(grant.key.system).inverse(grant)
        for scope in self.ledger.scopes.all(self.run.run_id):
            part = self.parts[scope.system, scope.account] = _Part(scope)
            mine = [g for g in grants.values() if (g.key.system, g.key.account) == (scope.system, scope.account)]
            self._settle(part, source, mine, now)
        measured = sum(len(part.give) for part in self.parts.values())
        cap = self.request.cap(self.settings)
        if measured > cap:
            remedy = "Select fewer items, or raise the cap on purpose"
            raise GuardTrippedError("cap_restores (plan)", f"{cap} grants", f"{measured} grants", remedy)
        for account, part in self.parts.items():
            if part.give:
                part.conn_id, part.identity = asyncio.run(granting(self.ledger, self.settings, account))
                self._cover(account, part)
        held = sum(state is ItemState.HELD for part in self.parts.values() for state, _ in part.settled.values())
        guards = [
            GuardRecord("cap_restores", "plan", f"{cap} grants", f"{measured} grants"),
            GuardRecord("left_alone", "plan", "only certainly absent grants are restored", f"{held} held", held),
        ]
        return self._write(source, guards, cap, now)

    def lines(self) -> Iterator[str]:
        """Yield the plan in a few lines for the task log."""
        for (system, account), part in sorted(self.parts.items()):
            reasons = Counter(reason for _, reason in part.settled.values())
            yield f"{system} {account}: {len(part.give)} grants to restore in {len(part.calls)} calls"
            yield from (f"{system} {account}: {count} without a call: {reason}" for reason, count in reasons.items())

    def _settle(self, part: _Part, source: Run, grants: list[Grant], now: datetime) -> None:
        """Separate the grants that need a call from those that do not."""
        scope, system = part.scope, system_named(part.scope.system)
        shown = list(self.ledger.snapshot.grants(self.run.run_id, system=scope.system, account=scope.account))
        known = self.ledger.snapshot.grants_by_id(source.run_id, [grant.grant_id for grant in shown])
        same, otherwise = match_regranted(system, sorted(grants, key=lambda g: g.grant_id), shown, known)
        shared = {cell for cell, times in Counter(grant.cell for grant in grants).items() if times > 1}
        for grant in grants:
            reason = self._obstacle(part, grant, shared, now) or (
                REGRANTED_DIFFERENTLY if grant.grant_id in otherwise else ""
            )
            if grant.grant_id in same:
                part.settled[grant.grant_id] = (ItemState.RESTORED, ALREADY_REGRANTED)
            elif reason:
                part.settled[grant.grant_id] = (ItemState.HELD, reason)
            else:
                part.give[grant.grant_id] = grant

    def _obstacle(self, part: _Part, grant: Grant, shared: set[Cell], now: datetime) -> str:
        """Return why a grant cannot be restored, or an empty text."""
        notes, captured = part.scope.notes, self._inverses.get(grant.grant_id)
        if part.scope.state != "complete":
            return "its listing scope could not be read"
        if captured is None:
            return f"{_UNFAITHFUL}: {system_named(grant.key.system).unfaithful(grant)}"
        if captured != system_named(grant.key.system).inverse(grant):
            return "what was captured for its restore does not match the snapshot"
        if grant.cell in shared:
            return f"{_UNFAITHFUL}: it had several levels in one cell, and a call grants one"
        if grant.expires_at is not None and grant.expires_at <= now:
            return f"it would have expired by now ({grant.expires_raw})"
        return str(
            notes.get(GONE_LISTINGS, {}).get(grant.grant_id) or notes.get(GONE_HOLDERS, {}).get(grant.grant_id, "")
        )

    def _cover(self, account: Account, part: _Part) -> None:
        """Plan the fewest calls that grant exactly these, for each kind with separate calls."""
        system = system_named(account[0])
        shape = system.restore_shape
        shape = replace(
            shape, max_rows=min(self.settings.rows_per_call.get(account[0], shape.max_rows), shape.max_rows)
        )
        kinds: dict[str, dict[str, Cell]] = {}
        for grant_id, grant in part.give.items():
            kinds.setdefault(system.restore_group(grant), {})[grant_id] = grant.cell
        for _, cells in sorted(kinds.items()):
            cover = plan_calls(*account, shape, ((cell, grant_id) for grant_id, cell in cells.items()), ())
            check_plan(cover.calls, cells, (), system=account[0], account=account[1], shape=shape)
            part.calls += cover.calls
            part.lower_bound += cover.lower_bound

    def _write(self, source: Run, guards: list[GuardRecord], cap: int, now: datetime) -> Plan:
        valid_for = timedelta(hours=self.settings.plan_valid_hours)
        caps = {"total": cap}
        bound = restore_effects(
            [
                SystemRestores(system, account, {"caller": part.identity}, self._gifts(part))
                for (system, account), part in self.parts.items()
                if part.give
            ],
            source_run=source.run_id,
            source_plan=self.ledger.plans.get(source.run_id).digest,
            settings=settings_digest(self.ledger, self.run),
            guards=caps,
            valid_for_s=int(valid_for.total_seconds()),
        )
        plan = NewPlan(
            digest=hashlib.sha256(bound).hexdigest(),
            effects=bound,
            valid_until=now + valid_for,
            code_version=rescind.__version__,
            policy_version=self.run.policy_version,
            guards=[guard.facts() for guard in guards],
            caps=caps,
            lower_bound=sum(part.lower_bound for part in self.parts.values()),
            operation=OPERATION,
            source_run_id=source.run_id,
        )
        return self.ledger.plans.freeze(self.run.run_id, plan, self._batches(), self._items())

    def _gifts(self, part: _Part) -> dict[GrantKey, Inverse]:
        return {grant.key: self._inverses[grant_id] or {} for grant_id, grant in part.give.items()}

    def _items(self) -> Iterator[NewItem]:
        for part in self.parts.values():
            by_cell = {grant.cell: grant_id for grant_id, grant in part.give.items()}
            for call in part.calls:
                yield from (NewItem(by_cell[cell], call.call_id) for cell in sorted(call.cells()))
            yield from (NewItem(ident, None, state, reason) for ident, (state, reason) in part.settled.items())

    def _batches(self) -> Iterator[NewBatch]:
        calls = [call for part in self.parts.values() for call in part.calls]
        rates = {account: self._rate(account, part) for account, part in self.parts.items() if part.give}
        batches = split(
            calls,
            rates,
            canary=0,
            target_seconds=self.settings.batch_seconds,
            max_batches=self.settings.max_batches,
        )
        for number, batch in enumerate(batches, 1):
            part = self.parts[batch.system, batch.account]
            by_cell = {grant.cell: grant_id for grant_id, grant in part.give.items()}
            ids = {call: [by_cell[cell] for cell in sorted(call.cells())] for call in batch.calls}
            new = [NewCall(call, {ident: self._inverses[ident] for ident in ids[call]}) for call in batch.calls]
            title = system_named(batch.system).title
            label = (
                f"{title} · {batch.account} · {sum(map(len, ids.values()))} grants in {len(new)} calls · batch {number}"
            )
            yield NewBatch(batch.system, batch.account, part.conn_id, new, label=label)

    def _rate(self, account: Account, part: _Part) -> float:
        system = system_named(account[0])
        return hook_of(system, part.conn_id).settings().rate(system.restore_message)
