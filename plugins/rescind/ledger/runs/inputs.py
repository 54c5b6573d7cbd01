"""Inputs: the files that a run decides from, stored byte for byte, so that a run uses one version of each."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from rescind.errors import InputError
from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.errors import EventTakenError
from rescind.ledger.store.repository import Repository

MAX_BYTES = 64 * 2**20
"""Largest input, in bytes; the schema has the same limit."""


OCCASION = "occasion"
"""Name of the input that records why a run started, and the evidence settings of the deployment."""
SETTINGS = "settings"
"""Name of the input that records the settings that an approval of the run covers."""
_LAST_APPROVED = """
SELECT r.number, i.facts FROM rescind.run r
JOIN rescind.input i ON i.run_no = r.number AND i.name = %(name)s
JOIN rescind.approval a ON a.run_no = r.number AND a.answer = 'approve' AND NOT a.automatic
WHERE r.dag_id = %(dag)s AND coalesce(r.params ->> 'kind', '') = %(kind)s ORDER BY r.number DESC LIMIT 1
"""

_LAST_ROSTER = """
SELECT r.number, i.facts -> 'sizes' AS sizes FROM rescind.run r
JOIN rescind.input i ON i.run_no = r.number AND i.name = 'roster'
WHERE r.dag_id = %(dag)s AND r.params ->> 'kind' = 'policy' AND jsonb_typeof(i.facts -> 'sizes') = 'object'
ORDER BY r.number DESC LIMIT 1
"""


_TAKEN_EVENTS = """
SELECT e ->> 'at' AS at, e ->> 'sha256' AS sha256, min(r.number) AS number FROM rescind.run r
JOIN rescind.input i ON i.run_no = r.number AND i.name = 'occasion'
CROSS JOIN LATERAL jsonb_array_elements(
    CASE jsonb_typeof(i.facts -> 'events') WHEN 'array' THEN i.facts -> 'events' ELSE '[]' END) e
WHERE r.dag_id = %(dag)s AND r.started_at >= %(since)s - interval '1 day' GROUP BY 1, 2
"""
# A day more: events have the time of Airflow's clock, runs that of the ledger's.


@dataclass(frozen=True, slots=True)
class NewInput:
    """One file as it was read.

    :param name: its purpose: ``roster``, ``policy``, ``exceptions``, ``protections`` ...
    :param source: where it was read from, for people; no secrets.
    :param facts: how it was read and admitted: format, times, limits; JSON values.
    :raises InputError: when it is larger than :data:`MAX_BYTES`.
    """

    name: str
    source: str
    content: bytes
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.content) > MAX_BYTES:
            problem = f"{len(self.content)} bytes, more than {MAX_BYTES}"
            raise InputError(f"{self.name}, {self.source}", problem, "Split the file, or remove what is not needed.")

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of the content."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class StoredInput(NewInput):
    """One file as stored in the ledger."""

    recorded_at: datetime | None = None


class Inputs(Repository):
    """The inputs of each run. They are written with the run, see :meth:`rescind.ledger.runs.runs.Runs.begin`."""

    def of(self, run_id: str) -> dict[str, StoredInput]:
        """Return the inputs of a run by name."""
        query = "SELECT name, source, content, facts, recorded_at FROM rescind.input WHERE run_no = %(run)s ORDER BY 1"
        rows = (StoredInput(*row) for row in self._rows(run_id, query, {}, binary=True))
        return {stored.name: stored for stored in rows}

    def facts(self, run_id: str, name: str) -> Mapping[str, Any]:
        """Return the facts of one input, without its content; empty when the run has no such input."""
        rows = self._rows(
            run_id, "SELECT facts FROM rescind.input WHERE run_no = %(run)s AND name = %(name)s", {"name": name}
        )
        return rows[0][0] if rows else {}

    def sha256(self, run_id: str, name: str) -> str:
        """Return the SHA-256 (hex) of one input; empty when the run has no such input."""
        query = "SELECT encode(sha256, 'hex') FROM rescind.input WHERE run_no = %(run)s AND name = %(name)s"
        rows = self._rows(run_id, query, {"name": name})
        return str(rows[0][0]) if rows else ""

    def last_approved(self, dag_id: str, kind: str, name: str) -> tuple[int, Mapping[str, Any]] | None:
        """Return number and facts of the last run of a DAG and kind that a person approved and that has this input."""
        values = {"dag": dag_id, "kind": kind, "name": name}
        row = self._db.read(lambda connection: connection.execute(_LAST_APPROVED, values).fetchone())
        return (row["number"], row["facts"]) if row else None

    def last_roster(self, dag_id: str) -> tuple[int, Mapping[str, int]] | None:
        """Return number and roster sizes of the last review by policy of a DAG; None when there was none."""
        row = self._db.read(lambda connection: connection.execute(_LAST_ROSTER, {"dag": dag_id}).fetchone())
        return (row["number"], row["sizes"]) if row else None

    def taken_events(self, dag_id: str, since: datetime) -> dict[tuple[str, str], int]:
        """Return time and digest of every event since then that a run of a DAG has taken, with the run's number."""
        return self._db.read(lambda connection: _taken_events(connection, dag_id, since))


def _taken_events(connection: Connection, dag_id: str, since: datetime) -> dict[tuple[str, str], int]:
    rows = connection.execute(_TAKEN_EVENTS, {"dag": dag_id, "since": since}).fetchall()
    return {(row["at"], row["sha256"]): row["number"] for row in rows}


def refuse_taken(connection: Connection, dag_id: str, inputs: Sequence[NewInput]) -> None:
    """Check, inside the transaction that begins a run, that no other run of the DAG has taken an event of it.

    :raises EventTakenError: when one has.
    """
    events = [event for new in inputs if new.name == OCCASION for event in new.facts.get("events", ())]
    if not events:
        return
    since = min(datetime.fromisoformat(event["at"]) for event in events)
    taken = _taken_events(connection, dag_id, since)
    numbers = sorted({taken[key] for event in events if (key := (event["at"], event["sha256"])) in taken})
    if numbers:
        raise EventTakenError(f"run {numbers[0]} has taken an event of this run meanwhile")


def insert(connection: Connection, run_no: int, inputs: Sequence[NewInput]) -> None:
    """Write the inputs of a new run, inside its transaction."""
    for new in inputs:
        connection.execute(
            "INSERT INTO rescind.input (run_no, name, source, sha256, content, facts) VALUES (%s, %s, %s, %s, %s, %s)",
            (run_no, new.name, new.source, Digest(new.sha256), new.content, Jsonb(dict(new.facts))),
        )
