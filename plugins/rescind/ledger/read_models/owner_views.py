"""What the pages show about questions to owners: who is asked, about whom, until when, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from rescind.ledger.read_models.boxes import BoxViews
from rescind.ledger.read_models.item_sql import NAME, NAMED, PERSON
from rescind.ledger.runs.notices import OWNERS_REMINDED
from rescind.ledger.store.database import Connection

MOST_QUESTIONS = 50
"""Open questions of a reader on the home page; ``MOST_OF_RUN`` those of one run, which cannot have more."""
MOST_OF_RUN = 200


@dataclass(frozen=True, slots=True)
class QuestionLine:
    """A question to the owner of resources.

    :param asked: who is asked now: the reviewer, or the colleague after a hand-over; ``asked_name`` is the roster's.
    :param due_at: until when an answer counts; None before anybody was asked.
    :param method: ``answer``, ``no_answer``, or empty while it is open.
    :param reminded: how often the person who is asked was reminded.
    :param items: grants that it is about; ``revoke`` of them are to be revoked by the answer.
    :param people: whom these grants belong to: name, the roster's id or the principal, and the number of grants.
    """

    number: int
    dag_id: str
    airflow_run_id: str
    reason: str
    reviewer: str
    asked: str
    asked_name: str
    no_answer: str
    asked_at: datetime
    due_at: datetime | None
    method: str
    responded_by: str
    responded_at: datetime | None
    comment: str
    handed_at: datetime | None
    handed_comment: str
    reminded: int
    reminded_at: datetime | None
    items: int
    revoke: int
    people: Sequence[tuple[str, str, int]]


# At most 100 grants a question: looked up one by one, whatever PostgreSQL knows of a new run.
_QUESTIONS = f"""
SELECT r.number, r.dag_id, r.airflow_run_id, r.reason, q.reviewer, coalesce(h.handed_to, q.reviewer) AS asked,
       coalesce(q.delegates ->> h.handed_to, '') AS asked_name, q.no_answer, q.asked_at, q.due_at, q.method,
       q.responded_by, q.responded_at, q.comment, h.handed_at, coalesce(h.comment, '') AS handed_comment,
       n.reminded, n.reminded_at, i.items, i.revoke, i.people
FROM rescind.question q JOIN rescind.run r ON r.number = q.run_no AND r.dag_id = ANY(%(dags)s)
LEFT JOIN rescind.handover h ON h.run_no = q.run_no AND h.question = q.digest
CROSS JOIN LATERAL (
    SELECT coalesce(sum(one.items), 0)::int AS items, coalesce(sum(one.revoke), 0)::int AS revoke,
           coalesce(jsonb_agg(jsonb_build_array(one.name, one.person, one.items)
                              ORDER BY one.items DESC, one.name, one.person), '[]') AS people
    FROM (
        SELECT coalesce(({PERSON}) COLLATE "C", '') AS person, coalesce(max({NAME}), '') AS name,
               count(*) AS items, count(*) FILTER (WHERE t.answer = 'revoke') AS revoke
        FROM rescind.question_item t LEFT JOIN rescind.grant_row g ON g.run_no = t.run_no AND g.grant_id = t.grant_id
        {NAMED} WHERE t.run_no = q.run_no AND t.question = q.digest GROUP BY 1 OFFSET 0
    ) one
) i
CROSS JOIN LATERAL (
    SELECT count(DISTINCT event)::int AS reminded, max(claimed_at) AS reminded_at FROM rescind.notice
    WHERE q.due_at IS NOT NULL AND starts_with(event, '{OWNERS_REMINDED} ' || r.run_id || ' ')
      AND claimed_at >= coalesce(h.handed_at, q.asked_at) AND (q.responded_at IS NULL OR claimed_at <= q.responded_at)
) n
"""
_MINE = f"""{_QUESTIONS}
WHERE q.method = '' AND r.finished_at IS NULL AND coalesce(h.handed_to, q.reviewer) = ANY(%(names)s)
ORDER BY q.due_at NULLS LAST, r.number, q.ordinal LIMIT {MOST_QUESTIONS}
"""
_OF_RUN = f"""{_QUESTIONS}
WHERE q.run_no = %(run)s ORDER BY q.method <> '', q.due_at NULLS LAST, q.ordinal LIMIT {MOST_OF_RUN}
"""
_COUNT = """
SELECT count(*)::int AS questions FROM rescind.question q
JOIN rescind.run r ON r.number = q.run_no AND r.dag_id = ANY(%(dags)s) WHERE q.run_no = %(run)s
"""


class OwnerViews(BoxViews):
    """Queries about questions to owners, in runs that the reader may see."""

    def questions(self, dags: Collection[str], names: Collection[str]) -> list[QuestionLine]:
        """Return the open questions that one of these users may answer, the one that is due first before the others."""
        return self._lines(_MINE, {"dags": list(dags), "names": sorted(names)})

    def questions_of(self, number: int, dags: Collection[str]) -> list[QuestionLine]:
        """Return the questions of a run, the open ones first."""
        return self._lines(_OF_RUN, {"dags": list(dags), "run": number})

    def question_count(self, number: int, dags: Collection[str]) -> int:
        """Return how many questions to owners a run has, open or not."""
        values = {"dags": list(dags), "run": number}
        return self._select(lambda connection: int((connection.execute(_COUNT, values).fetchone() or {})["questions"]))

    def _lines(self, query: str, values: dict[str, Any]) -> list[QuestionLine]:
        def work(connection: Connection) -> list[QuestionLine]:
            with connection.cursor(row_factory=class_row(QuestionLine)) as cursor:
                return cursor.execute(query, values).fetchall()

        return self._select(work)
