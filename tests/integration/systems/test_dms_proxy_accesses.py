"""Accounts of secure access proxies, in whole reviews against the emulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rescind.cloud.dms.proxies import DeleteProxyAccess
from rescind.model import PlannedCall
from rescind.systems import REGISTRY, default_connections
from rescind.systems.dms.proxy_accesses import DmsProxyAccesses
from rescind.workflow.question.approval_text import approval_request
from tests.support.reviews.review import Review, ReviewBench
from tests.support.reviews.verdicts import Row, items_file, items_of, mutate, script, somebody

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
NAME = DmsProxyAccesses.name


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """A bench whose reviews cover accounts of proxies."""
    given: dict[str, Any] = {
        "connections": {NAME: ["dms_default"]},
        "granting_connections": {NAME: ["dms_granting"]},
    }
    return lambda **settings: bench("--preset", "tiny", **{**given, **settings})


def accounts(setup: ReviewBench) -> set[tuple[str, str, str]]:
    """(proxy, user, id), as the service itself holds them."""
    rows = setup.emulator.get("truth?extra=1")["dms_proxy_accesses"]
    return {(str(row["proxy_id"]), str(row["user_id"]), str(row["proxy_access_id"])) for row in rows}


def holder(setup: ReviewBench, account: str = "") -> Row:
    """Somebody unprotected with exactly one account, of the first proxy."""
    one = somebody(setup)
    user = one["dms_user_id"]
    for proxy, who, _ in accounts(setup):
        if who == user:
            mutate(setup, {"op": "proxy_access", "proxy_id": proxy, "user_id": user, "remove": True})
    proxy = setup.emulator.get("truth?extra=1")["dms_proxies"][0]["proxy_id"]
    mutate(setup, {"op": "proxy_access", "proxy_id": proxy, "user_id": user, "account": account})
    return one


def asked(setup: ReviewBench, *principals: str) -> Review:
    given = {"principals": list(principals), "systems": [NAME], "reason": "has left", "dry_run": False}
    return setup.run(kind="targets", **given)


def approved(setup: ReviewBench, one: Row) -> Review:
    review = asked(setup, one["person_id"])
    review.through_plan()
    review.approve()
    return review


def sent(setup: ReviewBench) -> list[str]:
    return [entry["action"] for entry in setup.emulator.writes()]


def test_exactly_the_planned_account_is_closed_and_a_restore_opens_another_one(bench: Bench) -> None:
    setup = bench()
    one = holder(setup)
    truth = setup.emulator.get("truth?extra=1")
    other = next(
        row["user_id"] for row in truth["dms_users"] if row["user_id"] not in {u for _, u, _ in accounts(setup)}
    )
    # The newest account is somebody else's, so that the id of the closed one is not given again.
    mutate(setup, {"op": "proxy_access", "proxy_id": truth["dms_proxies"][0]["proxy_id"], "user_id": other})
    before = accounts(setup)
    review = asked(setup, one["person_id"])
    review.through_plan()
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        text = approval_request(ledger, run, ledger.plans.get(run.run_id))[1]
    assert "a restore opens a new one with another secret" in text
    review.approve()
    review.revoke()
    review.verify()
    assert [row["verdict"] for row in items_of(review)] == ["verified_gone"] and review.gate() == "succeeded"
    assert {user for _, user, _ in before - accounts(setup)} == {one["dms_user_id"]} and not accounts(setup) - before
    restore = setup.restore(run="1")
    assert restore.whole()["problems"] == []
    (new,), (old,) = accounts(setup) - before, before - accounts(setup)
    assert new[:2] == old[:2] and new[2] != old[2] and sent(setup) == ["DeleteProxyAccess", "CreateProxyAccess"]


def test_without_permission_for_irreversible_items_nothing_is_sent(bench: Bench) -> None:
    setup = bench(allow_irreversible=False)
    one, before = holder(setup), accounts(setup)
    asked(setup, one["person_id"]).whole()
    assert accounts(setup) == before and sent(setup) == []


def test_an_account_of_the_database_is_not_restored(bench: Bench) -> None:
    setup = bench()
    one = holder(setup, "reader")
    asked(setup, one["person_id"]).whole()
    assert one["dms_user_id"] not in {user for _, user, _ in accounts(setup)}
    restored = items_file(setup.restore(run="1").whole())
    assert sent(setup) == ["DeleteProxyAccess"]
    assert [(row["state"], "whose password" in row["reason"]) for row in restored] == [("held", True)]


def test_the_own_account_stays(bench: Bench) -> None:
    setup = bench()
    review = asked(setup, holder(setup)["person_id"])
    review.through_plan()
    with review.ledger() as ledger:
        (own,) = set(ledger.scopes.own_ids(NAME))
    proxy = setup.emulator.get("truth?extra=1")["dms_proxies"][0]["proxy_id"]
    mutate(setup, {"op": "proxy_access", "proxy_id": proxy, "user_id": own})
    me = setup.run("manual__2", kind="targets", principals=[own], systems=[NAME], reason="a test", dry_run=False)
    me.whole()
    assert own in {user for _, user, _ in accounts(setup)} and sent(setup) == []


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "code": "Internal.Error", "status": 400},
        {"kind": "null", "path": "ProxyAccessList"},
        {"kind": "drop", "path": "ProxyAccessList"},
    ],
    ids=lambda fault: fault["kind"],
)
def test_a_listing_that_fails_is_never_gone(bench: Bench, fault: Row) -> None:
    setup = bench()
    review = approved(setup, holder(setup))
    review.revoke()
    script(setup, {"action": "ListProxyAccesses", **fault})
    review.verify()
    assert {row["verdict"] for row in items_of(review)} == {"unverified"}


@pytest.mark.parametrize("action", ["ListProxies", "ListProxyAccesses"])
def test_a_discovery_that_fails_plans_nothing(bench: Bench, action: str) -> None:
    setup = bench()
    review = asked(setup, holder(setup)["person_id"])
    review.preflight()
    script(setup, {"kind": "error", "action": action, "code": "Internal.Error", "status": 400})
    with pytest.raises(Exception, match=action):
        review.discover()
    assert sent(setup) == []


class _Other(DmsProxyAccesses):
    """Its requests name another account than the planned one."""

    def request(self, call: PlannedCall, grants: Any) -> DeleteProxyAccess:
        right = super().request(call, grants)
        return right.model_copy(update={"ProxyAccessId": f"{right.ProxyAccessId}1"})


def test_a_request_for_another_account_is_not_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    monkeypatch.setitem(REGISTRY, NAME, _Other())
    with pytest.raises(Exception, match="BlastRadiusExceededError"):
        approved(setup, holder(setup)).revoke()
    assert sent(setup) == [] and NAME not in default_connections()
