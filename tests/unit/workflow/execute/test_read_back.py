"""After an unknown outcome the platform is read, and only what it shows as planned is sent again."""

from __future__ import annotations

import asyncio

import pytest

from rescind.errors import PlanStaleError
from rescind.ledger import Lease, Ledger
from rescind.ledger.store.errors import CallSettledError
from rescind.model import Grant
from rescind.systems.base import ListingScope
from rescind.workflow.execute.read_back import read_back
from tests.support.ledger.attempts import attempts, claim, send, states
from tests.support.ledger.runs import Frozen, approve, begin, decide, freeze, list_scope
from tests.support.scripted import BY_RESOURCE, FAILURES, NO_CLIENT, NOT_THERE, Answer, ScriptedDms, dms_record

pytestmark = pytest.mark.postgres
MINE = dms_record(created_raw="2026-01-01 00:00:00")
BESIDE = dms_record(2, "51002")


def lost(ledger: Ledger, *also: Grant) -> tuple[Frozen, Lease]:
    """A run that sent its one call and has no answer."""
    run = begin(ledger)
    list_scope(ledger, run, [MINE, BESIDE, *also])
    decide(ledger, run, [MINE, BESIDE, *also], [MINE])
    frozen = freeze(ledger, run, [[MINE]])
    approve(ledger, frozen)
    lease = claim(ledger, frozen)
    ledger.attempts.finish(send(ledger, lease, frozen).attempt_id, "unknown")
    return frozen, lease


def read(ledger: Ledger, run: Frozen, lease: Lease, *answers: Answer) -> tuple[bool, list[ListingScope]]:
    """Whether the call is open again, and what was listed."""
    (call,) = ledger.plans.calls(run.run.run_id)
    system = ScriptedDms({BY_RESOURCE: list(answers)})
    return asyncio.run(read_back(ledger, system, NO_CLIENT, lease, call)), system.asked


@pytest.mark.parametrize("how", [*FAILURES, "not there"])
def test_a_read_that_fails_opens_nothing(ledger: Ledger, how: str) -> None:
    run, lease = lost(ledger)
    assert read(ledger, run, lease, {**FAILURES, "not there": NOT_THERE}[how]) == (False, [BY_RESOURCE])
    assert states(ledger, run) == ("unknown", {"unknown"})
    assert list(ledger.verdicts.every(run.run.run_id)) == []
    with pytest.raises(CallSettledError, match="is unknown"):
        send(ledger, lease, run)
    assert len(attempts(ledger, run)) == 1


def test_what_is_shown_as_planned_may_be_sent_again(ledger: Ledger) -> None:
    run, lease = lost(ledger)
    assert read(ledger, run, lease, (MINE, BESIDE)) == (True, [BY_RESOURCE])
    assert states(ledger, run) == ("pending", {"approved"})
    assert send(ledger, lease, run).n == 2


@pytest.mark.parametrize("shown", [(), (BESIDE,)])
def test_what_is_not_shown_stays_unknown(ledger: Ledger, shown: tuple[Grant, ...]) -> None:
    run, lease = lost(ledger)
    assert read(ledger, run, lease, shown)[0] is False
    assert states(ledger, run) == ("unknown", {"unknown"})


AGAIN = Grant(MINE.key._replace(native_id="r99"), MINE.cell, attributes=MINE.attributes)
LATER = Grant(MINE.key, MINE.cell, attributes=MINE.attributes, created_raw="2026-02-02 00:00:00")
UNDATED = Grant(MINE.key, MINE.cell, attributes=MINE.attributes)


@pytest.mark.parametrize("shown", [(AGAIN,), (LATER,), (BESIDE, AGAIN)], ids=["record", "time", "beside"])
def test_what_somebody_granted_since_is_left_alone(ledger: Ledger, shown: tuple[Grant, ...]) -> None:
    run, lease = lost(ledger)
    assert read(ledger, run, lease, shown)[0] is False
    assert states(ledger, run) == ("stale", {"stale"})
    with pytest.raises((CallSettledError, PlanStaleError)):
        send(ledger, lease, run)


@pytest.mark.parametrize("shown", [(UNDATED,), (MINE, AGAIN)], ids=["no time", "both records"])
def test_the_record_of_the_plan_goes_whatever_stands_beside_it(ledger: Ledger, shown: tuple[Grant, ...]) -> None:
    run, lease = lost(ledger)
    assert read(ledger, run, lease, shown)[0] is True


def test_a_second_record_of_the_snapshot_is_no_new_grant(ledger: Ledger) -> None:
    run, lease = lost(ledger, AGAIN)
    assert read(ledger, run, lease, (AGAIN,))[0] is False
    assert states(ledger, run) == ("unknown", {"unknown"}), "the planned record is not shown, and nothing is new"
