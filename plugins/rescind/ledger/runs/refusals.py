"""Runs that were refused before they began: they have no row of their own, and people look for them all the same."""

from __future__ import annotations

from dataclasses import dataclass

from rescind.ledger.runs.records import requester_text
from rescind.ledger.store.repository import Repository

MOST_SAID = 2_000
"""Characters of a refusal that are kept."""
_MOST_REASON = 500


@dataclass(frozen=True, slots=True)
class NewRefusal:
    """A refused run.

    :param requested_by: user name of the requester, or of the one user who sent the events; empty if it is nobody.
    :param reason: as the form has it, not checked.
    :param dry_run: whether the run would have been a dry run. False where broken settings do not let it be known.
    :param said: the error, with its remedy.
    :param kind: what started it, as in :class:`~rescind.ledger.runs.records.Run`; empty in older ledgers.
    """

    dag_id: str
    airflow_run_id: str
    requested_by: str
    reason: str
    dry_run: bool
    said: str
    kind: str = ""

    @property
    def requester(self) -> str:
        """The requester for people."""
        return requester_text(self.requested_by, self.kind)


class Refusals(Repository):
    """The refusals of runs; see :meth:`rescind.ledger.read_models.queries.Views.refused`."""

    def note(self, new: NewRefusal) -> None:
        """Record a refusal. Texts are cut, and NUL, which PostgreSQL cannot store, is left out."""
        texts = (new.dag_id, new.airflow_run_id, new.requested_by, new.reason[:_MOST_REASON])
        values = [text.replace("\x00", "") for text in (*texts, new.said[:MOST_SAID])]
        self._db.write(
            lambda connection: connection.execute(
                "INSERT INTO rescind.refusal (dag_id, airflow_run_id, requested_by, reason, said, dry_run, kind)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                (*values, new.dry_run, new.kind),
            )
        )
