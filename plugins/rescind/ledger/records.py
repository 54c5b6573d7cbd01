"""What the ledger hands out and takes in, as plain values.

Digests and ids made of them (grant, call, batch, plan) are 64 lower-case hex characters here and 32
bytes in the database. Times carry a time zone. Counts are counts of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rescind.model import ItemState, PlannedCall, Verdict, digest


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be.

    :param kind: ``scheduled``, ``manual`` or ``restore``.
    :param params: the run's parameters as given; no secrets.
    :param dry_run: True sends nothing, ever: :meth:`Attempts.begin` refuses.
    """

    dag_id: str
    airflow_run_id: str
    kind: str
    requested_by: str
    reason: str = ""
    ticket: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    dry_run: bool = True
    policy_version: str = ""
    code_version: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the ledger knows it. ``number`` counts all runs of this ledger without gaps."""

    run_id: str
    number: int
    dag_id: str
    airflow_run_id: str
    kind: str
    requested_by: str
    reason: str
    ticket: str
    params: Mapping[str, Any]
    dry_run: bool
    policy_version: str
    code_version: str
    state: str
    started_at: datetime
    finished_at: datetime | None
    summary: Mapping[str, Any]
    snapshot_digest: str


@dataclass(frozen=True, slots=True)
class ScopeSpec:
    """One part of the population that is listed as a whole: system, account and, within it, a part."""

    system: str
    account: str
    part: str = ""
    conn_id: str = ""

    @property
    def scope_id(self) -> str:
        """Short name of the scope: 16 hex characters of the digest of the four fields."""
        return digest([self.system, self.account, self.part, self.conn_id])[:16]


@dataclass(frozen=True, slots=True)
class Certificate:
    """What shows that a listing is the whole population of its scope.

    :param identity: who listed, as the vendor names the caller.
    :param declared: the total that the vendor declared, where it does.
    :param counted: distinct grants read; must equal the grants written when ``complete``.
    :param complete: False when the listing cannot prove absence; ``missing`` says why.
    :param notes: further facts, such as a second pass.
    """

    identity: str
    query: Mapping[str, Any]
    pages: int
    counted: int
    declared: int | None = None
    duplicates: int = 0
    dangling: int = 0
    page_digests: Sequence[str] = ()
    complete: bool = True
    missing: str = ""
    notes: Mapping[str, Any] = field(default_factory=dict)
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """A scope of a run: ``pending``, ``complete`` or ``incomplete``."""

    run_id: str
    scope_id: str
    system: str
    account: str
    part: str
    conn_id: str
    state: str
    identity: str
    query: Mapping[str, Any]
    pages: int
    declared: int | None
    counted: int
    duplicates: int
    dangling: int
    page_digests: tuple[str, ...]
    missing: str
    error: str
    notes: Mapping[str, Any]
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Sealed:
    """The verdict on a snapshot. ``complete`` is True for a (system, account) whose scopes all are."""

    run_id: str
    digest: str
    scopes: tuple[Scope, ...]
    complete: Mapping[tuple[str, str], bool]


@dataclass(frozen=True, slots=True)
class PopulationCount:
    """Sizes of one permission system of one account in a snapshot."""

    system: str
    account: str
    grants: int
    revocable: int
    principals: int
    scopes: int
    complete: bool


@dataclass(frozen=True, slots=True)
class DecisionCounts:
    """How many grants got which decision."""

    decided: int
    keep: int
    revoke: int


@dataclass(frozen=True, slots=True)
class RuleCount:
    """How many grants one rule decided on."""

    system: str
    choice: str
    rule: str
    severity: str
    grants: int


@dataclass(frozen=True, slots=True)
class NewCall:
    """A call of a plan. ``inverse`` holds what giving back would need."""

    planned: PlannedCall
    inverse: Mapping[str, Any] = field(default_factory=dict)

    @property
    def call_id(self) -> str:
        """See :attr:`PlannedCall.call_id`."""
        return self.planned.call_id


@dataclass(frozen=True, slots=True)
class NewBatch:
    """The calls of one mapped task, in the order in which they are to be sent."""

    system: str
    account: str
    conn_id: str
    calls: Sequence[NewCall]
    label: str = ""

    @property
    def batch_id(self) -> str:
        """Digest of the call ids in order: names the batch by its content, not by a map index."""
        return digest([call.call_id for call in self.calls])


@dataclass(frozen=True, slots=True)
class NewItem:
    """One grant of a plan: PLANNED with the call that takes it away, or HELD and the like without one."""

    grant_id: str
    call_id: str | None
    state: ItemState = ItemState.PLANNED
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NewPlan:
    """A plan to freeze.

    :param digest: SHA-256 (hex) of ``effects``.
    :param effects: the canonical bytes that were digested, whole or in pieces.
    :param operation: ``revoke``, or ``restore`` for giving back.
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


@dataclass(frozen=True, slots=True)
class Call:
    """A call and where it stands: pending, sent, accepted, refused, unknown, stale or skipped."""

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
    """A grant of the plan and where it stands."""

    run_id: str
    grant_id: str
    call_id: str | None
    state: ItemState
    reason: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Approval:
    """A question about exactly one plan of one run, and its answer once there is one.

    :param nonce: ties the answer to this question: the answer has to quote it.
    :param automatic: True when a rule answered, not a person.
    """

    run_id: str
    digest: str
    nonce: str
    requested_by: str
    requested_at: datetime
    valid_until: datetime
    answer: str | None
    responded_by: str
    responded_at: datetime | None
    automatic: bool
    used_at: datetime | None
    used_by_batch: str | None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to send a batch's calls, until somebody else claims it (a higher epoch)."""

    run_id: str
    batch_id: str
    owner: str
    epoch: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """A recorded intent: the request may be sent now, once."""

    attempt_id: int
    call_id: str
    n: int
    intent_at: datetime


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """An attempt with its outcome, or without one when nobody knows."""

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


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """What a complete re-read showed for one item.

    :param path: for ``still_effective``, the path that remains.
    """

    grant_id: str
    verdict: Verdict
    method: str
    observed_at: datetime
    path: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeptCheck:
    """Whether the grants that were to be kept are still there; ``lost`` holds grant ids."""

    system: str
    account: str
    compared: int
    lost: Sequence[str]
    complete: bool
    observed_at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SwitchEvent:
    """One change of the kill switch."""

    stopped: bool
    changed_by: str
    changed_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class SystemSummary:
    """One line of a run's report. Item counts are by state; verdict counts are by the latest verdict."""

    system: str
    account: str
    discovered: int
    complete: bool
    keep: int
    revoke: int
    items: int
    held: int
    accepted: int
    refused: int
    unknown: int
    stale: int
    expired: int
    restored: int
    not_sent: int
    calls: int
    attempts: int
    throttled: int
    verified_gone: int
    already_absent: int
    still_present: int
    still_effective: int
    unverified: int
    without_verdict: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. ``calls_per_s`` is taken over the last ten seconds; ``eta_s`` needs it."""

    run_id: str
    state: str
    scopes: int
    scopes_done: int
    items: int
    items_settled: int
    calls: int
    calls_settled: int
    in_flight: int
    throttled: int
    calls_per_s: float
    eta_s: float | None


@dataclass(frozen=True, slots=True)
class LaneState:
    """A lane of requests and its pace, in requests per second."""

    vendor: str
    account: str
    region: str
    action: str
    limit: float
    share: float
    pace: float
    margin: float
    learned: float | None
    jitter_s: float
    next_at: datetime
    handed: int
    throttles: int
    updated_at: datetime
