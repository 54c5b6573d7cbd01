"""A call that ends a membership ends every role in it, so members with further roles are not revocable."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from rescind.cloud.quickbi.inventory import QueryWorkspaceUserList, UserWorkspaceRole, WorkspaceUser
from rescind.model import Grant, GrantKey
from rescind.systems.quickbi.workspace_members import QuickBiWorkspaceMembers


class _Walker:
    """Two listings: the workspace shows one analyst, the user's own list these roles."""

    account = "a"

    def __init__(self, roles: list[tuple[str, str]], *, discovering: bool = True, member: bool = True) -> None:
        self.found = object() if discovering else None
        self._roles = roles
        self._member = member

    async def rows(self, request: Any) -> list[Any]:
        if isinstance(request, QueryWorkspaceUserList):
            return [WorkspaceUser.model_validate({"UserId": "u", "Role": {"RoleId": 27}})] if self._member else []
        return [
            UserWorkspaceRole.model_validate({"WorkspaceId": space, "RoleModel": {"RoleId": role}})
            for space, role in self._roles
        ]

    async def each(self, items: Iterable[Any], read: Callable[[Any], Awaitable[Any]]) -> list[Any]:
        return [await read(item) for item in items]


def _why_not(walker: _Walker) -> str:
    (member,) = asyncio.run(QuickBiWorkspaceMembers().members(walker, "w"))  # type: ignore[arg-type]
    assert member.entitlement == "analyst"
    return member.why_not


def test_a_member_with_exactly_the_listed_role_is_revocable() -> None:
    assert _why_not(_Walker([("w", "27"), ("other", "901")])) == ""


@pytest.mark.parametrize("roles", [[("w", "27"), ("w", "901")], [("w", "901")], []])
def test_a_member_whose_own_list_shows_other_roles_is_not(roles: list[tuple[str, str]]) -> None:
    assert "other roles" in _why_not(_Walker(roles))


def test_a_listing_after_the_revocation_reads_no_more_than_the_workspace() -> None:
    assert _why_not(_Walker([("w", "901")], discovering=False)) == ""


@pytest.mark.parametrize(
    ("roles", "member", "changed"),
    [
        ([("w", "27"), ("other", "901")], True, False),
        ([], False, False),
        ([], True, True),
        ([("w", "27"), ("w", "901")], True, True),
        ([("w", "26")], True, True),
        ([("w", "901")], False, True),
    ],
    ids=["as planned", "gone in both lists", "gone in one list", "one more", "another", "another in one list"],
)
def test_right_before_the_call_both_lists_must_show_the_planned_role_or_none(
    roles: list[tuple[str, str]], member: bool, changed: bool
) -> None:
    system = QuickBiWorkspaceMembers()
    key = GrantKey(system.name, "a", "workspace", "w", "user", "u", "analyst")
    grant = Grant(key, system.cell(key))
    walker: Any = _Walker(roles, discovering=False, member=member)
    assert bool(asyncio.run(system._changed(walker, grant, [grant]))) == changed
