"""Compute what the pages show from the rows of the ledger: stages, funnel, estimates, labels. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from rescind.i18n import mark, moment, tr, trn
from rescind.ledger import SINGLE
from rescind.ledger.read_models.item_rows import ItemCount, ItemFilter, ItemLine
from rescind.ledger.read_models.item_sql import MOST_GROUPS
from rescind.ledger.read_models.owner_views import QuestionLine
from rescind.ledger.read_models.run_rows import STALE_S, ProgressLine, RefusedLine, RunFacts, RunLine, SystemLine
from rescind.run_state.leaver_clock import Reached, leaver_clock, moments
from rescind.run_state.states import Counts, StateWords, closed_state, live_state, proof_state, what_remains, words_of

LATE_S = 86_400
"""Seconds that a run may wait for people before the page shows a warning."""

VERDICTS = ("verified_gone", "record_gone", "already_absent", "still_present", "still_effective", "unverified")

_SENDERS = 5

RiskLevel = Callable[[str, str, str, str, int | None], str]
"""(entitlement, principal type, status of the person, how they were matched, days since the last use) -> the level."""


@dataclass(frozen=True, slots=True)
class GroupHead:
    """All items of a group that match the filter, on this page and others; ``high`` of them are of high risk."""

    items: int
    proven: int
    held: int
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the funnel; ``part`` is its share of the widest step in percent."""

    name: str
    meaning: str
    count: int
    part: float
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of one task group. ``part`` is None if the total is not known, ``left_s`` if there is no estimate.

    :param quiet_s: seconds since the last update, if that is so long ago that the task may be stuck.
    """

    stage: str
    name: str
    done: int
    total: int
    part: float | None
    per_second: float
    left_s: float | None
    quiet_s: float | None


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice of a filter, with its number of items."""

    value: str
    label: str
    items: int


def state_of(run: RunLine) -> StateWords:
    """Return the state of a run in words: at work, waiting, or closed, with what remains."""
    if run.finished_at is None and run.kind != SINGLE:
        return live_state(stage_of(run))
    if run.kind == SINGLE:
        return StateWords(run.state, "plain", "·", tr(run.state.replace("_", " ")))
    state = closed_state(run.state, counts_of(run), operation=run.operation, answer=run.answer, calls=run.calls)
    return proof_state(state, run.proof_number, run.proof_tone) if run.known else state


def counts_of(run: RunLine) -> Counts:
    """Return what became of the grants of a run."""
    return Counts(run.items or 0, run.proven, run.unproven, run.effective, run.held, run.kept, run.left_out)


def question(run: RunLine) -> str:
    """Return the path of the question about a run's plan in Airflow, relative to the root of this app."""
    return f"{_task(run, 'approve_part' if run.narrowed else 'approve')}/required_actions"


def actions(one: QuestionLine) -> str:
    """Return the path of the open questions of a run in Airflow, relative to the root of this app."""
    names = (quote(name, safe="") for name in (one.dag_id, one.airflow_run_id))
    return "../dags/{}/runs/{}/required_actions?response_received=false".format(*names)


def preflight(run: RefusedLine) -> str:
    """Return the path of the log of a run that was refused in Airflow, relative to the root of this app."""
    return _task(run, "preflight")


def refusal(run: RefusedLine) -> str:
    """Return why a run was refused, without the name of the error's class."""
    return re.sub(r"^\w+Error: ", "", run.said)


def _task(run: RunLine | RefusedLine, task: str) -> str:
    names = (quote(name, safe="") for name in (run.dag_id, run.airflow_run_id))
    return "../dags/{}/runs/{}/tasks/{}".format(*names, task)


def left_of(run: RunLine) -> list[str]:
    """Return what remains after a closed run whose plan was approved, in phrases."""
    if run.finished_at is None or run.dry_run or run.kind == SINGLE or (run.calls and run.answer != "approve"):
        return []
    return what_remains(counts_of(run), operation=run.operation)


def stage_of(run: RunLine) -> str:
    """Return the stage of a run, or its final state."""
    if run.finished_at is not None or run.kind == SINGLE:
        return run.state
    if not run.scopes:
        return "starting"
    if run.items is None:
        if run.scopes_pending:
            return "discovering"
        return "waiting for owners" if run.owners_open else "deciding"
    if run.dry_run:
        return "closing"
    if run.answer is None:
        return "waiting for approval" if run.calls else "closing"
    if run.answer == "reject":
        return "rejected"
    if run.blocked_by is not None:
        return "blocked"
    if run.calls_open:
        return "restoring" if run.operation == "restore" else "revoking"
    return "verifying"


def overdue(run: RunLine, now: datetime) -> str:
    """Return a warning for a run that is blocked, has waited more than a day for people, or whose approval expired."""
    stage = stage_of(run)
    if stage == "blocked":
        return tr(
            "blocked by run {number}, which was approved and sends there since {time}",
            number=run.blocked_by,
            time=moment(run.blocked_since),
        )
    if stage == "waiting for owners" and run.owners_asked_at:
        waited = (now - run.owners_asked_at).total_seconds()
        if waited <= LATE_S:
            return ""
        return trn(
            "has waited {time} for {count} owner",
            "has waited {time} for {count} owners",
            run.owners_open,
            time=lasting(waited),
        )
    if stage != "waiting for approval" or not run.asked_at:
        return ""
    waited = (now - run.asked_at).total_seconds()
    if run.valid_until and run.valid_until <= now:
        return tr("the approval window expired at {time}. Start a new run", time=moment(run.valid_until))
    if waited <= LATE_S:
        return ""
    if not run.valid_until:
        return tr("has waited {time} for approval", time=lasting(waited))
    until = moment(run.valid_until)
    return tr("has waited {time} for approval, plan valid until {until}", time=lasting(waited), until=until)


def clock(run: RunLine, facts: RunFacts) -> list[Reached]:
    """Return how long the people of a request kept their access; empty for other runs and for unusable facts."""
    if not facts.about_people:
        return []
    counts = Counts(run.items or 0, run.proven, run.unproven, run.effective, run.held, run.kept)
    approved = facts.responded_at if run.answer == "approve" else None
    # What no call can remove is counted with the report. Before it, nothing is known to be all.
    verified = facts.verified_at if run.findings is not None else None
    try:
        known = moments(run.started_at, facts.occasion, asked=run.asked_at, approved=approved, verified=verified)
        return leaver_clock(
            known,
            counts,
            dry_run=run.dry_run,
            answer=run.answer,
            planned=bool(facts.plan),
            listed=facts.listed,
            known_only=run.known,
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return []


def senders(facts: RunFacts) -> list[str]:
    """Return who sent the events that started a run, as far as Airflow knew them.

    Empty for a run that somebody started, and for unusable facts.
    """
    events = facts.occasion.get("events")
    if not isinstance(events, list):
        return []
    names = [one.get("sender") if isinstance(one, Mapping) else None for one in events]
    return list(dict.fromkeys(str(name)[:100] if name else tr("an unknown sender") for name in names))[:_SENDERS]


def funnel(systems: Sequence[SystemLine], operation: str = "revoke", *, left_out: int = 0) -> list[Step]:
    """Return the funnel, from all grants found to those verified as gone (or, in a restore, as restored).

    :param left_out: those of the held grants that an approver left out.
    """
    found, flagged = sum(s.discovered for s in systems), sum(s.items for s in systems)
    held = sum(s.held for s in systems)
    sent = sum(s.accepted + s.refused + s.unknown for s in systems)
    proven = sum(s.proven for s in systems)
    back = operation == "restore"
    gone = tr("according to a complete listing") if back else _in_doubt(systems, proven)
    proof = tr("restored") if back else tr("proven gone")
    chosen = (
        (tr("selected"), tr("to be restored")) if back else (tr("flagged"), tr("to be revoked by policy or by request"))
    )
    counts = (
        (tr("found"), tr("grants in complete and incomplete listings"), found, ""),
        (*chosen, flagged, ""),
        (tr("planned"), _not_planned(held - left_out, left_out), flagged - held, ""),
        (tr("sent"), tr("requested from the platform, whatever it answered"), sent, ""),
        (proof, gone, proven, "good"),
    )
    most = max(found, flagged, 1)
    return [Step(name, meaning, count, share(count, most), tone) for name, meaning, count, tone in counts]


def _in_doubt(systems: Sequence[SystemLine], proven: int) -> str:
    """Return what of the sent grants is not proven gone, or what the number of proven ones means."""
    doubts = (
        (sum(s.record_gone for s in systems), mark("{count} record gone")),
        (sum(s.still_effective for s in systems), mark("{count} still reachable")),
    )
    left = tr(", ").join(tr(words, count=number) for number, words in doubts if number)
    if left:
        return tr("not: {parts}", parts=left)
    return tr("and no other way in remains") if proven else tr("nothing is proven gone so far")


def _not_planned(held: int, left_out: int) -> str:
    parts = [tr("{count} held by a guard", count=held) if held else tr("none held by a guard")]
    parts += [tr("{count} kept by the approver", count=left_out)] if left_out else []
    return tr(", ").join(parts)


def share(part: int, whole: int) -> float:
    """Return the percentage; a part above zero is at least visible."""
    if whole <= 0 or part <= 0:
        return 0.0
    return min(100.0, max(0.6, round(100.0 * part / whole, 2)))


def progress(
    lines: Sequence[ProgressLine], titles: Mapping[str, str], *, finished: bool, planned: bool = False
) -> list[Progress]:
    """Return the progress rows with their estimates. Systems go by their titles.

    :param finished: whether the run has ended; then nothing has an estimate.
    :param planned: whether the run has a plan; then its listings are over, also those without a total.
    """
    shown = []
    for line in lines:
        left = quiet = None
        listed = planned and line.stage == "discover"
        total = line.done if listed else line.total
        working = not finished and not listed and (total > line.done or not total)
        if working and line.age_s > STALE_S:
            quiet = line.age_s
        elif working and total and line.per_second > 0:
            left = (total - line.done) / line.per_second
        part = share(line.done, total) if total else None
        name = f"{tr(titles.get(line.system, line.system))} · {line.account}" if line.system else line.label
        shown.append(Progress(line.stage, name, line.done, total, part, line.per_second, left, quiet))
    return shown


def counted(counts: Sequence[ItemCount], wanted: ItemFilter) -> int | None:
    """Return how many items a filter matches, or None when these counts do not tell."""
    if wanted.text or wanted.person or wanted.since or wanted.department or len(counts) >= MOST_GROUPS:
        return None
    every = [row for row in counts if wanted.system in ("", row.system) and wanted.state in ("", row.state)]
    if wanted.verdict == "open":
        return sum(row.items - row.proven for row in every)
    verdict = "" if wanted.verdict == "none" else wanted.verdict
    return sum(row.items for row in every if not wanted.verdict or row.verdict == verdict)


def group_heads(rows: Sequence[ItemLine], risk_level: RiskLevel | None) -> dict[str, GroupHead]:
    """Return what the heads of the groups of a page say, by key of the group; nothing without groups."""
    heads = {}
    for row in rows:
        if not row.group_key or row.group_key in heads:
            continue
        counts = [part[5:] for part in row.group_parts]
        high = None
        if risk_level is not None:
            high = sum(part[5] for part in row.group_parts if risk_level(*part[:5]) == "high")
        items, proven, held = (sum(column) for column in zip(*counts, strict=True))
        heads[row.group_key] = GroupHead(items, proven, held, high)
    return heads


def choices(counts: Sequence[ItemCount], titles: Mapping[str, str]) -> dict[str, list[Choice]]:
    """Return the choices of each filter, with counts over the whole run. Systems go by their titles."""
    sums: dict[str, dict[str, int]] = {"system": {}, "state": {}, "verdict": {}}
    for row in counts:
        for field, value in (("system", row.system), ("state", row.state), ("verdict", row.verdict or "none")):
            sums[field][value] = sums[field].get(value, 0) + row.items
    verdicts = {name: sums["verdict"][name] for name in (*VERDICTS, "none") if name in sums["verdict"]}
    opened = sum(row.items - row.proven for row in counts)
    if opened:
        verdicts["open"] = opened
    labels = {"none": tr("no verdict yet"), "open": tr("not proven (all)")}
    return {
        "system": [Choice(name, tr(titles.get(name, name)), n) for name, n in sums["system"].items()],
        "state": [Choice(name, words_of(name), n) for name, n in sorted(sums["state"].items())],
        "verdict": [Choice(name, labels.get(name, words_of(name)), n) for name, n in verdicts.items()],
    }


def lasting(seconds: float | None) -> str:
    """Return a duration for people."""
    if seconds is None:
        return ""
    whole = max(0, round(seconds))
    if whole < 60:
        return tr("{count} s", count=whole)
    if whole < 3600:
        return tr("{min} min {s} s", min=whole // 60, s=f"{whole % 60:02d}")
    if whole < 86_400:
        return tr("{h} h {min} min", h=whole // 3600, min=f"{whole % 3600 // 60:02d}")
    return tr("{d} d {h} h", d=whole // 86_400, h=whole % 86_400 // 3600)
