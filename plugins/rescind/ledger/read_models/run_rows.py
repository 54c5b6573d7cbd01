"""The rows about runs that :mod:`rescind.ledger.read_models.queries` returns.

Counts are counts of grants unless stated otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rescind.ledger.runs.records import requester_text
from rescind.ledger.runs.refusals import NewRefusal
from rescind.users import shown_user

STALE_S = 90
"""Seconds after which the last progress of a task is too old for a forecast."""


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run in a list. Counts are of grants; None where the run has no plan or no closing summary.

    :param operation: ``revoke`` or ``restore``.
    :param items: grants in the plan, including held grants.
    :param proven: items that are proven gone or absent; in a restore, proven restored.
    :param findings: open findings of the closing summary.
    :param answer: ``approve``, ``reject``, or None while unanswered.
    :param asked_at: when the approval was requested; None when it was not.
    :param valid_until: when the approval window and the plan expire.
    :param blocked_by: number of the approved run that holds a scope lock which this approved run needs, or None.
    :param blocked_since: since when that run has held it.
    :param owners_asked_at: when the oldest open question to an owner was asked; None when none is open.
    :param owners_open: unanswered questions to owners.
    :param returned: grants of this run that a later watching run found again.
    :param automatic: whether a rule approved instead of a person; None without a request.
    :param unproven: items whose record is gone while access was not proven gone.
    :param effective: items that are still reachable in another way.
    :param held: items that a guard held back.
    :param kept: grants that the request named and that no call of the run could remove, by its closing summary.
    :param approvers: users who may answer, by the settings that the run recorded, without its requester.
    :param left_out: those of ``held`` that an approver left out.
    :param narrowed: whether an answer left out a part of the plan, so that there is a second question.
    :param known: whether the run reads, in some systems, only what the last snapshot shows of the people it names.
    :param follows: number of such a run that this run completes.
    :param proof_number: number of the run that completes this one, once it has begun.
    :param proof_tone: how that run ended, see :mod:`rescind.run_state.states`; empty while it has not.
    """

    number: int
    run_id: str
    dag_id: str
    airflow_run_id: str
    kind: str
    requested_by: str
    reason: str
    ticket: str
    dry_run: bool
    state: str
    started_at: datetime
    finished_at: datetime | None
    operation: str
    calls: int | None
    items: int | None
    proven: int
    findings: int | None
    answer: str | None
    responded_by: str | None
    responded_by_name: str | None
    scopes: int
    scopes_pending: int
    calls_open: int
    asked_at: datetime | None = None
    valid_until: datetime | None = None
    blocked_by: int | None = None
    blocked_since: datetime | None = None
    owners_asked_at: datetime | None = None
    owners_open: int = 0
    returned: int = 0
    automatic: bool | None = None
    unproven: int = 0
    effective: int = 0
    held: int = 0
    kept: int = 0
    approvers: Sequence[str] = ()
    left_out: int = 0
    narrowed: bool = False
    known: bool = False
    follows: int | None = None
    proof_number: int | None = None
    proof_tone: str = ""

    @property
    def requester(self) -> str:
        """The requester for people."""
        return requester_text(self.requested_by, self.kind)

    @property
    def approver(self) -> str:
        """Who answered, for people. A user may be called ``automatic``."""
        return (
            "automatic approval"
            if self.automatic
            else shown_user(self.responded_by or "", self.responded_by_name or "")
        )


@dataclass(frozen=True, slots=True)
class RefusedLine(NewRefusal):
    """A run that was refused before it began, so that it has no number."""

    refused_at: datetime = datetime.min


@dataclass(frozen=True, slots=True)
class RunFacts:
    """Further facts for the page of a run, beside its :class:`RunLine`.

    :param problems: why the run failed, at most 50 lines.
    :param next_step: what to do about it, or empty.
    :param report: path or URL of the report as recorded by the run, or empty.
    :param bundle: path or URL of the evidence bundle as recorded by the run, or empty.
    :param plan: digest of the live plan (hex), or empty.
    :param comment: what the approver wrote beside the answer, or empty.
    :param settings: digest of the settings that an approval of the run covers (hex), or empty.
    :param settings_source: where they came from.
    :param settings_hidden: Airflow Variables that an environment variable of the workers hides.
    :param settings_changed: settings that differ from the run ``settings_compared_with``, at most 50.
    :param roster_remarks: what the roster of the run does not let anybody conclude, at most 50 sentences.
    :param about_people: whether a form or an event named people whose access goes.
    :param occasion: the events that started the run, and when the employment of the people ends.
    :param verified_at: when the last item got its latest verdict.
    :param listed: whether every listing of the run was complete.
    :param left_out_by: who left out a part of the plan, when and why; None and empty if nobody did.
    """

    problems: Sequence[str]
    next_step: str
    report: str
    bundle: str
    plan: str
    lower_bound: int | None
    responded_at: datetime | None
    policy_version: str
    code_version: str
    comment: str = ""
    settings: str = ""
    settings_source: str = ""
    settings_compared_with: str | None = None
    settings_hidden: Sequence[str] = ()
    settings_changed: Sequence[str] = ()
    roster_remarks: Sequence[str] = ()
    about_people: bool | None = False
    occasion: Mapping[str, Any] = field(default_factory=dict)
    verified_at: datetime | None = None
    listed: bool = False
    left_out_by: str | None = None
    left_out_at: datetime | None = None
    left_out_comment: str = ""


@dataclass(frozen=True, slots=True)
class SystemLine:
    """The counts of one permission system and account: grants found, and planned grants by state.

    :param named: whether only the people whom the run names were listed.
    :param known: whether only what the last snapshot showed of them was read.
    """

    system: str
    account: str
    complete: bool
    discovered: int
    items: int
    held: int
    accepted: int
    refused: int
    unknown: int
    stale: int
    not_sent: int
    proven: int
    record_gone: int
    still_present: int
    still_effective: int
    unverified: int
    named: bool = False
    known: bool = False


@dataclass(frozen=True, slots=True)
class ProgressLine:
    """The progress of one stage in one permission system and account, over all its tasks.

    :param system: empty for tasks of no particular system; ``label`` then says what they do.
    :param total: 0 when it is not known.
    :param per_second: rate of all tasks with progress in the last :data:`STALE_S` seconds.
    :param age_s: seconds since the last progress of a task that is not done.
    """

    stage: str
    system: str
    account: str
    label: str
    done: int
    total: int
    per_second: float
    age_s: float


@dataclass(frozen=True, slots=True)
class WatchLine:
    """The result of the latest watching run; counts of grants.

    :param not_checked: grants whose listing scope could not be read completely. Nothing is known about them.
    """

    dag_id: str
    checked_at: datetime
    watched: int
    still_gone: int
    returned: int
    not_checked: int


@dataclass(frozen=True, slots=True)
class SingleCallLine:
    """One attempt of an operator that works alone.

    :param parameters: the parameters of the request, as JSON text.
    :param outcome: None while none is recorded: the request may have been sent.
    """

    task_id: str
    map_index: int
    system: str
    account: str
    conn_id: str
    action: str
    parameters: str
    outcome: str | None
    code: str
    request_id: str
    intent_at: datetime
