"""Plans a revocation from decisions: hold grants, apply caps, cover the rest with calls, check and freeze."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import rescind
from rescind.errors import PlanError
from rescind.hooks.clients import hook_of
from rescind.ledger import NAMED_PEOPLE, PARTS_OF_PEOPLE, Ledger, NewBatch, NewCall, NewItem, NewPlan, Plan, Run
from rescind.model import (
    CallShape,
    Choice,
    Grant,
    GrantKey,
    ItemState,
    Mode,
    PlannedCall,
    PrincipalType,
)
from rescind.plan import SystemEffects, effects, plan_calls
from rescind.plan.batches import Batch, split
from rescind.plan.check import check_plan
from rescind.plan.guards import (
    Caps,
    GuardRecord,
    Holding,
    PrincipalPlace,
    check_caps,
    count_holders,
    hold_irreversible,
    hold_last_holders,
)
from rescind.plan.narrowed import NARROWED
from rescind.review.emptying import Emptying
from rescind.settings import Settings
from rescind.systems import REGISTRY, system_named
from rescind.workflow.closing.people_guards import PeopleGuards
from rescind.workflow.narrowing.limit import Limit
from rescind.workflow.offboarding.named_people import named_of
from rescind.workflow.plan_part import Account, PlanPart
from rescind.workflow.run_settings import settings_digest


@dataclass(slots=True)
class Planner:
    """Plans the revocations of one run.

    :param caps: (most grants, most percent of the complete population) for this run.
    :param emptying: which decisions empty whole columns; None: calls contain only cells to revoke.
    :param sparse: allow calls to contain cells without a grant, where the system's call allows it. Such a call is
        sent after a re-read.
    :param limit: what a narrowed plan may contain at most; None for a plan of its own.
    """

    ledger: Ledger
    run: Run
    settings: Settings
    caps: tuple[int, int]
    emptying: Emptying | None = None
    sparse: bool = False
    limit: Limit | None = None
    parts: dict[Account, PlanPart] = field(default_factory=dict)
    guards: list[GuardRecord] = field(default_factory=list)

    def freeze(self, *, now: datetime) -> Plan:
        """Plan, check, and freeze the plan under its digest.

        :raises GuardTrippedError: when a cap is exceeded; nothing was planned then.
        """
        guards = self.measure()
        valid_for = timedelta(hours=self.settings.plan_valid_hours)
        bound = effects(
            [
                SystemEffects(
                    system,
                    account,
                    {"caller": part.identity},
                    part.mode,
                    [grant.key for grant in part.revoke.values()],
                    part.emptied,
                )
                for (system, account), part in self.parts.items()
                if part.revoke
            ],
            policy_version=self.run.policy_version,
            settings=settings_digest(self.ledger, self.run),
            guards={**guards.facts(), **self._narrowed()},
            valid_for_s=int(valid_for.total_seconds()),
        )
        until = now + valid_for
        return self._write(bound, guards, min(until, self.limit.valid_until) if self.limit else until)

    def measure(self) -> Caps:
        """Plan and check without freezing anything; ``parts`` and ``guards`` then say what the plan would be.

        :raises GuardTrippedError: when a cap is exceeded.
        """
        self._read()
        self._hold()
        guards = Caps(total=self.caps[0], percent=self.caps[1], per_principal=self.settings.max_per_principal)
        planned = [grant.key for part in self.parts.values() for grant in part.revoke.values()]
        beside = sum((part.beside for part in self.parts.values()), Counter[PrincipalPlace]())
        self.guards += check_caps(planned, self._population(), guards, beside)
        for account, part in self.parts.items():
            self._cover(account, part)
        return guards

    def preview(self) -> list[str]:
        """Return the ids of the grants that would be planned, caps aside; another planner then freezes the plan."""
        self._read()
        self._hold()
        return [grant_id for part in self.parts.values() for grant_id in part.revoke]

    def would_hold(self, more: Iterable[Grant]) -> Mapping[str, str]:
        """Return those of further grants that a guard would hold beside the previewed ones, each with the reason."""
        further = {grant.key: grant for grant in more}
        held = hold_irreversible(
            further, lambda key: _irreversible(further[key]), allowed=self.settings.allow_irreversible
        ).held
        planned = [grant.key for part in self.parts.values() for grant in part.revoke.values()]
        last = dict(self._last_holders([*planned, *further]).held)
        together = [grant for part in self.parts.values() for grant in part.revoke.values()]
        for _, _, hold in self._people_guards():
            last |= hold([*together, *further.values()])
        for account, part in self.parts.items():
            mine = [grant for key, grant in further.items() if (key.system, key.account) == account]
            last = {**last, **(self._besides(account, [*part.revoke.values(), *mine]) if mine else {})}
        return {**held, **{key.grant_id: last[key.grant_id] for key in further if key.grant_id in last}}

    def lines(self) -> Iterator[str]:
        """Yield the plan in a few lines for the task log."""
        for (system, account), part in sorted(self.parts.items()):
            cover = part.cover
            if cover is None:
                continue
            proof = "fewest, proven" if cover.proven else f"at least {cover.lower_bound}, gap {float(cover.gap):.1%}"
            minutes = len(cover.calls) / self._rate((system, account)) / 60
            yield (
                f"{system} {account}: {len(part.revoke)} to revoke in {len(cover.calls)} calls ({part.mode}; {proof}), "
                f"{minutes:.1f} minutes at the rate limit, {len(part.held)} held"
            )
            if cover.absent:
                over = f"in {len(part.emptied)} emptied columns" if part.mode is Mode.EMPTYING else "read again at send"
                yield f"{system} {account}: the calls contain {cover.absent} cells without a grant, {over}"
        for guard in self.guards:
            figures = f"limit {guard.limit}, measured {guard.measured}, held {guard.held}"
            yield f"guard {guard.guard} ({guard.scope}): {figures}"

    def _read(self) -> None:
        """Load the decisions of the complete scopes, by system and account."""
        for scope in self.ledger.scopes.all(self.run.run_id):
            if scope.state == "complete":
                self.parts[scope.system, scope.account] = PlanPart(
                    scope.conn_id, scope.notes.get("caller", scope.identity)
                )
        named = named_of(self.ledger.scopes.all(self.run.run_id), PARTS_OF_PEOPLE)
        for (system, account), part in self.parts.items():
            part.named = named.get((system, account))
            emptying = self.emptying if Mode.EMPTYING in system_named(system).shape.modes else None
            decisions, place = self.ledger.decisions, {"system": system, "account": account}
            part.take(decisions.each(self.run.run_id, choice=Choice.REVOKE, **place), emptying)
            staying = decisions.in_columns(self.run.run_id, part.columns(), choice=Choice.KEEP, **place)
            part.leave(staying if part.revoke else (), sparse=self.sparse)

    def _hold(self) -> None:
        """Hold what cannot be restored, the last administrators of a resource, and what a call would end besides."""
        self._keep_out()
        self._hold_unnamed()
        keys = {grant.key: grant for part in self.parts.values() for grant in part.revoke.values()}
        irreversible = hold_irreversible(
            keys, lambda key: _irreversible(keys[key]), allowed=self.settings.allow_irreversible
        )
        self._apply(irreversible)
        planned = [grant.key for part in self.parts.values() for grant in part.revoke.values()]
        self._apply(self._last_holders(planned))
        for guard, limit, hold in self._people_guards():
            held = hold([grant for part in self.parts.values() for grant in part.revoke.values()])
            record = GuardRecord(guard, "plan", limit, f"{len(held)} grants", len(held))
            self._apply(Holding(held, record))
        for account, part in self.parts.items():
            self._hold_besides(account, part)

    def _keep_out(self) -> None:
        """Hold what was left out of the plan before this one, and what was held there, before any guard runs.

        :raises PlanError: when a grant goes now that was not in that plan.
        """
        if self.limit is None:
            return
        before, found = self.limit.held, dict[str, str]()
        for part in self.parts.values():
            found |= {ident: before[ident] for ident in part.revoke if ident in before}
            if strange := part.revoke.keys() - found.keys() - self.limit.planned:
                raise PlanError(f"{len(strange)} grants are to go that were not in the plan before. Start a new run")
        measured = f"{self.limit.left_out} grants left out, {len(found) - self.limit.left_out} held back before"
        record = GuardRecord("left_out", "plan", "nothing beyond the plan before", measured, len(found))
        self._apply(Holding(found, record))

    def _narrowed(self) -> dict[str, Any]:
        return {NARROWED: {"of": self.limit.of, "by": self.limit.by}} if self.limit else {}

    def _hold_unnamed(self) -> None:
        """Hold grants of people of whom nothing else was listed: what they have left, and who else has it, is open."""
        for account, part in self.parts.items():
            if part.named is None:
                continue
            users = frozenset(part.named.get("users", ()))
            other = (i for i, grant in part.revoke.items() if not _of_users(grant.key, users))
            held = dict.fromkeys(other, "only the named people of this run were listed in this system")
            limit, measured = "grants of listed people only", f"{len(held)} grants of others"
            self._apply(Holding(held, GuardRecord(NAMED_PEOPLE, account[0], limit, measured, len(held))))

    def _people_guards(self) -> Iterator[tuple[str, str, Callable[[Collection[Grant]], Mapping[str, str]]]]:
        """Yield the guards that look at people behind groups: name, limit, and what returns the grants to hold."""
        guards = PeopleGuards(self.ledger, self.run)
        yield "protected_people", "nobody protected loses access through a group", guards.hold_protected
        yield "last_people", "somebody keeps each administration", guards.hold_last_people

    def _hold_besides(self, account: Account, part: PlanPart) -> None:
        """Hold grants whose calls would end more than the planned grants."""
        if more := self._besides(account, list(part.revoke.values())):
            measured = f"{len(more)} grants whose calls would end more"
            record = GuardRecord("ended_besides", account[0], "calls end planned grants only", measured, len(more))
            self._apply(Holding(more, record))

    def _besides(self, account: Account, planned: Collection[Grant]) -> Mapping[str, str]:
        there = self.ledger.snapshot.grants(self.run.run_id, system=account[0], account=account[1])
        return system_named(account[0]).ended_besides(planned, there, self._elsewhere(account))

    def _elsewhere(self, account: Account) -> frozenset[str]:
        """Return ids of grants of one system that the plan takes away by other systems of the account."""
        others = [part for (name, own), part in self.parts.items() if own == account[1] and name != account[0]]
        same = (system_named(one.key.system).same_access(one) for part in others for one in part.revoke.values())
        return frozenset(key.grant_id for keys in same for key in keys if key.system == account[0])

    def _last_holders(self, planned: Collection[GrantKey]) -> Holding:
        administrative = [(s.name, entitlement) for s in REGISTRY.values() for entitlement in s.admin_entitlements]
        names = sorted({entitlement for _, entitlement in administrative})
        found = self.ledger.snapshot.grants(self.run.run_id, complete_only=True, entitlements=names)
        return hold_last_holders(planned, count_holders((grant.key for grant in found), administrative), administrative)

    def _apply(self, holding: Holding) -> None:
        self.guards.append(holding.record)
        for grant_id, reason in holding.held.items():
            next(part for part in self.parts.values() if grant_id in part.revoke).hold(grant_id, reason)

    def _population(self) -> Mapping[str, int]:
        """Grants that could be revoked, by system. Ways in that no call takes away would only loosen the caps.

        Where only named people were listed, the last listing of everybody counts, less what its run removed.
        """
        sizes: dict[str, int] = {}
        for count in self.ledger.snapshot.counts(self.run.run_id):
            if count.complete:
                named = self.parts[count.system, count.account].named
                size = count.revocable if named is None else named.get("population", 0)
                sizes[count.system] = sizes.get(count.system, 0) + size
        return sizes

    def _cover(self, account: Account, part: PlanPart) -> None:
        """Plan the fewest calls. A mode other than strict is used only where it saves calls."""
        shape = self._shape(account[0])
        modes = [Mode.STRICT, *([Mode.EMPTYING] if part.emptied else [])]
        modes += [Mode.SPARSE] if self.sparse and Mode.SPARSE in shape.modes else []
        if self.limit:
            mode, emptied = self.limit.systems.get(account, (Mode.STRICT, frozenset()))
            part.emptied &= emptied
            modes = [one for one in modes if one in (Mode.STRICT, mode)]
        best = plan_calls(*account, shape, part.going(), part.keep, modes=modes, emptied=part.emptied)
        for grant_id, reason in best.held.items():
            part.hold(grant_id, reason)
        part.mode = best.mode
        part.cover = best
        part.emptied = part.emptied & part.reached(best) if part.mode is Mode.EMPTYING else set()
        check_plan(
            best.calls,
            {grant_id: cell for cell, grant_id in part.going()},
            part.keep,
            system=account[0],
            account=account[1],
            shape=shape,
            mode=part.mode,
            emptied=part.emptied,
        )

    def _shape(self, system: str) -> CallShape:
        """Return what one call may contain: the limit of the system, or fewer rows where the deployment sets them."""
        shape = system_named(system).shape
        rows = self.settings.rows_per_call.get(system, shape.max_rows)
        return replace(shape, max_rows=min(rows, shape.max_rows))

    def _write(self, bound: bytes, guards: Caps, valid_until: datetime) -> Plan:
        plan = NewPlan(
            digest=hashlib.sha256(bound).hexdigest(),
            effects=bound,
            valid_until=valid_until,
            code_version=rescind.__version__,
            policy_version=self.run.policy_version,
            guards=[guard.facts() for guard in self.guards],
            caps={**guards.facts(), **self._narrowed()},
            lower_bound=sum(part.cover.lower_bound for part in self.parts.values() if part.cover),
        )
        return self.ledger.plans.freeze(self.run.run_id, plan, self._batches(self._split()), self._items())

    def _items(self) -> Iterator[NewItem]:
        for part in self.parts.values():
            for call in part.cover.calls if part.cover else ():
                yield from (NewItem(grant.grant_id, call.call_id) for grant in part.grants_of(call))
            yield from (NewItem(i, None, ItemState.HELD, reason) for i, reason in part.held.items())

    def _split(self) -> tuple[Batch, ...]:
        calls = [call for part in self.parts.values() if part.cover for call in part.cover.calls]
        return split(
            calls,
            {account: self._rate(account) for account in self.parts},
            canary=self.settings.canary_items,
            canary_above=self.settings.canary_above,
            risk=self._risk,
            turn=self._turn,
            target_seconds=self.settings.batch_seconds,
            max_batches=self.settings.max_batches,
        )

    def _batches(self, batches: Iterable[Batch]) -> Iterator[NewBatch]:
        """Yield the batches with what a restore needs. It is most of their size, so they are made one at a time."""
        for number, batch in enumerate(batches, 1):
            account = (batch.system, batch.account)
            part = self.parts[account]
            new = [NewCall(call, self._inverse(part, call)) for call in batch.calls]
            items = sum(len(call.inverse) for call in new)
            label = " · ".join((system_named(batch.system).title, batch.account, f"{items} grants in {len(new)} calls"))
            label = f"{'canary · ' * batch.canary}{label} · batch {number}"
            yield NewBatch(batch.system, batch.account, part.conn_id, new, label=label, canary=batch.canary)

    def _turn(self, call: PlannedCall) -> int:
        """Return the round of a call: later where calls of other systems, or of its own, have to be over before it."""
        system = system_named(call.system)
        first = [part for one in system.comes_after if (part := self.parts.get((one, call.account)))]
        after = any(part.cover and part.cover.calls for part in first)
        if not system.in_turns:
            return int(after)
        return after + max(map(system.turn, self.parts[call.system, call.account].grants_of(call)))

    def _risk(self, call: PlannedCall) -> int:
        """Return how many grants of a call cannot be restored, or are held by more than one person."""
        grants = self.parts[call.system, call.account].grants_of(call)
        return sum(grant.key.principal_type != PrincipalType.USER or bool(_irreversible(grant)) for grant in grants)

    def _inverse(self, part: PlanPart, call: PlannedCall) -> dict[str, object]:
        """Return what a restore needs, by grant id."""
        system = system_named(call.system)
        return {grant.grant_id: system.inverse(grant) for grant in part.grants_of(call)}

    def _rate(self, account: Account) -> float:
        system = system_named(account[0])
        return hook_of(system, self.parts[account].conn_id).settings().rate(system.revoke_message)


def _of_users(key: GrantKey, users: Collection[str]) -> bool:
    return key.principal_type == PrincipalType.USER and key.principal_id in users


def _irreversible(grant: Grant) -> str:
    return system_named(grant.key.system).unfaithful(grant)
