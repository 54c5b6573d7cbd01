"""Members of groups and workspaces: who can be taken out, what the final bytes name, and what remains."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from typing import Any

import pytest

from rescind.errors import BlastRadiusExceededError
from rescind.model import Cell, Grant, Membership
from rescind.systems import system_named
from tests.unit.systems.test_blast_radius import _prepared
from tests.unit.systems.test_odd_rows import Answers, _left, discovered, page, quickbi

GROUPS, SPACES = (system_named(name) for name in ("quickbi_group_members", "quickbi_workspace_members"))
ADMINISTRATOR, USER = 111111111, 111111113


def groups(**answers: Answers) -> Any:
    """One group with a user and a group in it."""
    tree = itertools.chain([{"Result": [{"UserGroupId": "g1"}]}], itertools.repeat({"Result": []}))
    members = [{"Id": "ann", "IsUserGroup": False}, {"Id": "g2", "IsUserGroup": True}]
    known = {"QueryUserGroupListByParentId": lambda sent: next(tree), "QueryUserGroupMember": {"Result": members}}
    return quickbi({**known, **answers})


def spaces(*, ann: int = USER, role: int = 27) -> Any:
    """One workspace of olga, with olga and ann as analysts.

    :param ann: the role of ann in the organization.
    :param role: the role of both in the workspace.
    """
    people = [{"UserId": user, "Role": {"RoleId": role}} for user in ("ann", "olga")]
    roles = [{"WorkspaceId": space, "RoleModel": {"RoleId": role}} for space in ("w1", "w2")]
    return quickbi(
        {
            "QueryUserList": page({"UserId": "ann", "RoleIdList": [ann]}, {"UserId": "olga", "RoleIdList": [USER]}),
            "QueryOrganizationWorkspaceList": page({"WorkspaceId": "w1", "Owner": "olga"}),
            "QueryWorkspaceUserList": page(*people),
            "ListWorkspaceUserRolesByUserId": {"Result": roles},
        }
    )


def held(sink: Any) -> dict[str, Grant]:
    return {grant.key.principal_id: grant for grant in sink.grants if grant.key.resource_type != "organization"}


def test_a_user_can_be_taken_out_of_a_group_and_a_group_cannot() -> None:
    found, sink = discovered(GROUPS, groups())
    user, group = held(sink)["ann"], held(sink)["g2"]
    assert (user.key.principal_type, user.revocable, user.why_not) == ("user", True, "")
    assert (group.key.principal_type, group.revocable) == ("group", False) and "not taken out" in group.why_not
    assert GROUPS.principal_listing_scope(user) == ("member", "ann", "")
    assert GROUPS.principal_listing_scope(group) is None, "the listing of groups by member takes users only"
    edges = {(edge.member_type, edge.member_id, edge.container_type, edge.container_id) for edge in sink.memberships}
    assert edges == {("user", "ann", "group", "g1"), ("group", "g2", "group", "g1")}
    assert found.surfaces == {"group members": ""}, "what is asked in the verification was not asked here"


def test_only_users_whom_the_organization_does_not_show_have_left() -> None:
    people = page({"UserId": "ann", "IsDeleted": False}, {"UserId": "bea", "IsDeleted": True}, {"UserId": "cy"})
    _, sink = discovered(GROUPS, groups())
    grant = held(sink)["ann"]
    every = [replace(grant, key=grant.key._replace(principal_id=user)) for user in ("ann", "bea", "cy", "dan")]
    gone = asyncio.run(GROUPS.gone_holders(groups(QueryUserList=people), [*every, held(sink)["g2"]]))
    assert gone == {every[1].grant_id: "the user is deleted", every[3].grant_id: "the user is deleted"}


@pytest.mark.parametrize(
    "query",
    ["", "UserGroupIds=g1", "UserId=u", "UserGroupIds=&UserId=u", "UserGroupIds=g1,&UserId=u",
     "UserGroupIds=g1&UserId=", "UserGroupIds=g1&UserId=u,v", "UserGroupIds=g1&UserId=u&All=true"],
)  # fmt: skip
def test_a_query_that_does_not_name_one_user_and_groups_is_refused(query: str) -> None:
    for action in ("DeleteUserGroupMembers", "AddUserGroupMembers"):
        with pytest.raises(BlastRadiusExceededError):
            GROUPS.blast_radius(_prepared(action, query=query))


def test_every_group_of_a_query_counts() -> None:
    prepared = _prepared("DeleteUserGroupMembers", query="UserGroupIds=g1,g2&UserId=u")
    assert GROUPS.blast_radius(prepared) == {Cell("account", group, "user", ("u",)) for group in ("g1", "g2")}


def test_the_owner_of_a_workspace_stays_and_others_can_go() -> None:
    found, sink = discovered(SPACES, spaces())
    assert (held(sink)["ann"].revocable, held(sink)["ann"].key.entitlement) == (True, "analyst")
    assert not held(sink)["olga"].revocable and "owns the workspace" in held(sink)["olga"].why_not
    assert found.surfaces == {"workspace members": "", "organization roles": ""}
    assert _left(SPACES, sink, found).absent is True


def test_who_administers_the_organization_still_reaches_the_workspace() -> None:
    found, sink = discovered(SPACES, spaces(ann=ADMINISTRATOR))
    left = _left(SPACES, sink, found)
    assert left.absent is False and "organization administrator" in left.paths[0]


def test_a_role_is_a_membership_of_its_own() -> None:
    _, sink = discovered(SPACES, spaces(role=25))
    ann = held(sink)["ann"]
    account = ann.key.account
    assert SPACES.memberships(ann) == (
        Membership(SPACES.name, account, "user", "ann", "workspace", "w1"),
        Membership(SPACES.name, account, "user", "ann", "role", "w1.25"),
    )
    assert set(SPACES.memberships(ann)) <= set(sink.memberships)


def test_a_custom_role_cannot_be_restored() -> None:
    _, sink = discovered(SPACES, spaces(role=901))
    custom = held(sink)["ann"]
    assert custom.key.entitlement == "role 901" and SPACES.inverse(custom) is None
    preset = replace(custom, key=custom.key._replace(entitlement="viewer"))
    assert SPACES.inverse(preset) is not None


@pytest.mark.parametrize(
    ("action", "query"),
    [
        ("DeleteUserFromWorkspace", "WorkspaceId=w"),
        ("DeleteUserFromWorkspace", "UserId=u"),
        ("DeleteUserFromWorkspace", "WorkspaceId=w&UserId="),
        ("DeleteUserFromWorkspace", "WorkspaceId=w,v&UserId=u"),
        ("DeleteUserFromWorkspace", "WorkspaceId=w&UserId=u,v"),
        ("DeleteUserFromWorkspace", "WorkspaceId=w&UserId=u&RoleId=27"),
        ("AddUserToWorkspace", "WorkspaceId=w&UserId=u"),
        ("AddUserToWorkspace", "WorkspaceId=w&UserId=u&RoleId=901"),
        ("AddUserToWorkspace", "WorkspaceId=w&UserId=u&RoleId="),
    ],
)
def test_a_query_that_does_not_name_one_user_and_one_workspace_is_refused(action: str, query: str) -> None:
    with pytest.raises(BlastRadiusExceededError):
        SPACES.blast_radius(_prepared(action, query=query))


def test_the_role_of_a_final_query_is_read_back() -> None:
    (given,) = SPACES.given(_prepared("AddUserToWorkspace", query="WorkspaceId=w&UserId=u&RoleId=25"))
    assert (given["container"], given["member"], given["role"]) == ("w", "u", "administrator")
