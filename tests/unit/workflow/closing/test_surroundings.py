"""What counts as a membership that can end alone, and so may close a path."""

from __future__ import annotations

import pytest

from rescind.model import Cell, Grant, GrantKey, Membership, PrincipalType
from rescind.systems import REGISTRY
from rescind.workflow.closing.surroundings import is_membership

IDS = ("g", "g.25", "g.owner", "111111111")


@pytest.mark.parametrize("name", ["dms_accounts", "quickbi_shares", "dms_permissions", "quickbi_menus"])
def test_an_account_or_a_share_closes_no_path(name: str) -> None:
    """To disable an account takes everything from its user; a share is access by itself."""
    edges = [Membership("", "1", "user", "u", kind, ident) for kind in PrincipalType for ident in IDS]
    assert not any(map(REGISTRY[name].could_end, edges))
    key = GrantKey(name, "1", "account", "1", "user", "u", "active")
    assert not is_membership(Grant(key, Cell("", "1", "user", ("u",)), attributes={"Roles": "ADMIN,DBA"}))


def test_groups_workspaces_and_roles_in_them_are_memberships() -> None:
    groups, spaces = REGISTRY["quickbi_group_members"], REGISTRY["quickbi_workspace_members"]
    edges = [Membership("", "1", "user", "u", kind, ident) for kind in PrincipalType for ident in IDS]
    assert {(e.container_type, e.container_id) for e in edges if groups.could_end(e)} == {("group", i) for i in IDS}
    assert {(e.container_type, e.container_id) for e in edges if spaces.could_end(e)} == {
        *(("workspace", ident) for ident in IDS),
        ("role", "g.25"),
    }
    key = GrantKey(groups.name, "1", "user_group", "g", "user", "u", "member")
    assert is_membership(Grant(key, groups.cell(key)))
