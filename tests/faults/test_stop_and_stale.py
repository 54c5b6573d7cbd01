"""Stopping between two calls and going on later; grants that somebody gave again meanwhile."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.reviews.journal_check import journal_problems
from tests.support.reviews.review import Review, ReviewBench
from tests.support.servers.postgres import tampering

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
WRITES = ("RevokePrivileges", "RevokeDataSourceAuthorization", "RevokeUserPermission", "CancelAuthorizationMenu")
SLOW = {"*": 500.0, **dict.fromkeys(WRITES, 4.0)}
"""Four writes a second: slow enough to be stopped in the middle of a batch."""


def _planned(bench: Bench, **options: Any) -> tuple[Review, dict[str, str]]:
    """An approved plan, and its one batch of DMS calls."""
    review = bench(**options).run(dry_run=False)
    review.through_plan()
    review.approve()
    (batch,) = [b for b in review.batches if b["label"].startswith("DMS")]
    return review, batch


def _slow_answers(review: Review) -> None:
    """Answers take longer than the next place under the limit: something is always in flight."""
    fault = {"id": "slow", "kind": "delay", "action": "RevokeUserPermission", "seconds": 0.6, "times": 0}
    review.bench.emulator.post("faults", {"faults": [fault], "replace": True})


def _operator(batch: dict[str, str]) -> Any:
    from rescind.operators.revoke import RevokeBatchOperator

    return RevokeBatchOperator(task_id="revoke", batch=batch)


def _wait_for_a_write(review: Review, count: int = 1) -> None:
    until = time.monotonic() + 60
    while len(review.bench.emulator.writes()) < count:
        assert time.monotonic() < until, "no write arrives"
        time.sleep(0.02)


def _whole(review: Review) -> None:
    """Send what is left; nothing was done twice, everything is proven."""
    review.bench.limits = {"*": 500.0}
    review.bench.configure()
    with tampering(review.bench.ledger_dsn) as connection:
        connection.execute("DELETE FROM rescind.lane")
    review.revoke()
    review.verify()
    assert journal_problems(review, retries=0) == []
    assert review.report()["problems"] == []


def test_the_stop_variable_stops_a_batch_in_its_middle_and_the_run_resumes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    review, batch = _planned(bench, limits=SLOW)
    _slow_answers(review)
    raised: list[BaseException] = []

    def send() -> None:
        try:
            _operator(batch).execute(review.context("revoke"))
        except BaseException as error:
            raised.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    _wait_for_a_write(review)
    monkeypatch.setenv("AIRFLOW_VAR_RESCIND_STOP", '{"reason": "incident 17", "by": "ada"}')
    sender.join(60)
    assert "RunStoppedError: the kill switch in Airflow is set: incident 17 (by ada)" in str(raised[0])
    assert type(raised[0]).__name__ == "AirflowFailException"
    sent = len(review.bench.emulator.writes())
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        (stored,) = [b for b in ledger.plans.batches(run.run_id) if b.batch_id == batch["batch"]]
        open_calls = [c for c in ledger.plans.calls(run.run_id, batch["batch"]) if c.state == "pending"]
        unknown = [c for c in ledger.plans.calls(run.run_id, batch["batch"]) if c.state == "unknown"]
    assert 0 < sent < stored.calls and len(open_calls) == stored.calls - sent and stored.state == "open"
    assert unknown == [], "what was in flight has its outcome"
    with pytest.raises(Exception, match="incident 17"):
        review.revoke()
    with pytest.raises(Exception, match="rescind_stop"):
        review.bench.run("manual__2").preflight()
    assert len(review.bench.emulator.writes()) == sent
    monkeypatch.delenv("AIRFLOW_VAR_RESCIND_STOP")
    _whole(review)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGALRM])
def test_a_task_that_is_told_to_end_leaves_a_batch_that_goes_on_later(bench: Bench, number: signal.Signals) -> None:
    from rescind.errors import RunInterruptedError

    review, batch = _planned(bench, limits=SLOW)
    _slow_answers(review)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            operator = _operator(batch)
            # As Airflow does in a task's process: SIGALRM is its execution timeout. SIGINT is left to Python.
            signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
            signal.signal(signal.SIGALRM, _time_is_up)
            operator.execute(review.context("revoke"))
        except RunInterruptedError:
            code = 3
        except _TimeIsUp:
            code = 5
        except KeyboardInterrupt:
            code = 4
        finally:
            os._exit(code)
    _wait_for_a_write(review)
    os.kill(child, number)
    codes = {signal.SIGTERM: 3, signal.SIGINT: 4, signal.SIGALRM: 5}
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == codes[number]
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        (stored,) = [b for b in ledger.plans.batches(run.run_id) if b.batch_id == batch["batch"]]
        unknown = [c for c in ledger.plans.calls(run.run_id, batch["batch"]) if c.state in ("sent", "unknown")]
    # Told to end, a task takes down the answers that are on their way; the other two tear it out of its work.
    assert (unknown == []) == (number == signal.SIGTERM)
    assert stored.state == "open" and 0 < len(review.bench.emulator.writes()) < stored.calls
    _whole(review)


class _TimeIsUp(BaseException):
    """What Airflow raises wherever the task happens to be."""


def _time_is_up(*_: Any) -> None:
    raise _TimeIsUp


def test_two_deliveries_of_one_batch_at_once_send_each_call_once(bench: Bench) -> None:
    review, batch = _planned(bench, limits=SLOW)
    ends: list[str] = []

    def send() -> None:
        try:
            _operator(batch).execute(review.context("revoke"))
            ends.append("whole")
        except Exception as error:
            ends.append(type(error).__name__)

    senders = [threading.Thread(target=send) for _ in range(2)]
    senders[0].start()
    _wait_for_a_write(review)
    senders[1].start()
    for sender in senders:
        sender.join(90)
    assert sorted(ends) == ["LeaseLostError", "whole"]
    _whole(review)


def _items(review: Review, state: str) -> list[Any]:
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        found = [item for item in ledger.plans.items(run.run_id) if item.state == state]
        grants = ledger.snapshot.grants_by_id(run.run_id, [item.grant_id for item in found])
        return [(item, grants[item.grant_id]) for item in found]


def _records(review: Review) -> dict[str, dict[str, Any]]:
    return {row["user_access_id"]: row for row in review.bench.emulator.get("truth")["dms_permissions"]}


def _given_again(row: dict[str, Any]) -> dict[str, Any]:
    names = (
        "user_id",
        "ds_type",
        "instance_id",
        "db_id",
        "logic",
        "table_id",
        "table_name",
        "column_name",
        "perm_type",
    )
    return {"op": "grant", "system": "dms_permissions", **{name: row[name] for name in names}}


def test_a_grant_that_was_given_again_after_a_lost_answer_is_stale_and_left_alone(bench: Bench) -> None:
    review, batch = _planned(bench)
    before = _records(review)
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        call = next(iter(ledger.plans.calls(run.run_id, batch["batch"])))
    (record,) = call.planned.rows
    where = {"UserAccessId": record}
    again = {"ops": [_given_again(before[record])], "when": "after"}
    faults = [
        {"id": "lost", "kind": "reset_after", "action": "RevokeUserPermission", "where": where},
        {"id": "given", "kind": "mutate", "action": "RevokeUserPermission", "where": where, **again},
    ]
    review.bench.emulator.post("faults", {"faults": faults, "replace": True})
    review.revoke()
    assert review.bench.emulator.get("faults")["all_fired"]
    ((item, grant),) = _items(review, "stale")
    assert grant.key.native_id == record and "re-granted since the plan" in item.reason
    review.revoke()
    new = [row for ident, row in _records(review).items() if ident not in before]
    assert len(new) == 1 and new[0]["user_id"] == before[record]["user_id"], "the new grant stands"
    assert len([w for w in review.bench.emulator.writes() if w["params"].get("UserAccessId") == record]) == 1
    review.verify()
    assert journal_problems(review, retries=0) == []
    summary = review.report()
    assert [f["verdict"] for f in summary["findings"] if f["native_id"] == record] == ["stale"]
    assert summary["problems"], "access that somebody gave again is for a person to look at"


def test_a_grant_with_another_creation_time_is_stale(bench: Bench) -> None:
    review, batch = _planned(bench)
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        call = next(iter(ledger.plans.calls(run.run_id, batch["batch"])))
    (record,) = call.planned.rows
    with tampering(review.bench.ledger_dsn) as connection:
        # As if the record had been made again under its old id between the snapshot and the read-back.
        connection.execute(
            "UPDATE rescind.grant_row SET created_raw = '2001-01-01 00:00:00' WHERE native_id = %s", (record,)
        )
    fault = {"id": "lost", "kind": "close_before", "action": "RevokeUserPermission", "where": {"UserAccessId": record}}
    review.bench.emulator.post("faults", {"faults": [fault], "replace": True})
    review.revoke()
    ((item, grant),) = _items(review, "stale")
    assert grant.key.native_id == record and "another creation time" in item.reason
    assert record in _records(review)


def test_a_second_record_that_was_known_all_along_makes_nothing_stale(bench: Bench) -> None:
    setup = bench()
    first = setup.run("manual__0", dry_run=True)
    first.through_plan()
    with first.ledger() as ledger:
        run = ledger.runs.find("access_review", first.run_id)
        call = next(c for c in ledger.plans.calls(run.run_id) if c.planned.system == "dms_permissions")
    (record,) = call.planned.rows
    twin = _given_again({row["user_access_id"]: row for row in setup.emulator.get("truth")["dms_permissions"]}[record])
    setup.emulator.post("mutate", {"ops": [twin]})
    review = setup.run(dry_run=False)
    review.through_plan()
    review.approve()
    fault = {"id": "lost", "kind": "reset_after", "action": "RevokeUserPermission", "where": {"UserAccessId": record}}
    setup.emulator.post("faults", {"faults": [fault], "replace": True})
    review.revoke()
    assert setup.emulator.get("faults")["all_fired"]
    assert _items(review, "stale") == []
    review.verify()
    assert journal_problems(review, retries=0) == []
    assert review.report()["problems"] == []


def test_what_others_took_away_meanwhile_is_absent_and_not_claimed(bench: Bench) -> None:
    review, batch = _planned(bench)
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        call = next(iter(ledger.plans.calls(run.run_id, batch["batch"])))
    (record,) = call.planned.rows
    operation = {"op": "revoke", "system": "dms_permissions", "user_access_id": record}
    assert review.bench.emulator.post("mutate", {"ops": [operation]})["changed"] == [True]
    review.revoke()
    ((item, grant),) = _items(review, "refused")
    assert grant.key.native_id == record and item.state == "refused"
    review.verify()
    assert journal_problems(review, retries=0) == []
    assert review.report()["problems"] == []
    with review.ledger() as ledger:
        verdicts = {verdict.grant_id: str(verdict.verdict) for verdict in ledger.verdicts.latest(run.run_id)}
    assert verdicts[grant.grant_id] == "already_absent"


def test_a_revocation_that_somebody_marked_as_done_ends_red(bench: Bench) -> None:
    review, _ = _planned(bench)
    # Nothing was sent, whatever state the tasks show; verification and gate look at the platforms.
    review.verify()
    assert review.report()["problems"]
    with pytest.raises(Exception, match="not proven gone"):
        review.gate()
    assert review.bench.emulator.writes() == []
