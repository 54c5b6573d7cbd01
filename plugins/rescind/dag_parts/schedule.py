"""The schedule of the DAGs: cron times, without those that were missed."""

from __future__ import annotations

from datetime import timedelta

from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable
from pendulum import DateTime, FixedTimezone, Timezone

LATEST = timedelta(hours=1)
"""How late Airflow may start a run that was due, for example after a restart of its scheduler."""


class OnTimeCronTimetable(CronTriggerTimetable):
    """Start runs at cron times, and leave out a time that is past by more than :data:`LATEST`.

    With a plain cron schedule, Airflow starts the last missed run at the moment when a DAG is unpaused, also with
    ``catchup=False``. Somebody who unpauses a DAG to trigger it by hand would start a second run.
    """

    @property
    def timezone(self) -> Timezone | FixedTimezone:
        """The zone of the cron times, for the record of a run."""
        return self._timezone

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next run: the first cron time after the last run that is not too late by now."""
        times = [self._align_to_next(_now() - LATEST)]
        if last_automated_data_interval is not None:
            times.append(self._get_next(last_automated_data_interval.end))
        if restriction.earliest is not None:
            times.append(self._align_to_next(restriction.earliest))
        due = max(times)
        return None if restriction.latest is not None and restriction.latest < due else DagRunInfo.exact(due)


def on_time(cron: str) -> OnTimeCronTimetable:
    """Return the schedule of a cron expression, in UTC: ``schedule=on_time("0 6 * * 1")``."""
    return OnTimeCronTimetable(cron, timezone="UTC")


def _now() -> DateTime:
    return DateTime.now("UTC")
