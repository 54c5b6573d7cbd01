"""Events are read around those that Airflow cannot read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rescind.workflow.offboarding.event_windows import MOST_READS, MOST_UNREADABLE, read_events_between

UNTIL = datetime(2026, 3, 8, 12, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=7)
UNIT = timedelta(microseconds=1)


class Asset:
    """An asset with events at these times. An answer that holds one of the bad ones is refused."""

    def __init__(self, good: list[datetime], bad: list[datetime]) -> None:
        self.good, self.bad, self.reads = good, bad, 0

    def read(self, start: datetime, end: datetime) -> list[datetime]:
        self.reads += 1
        if any(start <= at <= end for at in self.bad):
            raise ValueError("nested too deeply")
        return [at for at in self.good if start <= at <= end]


@pytest.mark.parametrize(
    "bad",
    [
        [],
        [SINCE],
        [UNTIL],
        [SINCE + timedelta(days=3, microseconds=17)],
        [SINCE + timedelta(hours=n, microseconds=n) for n in range(MOST_UNREADABLE)],
        [SINCE + timedelta(days=1), SINCE + timedelta(days=1) + UNIT],
    ],
)
def test_exactly_the_unreadable_events_are_left_out(bad: list[datetime]) -> None:
    beside = [at + step for at in bad for step in (-UNIT, UNIT) if SINCE <= at + step <= UNTIL]
    good = sorted({*beside, SINCE + timedelta(hours=100), UNTIL - timedelta(seconds=1)} - set(bad))
    asset = Asset(good, bad)
    result = read_events_between(asset.read, SINCE, UNTIL)
    assert (sorted(result.found), sorted(result.unreadable), result.failed) == (good, bad, None)
    assert asset.reads < MOST_READS


def test_more_of_them_are_reported_as_nothing_read() -> None:
    bad = [SINCE + timedelta(hours=n) for n in range(MOST_UNREADABLE + 1)]
    result = read_events_between(Asset([UNTIL], bad).read, SINCE, UNTIL)
    assert (result.found, result.unreadable, str(result.failed)) == ([], [], "nested too deeply")


def test_where_airflow_does_not_answer_no_event_is_blamed() -> None:
    calls = 0

    def down(start: datetime, end: datetime) -> list[datetime]:
        nonlocal calls
        calls += 1
        raise ConnectionError("no answer")

    result = read_events_between(down, SINCE, UNTIL)
    assert result.unreadable == [] and isinstance(result.failed, ConnectionError) and calls < 60


def test_an_answer_that_fails_once_hides_nothing() -> None:
    asset = Asset([SINCE, UNTIL], [])
    calls = 0

    def flaky(start: datetime, end: datetime) -> list[datetime]:
        nonlocal calls
        calls += 1
        if calls < 4:
            raise ConnectionError("no answer")
        return asset.read(start, end)

    result = read_events_between(flaky, SINCE, UNTIL)
    assert (sorted(result.found), result.unreadable, result.failed) == ([SINCE, UNTIL], [], None)


def test_it_gives_up_after_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0.0, 61.0])
    monkeypatch.setattr("rescind.workflow.offboarding.event_windows.time.monotonic", lambda: next(now))
    result = read_events_between(Asset([], [SINCE]).read, SINCE, UNTIL)
    assert result.unreadable == [] and isinstance(result.failed, ValueError)
