"""Shares of Quick BI works, in whole reviews against the emulator."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rescind.cloud.quickbi.shares import AddShareReport, CancelReportShare
from rescind.systems import REGISTRY, default_connections
from rescind.systems.quickbi.shares import QuickBiShares
from tests.support.reviews.review import Review, ReviewBench

Bench = Callable[..., ReviewBench]
Share = tuple[str, int, str, int, int]
NAME, MENUS = QuickBiShares.name, "quickbi_menus"
USER, GROUP, ORGANIZATION, WORKSPACE = 0, 1, 2, 3
END = 4_000_000_000_000
"""An end that does not pass: the year 2096, in milliseconds."""


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """A bench whose reviews cover shares, and menus."""
    connections = {NAME: ["quickbi_default"], MENUS: ["quickbi_default"]}
    granting = {NAME: ["quickbi_granting"], MENUS: ["quickbi_granting"]}
    given: dict[str, Any] = {"connections": connections, "granting_connections": granting, "max_percent": 100}
    return lambda **settings: bench("--preset", "tiny", **{**given, **settings})


def shares(setup: ReviewBench) -> set[Share]:
    """(work, kind of receiver, receiver, level, end), as the service itself holds them."""
    rows = setup.emulator.get("truth?extra=1")["quickbi_shares"]
    names = ("works_id", "receiver_type", "receiver_id", "auth_points", "expires")
    return {tuple(row[name] for name in names) for row in rows}


def mutate(setup: ReviewBench, *operations: dict[str, Any]) -> None:
    setup.emulator.post("mutate", {"ops": list(operations)})


def share(work: str, receiver: str, kind: int = USER, *, points: int = 1, **more: Any) -> dict[str, Any]:
    given = {"works_id": work, "receiver_type": kind, "receiver_id": receiver, "auth_points": points, "expires": END}
    return {"op": "share", **given, **more}


def somebody(setup: ReviewBench) -> tuple[str, str]:
    """An ordinary, unprotected person with no way into a portal but its menus and open menus: (user, portal)."""
    protected = {ident for ids in setup.emulator.get("protected")["ids"].values() for ident in ids}
    truth = setup.emulator.get("truth?extra=1")
    owners = {row["owner"] for row in truth["quickbi_workspaces"]} | {row["owner"] for row in truth["quickbi_portals"]}
    user = min({row["user_id"] for row in truth["quickbi_workspace_members"]} - protected - owners)
    portal = truth["quickbi_portals"][0]["portal_id"]
    held = [row for row in truth[MENUS] if row["portal_id"] == portal]
    spaces = {row["workspace_id"] for row in truth["quickbi_workspaces"]}
    groups = {row["group_id"] for row in truth["quickbi_group_members"] if row["user_id"] == user}
    mutate(
        setup,
        *({**row, "op": "white_list", "remove": True} for row in truth["quickbi_white_lists"]),
        *({**row, "op": "share", "remove": True} for row in truth["quickbi_shares"]),
        *({"op": "workspace_member", "workspace_id": space, "user_id": user, "remove": True} for space in spaces),
        *({"op": "group_member", "group_id": group, "user_id": user, "remove": True} for group in groups),
        *({**row, "op": "revoke", "system": MENUS} for row in held),
        {"op": "quickbi_roles", "user_id": user, "role_ids": [111111113]},
    )
    return user, portal


def asked(setup: ReviewBench, users: Sequence[str], *systems: str) -> Review:
    """A run that ends every share of these people."""
    given = {"principals": list(users), "reason": "moved to another team", "systems": list(systems or (NAME,))}
    return setup.run(kind="targets", dry_run=False, **given)


def approved(setup: ReviewBench, users: Sequence[str]) -> Review:
    review = asked(setup, users)
    review.through_plan()
    review.approve()
    return review


def items(review: Review, system: str = NAME) -> list[dict[str, Any]]:
    summary = review.report()
    rows = [json.loads(line) for line in Path(summary["items_file"]).read_text().splitlines()]
    return [row for row in rows if row["system"] == system]


def dashboard(setup: ReviewBench) -> str:
    return str(setup.emulator.get("truth?extra=1")["quickbi_work_authorizations"][0]["resource_id"])


def test_exactly_the_shares_of_the_person_end_and_come_back_with_level_and_end(bench: Bench) -> None:
    setup = bench()
    (user, portal), truth = somebody(setup), setup.emulator.get("truth?extra=1")
    other = next(row["user_id"] for row in truth["quickbi_workspace_members"] if row["user_id"] != user)
    group = truth["quickbi_groups"][0]["group_id"]
    organization = setup.emulator.get("world")["organization_id"]
    work = dashboard(setup)
    mutate(
        setup,
        share(portal, user, points=3),
        share(work, user, expires=END + 1),
        share(portal, other),
        share(portal, group, GROUP),
        share(work, organization, ORGANIZATION),
    )
    before = shares(setup)
    mine = {one for one in before if one[1:3] == (USER, user)}
    assert len(mine) == 2 and len(before) == 5
    review = asked(setup, [user])
    summary = review.whole()
    assert summary["problems"] == [] and before - shares(setup) == mine and not shares(setup) - before
    assert [entry["action"] for entry in setup.emulator.writes()] == ["CancelReportShare"] * 2
    assert QuickBiShares.title in Path(summary["report"]).read_text(encoding="utf-8")
    verdicts = {row["resource_id"]: row for row in items(review)}
    assert verdicts[portal]["verdict"] == "verified_gone", verdicts[portal]
    remains = verdicts[work]
    assert remains["verdict"] == "still_effective" and "organization" in remains["remains"], remains

    with review.ledger() as ledger:
        number = str(ledger.runs.find(review.dag_id, review.run_id).number)
    restored = setup.restore(run=number)
    assert restored.whole()["problems"] == []
    assert shares(setup) == before


@pytest.mark.parametrize(("kind", "text"), [(GROUP, "group"), (ORGANIZATION, "organization")])
def test_a_share_of_a_group_or_the_organization_is_nobodys_own(bench: Bench, kind: int, text: str) -> None:
    setup = bench()
    user, portal = somebody(setup)
    group = setup.emulator.get("truth?extra=1")["quickbi_groups"][0]["group_id"]
    receiver = group if kind == GROUP else setup.emulator.get("world")["organization_id"]
    mutate(
        setup,
        {"op": "group_member", "group_id": group, "user_id": user},
        share(portal, receiver, kind),
        share(portal, user),
    )
    review = asked(setup, [user])
    review.whole()
    assert {one[1] for one in shares(setup)} == {kind}
    (row,) = items(review)
    assert row["verdict"] == "still_effective" and text in row["remains"], row


def test_every_share_of_a_named_work_can_end(bench: Bench) -> None:
    setup = bench()
    user, portal = somebody(setup)
    group = setup.emulator.get("truth?extra=1")["quickbi_groups"][0]["group_id"]
    organization = setup.emulator.get("world")["organization_id"]
    mutate(setup, share(portal, user), share(portal, group, GROUP), share(portal, organization, ORGANIZATION))
    given = {"principals": [], "resources": [portal], "systems": [NAME], "reason": "wrong audience"}
    review = setup.run(kind="targets", dry_run=False, **given)
    review.whole()
    assert {one[1] for one in shares(setup)} == {ORGANIZATION}


@pytest.mark.parametrize(("systems", "verdict"), [((MENUS, NAME), "verified_gone"), ((MENUS,), "still_effective")])
def test_a_leaver_whose_menu_was_open_through_a_share_has_no_access_left(
    bench: Bench, systems: tuple[str, ...], verdict: str
) -> None:
    setup = bench()
    user, portal = somebody(setup)
    truth = setup.emulator.get("truth?extra=1")
    menu = next(row["menu_id"] for row in truth["quickbi_leaf_menus"] if row["portal_id"] == portal)
    place = {"system": MENUS, "portal_id": portal, "menu_id": menu}
    mutate(
        setup,
        {"op": "grant", **place, "receiver_type": USER, "receiver_id": user, "auth_points": 1},
        share(portal, user),
    )
    review = asked(setup, [user], *systems)
    review.whole()
    with review.ledger() as ledger:
        scopes = ledger.scopes.all(ledger.runs.find(review.dag_id, review.run_id).run_id)
    left = {scope.system: scope.notes["stays_reachable"]["grants"] for scope in scopes}
    assert left[MENUS] == (0 if NAME in systems else left[MENUS] or 1)
    (row,) = [one for one in items(review, MENUS) if one["resource_id"] == menu]
    assert row["verdict"] == verdict, row
    assert verdict == "verified_gone" or "share" in row["remains"]


def _end(setup: ReviewBench, user: str, portal: str) -> None:
    mutate(setup, share(portal, user, expires=END + 86_400_000))


def _level(setup: ReviewBench, user: str, portal: str) -> None:
    mutate(setup, share(portal, user, points=3))


def _again(setup: ReviewBench, user: str, portal: str) -> None:
    mutate(setup, share(portal, user, remove=True))
    mutate(setup, share(portal, setup.emulator.get("world")["organization_id"], ORGANIZATION), share(portal, user))


@pytest.mark.parametrize("given", [_end, _level, _again])
def test_a_share_that_was_given_otherwise_after_the_approval_stays(
    bench: Bench, given: Callable[[ReviewBench, str, str], None]
) -> None:
    setup = bench()
    user, portal = somebody(setup)
    mutate(setup, share(portal, user))
    review = approved(setup, [user])
    given(setup, user, portal)
    before = shares(setup)
    review.revoke()
    assert shares(setup) == before and not setup.emulator.writes()
    review.verify()
    review.report()
    with review.ledger() as ledger:
        (item,) = ledger.plans.items(ledger.runs.find(review.dag_id, review.run_id).run_id)
    assert item.state == "stale" and "the call would end all of it" in item.reason


def test_a_share_that_ended_by_itself_is_absent_and_a_retained_one_is_not_missing(bench: Bench) -> None:
    setup = bench()
    user, portal = somebody(setup)
    soon = int(setup.emulator.get("world")["now_ms"]) + 3_600_000
    group = setup.emulator.get("truth?extra=1")["quickbi_groups"][0]["group_id"]
    mutate(setup, share(portal, user, expires=soon), share(portal, group, GROUP, expires=soon))
    review = approved(setup, [user])
    for row in ((user, USER), (group, GROUP)):
        mutate(setup, share(portal, *row, expires=1))
    review.revoke()
    review.verify()
    assert [row["verdict"] for row in items(review)] == ["verified_gone"]


def test_the_share_of_the_own_identity_is_kept(bench: Bench) -> None:
    setup = bench()
    _, portal = somebody(setup)
    person = next(person for person in setup.emulator.get("org")["people"] if person.get("name") == "rescind-bot")
    own = person["quickbi_user_id"]
    mutate(setup, share(portal, own))
    before = shares(setup)
    review = asked(setup, [own])
    review.whole()
    with review.ledger() as ledger:
        (scope,) = ledger.scopes.all(ledger.runs.find(review.dag_id, review.run_id).run_id)
    assert own in scope.notes["own_ids"]
    assert shares(setup) == before and not setup.emulator.writes()


@pytest.mark.parametrize("fault", [{"kind": "error", "code": "Internal.Error", "status": 400}, {"kind": "null"}])
def test_listings_that_fail_are_never_gone(bench: Bench, fault: dict[str, Any]) -> None:
    setup = bench()
    user, portal = somebody(setup)
    mutate(setup, share(portal, user))
    review = approved(setup, [user])
    review.revoke()
    failing = {"id": "bad", "action": "QueryShareList", "times": 0, "path": "Result", **fault}
    failing = {name: value for name, value in failing.items() if name != "path" or fault["kind"] == "null"}
    setup.emulator.post("faults", {"faults": [failing], "replace": True})
    review.verify()
    assert {row["verdict"] for row in items(review)} == {"unverified"}
    with pytest.raises(Exception, match="not proven gone"):
        review.gate()


@pytest.mark.sockets
@pytest.mark.parametrize("kind", ["reset_after", "reset_before", "close_after", "status_after"])
def test_a_call_without_an_answer_is_read_before_it_is_sent_again(bench: Bench, kind: str) -> None:
    setup = bench()
    user, portal = somebody(setup)
    other = next(
        row["user_id"] for row in setup.emulator.get("truth?extra=1")["quickbi_users"] if row["user_id"] > user
    )
    mutate(setup, share(portal, user), share(portal, other))
    fault = {"id": "once", "action": "CancelReportShare", "calls": [1], "kind": kind}
    setup.emulator.post("faults", {"faults": [fault]})
    review = asked(setup, [user])
    assert review.whole()["problems"] == []
    assert [row["verdict"] for row in items(review)] == ["verified_gone"]
    assert {one[2] for one in shares(setup)} == {other}
    with review.ledger() as ledger:
        attempts = list(ledger.attempts.each(ledger.runs.find(review.dag_id, review.run_id).run_id))
    assert len(attempts) == (2 if kind == "reset_before" else 1)


def test_a_list_that_is_late_is_read_until_it_is_settled(bench: Bench) -> None:
    setup = bench()
    user, portal = somebody(setup)
    mutate(setup, share(portal, user))
    fault = {"id": "late", "action": "CancelReportShare", "times": 0, "kind": "lag", "reads": 2}
    setup.emulator.post("faults", {"faults": [fault]})
    review = asked(setup, [user])
    assert review.whole()["problems"] == []
    assert [row["verdict"] for row in items(review)] == ["verified_gone"]


@pytest.mark.parametrize(
    ("mode", "value"),
    [
        ("quickbi_expired_shares", "listed"),
        ("quickbi_share_ids", "one"),
        ("quickbi_absent_share", "refused"),
        ("quickbi_cancel_receivers", "checked"),
        ("quickbi_shares_to_user", "all"),
        ("quickbi_share_again", "second"),
    ],
)
def test_no_open_question_about_the_vendor_changes_what_goes(bench: Bench, mode: str, value: str) -> None:
    setup = bench()
    user, portal = somebody(setup)
    setup.emulator.post("modes", {mode: value})
    mutate(setup, share(portal, user, points=3))
    review = asked(setup, [user])
    assert review.whole()["problems"] == []
    assert [row["verdict"] for row in items(review)] == ["verified_gone"] and shares(setup) == set()
    assert setup.restore(run="1").whole()["problems"] == []
    assert shares(setup) == {(portal, USER, user, 3, END)}


@pytest.mark.parametrize("action", ["CheckReadable", "QuerySharesToUserList"])
def test_without_the_platforms_own_answer_only_the_record_is_gone(bench: Bench, action: str) -> None:
    setup = bench()
    user, portal = somebody(setup)
    mutate(setup, share(portal, user))
    review = approved(setup, [user])
    review.revoke()
    failing = {"id": "bad", "action": action, "times": 0, "kind": "null", "path": "Result"}
    setup.emulator.post("faults", {"faults": [failing], "replace": True})
    review.verify()
    (row,) = items(review)
    assert row["verdict"] == "record_gone", row


def test_nothing_is_sent_while_the_shares_cannot_be_read(bench: Bench) -> None:
    setup = bench()
    user, portal = somebody(setup)
    mutate(setup, share(portal, user))
    before = shares(setup)
    review = approved(setup, [user])
    failing = {"id": "bad", "action": "QueryShareList", "times": 0, "kind": "null", "path": "Result"}
    setup.emulator.post("faults", {"faults": [failing], "replace": True})
    with pytest.raises(Exception, match="QueryShareList"):
        review.revoke()
    assert shares(setup) == before and not setup.emulator.writes()


def test_a_work_whose_shares_are_not_listed_is_named_and_does_not_hide_the_others(bench: Bench) -> None:
    setup = bench()
    user, portal = somebody(setup)
    work = dashboard(setup)
    mutate(setup, share(portal, user), share(work, user))
    failing = {"id": "bad", "action": "QueryShareList", "times": 0, "kind": "null", "where": {"ReportId": work}}
    setup.emulator.post("faults", {"faults": [{**failing, "path": "Result"}], "replace": True})
    review = asked(setup, [user])
    review.whole()
    assert {one[0] for one in shares(setup)} == {work}
    with review.ledger() as ledger:
        (scope,) = ledger.scopes.all(ledger.runs.find(review.dag_id, review.run_id).run_id)
    assert [one["id"] for one in scope.notes["not_reviewed"]] == [work]


def test_a_users_list_that_fails_plans_nothing(bench: Bench) -> None:
    setup = bench()
    user, portal = somebody(setup)
    mutate(setup, share(portal, user))
    review = asked(setup, [user])
    review.preflight()
    script = {"id": "bad", "action": "QueryWorksByOrganization", "kind": "null", "path": "Result", "times": 0}
    setup.emulator.post("faults", {"faults": [script], "replace": True})
    with pytest.raises(Exception, match="QueryWorksByOrganization"):
        review.discover()
    with pytest.raises(Exception, match="complete"):
        review.plan()
    assert not setup.emulator.writes()


def test_it_is_reviewed_only_where_the_settings_name_a_connection(bench: Bench) -> None:
    setup = bench(connections={MENUS: ["quickbi_default"]})
    assert NAME not in default_connections()
    with pytest.raises(Exception, match=f"no connection is configured for '{NAME}'"):
        asked(setup, [somebody(setup)[0]]).preflight()


class _Greedy(QuickBiShares):
    """Its request names another receiver than the plan."""

    def remove(self, containers: tuple[str, ...], members: tuple[str, ...], group: str) -> CancelReportShare:
        return super().remove(containers, ("somebody-else",), group)


def test_a_request_that_would_hit_another_share_is_not_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    user, portal = somebody(setup)
    mutate(setup, share(portal, user))
    monkeypatch.setitem(REGISTRY, NAME, _Greedy())
    review = approved(setup, [user])
    with pytest.raises(Exception, match=r"BlastRadiusExceededError: .*not approved.*'somebody-else'"):
        review.revoke()
    assert not setup.emulator.writes()


class _Generous(QuickBiShares):
    """Its request to restore names a later end than was approved."""

    def add(self, containers: tuple[str, ...], members: tuple[str, ...], like: Any) -> AddShareReport:
        return super().add(containers, members, {**like, "ExpireDate": like["ExpireDate"] + 1})


def test_a_restore_with_another_end_is_not_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    user, portal = somebody(setup)
    mutate(setup, share(portal, user))
    assert asked(setup, [user]).whole()["problems"] == []
    writes = len(setup.emulator.writes())
    monkeypatch.setitem(REGISTRY, NAME, _Generous())
    restore = setup.restore(run="1")
    restore.through_plan()
    restore.approve()
    with pytest.raises(Exception, match="BlastRadiusExceededError: the final AddShareReport would grant 1"):
        restore.revoke()
    assert len(setup.emulator.writes()) == writes


def test_the_end_is_shown_as_a_date(bench: Bench) -> None:
    setup = bench()
    user, portal = somebody(setup)
    mutate(setup, share(portal, user))
    review = approved(setup, [user])
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id).run_id
        (item,) = ledger.plans.items(run)
        grant = ledger.snapshot.grants_by_id(run, [item.grant_id])[item.grant_id]
    assert grant.expires_at == datetime.fromtimestamp(END / 1000, UTC)
    assert grant.expires_raw == "2096-10-02 07:06:40.000+00:00"
