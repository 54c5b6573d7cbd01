"""How far each task of a run is: a hint for people, one row for each task, rewritten while it works."""

from __future__ import annotations

from rescind.ledger.plans.records import TaskProgress
from rescind.ledger.store.repository import Repository

_NOTE = """
INSERT INTO rescind.progress AS p (run_no, stage, lane, label, done, total, per_second)
VALUES (%(run)s, %(stage)s, %(lane)s, %(label)s, %(done)s, %(total)s, %(pace)s)
ON CONFLICT (run_no, stage, lane) DO UPDATE SET label = excluded.label, done = excluded.done, total = excluded.total,
    per_second = excluded.per_second, updated_at = clock_timestamp(),
    started_at = CASE WHEN excluded.done < p.done THEN clock_timestamp() ELSE p.started_at END
"""
_ALL = (
    "SELECT stage, lane, label, done, total, per_second, started_at, updated_at FROM rescind.progress"
    " WHERE run_no = %(run)s ORDER BY started_at, stage, lane"
)


class ProgressBoard(Repository):
    """The progress of each run's tasks."""

    def note(self, run_id: str, stage: str, lane: str, *, label: str, done: int, total: int, per_second: float) -> None:
        """Write down where a task is; a count that falls means that it began anew.

        :param stage: the task's name, such as ``revoke``. :param lane: its batch or scope, within the stage.
        :param total: how many there are in all, or 0 when nobody can know.
        """
        with self._db.transaction() as connection:
            values = {"run": self._numbers.of(connection, run_id), "stage": stage, "lane": lane, "label": label}
            connection.execute(_NOTE, {**values, "done": done, "total": total, "pace": per_second})

    def of_run(self, run_id: str) -> list[TaskProgress]:
        """All tasks of a run, in the order in which they began."""
        return [TaskProgress(*row) for row in self._rows(run_id, _ALL, {})]
