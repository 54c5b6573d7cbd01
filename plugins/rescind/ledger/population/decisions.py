"""Decisions: keep or revoke for every grant of a snapshot, with rule and reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import starmap
from typing import Any

import psycopg
from psycopg.rows import DictRow

from rescind.errors import LedgerError
from rescind.ledger.population.decision_sets import DecisionSets, FactSets
from rescind.ledger.population.grant_rows import GRANT_SELECT, GRANT_WIDTH, grant_of
from rescind.ledger.runs.records import DecisionCounts, RuleCount
from rescind.ledger.store.copy_spool import RowFile, array, array_literal, digest_field, document, text
from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.errors import RecordConflictError
from rescind.ledger.store.repository import PAGE, Repository, analyze, chunks, supersede_live_plan
from rescind.model import Choice, Decision, Grant, Resource

Column = tuple[str, str, tuple[str, ...]]
"""(container, kind, column) of a cell."""
PLACES = {
    "containers": "g.cell_container",
    "resources": "g.resource_id",
    "principals": "g.principal_id",
    "listed_in": "coalesce(g.attributes ->> 'ListedIn', '')",
}
"""By what :meth:`Decisions.retained` finds grants: container of the cell, ids, or the attribute ``ListedIn``."""
_COLUMNS = ("run_no", "grant_id", "choice", "rule", "reason", "severity", "controls", "facts")
_RESOURCES = f"SELECT DISTINCT {', '.join(Resource._fields)} FROM rescind.grant_row WHERE run_no = %(run)s"
_SELECT = "d.grant_id, d.choice, d.rule, d.reason, d.severity, d.controls, d.facts::text"


class Decisions(Repository):
    """The decisions of each run."""

    def write(self, run_id: str, decisions: Iterable[Decision]) -> DecisionCounts:
        """Replace all decisions of a run, in one transaction.

        :raises LedgerError: when a decision names no grant of the run, or a grant has no decision.
        :raises RecordConflictError: when a grant has two decisions.
        :raises SnapshotClosedError: when requests of this run were sent already.
        """
        rows = RowFile("rescind.decision", _COLUMNS)

        def insert(connection: Connection, _: int) -> int:
            rows.copy_into(connection)
            return rows.rows

        try:
            rows.add(_encoded(self._number(run_id), decisions))
            return self._replace(run_id, insert)
        finally:
            rows.close()

    def write_sets(self, run_id: str, facts: FactSets) -> DecisionCounts:
        """Replace all decisions of a run by one for each combination of facts, joined with the grants in the database.

        :raises LedgerError: when a grant has no decision.
        :raises RecordConflictError: when a grant has two decisions.
        :raises SnapshotClosedError: when requests of this run were sent already.
        """
        sets = DecisionSets(facts, lambda: starmap(Resource, self._spooled(run_id, _RESOURCES, {})))
        rows = sets.spool()
        try:
            rows.add(sets.decided(self._spooled(run_id, sets.distinct(), sets.values, whole=True)))
            return self._replace(run_id, lambda connection, number: sets.insert(connection, rows, number))
        finally:
            rows.close()

    def _number(self, run_id: str) -> int:
        return self._db.read(lambda connection: self._numbers.of(connection, run_id))

    def _replace(self, run_id: str, insert: Callable[[Connection, int], int]) -> DecisionCounts:
        """Replace the decisions by what ``insert`` writes. It gets the run's number and returns the number of rows."""
        number = self._number(run_id)

        def work(connection: Connection) -> list[DictRow]:
            supersede_live_plan(connection, number, run_id)
            connection.execute("SELECT rescind.clear_decisions(%s)", (number,))
            try:
                written = insert(connection, number)
            except psycopg.errors.UniqueViolation:
                raise RecordConflictError(
                    f"ledger: run {run_id}: a grant has two decisions. Decide each grant once"
                ) from None
            analyze(connection, "decision", written)
            rules = connection.execute(
                "SELECT choice, rule, count(*) AS n FROM rescind.decision WHERE run_no = %s GROUP BY 1, 2", (number,)
            ).fetchall()
            _complete(connection, number, run_id, sum(row["n"] for row in rules))
            return rules

        rules = {(row["choice"], row["rule"]): row["n"] for row in self._db.write(work, bulk=True)}
        keep, revoke = (
            sum(n for (choice, _), n in rules.items() if choice == each) for each in (Choice.KEEP, Choice.REVOKE)
        )
        return DecisionCounts(sum(rules.values()), keep, revoke, rules)

    def each(
        self, run_id: str, *, choice: Choice | None = None, system: str | None = None, account: str | None = None
    ) -> Iterator[tuple[Grant, Decision]]:
        """Yield every decided grant with its decision, ordered by grant id, a page at a time."""
        select = (
            f"SELECT {GRANT_SELECT}, {_SELECT} FROM rescind.decision d JOIN rescind.grant_row g"
            " ON g.run_no = d.run_no AND g.grant_id = d.grant_id"
        )
        # The page start for both tables: with one alone a merge join reads the other table from its beginning.
        where = (
            "g.run_no = %(run)s AND g.grant_id > %(after)s"
            " AND (%(choice)s::text IS NULL OR d.choice = %(choice)s)"
            " AND (%(system)s::text IS NULL OR g.system = %(system)s)"
            " AND (%(account)s::text IS NULL OR g.account = %(account)s)"
        )
        values = {"choice": choice, "system": system, "account": account}
        for row in self._pages(run_id, select, where, values, key="d"):
            yield grant_of(row), _decision(row[GRANT_WIDTH:])

    def in_columns(
        self, run_id: str, columns: Iterable[Column], *, choice: Choice, system: str, account: str
    ) -> Iterator[Grant]:
        """Yield the grants of these columns with this choice, in no particular order.

        :param columns: (container, kind, column) of cells.
        """
        found = list(columns)
        names = ("cell_container", "cell_kind", "cell_column")
        place = (
            "hash_array_extended({0}.cell_column, hashtextextended({0}.cell_kind,"
            " hashtextextended({0}.cell_container, 0)))"
        )
        # The statistics do not know the rows of a new run. This form leaves one way: each column by its index.
        query = (
            f"SELECT {GRANT_SELECT} FROM (SELECT cell_container, cell_kind, cell_column::text[] AS cell_column"
            " FROM unnest(%(containers)s::text[], %(kinds)s::text[], %(columns)s::text[])"
            " AS u(cell_container, cell_kind, cell_column)) c CROSS JOIN LATERAL (SELECT * FROM rescind.grant_row g"
            f" WHERE g.run_no = %(run)s AND {place.format('g')} = {place.format('c')}"
            f" AND {' AND '.join(f'g.{name} = c.{name}' for name in names)}"
            " AND g.system = %(system)s AND g.account = %(account)s AND (SELECT d.choice FROM rescind.decision d"
            " WHERE d.run_no = %(run)s AND d.grant_id = g.grant_id) = %(choice)s OFFSET 0) g"
        )
        values = {
            "containers": [container for container, _, _ in found],
            "kinds": [kind for _, kind, _ in found],
            "columns": [array_literal(column) for _, _, column in found],
            "choice": choice,
            "system": system,
            "account": account,
        }
        return map(grant_of, self._spooled(run_id, query, values))

    def retained(
        self, run_id: str, places: Mapping[str, Collection[str]], *, system: str, account: str
    ) -> Iterator[Grant]:
        """Yield the grants to keep that have one of some values, ordered by grant id.

        :param places: values by name, see :data:`PLACES`.
        """
        conditions = [f"{PLACES[name]} = ANY(%({name})s)" for name in places]
        query = (
            f"SELECT {GRANT_SELECT} FROM rescind.grant_row g WHERE g.run_no = %(run)s AND g.system = %(system)s"
            f" AND g.account = %(account)s AND ({' OR '.join(conditions) or 'false'})"
            " AND (SELECT d.choice FROM rescind.decision d WHERE d.run_no = %(run)s AND d.grant_id = g.grant_id)"
            " = %(choice)s ORDER BY g.grant_id"
        )
        values: dict[str, Any] = {"system": system, "account": account, "choice": Choice.KEEP}
        values |= {name: list(found) for name, found in places.items()}
        return map(grant_of, self._spooled(run_id, query, values))

    def bare(
        self, run_id: str, *, choice: Choice | None = None, fact: str = "", rules: Collection[str] | None = None
    ) -> Iterator[Decision]:
        """Yield the decisions without their grants, ordered by grant id, a page at a time.

        :param fact: only decisions with a fact of this name.
        :param rules: only decisions by one of these rules.
        """
        where = "(%(choice)s::text IS NULL OR d.choice = %(choice)s) AND (%(fact)s = '' OR d.facts ? %(fact)s)"
        where += " AND (%(rules)s::text[] IS NULL OR d.rule = ANY(%(rules)s))"
        values = {"choice": choice, "fact": fact, "rules": None if rules is None else list(rules)}
        for row in self._pages(run_id, f"SELECT {_SELECT} FROM rescind.decision d", where, values, key="d"):
            yield _decision(row)

    def get(self, run_id: str, grant_id: str) -> Decision | None:
        """Return the decision on one grant, or None."""
        query = f"SELECT {_SELECT} FROM rescind.decision d WHERE d.run_no = %(run)s AND d.grant_id = %(id)s"
        rows = self._rows(run_id, query, {"id": Digest(grant_id)})
        return _decision(rows[0]) if rows else None

    def by_id(self, run_id: str, grant_ids: Iterable[str]) -> dict[str, Decision]:
        """Return the decisions on these grants by grant id; grants without one are left out."""
        query = f"SELECT {_SELECT} FROM rescind.decision d WHERE d.run_no = %(run)s AND d.grant_id = ANY(%(ids)s)"
        pages = (self._rows(run_id, query, {"ids": list(map(Digest, piece))}) for piece in chunks(grant_ids, PAGE))
        return {row[0]: _decision(row) for rows in pages for row in rows}

    def by_rule(self, run_id: str) -> list[RuleCount]:
        """Return how many grants each rule decided on, most first."""
        query = (
            "SELECT g.system, d.choice, d.rule, d.severity, count(*) FROM rescind.decision d JOIN rescind.grant_row g"
            " ON g.run_no = d.run_no AND g.grant_id = d.grant_id WHERE d.run_no = %(run)s GROUP BY 1, 2, 3, 4"
            " ORDER BY 5 DESC, 1, 2, 3, 4"
        )
        return [RuleCount(*row) for row in self._rows(run_id, query, {})]


def _encoded(run_no: int, decisions: Iterable[Decision]) -> Iterator[Sequence[str]]:
    run = str(run_no)
    for decision in decisions:
        yield (
            run,
            digest_field(decision.grant_id),
            text(decision.choice),
            text(decision.rule),
            text(decision.reason),
            text(decision.severity),
            array(decision.controls),
            document(dict(decision.facts)),
        )


def _decision(row: Sequence[Any]) -> Decision:
    grant_id, choice, rule, reason, severity, controls, facts = row
    return Decision(
        grant_id, Choice(choice), rule, reason, severity, tuple(controls), json.loads(facts) if facts else {}
    )


def _complete(connection: Connection, run_no: int, run_id: str, decided: int) -> None:
    """Check that every decision has a grant and every grant has a decision.

    Ids are unique in both tables, so equal counts suffice for the second once the first is true.

    :param decided: number of decisions.
    :raises LedgerError: when they differ.
    """
    alone = (
        "SELECT count(*) AS n FROM rescind.decision d WHERE d.run_no = %(run)s AND NOT EXISTS (SELECT 1 FROM"
        " rescind.grant_row g WHERE g.run_no = %(run)s AND g.grant_id = d.grant_id)"
    )
    grants = "SELECT count(*) - %(decided)s AS n FROM rescind.grant_row WHERE run_no = %(run)s"
    for query, problem in (
        (alone, "decisions name grants that are not in the snapshot"),
        (grants, "grants of the snapshot have no decision"),
    ):
        row = connection.execute(query, {"run": run_no, "decided": decided}).fetchone()
        if row is not None and row["n"]:
            raise LedgerError(f"ledger: run {run_id}: {row['n']} {problem}. Decide on exactly the grants of this run")
