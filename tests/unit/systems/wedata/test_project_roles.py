"""Members and roles of WeData projects: what stays, what one call ends, and what a restore gives."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from rescind.cloud.base import Bucket, Prepared, WriteRequest
from rescind.cloud.wedata.inventory import ProjectMember
from rescind.errors import BlastRadiusExceededError, ListingIncompleteError, PlanError, RefusedError
from rescind.model import Grant, Membership, PlannedCall
from rescind.systems.base import Reading
from rescind.systems.wedata.project_roles import MEMBERSHIP, WeDataProjectRoles, _grants
from rescind.systems.wedata.projects import ended_memberships

SYSTEM = WeDataProjectRoles()
ADMIN, ENGINEER, CUSTOM = "308335260274237440", "308335260676890624", "55"
SCOPE = ("7", "sales")
PLAIN = {"IsCreator": False, "IsProjectOwner": False}
CLIENT: Any = SimpleNamespace(identity=None)


def row(uin: str | None = "8", roles: Sequence[str] | None = (ENGINEER,), **flags: Any) -> dict[str, Any]:
    listed = None if roles is None else [{"RoleId": role} for role in roles]
    return {"UserUin": uin, "Roles": listed, **PLAIN, **flags}


def grants(*rows: Mapping[str, Any], owner: str = "", roles: set[str] | None = None) -> list[Grant]:
    people = [ProjectMember.model_validate(one) for one in rows]
    return list(_grants("a", SCOPE, people, owner=owner, roles=roles))


def prepared(request: WriteRequest[Any] | None, action: str = "", body: Any = None) -> Prepared[Any]:
    name = request.action if request else action
    final = json.dumps(request.wire() if request else body).encode()
    bucket = Bucket("tencent", "a", "r", name, 20.0)
    return Prepared("tencent", "wedata", name, "v", True, "POST", "https://h/", {}, final, bucket, request)  # type: ignore[arg-type]


def call(*planned: Grant) -> PlannedCall:
    columns = tuple((grant.cell.kind, grant.cell.column) for grant in planned)
    return PlannedCall(SYSTEM.name, "a", "7", (planned[0].cell.row,), columns)


def test_a_member_holds_the_membership_and_each_role() -> None:
    found = {grant.key.entitlement: grant for grant in grants(row(roles=[ADMIN, CUSTOM]))}
    assert set(found) == {MEMBERSHIP, "administrator", "role 55"}
    assert all(grant.revocable and SYSTEM.cell(grant.key) == grant.cell for grant in found.values())
    edges = {dataclasses.astuple(SYSTEM.memberships(grant)[0])[2:] for grant in found.values()}
    where = {("project", "7"), ("role", f"7.{ADMIN}"), ("role", f"7.{CUSTOM}")}
    assert edges == {("user", "8", kind, ident) for kind, ident in where}


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"given": row(IsProjectOwner=True)}, "owns the project"),
        ({"given": row(), "owner": "8"}, "owns the project"),
        ({"given": row(IsCreator=True)}, "created the project"),
        ({"given": row(IsCreator=None)}, "does not tell whether"),
        ({"given": row(IsProjectOwner=None)}, "does not tell whether"),
        ({"given": row(None)}, "without an id"),
        ({"given": row(roles=None)}, "does not tell the roles"),
        ({"given": row("8x")}, "cannot name"),
    ],
)
def test_who_must_stay_is_not_revocable(given: dict[str, Any], why: str) -> None:
    found = grants(given["given"], owner=given.get("owner", ""))
    assert found and not any(grant.revocable for grant in found)
    assert all(why in grant.why_not for grant in found)


@pytest.mark.parametrize(("role", "why"), [(CUSTOM, "does not list this role"), ("x", "cannot name")])
def test_a_role_that_could_not_be_restored_stays(role: str, why: str) -> None:
    found = {grant.key.entitlement: grant.why_not for grant in grants(row(roles=[ENGINEER, role]), roles={ENGINEER})}
    assert found["data engineer"] == found[MEMBERSHIP] == "" and why in found[f"role {role}"]


def test_roles_go_by_name_and_a_membership_by_the_call_that_ends_them_all() -> None:
    whole, engineer, custom = grants(row(roles=[ENGINEER, CUSTOM]))
    some = SYSTEM.request(call(engineer, custom), [engineer, custom])
    assert (some.action, some.wire()) == (
        "RemoveMemberProjectRole", {"ProjectId": "7", "UserUin": "8", "RoleIds": [ENGINEER, CUSTOM]}
    )  # fmt: skip
    assert SYSTEM.blast_radius(prepared(some)) == {engineer.cell, custom.cell}
    every = SYSTEM.request(call(whole, engineer, custom), [whole, engineer, custom])
    assert (every.action, every.wire()) == ("DeleteProjectMember", {"ProjectId": "7", "UserUins": ["8"]})
    assert SYSTEM.blast_radius(prepared(every)) == {whole.cell}


@pytest.mark.parametrize(
    ("going", "held"),
    [
        ([MEMBERSHIP, "data engineer", "role 55"], {}),
        (["data engineer"], {}),
        ([MEMBERSHIP, "data engineer"], {MEMBERSHIP: "also end role 55"}),
        ([MEMBERSHIP], {MEMBERSHIP: "also end data engineer, role 55"}),
        (["data engineer", "role 55"], {"data engineer": "last role", "role 55": "last role"}),
    ],
)
def test_a_call_that_would_end_more_than_planned_is_held(going: list[str], held: dict[str, str]) -> None:
    there = [*grants(row(roles=[ENGINEER, CUSTOM])), *grants(row("9", roles=[ADMIN]))]
    planned = [grant for grant in there if grant.key.principal_id == "8" and grant.key.entitlement in going]
    why = SYSTEM.ended_besides(planned, there)
    names = {grant.grant_id: grant.key.entitlement for grant in planned}
    assert {names[ident] for ident in why} == set(held)
    assert all(held[names[ident]] in text for ident, text in why.items())


def also(planned: list[Grant], *now: Mapping[str, Any]) -> set[str]:
    """What would end besides, when the project lists these rows right before the call."""
    system = WeDataProjectRoles()

    async def reread(client: Any, listings: Any) -> Reading:
        assert listings == {SCOPE}
        return Reading(tuple(grants(*now)), frozenset(listings), 1)

    system.reread = reread  # type: ignore[method-assign]
    return set(asyncio.run(system.also_ended(CLIENT, planned)).values())


def test_what_was_given_since_the_plan_is_seen_right_before_the_call() -> None:
    _, engineer = planned = grants(row())
    other = row("9", roles=[ADMIN])
    assert also(planned, row(), other) == set()
    assert also(planned, row(roles=[ENGINEER, CUSTOM]), other) == {"the call would also end role 55 of this member"}
    assert "owns the project" in also(planned, row(IsProjectOwner=True), other).pop()
    assert "does not tell the roles" in also(planned, row(roles=None), other).pop()
    assert "last role" in also([engineer], row(), other).pop()
    assert also([engineer], row(roles=[ENGINEER, ADMIN]), other) == set()


def test_a_member_who_is_not_listed_any_more() -> None:
    whole, engineer = grants(row())
    assert "no member" in also([whole, engineer], row("9")).pop(), "the vendor may call this a missing right of the key"
    assert "without an id" in also([whole, engineer], row(None)).pop()


def test_a_project_that_cannot_be_listed_holds_its_calls() -> None:
    system = WeDataProjectRoles()

    async def reread(client: Any, listings: Any) -> Reading:
        code = "InvalidParameter.WorkspaceNotExist"
        raise RefusedError("gone", vendor="tencent", action="ListProjectMembers", code=code)

    system.reread = reread  # type: ignore[method-assign]
    (why,) = set(asyncio.run(system.also_ended(CLIENT, grants(row()))).values())
    assert "WorkspaceNotExist" in why


def test_a_restore_gives_exactly_what_was_captured() -> None:
    whole, engineer, custom = grants(row(roles=[ENGINEER, CUSTOM]))
    for chosen, action in (([engineer, custom], "GrantMemberProjectRole"), ([whole, custom], "CreateProjectMember")):
        inverses = [SYSTEM.inverse(grant) or {} for grant in chosen]
        request = SYSTEM.restore_request(inverses)
        assert request.action == action
        given = SYSTEM.given(prepared(request))
        assert sorted(given, key=str) == sorted(inverses, key=str)
    with pytest.raises(PlanError, match="at least one role"):
        SYSTEM.restore_request([SYSTEM.inverse(whole) or {}])
    (alone,) = grants(row(roles=[]))
    assert SYSTEM.inverse(alone) is None, "nobody can be put into a project without a role"


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("DeleteProjectMember", {"ProjectId": "7", "UserUins": []}),
        ("DeleteProjectMember", {"ProjectId": "7", "UserUins": ["8", "9"]}),
        ("DeleteProjectMember", {"ProjectId": "7", "UserUins": "8"}),
        ("DeleteProjectMember", {"ProjectId": "", "UserUins": ["8"]}),
        ("DeleteProjectMember", {"ProjectId": "7", "UserUins": ["8"], "RoleIds": ["1"]}),
        ("DeleteProjectMember", {"UserUins": ["8"]}),
        ("RemoveMemberProjectRole", {"ProjectId": "7", "UserUin": "8", "RoleIds": []}),
        ("RemoveMemberProjectRole", {"ProjectId": "7", "UserUin": "8"}),
        ("RemoveMemberProjectRole", {"ProjectId": "7", "UserUin": "", "RoleIds": ["1"]}),
        ("RemoveMemberProjectRole", {"ProjectId": "7", "UserUin": "8", "RoleIds": ["1"], "All": True}),
        ("RemoveMemberProjectRole", {"ProjectId": "7", "UserUin": "8", "RoleIds": "1"}),
        ("CreateProjectMember", {"ProjectId": "7", "UserUins": ["8"], "RoleIds": ["1"]}),
        ("RemoveMemberProjectRole", []),
    ],
)
def test_final_bytes_without_exactly_one_member_are_refused(action: str, body: Any) -> None:
    with pytest.raises(BlastRadiusExceededError):
        SYSTEM.blast_radius(prepared(None, action, body))


class _Vendor:
    """A client whose projects and members are given, one set of members for each reading."""

    account, region = "a", "r"
    settings = SimpleNamespace(tid=None)

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *readings: list[dict[str, Any]], owner: str | None = "1"
    ) -> None:
        from rescind.cloud.wedata.inventory import ListProjects, Project
        from rescind.systems.walker import Walker

        turns = iter(readings)

        async def rows(walker: Any, request: Any) -> Any:
            if isinstance(request, ListProjects):
                return [Project.model_validate({"ProjectId": "7", "ProjectOwnerUin": owner, "CreatorUin": "1"})]
            reading = next(turns)
            if not reading:
                raise ListingIncompleteError("ListProjectMembers", "null")
            return [ProjectMember.model_validate(one) for one in reading]

        monkeypatch.setattr(Walker, "rows", rows)


IN_ROLE = Membership("s", "a", "user", "8", "role", f"7.{ADMIN}")
IN_PROJECT = Membership("s", "a", "user", "8", "project", "7")
OTHERS = [row("9")]


@pytest.mark.parametrize(
    ("readings", "ended"),
    [
        ([OTHERS, OTHERS], {IN_ROLE, IN_PROJECT}),
        ([[row(roles=[ENGINEER])], [row(roles=[ENGINEER])]], {IN_ROLE}),
        ([OTHERS, [row(roles=[ADMIN])]], set()),
        ([[row(roles=[ADMIN])], OTHERS], set()),
        ([[row(roles=None)], [row(roles=None)]], set()),
        ([[row(None)], OTHERS], set()),
    ],
)
def test_a_membership_has_ended_when_two_readings_lack_it(
    monkeypatch: pytest.MonkeyPatch, readings: list[list[dict[str, Any]]], ended: set[Membership]
) -> None:
    found = asyncio.run(ended_memberships(_Vendor(monkeypatch, *readings), [IN_ROLE, IN_PROJECT]))  # type: ignore[arg-type]
    assert found.memberships == ended


@pytest.mark.parametrize("owner", ["8", None])
def test_an_owner_stays_a_member_whatever_the_list_says(monkeypatch: pytest.MonkeyPatch, owner: str | None) -> None:
    vendor: Any = _Vendor(monkeypatch, OTHERS, OTHERS, owner=owner)
    assert asyncio.run(ended_memberships(vendor, [IN_ROLE, IN_PROJECT])).memberships == frozenset()


def test_a_failed_reading_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vendor: Any = _Vendor(monkeypatch, OTHERS, [])
    with pytest.raises(ListingIncompleteError):
        asyncio.run(ended_memberships(vendor, [IN_ROLE]))
