"""Records of runs, populations, decisions and verdicts: plain values that the ledger takes and returns.

Plans, calls and attempts are in :mod:`rescind.ledger.plans.records`. Digests and ids made of them (grant, call, batch,
plan) are 64 lower-case hex characters here and 32 bytes in the database. Times are timezone-aware. Counts are counts
of rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rescind.model import KNOWN_ACCESS, Verdict, digest


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to begin.

    :param kind: ``scheduled``, ``manual``, ``triggered``, ``restore`` or ``single``.
    :param requested_by: user name of the person who started it; empty if no person did.
    :param params: the parameters of the run as given; no secrets.
    :param dry_run: True sends nothing: :meth:`Attempts.begin` refuses.
    :param follows: number of the run of known access that this run over everybody completes.
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
    follows: int | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """A run as stored in the ledger.

    :param number: counts all runs of this ledger without gaps.
    """

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
    follows: int | None = None

    @property
    def requester(self) -> str:
        """The requester for people; see :func:`requester_text`."""
        return requester_text(self.requested_by, self.kind)


def requester_text(requested_by: str, kind: str) -> str:
    """Return the requester of a run for people. Only an empty name means that no person started it."""
    return requested_by or ("the schedule" if kind == "scheduled" else "no person")


NAMED_PEOPLE = "named people only"
"""Part of a scope of which only named people are listed, and the objects on which they hold something.

It is never the whole population: not for a comparison, and not for a proof about anybody else.
"""
PARTS_OF_PEOPLE = (NAMED_PEOPLE, KNOWN_ACCESS)
"""Parts that are never a baseline, are compared with no other run, and feed no rule about absence."""


@dataclass(frozen=True, slots=True)
class ScopeSpec:
    """A part of the population that is listed as a whole: system, account and a part within them."""

    system: str
    account: str
    part: str = ""
    conn_id: str = ""

    @property
    def scope_id(self) -> str:
        """Name of the scope: the first 16 hex characters of the digest of its four fields."""
        return digest([self.system, self.account, self.part, self.conn_id])[:16]


@dataclass(frozen=True, slots=True)
class Certificate:
    """The certificate of completeness of a scope.

    :param identity: the caller that listed, as the vendor names it.
    :param declared: rows that the vendor declared in all listings; None when it declares none.
    :param counted: distinct grants read; must equal the grants written when ``complete``.
    :param duplicates: repeated rows and grants.
    :param dangling: references of grants to principals or resources that no listing showed.
    :param page_digests: for scopes of few pages; the listing records have the digests of each page.
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
class Listing:
    """The stored record of one complete listing.

    :param parameters_digest: SHA-256 (hex) of the request's parameters without the page.
    :param declared: rows that the vendor declared; None when the action declares none.
    :param counted: distinct rows read.
    :param passes: how often it was read until two passes were equal.
    :param page_digests: SHA-256 (hex) of the rows of each page of the last pass, in order.
    """

    action: str
    parameters_digest: str
    pages: int
    declared: int | None
    counted: int
    duplicates: int
    passes: int
    null_as_empty: bool
    page_digests: tuple[str, ...]
    request_ids: tuple[str, ...]
    started_at: datetime
    finished_at: datetime


@dataclass(frozen=True, slots=True)
class Baseline:
    """The last complete listing of the same population before a run.

    :param counted: grants in that listing.
    :param removed: grants that the earlier run proved gone.
    """

    run_id: str
    run_number: int
    counted: int
    removed: int


@dataclass(frozen=True, slots=True)
class WholeListing:
    """The last complete listing of a whole system and account.

    :param ended_at: when it was read.
    :param revocable: grants in it that a call can revoke.
    :param removed: grants that its run proved gone.
    """

    run_id: str
    run_number: int
    ended_at: datetime
    revocable: int
    removed: int

    @property
    def remaining(self) -> int:
        """Grants that a call can revoke, less those that the run itself removed."""
        return max(0, self.revocable - self.removed)


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
    """A closed snapshot.

    :param complete: by (system, account), whether all scopes are complete.
    """

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
    """The number of grants by decision.

    :param rules: the number by (choice, rule).
    """

    decided: int
    keep: int
    revoke: int
    rules: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class RuleCount:
    """The number of grants that one rule decided on."""

    system: str
    choice: str
    rule: str
    severity: str
    grants: int


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """The verdict of a complete re-read on one item.

    :param path: for ``still_effective``, the remaining path; for ``record_gone``, why access is not proven gone.
    """

    grant_id: str
    verdict: Verdict
    method: str
    observed_at: datetime
    path: str = ""
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RetainedCheck:
    """Whether the retained grants are still present.

    :param compared: retained grants that were checked.
    :param lost: ids of the grants that are missing.
    :param complete: whether all listings could be read.
    """

    system: str
    account: str
    compared: int
    lost: Sequence[str]
    complete: bool
    observed_at: datetime
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KillSwitchEvent:
    """One change of the kill switch."""

    stopped: bool
    changed_by: str
    changed_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class SystemSummary:
    """The counts of one permission system and account in a run: items by state and by latest verdict."""

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
    record_gone: int
    already_absent: int
    still_present: int
    still_effective: int
    unverified: int
    without_verdict: int
    needs_new_run: int


@dataclass(frozen=True, slots=True)
class BucketState:
    """A bucket of the rate limiter; rates in requests per second."""

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
