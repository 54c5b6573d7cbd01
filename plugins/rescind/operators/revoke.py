"""Revoke: one mapped task per batch of calls."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

from rescind.airflow_support.kill_switch_variable import StopVariable
from rescind.airflow_support.metrics import span
from rescind.airflow_support.progress_board import Board
from rescind.airflow_support.task_errors import fail_without_retry
from rescind.approvers import find_approver
from rescind.cloud.pacing.counting_pacer import CountingPacer
from rescind.errors import NotApprovedError, PlanError, RescindError
from rescind.hooks.airflow_instance.answers import compare_answer
from rescind.hooks.clients import connected
from rescind.hooks.ledger import LedgerHook
from rescind.hooks.signing_keys import approval_keys
from rescind.ledger import Approval, Batch, Lease, Ledger, Plan, Run
from rescind.ledger.plans.send_checks import refuse_ended
from rescind.ledger.store.errors import ScopeLockedError
from rescind.model import Choice, Grant
from rescind.operators.bases.review import BatchOperator
from rescind.operators.canary import planned_batch
from rescind.operators.questions.approve import approve_option
from rescind.review import Decider
from rescind.settings import Settings
from rescind.systems import system_named
from rescind.workflow.auto_approval import require_automatic
from rescind.workflow.execute.batch_sender import BatchReport, BatchSender
from rescind.workflow.execute.canary import require_canaries
from rescind.workflow.execute.direction import ClaimedBatch
from rescind.workflow.execute.kill_switch_monitor import KillSwitchMonitor
from rescind.workflow.execute.outdated import recheck
from rescind.workflow.execute.progress_meter import Meter
from rescind.workflow.execute.revocation import Revocation
from rescind.workflow.inputs import protection_context
from rescind.workflow.narrowing.narrow import require_part
from rescind.workflow.question.answer_fields import AnswerFields, has_fields
from rescind.workflow.references import BatchRef
from rescind.workflow.run_settings import require_settings

if TYPE_CHECKING:
    from airflow.sdk import Context

BLOCKED_PAUSE = timedelta(seconds=60)
"""Pause before a blocked task asks for its locks again."""
EARLIER_PAUSE = timedelta(seconds=15)
"""Pause before a batch that comes after others looks again whether they are over."""
EARLIER_LIMIT = timedelta(minutes=15)
"""Such a batch is sent after that time, unless one of the others is at work: what still has to wait is not sent, or the
vendor refuses it."""
_STAYS = frozenset({"kept.protected", "kept.exception"})


class RevokeBatchOperator(BatchOperator):
    """Send the calls of one batch of an approved plan. Safe to retry, to clear and to deliver twice.

    The task does not trust other tasks: for every call it checks plan, approval, lease, kill switch, protections and
    blast radius itself. It also compares the approval with Airflow's own record of the answer, where it may read that.

    :param batch: ``{"batch": id, "label": text}`` from the plan.
    :param approve_task_id: the task of this DAG that asked for the approval.
    :param part_task_id: the task that asked, where the first answer left out people.
    """

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Revoke",
        "map_index_template": "{{ task.batch['label'] }}",
        "doc_md": "Sends one batch of approved calls under the rate limit. Each intent is stored before its call.",
    }
    OPERATION: ClassVar[str] = "revoke"
    """The operation that a plan must have; any other plan is refused."""

    def __init__(
        self, *, batch: BatchRef, approve_task_id: str = "approve", part_task_id: str = "approve_part", **kwargs: Any
    ) -> None:
        super().__init__(batch=batch, **kwargs)
        self.approve_task_id, self.part_task_id = approve_task_id, part_task_id
        self._stop = KillSwitchMonitor()
        self._waited = timedelta()

    def review(self, context: Context, ledger: Ledger) -> dict[str, Any]:
        """Send the batch, once the run holds the locks of its scopes."""
        run = self.run_of(context, ledger)
        batch = planned_batch(ledger, run, self.batch["batch"])
        self.show_console(batch.system, batch.conn_id)
        try:
            ledger.scope_locks.take(run.run_id)
        except ScopeLockedError as blocked:
            self.log.warning("%s", blocked)
            self.defer(trigger=TimeDeltaTrigger(BLOCKED_PAUSE), method_name="resume")
        if not batch.canary:
            require_canaries(ledger, run.run_id)
        self._let_others_first(ledger, run, batch)
        self._stop.read = StopVariable()
        return asyncio.run(self._revoke(context, ledger, run, batch))

    def _let_others_first(self, ledger: Ledger, run: Run, batch: Batch) -> None:
        """Defer while batches are open whose calls have to be over before these."""
        if self.OPERATION != "revoke":
            return
        system = system_named(batch.system)
        in_turns = system.in_turns and any(map(system.turn, _grants(ledger, batch)))
        if not (system.comes_after or in_turns):
            return
        others = [one for one in ledger.plans.batches(run.run_id) if one.account == batch.account]
        earlier = [one for one in others if one.system in system.comes_after and one.state != "done"]
        if in_turns:
            same = (one for one in others if one.system == system.name and one.ordinal < batch.ordinal)
            earlier += [one for one in same if one.state != "done"]
        now = datetime.now(UTC)
        if self._waited >= EARLIER_LIMIT and not any(one.lease_until and one.lease_until > now for one in earlier):
            return
        if still := sorted({one.system for one in earlier}):
            self.log.info("batches of %s come first: asking again in %s", ", ".join(still), EARLIER_PAUSE)
            waited = (self._waited + EARLIER_PAUSE).total_seconds()
            trigger = TimeDeltaTrigger(EARLIER_PAUSE)
            self.defer(trigger=trigger, method_name="resume", kwargs={"waited": waited})

    def resume(self, context: Context, event: Any = None, waited: float = 0.0) -> dict[str, Any]:
        """Try again after another run or another batch came first, without a worker in between.

        :param event: the event of the trigger. Its content is not used.
        :param waited: seconds for which this batch has let others come first.
        """
        self._waited = timedelta(seconds=waited)
        with fail_without_retry(), LedgerHook(self.ledger_conn_id).get_conn() as ledger:
            return self.review(context, ledger)

    def on_kill(self) -> None:
        """Stop on SIGTERM, or when the task is cleared or timed out: no further call; calls in flight complete."""
        self._stop.end("the task is ending")

    async def _revoke(self, context: Context, ledger: Ledger, run: Run, batch: Batch) -> dict[str, Any]:
        settings = self.settings()
        plan = ledger.plans.get(run.run_id)
        if plan.operation != self.OPERATION:
            raise PlanError(
                f"plan {plan.digest[:12]} has the operation {plan.operation!r}; this task can only {self.OPERATION}"
            )
        ledger.approvals.keys = approval_keys(settings)
        approval = ledger.approvals.require(run.run_id, plan.digest)
        refuse_ended(run.run_id, run.state, run.finished_at, approval.responded_at)
        narrowed = require_part(ledger, run, plan) is not None
        if approval.automatic:
            if narrowed:
                raise NotApprovedError("a person left out a part of this plan, so a person approves the rest")
            require_automatic(ledger, run, plan, settings)
        else:
            _check_approver(approval, settings)
            self._compare(context, ledger, approval, self.part_task_id if narrowed else self.approve_task_id)
        require_settings(ledger, run, plan, settings)
        lease = ledger.batches.claim(run.run_id, batch.batch_id, _owner(context))
        done = False
        try:
            report = await self.send(context, ledger, run, batch, plan, lease, settings)
            done = True
        finally:
            try:
                ledger.batches.release(lease, done=done)
            except RescindError as error:
                self.log.warning("the lease was not released (%s); it expires by itself", error)
        self.log.info("%s: %s", self.batch["label"], report.as_dict())
        return report.as_dict()

    def _compare(self, context: Context, ledger: Ledger, approval: Approval, asked_by: str) -> None:
        """Compare the approval with Airflow's own record.

        :raises NotApprovedError: when that can be read and has another answer.
        """
        dag_run = context["dag_run"]
        said = compare_answer(
            dag_run.dag_id,
            dag_run.run_id,
            asked_by,
            option=approve_option(approval.digest),
            user=approval.responded_by,
            fields=lambda record: has_fields(record, AnswerFields(approval.comment)),
        )
        self.log.info(said)
        ledger.approvals.note_airflow_record(approval.run_id, approval.digest, said)

    async def send(
        self, context: Context, ledger: Ledger, run: Run, batch: Batch, plan: Plan, lease: Lease, settings: Settings
    ) -> BatchReport:
        """Send the open calls of the claimed batch. Errors are those of ``BatchSender.run``."""
        system = system_named(batch.system)
        decider = Decider(protection_context(ledger, run, settings, now=datetime.now(UTC)))
        async with connected(system, batch.conn_id, ledger, settings, account=batch.account) as (client, pacer):
            claimed = ClaimedBatch(ledger, system, client, lease, plan.digest)
            if others := ledger.scope_locks.changed_since(run.run_id, batch.system, batch.account):
                left = await recheck(claimed)
                self.log.warning("runs %s changed this scope since the snapshot; listed again: %s", others, dict(left))
            revocation = Revocation(claimed, lambda grant: _stays(decider, grant))
            sender = BatchSender(claimed, revocation, pacer, stop=self._stop)
            return await self.watched(context, sender, batch, pacer)

    async def watched(self, context: Context, sender: BatchSender, batch: Batch, pacer: CountingPacer) -> BatchReport:
        """Send the batch with progress and a tracing span."""
        ledger, name = sender.batch.ledger, sender.batch.system.name
        run_id, unit = sender.batch.run_id, batch.batch_id
        board = Board(context, ledger, run_id, self.OPERATION, unit, batch.label, "calls", name, pacer)
        board.report = sender.report
        sender.meter = Meter(board.show)
        with span("batch", {"system": name, "batch": batch.batch_id[:12], "calls": batch.calls}):
            return await sender.run()


def _check_approver(approval: Approval, settings: Settings) -> None:
    """Check that the approver may still approve.

    :raises NotApprovedError: when the approver is no longer listed.
    """
    if find_approver(settings.approvers, approval.responded_by) is None:
        raise NotApprovedError(
            f"plan {approval.digest[:12]} was approved by {approval.approver!r}, who is not listed under "
            "'approvers' in the settings now. Nothing was sent; start a new run"
        )


def _stays(decider: Decider, grant: Grant) -> str:
    """Return the reason if a protection or exception covers the grant now, else an empty text."""
    decision = decider.decide(grant)
    return decision.reason if decision.choice is Choice.KEEP and decision.rule in _STAYS else ""


def _grants(ledger: Ledger, batch: Batch) -> Collection[Grant]:
    keys = ledger.plans.batch_keys(batch.run_id, batch.batch_id)
    return ledger.snapshot.grants_by_id(batch.run_id, (key.grant_id for key in keys)).values()


def _owner(context: Context) -> str:
    ti = context["ti"]
    return f"{socket.gethostname()}/{os.getpid()}/{ti.task_id}[{ti.map_index}] try {ti.try_number}"
