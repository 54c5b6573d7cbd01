"""Messages are claimed once, and requests that wait are found."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from rescind.ledger import Ledger
from tests.support.servers.postgres import as_owner

pytestmark = pytest.mark.postgres


def test_a_message_is_claimed_once_for_each_channel(ledger: Ledger) -> None:
    assert ledger.notices.claim("asked run-1 d1", "teams ops")
    assert not ledger.notices.claim("asked run-1 d1", "teams ops")
    assert ledger.notices.claim("asked run-1 d1", "wecom ops")
    assert ledger.notices.claim("asked run-1 d2", "teams ops")


def test_of_many_workers_at_once_one_may_send(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda _: ledger.notices.claim("asked", "teams ops"), range(24)))
    assert won.count(True) == 1


def test_what_was_told_is_listed_in_order_and_for_one_run_only(ledger: Ledger) -> None:
    for event in ("ended run-1", "ended run-1 2 b", "ended run-12 1 c", "asked run-1 d", "ended run-1 3 a"):
        ledger.notices.claim(event, "teams ops")
    ledger.notices.claim("ended run-1", "wecom ops")
    assert ledger.notices.told("ended run-1") == ["ended run-1", "ended run-1 2 b", "ended run-1 3 a"]
    assert ledger.notices.told("ended run-3") == []


@pytest.mark.parametrize("change", ["UPDATE rescind.notice SET channel = 'x'", "DELETE FROM rescind.notice"])
def test_a_claim_stays(ledger: Ledger, ledger_dsn: str, change: str) -> None:
    ledger.notices.claim("asked", "teams ops")
    with (
        psycopg.connect(as_owner(ledger_dsn)) as connection,
        pytest.raises(psycopg.errors.IntegrityConstraintViolation),
    ):
        connection.execute(change)
    assert not ledger.notices.claim("asked", "teams ops")
