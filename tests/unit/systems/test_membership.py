"""The base of membership systems, with a system whose remove call names the role."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import pytest

from rescind.cloud.base import Bucket, Prepared, Reply, WriteRequest
from rescind.cloud.clients import WeDataClient
from rescind.errors import BlastRadiusExceededError, PlanError
from rescind.model import CallShape, Cell, Grant, GrantKey, Membership, PlannedCall, PrincipalType
from rescind.systems.final_bytes import body_fields
from rescind.systems.membership import Container, Member, MembershipSystem, Named
from rescind.systems.walker import Walker


class _Roles(WriteRequest[Reply]):
    vendor: ClassVar[str] = "tencent"
    service: ClassVar[str] = "wedata"
    action: ClassVar[str] = "TestOnlyRoles"
    version: ClassVar[str] = "v"
    Answer: ClassVar[type[Reply]] = Reply
    Project: str
    Users: tuple[str, ...]
    Role: str

    def wire(self) -> dict[str, Any]:
        return {"Project": self.Project, "Users": list(self.Users), "Role": self.Role}


class _ProjectRoles(MembershipSystem[WeDataClient]):
    name: ClassVar[str] = "project_roles"
    container_type: ClassVar[str] = "project"
    container_kind: ClassVar[PrincipalType] = PrincipalType.PROJECT
    removes_one_role: ClassVar[bool] = True
    shape: ClassVar[CallShape] = CallShape(max_rows=1, max_columns={"user": 5})
    revoke_message: ClassVar[type[WriteRequest[Any]]] = _Roles
    restore_message: ClassVar[type[WriteRequest[Any]]] = _Roles

    async def containers(self, walker: Walker[WeDataClient]) -> Mapping[str, Container]:
        return {}

    async def members(self, walker: Walker[WeDataClient], container: str) -> Iterable[Member]:
        return ()

    def remove(self, containers: tuple[str, ...], members: tuple[str, ...], group: str) -> _Roles:
        (project,) = containers
        return _Roles(Project=project, Users=members, Role=group)

    def add(self, containers: tuple[str, ...], members: tuple[str, ...], like: Mapping[str, Any]) -> _Roles:
        return self.remove(containers, members, like["role"])

    def named(self, prepared: Prepared[Any]) -> Named:
        body = body_fields(prepared)
        return Named((body["Project"],), tuple(body["Users"]), entitlement=body["Role"])


SYSTEM = _ProjectRoles()


def _grant(user: str, role: str) -> Grant:
    key = GrantKey(SYSTEM.name, "a", "project", "p", "user", user, role)
    return Grant(key, SYSTEM.cell(key))


def _prepared(body: bytes) -> Prepared[Any]:
    bucket = Bucket("tencent", "a", "r", "TestOnlyRoles", 5.0)
    request = _Roles(Project="p", Users=("u",), Role="admin")
    return Prepared("tencent", "wedata", "TestOnlyRoles", "v", True, "POST", "https://h/", {}, body, bucket, request)


def test_roles_that_the_call_names_are_never_mixed() -> None:
    admin, viewer = _grant("u", "admin"), _grant("u", "viewer")
    assert admin.cell.container != viewer.cell.container
    call = PlannedCall(SYSTEM.name, "a", "admin", ("p",), (("user", ("u",)), ("user", ("v",))))
    request = SYSTEM.request(call, [admin])
    assert request.wire() == {"Project": "p", "Users": ["u", "v"], "Role": "admin"}
    radius = SYSTEM.blast_radius(_prepared(b'{"Project": "p", "Users": ["u", "v"], "Role": "admin"}'))
    assert radius == call.cells() == {Cell("admin", "p", "user", (user,)) for user in "uv"}


def test_a_restore_gives_exactly_what_was_captured() -> None:
    inverses = [SYSTEM.inverse(_grant(user, "admin")) for user in "uv"]
    given = SYSTEM.given(_prepared(b'{"Project": "p", "Users": ["u", "v"], "Role": "admin"}'))
    assert given == inverses
    assert SYSTEM.restore_request(given).wire() == {"Project": "p", "Users": ["u", "v"], "Role": "admin"}
    with pytest.raises(PlanError, match="different roles or terms"):
        SYSTEM.restore_request([*given, {**given[0], "role": "viewer"}])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"Project": "", "Users": ["u"], "Role": "admin"}',
        b'{"Project": "p", "Users": [], "Role": "admin"}',
        b'{"Project": "p", "Users": ["u", ""], "Role": "admin"}',
        b'{"Project": "p", "Users": ["u"], "Role": ""}',
    ],
)
def test_an_empty_selector_is_refused(body: bytes) -> None:
    for read in (SYSTEM.blast_radius, SYSTEM.given):
        with pytest.raises(BlastRadiusExceededError):
            read(_prepared(body))


def test_a_grant_is_a_membership_of_its_own() -> None:
    assert SYSTEM.memberships(_grant("u", "admin")) == (Membership(SYSTEM.name, "a", "user", "u", "project", "p"),)
    assert SYSTEM.principal_listing_scope(_grant("u", "admin")) is None
