"""Policies of users and roles, in whole reviews against the emulator."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from rescind.cloud.dms.policies import DeleteAbacAuthorization
from rescind.model import PlannedCall
from rescind.systems import REGISTRY, default_connections
from rescind.systems.dms.abac_authorizations import DmsAbacAuthorizations
from tests.support.reviews.review import Review, ReviewBench
from tests.support.reviews.verdicts import Row, items_of, mutate, script, somebody

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
Held = set[tuple[str, str, str]]
NAME = DmsAbacAuthorizations.name
FORBIDS = json.dumps({"Version": "1", "Statement": [{"Action": "*", "Effect": "Deny", "Resource": "*"}]})


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """A bench whose reviews cover policies; nothing irreversible is allowed."""
    given: dict[str, Any] = {
        "connections": {NAME: ["dms_default"]},
        "granting_connections": {NAME: ["dms_granting"]},
        "allow_irreversible": False,
    }
    return lambda **settings: bench("--preset", "tiny", **{**given, **settings})


def attached(setup: ReviewBench) -> Held:
    """(policy, kind, holder), as the service itself holds them."""
    truth = setup.emulator.get("truth?extra=1")
    users = {(row["policy_id"], "USER", row["user_id"]) for row in truth["dms_policy_members"]}
    return users | {(row["policy_id"], "ROLE", row["role_id"]) for row in truth["dms_policy_roles"]}


def holder(setup: ReviewBench) -> Row:
    """Somebody unprotected with exactly one policy, the first."""
    one = somebody(setup)
    policies = sorted({policy for policy, _, _ in attached(setup)})
    for policy, kind, who in attached(setup):
        if (kind, who) == ("USER", one["dms_user_id"]):
            mutate(setup, {"op": "dms_policy_member", "policy_id": policy, "user_id": who, "remove": True})
    mutate(setup, {"op": "dms_policy_member", "policy_id": policies[0], "user_id": one["dms_user_id"]})
    return one


def asked(setup: ReviewBench, *principals: str, name: str = "manual__1") -> Review:
    given = {"principals": list(principals), "systems": [NAME], "reason": "has left", "dry_run": False}
    return setup.run(name, kind="targets", **given)


def approved(setup: ReviewBench, one: Row) -> Review:
    review = asked(setup, one["person_id"])
    review.through_plan()
    review.approve()
    return review


def sent(setup: ReviewBench) -> list[str]:
    return [entry["action"] for entry in setup.emulator.writes()]


def text_of_policies(setup: ReviewBench, text: object, **calls: Any) -> None:
    """Every policy of the first page has this text from now on."""
    path = "PolicyList.0.AbacPolicyContent"
    script(setup, {"kind": "set", "action": "ListAbacPolicies", "path": path, "value": text, **calls})


def test_exactly_the_planned_attachment_goes_and_a_restore_brings_it_back(bench: Bench) -> None:
    setup = bench()
    one = holder(setup)
    before = attached(setup)
    review = approved(setup, one)
    review.revoke()
    review.verify()
    assert [row["verdict"] for row in items_of(review)] == ["verified_gone"] and review.gate() == "succeeded"
    ((_, kind, who),) = before - attached(setup)
    assert (kind, who) == ("USER", one["dms_user_id"]) and not attached(setup) - before
    restore = setup.restore(run="1")
    assert restore.whole()["problems"] == []
    assert attached(setup) == before and sent(setup) == ["DeleteAbacAuthorization", "CreateAbacAuthorization"]


def test_the_same_policy_through_a_role_stays_effective_and_is_named(bench: Bench) -> None:
    setup = bench()
    one = holder(setup)
    ((policy, _, _),) = {row for row in attached(setup) if row[1:] == ("USER", one["dms_user_id"])}
    role = setup.emulator.get("truth?extra=1")["dms_roles"][0]
    mutate(setup, {"op": "dms_policy_role", "policy_id": policy, "role_id": role["role_id"]})
    mutate(setup, {"op": "dms_roles", "user_id": one["dms_user_id"], "roles": ["USER", role["name"]]})
    review = approved(setup, one)
    review.revoke()
    review.verify()
    (item,) = items_of(review)
    assert item["verdict"] == "still_effective" and f"role {role['role_id']}" in json.dumps(item)


@pytest.mark.parametrize("text", [FORBIDS, None])
def test_a_policy_that_may_forbid_is_not_detached(bench: Bench, text: object) -> None:
    setup = bench()
    one, before = holder(setup), attached(setup)
    text_of_policies(setup, text)
    asked(setup, one["person_id"]).whole()
    assert attached(setup) == before and sent(setup) == []


def test_a_policy_that_begins_to_forbid_after_the_plan_is_not_detached(bench: Bench) -> None:
    setup = bench()
    one, before = holder(setup), attached(setup)
    review = approved(setup, one)
    text_of_policies(setup, FORBIDS)
    review.revoke()
    review.verify()
    assert attached(setup) == before and sent(setup) == []


def test_the_own_policy_stays(bench: Bench) -> None:
    setup = bench()
    one = holder(setup)
    ((policy, _, _),) = {row for row in attached(setup) if row[1:] == ("USER", one["dms_user_id"])}
    first = asked(setup, one["person_id"])
    first.through_plan()
    with first.ledger() as ledger:
        (own,) = set(ledger.scopes.own_ids(NAME))
    mutate(setup, {"op": "dms_policy_member", "policy_id": policy, "user_id": own})
    asked(setup, own, name="manual__2").whole()
    assert (policy, "USER", own) in attached(setup) and sent(setup) == []


@pytest.mark.parametrize(
    ("fault", "verdict", "gone"),
    [
        ({"kind": "reset_after"}, "verified_gone", True),
        ({"kind": "null", "path": "Result"}, "verified_gone", True),
        ({"kind": "pretend"}, "still_present", False),
        ({"kind": "lag", "seconds": 600, "reads": 2}, "verified_gone", True),
    ],
    ids=lambda given: given["kind"] if isinstance(given, dict) else str(given),
)
def test_what_an_answer_says_is_never_the_verdict(bench: Bench, fault: Row, verdict: str, gone: bool) -> None:
    setup = bench()
    one, before = holder(setup), attached(setup)
    review = approved(setup, one)
    script(setup, {"action": "DeleteAbacAuthorization", "times": 1, **fault})
    review.revoke()
    review.verify()
    assert {row["verdict"] for row in items_of(review)} == {verdict}
    assert (attached(setup) != before) is gone and sent(setup)[:1] == ["DeleteAbacAuthorization"]


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "code": "Internal.Error", "status": 400},
        {"kind": "null", "path": "AuthorizationList"},
        {"kind": "drop", "path": "AuthorizationList"},
    ],
    ids=lambda fault: fault["kind"],
)
def test_a_listing_that_fails_is_never_gone(bench: Bench, fault: Row) -> None:
    setup = bench()
    review = approved(setup, holder(setup))
    review.revoke()
    script(setup, {"action": "ListAbacAuthorizations", **fault})
    review.verify()
    assert {row["verdict"] for row in items_of(review)} == {"unverified"}


@pytest.mark.parametrize("action", ["ListAbacPolicies", "ListAbacAuthorizations"])
def test_a_discovery_that_fails_plans_nothing(bench: Bench, action: str) -> None:
    setup = bench()
    review = asked(setup, holder(setup)["person_id"])
    review.preflight()
    script(setup, {"kind": "error", "action": action, "code": "Internal.Error", "status": 400})
    with pytest.raises(Exception, match=action):
        review.discover()
    assert sent(setup) == []


class _Other(DmsAbacAuthorizations):
    """Its requests name another attachment than the planned one."""

    def request(self, call: PlannedCall, grants: Any) -> DeleteAbacAuthorization:
        right = super().request(call, grants)
        return right.model_copy(update={"AuthorizationId": f"{right.AuthorizationId}1"})


def test_a_request_for_another_attachment_is_not_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    monkeypatch.setitem(REGISTRY, NAME, _Other())
    with pytest.raises(Exception, match="BlastRadiusExceededError"):
        approved(setup, holder(setup)).revoke()
    assert sent(setup) == [] and NAME not in default_connections()
