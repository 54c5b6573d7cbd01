from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from rescind.errors import InputError, LedgerError, RetainedGrantLostError, RunStoppedError
from rescind.ledger import Ledger, RetainedCheck, VerdictRecord
from rescind.model import Verdict
from tests.support.ledger.attempts import claim, refuse, send
from tests.support.ledger.runs import ACCOUNT, SYSTEM, begin, frozen_run, grant, list_scope, ready_run
from tests.support.servers.postgres import as_owner

pytestmark = pytest.mark.postgres
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_the_latest_verdict_counts_and_the_history_stays(ledger: Ledger) -> None:
    run = frozen_run(ledger)
    run_id, grants = run.run.run_id, run.grants
    first = VerdictRecord(grants[0].grant_id, Verdict.STILL_PRESENT, "listing", NOW)
    # Recorded later counts, even when an old observation comes in late.
    second = VerdictRecord(
        grants[0].grant_id, Verdict.STILL_EFFECTIVE, "effective", NOW - timedelta(hours=1), "group g1", {"members": 4}
    )
    other = VerdictRecord(grants[1].grant_id, Verdict.VERIFIED_GONE, "listing", NOW)
    assert ledger.verdicts.record(run_id, [first, other]) == 2
    assert ledger.verdicts.record(run_id, [second]) == 1
    assert list(ledger.verdicts.latest(run_id)) == sorted([second, other], key=lambda record: record.grant_id)
    assert list(ledger.verdicts.latest(run_id, verdict=Verdict.VERIFIED_GONE)) == [other]
    assert list(ledger.verdicts.latest(run_id, system=SYSTEM)) == list(ledger.verdicts.latest(run_id))
    assert list(ledger.verdicts.latest(run_id, system="dms_permissions")) == []
    history = [one for one, _ in ledger.verdicts.every(run_id) if one.grant_id == grants[0].grant_id]
    assert history == [first, second]


def test_verdicts_are_about_items_only_and_all_or_none(ledger: Ledger) -> None:
    run = frozen_run(ledger)
    kept = grant(9)
    with pytest.raises(LedgerError, match="1 verdicts are about grants that are not items"):
        ledger.verdicts.record(
            run.run.run_id,
            [VerdictRecord(one.grant_id, Verdict.VERIFIED_GONE, "m", NOW) for one in (run.grants[0], kept)],
        )
    assert list(ledger.verdicts.latest(run.run.run_id)) == []


def test_verdicts_cannot_be_changed(ledger: Ledger, ledger_dsn: str) -> None:
    run = frozen_run(ledger)
    ledger.verdicts.record(run.run.run_id, [VerdictRecord(run.grants[0].grant_id, Verdict.UNVERIFIED, "m", NOW)])
    for statement in ("UPDATE rescind.verdict SET verdict = 'verified_gone'", "DELETE FROM rescind.verdict"):
        with (
            psycopg.connect(as_owner(ledger_dsn)) as connection,
            pytest.raises(psycopg.errors.IntegrityError, match="append only"),
        ):
            connection.execute(statement)


def test_a_verdict_does_not_touch_the_item(ledger: Ledger) -> None:
    run = ready_run(ledger)
    ledger.verdicts.record(run.run.run_id, [VerdictRecord(run.grants[0].grant_id, Verdict.ALREADY_ABSENT, "m", NOW)])
    assert {item.state for item in ledger.plans.items(run.run.run_id)} == {"approved"}


def test_kept_checks_come_back_the_latest_of_each_place(ledger: Ledger) -> None:
    run = begin(ledger)
    first = RetainedCheck(SYSTEM, ACCOUNT, 6, ["a" * 64], True, NOW, {"pages": 2})
    second = RetainedCheck(SYSTEM, ACCOUNT, 6, [], True, NOW, {})
    for check in (first, second):
        ledger.verdicts.record_retained(run.run_id, check)
    assert ledger.verdicts.retained(run.run_id) == [second]


def test_nothing_is_sent_while_a_retained_grant_is_lost(ledger: Ledger) -> None:
    """The latest check of each system and account counts, also one of another account than the call's."""
    run = ready_run(ledger)
    lease = claim(ledger, run)
    for account in (ACCOUNT, "alibaba:2:cn-hangzhou"):
        ledger.verdicts.record_retained(run.run.run_id, RetainedCheck(SYSTEM, account, 6, ["a" * 64], True, NOW, {}))
        refuse(ledger, lease, run, RetainedGrantLostError, "1 retained grants are missing")
        ledger.verdicts.record_retained(run.run.run_id, RetainedCheck(SYSTEM, account, 6, [], True, NOW, {}))
    assert send(ledger, lease, run).n == 1


def test_the_kill_switch(ledger: Ledger, ledger_dsn: str) -> None:
    ledger.kill_switch.raise_if_stopped()
    assert ledger.kill_switch.state() is None
    ledger.kill_switch.stop(" olga ", "incident 7")
    with pytest.raises(RunStoppedError, match=r"by 'olga' at .*'incident 7'.*resume --by"):
        ledger.kill_switch.raise_if_stopped()
    event = ledger.kill_switch.resume("otto", "over")
    ledger.kill_switch.raise_if_stopped()
    assert ledger.kill_switch.state() == event
    assert [(one.stopped, one.changed_by) for one in ledger.kill_switch.history()] == [(True, "olga"), (False, "otto")]
    with (
        psycopg.connect(as_owner(ledger_dsn)) as connection,
        pytest.raises(psycopg.errors.IntegrityError, match="append only"),
    ):
        connection.execute("DELETE FROM rescind.kill_switch")


@pytest.mark.parametrize(("by", "reason"), [("", "x"), ("x", " ")])
def test_the_kill_switch_wants_a_name_and_a_reason(ledger: Ledger, by: str, reason: str) -> None:
    with pytest.raises(InputError, match="empty text"):
        ledger.kill_switch.stop(by, reason)
    assert ledger.kill_switch.state() is None


def test_the_summary_has_a_line_for_every_place_and_every_item_is_counted_once(ledger: Ledger) -> None:
    run = ready_run(ledger, groups=3)
    run_id = run.run.run_id
    lease = ledger.batches.claim(run_id, run.batch_id, "w")

    def attempt(call: int, outcome: str) -> None:
        begun = ledger.attempts.begin(
            lease, run.call_ids[call], plan_digest=run.plan.digest, request_digest="d", action="A", version="1"
        )
        ledger.attempts.finish(begun.attempt_id, outcome)

    attempt(0, "throttled")
    attempt(0, "accepted")
    attempt(1, "unknown")
    ledger.verdicts.record(
        run_id, [VerdictRecord(one.grant_id, Verdict.VERIFIED_GONE, "m", NOW) for one in run.calls[run.call_ids[0]]]
    )
    (line,) = ledger.summary.per_system(run_id)
    assert (line.discovered, line.complete, line.keep, line.revoke, line.items) == (10, True, 4, 6, 6)
    by_state = line.held + line.accepted + line.refused + line.unknown + line.stale + line.expired + line.restored
    assert by_state + line.not_sent == line.items
    assert (line.accepted, line.unknown, line.not_sent) == (2, 2, 2)
    by_verdict = line.verified_gone + line.already_absent + line.still_present + line.still_effective + line.unverified
    assert by_verdict + line.without_verdict == line.items
    assert (line.calls, line.attempts, line.throttled, line.verified_gone) == (3, 3, 1, 2)


def test_a_run_without_a_plan_has_a_summary_too(ledger: Ledger) -> None:
    run = begin(ledger)
    list_scope(ledger, run, [grant(1)], complete=False)
    (line,) = ledger.summary.per_system(run.run_id)
    assert (line.discovered, line.complete, line.items, line.calls) == (1, False, 0, 0)
