"""Records of plans, approvals, calls and attempts: plain values that the ledger takes and returns.

For ids, times and counts see :mod:`rescind.ledger.runs.records`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rescind.approval_signature import moment, statement
from rescind.model import ItemState, PlannedCall, digest
from rescind.users import shown_user


@dataclass(frozen=True, slots=True)
class NewCall:
    """A call of a plan.

    :param inverse: what a restore of its grants needs.
    """

    planned: PlannedCall
    inverse: Mapping[str, Any] = field(default_factory=dict)

    @property
    def call_id(self) -> str:
        """See :attr:`PlannedCall.call_id`."""
        return self.planned.call_id


@dataclass(frozen=True, slots=True)
class NewBatch:
    """The calls of one mapped task, in sending order.

    :param canary: True for a batch that is sent and verified before the others.
    """

    system: str
    account: str
    conn_id: str
    calls: Sequence[NewCall]
    label: str = ""
    canary: bool = False

    @property
    def batch_id(self) -> str:
        """Digest of the call ids in order. It identifies the batch by its content instead of a map index."""
        return digest([call.call_id for call in self.calls])


@dataclass(frozen=True, slots=True)
class NewItem:
    """One grant of a plan: PLANNED with its call, or in another state (such as HELD) without a call."""

    grant_id: str
    call_id: str | None
    state: ItemState = ItemState.PLANNED
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NewPlan:
    """A plan to freeze.

    :param digest: SHA-256 (hex) of ``effects``.
    :param effects: the canonical bytes under the digest, whole or in pieces.
    :param operation: ``revoke`` or ``restore``.
    :param source_run_id: the run whose snapshot holds the items' grants; empty for this run.
    """

    digest: str
    effects: bytes | Iterable[bytes]
    valid_until: datetime
    code_version: str
    policy_version: str = ""
    guards: Any = field(default_factory=dict)
    caps: Any = field(default_factory=dict)
    lower_bound: int = 0
    operation: str = "revoke"
    source_run_id: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan: ``frozen``, ``approved``, ``executing``, ``done`` or ``superseded``."""

    run_id: str
    digest: str
    operation: str
    source_run_id: str
    state: str
    created_at: datetime
    valid_until: datetime
    guards: Any
    caps: Any
    lower_bound: int
    calls: int
    items: int
    code_version: str
    policy_version: str


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch: ``open``, ``claimed`` or ``done``."""

    run_id: str
    batch_id: str
    ordinal: int
    system: str
    account: str
    conn_id: str
    label: str
    calls: int
    items: int
    state: str
    lease_owner: str
    lease_epoch: int
    lease_until: datetime | None
    canary: bool


@dataclass(frozen=True, slots=True)
class Canary:
    """The result of a canary batch; counts of grants.

    :param items: grants of the batch.
    :param proven: grants whose latest verdict says that the record is gone.
    :param left_alone: grants that are held, stale or expired and were never sent.
    :param tried: grants of calls with at least one attempt.
    """

    batch_id: str
    system: str
    account: str
    label: str
    items: int
    proven: int
    left_alone: int
    tried: int


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """The progress of one task of a run.

    :param unit: the batch or scope that the task works on, unique within the stage.
    :param total: 0 when it is not known.
    :param per_second: rate when the progress was recorded.
    """

    stage: str
    unit: str
    label: str
    done: int
    total: int
    per_second: float
    started_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Call:
    """A call and its state: pending, sent, accepted, refused, unknown, stale or skipped."""

    run_id: str
    call_id: str
    batch_id: str
    conn_id: str
    ordinal: int
    planned: PlannedCall
    inverse: Mapping[str, Any]
    state: str
    reason: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Item:
    """A grant of the plan and its state."""

    run_id: str
    grant_id: str
    call_id: str | None
    state: ItemState
    reason: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Approval:
    """A request for the approval of exactly one plan of one run, and its answer.

    :param nonce: ties the answer to this request; the answer must quote it.
    :param responded_by: user id of the approver, or the rule.
    :param responded_by_name: name of that user; empty where it is the same as the id.
    :param automatic: True when a rule answered instead of a person.
    :param method: for an automatic answer, the limits and the measured values; else empty.
    :param comment: what the approver wrote beside the answer, every character readable; may be empty.
    :param signing_key: name of the key that signed the answer; empty without a signature.
    :param signature: signature of the answer (hex), see :mod:`rescind.approval_signature`.
    :param airflow_record: whether Airflow's own record has the same answer, as text; empty before the first send.
    :param narrowed: whether the answer left out a part of this plan, so that it can never be approved.
    """

    run_id: str
    dag_id: str
    airflow_run_id: str
    digest: str
    nonce: str
    requested_by: str
    requested_at: datetime
    valid_until: datetime
    answer: str | None
    responded_by: str
    responded_by_name: str
    responded_at: datetime | None
    automatic: bool
    method: str
    comment: str
    signing_key: str
    signature: str
    used_at: datetime | None
    used_by_batch: str | None
    airflow_record: str
    narrowed: bool = False

    @property
    def approver(self) -> str:
        """Who answered, for people."""
        return shown_user(self.responded_by, self.responded_by_name)

    @property
    def statement(self) -> bytes:
        """The signed message for this answer; ValueError when there is no answer yet."""
        if self.responded_at is None:
            raise ValueError("an approval without an answer cannot be signed")
        return statement(
            {
                "run": self.run_id,
                "dag": self.dag_id,
                "airflow_run": self.airflow_run_id,
                "digest": self.digest,
                "nonce": self.nonce,
                "requested_by": self.requested_by,
                "valid_until": moment(self.valid_until),
                "answer": self.answer,
                "responded_by": self.responded_by,
                "responded_by_name": self.responded_by_name,
                "responded_at": moment(self.responded_at),
                "automatic": self.automatic,
                "measured_against": self.method,
                "comment": self.comment,
            }
        )


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to send the calls of a batch until another process claims it with a higher epoch."""

    run_id: str
    batch_id: str
    owner: str
    epoch: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """A recorded intent: the request may be sent once."""

    attempt_id: int
    call_id: str
    n: int
    intent_at: datetime


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """An attempt and its outcome; None when the outcome is not known."""

    attempt_id: int
    call_id: str
    n: int
    batch_id: str
    lease_epoch: int
    owner: str
    plan_digest: str
    request_digest: str
    action: str
    api_version: str
    intent_at: datetime
    sent_at: datetime | None
    answered_at: datetime | None
    outcome: str | None
    code: str
    http_status: int | None
    request_id: str
    detail: Mapping[str, Any]
    closed_at: datetime | None
