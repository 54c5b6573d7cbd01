"""Narrowings: what an approver left out of a plan. They approve nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from psycopg.types.json import Jsonb

from rescind.approval_signature import moment, narrowing_statement
from rescind.errors import NotApprovedError
from rescind.ledger.plans.approvals import APPROVE, Approvals, answered_at, check_answer, database_now, need, plan_state
from rescind.ledger.store.database import Connection, Database
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.errors import RecordConflictError
from rescind.ledger.store.repository import Repository, RunNumbers
from rescind.model import canonical
from rescind.users import shown_user

_QUERY = """
SELECT r.run_id, r.dag_id, r.airflow_run_id, n.digest, a.nonce, a.requested_by, a.requested_at, a.valid_until,
       n.left_out, n.grants, n.grants_digest, n.responded_by, n.responded_by_name, n.responded_at, n.comment,
       n.signing_key, n.signature
FROM rescind.narrowing n JOIN rescind.run r ON r.number = n.run_no
JOIN rescind.approval a ON a.run_no = n.run_no AND a.digest = n.digest
WHERE n.run_no = %s
"""
_EARLIER = """
SELECT n.run_no AS number, count(*) AS grants FROM rescind.narrowing n
JOIN rescind.plan_item i ON i.run_no = n.run_no AND i.state = 'held' AND i.reason LIKE 'kept by %%'
JOIN rescind.plan_item mine ON mine.run_no = %(run)s AND mine.grant_id = i.grant_id AND mine.call_id IS NOT NULL
WHERE n.run_no < %(run)s GROUP BY n.run_no ORDER BY n.run_no DESC LIMIT 5
"""


@dataclass(frozen=True, slots=True)
class Narrowing:
    """The answer to the request for one plan that left out a part of it.

    :param digest: the plan that was shown, which can never be approved.
    :param nonce: of the request for that plan, like ``requested_by`` to ``valid_until``.
    :param left_out: what was left out, as chosen: each the texts that identify a person and, last, a permission system
        or an empty text for all systems.
    :param grants: how many grants of the plan that is; ``grants_digest`` is the digest of their ids, see
        :func:`digest_of_grants`.
    :param comment: the reason; not empty.
    """

    run_id: str
    dag_id: str
    airflow_run_id: str
    digest: str
    nonce: str
    requested_by: str
    requested_at: datetime
    valid_until: datetime
    left_out: Sequence[Sequence[str]]
    grants: int
    grants_digest: str
    responded_by: str
    responded_by_name: str
    responded_at: datetime
    comment: str
    signing_key: str = ""
    signature: str = ""

    @property
    def by(self) -> str:
        """Who left it out, for people."""
        return shown_user(self.responded_by, self.responded_by_name)

    @property
    def statement(self) -> bytes:
        """The signed message."""
        return narrowing_statement(
            {
                "run": self.run_id,
                "dag": self.dag_id,
                "airflow_run": self.airflow_run_id,
                "digest": self.digest,
                "nonce": self.nonce,
                "requested_by": self.requested_by,
                "valid_until": moment(self.valid_until),
                "left_out": [list(one) for one in self.left_out],
                "grants": self.grants,
                "grants_digest": self.grants_digest,
                "responded_by": self.responded_by,
                "responded_by_name": self.responded_by_name,
                "responded_at": moment(self.responded_at),
                "comment": self.comment,
            }
        )

    @property
    def mark(self) -> str:
        """SHA-256 (hex) of the signed message: the narrowed plan names it, and so does its digest."""
        return hashlib.sha256(self.statement).hexdigest()


class Narrowings(Repository):
    """The narrowing of each run; at most one."""

    def __init__(self, database: Database, numbers: RunNumbers, approvals: Approvals) -> None:
        super().__init__(database, numbers)
        self._approvals = approvals

    def record(
        self,
        run_id: str,
        digest: str,
        *,
        nonce: str,
        left_out: Iterable[Sequence[str]],
        grant_ids: Iterable[str],
        responded_by: str,
        responded_by_name: str,
        responded_at: datetime,
        comment: str,
    ) -> Narrowing:
        """Sign and record what an answer to the request for a plan left out. No plan or item changes its state.

        The same checks hold as for an approval. The same content again returns the recorded one.

        :param left_out: see :class:`Narrowing`; order and repetition do not count.
        :param grant_ids: the grants of the plan that are left out.
        :param responded_at: by the clock of Airflow, see :meth:`Approvals.answer`.
        :raises NotApprovedError: when the answer does not belong to this request, is too late, comes from the
            requester, has no reason, or leaves out nothing.
        :raises ConfigurationError: when there is no key to sign with.
        :raises RecordConflictError: when the request was answered before, or the run has another narrowing.
        """
        parts, ids = sorted({tuple(one) for one in left_out}), set(grant_ids)
        if not (parts and ids and comment.strip()):
            raise NotApprovedError(f"plan {digest} of run {run_id}: who leaves out a part names it and says why")

        def work(connection: Connection) -> Narrowing:
            number = self._numbers.of(connection, run_id)
            state = plan_state(connection, number, run_id, digest, lock=True)
            asked = need(connection, run_id, number, digest, lock=True)
            new = Narrowing(
                run_id, asked.dag_id, asked.airflow_run_id, digest, asked.nonce, asked.requested_by,
                asked.requested_at, asked.valid_until, parts, len(ids), digest_of_grants(ids), responded_by,
                "" if responded_by_name == responded_by else responded_by_name,
                answered_at(asked, responded_at, database_now(connection)), comment,
            )  # fmt: skip
            if known := _load(connection, number):
                return self._same(known, new)
            # As an approval would be checked. Nobody who may not approve chooses what is put to others.
            given = replace(
                asked,
                answer=APPROVE,
                responded_by=new.responded_by,
                responded_by_name=new.responded_by_name,
                responded_at=new.responded_at,
            )
            check_answer(connection, asked, given, state, nonce)
            if asked.answer is not None:
                raise RecordConflictError(f"plan {digest} of run {run_id}: it is answered already")
            self._write(connection, number, new)
            return self._need(connection, number, run_id)

        return self._db.write(work)

    def find(self, run_id: str) -> Narrowing | None:
        """Return the narrowing of a run, or None. It may be forged, see :meth:`problem`."""
        return self._db.read(lambda connection: _load(connection, self._numbers.of(connection, run_id)))

    def earlier(self, run_id: str) -> list[tuple[int, int, Narrowing]]:
        """Return the last earlier runs from which grants that the live plan revokes were left out.

        Those that are not signed with an accepted key are left out.

        :returns: number of the earlier run, how many of the grants, and what was left out there; newest first.
        """

        def work(connection: Connection) -> list[tuple[int, int, Narrowing | None]]:
            rows = connection.execute(_EARLIER, {"run": self._numbers.of(connection, run_id)}).fetchall()
            return [(row["number"], row["grants"], _load(connection, row["number"])) for row in rows]

        found = self._db.read(work)
        return [(number, grants, one) for number, grants, one in found if one is not None and not self.problem(one)]

    def problem(self, narrowing: Narrowing) -> str:
        """Return why a narrowing is not authentic, or an empty text."""
        return self._approvals.keys.problem(narrowing.statement, narrowing.signing_key, narrowing.signature)

    def _write(self, connection: Connection, run_no: int, new: Narrowing) -> None:
        key, signature = self._approvals.keys.sign(new.statement)
        connection.execute(
            "INSERT INTO rescind.narrowing (run_no, digest, left_out, grants, grants_digest, responded_by,"
            " responded_by_name, responded_at, comment, signing_key, signature)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                run_no,
                Digest(new.digest),
                Jsonb([list(one) for one in new.left_out]),
                new.grants,
                new.grants_digest,
                new.responded_by,
                new.responded_by_name,
                new.responded_at,
                new.comment,
                key,
                signature,
            ),
        )

    def _need(self, connection: Connection, run_no: int, run_id: str) -> Narrowing:
        found = _load(connection, run_no)
        if found is None or self.problem(found):
            raise NotApprovedError(f"run {run_id}: what was left out cannot be read back. Start a new run")
        return found

    def _same(self, known: Narrowing, new: Narrowing) -> Narrowing:
        """Return the recorded one if the answer repeats it."""
        if problem := self.problem(known):
            raise NotApprovedError(
                f"run {known.run_id}: the ledger says that {known.by!r} left out a part of its plan, but {problem}. "
                "Find out who wrote it, and start a new run"
            )
        again = replace(new, responded_at=known.responded_at)
        if again.statement != known.statement:
            raise RecordConflictError(
                f"run {known.run_id}: {known.by!r} has left out a part of its plan already, which cannot change. Answer"
                " the second question, or start a new run"
            )
        return known


def digest_of_grants(grant_ids: Iterable[str]) -> str:
    """Return the SHA-256 (hex) over the sorted ids of grants, each once."""
    return hashlib.sha256(canonical(sorted(set(grant_ids)))).hexdigest()


def _load(connection: Connection, run_no: int) -> Narrowing | None:
    row = connection.execute(_QUERY, (run_no,)).fetchone()
    return None if row is None else Narrowing(**row)
