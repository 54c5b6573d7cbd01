"""Selections: what an approver ticked on the page. A selection is a wish; it approves nothing and is not signed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rescind.approval_signature import moment, selection_mark
from rescind.errors import LedgerError
from rescind.i18n import mark
from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.errors import DatabaseError
from rescind.ledger.store.repository import Repository
from rescind.users import shown_user

SELECTION = "selection"
REFUSALS = {
    "RS001": mark("The plan that you saw is not the one that waits for an answer now. Open the run again"),
    "RS002": mark("The question is answered already, so nothing can be chosen any more"),
    "RS003": mark("The time to answer is over. Start a new run"),
    "RS004": mark("A selection has at most 5,000 grants. Reject the plan, and plan less"),
    "RS005": mark("A line is not in this plan, or a guard holds it. Open the run again"),
    "RS006": mark("The lines are not sorted, each once"),
    "RS007": mark("More than 10 selections in a minute. Wait a minute, then save again"),
}
"""Why the database refuses a selection, by its code in ``022_selections.sql``."""
_QUERY = """
SELECT s.selection_no AS number, r.run_id, s.digest, s.user_id, s.user_name, s.grant_ids, s.comment, s.chosen_at
FROM rescind.selection s JOIN rescind.run r ON r.number = s.run_no
WHERE s.run_no = %(run)s
"""
_AT = "to_char(s.chosen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
"""A time as :func:`rescind.approval_signature.moment` writes it."""
_INSERT = """
WITH s AS (
    INSERT INTO rescind.selection (run_no, digest, user_id, user_name, grant_ids, comment)
    VALUES (%(run)s, %(digest)s, %(user)s, %(name)s, %(ids)s::bytea[], %(comment)s) RETURNING *
)
SELECT s.selection_no AS number, r.run_id, s.digest, s.user_id, s.user_name, s.grant_ids, s.comment, s.chosen_at
FROM s JOIN rescind.run r ON r.number = s.run_no
"""


class SelectionRefusedError(LedgerError):
    """The database refuses a selection; nothing was written.

    :param code: one of :data:`REFUSALS`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(REFUSALS[code])
        self.code = code


@dataclass(frozen=True, slots=True)
class Selection:
    """What a user ticked.

    :param number: number in the ledger.
    :param digest: the plan that the user saw.
    :param grant_ids: the grants that are to stay, sorted; empty if the user took everything back.
    :param comment: the reason, every character readable.
    :param chosen_at: by the clock of the database.
    """

    number: int
    run_id: str
    digest: str
    user_id: str
    user_name: str
    grant_ids: Sequence[str]
    comment: str
    chosen_at: datetime

    @property
    def by(self) -> str:
        """Who chose, for people."""
        return shown_user(self.user_id, self.user_name)

    @property
    def mark(self) -> str:
        """SHA-256 (hex) of what was chosen, by whom, for which plan; the same choice has the same mark."""
        return selection_mark(self.run_id, self.digest, self.user_id, self.user_name, self.comment, self.grant_ids)

    @property
    def entry(self) -> tuple[str, str, str]:
        """What stands for the selection in :attr:`rescind.ledger.Narrowing.left_out`, which is signed."""
        return SELECTION, self.mark, moment(self.chosen_at)


def is_selection(entry: Sequence[str]) -> bool:
    """Return whether an entry of :attr:`rescind.ledger.Narrowing.left_out` names a selection, not a person."""
    return len(entry) == 3 and entry[0] == SELECTION


class Selections(Repository):
    """The selections of each run."""

    def save(
        self, run_id: str, digest: str, *, user_id: str, user_name: str, grant_ids: Iterable[str], comment: str
    ) -> Selection:
        """Add a selection. The database checks it against the live plan, see ``022_selections.sql``.

        :param digest: the plan that the user saw.
        :param grant_ids: grants of the plan that are to stay; order and repetition do not count.
        :raises SelectionRefusedError: when it does not fit the plan that waits for an answer.
        """
        ids = [Digest(one) for one in sorted(set(grant_ids))]
        values = {
            "digest": Digest(digest), "user": user_id, "name": "" if user_name == user_id else user_name,
            "ids": ids, "comment": comment,
        }  # fmt: skip

        def work(connection: Connection) -> Selection:
            values["run"] = self._numbers.of(connection, run_id)
            return _all(connection, _INSERT, values)[0]

        try:
            return self._db.write(work)
        except DatabaseError as error:
            if error.sqlstate in REFUSALS:
                raise SelectionRefusedError(error.sqlstate) from None
            raise

    def get(self, run_id: str, number: int) -> Selection | None:
        """Return one selection of a run, or None."""
        return self._first(run_id, "AND s.selection_no = %(no)s", {"no": number})

    def newest(self, run_id: str, digest: str, user_id: str) -> Selection | None:
        """Return the newest selection of a user for a plan, or None."""
        return self._first(
            run_id,
            "AND s.digest = %(digest)s AND s.user_id = %(user)s ORDER BY s.selection_no DESC LIMIT 1",
            {"digest": Digest(digest), "user": user_id},
        )

    def named(self, run_id: str, entry: Sequence[str]) -> Selection | None:
        """Return the selection of a run with exactly this :attr:`Selection.entry`, or None.

        The same choice may have been saved more than once; the times differ.
        """

        def work(connection: Connection) -> Selection | None:
            # Few rows, however many were saved: a selection may have thousands of ids.
            values = {"run": self._numbers.of(connection, run_id), "at": entry[-1]}
            found = _all(connection, f"{_QUERY} AND {_AT} = %(at)s ORDER BY s.selection_no", values)
            return next((one for one in found if one.entry == tuple(entry)), None)

        return self._db.read(work)

    def _first(self, run_id: str, where: str, values: dict[str, Any]) -> Selection | None:
        def work(connection: Connection) -> Selection | None:
            found = _all(connection, f"{_QUERY} {where}", {**values, "run": self._numbers.of(connection, run_id)})
            return found[0] if found else None

        return self._db.read(work)


def _all(connection: Connection, query: str, values: dict[str, Any]) -> list[Selection]:
    return [Selection(**row) for row in connection.execute(query, values).fetchall()]
