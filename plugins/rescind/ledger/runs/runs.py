"""Runs: one row for each run, numbered without gaps."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from rescind.errors import LedgerError
from rescind.ledger.runs import inputs as stored_inputs
from rescind.ledger.runs import scope_locks
from rescind.ledger.runs.records import NewRun, Run
from rescind.ledger.store.columns import listed, names
from rescind.ledger.store.database import Connection
from rescind.ledger.store.errors import RecordConflictError
from rescind.ledger.store.repository import Repository
from rescind.model import canonical

_COLUMNS = listed(names(Run))
_LATEST = """greatest(r.started_at,
    (SELECT max(p.created_at) FROM rescind.plan p WHERE p.run_no = r.number),
    (SELECT max(greatest(a.requested_at, a.responded_at, a.used_at)) FROM rescind.approval a WHERE a.run_no = r.number),
    (SELECT max(t.intent_at) FROM rescind.attempt t WHERE t.run_no = r.number),
    (SELECT max(i.recorded_at) FROM rescind.input i WHERE i.run_no = r.number),
    (SELECT max(greatest(q.asked_at, q.responded_at)) FROM rescind.question q WHERE q.run_no = r.number))"""


class Runs(Repository):
    """The runs of this ledger."""

    def begin(self, new: NewRun, inputs: Sequence[stored_inputs.NewInput] = ()) -> Run:
        """Create a run, or return the existing run of the same Airflow run.

        :param inputs: the inputs of the run. An existing run keeps the inputs that it began with.
        :raises RecordConflictError: when the run exists with another kind, other parameters or another dry run value.
        :raises EventTakenError: when another run has taken an event of this one.
        """

        def work(connection: Connection) -> Run | None:
            # The lock on the counter row serializes all callers, so no run is inserted twice.
            row = connection.execute("SELECT last FROM rescind.run_counter FOR UPDATE").fetchone()
            if row is None:
                raise LedgerError("ledger: the run counter is missing. Restore the database from a backup")
            known = _find(connection, new.dag_id, new.airflow_run_id)
            if known is not None:
                _same(known, new)
                return known
            stored_inputs.refuse_taken(connection, new.dag_id, inputs)
            number = int(row["last"]) + 1
            connection.execute("UPDATE rescind.run_counter SET last = %s", (number,))
            connection.execute(
                "INSERT INTO rescind.run (number, run_id, dag_id, airflow_run_id, kind, requested_by, reason, ticket,"
                " params, dry_run, policy_version, code_version, server, follows)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    number,
                    f"run-{number:06d}-{secrets.token_hex(4)}",
                    new.dag_id,
                    new.airflow_run_id,
                    new.kind,
                    new.requested_by,
                    new.reason,
                    new.ticket,
                    Jsonb(dict(new.params)),
                    new.dry_run,
                    new.policy_version,
                    new.code_version,
                    connection.server,
                    new.follows,
                ),
            )
            stored_inputs.insert(connection, number, inputs)
            return _find(connection, new.dag_id, new.airflow_run_id)

        begun = self._db.write(work)
        if begun is None:
            raise LedgerError("ledger: the run cannot be read after it was written")
        return begun

    def get(self, run_id: str) -> Run:
        """Return one run.

        :raises LedgerError: when the run does not exist.
        """
        row = self._db.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM rescind.run WHERE run_id = %s", (run_id,)
            ).fetchone()
        )
        if row is None:
            raise LedgerError(f"ledger: there is no run {run_id!r}. Take the id from runs.begin()")
        return Run(**row)

    def named(self, name: str) -> Run | None:
        """Return the run with this id or this number (in digits), or None."""
        number = int(name) if name.isascii() and name.isdigit() and len(name) < 10 else 0
        row = self._db.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM rescind.run WHERE run_id = %s OR number = %s", (name, number)
            ).fetchone()
        )
        return None if row is None else Run(**row)

    def followed_by(self, number: int) -> Run | None:
        """Return the run that completes the run with this number, or None."""
        row = self._db.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM rescind.run WHERE follows = %s", (number,)
            ).fetchone()
        )
        return None if row is None else Run(**row)

    def find(self, dag_id: str, airflow_run_id: str) -> Run | None:
        """Return the run of an Airflow run, or None."""
        return self._db.read(lambda connection: _find(connection, dag_id, airflow_run_id))

    def server_changed(self) -> str:
        """Return the id of the last run, if its server is known and differs from the server of this connection."""

        def work(connection: Connection) -> str:
            row = connection.execute("SELECT run_id, server FROM rescind.run ORDER BY number DESC LIMIT 1").fetchone()
            if row is None or not row["server"] or not connection.server or row["server"] == connection.server:
                return ""
            return str(row["run_id"])

        return self._db.read(work)

    def latest(self, limit: int = 50, dag_id: str | None = None) -> list[Run]:
        """Return the latest runs, newest first."""
        rows = self._db.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM rescind.run WHERE %(dag)s::text IS NULL OR dag_id = %(dag)s"
                " ORDER BY number DESC LIMIT %(limit)s",
                {"dag": dag_id, "limit": limit},
            ).fetchall()
        )
        return [Run(**row) for row in rows]

    def finish(self, run_id: str, state: str, summary: Mapping[str, Any]) -> Run:
        """Close the run and release its scope locks. A second call replaces state and summary.

        An abandoned run stays abandoned. Its end stays the same, unless the run went on after it: tasks that were
        cleared have planned or sent again.
        """

        def work(connection: Connection) -> None:
            number = self._numbers.of(connection, run_id)
            connection.execute(
                "UPDATE rescind.run r SET state = CASE WHEN state = 'abandoned' THEN state ELSE %(state)s END,"
                f" summary = %(summary)s, finished_at = CASE"
                f" WHEN finished_at >= {_LATEST} THEN finished_at ELSE clock_timestamp() END WHERE number = %(run)s",
                {"state": state, "summary": Jsonb(dict(summary)), "run": number},
            )
            scope_locks.release(connection, number)

        self._db.write(work)
        return self.get(run_id)


def _find(connection: Connection, dag_id: str, airflow_run_id: str) -> Run | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM rescind.run WHERE dag_id = %s AND airflow_run_id = %s", (dag_id, airflow_run_id)
    ).fetchone()
    return None if row is None else Run(**row)


def _same(known: Run, new: NewRun) -> None:
    """Refuse to reuse a run for another kind, other parameters or another dry run value.

    Versions may differ after a deployment; the plan has its own version.

    :raises RecordConflictError: when they differ.
    """
    before = canonical([known.kind, known.dry_run, _plain(known.params)])
    if before != canonical([new.kind, new.dry_run, _plain(new.params)]):
        raise RecordConflictError(
            f"run {known.run_id} ({new.dag_id}, {new.airflow_run_id}) has another kind, dry run value or"
            " parameters. Trigger a new run instead of changing this one"
        )


def _plain(params: Mapping[str, Any]) -> str:
    # Parameters may contain floats, which canonical() refuses. Only equality matters here.
    return json.dumps(params, sort_keys=True, default=str)
