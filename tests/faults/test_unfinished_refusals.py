"""What is refused, or rejected before it was read, when the task ends: a later task takes it up again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.reviews.review import Review, ReviewBench

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
WRITES = {
    "wedata_privileges": ("RevokePrivileges", "tencent"),
    "wedata_data_sources": ("RevokeDataSourceAuthorization", "tencent"),
    "dms_permissions": ("RevokeUserPermission", "alibaba"),
    "quickbi_menus": ("CancelAuthorizationMenu", "alibaba"),
}
ROLES = {"tencent": "qcs::cam::uin/100000000001:roleName/review", "alibaba": "acs:ram::1600000000000001:role/review"}
REFUSED = {
    "RevokePrivileges": "UnsupportedOperation",
    "CancelAuthorizationMenu": "AccessMenu.NotMatch.Portal",
}


def _planned(bench: Bench, system: str) -> Review:
    review = bench(canary_items=0).run(dry_run=False, systems=[system])
    review.through_plan()
    review.approve()
    return review


def _script(review: Review, *faults: dict[str, Any]) -> None:
    review.bench.emulator.post("faults", {"faults": list(faults), "replace": True})


def _batches(review: Review, system: str) -> list[dict[str, str]]:
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        return [{"batch": b.batch_id, "label": b.label} for b in ledger.plans.batches(run.run_id) if b.system == system]


def _wide_calls(review: Review, system: str) -> int:
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        calls = ledger.plans.calls(run.run_id)
        return sum(call.planned.system == system and len(call.planned.cells()) > 1 for call in calls)


def _send(review: Review, batch: dict[str, str]) -> None:
    from rescind.operators.revoke import RevokeBatchOperator

    RevokeBatchOperator(task_id="revoke", batch=batch).execute(review.context("revoke"))


def _refused_alone(review: Review, system: str) -> int:
    """How many calls of one cell the vendor has refused: they cannot be cut any smaller, so they stay."""
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        calls = [call for call in ledger.plans.calls(run.run_id) if call.planned.system == system]
    return sum(call.state == "refused" and len(call.planned.cells()) == 1 for call in calls)


def _all_gone(review: Review, system: str, but: int = 0) -> None:
    """The retry has sent everything, and verification proves it."""
    from tests.support.reviews.journal_check import journal_problems

    review.verify()
    row = next(row for row in review.report()["systems"] if row["system"] == system)
    assert row["items"] > 0 and row["still_present"] == but and row["unverified"] == 0
    assert row["verified_gone"] + row["record_gone"] + row["still_effective"] == row["items"] - but
    assert journal_problems(review) == []


@pytest.mark.parametrize("system", ["wedata_privileges", "quickbi_menus"])
def test_calls_refused_when_the_process_is_killed_are_split_by_the_next_task(bench: Bench, system: str) -> None:
    """The outcome is recorded, the process dies before the split: for each batch of the system."""
    review = _planned(bench, system)
    action, _ = WRITES[system]
    assert _wide_calls(review, system) > 0
    for batch in _batches(review, system):
        _script(review, _refusals(action, 5))
        assert _killed_at_split(review, batch) in (-signal.SIGKILL, 0)
    _script(review)
    alone = _refused_alone(review, system)
    review.revoke()
    _all_gone(review, system, but=alone)


def _refusals(action: str, count: int) -> dict[str, Any]:
    calls = list(range(1, count + 1))
    return {"id": "no", "kind": "error", "action": action, "calls": calls, "code": REFUSED[action], "status": 400}


def _killed_at_split(review: Review, batch: dict[str, str]) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            from rescind.ledger.plans.batches import Batches

            def die(*arguments: Any, **named: Any) -> Any:
                os.kill(os.getpid(), signal.SIGKILL)

            Batches.split = die  # type: ignore[method-assign]
            _send(review, batch)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("system", ["wedata_privileges", "quickbi_menus"])
def test_calls_refused_when_the_task_ends_early_are_split_by_the_next_task(
    bench: Bench, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five refusals in flight, and the task ends before it can split the first of them."""
    from rescind.errors import RunInterruptedError
    from rescind.ledger.plans.batches import Batches

    review = _planned(bench, system)
    action, _ = WRITES[system]
    ended = []

    def end(*arguments: Any, **named: Any) -> Any:
        ended.append(1)
        raise RunInterruptedError("the task is ending")

    for batch in _batches(review, system):
        _script(review, _refusals(action, 5))
        with monkeypatch.context() as patched:
            patched.setattr(Batches, "split", end)
            try:
                _send(review, batch)
            except RunInterruptedError:
                continue
    assert ended
    _script(review)
    alone = _refused_alone(review, system)
    review.revoke()
    _all_gone(review, system, but=alone)


@pytest.mark.parametrize("system", WRITES)
def test_a_key_that_ended_leaves_its_calls_open(bench: Bench, system: str) -> None:
    """A static key cannot be renewed: the task fails, and after the key was replaced the next one sends all."""
    review = _planned(bench, system)
    action, _ = WRITES[system]
    failed = 0
    for batch in _batches(review, system):
        _script(review, {"id": "ended", "kind": "expired_token", "action": action, "times": 0})
        with pytest.raises(Exception, match=r"ExpiredSignatureError.*new key and token"):
            _send(review, batch)
        failed += 1
    assert failed
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        calls = [call for call in ledger.plans.calls(run.run_id) if call.planned.system == system]
        assert {call.state for call in calls} == {"pending"}
    _script(review)
    time.sleep(1.1)  # the emulator knows no other key for it, and one key signs by the second
    review.revoke()
    _all_gone(review, system)


NOT_ALLOWED = {"tencent": ("UnauthorizedOperation", 200), "alibaba": ("Forbidden.RAM", 403)}


def _refused_for_the_key(bench: Bench, system: str) -> Review:
    """A run that has reported: the key lacked the right to send any call of this system."""
    review = _planned(bench, system)
    action, vendor = WRITES[system]
    code, status = NOT_ALLOWED[vendor]
    _script(review, {"id": "no", "kind": "error", "action": action, "times": 0, "code": code, "status": status})
    for batch in _batches(review, system):
        with pytest.raises(Exception, match="UnauthorizedError"):
            _send(review, batch)
    review.verify()
    (row,) = review.report()["systems"]
    assert row["still_present"] == row["items"] and row["refused"] > 0 and row["needs_new_run"] == 0
    with pytest.raises(Exception, match="items are not proven gone"):
        review.gate()
    _script(review)
    return review


def _states(review: Review) -> dict[str, tuple[str, str]]:
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        return {item.grant_id: (str(item.state), item.reason) for item in ledger.plans.items(run.run_id)}


@pytest.mark.parametrize("system", WRITES)
def test_calls_refused_because_of_the_key_are_sent_when_the_task_is_cleared(bench: Bench, system: str) -> None:
    """After the report: the grants are read, they are as planned, and plan and approval are still valid."""
    review = _refused_for_the_key(bench, system)
    reads = {
        "ListPermissions",
        "DescribeDataSourceAuthority",
        "ListDatabaseUserPermssions",
        "ListInstanceUserPermissions",
        "ListPortalMenuAuthorization",
    }
    refused = [ident for ident, (state, reason) in _states(review).items() if state == "refused" and "clear" in reason]
    assert refused
    before = _answered(review, reads)
    review.revoke()
    assert _answered(review, reads) > before, "read before anything was sent"
    assert {state for state, _ in _states(review).values()} <= {"accepted", "held"}
    _all_gone(review, system)


def _answered(review: Review, actions: set[str]) -> int:
    return sum(entry["action"] in actions for entry in review.bench.emulator.get("journal")["entries"])


def test_what_changed_after_the_refusal_is_not_sent(bench: Bench) -> None:
    """One grant is gone meanwhile, and one was granted again as another record: both are left alone."""
    system = "dms_permissions"
    review = _refused_for_the_key(bench, system)
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        refused = [item.grant_id for item in ledger.plans.items(run.run_id) if item.state == "refused"][:2]
        gone, again = ledger.snapshot.grants_by_id(run.run_id, refused).values()
    truth = {row["user_access_id"]: row for row in review.bench.emulator.get("truth")[system]}
    rows = [truth[grant.key.native_id] for grant in (gone, again)]
    taken = [{**row, "op": "revoke", "system": system} for row in rows]
    mutated = {"op": "grant", "system": system, **rows[1], "user_access_id": "99000001"}
    review.bench.emulator.post("mutate", {"actor": "somebody", "ops": [*taken, mutated]})
    review.revoke()
    sent = {entry["params"].get("UserAccessId") for entry in review.bench.emulator.writes("RevokeUserPermission")}
    states = _states(review)
    assert states[gone.grant_id][0] == "refused" and states[again.grant_id][0] == "stale"
    assert "99000001" not in sent
    assert {state for ident, (state, _) in states.items() if ident not in refused} == {"accepted"}


@pytest.mark.parametrize("system", ["wedata_data_sources", "dms_permissions"])
def test_any_other_refusal_of_a_single_grant_is_final(bench: Bench, system: str) -> None:
    review = _planned(bench, system)
    action, _ = WRITES[system]
    code = "UnsupportedOperation" if system.startswith("wedata") else "InvalidParameterValid"
    _script(review, {"id": "no", "kind": "error", "action": action, "times": 0, "code": code, "status": 400})
    review.revoke()
    assert {state for state, _ in _states(review).values()} == {"refused"}
    _script(review)
    writes = len(review.bench.emulator.writes(action))
    review.revoke()
    assert len(review.bench.emulator.writes(action)) == writes
    review.verify()
    (row,) = review.report()["systems"]
    assert row["needs_new_run"] == row["items"] == row["still_present"]


@pytest.mark.parametrize("system", WRITES)
def test_a_session_that_ends_while_a_batch_is_in_flight_is_renewed(
    bench: Bench, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to sixteen requests have the key of a role; all sessions end before the first of them arrives."""
    review = _planned(bench, system)
    action, vendor = WRITES[system]
    _with_role(review, system, vendor)
    for batch in _batches(review, system):
        with monkeypatch.context() as patched:
            _end_sessions_in_flight(review, patched, action, min(16, _calls(review, batch)))
            _send(review, batch)
    _all_gone(review, system)


def _end_sessions_in_flight(review: Review, patched: pytest.MonkeyPatch, action: str, wanted: int) -> None:
    from rescind.cloud.transport import Transport

    send, waiting, ready = Transport.send, [], asyncio.Event()

    async def gathered(self: Any, prepared: Any, auth: Any) -> Any:
        if prepared.action == action and len(waiting) < wanted:
            waiting.append(1)
            if len(waiting) == wanted:
                assert review.bench.emulator.post("expire_sessions", {})["ended"] >= 1
                ready.set()
            await ready.wait()
        return await send(self, prepared, auth)

    patched.setattr(Transport, "send", gathered)


@pytest.mark.parametrize("system", WRITES)
@pytest.mark.parametrize("wrong_by", [4000.0, -4000.0])
def test_a_worker_whose_clock_is_wrong_sends_everything(
    bench: Bench, system: str, wrong_by: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rescind.cloud.client import ServerClock

    review = _planned(bench, system)
    with monkeypatch.context() as patched:
        started = ServerClock.__init__
        patched.setattr(ServerClock, "__init__", lambda self, base: started(self, lambda: base() + wrong_by))
        for batch in _batches(review, system):
            _send(review, batch)
    _all_gone(review, system)


def _calls(review: Review, batch: dict[str, str]) -> int:
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        return sum(1 for _ in ledger.plans.calls(run.run_id, batch["batch"]))


def _with_role(review: Review, system: str, vendor: str) -> None:
    """The connection of a system assumes a role from now on."""
    conn_id = f"{system.split('_')[0]}_default"
    value = review.bench.emulator.connections(limits=review.bench.limits)[conn_id]
    value["extra"] |= {"role_arn": ROLES[vendor], "own_ids": ["700000000001"]}
    review.bench.monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))
