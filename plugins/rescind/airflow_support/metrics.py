"""Metrics and tracing spans, through the metrics and tracing that Airflow is configured with.

Names begin with ``rescind.``: ``requests.read``, ``requests.write``, ``throttles``, ``wait_s`` and ``outcomes`` are
counters, ``in_flight`` is a gauge. The tags are the permission system and, for outcomes, the outcome. Ids of accounts,
people and resources are never part of a metric.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from airflow.sdk.observability import stats

PREFIX = "rescind."


class Metrics:
    """Report the counts of one task as they grow.

    :param system: name of the permission system, the tag of every metric.
    """

    def __init__(self, system: str) -> None:
        self._tags = {"system": system}
        self._told: dict[tuple[str, str], float] = {}

    def counts(self, counts: Mapping[str, int | float]) -> None:
        """Add the growth since the last call to each counter."""
        for name, value in counts.items():
            self._grow(name, "", value)

    def outcomes(self, outcomes: Mapping[str, int]) -> None:
        """Add the growth since the last call to the counter of each outcome."""
        for outcome, value in outcomes.items():
            self._grow("outcomes", outcome, value)

    def in_flight(self, value: int) -> None:
        """Set the number of writes in flight."""
        stats.gauge(f"{PREFIX}in_flight", value, tags=self._tags)

    def _grow(self, name: str, outcome: str, value: float) -> None:
        # Counters take integers: the fraction is added the next time.
        more = int(value - self._told.get((name, outcome), 0))
        if more > 0:
            self._told[name, outcome] = self._told.get((name, outcome), 0) + more
            tags = {**self._tags, "outcome": outcome} if outcome else self._tags
            stats.incr(f"{PREFIX}{name}", more, tags=tags)


@contextmanager
def span(name: str, facts: Mapping[str, str | int]) -> Iterator[Mapping[str, str | int]]:
    """Open one OpenTelemetry span. It is recorded only if tracing is configured.

    :param facts: attributes at the start; no ids of people or resources.
    """
    from opentelemetry import trace  # not while Dags are parsed

    attributes = {f"{PREFIX}{key}": value for key, value in facts.items()}
    with trace.get_tracer("rescind").start_as_current_span(f"{PREFIX}{name}", attributes=attributes):
        yield facts
