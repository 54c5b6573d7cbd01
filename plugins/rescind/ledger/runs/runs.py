"""Runs: one row for each review, numbered without gaps, whatever came of it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from rescind.errors import LedgerError
from rescind.ledger.runs import inputs as stored_inputs
from rescind.ledger.runs.records import NewRun, Run
from rescind.ledger.store.columns import listed, names
from rescind.ledger.store.database import Connection
from rescind.ledger.store.errors import RecordConflictError
from rescind.ledger.store.repository import Repository
from rescind.model import canonical

_COLUMNS = listed(names(Run))


class Runs(Repository):
    """The runs of this ledger."""

    def begin(self, new: NewRun, inputs: Sequence[stored_inputs.NewInput] = ()) -> Run:
        """Open a run, or find it again: the same Airflow run is the same run, however often it is cleared.

        :param inputs: what the run decides from, kept with it; a run that is found again keeps what it began with.
        :raises RecordConflictError: when the Airflow run is known with another kind, parameters or dry run.
        """
        with self._db.transaction() as connection:
            # The lock on the counter row orders all beginners, so no two of them insert the same run.
            row = connection.execute("SELECT last FROM rescind.run_counter FOR UPDATE").fetchone()
            if row is None:
                raise LedgerError("ledger: the run counter is missing; restore the database")
            known = _find(connection, new.dag_id, new.airflow_run_id)
            if known is not None:
                _same(known, new)
                return known
            number = int(row["last"]) + 1
            connection.execute("UPDATE rescind.run_counter SET last = %s", (number,))
            connection.execute(
                "INSERT INTO rescind.run (number, run_id, dag_id, airflow_run_id, kind, requested_by, reason, ticket,"
                " params, dry_run, policy_version, code_version)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
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
                ),
            )
            stored_inputs.insert(connection, number, inputs)
            begun = _find(connection, new.dag_id, new.airflow_run_id)
        if begun is None:
            raise LedgerError("ledger: the run just written cannot be read back")
        return begun

    def get(self, run_id: str) -> Run:
        """One run.

        :raises LedgerError: when there is none with this id.
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
        """The run with this id or, in digits, this number; or None."""
        number = int(name) if name.isascii() and name.isdigit() and len(name) < 10 else 0
        row = self._db.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM rescind.run WHERE run_id = %s OR number = %s", (name, number)
            ).fetchone()
        )
        return None if row is None else Run(**row)

    def find(self, dag_id: str, airflow_run_id: str) -> Run | None:
        """The run of an Airflow run, or None."""
        return self._db.read(lambda connection: _find(connection, dag_id, airflow_run_id))

    def latest(self, limit: int = 50, dag_id: str | None = None) -> list[Run]:
        """The newest runs first."""
        rows = self._db.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM rescind.run WHERE %(dag)s::text IS NULL OR dag_id = %(dag)s"
                " ORDER BY number DESC LIMIT %(limit)s",
                {"dag": dag_id, "limit": limit},
            ).fetchall()
        )
        return [Run(**row) for row in rows]

    def finish(self, run_id: str, state: str, summary: Mapping[str, Any]) -> Run:
        """Close the run and release its scope locks; closing again replaces state and summary."""
        with self._db.transaction() as connection:
            number = self._numbers.of(connection, run_id)
            connection.execute(
                "UPDATE rescind.run SET state = %s, summary = %s,"
                " finished_at = coalesce(finished_at, clock_timestamp()) WHERE number = %s",
                (state, Jsonb(dict(summary)), number),
            )
            connection.execute("DELETE FROM rescind.scope_lock WHERE run_no = %s", (number,))
        return self.get(run_id)


def _find(connection: Connection, dag_id: str, airflow_run_id: str) -> Run | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM rescind.run WHERE dag_id = %s AND airflow_run_id = %s", (dag_id, airflow_run_id)
    ).fetchone()
    return None if row is None else Run(**row)


def _same(known: Run, new: NewRun) -> None:
    """A cleared run comes back with what it began with; anything else is another run.

    Versions may differ (a deployment between two tries): the plan keeps its own.
    """
    before = canonical([known.kind, known.dry_run, _plain(known.params)])
    if before != canonical([new.kind, new.dry_run, _plain(new.params)]):
        raise RecordConflictError(
            f"run {known.run_id} ({new.dag_id}, {new.airflow_run_id}) was begun with another kind, dry run or"
            " parameters. Trigger a new run instead of changing this one"
        )


def _plain(params: Mapping[str, Any]) -> str:
    # Parameters may hold floats, which canonical() refuses for digests; here only equality matters.
    return json.dumps(params, sort_keys=True, default=str)
