"""Questions to the owners of resources about single grants, and their answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Literal

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from rescind.errors import LedgerError, NotApprovedError
from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.errors import RecordConflictError
from rescind.ledger.store.repository import Repository, supersede_live_plan
from rescind.model import digest
from rescind.users import printed

Answer = Literal["keep", "revoke"]
_CLOCKS_APART = timedelta(minutes=1)
"""Airflow's clock may say this much earlier than the ledger's that a question is due."""


@dataclass(frozen=True, slots=True)
class QuestionItem:
    """One grant of a question.

    :param shown: the line that the reviewer sees.
    :param answer: ``keep``, ``revoke``, or None while nobody has answered.
    """

    grant_id: str
    shown: str
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class NewQuestion:
    """The question to one reviewer.

    :param reviewer: Airflow user id of the reviewer, who alone may answer or hand the question over.
    :param no_answer: what a missing answer means for every item.
    :param delegates: Airflow user ids to whom the reviewer may hand it over, with the names of these people.
    """

    reviewer: str
    no_answer: Answer
    items: tuple[QuestionItem, ...]
    delegates: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the reviewer, the rule for a missing answer, and every item as shown."""
        return digest([self.reviewer, self.no_answer, [[item.grant_id, item.shown] for item in self.items]])


@dataclass(frozen=True, slots=True)
class Handover:
    """A question that its reviewer has handed over.

    :param by: Airflow user id of the reviewer.
    :param to: Airflow user id of the colleague, who alone may answer now.
    """

    by: str
    to: str
    comment: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Question(NewQuestion):
    """A question as stored in the ledger.

    :param method: ``answer`` (from a person), ``no_answer`` (by the rule), or empty while it is open.
    :param due_at: until when an answer counts; None before anybody was asked.
    :param comment: of the answer.
    """

    asked_at: datetime
    method: str
    responded_by: str
    responded_at: datetime | None
    due_at: datetime | None = None
    comment: str = ""
    handover: Handover | None = None

    @property
    def asked(self) -> str:
        """Airflow user id of the person who is asked now: the reviewer, or the colleague after a hand-over."""
        return self.handover.to if self.handover else self.reviewer


@dataclass(frozen=True, slots=True)
class OpenQuestions:
    """The questions of one run that wait for an answer and are not due yet.

    :param asked_at: when the first of them was made; ``due_at`` is the next due date.
    :param people: how many people are asked; ``handed`` of the questions were handed over.
    :param rules: what missing answers mean.
    """

    run_id: str
    asked_at: datetime
    due_at: datetime
    questions: int
    people: int
    handed: int
    rules: Sequence[str]


_OPEN = """
SELECT r.run_id, min(q.asked_at) AS asked_at, min(q.due_at) AS due_at, count(*)::int AS questions,
       count(DISTINCT coalesce(h.handed_to, q.reviewer))::int AS people, count(h.handed_to)::int AS handed,
       array_agg(DISTINCT q.no_answer) AS rules
FROM rescind.question q JOIN rescind.run r ON r.number = q.run_no
LEFT JOIN rescind.handover h ON h.run_no = q.run_no AND h.question = q.digest
WHERE q.method = '' AND q.due_at > clock_timestamp() AND r.finished_at IS NULL AND r.state <> 'abandoned'
GROUP BY r.number ORDER BY r.number
"""


class Questions(Repository):
    """The questions of each run."""

    def waiting(self) -> list[OpenQuestions]:
        """Return what waits, by run, the oldest run first."""
        rows = self._db.read(lambda connection: connection.execute(_OPEN).fetchall())
        return [OpenQuestions(**row) for row in rows]

    def ask(self, run_id: str, questions: Sequence[NewQuestion]) -> list[Question]:
        """Store all questions of a run. The same questions again are returned with their answers.

        :raises RecordConflictError: when the run has other questions, or a grant is in two questions.
        """
        ids = [item.grant_id for question in questions for item in question.items]
        if len(set(ids)) != len(ids):
            raise RecordConflictError(f"ledger: run {run_id}: a grant is in two questions. Ask about each grant once")

        def work(connection: Connection) -> None:
            number = self._numbers.of(connection, run_id)
            connection.execute("SELECT 1 FROM rescind.run WHERE number = %s FOR UPDATE", (number,))
            known = [row["digest"] for row in _digests(connection, number)]
            if known and known != [question.digest for question in questions]:
                raise RecordConflictError(
                    f"ledger: run {run_id} has other questions already, which cannot change. Start a new run"
                )
            if not known:
                for ordinal, question in enumerate(questions):
                    _insert(connection, number, ordinal, question)

        self._db.write(work, bulk=True)
        return self.all(run_id)

    def all(self, run_id: str) -> list[Question]:
        """Return every question of a run with all items, in order."""
        return self._load(run_id, None)

    def get(self, run_id: str, question: str) -> Question:
        """Return one question by its digest.

        :raises LedgerError: when the run does not have it.
        """
        found = self._load(run_id, Digest(question))
        if not found:
            raise LedgerError(f"ledger: run {run_id} has no question {question[:12]}. Start a new run")
        return found[0]

    def put(self, run_id: str, question: str, *, within: timedelta) -> Question:
        """Return a question with its due date, which is set when it is put for the first time and never moves.

        :param within: time from now until the due date.
        """

        def work(connection: Connection) -> None:
            connection.execute(
                "UPDATE rescind.question SET due_at = clock_timestamp() + %s"
                " WHERE run_no = %s AND digest = %s AND due_at IS NULL AND method = ''",
                (within, self._numbers.of(connection, run_id), Digest(question)),
            )

        self._db.write(work)
        return self.get(run_id, question)

    def hand_over(self, run_id: str, question: str, *, by: str, to: str, comment: str, at: datetime) -> Question:
        """Record that the reviewer hands an open question over. The due date does not move.

        :raises NotApprovedError: when somebody else does it, or for a colleague who is not among those of the question.
        :raises RecordConflictError: when the question is answered, due, or was handed over to somebody else.
        """
        known, what = self.get(run_id, question), f"question {question[:12]} of run {run_id}"
        if by != known.reviewer:
            raise NotApprovedError(f"{what}: only its reviewer may hand it over")
        if to not in known.delegates:
            raise NotApprovedError(f"{what}: it may not be handed over to {printed(to)}")
        if known.handover is None and (known.method or known.due_at is None or at >= known.due_at):
            raise RecordConflictError(f"{what}: it is answered, or due, and can no longer be handed over")

        def work(connection: Connection) -> None:
            connection.execute(
                "INSERT INTO rescind.handover (run_no, question, handed_by, handed_to, comment, handed_at)"
                " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                (self._numbers.of(connection, run_id), Digest(question), by, to, comment, at),
            )

        if known.handover is None:
            self._db.write(work)
            known = self.get(run_id, question)
        if known.handover is None or (known.handover.to, known.handover.comment) != (to, comment):
            raise RecordConflictError(f"{what}: it was handed over already, once and for good")
        return known

    def answer(
        self,
        run_id: str,
        question: str,
        *,
        revoke: Collection[str],
        responded_by: str,
        responded_at: datetime,
        comment: str = "",
    ) -> Question:
        """Record the answer of the person who is asked.

        :param revoke: ids of the grants to revoke; all others stay.
        :raises NotApprovedError: when somebody else answered, or the answer names items that are not in the question.
        :raises RecordConflictError: when a different answer was recorded before, or the answer is too late.
        """
        known = self.get(run_id, question)
        if responded_by != known.asked:
            only = "the colleague to whom it was handed over" if known.handover else "its reviewer"
            raise NotApprovedError(f"question {question[:12]} of run {run_id}: only {only} may answer it")
        if known.due_at is not None and responded_at > known.due_at:
            raise RecordConflictError(f"question {question[:12]} of run {run_id}: the answer came after the due date")
        strange = set(revoke) - {item.grant_id for item in known.items}
        if strange:
            raise NotApprovedError(
                f"question {question[:12]} of run {run_id}: the answer names {len(strange)} items that are not in it"
            )
        return self._settle(run_id, known, frozenset(revoke), "answer", responded_by, responded_at, comment)

    def close(self, run_id: str, question: str, *, at: datetime) -> Question:
        """Settle an unanswered question by its rule, once it is due; a recorded answer stays.

        :raises RecordConflictError: while an answer still counts, by the clock of the ledger.
        """
        known = self.get(run_id, question)
        if known.method:
            return known
        gone = frozenset(item.grant_id for item in known.items) if known.no_answer == "revoke" else frozenset()
        return self._settle(run_id, known, gone, "no_answer", "", max(at, known.due_at or at))

    def apply(self, run_id: str) -> int:
        """Write the answers into the decisions of the run; return how many grants they revoke.

        :raises NotApprovedError: while a question is open.
        :raises SnapshotClosedError: when requests of this run were sent already.
        """

        def work(connection: Connection) -> int:
            number = self._numbers.of(connection, run_id)
            questions = _digests(connection, number)
            waiting = sum(row["method"] == "" for row in questions)
            if waiting:
                raise NotApprovedError(
                    f"run {run_id}: {waiting} of {len(questions)} questions to owners are not settled"
                )
            if not questions:
                return 0
            supersede_live_plan(connection, number, run_id)
            connection.execute(
                "UPDATE rescind.decision d SET choice = i.answer, facts = coalesce(d.facts, '{}') ||"
                " jsonb_build_object("
                "'reviewed_by', q.responded_by, 'question', encode(q.digest, 'hex'), 'review',"
                " CASE q.method WHEN 'answer' THEN i.answer ELSE 'no answer: ' || i.answer END)"
                " FROM rescind.question_item i JOIN rescind.question q ON q.run_no = i.run_no AND q.digest = i.question"
                " WHERE d.run_no = %(run)s AND i.run_no = %(run)s AND i.grant_id = d.grant_id",
                {"run": number},
            )
            row = connection.execute(
                "SELECT count(*) AS n FROM rescind.question_item WHERE run_no = %s AND answer = 'revoke'", (number,)
            ).fetchone()
            return int(row["n"]) if row else 0

        return self._db.write(work, bulk=True)

    def _settle(
        self, run_id: str, known: Question, gone: frozenset[str], method: str, by: str, at: datetime, comment: str = ""
    ) -> Question:
        mark = Digest(known.digest)

        def work(connection: Connection) -> int:
            number = self._numbers.of(connection, run_id)
            done = connection.execute(
                "UPDATE rescind.question SET method = %s, responded_by = %s, comment = %s,"
                " responded_at = least(greatest(%s, asked_at, (SELECT h.handed_at FROM rescind.handover h"
                " WHERE h.run_no = question.run_no AND h.question = question.digest)), clock_timestamp())"
                " WHERE run_no = %s AND digest = %s AND method = ''"
                " AND (%s = 'answer' OR due_at IS NULL OR due_at <= clock_timestamp() + %s)",
                (method, by, comment, at, number, mark, method, _CLOCKS_APART),
            ).rowcount
            if done:
                connection.execute(
                    "UPDATE rescind.question_item SET answer ="
                    " CASE WHEN grant_id = ANY(%s) THEN 'revoke' ELSE 'keep' END WHERE run_no = %s AND question = %s",
                    ([Digest(ident) for ident in gone], number, mark),
                )
            return done

        done = self._db.write(work)
        settled = self.get(run_id, known.digest)
        if not settled.method:
            raise RecordConflictError(
                f"question {known.digest[:12]} of run {run_id}: an answer still counts until {settled.due_at}. "
                "Compare the clocks, and clear the task: the same question is asked again"
            )
        stands = frozenset(item.grant_id for item in settled.items if item.answer == "revoke")
        if not done and (settled.method, stands) != (method, gone):
            raise RecordConflictError(
                f"question {known.digest[:12]} of run {run_id} was answered differently before; that answer stays"
            )
        return settled

    def _load(self, run_id: str, mark: Digest | None) -> list[Question]:
        query = (
            "SELECT q.ordinal, q.reviewer, q.no_answer, q.asked_at, q.method, q.responded_by, q.responded_at, q.due_at,"
            " q.comment, q.delegates, h.handed_by, h.handed_to, h.comment, h.handed_at, i.grant_id, i.shown, i.answer"
            " FROM rescind.question q JOIN rescind.question_item i ON i.run_no = q.run_no AND i.question = q.digest"
            " LEFT JOIN rescind.handover h ON h.run_no = q.run_no AND h.question = q.digest WHERE q.run_no = %(run)s"
            " AND (%(mark)s::bytea IS NULL OR q.digest = %(mark)s) ORDER BY q.ordinal, i.ordinal"
        )
        found = []
        for head, rows in groupby(self._rows(run_id, query, {"mark": mark}), key=lambda row: row[:14]):
            _, reviewer, no_answer, asked_at, method, by, at, due_at, comment, delegates, *handed = head
            items = tuple(QuestionItem(*row[14:]) for row in rows)
            found.append(
                Question(
                    reviewer,
                    no_answer,
                    items,
                    asked_at,
                    method,
                    by,
                    at,
                    due_at=due_at,
                    comment=comment,
                    delegates=delegates,
                    handover=Handover(*handed) if handed[0] else None,
                )
            )
        return found


def _digests(connection: Connection, run_no: int) -> list[DictRow]:
    query = "SELECT digest, method FROM rescind.question WHERE run_no = %s ORDER BY ordinal"
    return connection.execute(query, (run_no,)).fetchall()


def _insert(connection: Connection, run_no: int, ordinal: int, question: NewQuestion) -> None:
    mark = Digest(question.digest)
    connection.execute(
        "INSERT INTO rescind.question (run_no, digest, ordinal, reviewer, no_answer, delegates)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (run_no, mark, ordinal, question.reviewer, question.no_answer, Jsonb(dict(question.delegates))),
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO rescind.question_item (run_no, grant_id, question, ordinal, shown)"
            " VALUES (%s, %s, %s, %s, %s)",
            [(run_no, Digest(item.grant_id), mark, place, item.shown) for place, item in enumerate(question.items)],
        )
