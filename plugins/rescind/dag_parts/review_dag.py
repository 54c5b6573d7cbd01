"""The task chain of a review, shared by the DAGs that run one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

from airflow.sdk import Asset, AssetWatcher, BaseNotifier, TriggerRule, chain, task_group
from airflow.sdk.definitions.callback import SyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from rescind.airflow_support.pools import DISCOVER_POOL
from rescind.compat import RUN_BY_DAG as RUN_BY_DAG
from rescind.dag_parts.stages import ASK, READ, REPORT, VERIFY, WRITE, stage
from rescind.operators.canary import ProceedOperator, VerifyCanaryOperator
from rescind.operators.decide import DecideOperator, PlanOperator, SealOperator
from rescind.operators.discover import DiscoverOperator
from rescind.operators.full_proof import FullProofOperator
from rescind.operators.offboard import OffboardApproveOperator, OffboardApprovePartOperator, OffboardPreflightOperator
from rescind.operators.preflight import PreflightOperator
from rescind.operators.questions.approve import ApprovePlanOperator
from rescind.operators.questions.approve_part import ApprovePartOperator
from rescind.operators.questions.owners import AskDelegateOperator, AskOwnerOperator
from rescind.operators.report import GateOperator, ReportOperator
from rescind.operators.revoke import RevokeBatchOperator
from rescind.operators.verify import VerifyOperator

LEAVERS = "rescind_leavers"
"""Name of the asset whose events say who left."""


def leavers(*watchers: AssetWatcher) -> Asset:
    """Return the asset that the HR system updates when somebody leaves.

    :param watchers: watchers of message queues, whose messages become events of the asset.
    """
    return Asset(name=LEAVERS, uri="rescind://leavers", watchers=list(watchers))


def overdue(*after: timedelta, tell: SyncCallback) -> list[DeadlineAlert]:
    """Return deadlines for a review that waits too long: ``DAG(..., deadline=overdue(timedelta(days=1), tell=...))``.

    The shipped DAGs have no deadline, because only the deployment knows whom to notify, and Airflow 3.3 calls
    deadlines experimental. A missed deadline only notifies: it revokes, rejects and ends nothing.

    :param after: time after a run was queued. Each one is a separate reminder, unless the run has ended by then.
    :param tell: callback that Airflow runs on an executor with callback support (local, Celery): a notifier class
        with its arguments, or a function of the context. It must be importable there.
    :raises ValueError: for no time, or one that is not positive.
    """
    if not after or min(after) <= timedelta(0):
        raise ValueError("overdue needs at least one positive time, for example timedelta(days=1)")
    queued = DeadlineReference.DAGRUN_QUEUED_AT
    return [DeadlineAlert(reference=queued, interval=each, callback=tell) for each in sorted(set(after))]


def review_chain(
    *, kind: Literal["policy", "targets"], notifiers: Sequence[BaseNotifier] = (), events: Asset | None = None
) -> None:
    """Add every stage of a review to the DAG in whose ``with`` block this is called.

    :param kind: where decisions come from: the deployed ``policy``, or the ``targets`` of the form.
    :param notifiers: told when approvers or owners are asked, when an approval was answered, and when the run ended
        while access remains, each once; for example Airflow's ``HttpNotifier`` with ``{{ message.text }}``. The chats
        of the setting ``notifications`` need no argument here.
    :param events: the asset whose events name the targets, instead of a form.
    """
    first, second = (
        (ApprovePlanOperator, ApprovePartOperator)
        if events is None
        else (OffboardApproveOperator, OffboardApprovePartOperator)
    )
    with stage("find", "Find", "List every grant, completely"):
        preflight = (
            PreflightOperator(task_id="preflight", kind=kind)
            if events is None
            else OffboardPreflightOperator(task_id="preflight", asset=events)
        )
        discover = DiscoverOperator.mapped(task_id="discover", pool=DISCOVER_POOL, **READ).expand(
            scope=preflight.output
        )
        seal = SealOperator(task_id="seal", trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
    decide, plan = _decide(kind, notifiers)
    answering: dict[str, Any] = {"response_timeout": timedelta(days=1), "notifiers": notifiers, **ASK}
    approve = first(task_id="approve", **answering)
    # A task of its own: Airflow would show the first question's text beside the digest of the second.
    approve_part = second(task_id="approve_part", **answering)
    acts = _act(approve_part)
    with stage("prove", "Prove", "Is the access gone, and is everything else unchanged?"):
        verify = VerifyOperator.mapped(task_id="verify", trigger_rule=TriggerRule.ALL_DONE, **VERIFY).expand(
            scope=preflight.output
        )
        report = ReportOperator(task_id="report", trigger_rule=TriggerRule.ALL_DONE, **REPORT)
        gate = GateOperator(task_id="gate", notifiers=notifiers, trigger_rule=TriggerRule.ALL_DONE)
        if kind == "targets":
            chain(report, FullProofOperator(task_id="full_proof", trigger_rule=TriggerRule.ALL_DONE, **REPORT))

    chain(preflight, discover, seal, decide, plan, approve, approve_part, *acts, verify, report, gate)
    chain(approve_part, acts[2])


def _decide(kind: str, notifiers: Sequence[BaseNotifier]) -> tuple[DecideOperator, PlanOperator]:
    """Add decisions, questions to owners (in a review by policy), and the plan."""
    with stage("choose", "Decide", "Decide what to revoke and why, and find the fewest calls"):
        decide = DecideOperator(task_id="decide")
        plan = PlanOperator(task_id="plan", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
        if kind == "policy":
            # Without questions these tasks are skipped and the plan continues; a failed question stops the plan.
            chain(decide, _ask_owners(decide, notifiers), plan)
    return decide, plan


def _ask_owners(decide: DecideOperator, notifiers: Sequence[BaseNotifier]) -> Any:
    """Add the questions to owners, and to the colleagues to whom they hand a question over.

    It is a mapped group: a colleague is asked as soon as the owner has handed the question over, whatever the state of
    other questions.
    """
    told: dict[str, Any] = {"response_timeout": timedelta(days=3), "notifiers": notifiers, **ASK}

    @task_group(
        group_id="owners",
        prefix_group_id=False,
        group_display_name="Owners",
        tooltip="Owners say who keeps access to their resources, or hand the question over to a colleague",
    )
    def owners(question: Any) -> None:
        chain(
            AskOwnerOperator(task_id="ask", question=question, **told),
            AskDelegateOperator(task_id="ask_delegate", question=question, **told),
        )

    return owners.expand(question=decide.output)


def _act(approved: ApprovePartOperator) -> tuple[Any, Any, ProceedOperator, Any]:
    """Add the canary, its verification, the step to the rest, and the rest.

    :param approved: returns the canary batches of the approved plan.
    """
    with stage("act", "Revoke", "A few grants first, then the rest, under the vendors' rate limits"):
        canary = RevokeBatchOperator.mapped(task_id="canary", task_display_name="Canary", **WRITE).expand(
            batch=approved.output
        )
        verify_canary = VerifyCanaryOperator.mapped(task_id="verify_canary", **VERIFY).expand(batch=approved.output)
        # A small plan has no canary: those two tasks are skipped and the rest continues. After a rejection every
        # task before this one is skipped, and so is the rest.
        proceed = ProceedOperator(task_id="proceed", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS)
        revoke = RevokeBatchOperator.mapped(task_id="revoke", **WRITE).expand(batch=proceed.output)
    return canary, verify_canary, proceed, revoke
