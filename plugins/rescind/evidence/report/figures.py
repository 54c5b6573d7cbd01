"""What the template of a report shows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rescind.evidence.bundle.answers.approval import answered_by
from rescind.evidence.bundle.population import number_unchecked
from rescind.evidence.report.closing import closing_rows
from rescind.evidence.report.tables import Row
from rescind.i18n import mark
from rescind.model import KNOWN_ACCESS
from rescind.run_state.leaver_clock import Reached, leaver_clock, moments
from rescind.run_state.states import Counts

SHOWN_FINDINGS = 40
SHOWN_PEOPLE = 30
SHOWN_WAYS = 12
SHOWN_ROWS = 25
SHOWN_KEPT = 25

ASKED = "yes"


@dataclass(slots=True)
class Figures:
    """Everything that the report's template shows."""

    review: Row
    manifest: Mapping[str, Any]
    signature: Mapping[str, Any]
    note: str
    plan: Row | None
    approval: Row | None
    settings: Row | None
    roster: Row | None
    occasion: Row | None = None
    approval_problem: str = ""
    approval_note: str = ""
    total: Counter[str] = field(default_factory=Counter)
    systems: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    standings: Counter[str] = field(default_factory=Counter)
    ways: Counter[str] = field(default_factory=Counter)
    unproven: Counter[str] = field(default_factory=Counter)
    people: list[Row] = field(default_factory=list)
    people_total: int = 0
    findings: list[Row] = field(default_factory=list)
    finding_counts: Counter[str] = field(default_factory=Counter)
    need_new_run: int = 0
    asked_for: list[Row] = field(default_factory=list)
    asked_for_total: int = 0
    questions: list[Row] = field(default_factory=list)
    rules: list[Row] = field(default_factory=list)
    kept: list[Row] = field(default_factory=list)
    scopes: list[Row] = field(default_factory=list)
    exceptions: list[Row] = field(default_factory=list)
    exceptions_total: int = 0
    timing: list[Row] = field(default_factory=list)
    course: list[tuple[str, str]] = field(default_factory=list)
    attempts: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    parts: list[Row] = field(default_factory=list)
    verified_at: str = ""

    @property
    def unchecked(self) -> str:
        """What the bundle represents by hashes, as a sentence; empty if it holds the whole population."""
        return f"{number_unchecked(self.parts)}." if self.parts else ""

    @property
    def approver(self) -> str:
        """Who answered the approval request, for people."""
        return answered_by(self.approval) if self.approval else ""

    @property
    def restoring(self) -> bool:
        """Whether the run restores access."""
        return self.plan is not None and self.plan["operation"] == "restore"

    @property
    def funnel(self) -> list[tuple[str, str, int]]:
        """Stages with what they mean and their counts."""
        if self.restoring:
            return [
                (mark("Selected"), mark("grants to be restored"), self.total["planned"] + self.total["held"]),
                (mark("Held back"), mark("skipped, with a reason"), self.total["held"]),
                (mark("Accepted"), mark("accepted by the vendor, or already present"), self.total["revoked"]),
                (mark("Restored"), mark("present in complete listings"), self.total["restored"]),
            ]
        return [
            (mark("Discovered"), mark("grants in the listings"), self.total["discovered"]),
            (mark("Flagged"), mark("decided to be revoked"), self.total["flagged"]),
            *[(mark("Kept"), mark("left out by the approver"), self.total["left_out"])] * bool(self.total["left_out"]),
            (mark("Held back"), mark("flagged, but held by a guard"), self.total["held"] - self.total["left_out"]),
            (mark("Planned"), mark("in a call of the plan"), self.total["planned"]),
            (mark("Sent"), mark("accepted by the vendor; not yet proof"), self.total["revoked"]),
            (mark("Proven gone"), mark("absent, and no other way in remains"), self.total["gone"]),
        ]

    @property
    def surfaces(self) -> list[Row]:
        """The ways in that each system declares, and whether each was asked: one row for a system and surface."""
        found: dict[tuple[str, str], Row] = {}
        for scope in self.scopes:
            asked, gaps = scope["notes"].get("surfaces", {}), scope["notes"].get("gaps", ())
            for one in scope["notes"].get("declared_surfaces", ()):
                row = {"system": scope["system"], **one, "answer": _answer(one, asked, gaps)}
                key = (scope["system"], one["name"])
                if key not in found or row["answer"] != ASKED:
                    found[key] = row
        return list(found.values())

    @property
    def left_out(self) -> list[Row]:
        """Objects that were not reviewed, each with its system and the reason."""
        return [{"system": s["system"], **one} for s in self.scopes for one in s["notes"].get("not_reviewed", ())]

    @property
    def closing(self) -> list[Row]:
        """What closes other paths to what the plan ends, then the paths that no removal ends; each with its system.

        Grants of groups come first, because with them further people lose something.
        """
        return closing_rows((scope["system"], scope["notes"]) for scope in self.scopes)

    @property
    def closing_shown(self) -> int:
        """How many of these lines the report shows: every grant of a group."""
        return max(25, sum(bool(row.get("shared")) for row in self.closing))

    @property
    def closing_total(self) -> int:
        """How many lines there are, those included that the notes only count."""
        notes = [scope["notes"].get("stays_reachable", {}).get("closing", {}) for scope in self.scopes]
        more = [note["more"] for note in notes if isinstance(note.get("more"), dict)]
        return len(self.closing) + sum(int(one.get(kind, 0)) for one in more for kind in ("removals", "open"))

    @property
    def setting_rows(self) -> list[Row]:
        """The settings that the approval covers: name, value, and the value in the run that they are compared with."""
        facts = self.settings["facts"] if self.settings else {}
        before = {name: old for name, old, _ in facts.get("changes", ())}
        values = {
            **facts.get("record", {}).get("settings", {}),
            **{name: new for name, _, new in facts.get("changes", ())},
        }
        return [
            {"name": name, "value": _text(value), "changed": name in before, "before": _text(before.get(name, ""))}
            for name, value in sorted(values.items())
        ]

    @property
    def roster_remarks(self) -> list[str]:
        """What the roster does not let anybody conclude, as preflight recorded it."""
        said = self.roster["facts"].get("remarks", ()) if self.roster and not self.manifest["sanitized"] else ()
        return [str(one) for one in said] if isinstance(said, list | tuple) else []

    @property
    def guards(self) -> list[Row]:
        """The guards as the plan recorded them, each with every column."""
        recorded = self.plan["guards"] if self.plan else []
        columns = ("guard", "scope", "limit", "measured", "held")
        return [
            {name: one.get(name, "") for name in columns}
            for one in (recorded if isinstance(recorded, list) else [])
            if isinstance(one, dict)
        ]

    @property
    def counts(self) -> Counts:
        """What became of the grants, for the words that every place uses."""
        return Counts(
            items=self.total["planned"] + self.total["held"],
            proven=self.total["restored" if self.restoring else "gone"],
            unproven=0 if self.restoring else self.standings["record_gone"],
            effective=0 if self.restoring else self.standings["still_effective"],
            held=self.total["held"],
            kept=self.asked_for_total,
            left_out=self.total["left_out"],
        )

    @property
    def clock(self) -> list[Reached]:
        """How long the people of a request kept their access; empty for a run about something else."""
        params = self.review["params"]
        if self.occasion is None or params.get("kind") != "targets" or not params.get("principals"):
            return []
        answer = self.approval["answer"] if self.approval and not self.approval_problem else None
        asked = self.approval["requested_at"] if self.approval else None
        approved = self.approval["responded_at"] if self.approval and answer == "approve" else None
        verified = self.verified_at
        if self.occasion["facts"].get("follows") and not verified:
            verified = max((scope["ended_at"] or "" for scope in self.scopes), default="")
        known = moments(
            time_of(self.review["started_at"]),
            self.occasion["facts"],
            asked=time_of(asked) if asked else None,
            approved=time_of(approved) if approved else None,
            verified=time_of(verified) if verified else None,
        )
        return leaver_clock(
            known,
            self.counts,
            dry_run=self.review["dry_run"],
            answer=answer,
            planned=self.plan is not None,
            listed=all(scope["state"] == "complete" for scope in self.scopes),
            known_only=self.known_only,
        )

    @property
    def known_only(self) -> bool:
        """Whether the run read known access only in some systems, so that another run has to follow."""
        return any(scope["part"] == KNOWN_ACCESS for scope in self.scopes)

    @property
    def left(self) -> int:
        """Items that should be gone and were not proven gone."""
        return sum(self.standings[name] for name in ("still_present", "unverified", "without_verdict"))


def time_of(text: str) -> datetime:
    """Return the time of a record.

    :raises ValueError: when the text is no time in ISO 8601.
    """
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _answer(surface: Row, asked: Mapping[str, str], gaps: Iterable[Row]) -> str:
    """Whether a surface was asked in this run, in words."""
    if not surface["action"]:
        return "no vendor action"
    if surface["asked_in"] == "verification":
        return "asked for the people concerned"
    answer = asked.get(surface["name"], "not asked in this run")
    mine = [gap for gap in gaps if gap["surface"] == surface["name"]]
    return answer or (f"yes, with {len(mine)} gaps: {mine[0]['why']}" if mine else ASKED)
