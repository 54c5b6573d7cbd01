"""Calls of the operators that work alone: the intent before each request and the outcome after it. Append only.

All calls of one DAG run belong to one run of kind ``single``, which has neither plan nor approval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from rescind.errors import LedgerError
from rescind.ledger.runs import kill_switch
from rescind.ledger.store.columns import listed, names
from rescind.ledger.store.database import Connection
from rescind.ledger.store.errors import CallSettledError, RecordConflictError
from rescind.ledger.store.repository import Repository

SINGLE = "single"
"""Kind of the runs whose calls are stored here."""

# The worst of the latest attempts at each request; a run is finished while none of them is open.
_CLOSE_RUN = """
WITH latest AS (
    SELECT DISTINCT ON (request_digest) outcome FROM rescind.single_call WHERE run_no = %(run)s
    ORDER BY request_digest, attempt_no DESC
), counted AS (
    SELECT count(*) AS calls, count(*) FILTER (WHERE outcome IS NULL) AS open,
           CASE WHEN bool_or(outcome IS NULL) THEN 'sending' WHEN bool_or(outcome = 'unknown') THEN 'unknown'
                WHEN bool_or(outcome = 'refused') THEN 'refused' WHEN bool_or(outcome <> 'accepted') THEN 'not_sent'
                ELSE 'accepted' END AS state
    FROM latest
)
UPDATE rescind.run r SET state = c.state, finished_at = CASE WHEN c.open = 0 THEN clock_timestamp() END,
       summary = jsonb_build_object('calls', c.calls)
FROM counted c WHERE r.number = %(run)s AND r.state <> 'abandoned'
"""


@dataclass(frozen=True, slots=True)
class NewSingleCall:
    """One request that is about to be sent.

    :param parameters: the parameters as they go on the wire; no secrets.
    :param request_digest: digest of the final request without secrets.
    """

    task_id: str
    map_index: int
    system: str
    account: str
    conn_id: str
    action: str
    api_version: str
    request_digest: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SingleCall:
    """One attempt as stored. ``outcome`` is None while no outcome is recorded: the request may have been sent."""

    attempt_no: int
    task_id: str
    map_index: int
    system: str
    account: str
    conn_id: str
    action: str
    api_version: str
    request_digest: str
    parameters: Mapping[str, Any]
    intent_at: datetime
    outcome: str | None
    code: str
    http_status: int | None
    request_id: str
    closed_at: datetime | None


class SingleCalls(Repository):
    """The calls of runs of kind ``single``."""

    def begin(self, run_id: str, new: NewSingleCall) -> int:
        """Record the intent to send a request, and return the number of the attempt. It may be sent after that.

        :raises RunStoppedError: when the kill switch is set.
        :raises CallSettledError: when an earlier attempt at the same request of this run has no outcome or an
            unknown one, or when the run was abandoned.
        """

        def work(connection: Connection) -> int:
            number = self._numbers.of(connection, run_id)
            run = connection.execute(
                "SELECT kind, state FROM rescind.run WHERE number = %s FOR UPDATE", (number,)
            ).fetchone()
            if run is None or run["kind"] != SINGLE:
                raise LedgerError(f"ledger: run {run_id} is not a run of single calls. Nothing was sent")
            if run["state"] == "abandoned":
                raise CallSettledError(f"ledger: run {run_id} was abandoned. Start a new run", "abandoned")
            kill_switch.refuse_if_stopped(connection)
            _refuse_open(connection, run_id, number, new)
            row = connection.execute(
                "INSERT INTO rescind.single_call (run_no, task_id, map_index, system, account, conn_id, action,"
                " api_version, request_digest, parameters) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
                " RETURNING attempt_no",
                (
                    number,
                    new.task_id,
                    new.map_index,
                    new.system,
                    new.account,
                    new.conn_id,
                    new.action,
                    new.api_version,
                    new.request_digest,
                    Jsonb(dict(new.parameters)),
                ),
            ).fetchone()
            connection.execute(_CLOSE_RUN, {"run": number})
            return int(row["attempt_no"]) if row else 0

        return self._db.write(work)

    def finish(
        self, attempt_no: int, outcome: str, *, code: str = "", http_status: int | None = None, request_id: str = ""
    ) -> None:
        """Record the outcome of an attempt, once.

        :param outcome: ``accepted``, ``refused``, ``throttled``, ``not_sent`` or ``unknown``.
        :raises RecordConflictError: when the attempt has an outcome already, or does not exist.
        """

        def work(connection: Connection) -> None:
            row = connection.execute(
                "UPDATE rescind.single_call SET outcome = %s, code = %s, http_status = %s, request_id = %s,"
                " closed_at = clock_timestamp() WHERE attempt_no = %s AND outcome IS NULL RETURNING run_no",
                (outcome, code, http_status, request_id, attempt_no),
            ).fetchone()
            if row is None:
                raise RecordConflictError(f"ledger: single call {attempt_no} has an outcome already, or does not exist")
            connection.execute(_CLOSE_RUN, {"run": row["run_no"]})

        self._db.write(work)

    def of_run(self, run_id: str) -> list[SingleCall]:
        """Return the attempts of a run in the order of their intents."""
        query = (
            f"SELECT {listed(names(SingleCall))} FROM rescind.single_call WHERE run_no = %(run)s ORDER BY attempt_no"
        )
        return [SingleCall(*row) for row in self._rows(run_id, query, {})]


def _refuse_open(connection: Connection, run_id: str, number: int, new: NewSingleCall) -> None:
    """A request that may have been sent is not sent again: it could remove a grant that was made in between."""
    row = connection.execute(
        "SELECT attempt_no, outcome FROM rescind.single_call WHERE run_no = %s AND request_digest = %s"
        " AND (outcome IS NULL OR outcome = 'unknown') ORDER BY attempt_no DESC LIMIT 1",
        (number, new.request_digest),
    ).fetchone()
    if row is not None:
        said = row["outcome"] or "not recorded"
        raise CallSettledError(
            f"ledger: the outcome of attempt {row['attempt_no']} at this {new.action} in run {run_id} is {said}: it may"
            " have happened. Check with the verify operator, then start a new DAG run",
            "unknown",
        )
