"""Rows that :mod:`rescind.ledger.read_models.queries` returns, as plain values.

Counts are of grants unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

STALE_S = 90
"""Seconds after which a task's last word is too old for a forecast."""


@dataclass(frozen=True, slots=True)
class RunLine:
    """One run in a list. Counts are of grants; None where the run has no plan or no closing summary.

    :param operation: ``revoke`` or ``restore``.
    :param items: grants that the plan names, those held back among them.
    :param proven: of these, proven gone or found absent; for a restore, proven there again.
    :param findings: open findings of the closing summary.
    :param answer: ``approve``, ``reject``, or None while nobody has answered.
    :param asked_at: since when approvers are asked; None where they are not or not yet.
    :param valid_until: when the plan can no longer be approved or executed.
    :param owners_asked_at: since when the oldest open question to an owner waits; None where none is open.
    :param owners_open: questions to owners that nobody has answered.
    :param returned: grants of this run that a later watching run saw there again.
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
    scopes: int
    scopes_pending: int
    calls_open: int
    asked_at: datetime | None = None
    valid_until: datetime | None = None
    owners_asked_at: datetime | None = None
    owners_open: int = 0
    returned: int = 0


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a run's page shows beside its :class:`RunLine`.

    :param problems: why the run is not green, at most 50 lines.
    :param report: path or address of the report as the run recorded it, or empty; likewise ``bundle``.
    :param plan: digest of the live plan (hex), or empty.
    """

    problems: Sequence[str]
    report: str
    bundle: str
    plan: str
    lower_bound: int | None
    responded_at: datetime | None
    policy_version: str
    code_version: str


@dataclass(frozen=True, slots=True)
class SystemLine:
    """One permission system of one account: grants found, and what became of the planned ones."""

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


@dataclass(frozen=True, slots=True)
class ProgressLine:
    """How far one stage is with one permission system of one account: all its tasks together.

    :param system: empty where the tasks work for none in particular; ``label`` then says what they do.
    :param total: 0 where nobody can know it.
    :param per_second: of the tasks that were heard of within :data:`STALE_S` seconds, together.
    :param age_s: seconds since the last word of a task that is not done.
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
class ItemFilter:
    """Which items of a run to show; empty fields ask for everything.

    :param verdict: a verdict, ``none`` (not read again yet) or ``open`` (anything that is not proven).
    :param text: part of a name, an id, an entitlement or a rule, in any case.
    """

    system: str = ""
    state: str = ""
    verdict: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class GrantLine:
    """What a page names of a grant."""

    system: str
    account: str
    resource_type: str
    resource_id: str
    resource_name: str
    principal_type: str
    principal_id: str
    principal_name: str
    entitlement: str
    native_id: str


@dataclass(frozen=True, slots=True)
class ItemLine(GrantLine):
    """One planned item: the grant, why it is to go, what was sent, and what the last reading showed."""

    grant_id: str
    state: str
    reason: str
    rule: str
    why: str
    verdict: str
    path: str
    observed_at: datetime | None
    call_id: str | None
    outcome: str
    code: str
    request_id: str
    sent_at: datetime | None


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Some items, and how many there are in all."""

    total: int
    rows: Sequence[ItemLine]


@dataclass(frozen=True, slots=True)
class ItemCount:
    """How many items of a run share system, state and verdict (empty: none yet), and how many of them are proven."""

    system: str
    state: str
    verdict: str
    items: int
    proven: int


@dataclass(frozen=True, slots=True)
class ReturnLine(GrantLine):
    """A grant that a run proved gone and that was seen there again.

    :param first_seen: when a watching run first saw it; ``last_seen`` is the latest such moment.
    :param times: in how many watching runs it was seen.
    :param seen_entitlement: what stood there at the latest look; likewise all that follows, empty where the platform
        tells nothing.
    """

    first_seen: datetime
    last_seen: datetime
    times: int
    seen_entitlement: str
    seen_native_id: str
    seen_created: str
    seen_expires: str
    seen_origin: str


@dataclass(frozen=True, slots=True)
class WatchLine:
    """The latest watching run: what it could say about what was proven gone. Counts of grants.

    :param not_checked: those whose place could not be read completely. Nothing is said about them.
    """

    dag_id: str
    checked_at: datetime
    watched: int
    still_gone: int
    returned: int
    not_checked: int
