"""Verdicts on items and checks of retained grants. The history stays; the latest record is valid."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from rescind.errors import LedgerError
from rescind.ledger.runs.records import RetainedCheck, VerdictRecord
from rescind.ledger.store.copy_spool import RowFile, digest_field, document, moment, text
from rescind.ledger.store.database import Connection
from rescind.ledger.store.repository import Repository, analyze
from rescind.model import Verdict

_WRITTEN = ("run_no", "grant_id", "verdict", "method", "observed_at", "path", "detail")
_SELECT = "v.grant_id, v.verdict, v.method, v.observed_at, v.path, v.detail::text"


class Verdicts(Repository):
    """The verdicts and retained checks of each run."""

    def record(self, run_id: str, records: Iterable[VerdictRecord]) -> int:
        """Add verdicts in one transaction; return how many.

        :raises LedgerError: when a verdict names a grant that is not an item of the run's plan.
        """
        rows = RowFile("incoming_verdict", _WRITTEN)

        def work(connection: Connection) -> None:
            columns = ", ".join(_WRITTEN)
            connection.execute(
                f"CREATE TEMP TABLE incoming_verdict ON COMMIT DROP AS SELECT {columns} FROM rescind.verdict LIMIT 0"
            )
            rows.copy_into(connection)
            _refuse_strangers(connection, number, run_id)
            connection.execute(
                f"INSERT INTO rescind.verdict ({columns}) SELECT {columns} FROM incoming_verdict ORDER BY grant_id"
            )
            connection.execute("DROP TABLE incoming_verdict")
            analyze(connection, "verdict", rows.rows)

        try:
            number = self._db.read(lambda connection: self._numbers.of(connection, run_id))
            rows.add(_encoded(number, records))
            self._db.write(work, bulk=True)
        finally:
            rows.close()
        return rows.rows

    def latest(
        self, run_id: str, *, system: str | None = None, verdict: Verdict | None = None
    ) -> Iterator[VerdictRecord]:
        """Yield the latest verdict of each item that has one, ordered by grant id, a page at a time."""
        select = f"SELECT {_SELECT} FROM rescind.verdict_latest v"
        where = "(%(verdict)s::text IS NULL OR v.verdict = %(verdict)s)"
        if system is not None:
            where += (
                " AND EXISTS (SELECT 1 FROM rescind.plan p JOIN rescind.grant_row g ON g.run_no = p.source_no"
                " WHERE p.run_no = v.run_no AND p.state <> 'superseded' AND g.grant_id = v.grant_id"
                " AND g.system = %(system)s)"
            )
        for row in self._pages(run_id, select, where, {"verdict": verdict, "system": system}, key="v"):
            yield _verdict(row)

    def every(self, run_id: str) -> Iterator[tuple[VerdictRecord, bool]]:
        """Yield all verdicts by grant id, oldest first, each with whether it is the latest of its item."""
        query = (
            f"SELECT {_SELECT}, v.verdict_no = max(v.verdict_no) OVER (PARTITION BY v.grant_id)"
            " FROM rescind.verdict v WHERE v.run_no = %(run)s ORDER BY v.grant_id, v.verdict_no"
        )
        for *row, latest in self._spooled(run_id, query, {}):
            yield _verdict(row), latest

    def record_retained(self, run_id: str, check: RetainedCheck) -> None:
        """Add the result of a retained check."""

        def work(connection: Connection) -> None:
            connection.execute(
                "INSERT INTO rescind.kept_check (run_no, system, account, compared, lost, complete, observed_at,"
                " detail) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    self._numbers.of(connection, run_id),
                    check.system,
                    check.account,
                    check.compared,
                    Jsonb(list(check.lost)),
                    check.complete,
                    check.observed_at,
                    Jsonb(dict(check.detail)),
                ),
            )

        self._db.write(work)

    def retained(self, run_id: str) -> list[RetainedCheck]:
        """Return the latest retained check of each system and account."""
        query = (
            "SELECT DISTINCT ON (system, account) system, account, compared, lost, complete, observed_at, detail"
            " FROM rescind.kept_check WHERE run_no = %(run)s ORDER BY system, account, kept_no DESC"
        )
        return [RetainedCheck(*row) for row in self._rows(run_id, query, {})]


def _encoded(run_no: int, records: Iterable[VerdictRecord]) -> Iterator[Sequence[str]]:
    run = str(run_no)
    for record in records:
        yield (
            run,
            digest_field(record.grant_id),
            text(record.verdict),
            text(record.method),
            moment(record.observed_at),
            text(record.path),
            document(dict(record.detail)),
        )


def _refuse_strangers(connection: Connection, run_no: int, run_id: str) -> None:
    row = connection.execute(
        "SELECT count(*) AS n FROM incoming_verdict v WHERE NOT EXISTS (SELECT 1 FROM rescind.plan_item i"
        " WHERE i.run_no = %s AND i.grant_id = v.grant_id)",
        (run_no,),
    ).fetchone()
    if row is not None and row["n"]:
        raise LedgerError(
            f"ledger: run {run_id}: {row['n']} verdicts are about grants that are not items of its plan. Record"
            " verdicts on items only"
        )


def _verdict(row: Sequence[Any]) -> VerdictRecord:
    grant_id, verdict, method, observed_at, path, detail = row
    return VerdictRecord(grant_id, Verdict(verdict), method, observed_at, path, json.loads(detail) if detail else {})
