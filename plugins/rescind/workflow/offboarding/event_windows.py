"""Read the events of an asset although Airflow refuses an answer that holds an unreadable one.

Airflow returns the events between two times in one answer, and its client refuses the whole answer if one event in it
is nested too deeply. So the time is halved until each part can be read or lasts one microsecond, which is the unit in
which Airflow stores times. What was left out is then known to the microsecond.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

MOST_READS = 400
"""Most answers that are asked for. One unreadable event in seven days needs about 80."""
MOST_UNREADABLE = 4
"""More unreadable times than this mean that Airflow does not answer at all."""
MOST_SECONDS = 60.0
_UNIT = timedelta(microseconds=1)


@dataclass
class EventsRead:
    """The events of an asset between two times.

    :param found: the events that could be read.
    :param unreadable: times (UTC) of events that could not be read. All others were read.
    :param failed: why not everything could be read; then nothing is known about what is missing.
    """

    found: list[Any] = field(default_factory=list)
    unreadable: list[datetime] = field(default_factory=list)
    failed: Exception | None = None


def read_events_between(
    read: Callable[[datetime, datetime], list[Any]], since: datetime, until: datetime
) -> EventsRead:
    """Read the events between two times, both included, and step over those that cannot be read.

    :param read: returns the events between two times, both included, or raises.
    """
    result = EventsRead()
    parts, limit = [(since, until)], time.monotonic() + MOST_SECONDS
    for _ in range(MOST_READS):
        if not parts:
            return result
        start, end = parts.pop()
        try:
            result.found += read(start, end)
        except Exception as error:  # Airflow's client raises many kinds; the last one is returned if nothing helps
            refused = error
        else:
            continue
        if end <= start:
            result.unreadable.append(start)
        else:
            middle = start + (end - start) // 2
            parts += [(middle + _UNIT, end), (start, middle)]
        if len(result.unreadable) > MOST_UNREADABLE or time.monotonic() > limit:
            return EventsRead(failed=refused)
    return result if not parts else EventsRead(failed=TimeoutError(f"not within {MOST_READS} answers"))
