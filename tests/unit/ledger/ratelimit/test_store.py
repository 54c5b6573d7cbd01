from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest

from rescind.errors import LedgerError
from rescind.ledger import Ledger
from rescind.ledger.ratelimit import store as buckets
from rescind.ledger.ratelimit.store import BucketKey, Reservation
from rescind.ledger.store.database import Connection

pytestmark = pytest.mark.postgres

BUCKET: BucketKey = ("tencent", "100012345678", "ap-guangzhou", "RevokePrivileges")
PACE = 19.0


@pytest.fixture
def connection(ledger: Ledger) -> Iterator[Connection]:
    opened = ledger.database.connect(autocommit=True)
    buckets.announce(opened, BUCKET, "w1", 20.0, 1.0)
    yield opened
    opened.close()


def take(connection: Connection, count: int = 1, *, lead_s: float = 0.0, unused: int = 0) -> Reservation:
    return buckets.reserve(connection, BUCKET, count, lead_s=lead_s, unused=unused, jitter_s=0.0)


def instants(reservation: Reservation) -> list[float]:
    return [reservation.at + number * reservation.gap_s for number in range(reservation.count)]


def test_instants_follow_each_other_without_gap_or_overlap(connection: Connection) -> None:
    handed = [at for count in (1, 4, 2, 1) for at in instants(take(connection, count))]
    assert [b - a for a, b in pairwise(handed)] == pytest.approx([1 / PACE] * 7, abs=1e-5)


def test_the_first_instant_is_in_the_future_by_the_lead_and_by_the_databases_clock(connection: Connection) -> None:
    first = take(connection, lead_s=5.0)
    assert 4.5 < first.in_s <= 5.0
    assert take(connection).in_s == pytest.approx(first.in_s + 1 / PACE, abs=0.5)


def test_an_idle_lane_saves_nothing_up(connection: Connection) -> None:
    take(connection)
    connection.execute("UPDATE rescind.lane SET next_at = clock_timestamp() - interval '1 hour'")
    again = take(connection, 3)
    assert -0.5 < again.in_s <= 0.001
    assert again.gap_s == pytest.approx(1 / PACE)


def test_many_threads_get_every_instant_once(ledger: Ledger, connection: Connection) -> None:
    buckets.announce(connection, BUCKET, "w1", 2000.0, 1.0)
    connection.execute("UPDATE rescind.lane SET pace = 1000")
    handed: list[float] = []

    def work(seed: int) -> None:
        choose = random.Random(seed)
        mine = ledger.database.connect(autocommit=True)
        for _ in range(40):
            handed.extend(instants(take(mine, choose.randint(1, 9), lead_s=30.0)))
        mine.close()

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gaps = [b - a for a, b in pairwise(sorted(handed))]
    # A lead far ahead of all of them: the bucket is busy throughout, so nothing may be left out either.
    assert min(gaps) > 0.99e-3
    assert ledger.buckets.states()[0].handed == len(handed)


WORKER = """
import json, sys
from rescind.ledger.ratelimit import store
from rescind.ledger.store.database import Database
connection = Database(sys.argv[1]).connect(autocommit=True)
bucket = tuple(json.loads(sys.argv[2]))
found = []
for number in range(60):
    r = store.reserve(connection, bucket, 1 + number % 5, lead_s=0.0, unused=0, jitter_s=0.0)
    found += [r.at + n * r.gap_s for n in range(r.count)]
connection.close()
print(json.dumps(found))
"""


def test_processes_get_every_instant_once(ledger_dsn: str, connection: Connection) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, ledger_dsn, json.dumps(BUCKET)],
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(Path(__file__).parents[4] / "plugins")},
        )
        for _ in range(2)
    ]
    handed = sorted(at for worker in workers for at in json.loads(worker.communicate(timeout=60)[0]))
    assert len(handed) == 2 * 180
    assert min(b - a for a, b in pairwise(handed)) > 1 / PACE - 1e-5


def test_instants_that_were_not_used_do_not_count_as_sent(ledger: Ledger, connection: Connection) -> None:
    take(connection, 5)
    take(connection, 2, unused=3)
    assert ledger.buckets.states()[0].handed == 4


def test_a_lane_that_was_never_announced_is_an_error(connection: Connection) -> None:
    with pytest.raises(LedgerError, match="does not exist in the ledger any more"):
        buckets.reserve(connection, ("a", "b", "c", "d"), 1, lead_s=0, unused=0, jitter_s=0)


def test_lanes_are_apart(connection: Connection) -> None:
    other = (*BUCKET[:3], "AuthorizePrivileges")
    buckets.announce(connection, other, "w1", 20.0, 1.0)
    take(connection, 100)
    assert buckets.reserve(connection, other, 1, lead_s=0, unused=0, jitter_s=0).in_s <= 0.001


def test_workers_are_counted_while_they_are_seen(connection: Connection) -> None:
    assert buckets.announce(connection, BUCKET, "w2", 20.0, 1.0) == 2
    assert buckets.announce(connection, BUCKET, "w2", 20.0, 1.0) == 2
    connection.execute("UPDATE rescind.lane_worker SET seen_at = seen_at - interval '1 minute' WHERE worker = 'w1'")
    assert buckets.announce(connection, BUCKET, "w2", 20.0, 1.0) == 1


def test_a_lower_limit_takes_effect_at_once_and_a_higher_one_in_steps(ledger: Ledger, connection: Connection) -> None:
    buckets.announce(connection, BUCKET, "w1", 20.0, 0.5)
    (bucket,) = ledger.buckets.states()
    assert (bucket.limit, bucket.share, bucket.pace) == (20.0, 0.5, pytest.approx(9.5))
    assert take(connection).limit == 10.0
    buckets.announce(connection, BUCKET, "w1", 40.0, 1.0)
    assert ledger.buckets.states()[0].pace == pytest.approx(9.5)
    buckets.adjust(connection, BUCKET)
    assert 9.5 < ledger.buckets.states()[0].pace <= 40.0


def test_a_refusal_stops_everybody_and_slows_everybody_down(ledger: Ledger, connection: Connection) -> None:
    take(connection, 3)
    buckets.report_throttled(connection, BUCKET, refused=1, unused=2, retry_after=4.0, age_s=0.05)
    (bucket,) = ledger.buckets.states()
    assert (bucket.throttles, bucket.handed) == (1, 1)
    assert bucket.pace < 0.75 * PACE
    with ledger.database.connect(autocommit=True) as other:
        assert 3.0 < take(other).in_s <= 4.0
    # The second refusal of the same moment is counted and changes nothing else.
    buckets.report_throttled(connection, BUCKET, refused=2, unused=0, retry_after=0.0, age_s=0.1)
    assert ledger.buckets.states()[0].throttles == 3
    assert ledger.buckets.states()[0].pace == bucket.pace


def test_the_pace_is_looked_at_by_one_at_a_time_and_not_too_often(ledger: Ledger, connection: Connection) -> None:
    assert take(connection).stale
    with ledger.database.connect() as other:
        other.execute("SELECT 1 FROM rescind.lane FOR UPDATE")
        buckets.adjust(connection, BUCKET)
        assert ledger.buckets.states()[0].margin == pytest.approx(0.95)
    buckets.adjust(connection, BUCKET)
    first = connection.execute("SELECT adjusted_at FROM rescind.lane").fetchone()
    buckets.adjust(connection, BUCKET)
    assert connection.execute("SELECT adjusted_at FROM rescind.lane").fetchone() == first
    assert not take(connection).stale


def test_a_reservation_tells_whether_the_kill_switch_is_set(ledger: Ledger, connection: Connection) -> None:
    assert not take(connection).stopped
    ledger.kill_switch.stop("olga", "incident")
    assert take(connection).stopped
    ledger.kill_switch.resume("olga", "over")
    assert not take(connection).stopped


def test_tolerance_is_what_the_margin_leaves(connection: Connection) -> None:
    assert take(connection).tolerance_s == pytest.approx(20 / 19 - 1)


def test_a_broken_limit_is_refused_by_the_database(connection: Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        buckets.announce(connection, BUCKET, "w1", 0.0, 1.0)
