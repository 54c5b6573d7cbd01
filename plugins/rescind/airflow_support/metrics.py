"""Figures for a metrics system and spans for a tracing one, through whatever Airflow is configured with.

Names begin with ``rescind.``: ``requests.read``, ``requests.write``, ``throttles``, ``wait_s`` and ``outcomes`` are
counters, ``in_flight`` is a gauge. Tags are the permission system, and the outcome where there is one; ids of
accounts, people and resources are never part of a metric.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from airflow.sdk.observability import stats

PREFIX = "rescind."


class Metrics:
    """Reports one task's counts as they grow.

    :param system: name of the permission system, the tag of everything.
    """

    def __init__(self, system: str) -> None:
        self._tags = {"system": system}
        self._told: dict[tuple[str, str], float] = {}

    def counts(self, counts: Mapping[str, int | float]) -> None:
        """Add what has come since the last time to each counter."""
        for name, value in counts.items():
            self._grow(name, "", value)

    def outcomes(self, outcomes: Mapping[str, int]) -> None:
        """The same for calls by outcome."""
        for outcome, value in outcomes.items():
            self._grow("outcomes", outcome, value)

    def in_flight(self, value: int) -> None:
        """Writes that are in the air now."""
        stats.gauge(f"{PREFIX}in_flight", value, tags=self._tags)

    def _grow(self, name: str, outcome: str, value: float) -> None:
        # Counters take whole numbers: what is left over is told the next time.
        more = int(value - self._told.get((name, outcome), 0))
        if more > 0:
            self._told[name, outcome] = self._told.get((name, outcome), 0) + more
            tags = {**self._tags, "outcome": outcome} if outcome else self._tags
            stats.incr(f"{PREFIX}{name}", more, tags=tags)


@contextmanager
def span(name: str, facts: Mapping[str, str | int]) -> Iterator[Mapping[str, str | int]]:
    """One OpenTelemetry span; recorded where tracing is configured, free of cost elsewhere.

    :param facts: attributes at its begin; no ids of people or resources.
    """
    from opentelemetry import trace  # not while Dags are parsed

    attributes = {f"{PREFIX}{key}": value for key, value in facts.items()}
    with trace.get_tracer("rescind").start_as_current_span(f"{PREFIX}{name}", attributes=attributes):
        yield facts
