"""Check the order of the times in a bundle: nothing happened before what it depends on.

Times of the ledger's database are compared exactly. The times of requests and listings are those of workers. Where they
meet times of the database, or of another worker, :data:`CLOCKS_APART` is allowed, and a note says how much was seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

Record = Mapping[str, Any]
CLOCKS_APART = timedelta(seconds=60)
"""The most that a worker's clock may differ from that of the ledger's database."""
_EXACT = timedelta(0)
_EXECUTED = ("accepted", "unknown", None)
"""Outcomes of attempts that may have had an effect."""
_GONE = ("verified_gone", "record_gone", "still_effective", "already_absent")
_FORM = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


@dataclass(slots=True)
class Times:
    """Compare the times of one run.

    :param add: takes a kind of problem and the id of what it is about.
    """

    review: Record
    plan: Record | None
    approval: Record | None
    add: Callable[[str, str], None]
    apart: timedelta = _EXACT
    _ended: dict[str, str] = field(default_factory=dict)
    _sent: dict[str, str] = field(default_factory=dict)
    _begun: dict[str, str] = field(default_factory=dict)

    def order(self, what: str, ident: str, *times: str | None, allowed: timedelta = _EXACT) -> None:
        """Check that times do not decrease; None is left out. They differ by ``allowed`` without a problem."""
        before: datetime | None = None
        for text in times:
            if text is None:
                continue
            if not _FORM.fullmatch(text):
                self.add("a time is not UTC with microseconds", ident)
                return
            at = datetime.fromisoformat(text)
            if before is not None and before > at:
                if before - at > allowed:
                    self.add(what, ident)
                    return
                self.apart = max(self.apart, before - at)
            before = at

    def run(self) -> None:
        """Check the run, its plan and its approval."""
        review, plan, approval = self.review, self.plan or {}, self.approval or {}
        begun, ended, created = review["started_at"], review["finished_at"], plan.get("created_at")
        asked, answered, used = (approval.get(f"{name}_at") for name in ("requested", "responded", "used"))
        what = "the times of run, plan and approval are out of order"
        self.order(what, review["run"], begun, created, asked, answered, used, ended)
        for until in (plan.get("valid_until"), approval.get("valid_until")):
            self.order(what, review["run"], created, asked, answered, used, until)

    def in_run(self, what: str, ident: str, *times: str | None) -> None:
        """Check times of the database: in this order, and within the run."""
        around = (self.review["started_at"], *times, self.review["finished_at"])
        self.order(f"{what}: its times are out of order, or outside the run", ident, *around)

    def scope(self, scope: Record) -> None:
        """Check the times of a listing; they are a worker's."""
        times = (self.review["started_at"], scope["started_at"], scope["ended_at"])
        self.order("the times of a listing are out of order", scope["scope"], *times, allowed=CLOCKS_APART)

    def attempt(self, attempt: Record) -> None:
        """Check that an attempt follows the approval and the attempt before it, and that the approval was valid."""
        call, intent, closed = attempt["call"], attempt["intent_at"], attempt["closed_at"]
        sent, answered = attempt["sent_at"], attempt["answered_at"]
        for record in (self.approval or {}, self.plan or {}):
            self.order("an attempt was made after the approval expired", call, intent, record.get("valid_until"))
        approved = [(self.approval or {}).get(name) for name in ("responded_at", "used_at")]
        self.order("an attempt was made before its approval", call, *approved, intent)
        self.in_run("an attempt", call, self._begun.get(call), intent)
        what = "the times of an attempt are out of order"
        self.order(what, call, intent, closed)
        self.order(what, call, sent, answered)
        for at in (sent, answered):
            self.order(what, call, intent, at, closed, allowed=CLOCKS_APART)
        self._begun[call] = intent
        if attempt["outcome"] in _EXECUTED:
            self._sent[call] = sent or intent
            self._ended[call] = answered or sent or intent

    def item(self, item: Record) -> None:
        """Check that the times of an item are those of the plan, the approval and the last request of its call."""
        expected = (self.plan or {}).get("created_at"), (self.approval or {}).get("responded_at")
        times = (*expected, self._sent.get(item["call"] or ""))
        if (item["planned_at"], item["approved_at"], item["sent_at"]) != times:
            self.add("the times of an item do not match plan, approval and attempts", item["grant_id"])

    def observed(self, what: str, ident: str, at: str, call: str | None, verdict: str = "") -> None:
        """Check that a worker observed something in the run; that something is gone, after the last request."""
        self.order(f"{what} was observed before the run", ident, self.review["started_at"], at, allowed=CLOCKS_APART)
        if verdict in _GONE:
            self.order(
                f"{what} was observed before the outcome of its call",
                ident,
                self._ended.get(call or ""),
                at,
                allowed=CLOCKS_APART,
            )

    def note(self) -> str:
        """Return a remark when clocks differed, or an empty text."""
        return f"clocks differed by {self.apart.total_seconds():.3f} s at least" if self.apart else ""
