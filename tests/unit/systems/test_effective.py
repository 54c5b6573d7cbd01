"""What remains after a grant is gone: groups in groups, parents, everyone, a second record."""

from __future__ import annotations

from dataclasses import replace

from rescind.model import Cell, Grant, GrantKey, Membership
from rescind.systems import system_named
from rescind.systems.effective import (
    DISAGREEMENT,
    MEMBERSHIP,
    EffectiveAccess,
    Found,
    RemainingAccess,
    still_reachable,
)
from rescind.systems.surfaces import CONDITIONAL, UNCERTAIN, PlatformAnswer


def _grant(principal: tuple[str, str], resource: tuple[str, str], entitlement: str, native: str = "") -> Grant:
    key = GrantKey("wedata_privileges", "acc", *resource, *principal, entitlement, native)
    return Grant(key, Cell(resource[0], resource[1], "pair", (*principal, entitlement)))


def _edge(member: tuple[str, str], container: tuple[str, str]) -> Membership:
    return Membership("wedata_privileges", "acc", *member, *container)


TABLE = ("table", "c.s.t")
ANN = ("user", "ann")


def _paths(*remaining: Grant, edges: tuple[Membership, ...] = (), gone: Grant | None = None) -> list[str]:
    access = RemainingAccess(system_named("wedata_privileges"), remaining, edges)
    return [path.describe() for path in access.paths(gone or _grant(ANN, TABLE, "SELECT_TABLE"))]


def test_nothing_remains_when_others_hold_the_right() -> None:
    assert (
        _paths(_grant(("user", "bob"), TABLE, "SELECT_TABLE"), _grant(ANN, ("table", "c.s.other"), "SELECT_TABLE"))
        == []
    )


def test_a_project_gives_the_right_to_its_members_only() -> None:
    project = _grant(("project", "9"), TABLE, "SELECT_TABLE")
    assert _paths(project) == []
    assert _paths(project, edges=(_edge(ANN, ("project", "9")),)) == ["project 9: SELECT_TABLE on table c.s.t"]


def test_groups_in_groups_are_followed_and_cycles_end() -> None:
    edges = (_edge(ANN, ("group", "a")), _edge(("group", "a"), ("group", "b")), _edge(("group", "b"), ("group", "a")))
    assert _paths(_grant(("group", "b"), TABLE, "SELECT_TABLE"), edges=edges) == [
        "group a in group b: SELECT_TABLE on table c.s.t"
    ]


def test_a_path_shows_the_names_that_are_known() -> None:
    edges = (_edge(ANN, ("group", "a")), _edge(("group", "a"), ("group", "b")))
    held = _grant(("group", "b"), TABLE, "SELECT_TABLE")
    access = RemainingAccess(
        system_named("wedata_privileges"), [held], edges, {("group", "b"): "Finance", ("group", "a"): "a"}
    )
    (path,) = access.paths(_grant(ANN, TABLE, "SELECT_TABLE"))
    assert path.describe() == 'group a in group b "Finance": SELECT_TABLE on table c.s.t'


def test_a_parent_object_and_a_wider_privilege_count() -> None:
    assert _paths(
        _grant(ANN, ("schema", "c.s"), "SELECT_TABLE"), _grant(ANN, ("metalake", "default"), "ALL_PRIVILEGES")
    ) == [
        "direct grant: SELECT_TABLE on schema c.s",
        "direct grant: ALL_PRIVILEGES on metalake default",
    ]
    assert _paths(_grant(ANN, ("catalog", "other"), "SELECT_TABLE")) == []


def test_everyone_includes_the_principal() -> None:
    assert _paths(_grant(("everyone", "AllAccountUsers"), TABLE, "SELECT_TABLE")) == [
        "all users: SELECT_TABLE on table c.s.t"
    ]


def test_a_second_record_of_the_same_right_remains() -> None:
    gone = _grant(ANN, TABLE, "SELECT_TABLE", native="1")
    assert _paths(gone, _grant(ANN, TABLE, "SELECT_TABLE", native="2"), gone=gone) == [
        "direct grant: SELECT_TABLE on table c.s.t"
    ]


def _outlook(revoke: list[Grant], *others: Grant, edges: tuple[Membership, ...] = ()) -> dict[str, str]:
    gone = {grant.grant_id for grant in revoke}
    found = still_reachable(system_named("wedata_privileges"), revoke, gone, [*revoke, *others], iter(edges))
    return {grant.key.principal_id: path.describe() for grant, path in found}


def test_the_outlook_follows_groups_in_groups_parents_and_everyone() -> None:
    revoke = [_grant(("user", who), TABLE, "SELECT_TABLE") for who in ("ann", "bob", "cid", "dan")]
    edges = (
        _edge(ANN, ("role", "r")),
        _edge(("role", "r"), ("project", "9")),
        _edge(("user", "eve"), ("project", "8")),
        _edge(("user", "bob"), ("project", "8")),
    )
    others = (
        _grant(("project", "9"), TABLE, "SELECT_TABLE"),
        _grant(("project", "8"), ("table", "c.s.other"), "SELECT_TABLE"),
        _grant(("user", "cid"), ("schema", "c.s"), "ALL_PRIVILEGES"),
    )
    assert _outlook(revoke, *others, edges=edges) == {
        "ann": "role r in project 9: SELECT_TABLE on table c.s.t",
        "cid": "direct grant: ALL_PRIVILEGES on schema c.s",
    }
    everyone = _grant(("everyone", "AllAccountUsers"), ("catalog", "c"), "SELECT_TABLE")
    assert set(_outlook(revoke, everyone)) == {"ann", "bob", "cid", "dan"}


def test_a_path_that_the_same_plan_takes_away_is_no_path() -> None:
    mine, groups = _grant(ANN, TABLE, "SELECT_TABLE"), _grant(("project", "9"), TABLE, "SELECT_TABLE")
    edges = (_edge(ANN, ("project", "9")),)
    assert set(_outlook([mine], groups, edges=edges)) == {"ann"}
    assert _outlook([mine, groups], edges=edges) == {}


def _found(answer: PlatformAnswer, *remaining: Grant, edges: tuple[Membership, ...] = ()) -> Found:
    access = RemainingAccess(system_named("wedata_privileges"), remaining, edges)
    return EffectiveAccess(access, answer, {}).of(_grant(ANN, TABLE, "SELECT_TABLE"))


MINE = _grant(ANN, TABLE, "SELECT_TABLE").grant_id
ALL_USERS = _grant(("everyone", "AllAccountUsers"), TABLE, "SELECT_TABLE")


def test_where_graph_and_platform_disagree_neither_is_believed() -> None:
    found = _found(PlatformAnswer(denies={MINE}), ALL_USERS)
    assert found.paths == () and found.absent == "unknown"
    assert found.unanswered[DISAGREEMENT].startswith("the platform shows no access, but all users")
    agreed = _found(PlatformAnswer(denies={MINE}))
    assert (agreed.paths, agreed.absent, agreed.reason()) == ((), True, "")
    assert _found(PlatformAnswer(), ALL_USERS).absent is False
    both = _found(PlatformAnswer(reaches={MINE: "a policy"}), ALL_USERS)
    assert both.paths == ("all users: SELECT_TABLE on table c.s.t",)
    assert _found(PlatformAnswer(reaches={MINE: "a policy"})).paths == ("a policy",)


def test_a_way_with_a_condition_gives_way_to_the_platforms_answer_and_to_nothing_else() -> None:
    way = replace(ALL_USERS, attributes={CONDITIONAL: "the portal can be opened"})
    assert _found(PlatformAnswer(denies={MINE}), way).absent is True
    assert _found(PlatformAnswer(), way).absent is False
    assert _found(PlatformAnswer(denies={MINE}), way, ALL_USERS).absent == "unknown"


def test_a_way_that_is_uncertain_is_a_question_and_no_way() -> None:
    found = _found(PlatformAnswer(), replace(ALL_USERS, attributes={UNCERTAIN: "sharing mode"}))
    assert found.paths == () and set(found.unanswered) == {"sharing mode"} and found.absent == "unknown"


def test_members_without_an_id_may_be_anybody() -> None:
    project, role = ("project", "9"), _grant(("project", "9"), TABLE, "SELECT_TABLE")
    linked = Membership("wedata_privileges", "acc", *ANN, "user", "uin-ann")
    nobody, somebody = _edge(("unknown", "without id"), project), _edge(("user", "bob"), project)
    found = _found(PlatformAnswer(), role, edges=(linked, nobody, somebody))
    assert found.paths == () and "has members without an id" in found.unanswered[MEMBERSHIP]
    assert _found(PlatformAnswer(), role, edges=(linked, somebody)).absent is True
    elsewhere = _grant(("project", "9"), ("table", "c.s.other"), "SELECT_TABLE")
    assert _found(PlatformAnswer(), elsewhere, edges=(linked, nobody)).absent is True
