"""Authorizations of Quick BI works, in whole reviews against the emulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rescind.cloud.quickbi.authorizations import AddWorksAuthorization, DeleteAuthorizationByUserId
from rescind.systems import REGISTRY, default_connections
from rescind.systems.quickbi.work_authorizations import QuickBiWorkAuthorizations
from tests.support.reviews.review import Review, ReviewBench
from tests.support.reviews.verdicts import items_of, script

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
Held = tuple[str, int, str, int, int]
NAME, SHARES, MEMBERS = QuickBiWorkAuthorizations.name, "quickbi_shares", "quickbi_group_members"
USER, GROUP, ORGANIZATION, WORKSPACE = 0, 1, 2, 3
VIEW, EXPORT, EDIT = 1, 3, 11
END = 4_000_000_000_000
"""An end that does not pass: the year 2096, in milliseconds."""
FOUR_DAYS = 4 * 86_400_000


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """A bench whose reviews cover authorizations, and shares; what cannot be restored faithfully goes too."""
    connections = {NAME: ["quickbi_default"], SHARES: ["quickbi_default"]}
    granting = {NAME: ["quickbi_granting"], SHARES: ["quickbi_granting"]}
    given: dict[str, Any] = {"connections": connections, "granting_connections": granting, "max_percent": 100}
    given |= {"allow_irreversible": True}
    return lambda **settings: bench("--preset", "tiny", **{**given, **settings})


def truth(setup: ReviewBench) -> dict[str, list[dict[str, Any]]]:
    return dict(setup.emulator.get("truth?extra=1"))


def held(setup: ReviewBench) -> set[Held]:
    """(work, kind of receiver, receiver, level, end), as the service itself holds them."""
    names = ("resource_id", "receiver_type", "receiver_id", "auth_points", "expires")
    return {tuple(row[name] for name in names) for row in truth(setup)[NAME]}


def mutate(setup: ReviewBench, *operations: dict[str, Any]) -> None:
    setup.emulator.post("mutate", {"ops": list(operations)})


def authorize(work: str, receiver: str, kind: int = USER, *, points: int = VIEW, **more: Any) -> dict[str, Any]:
    given = {"resource_id": work, "receiver_type": kind, "receiver_id": receiver, "auth_points": points, "expires": END}
    return {"op": "work_authorization", **given, **more}


def share(work: str, user: str, **more: Any) -> dict[str, Any]:
    given = {"works_id": work, "receiver_type": USER, "receiver_id": user, "auth_points": VIEW, "expires": END}
    return {"op": "share", **given, **more}


def somebody(setup: ReviewBench) -> tuple[str, str, str]:
    """An ordinary person without any way into two works: (user, work, other work)."""
    protected = {ident for ids in setup.emulator.get("protected")["ids"].values() for ident in ids}
    now = truth(setup)
    spaces = {row["workspace_id"]: row["owner"] for row in now["quickbi_workspaces"]}
    owners = set(spaces.values()) | {row["owner"] for row in now["quickbi_works"]}
    user = min({row["user_id"] for row in now["quickbi_workspace_members"]} - protected - owners)
    groups = {row["group_id"] for row in now["quickbi_group_members"] if row["user_id"] == user}
    mutate(
        setup,
        *({**row, "op": "share", "remove": True} for row in now["quickbi_shares"]),
        *(authorize(row["resource_id"], row["receiver_id"], row["receiver_type"], remove=True) for row in now[NAME]),
        *({"op": "workspace_member", "workspace_id": space, "user_id": user, "remove": True} for space in spaces),
        *({"op": "group_member", "group_id": group, "user_id": user, "remove": True} for group in groups),
        {"op": "quickbi_roles", "user_id": user, "role_ids": [111111113]},
    )
    assert held(setup) == set()
    one, other = sorted(row["works_id"] for row in truth(setup)["quickbi_works"])[:2]
    return user, one, other


def asked(setup: ReviewBench, user: str, *systems: str, run: str = "manual__1") -> Review:
    """A run that ends every authorization of the person."""
    given = {"principals": [user], "reason": "moved to another team", "systems": list(systems or (NAME,))}
    return setup.run(run, kind="targets", dry_run=False, **given)


def approved(setup: ReviewBench, user: str, *systems: str) -> Review:
    review = asked(setup, user, *systems)
    review.through_plan()
    review.approve()
    return review


def items(review: Review, system: str = NAME) -> list[dict[str, Any]]:
    return [row for row in items_of(review) if row["system"] == system]


def planned(review: Review) -> list[Any]:
    with review.ledger() as ledger:
        return list(ledger.plans.items(ledger.runs.find(review.dag_id, review.run_id).run_id))


def test_exactly_the_authorizations_of_the_person_end_and_come_back(bench: Bench) -> None:
    setup = bench()
    user, work, other = somebody(setup)
    somebody_else = next(row["user_id"] for row in truth(setup)["quickbi_users"] if row["user_id"] != user)
    group = truth(setup)["quickbi_groups"][0]["group_id"]
    mutate(
        setup,
        authorize(work, user, points=EDIT),
        authorize(other, user, points=EXPORT),
        authorize(work, somebody_else),
        authorize(work, group, GROUP),
    )
    before = held(setup)
    mine = {one for one in before if one[1:3] == (USER, user)}
    assert len(mine) == 2 and len(before) == 4
    review = asked(setup, user)
    summary = review.whole()
    assert summary["problems"] == [] and before - held(setup) == mine and not held(setup) - before
    assert [entry["action"] for entry in setup.emulator.writes()] == ["DeleteAuthorizationByUserId"] * 2
    assert {row["verdict"] for row in items(review)} == {"verified_gone"}

    restored = setup.restore(run="1")
    assert restored.whole()["problems"] == []
    back = held(setup) - before
    assert {one for one in before if one[3] == EDIT} <= held(setup)
    ((*place, end),) = back
    (was,) = before - held(setup)
    assert tuple(place) == was[:4] and was[4] - FOUR_DAYS <= end <= was[4]


def test_what_would_come_back_with_an_earlier_end_is_held_unless_that_is_allowed(bench: Bench) -> None:
    setup = bench(allow_irreversible=False)
    user, work, other = somebody(setup)
    mutate(setup, authorize(work, user, points=EDIT), authorize(other, user))
    assert asked(setup, user).whole()["problems"] == []
    assert {one[0] for one in held(setup)} == {other}
    assert setup.restore(run="1").whole()["problems"] == []
    assert {one[0] for one in held(setup)} == {work, other}


@pytest.mark.parametrize(
    ("kind", "text", "reading"),
    [
        (GROUP, "group", "refused"),
        (WORKSPACE, "workspace", "own_record"),
        pytest.param(GROUP, "group", "own_record", marks=pytest.mark.long),
        pytest.param(WORKSPACE, "workspace", "refused", marks=pytest.mark.long),
        pytest.param(ORGANIZATION, "organization", "refused", marks=pytest.mark.long),
    ],
)
def test_what_a_group_or_everybody_has_stays_and_is_named(bench: Bench, kind: int, text: str, reading: str) -> None:
    setup = bench()
    user, work, _ = somebody(setup)
    group = truth(setup)["quickbi_groups"][0]["group_id"]
    space = truth(setup)["quickbi_workspaces"][0]["workspace_id"]
    receiver = {GROUP: group, WORKSPACE: space}.get(kind) or setup.emulator.get("world")["organization_id"]
    setup.emulator.post("modes", {"quickbi_delete_inherited": reading})
    joins = {
        GROUP: [{"op": "group_member", "group_id": group, "user_id": user}],
        WORKSPACE: [{"op": "workspace_member", "workspace_id": space, "user_id": user}],
    }
    mutate(setup, *joins.get(kind, []), authorize(work, receiver, kind), authorize(work, user))
    review = asked(setup, user)
    review.whole()
    (row,) = items(review)
    refused = reading == "refused" and kind != ORGANIZATION
    assert {one[1] for one in held(setup)} == ({kind, USER} if refused else {kind})
    assert row["verdict"] == ("still_present" if refused else "still_effective"), row
    assert refused or text in row["remains"], row


def test_an_authorization_ends_in_the_same_run_after_the_group_that_gives_the_same(bench: Bench) -> None:
    from airflow.sdk.exceptions import TaskDeferred

    from rescind.operators.revoke import EARLIER_LIMIT, RevokeBatchOperator

    both = {NAME: ["quickbi_default"], MEMBERS: ["quickbi_default"]}
    setup = bench(connections=both, canary_above=0)
    user, work, other = somebody(setup)
    group, *_ = (row["group_id"] for row in truth(setup)["quickbi_groups"])
    join = {"op": "group_member", "group_id": group, "user_id": user}
    mutate(setup, join, *(authorize(one, *who) for one in (work, other) for who in ((group, GROUP), (user, USER))))
    review = approved(setup, user, *both)
    *_, last = review.batches
    assert review.canaries == [], "a canary of what has to wait would be refused, and one membership is no canary"
    operator = RevokeBatchOperator(task_id="revoke", batch=last)
    with pytest.raises(TaskDeferred) as pause:
        operator.execute(review.context("revoke"))
    assert pause.value.kwargs == {"waited": 15.0} and not setup.emulator.writes()
    with pytest.raises(TaskDeferred):
        operator.resume(review.context("revoke"), **pause.value.kwargs)
    review.revoke()
    assert [one["action"] for one in setup.emulator.writes()] == [
        "DeleteUserGroupMembers",
        *["DeleteAuthorizationByUserId"] * 2,
    ]
    assert {one[1] for one in held(setup)} == {GROUP}
    operator.resume(review.context("revoke"), waited=EARLIER_LIMIT.total_seconds())
    review.verify()
    assert "still_present" not in {row["verdict"] for row in items(review)}


@pytest.mark.parametrize("removed", [pytest.param("kept", marks=pytest.mark.long), "removed"])
def test_one_beside_a_share_goes_only_with_the_share(bench: Bench, removed: str) -> None:
    setup = bench()
    user, work, _ = somebody(setup)
    setup.emulator.post("modes", {"quickbi_delete_shares": removed})
    mutate(setup, authorize(work, user), share(work, user))
    review = asked(setup, user)
    review.whole()
    (item,) = planned(review)
    assert item.state == "held" and "end the share first" in item.reason
    assert len(held(setup)) == len(truth(setup)["quickbi_shares"]) == 1 and not setup.emulator.writes()
    both = asked(setup, user, NAME, SHARES, run="manual__2")
    assert both.whole()["problems"] == []
    assert held(setup) == set() and truth(setup)["quickbi_shares"] == []
    assert {row["verdict"] for row in items_of(both)} <= {"verified_gone", "already_absent"}


def _more(setup: ReviewBench, user: str, work: str) -> None:
    mutate(setup, authorize(work, user, points=EDIT))


def _end(setup: ReviewBench, user: str, work: str) -> None:
    mutate(setup, authorize(work, user, expires=END + 86_400_000))


def _share(setup: ReviewBench, user: str, work: str) -> None:
    mutate(setup, share(work, user))


@pytest.mark.parametrize("given", [_more, pytest.param(_end, marks=pytest.mark.long), _share])
def test_what_was_given_after_the_approval_stays(bench: Bench, given: Callable[[ReviewBench, str, str], None]) -> None:
    setup = bench()
    user, work, _ = somebody(setup)
    mutate(setup, authorize(work, user))
    review = approved(setup, user)
    given(setup, user, work)
    before, shares = held(setup), truth(setup)["quickbi_shares"]
    review.revoke()
    assert held(setup) == before and truth(setup)["quickbi_shares"] == shares and not setup.emulator.writes()
    review.verify()
    review.report()
    (item,) = planned(review)
    assert item.state == "stale" and "the vendor shows" in item.reason


def test_the_authorization_of_the_own_identity_is_kept(bench: Bench) -> None:
    setup = bench()
    _, work, _ = somebody(setup)
    person = next(person for person in setup.emulator.get("org")["people"] if person.get("name") == "rescind-bot")
    mutate(setup, authorize(work, person["quickbi_user_id"]))
    before = held(setup)
    asked(setup, person["quickbi_user_id"]).whole()
    assert held(setup) == before and not setup.emulator.writes()


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "error", "code": "Internal.Error", "status": 400}, marks=pytest.mark.long),
        {"kind": "null"},
    ],
)
def test_listings_that_fail_are_never_gone(bench: Bench, fault: dict[str, Any]) -> None:
    setup = bench()
    user, work, _ = somebody(setup)
    mutate(setup, authorize(work, user))
    review = approved(setup, user)
    review.revoke()
    where = {"path": "Result"} if fault["kind"] == "null" else {}
    script(setup, {"action": "ListAuthConfigByResource", **fault, **where})
    review.verify()
    assert {row["verdict"] for row in items(review)} == {"unverified"}
    with pytest.raises(Exception, match="not proven gone"):
        review.gate()


@pytest.mark.parametrize(
    "kind",
    ["reset_after", *(pytest.param(one, marks=pytest.mark.long) for one in ("reset_before", "close_after"))],
)
def test_a_call_without_an_answer_is_read_before_it_is_sent_again(bench: Bench, kind: str) -> None:
    setup = bench()
    user, work, _ = somebody(setup)
    mutate(setup, authorize(work, user))
    fault = {"id": "once", "action": "DeleteAuthorizationByUserId", "calls": [1], "kind": kind}
    setup.emulator.post("faults", {"faults": [fault]})
    review = asked(setup, user)
    assert review.whole()["problems"] == []
    assert [row["verdict"] for row in items(review)] == ["verified_gone"]
    with review.ledger() as ledger:
        attempts = list(ledger.attempts.each(ledger.runs.find(review.dag_id, review.run_id).run_id))
    assert len(attempts) == (2 if kind == "reset_before" else 1)


@pytest.mark.parametrize("kind", ["lag", "pretend"])
def test_a_late_list_is_settled_and_a_pretended_end_is_found(bench: Bench, kind: str) -> None:
    setup = bench()
    user, work, _ = somebody(setup)
    mutate(setup, authorize(work, user))
    fault = {"id": "late", "action": "DeleteAuthorizationByUserId", "times": 0, "kind": kind}
    setup.emulator.post("faults", {"faults": [{**fault, **({"reads": 2} if kind == "lag" else {})}]})
    review = asked(setup, user)
    review.whole()
    assert [row["verdict"] for row in items(review)] == ["verified_gone" if kind == "lag" else "still_present"]
    assert bool(held(setup)) == (kind == "pretend")


OTHERWISE = {
    "quickbi_delete_shares": "removed",
    "quickbi_absent_authorization": "refused",
    "quickbi_authorize_again": "second",
    "quickbi_expire_day": "end",
    "quickbi_expired_authorizations": "listed",
    "quickbi_permanent_end": "null",
}


@pytest.mark.parametrize(
    "modes",
    [
        OTHERWISE,
        pytest.param({"quickbi_permanent_end": "empty"}, marks=pytest.mark.long),
        *(pytest.param({mode: value}, marks=pytest.mark.long) for mode, value in OTHERWISE.items()),
    ],
    ids=lambda modes: next(iter(modes)) if len(modes) == 1 else "all",
)
def test_no_open_question_about_the_vendor_changes_what_goes(bench: Bench, modes: dict[str, str]) -> None:
    setup = bench()
    user, work, other = somebody(setup)
    setup.emulator.post("modes", modes)
    mutate(setup, authorize(work, user, points=EDIT), authorize(other, user))
    before = held(setup)
    review = asked(setup, user)
    assert review.whole()["problems"] == []
    assert {row["verdict"] for row in items(review)} == {"verified_gone"} and held(setup) == set()
    assert setup.restore(run="1").whole()["problems"] == []
    assert {one[:4] for one in held(setup)} == {one[:4] for one in before}
    ends = {one[0]: one[4] for one in held(setup)}
    assert all(was[4] - FOUR_DAYS <= ends[was[0]] <= was[4] for was in before)


def test_without_the_platforms_own_answer_only_the_record_is_gone(bench: Bench) -> None:
    setup = bench()
    user, work, _ = somebody(setup)
    mutate(setup, authorize(work, user))
    review = approved(setup, user)
    review.revoke()
    script(setup, {"action": "CheckReadable", "kind": "null", "path": "Result"})
    review.verify()
    (row,) = items(review)
    assert row["verdict"] == "record_gone", row


@pytest.mark.parametrize("action", [pytest.param("ListAuthConfigByResource", marks=pytest.mark.long), "QueryShareList"])
def test_nothing_is_sent_while_a_list_cannot_be_read(bench: Bench, action: str) -> None:
    setup = bench()
    user, work, _ = somebody(setup)
    mutate(setup, authorize(work, user))
    before = held(setup)
    review = approved(setup, user)
    script(setup, {"action": action, "kind": "null", "path": "Result"})
    with pytest.raises(Exception, match=action):
        review.revoke()
    assert held(setup) == before and not setup.emulator.writes()


def test_a_work_that_is_not_listed_is_named_and_does_not_hide_the_others(bench: Bench) -> None:
    setup = bench()
    user, work, other = somebody(setup)
    mutate(setup, authorize(work, user), authorize(other, user))
    bad = {"action": "ListAuthConfigByResource", "kind": "null", "path": "Result", "where": {"ResourceId": work}}
    script(setup, bad)
    review = asked(setup, user)
    review.whole()
    assert {one[0] for one in held(setup)} == {work}
    with review.ledger() as ledger:
        (scope,) = ledger.scopes.all(ledger.runs.find(review.dag_id, review.run_id).run_id)
    assert [one["id"] for one in scope.notes["not_reviewed"]] == [work]


class _Greedy(QuickBiWorkAuthorizations):
    """Its request names another user than the plan."""

    def remove(self, containers: tuple[str, ...], members: tuple[str, ...], group: str) -> DeleteAuthorizationByUserId:
        return super().remove(containers, ("somebody-else",), group)


def test_a_request_that_would_hit_another_user_is_not_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    user, work, _ = somebody(setup)
    mutate(setup, authorize(work, user))
    monkeypatch.setitem(REGISTRY, NAME, _Greedy())
    review = approved(setup, user)
    with pytest.raises(Exception, match=r"BlastRadiusExceededError: .*not approved.*'somebody-else'"):
        review.revoke()
    assert not setup.emulator.writes()


class _Generous(QuickBiWorkAuthorizations):
    """Its request to restore names a later end than was approved."""

    def add(self, containers: tuple[str, ...], members: tuple[str, ...], like: Any) -> AddWorksAuthorization:
        return super().add(containers, members, {**like, "ExpireDay": "2098-12-31"})


def test_a_restore_with_another_end_is_not_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    user, work, _ = somebody(setup)
    mutate(setup, authorize(work, user))
    assert asked(setup, user).whole()["problems"] == []
    writes = len(setup.emulator.writes())
    monkeypatch.setitem(REGISTRY, NAME, _Generous())
    restore = setup.restore(run="1")
    restore.through_plan()
    restore.approve()
    with pytest.raises(Exception, match="BlastRadiusExceededError: the final AddWorksAuthorization would grant 1"):
        restore.revoke()
    assert len(setup.emulator.writes()) == writes


def test_it_is_reviewed_only_where_the_settings_name_a_connection(bench: Bench) -> None:
    setup = bench(connections={SHARES: ["quickbi_default"]})
    assert NAME not in default_connections()
    with pytest.raises(Exception, match=f"no connection is configured for '{NAME}'"):
        asked(setup, somebody(setup)[0]).preflight()
