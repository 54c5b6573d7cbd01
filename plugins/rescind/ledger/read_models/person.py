"""What pages show about one person: rows, and the queries over all runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from rescind.ledger.read_models.item_sql import LEFT_OUT, PROVEN
from rescind.ledger.read_models.queries import Views
from rescind.ledger.runs.records import NAMED_PEOPLE
from rescind.ledger.store.database import Connection
from rescind.model import KNOWN_ACCESS

Account = tuple[str, str, str]
"""(system, account, id of the user there)."""
MOST_RUNS = 100
"""Runs in a history, the latest ones."""


@dataclass(frozen=True, slots=True)
class AccountLine:
    """One account of a person, as its platform described it in a run.

    :param status: of the account on the platform; empty when no listing of people showed it.
    """

    system: str
    account: str
    principal_id: str
    name: str = ""
    status: str = ""
    last_used_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PathLine:
    """One access path in words.

    :param fate: ``gone``, ``goes`` or ``stays``.
    :param words: what becomes of it.
    :param close: how to close it; empty when it goes.
    """

    fate: str
    words: str
    path: str
    close: str


@dataclass(frozen=True, slots=True)
class PathsPart:
    """The access paths of a person in one product: lines, and their drawing as SVG without scripts, links and styles.

    :param total: all paths; ``lines`` may hold fewer.
    """

    title: str
    total: int
    lines: Sequence[PathLine]
    drawing: str


@dataclass(frozen=True, slots=True)
class PersonAccess:
    """What a run knew about a person.

    :param known: whether the roster of the run knows the person.
    :param left_at: last day or moment of leaving in UTC, or None.
    :param caution: why nothing is concluded from the roster's row, or empty.
    :param proposal: what would close the paths: rows of :func:`rescind.evidence.report.closing.closing_rows`.
    :param gaps: systems and ids about which the run says nothing for this person, each with the reason.
    :param proven: whether every planned grant of the person is proven gone, as far as the systems were listed.
    """

    person: str
    known: bool
    name: str = ""
    department: str = ""
    status: str = ""
    left_at: datetime | None = None
    caution: str = ""
    accounts: Sequence[AccountLine] = ()
    parts: Sequence[PathsPart] = ()
    proposal: Sequence[Mapping[str, Any]] = ()
    gaps: Sequence[str] = ()
    proven: bool = True

    @property
    def stays(self) -> int:
        """The number of paths that stay."""
        return sum(line.fate == "stays" for part in self.parts for line in part.lines)


@dataclass(frozen=True, slots=True)
class HistoryLine:
    """What one run found and decided about a person. Counts are of grants.

    :param reviewed_by: who answered a question about one of them, or empty.
    :param first_sent: when the first call about one of them was sent.
    :param proven_at: when the last of them was proven gone.
    :param left_out: those of ``held`` that an approver left out; ``left_out_by`` says who and why, or is empty.
    :param named: whether only the people of that run were listed in one of these systems.
    :param known: whether only what was known of them was read in one of these systems.
    """

    number: int
    dag_id: str
    started_at: datetime
    finished_at: datetime | None
    dry_run: bool
    reason: str
    responded_at: datetime | None
    answer: str | None
    responded_by: str | None
    grants: int
    kept: int
    revoked: int
    held: int
    proven: int
    rules: Sequence[str]
    reviewed_by: str
    first_sent: datetime | None
    proven_at: datetime | None
    left_out: int = 0
    left_out_by: str = ""
    named: bool = False
    known: bool = False


_HISTORY = f"""
WITH runs AS MATERIALIZED (
    SELECT r.number FROM rescind.run r WHERE r.dag_id = ANY(%(dags)s) ORDER BY r.number DESC LIMIT {MOST_RUNS}
), who AS MATERIALIZED (
    SELECT * FROM unnest(%(systems)s::text[], %(accounts)s::text[], %(kinds)s::text[], %(idents)s::text[])
        AS w(system, account, kind, ident)
), found AS (
    SELECT g.run_no, g.grant_id FROM runs CROSS JOIN who w JOIN rescind.grant_row g
        ON g.run_no = runs.number
       AND hashtextextended(g.principal_id, hashtextextended(g.principal_type, 0))
           = hashtextextended(w.ident, hashtextextended(w.kind, 0))
       AND g.principal_id = w.ident AND g.principal_type = w.kind
       AND g.system = w.system AND g.account = w.account
)
SELECT r.number, r.dag_id, r.started_at, r.finished_at, r.dry_run, r.reason, max(a.responded_at) AS responded_at,
       max(a.answer) AS answer, coalesce(max(nullif(a.responded_by_name, '')), max(a.responded_by)) AS responded_by,
       count(*) AS grants, count(*) FILTER (WHERE d.choice = 'keep') AS kept,
       count(*) FILTER (WHERE d.choice = 'revoke') AS revoked, count(*) FILTER (WHERE i.state = 'held') AS held,
       count(*) FILTER (WHERE {LEFT_OUT}) AS left_out,
       coalesce(max(i.reason) FILTER (WHERE {LEFT_OUT}), '') AS left_out_by,
       count(*) FILTER (WHERE {PROVEN}) AS proven,
       (array_agg(DISTINCT d.rule ORDER BY d.rule) FILTER (WHERE d.choice = 'revoke'))[1:5] AS rules,
       coalesce(max(d.facts ->> 'reviewed_by'), '') AS reviewed_by, min(t.sent_at) AS first_sent,
       max(v.observed_at) FILTER (WHERE {PROVEN}) AS proven_at,
       EXISTS (SELECT FROM rescind.scope s JOIN who w USING (system, account)
               WHERE s.run_no = r.number AND s.part = '{NAMED_PEOPLE}') AS named,
       EXISTS (SELECT FROM rescind.scope s JOIN who w USING (system, account)
               WHERE s.run_no = r.number AND s.part = '{KNOWN_ACCESS}') AS known
FROM found f JOIN rescind.run r ON r.number = f.run_no
LEFT JOIN rescind.decision d ON d.run_no = f.run_no AND d.grant_id = f.grant_id
LEFT JOIN rescind.plan l ON l.run_no = f.run_no AND l.state <> 'superseded'
LEFT JOIN rescind.approval a ON a.run_no = l.run_no AND a.digest = l.digest
LEFT JOIN rescind.plan_item i ON i.run_no = l.run_no AND i.grant_id = f.grant_id
LEFT JOIN LATERAL (SELECT verdict, observed_at FROM rescind.verdict v WHERE v.run_no = i.run_no
    AND v.grant_id = i.grant_id ORDER BY verdict_no DESC LIMIT 1) v ON true
LEFT JOIN LATERAL (SELECT min(sent_at) AS sent_at FROM rescind.attempt t WHERE t.run_no = i.run_no
    AND t.call_id = i.call_id) t ON true
GROUP BY r.number, r.dag_id, r.started_at, r.finished_at, r.dry_run, r.reason
ORDER BY r.number DESC
"""

_CLOSING = """
SELECT s.system, s.notes FROM rescind.scope s JOIN rescind.run r ON r.number = s.run_no AND r.dag_id = ANY(%(dags)s)
WHERE s.run_no = %(run)s AND s.notes ? 'stays_reachable' ORDER BY s.scope_no LIMIT 500
"""


class PersonViews(Views):
    """Queries about people over all runs that the reader may see."""

    def history(self, dags: Collection[str], accounts: Collection[Account], kind: str = "user") -> list[HistoryLine]:
        """Return what each run decided about the grants of these accounts, latest first.

        :param accounts: accounts of one person.
        :param kind: type of the principals.
        """
        found = sorted(set(accounts))
        values = {
            "dags": list(dags), "systems": [one[0] for one in found], "accounts": [one[1] for one in found],
            "kinds": [kind] * len(found), "idents": [one[2] for one in found],
        }  # fmt: skip

        def work(connection: Connection) -> list[HistoryLine]:
            with connection.cursor(row_factory=class_row(HistoryLine)) as cursor:
                return cursor.execute(_HISTORY, values).fetchall()

        return self._select(work)

    def closing_notes(self, number: int, dags: Collection[str]) -> list[tuple[str, Mapping[str, Any]]]:
        """Return (system, notes) of the scopes of a run that say what would close paths."""
        values = {"dags": list(dags), "run": number}
        rows = self._select(lambda connection: connection.execute(_CLOSING, values).fetchall())
        return [(row["system"], row["notes"]) for row in rows]
