"""The progress of each task of a run, for display: one row a task, updated while it works."""

from __future__ import annotations

from rescind.ledger.plans.records import TaskProgress
from rescind.ledger.store.database import Connection
from rescind.ledger.store.repository import Repository

_NOTE = """
INSERT INTO rescind.progress AS p (run_no, stage, lane, label, done, total, per_second)
VALUES (%(run)s, %(stage)s, %(unit)s, %(label)s, %(done)s, %(total)s, %(pace)s)
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

    def note(self, run_id: str, stage: str, unit: str, *, label: str, done: int, total: int, per_second: float) -> None:
        """Record the progress of a task. A count that decreases means that the task started again.

        :param stage: name of the task, such as ``revoke``.
        :param unit: the batch or scope that the task works on, unique within the stage.
        :param done: units of work that are done.
        :param total: units of work in all; 0 when not known.
        :param per_second: current rate.
        """

        def work(connection: Connection) -> None:
            values = {"run": self._numbers.of(connection, run_id), "stage": stage, "unit": unit, "label": label}
            connection.execute(_NOTE, {**values, "done": done, "total": total, "pace": per_second})

        self._db.write(work)

    def of_run(self, run_id: str) -> list[TaskProgress]:
        """Return all tasks of a run, in the order in which they started."""
        return [TaskProgress(*row) for row in self._rows(run_id, _ALL, {})]
