"""Report the progress of a task in its log, in Airflow's task state store, and in the ledger."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rescind.airflow_support.metrics import Metrics
from rescind.cloud.pacing.counting_pacer import CountingPacer
from rescind.ledger import Ledger
from rescind.workflow.execute.batch_sender import BatchReport
from rescind.workflow.execute.progress_meter import Reading

if TYPE_CHECKING:
    from airflow.sdk import Context
    from pydantic import JsonValue

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Board:
    """Reports the progress of one task.

    :param stage: the task's name.
    :param part: id of its batch or scope.
    :param label: name of the part for people.
    :param noun: what is counted, for example ``calls``.
    :param system: name of the permission system, for metrics.
    :param report: report of the batch that is sent, for its outcomes and writes in flight.
    """

    context: Context
    ledger: Ledger
    run_id: str
    stage: str
    part: str
    label: str
    noun: str
    system: str
    pacer: CountingPacer
    report: BatchReport | None = None
    metrics: Metrics = field(init=False)

    def __post_init__(self) -> None:
        self.metrics = Metrics(self.system)

    def show(self, reading: Reading) -> None:
        """Report to every target. Runs in a thread, because each of them may block."""
        log.info("%s: %s", self.label, reading.sentence(self.noun))
        self.metrics.counts(self.pacer.counts())
        if self.report is not None:
            self.metrics.outcomes(self.report.outcomes)
            self.metrics.in_flight(self.report.in_flight)
        try:
            self.ledger.progress.note(
                self.run_id,
                self.stage,
                self.part,
                label=self.label,
                done=reading.done,
                total=reading.of,
                per_second=reading.per_second,
            )
        finally:
            self._store(reading)

    def _store(self, reading: Reading) -> None:
        store = self.context.get("task_state_store")
        if store is None:
            return
        facts: dict[str, JsonValue] = {
            "done": reading.done,
            "of": reading.of,
            "per_second": round(reading.per_second, 1),
            "seconds_left": None if reading.seconds_left is None else round(reading.seconds_left),
        }
        store.set("progress", facts)
