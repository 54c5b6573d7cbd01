"""Read the records of a run from the ledger, file by file, in a fixed order.

The same ledger gives the same records: nothing here reads a clock, and what can still change after the run (its
printed summary, leases, pace) is left out. Large tables are streamed; lists of grants are ordered by grant id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeVar

import rescind
from rescind.evidence.bundle.format import PROVEN, moment, standing
from rescind.evidence.leaving_out import HOLDER, LeftOut, left_out_of
from rescind.evidence.signed_answers import approval_record, narrowing_record, selection_record
from rescind.evidence.values import grant_record, lookup, plain, question_record, sent_at, terminated_at
from rescind.ledger import OCCASION, Approval, Ledger, Narrowing, Plan, Run, Scope
from rescind.ledger.plans.selections import is_selection
from rescind.model import LAST_USE, Choice, Decision
from rescind.run_state.states import was_left_out

Record = dict[str, Any]
T = TypeVar("T")

_PAGE = 5_000


@dataclass(slots=True)
class Collector:
    """Read one run. :meth:`records` yields the records of a file, :meth:`effects` the approved bytes.

    :param titles: display names of the permission systems by id; the report shows them.
    :param approval_keys: the public keys that the deployment accepts for approvals, by name.
    :param whole: leave nothing out, also of a run about named people.
    """

    ledger: Ledger
    run: Run
    titles: Mapping[str, str] = field(default_factory=dict)
    approval_keys: Mapping[str, bytes] = field(default_factory=dict)
    plan: Plan | None = None
    approval: Approval | None = None
    narrowing: Narrowing | None = None
    whole: bool = False
    left_out: LeftOut | None = None
    _scopes: list[Scope] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plan = self.ledger.plans.find(self.run.run_id)
        if self.plan is not None:
            self.approval = self.ledger.approvals.get(self.run.run_id, self.plan.digest)
            self.narrowing = self.ledger.narrowings.find(self.run.run_id)
        self._scopes = self.ledger.scopes.all(self.run.run_id)
        if not self.whole:
            self.left_out = left_out_of(self.ledger, self.run, self.records)

    def records(self, kind: str) -> Iterator[Record]:
        """Yield the records of one file, see :data:`rescind.evidence.bundle.format.RECORD_FILES`."""
        maker: Callable[[], Iterable[Record]] = getattr(self, f"_{kind}_of")
        yield from maker()

    def effects(self) -> Iterator[bytes]:
        """Yield the canonical bytes that were approved; nothing without a plan."""
        if self.plan is not None:
            yield from self.ledger.plans.effects(self.run.run_id, self.plan.digest)

    @property
    def narrowed(self) -> bool:
        """Whether the plan is what is left of another plan, of which an approver left out a part."""
        return self.plan is not None and self.narrowing is not None and self.plan.digest != self.narrowing.digest

    def effects_before(self) -> Iterator[bytes]:
        """Yield the canonical bytes of the plan before the narrowed one; nothing without one."""
        if self.narrowing is not None and self.narrowed:
            yield from self.ledger.plans.effects(self.run.run_id, self.narrowing.digest)

    def _review_of(self) -> Iterator[Record]:
        run = self.run
        stored = self.ledger.inputs.of(run.run_id).get(OCCASION)
        said = stored.facts if stored else {}
        yield {
            "run": run.run_id,
            "number": run.number,
            "dag": run.dag_id,
            "airflow_run": run.airflow_run_id,
            "kind": run.kind,
            "requested_by": run.requested_by,
            "reason": run.reason,
            "ticket": run.ticket,
            "params": plain(run.params),
            "dry_run": run.dry_run,
            "policy_version": run.policy_version,
            "code_version": run.code_version,
            "exporter_version": rescind.__version__,
            "state": run.state,
            "started_at": moment(run.started_at),
            "finished_at": moment(run.finished_at),
            "snapshot_digest": run.snapshot_digest,
            "schedule": said.get("schedule", ""),
            "due_at": said.get("due_at"),
            **self._period(said),
            "retention": said.get("retention", ""),
            "time_source": said.get("time_source", ""),
            "ledger_role": said.get("ledger_role", ""),
            "titles": dict(sorted(self.titles.items())),
        }

    def _period(self, said: Mapping[str, Any]) -> Record:
        """Return the period of the review: the interval of its schedule, or the time of its listings."""
        start, end, basis = said.get("period_start"), said.get("period_end"), "data interval of the schedule"
        if not (start and end and start < end):
            begun = [at for one in self._scopes if (at := one.started_at or one.ended_at)]
            ended = [one.ended_at for one in self._scopes if one.ended_at]
            start, end = moment(min(begun, default=None)), moment(max(ended, default=None))
            basis = "time of the listings" if start else ""
        return {"period_start": start, "period_end": end, "period_basis": basis}

    def _inputs_of(self) -> Iterator[Record]:
        for name, stored in self.ledger.inputs.of(self.run.run_id).items():
            yield {
                "name": name,
                "source": stored.source,
                "sha256": stored.sha256,
                "bytes": len(stored.content),
                "facts": plain(stored.facts),
                "recorded_at": moment(stored.recorded_at),
            }

    def _scopes_of(self) -> Iterator[Record]:
        for scope in self._scopes:
            listings = self.ledger.snapshot.listings(scope.run_id, scope.scope_id)
            yield {
                "scope": scope.scope_id,
                "system": scope.system,
                "account": scope.account,
                "part": scope.part,
                "connection": scope.conn_id,
                "state": scope.state,
                "identity": scope.identity,
                "query": plain(scope.query),
                "pages": scope.pages,
                "declared": scope.declared,
                "counted": scope.counted,
                "duplicates": scope.duplicates,
                "dangling": scope.dangling,
                "page_digests": [*scope.page_digests, *(page for one in listings for page in one.page_digests)],
                "missing": scope.missing,
                "error": scope.error,
                "notes": plain(scope.notes),
                "started_at": moment(scope.started_at),
                "ended_at": moment(scope.ended_at),
            }

    def _principals_of(self) -> Iterator[Record]:
        for one in self.ledger.snapshot.principals(self.run.run_id):
            if not self._told(one.system, one.account, one.principal_type, one.principal_id):
                continue
            yield {
                "system": one.system,
                "account": one.account,
                "principal_type": str(one.principal_type),
                "principal_id": one.principal_id,
                "name": one.name,
                "kind": one.kind,
                "status": one.status,
                "last_used_at": moment(one.last_used_at),
                "other_ids": [list(pair) for pair in one.other_ids],
                "owner": one.owner,
            }

    def _memberships_of(self) -> Iterator[Record]:
        for edge in self.ledger.snapshot.memberships(self.run.run_id):
            if not self._told(edge.system, edge.account, edge.member_type, edge.member_id):
                continue
            yield {
                "system": edge.system,
                "account": edge.account,
                "member_type": str(edge.member_type),
                "member_id": edge.member_id,
                "container_type": str(edge.container_type),
                "container_id": edge.container_id,
            }

    def _grants_of(self) -> Iterator[Record]:
        holders = None if self.left_out is None else self.left_out.known.principals()
        stored = self.ledger.snapshot.stored_grants(self.run.run_id, holders)
        for record in stored:  # the names of grant_record
            if not self._told(*(record[name] for name in HOLDER)):
                continue
            record["expires_at"], record["attributes"] = moment(record["expires_at"]), plain(record["attributes"])
            if not record["last_use"]:  # the run did not ask
                for name in LAST_USE:
                    del record[name]
            yield record

    def _source_grants_of(self) -> Iterator[Record]:
        """Yield the grants of the items that are in the snapshot of another run (restore)."""
        if self.plan is None or self.plan.source_run_id in ("", self.run.run_id):
            return
        ids = (item.grant_id for item in self.ledger.plans.items(self.run.run_id))
        while page := list(islice(ids, _PAGE)):
            found = self.ledger.snapshot.grants_by_id(self.plan.source_run_id, page)
            for grant_id in page:
                if grant_id in found:
                    yield {"run": self.plan.source_run_id, **grant_record(found[grant_id])}

    def _decisions_of(self) -> Iterator[Record]:
        for decision in self._decisions():
            yield {
                "grant_id": decision.grant_id,
                "choice": str(decision.choice),
                "rule": decision.rule,
                "reason": decision.reason,
                "severity": decision.severity,
                "controls": list(decision.controls),
                "facts": plain(decision.facts),
            }

    def _decisions(self) -> Iterator[Decision]:
        if self.left_out is None:
            yield from self.ledger.decisions.bare(self.run.run_id)
            return
        every = (one["grant_id"] for one in self._grants_of())
        while ids := list(islice(every, _PAGE)):
            found = self.ledger.decisions.by_id(self.run.run_id, ids)
            yield from (found[grant_id] for grant_id in ids if grant_id in found)

    def _omitted_of(self) -> Iterable[Record]:
        return self.left_out.records if self.left_out else ()

    def _told(self, *holder: str) -> bool:
        """Return whether the bundle tells about a principal: everyone of whom nothing is left out."""
        return self.left_out is None or self.left_out.known.has(holder[0], holder[1], (str(holder[2]), holder[3]))

    def _exceptions_of(self) -> Iterator[Record]:
        """Yield the exceptions that applied, each once with its number of grants."""
        used: dict[str, Record] = {}
        for decision in self.ledger.decisions.bare(self.run.run_id, fact="exception"):
            name = decision.facts["exception"]
            facts = {fact: decision.facts.get(fact, "") for fact in ("owner", "end", "compensating_control")}
            one = used.setdefault(
                str(name), {"exception": str(name), **plain(facts), "reason": decision.reason, "grants": 0}
            )
            one["grants"] += 1
        yield from (used[name] for name in sorted(used))

    def _questions_of(self) -> Iterator[Record]:
        for question in self.ledger.questions.all(self.run.run_id):
            for item in question.items:
                yield question_record(question, item)

    def _plan_of(self) -> Iterator[Record]:
        plan = self.plan
        if plan is not None:
            yield {
                "digest": plan.digest,
                "operation": plan.operation,
                "source_run": plan.source_run_id,
                "state": plan.state,
                "created_at": moment(plan.created_at),
                "valid_until": moment(plan.valid_until),
                "guards": plain(plan.guards),
                "caps": plain(plan.caps),
                "lower_bound": plan.lower_bound,
                "calls": plan.calls,
                "items": plan.items,
                "policy_version": plan.policy_version,
                "code_version": plan.code_version,
                **({"narrowing": self._narrowing(self.narrowing)} if self.narrowing else {}),
            }

    def _narrowing(self, one: Narrowing) -> Record:
        """Return what an approver left out, with the selection that names its lines."""
        entry = next((entry for entry in one.left_out if is_selection(entry)), None)
        wish = self.ledger.selections.named(self.run.run_id, entry) if entry else None
        return narrowing_record(one, self.approval_keys) | ({"selection": selection_record(wish)} if wish else {})

    def _calls_of(self) -> Iterator[Record]:
        if self.plan is None:
            return
        for call in self.ledger.plans.calls(self.run.run_id):
            planned = call.planned
            yield {
                "call": call.call_id,
                "batch": call.batch_id,
                "connection": call.conn_id,
                "ordinal": call.ordinal,
                "system": planned.system,
                "account": planned.account,
                "container": planned.container,
                "rows": list(planned.rows),
                "columns": [[kind, list(column)] for kind, column in planned.columns],
                "inverse": plain(call.inverse),
                "state": call.state,
                "reason": call.reason,
            }

    def _items_of(self) -> Iterator[Record]:
        if self.plan is None:
            return
        verdict_of = lookup(self.ledger.verdicts.latest(self.run.run_id), lambda record: record.grant_id)
        decision_of = lookup(self.ledger.decisions.bare(self.run.run_id, choice=Choice.REVOKE), lambda d: d.grant_id)
        sent = sent_at(self.ledger.attempts.each(self.run.run_id))
        answered = moment(self.approval.responded_at) if self.approval else None
        for item in self.ledger.plans.items(self.run.run_id):
            verdict = verdict_of(item.grant_id)
            yield {
                "grant_id": item.grant_id,
                "call": item.call_id,
                "state": str(item.state),
                "reason": item.reason,
                "standing": standing(str(item.state), str(verdict.verdict) if verdict else None),
                "terminated_at": terminated_at(decision_of(item.grant_id)),
                "planned_at": moment(self.plan.created_at),
                "approved_at": answered,
                "sent_at": moment(sent.get(item.call_id or "")),
                "verified_at": moment(verdict.observed_at) if verdict else None,
            }

    def _approvals_of(self) -> Iterator[Record]:
        if self.approval is not None:
            yield approval_record(self.approval, self.approval_keys)

    def _attempts_of(self) -> Iterator[Record]:
        for one in self.ledger.attempts.each(self.run.run_id):
            yield {
                "call": one.call_id,
                "attempt": one.n,
                "batch": one.batch_id,
                "worker": one.owner,
                "plan_digest": one.plan_digest,
                "request_digest": one.request_digest,
                "action": one.action,
                "api_version": one.api_version,
                "intent_at": moment(one.intent_at),
                "sent_at": moment(one.sent_at),
                "answered_at": moment(one.answered_at),
                "outcome": one.outcome,
                "code": one.code,
                "http_status": one.http_status,
                "request_id": one.request_id,
                "detail": plain(one.detail),
                "closed_at": moment(one.closed_at),
            }

    def _verdicts_of(self) -> Iterator[Record]:
        for one, latest in self.ledger.verdicts.every(self.run.run_id):
            yield {
                "grant_id": one.grant_id,
                "latest": latest,
                "verdict": str(one.verdict),
                "method": one.method,
                "observed_at": moment(one.observed_at),
                "remains": one.path,
                "detail": plain(one.detail),
            }

    def _kept_of(self) -> Iterator[Record]:
        for check in self.ledger.verdicts.retained(self.run.run_id):
            yield {
                "system": check.system,
                "account": check.account,
                "compared": check.compared,
                "lost": list(check.lost),
                "complete": check.complete,
                "observed_at": moment(check.observed_at),
                "detail": plain(check.detail),
            }

    def _findings_of(self) -> Iterator[Record]:
        """Yield the open findings, each with its owner: the requester of the run."""
        owner = self.run.requested_by
        for scope in self._scopes:
            if scope.state != "complete":
                what = scope.error or scope.missing or "not listed"
                yield {"finding": "scope_incomplete", "subject": scope.scope_id, "remains": what, "owner": owner}
        verdict_of = lookup(self.ledger.verdicts.latest(self.run.run_id), lambda record: record.grant_id)
        for item in self.ledger.plans.items(self.run.run_id) if self.plan else ():
            verdict = verdict_of(item.grant_id)
            ends = standing(str(item.state), str(verdict.verdict) if verdict else None)
            if ends not in (*PROVEN, "restored"):
                remains = (verdict.path if verdict else "") or item.reason
                name = "kept" if was_left_out(ends, item.reason) else ends
                yield {"finding": name, "subject": item.grant_id, "remains": remains, "owner": owner}
        for check in self.ledger.verdicts.retained(self.run.run_id):
            for grant_id in check.lost:
                yield {"finding": "kept_lost", "subject": grant_id, "remains": "gone unexpectedly", "owner": owner}

    def _switch_of(self) -> Iterator[Record]:
        """Yield the kill switch events during the run."""
        for event in self.ledger.kill_switch.history():
            if self.run.finished_at and self.run.started_at <= event.changed_at <= self.run.finished_at:
                yield {
                    "stopped": event.stopped,
                    "changed_by": event.changed_by,
                    "changed_at": moment(event.changed_at),
                    "reason": event.reason,
                }
