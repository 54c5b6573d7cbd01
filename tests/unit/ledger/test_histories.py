"""Any order of claims, intents, outcomes, read-backs and kill switches, against a model of a few lines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from rescind.errors import LeaseLostError, RunStoppedError
from rescind.ledger import Lease, Ledger
from rescind.ledger.store.errors import CallSettledError, RecordConflictError
from tests.support.ledger.runs import approve, begin, decide, freeze, grant, list_scope

pytestmark = pytest.mark.postgres

AFTER = {
    "accepted": "accepted",
    "refused": "refused",
    "unknown": "unknown",
    "throttled": "pending",
    "not_sent": "pending",
}
ITEM = {"pending": "approved", "sent": "sent", "accepted": "accepted", "refused": "refused", "unknown": "unknown"}
CALLS = st.integers(0, 2)
_names = count()


class Histories(RuleBasedStateMachine):
    ledger: ClassVar[Ledger]

    def __init__(self) -> None:
        super().__init__()
        name = f"history {next(_names)}"
        run = begin(self.ledger, name)
        grants = [grant(number, account=name) for number in range(6)]
        list_scope(self.ledger, run, grants)
        decide(self.ledger, run, grants, grants)
        self.frozen = freeze(self.ledger, run, [grants[:2], grants[2:4], grants[4:]])
        approve(self.ledger, self.frozen)
        self.run_id = run.run_id
        self.leases: list[Lease] = []
        self.states = ["pending"] * 3
        self.intents: dict[int, tuple[int, int]] = {}
        self.outcomes: dict[int, str] = {}
        self.stopped = False
        self.claim()

    def tries(self, call: int) -> int:
        return sum(
            which == call and self.outcomes.get(name) != "throttled" for name, (which, _) in self.intents.items()
        )

    @rule()
    def claim(self) -> None:
        self.leases.append(self.ledger.batches.claim(self.run_id, self.frozen.batch_id, f"w{len(self.leases)}"))
        self.states = ["unknown" if state == "sent" else state for state in self.states]

    @rule(call=CALLS, late=st.booleans())
    def send(self, call: int, late: bool) -> None:
        lease = self.leases[-2] if late and len(self.leases) > 1 else self.leases[-1]
        expected: type[Exception] | None = None
        if lease is not self.leases[-1]:
            expected = LeaseLostError
        elif self.stopped:
            expected = RunStoppedError
        elif self.states[call] != "pending" or self.tries(call) >= self.ledger.attempts.max_attempts:
            expected = CallSettledError
        given: dict[str, Any] = {"plan_digest": self.frozen.plan.digest, "request_digest": "d", "action": "A"}
        if expected is not None:
            with pytest.raises(expected):
                self.ledger.attempts.begin(lease, self.frozen.call_ids[call], version="1", **given)
            return
        attempt = self.ledger.attempts.begin(lease, self.frozen.call_ids[call], version="1", **given)
        self.intents[attempt.attempt_id] = (call, lease.epoch)
        self.states[call] = "sent"

    @precondition(lambda self: self.intents)
    @rule(data=st.data(), outcome=st.sampled_from(sorted(AFTER)))
    def answer(self, data: st.DataObject, outcome: str) -> None:
        attempt_id = data.draw(st.sampled_from(sorted(self.intents)))
        call, epoch = self.intents[attempt_id]
        if attempt_id in self.outcomes:
            with pytest.raises(RecordConflictError):
                self.ledger.attempts.finish(attempt_id, outcome)
            return
        if epoch == self.leases[-1].epoch:
            self.ledger.attempts.finish(attempt_id, outcome)
            self.states[call] = AFTER[outcome]
        else:
            with pytest.raises(LeaseLostError):
                self.ledger.attempts.finish(attempt_id, outcome)
        self.outcomes[attempt_id] = outcome

    @rule(call=CALLS)
    def read_back(self, call: int) -> None:
        given: dict[str, Any] = {
            "method": "listing",
            "reason": "seen",
            "observed_at": datetime.now(UTC) + timedelta(1),
        }
        name = self.frozen.call_ids[call]
        present = [one.grant_id for one in self.frozen.calls[name]]
        if self.states[call] in ("unknown", "refused", "accepted"):
            self.ledger.batches.reopen(self.leases[-1], name, present=present, **given)
            self.states[call] = "pending"
        else:
            with pytest.raises((CallSettledError, RecordConflictError)):
                self.ledger.batches.reopen(self.leases[-1], name, present=present, **given)

    @rule()
    def switch(self) -> None:
        self.stopped = not self.stopped
        (self.ledger.kill_switch.stop if self.stopped else self.ledger.kill_switch.resume)("olga", "why")

    @invariant()
    def calls_and_items_are_where_the_model_says(self) -> None:
        found = {call.call_id: call.state for call in self.ledger.plans.calls(self.run_id)}
        assert [found[name] for name in self.frozen.call_ids] == self.states
        for item in self.ledger.plans.items(self.run_id):
            assert item.call_id is not None
            assert str(item.state) == ITEM[found[item.call_id]]

    @invariant()
    def every_intent_and_every_outcome_is_recorded_once(self) -> None:
        records = list(self.ledger.attempts.each(self.run_id))
        assert {record.attempt_id for record in records} == set(self.intents)
        assert {r.attempt_id: r.outcome for r in records if r.outcome is not None} == self.outcomes
        for call, name in enumerate(self.frozen.call_ids):
            mine = [record.n for record in records if record.call_id == name]
            assert mine == list(range(1, len(mine) + 1)), call

    def teardown(self) -> None:
        if self.stopped:
            self.ledger.kill_switch.resume("olga", "end")


def test_histories(ledger: Ledger) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        type("Bound", (Histories,), {"ledger": ledger}),
        settings=settings(
            max_examples=15,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        ),
    )
