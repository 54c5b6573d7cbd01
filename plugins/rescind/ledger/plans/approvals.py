"""Approvals: the recorded answer on exactly one plan of exactly one run."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import UTC, datetime

from psycopg.rows import DictRow

from rescind.approval_signature import ApprovalKeys
from rescind.errors import InputError, LedgerError, NotApprovedError
from rescind.ledger.plans.records import Approval
from rescind.ledger.runs import scope_locks
from rescind.ledger.store.columns import listed, names
from rescind.ledger.store.database import Connection, Database
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.errors import RecordConflictError
from rescind.ledger.store.repository import Repository, RunNumbers
from rescind.users import same_user

_COLUMNS = (
    listed(names(Approval, without=("run_id", "dag_id", "airflow_run_id", "narrowed")), "a")
    + ", r.dag_id, r.airflow_run_id, EXISTS (SELECT 1 FROM rescind.narrowing n WHERE n.run_no = a.run_no"
    " AND n.digest = a.digest) AS narrowed"
)
APPROVE = "approve"
REJECT = "reject"


class Approvals(Repository):
    """The approvals of each run and plan.

    :ivar keys: the deployment's approval keys. Without them no answer can be recorded, and none is accepted.
    """

    def __init__(self, database: Database, numbers: RunNumbers) -> None:
        super().__init__(database, numbers)
        self.keys = ApprovalKeys()

    def request(self, run_id: str, digest: str, *, requested_by: str, valid_until: datetime) -> Approval:
        """Record the request for approval with a new nonce. A second request returns the first one, with its deadline.

        :raises LedgerError: when the run has no such plan.
        """

        def work(connection: Connection) -> Approval:
            number = self._numbers.of(connection, run_id)
            plan_state(connection, number, run_id, digest)
            connection.execute(
                "INSERT INTO rescind.approval (run_no, digest, nonce, requested_by, valid_until)"
                " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (run_no, digest) DO NOTHING",
                (number, Digest(digest), secrets.token_hex(16), requested_by, valid_until),
            )
            return need(connection, run_id, number, digest)

        return self._db.write(work)

    def answer(
        self,
        run_id: str,
        digest: str,
        *,
        nonce: str,
        answer: str,
        responded_by: str,
        responded_by_name: str = "",
        responded_at: datetime | None = None,
        automatic: bool = False,
        method: str = "",
        comment: str = "",
    ) -> Approval:
        """Sign and record the answer. An approval moves the plan and its items to approved in the same transaction.

        It also takes the locks of the scopes if they are free. If another run is sending there, the answer stands and
        the sending tasks wait for the locks.

        :param answer: ``approve`` or ``reject``. Anything else, such as a timeout, is not an answer.
        :param responded_by: id of the user.
        :param responded_by_name: name of the user, where it is another text. It is compared with the requester, who is
            known by name.
        :param automatic: True when a rule answered; ``responded_by`` names the rule.
        :param responded_at: by the clock of Airflow; the ledger keeps it between its own times of request and record.
        :param method: for an automatic answer, the limits and the measured values.
        :param comment: what the approver wrote, every character readable.
        :raises NotApprovedError: when the answer does not belong to this request, is too late, or comes from the
            requester.
        :raises ConfigurationError: when there is no key to sign with.
        :raises RecordConflictError: when a different answer was recorded before.
        """

        def work(connection: Connection) -> Approval:
            number = self._numbers.of(connection, run_id)
            state = plan_state(connection, number, run_id, digest, lock=True)
            known = need(connection, run_id, number, digest, lock=True)
            given = replace(
                known,
                answer=answer,
                responded_by=responded_by,
                responded_by_name="" if responded_by_name == responded_by else responded_by_name,
                responded_at=answered_at(known, responded_at, database_now(connection)),
                automatic=automatic,
                method=method,
                comment=comment,
            )
            check_answer(connection, known, given, state, nonce)
            if known.answer is None:
                self._write(connection, number, given)
            else:
                self._refuse_unsigned(known)
            if answer == APPROVE and state == "frozen":
                _approve(connection, number, digest)
                scope_locks.take_if_free(connection, number, run_id)
            return need(connection, run_id, number, digest)

        return self._db.write(work, bulk=True)

    def get(self, run_id: str, digest: str) -> Approval | None:
        """Return the request and its answer, or None when no approval was requested."""
        return self._db.read(lambda connection: _load(connection, run_id, self._numbers.of(connection, run_id), digest))

    def waiting(self) -> list[Approval]:
        """Return the requests that can still be answered, those that expire first at the top."""

        def work(connection: Connection) -> list[Approval]:
            rows = connection.execute(
                f"SELECT r.run_id, {_COLUMNS} FROM rescind.approval a JOIN rescind.run r ON r.number = a.run_no"
                " JOIN rescind.plan p ON p.run_no = a.run_no AND p.digest = a.digest AND p.state = 'frozen'"
                " WHERE a.answer IS NULL AND r.finished_at IS NULL AND r.state <> 'abandoned'"
                " AND a.valid_until > clock_timestamp() AND NOT EXISTS (SELECT FROM rescind.narrowing n"
                " WHERE n.run_no = a.run_no AND n.digest = a.digest) ORDER BY a.valid_until, r.number"
            ).fetchall()
            return [Approval(**row) for row in rows]

        return self._db.read(work)

    def require(self, run_id: str, digest: str) -> Approval:
        """Return the approval of exactly this plan.

        :raises NotApprovedError: when it was not requested, not answered, rejected, not signed, or has expired.
        """
        return self._db.read(
            lambda connection: self.granted(
                connection, run_id, self._numbers.of(connection, run_id), digest, database_now(connection)
            )
        )

    def granted(self, connection: Connection, run_id: str, run_no: int, digest: str, now: datetime) -> Approval:
        """Return the approval of exactly this plan, inside a transaction; see :meth:`require`.

        :param now: the time of the database. The clock of this machine counts too, because anyone who can change the
            ledger may also change what its database reports as the time.
        """
        approval = _load(connection, run_id, run_no, digest)
        return _granted(approval, run_id, digest, max(now, datetime.now(UTC)), self.keys)

    def problem(self, approval: Approval) -> str:
        """Return why a recorded answer is not authentic, or an empty text."""
        if approval.answer is None:
            return ""
        return self.keys.problem(approval.statement, approval.signing_key, approval.signature)

    def note_airflow_record(self, run_id: str, digest: str, text: str) -> None:
        """Record once, for people, whether Airflow's own record has the same answer."""
        self._db.write(
            lambda connection: connection.execute(
                "UPDATE rescind.approval SET airflow_record = %s WHERE run_no = %s AND digest = %s"
                " AND airflow_record = ''",
                (text, self._numbers.of(connection, run_id), Digest(digest)),
            )
        )

    def _write(self, connection: Connection, run_no: int, given: Approval) -> None:
        key, signature = self.keys.sign(given.statement)
        connection.execute(
            "UPDATE rescind.approval SET answer = %s, responded_by = %s, responded_by_name = %s, responded_at = %s,"
            " automatic = %s, method = %s, comment = %s, signing_key = %s, signature = %s"
            " WHERE run_no = %s AND digest = %s",
            (
                given.answer,
                given.responded_by,
                given.responded_by_name,
                given.responded_at,
                given.automatic,
                given.method,
                given.comment,
                key,
                signature,
                run_no,
                Digest(given.digest),
            ),
        )

    def _refuse_unsigned(self, known: Approval) -> None:
        if problem := self.problem(known):
            raise NotApprovedError(
                f"plan {known.digest} of run {known.run_id}: the ledger holds an answer already, but {problem}. Find"
                " out who wrote it, and start a new run"
            )


def _granted(approval: Approval | None, run_id: str, digest: str, now: datetime, keys: ApprovalKeys) -> Approval:
    if approval is None:
        problem = "no approval was requested"
    elif approval.narrowed:
        problem = "a part of it was left out, so only the narrowed plan can be approved"
    elif approval.answer is None:
        problem = "no approver has answered"
    elif approval.answer != APPROVE:
        problem = f"{approval.approver!r} rejected it"
    elif approval.valid_until <= now:
        problem = f"the approval expired at {approval.valid_until:%Y-%m-%d %H:%M:%S %Z}"
    elif not approval.automatic and (same := _not_another(approval)):
        problem = same
    else:
        problem = keys.problem(approval.statement, approval.signing_key, approval.signature)
        if not problem:
            return approval
    raise NotApprovedError(f"plan {digest} of run {run_id} cannot be executed: {problem}. Nothing was sent")


def _not_another(approval: Approval) -> str:
    """Return why the approver is not certainly another person than the requester, or an empty text.

    Names are compared; the id of the approver only where Airflow knows no other name.
    """
    try:
        same = same_user(approval.requested_by, approval.responded_by_name or approval.responded_by)
    except InputError as error:
        return f"requester and approver cannot be told apart: {error.problem}"
    both = f"{approval.requested_by!r} requested it, and {approval.approver!r} approved it"
    return f"the requester cannot approve their own run: {both}" if same else ""


def mark_used(connection: Connection, run_no: int, digest: Digest, batch_id: Digest) -> None:
    """Record when the approval was first used, and by which batch."""
    connection.execute(
        "UPDATE rescind.approval SET used_at = clock_timestamp(), used_by_batch = %s"
        " WHERE run_no = %s AND digest = %s AND answer = 'approve' AND used_at IS NULL",
        (batch_id, run_no, digest),
    )


def check_answer(connection: Connection, known: Approval, given: Approval, state: str, nonce: str) -> None:
    """Check that an answer belongs to its request and may be recorded.

    :raises NotApprovedError: when it does not belong to it, is too late, or comes from the requester.
    :raises RecordConflictError: when another answer is recorded.
    """
    where = f"plan {known.digest} of run {known.run_id}"
    answer = given.answer
    if answer not in (APPROVE, REJECT):
        raise NotApprovedError(f"{where}: the answer must be 'approve' or 'reject'. Nothing was recorded")
    if not secrets.compare_digest(nonce.encode(), known.nonce.encode()):
        raise NotApprovedError(
            f"{where}: the answer belongs to another request (its nonce differs). Answer the current request"
        )
    if not given.responded_by.strip():
        raise NotApprovedError(f"{where}: the answer names no approver. Nothing was recorded")
    if known.answer is not None and known.answer != answer:
        raise RecordConflictError(f"{where}: the answer {known.answer!r} is recorded already and cannot change")
    if known.narrowed:
        raise RecordConflictError(f"{where}: the recorded answer left out a part of it. Answer the second question")
    if answer == APPROVE:
        problem = "" if given.automatic else _not_another(given)
        if problem:
            raise NotApprovedError(f"{where}: {problem}. Ask another approver")
        if known.valid_until <= database_now(connection):
            raise NotApprovedError(
                f"{where}: the approval window expired at {known.valid_until:%Y-%m-%d %H:%M:%S %Z}. Plan again"
            )
        if state == "superseded":
            raise NotApprovedError(f"{where}: another plan has replaced it. Answer the request for that plan")


def _approve(connection: Connection, run_no: int, digest: str) -> None:
    connection.execute(
        "UPDATE rescind.plan SET state = 'approved' WHERE run_no = %s AND digest = %s AND state = 'frozen'",
        (run_no, Digest(digest)),
    )
    connection.execute(
        "UPDATE rescind.plan_item SET state = 'approved', updated_at = clock_timestamp()"
        " WHERE run_no = %s AND state = 'planned'",
        (run_no,),
    )


def answered_at(known: Approval, responded_at: datetime | None, now: datetime) -> datetime:
    """Return the time of the answer by the clock of the database; Airflow's clock may differ from it."""
    return min(max(responded_at or now, known.requested_at), now)


def plan_state(connection: Connection, run_no: int, run_id: str, digest: str, *, lock: bool = False) -> str:
    """Return the state of a plan.

    :raises LedgerError: when the run has no such plan.
    """
    row = connection.execute(
        "SELECT state FROM rescind.plan WHERE run_no = %s AND digest = %s" + (" FOR UPDATE" if lock else ""),
        (run_no, Digest(digest)),
    ).fetchone()
    if row is None:
        raise LedgerError(f"ledger: run {run_id} has no plan with digest {digest}. Freeze it with plans.freeze()")
    return str(row["state"])


def _load(connection: Connection, run_id: str, run_no: int, digest: str, *, lock: bool = False) -> Approval | None:
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM rescind.approval a JOIN rescind.run r ON r.number = a.run_no"
        " WHERE a.run_no = %s AND a.digest = %s" + (" FOR UPDATE OF a" if lock else ""),
        (run_no, Digest(digest)),
    ).fetchone()
    return None if row is None else _approval(run_id, row)


def need(connection: Connection, run_id: str, run_no: int, digest: str, *, lock: bool = False) -> Approval:
    """Return the request for approval of a plan.

    :raises NotApprovedError: when there is none.
    """
    approval = _load(connection, run_id, run_no, digest, lock=lock)
    if approval is None:
        raise NotApprovedError(
            f"plan {digest} of run {run_id}: no approval was requested. Request it with approvals.request()"
        )
    return approval


def _approval(run_id: str, row: DictRow) -> Approval:
    return Approval(run_id=run_id, **row)


def database_now(connection: Connection) -> datetime:
    """Return the time of the database."""
    row = connection.execute("SELECT clock_timestamp() AS now").fetchone()
    if row is None:
        raise LedgerError("ledger: the database returned no time")
    now: datetime = row["now"]
    return now
