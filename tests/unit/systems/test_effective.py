"""What remains after a grant is gone: groups in groups, parents, everyone, a second record."""

from __future__ import annotations

from rescind.model import Cell, Grant, GrantKey, Membership
from rescind.systems import system_named
from rescind.systems.effective import RemainingAccess, still_reachable


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
