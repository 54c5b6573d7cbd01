"""Judges the execution of a plan by three things only: the plan, the ledger, and the emulator's journal.

Knows nothing of the code that made them. What it demands:

1. the items are the grants that the approved digest covers, and each ends in exactly one final state;
2. every write that reached the server had its own intent, recorded before it arrived, and none was replayed;
3. nothing outside the plan was changed by a write;
4. no item was written to more often than once and the allowed retries.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg

from local.demo.records import ENDS_WITH_ACCOUNT, Row, call_rows, planned_row, truth_row, written_rows

Entry = Mapping[str, Any]

_ENDS_WITHOUT_VERDICT = {"held", "stale", "expired", "restored"}
_NEED_A_VERDICT = {"approved", "accepted", "refused", "unknown"}
_CLOCK_S = 0.05
"""Server and database read one machine's clock, at different moments and rounded."""


@dataclass
class _Call:
    """One call with its intents."""

    call_id: str
    cells: frozenset[Row]
    intents: list[tuple[float, str, str]] = field(default_factory=list)
    """(time, outcome, vendor's request id)."""


def problems(dsn: str, run_id: str, entries: Iterable[Entry], *, retries: int = 4, verified: bool = True) -> list[str]:
    """Everything that does not hold; empty when all does.

    :param dsn: of the ledger. :param entries: the journal since the run began, without the writes of other runs.
    :param retries: how often a call may be carried out again after an unknown outcome.
    :param verified: whether the run's verification is over; without it an accepted item is open.
    """
    entries = list(entries)
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT number FROM rescind.run WHERE run_id = %s", (run_id,)).fetchone()
        if row is None:
            return [f"the ledger has no run {run_id}"]
        number = row[0]
        found = _plan_problems(connection, number)
        found += _state_problems(connection, number) if verified else []
        calls = _calls(connection, number)
        planned = _planned_rows(connection, number)
    writes = [e for e in entries if e["kind"] == "request" and e["write"]]
    found += _intent_problems(calls, writes)
    found += _effect_problems(planned, entries, writes)
    return found + _repeat_problems(writes, retries)


def _plan_problems(connection: psycopg.Connection[Any], number: int) -> list[str]:
    """The items against what the digest covers."""
    rows = connection.execute(
        "SELECT p.digest, e.chunk FROM rescind.plan p JOIN rescind.plan_effect e USING (run_no, digest)"
        " WHERE p.run_no = %s AND p.state <> 'superseded' ORDER BY e.ordinal",
        (number,),
    ).fetchall()
    if not rows:
        return ["there is no live plan"]
    effects = b"".join(bytes(chunk) for _, chunk in rows)
    if hashlib.sha256(effects).digest() != bytes(rows[0][0]):
        return ["the stored effects do not give the plan's digest"]
    covered = {_grant_id(key) for system in json.loads(effects)["systems"] for key in system["grants"]}
    items = connection.execute(
        "SELECT encode(grant_id, 'hex'), call_id IS NOT NULL FROM rescind.plan_item WHERE run_no = %s", (number,)
    ).fetchall()
    called = {ident for ident, has_call in items if has_call}
    found = [f"{len(covered - called)} grants of the approved digest are no items"] if covered - called else []
    return found + ([f"{len(called - covered)} items are not in the approved digest"] if called - covered else [])


def _grant_id(key: Sequence[str]) -> str:
    whole = [*key, *[""] * (8 - len(key))]
    return hashlib.sha256(json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode()).hexdigest()


def _state_problems(connection: psycopg.Connection[Any], number: int) -> list[str]:
    """Each item in exactly one final state."""
    rows = connection.execute(
        "SELECT encode(i.grant_id, 'hex'), i.state, v.verdict, c.call_id IS NOT NULL FROM rescind.plan_item i"
        " LEFT JOIN rescind.verdict_latest v USING (run_no, grant_id) LEFT JOIN rescind.call c USING (run_no, call_id)"
        " WHERE i.run_no = %s",
        (number,),
    ).fetchall()
    found = []
    for ident, state, verdict, has_call in rows:
        if state in _ENDS_WITHOUT_VERDICT:
            ends = 1 if verdict in (None, "still_present") else 2
        else:
            ends = 1 if state in _NEED_A_VERDICT and verdict is not None and has_call else 0
        if ends != 1:
            found.append(f"item {ident[:12]} ends in {ends} final states: {state}, verdict {verdict}")
    open_attempts = connection.execute(
        "SELECT count(*) FROM rescind.attempt WHERE run_no = %s AND outcome IS NULL", (number,)
    ).fetchone()
    if open_attempts and open_attempts[0]:
        found.append(f"{open_attempts[0]} attempts have no outcome, not even unknown")
    return found


def _calls(connection: psycopg.Connection[Any], number: int) -> dict[frozenset[Row], _Call]:
    calls: dict[str, _Call] = {}
    for ident, system, container, rows, columns in connection.execute(
        "SELECT encode(call_id, 'hex'), system, container, rows, columns FROM rescind.call WHERE run_no = %s", (number,)
    ):
        cells = frozenset(planned_row(system, container, row, kind, column) for row in rows for kind, column in columns)
        calls[ident] = _Call(ident, call_rows(cells))
    for ident, at, outcome, request_id in connection.execute(
        "SELECT encode(call_id, 'hex'), extract(epoch FROM intent_at)::float8, coalesce(outcome, ''), request_id"
        " FROM rescind.attempt WHERE run_no = %s ORDER BY n",
        (number,),
    ):
        calls[ident].intents.append((at, outcome, request_id))
    return {call.cells: call for call in calls.values()}


def _planned_rows(connection: psycopg.Connection[Any], number: int) -> set[Row]:
    """The planned grants as the journal's effects name them."""
    rows = connection.execute(
        "SELECT g.system, g.cell_container, g.cell_row, g.cell_kind, g.cell_column FROM rescind.plan_item i"
        " JOIN rescind.plan p ON p.run_no = i.run_no AND p.state <> 'superseded'"
        " JOIN rescind.grant_row g ON g.run_no = p.source_no AND g.grant_id = i.grant_id"
        " WHERE i.run_no = %s AND i.call_id IS NOT NULL",
        (number,),
    ).fetchall()
    return {planned_row(system, container, row, kind, column) for system, container, row, kind, column in rows}


def _intent_problems(calls: Mapping[frozenset[Row], _Call], writes: Sequence[Entry]) -> list[str]:
    """Pair every arrival with an intent of its own that was there before it."""
    found = []
    arrived: dict[str, list[Entry]] = defaultdict(list)
    for write in writes:
        call = calls.get(written_rows(write["action"], write["params"]))
        if write["resent"]:
            found.append(f"journal {write['seq']}: a signed request was sent twice")
        if call is None:
            found.append(f"journal {write['seq']}: {write['action']} is no call of the plan")
        else:
            arrived[call.call_id].append(write)
    for call in calls.values():
        free = list(call.intents)
        for write in sorted(arrived[call.call_id], key=lambda e: e["seq"]):
            match = [i for i in free if i[2] and i[2] == write["request_id"]]
            match = match or [i for i in free if not i[2] and i[0] <= write["time"] + _CLOCK_S]
            if not match or match[0][0] > write["time"] + _CLOCK_S:
                found.append(f"journal {write['seq']}: {write['action']} arrived without an intent before it")
            else:
                free.remove(match[0])
        found += [
            f"call {call.call_id[:12]}: {outcome} by request {request_id}, which the server never saw"
            for _, outcome, request_id in free
            if request_id
        ]
    return found


def _effect_problems(planned: set[Row], entries: Sequence[Entry], writes: Sequence[Entry]) -> list[str]:
    ours = {write["seq"] for write in writes}
    effects = [entry for entry in entries if entry["kind"] == "effect" and entry["cause"] in ours]
    disabled = {
        (effect["cause"], effect["grant"]["user_id"])
        for effect in effects
        if effect["system"] == "dms_accounts" and truth_row("dms_accounts", effect["grant"]) in planned
    }
    found = []
    for effect in effects:
        row = truth_row(effect["system"], effect["grant"])
        if effect["op"] == "removed" and row in planned:
            continue
        comes_with = effect["system"] in ENDS_WITH_ACCOUNT and (
            (effect["cause"], effect["grant"].get("user_id")) in disabled
        )
        if not comes_with:
            found.append(f"journal {effect['seq']}: {effect['op']} outside the plan: {'/'.join(row)}")
    return found


def _repeat_problems(writes: Sequence[Entry], retries: int) -> list[str]:
    times = Counter(
        cell for write in writes if write["executed"] for cell in written_rows(write["action"], write["params"])
    )
    return [f"{'/'.join(cell)} was written {n} times" for cell, n in times.items() if n > 1 + retries]
