"""One odd row is named and set aside: it blocks no system and never reads as "nobody"."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from rescind.cloud.clients import QuickBiClient, WeDataClient
from rescind.cloud.dms.permissions import UserPermissionRow
from rescind.errors import ListingIncompleteError
from rescind.model import Membership
from rescind.systems import system_named
from rescind.systems.dms.record_grants import grant_of
from rescind.systems.effective import EffectiveAccess, access_around
from rescind.systems.population import Population
from rescind.systems.surfaces import PlatformAnswer, unasked
from tests.support import answering
from tests.support.answering import Answers
from tests.support.sink import Lists

MENUS, PRIVILEGES, SOURCES = (
    system_named(name) for name in ("quickbi_menus", "wedata_privileges", "wedata_data_sources")
)
TREE = json.dumps([{"menuId": "m1", "menuType": 0}, {"menuId": "m2", "menuType": 0}])
ANN = {"ReceiverId": "ann", "ReceiverType": 0, "AuthPointsValue": 1}


def page(*rows: Answers) -> Answers:
    return {"Result": {"Data": list(rows), "TotalNum": len(rows)}}


def menu(ident: str, *receivers: Answers, **fields: Any) -> Answers:
    return {"MenuId": ident, "ShowOnlyWithAccess": True, "Receivers": list(receivers), **fields}


PORTAL: Answers = {
    "QueryUserList": page({"UserId": "ann", "RoleIdList": [111111113]}),
    "QueryUserGroupListByParentId": {"Result": []},
    "QueryOrganizationWorkspaceList": page({"WorkspaceId": "w1"}),
    "QueryWorkspaceUserList": page(),
    "QueryWorksByOrganization": page({"WorksId": "p1", "WorkspaceId": "w1", "OwnerId": "olga", "PublicFlag": False}),
    "ListPortalMenus": {"Result": TREE},
    "ListPortalMenuAuthorization": {"Result": [menu("m1", ANN), menu("m2")]},
    "ListWhitePortalMenu": {"Result": []},
    "QueryShareList": {"Result": []},
}
LAKE: Answers = {
    "ListProjects": {"Items": [{"ProjectId": "1470", "ProjectOwnerUin": "100", "CreatorUin": "100"}], "TotalCount": 1},
    "ListProjectMembers": {"Items": [{"UserUin": "200", "Roles": []}], "TotalCount": 1},
    "ListCatalog": {"Items": [{"Name": "lake"}], "TotalCount": 1},
    "ListDatabase": {"Items": [], "TotalCount": 0},
    "ListSchema": {"Items": [{"Name": "s"}], "TotalCount": 1},
    "ListTable": {"Items": [{"Name": "t", "SchemaName": "s"}], "TotalCount": 1},
    "ListPermissions": lambda body: {"Details": [], "TotalCount": 0},
    "ListDataSources": {
        "Items": [{"Id": 65377, "Name": "src", "ProjectId": "1470", "CreateUser": "100"}],
        "TotalCount": 1,
    },
    "DescribeDataSourceAuthority": {"AuthProjectIds": ["1470"], "AuthUsers": ["1470_700"]},
}


def quickbi(answers: Answers) -> QuickBiClient:
    return answering.quickbi({**PORTAL, **answers})


def wedata(answers: Answers) -> WeDataClient:
    return answering.wedata({**LAKE, **answers})


def discovered(system: Any, client: Any, *excluded: str) -> tuple[Population, Lists]:
    sink = Lists()
    found = Population(sink, excluded=excluded)
    asyncio.run(system.discover(client, found))
    return found, sink


def test_a_portal_in_order_leaves_no_question() -> None:
    found, sink = discovered(MENUS, quickbi({}))
    assert [grant.key.resource_id for grant in sink.grants if grant.revocable] == ["m1"]
    assert unasked(MENUS.surfaces, found.surfaces) == {} and found.left_out == []


def test_a_menu_without_a_list_of_receivers_is_confirmed_by_a_second_equal_reading() -> None:
    answers = {"ListPortalMenuAuthorization": {"Result": [menu("m1", ANN), menu("m2", Receivers=None)]}}
    found, sink = discovered(MENUS, quickbi(answers))
    assert [grant.key.resource_id for grant in sink.grants if grant.revocable] == ["m1"]
    assert found.actions["ListPortalMenuAuthorization"] == 2


def test_receivers_that_come_and_go_are_no_answer() -> None:
    turns = itertools.cycle([[menu("m1", Receivers=None), menu("m2")], [menu("m1"), menu("m2", Receivers=None)]])
    with pytest.raises(ListingIncompleteError, match=r"p1.*never agreed"):
        discovered(MENUS, quickbi({"ListPortalMenuAuthorization": lambda sent: {"Result": next(turns)}}))


def test_a_menu_of_the_tree_without_an_entry_is_named_and_proves_nothing_absent() -> None:
    client = quickbi({"ListPortalMenuAuthorization": {"Result": [menu("m2")]}})
    found, _ = discovered(MENUS, client)
    assert [(one["type"], one["id"]) for one in found.left_out] == [("menu", "m1")]
    with pytest.raises(ListingIncompleteError, match="m1"):
        asyncio.run(MENUS.reread(client, [("p1",)]))


def test_a_receiver_without_a_level_can_be_revoked_and_not_restored() -> None:
    receiver = {"ReceiverId": "ann", "ReceiverType": 0}
    _, sink = discovered(
        MENUS, quickbi({"ListPortalMenuAuthorization": {"Result": [menu("m1", receiver), menu("m2")]}})
    )
    (grant,) = [one for one in sink.grants if one.key.resource_id == "m1"]
    assert grant.revocable and MENUS.inverse(grant) is None


@pytest.mark.parametrize(
    ("action", "surface"), [("ListWhitePortalMenu", "portal white list"), ("QueryShareList", "portal shares")]
)
def test_a_list_that_cannot_be_read_leaves_its_surface_unanswered(action: str, surface: str) -> None:
    found, _ = discovered(MENUS, quickbi({action: {"Success": False, "Code": "Access.Forbidden", "Message": "no"}}))
    ((name, why, resource, principal),) = found.gaps
    assert (name, resource, principal) == (surface, ("portal", "p1"), ()) and "p1" in why
    assert unasked(MENUS.surfaces, found.surfaces) == {}, "other portals are not concerned"


def test_roles_that_the_vendor_does_not_name_leave_the_surface_unanswered() -> None:
    found, _ = discovered(MENUS, quickbi({"QueryUserList": page({"UserId": "ann", "RoleIdList": None})}))
    assert [(gap.surface, gap.principal) for gap in found.gaps] == [("organization roles", ("user", "ann"))]
    assert unasked(MENUS.surfaces, found.surfaces) == {}, "other users are not concerned"


def test_a_portal_that_is_left_out_is_reported() -> None:
    found, sink = discovered(MENUS, quickbi({}), "p1")
    assert [(one["type"], one["id"]) for one in found.left_out] == [("portal", "p1")]
    assert [grant for grant in sink.grants if grant.key.resource_type == "menu"] == []


def test_a_table_with_a_dot_in_its_name_is_named_and_the_others_are_read() -> None:
    tables = [{"Name": "t", "SchemaName": "s"}, {"Name": "a.b", "SchemaName": "s"}]
    asked: list[str] = []

    def permissions(body: Answers) -> Answers:
        asked.append(body["Resource"]["ResourceUri"])
        return {"Details": [], "TotalCount": 0}

    answers = {"ListTable": {"Items": tables, "TotalCount": 2}, "ListPermissions": permissions}
    found, _ = discovered(PRIVILEGES, wedata(answers))
    assert [(one["type"], one["id"]) for one in found.left_out] == [("table", "lake.s.a.b")]
    assert "lake.s.t" in asked


def _row(body: Answers, name: str) -> Answers:
    resource = body["Resource"]
    row = {
        "Resource": resource,
        "SubjectDetails": [{"SubjectType": "User", "SubjectValue": "700"}],
        "PermissionDetails": [{"Name": name, "Inherited": False}],
    }
    return {"Details": [row], "TotalCount": 1}


def test_a_privilege_that_no_request_can_name_is_kept_and_not_planned() -> None:
    _, sink = discovered(PRIVILEGES, wedata({"ListPermissions": lambda body: _row(body, "READ-VOLUME")}))
    odd = [grant for grant in sink.grants if grant.key.entitlement == "READ-VOLUME"]
    assert odd and not any(grant.revocable for grant in odd)
    assert "cannot name" in odd[0].why_not


def _of(value: str, name: str = "READ", kind: str = "User") -> Callable[[Answers], Answers]:
    def answer(body: Answers) -> Answers:
        given = _row(body, name)
        given["Details"][0]["SubjectDetails"].append({"SubjectType": kind, "SubjectValue": value})
        return given

    return answer


@pytest.mark.parametrize(("value", "name", "kind"), [("0", "READ", "User"), ("AllUsers", "READ", "GlobalRole"),
                                                     ("7", "ALL", "User"), ("a@b", "READ", "User")])  # fmt: skip
def test_a_subject_or_privilege_that_no_request_can_name_is_kept_and_not_planned(
    value: str, name: str, kind: str
) -> None:
    _, sink = discovered(PRIVILEGES, wedata({"ListPermissions": _of(value, name, kind)}))
    odd = [grant for grant in sink.grants if (grant.key.principal_id, grant.key.entitlement) == (value, name)]
    assert odd and not any(grant.revocable for grant in odd) and "cannot name" in odd[0].why_not
    assert name == "ALL" or [grant for grant in sink.grants if grant.revocable]


def test_authorizations_with_ids_that_no_request_can_name_are_kept_and_not_planned() -> None:
    given = {"AuthProjectIds": ["0", "1470"], "AuthUsers": ["0_7", "7_0", "1470_700", "1470_0700"]}
    _, sink = discovered(SOURCES, wedata({"DescribeDataSourceAuthority": given}))
    listed = [grant for grant in sink.grants if grant.key.entitlement == "use"]
    assert len(listed) == 6
    assert sorted(grant.cell.column for grant in listed if grant.revocable) == [("1470",), ("1470", "700")]


@pytest.mark.parametrize("ident", ["0", "-1", "all", "null", "a,b"])
def test_receivers_that_no_request_can_name_are_kept_and_not_planned(ident: str) -> None:
    odd = {**ANN, "ReceiverId": ident}
    _, sink = discovered(
        MENUS, quickbi({"ListPortalMenuAuthorization": {"Result": [menu("m1", ANN, odd), menu("m2")]}})
    )
    listed = {grant.key.principal_id: grant for grant in sink.grants if grant.key.resource_id == "m1"}
    assert (listed["ann"].revocable, listed[ident].revocable) == (True, False)
    assert "cannot name" in listed[ident].why_not


@pytest.mark.parametrize("field", ["UserId", "UserAccessId", "DbId", "TableId", "TableName"])
def test_records_that_no_request_can_name_are_kept_and_not_planned(field: str) -> None:
    facts = {"UserId": "5", "UserAccessId": "7", "DbId": "1", "TableId": "9", "TableName": "t"}

    def made(**over: str) -> Any:
        given = {**facts, **over}
        row = UserPermissionRow.model_validate(
            {**given, "DsType": "TABLE", "PermDetails": {"PermDetail": [{**given, "PermType": "QUERY"}]}}
        )
        return grant_of("a", "3", ("TABLE", "1", "false"), row, row.details[0])

    assert made().revocable
    odd = made(**{field: "*" if field == "TableName" else "0"})
    assert not odd.revocable and "cannot name" in odd.why_not


SCHEMA, PLACE = "lake.s", "lake.s.t"
FROM_SCHEMA = {"ResourceType": "Schema", "ResourceUri": SCHEMA}
ITSELF = {"ResourceType": "Table", "ResourceUri": PLACE}
ORIGINS: dict[str, tuple[Answers, str]] = {
    "nothing said": ({}, ""),
    "the flag alone": ({"Inherited": False}, ""),
    "itself": ({"InheritedObject": ITSELF}, ""),
    "not inherited, and itself": ({"Inherited": False, "InheritedObject": ITSELF}, ""),
    "another object without the flag": ({"InheritedObject": FROM_SCHEMA}, SCHEMA),
    "another object and null": ({"Inherited": None, "InheritedObject": FROM_SCHEMA}, SCHEMA),
    "an object without a name": ({"InheritedObject": {"ResourceType": "Schema"}}, ""),
    "inherited": ({"Inherited": True, "InheritedObject": FROM_SCHEMA}, SCHEMA),
    "inherited from nothing": ({"Inherited": True}, "an unnamed parent"),
}


def _rights(*places: str, **origin: Any) -> Answers:
    """User 700 holds SELECT_TABLE on these objects; on the table the row says where it comes from."""

    def permissions(body: Answers) -> Answers:
        row = _row(body, "SELECT_TABLE")
        uri = body["Resource"]["ResourceUri"]
        row["Details"][0]["PermissionDetails"] = [{"Name": "SELECT_TABLE", **(origin if uri == PLACE else {})}]
        return row if uri in places else {"Details": [], "TotalCount": 0}

    return {"ListPermissions": permissions}


@pytest.mark.parametrize("name", ORIGINS)
def test_a_right_that_comes_from_another_object_is_not_revocable_here(name: str) -> None:
    origin, source = ORIGINS[name]
    _, sink = discovered(PRIVILEGES, wedata(_rights(PLACE, **origin)))
    (grant,) = [one for one in sink.grants if one.key.resource_id == PLACE]
    assert (grant.inherited_from, grant.key.native_id, grant.revocable) == (source, source, not source)
    assert grant.why_not == (f"inherited from {source}" if source else "")


@pytest.mark.parametrize("name", ORIGINS)
def test_a_shadow_is_left_out_where_its_source_was_found_and_when_it_is_read_again(name: str) -> None:
    origin, source = ORIGINS[name]
    found, sink = discovered(PRIVILEGES, wedata(_rights(SCHEMA, PLACE, **origin)))
    shadow = source == SCHEMA
    assert [one.key.resource_id for one in sink.grants] == [SCHEMA, *([PLACE] * (not shadow))]
    assert found.notes["inherited"] == shadow
    again = asyncio.run(PRIVILEGES.reread(wedata(_rights(SCHEMA, PLACE, **origin)), [("Table", PLACE, "")]))
    assert [one.key.resource_id for one in again.grants] == [PLACE] * (not source)


@pytest.mark.parametrize(
    "resource",
    [
        {"ResourceType": "Table", "ResourceUri": "lake.s.other"},
        {"ResourceType": "Table", "ResourceUri": "LAKE.S.T"},
        {"ResourceType": "Table", "ResourceUri": None},
        {"ResourceType": "View", "ResourceUri": PLACE},
        {"ResourceType": None, "ResourceUri": PLACE},
    ],
)
@pytest.mark.parametrize("beside", [False, True])
def test_a_row_about_another_object_proves_nothing(resource: Answers, beside: bool) -> None:
    def permissions(body: Answers) -> Answers:
        own, other = _row(body, "SELECT_TABLE")["Details"][0], _row({"Resource": resource}, "MODIFY")["Details"][0]
        rows = [own, other] if beside else [other]
        return {"Details": rows, "TotalCount": len(rows)}

    with pytest.raises(ListingIncompleteError, match=f"Table {PLACE}.*another object"):
        asyncio.run(PRIVILEGES.reread(wedata({"ListPermissions": permissions}), [("Table", PLACE, "")]))
    same = {
        "ListPermissions": lambda body: _row({"Resource": {"ResourceType": "TABLE", "ResourceUri": PLACE}}, "MODIFY")
    }
    assert asyncio.run(PRIVILEGES.reread(wedata(same), [("Table", PLACE, "")])).grants


def test_members_without_an_id_are_counted_and_leave_their_project_open() -> None:
    members = {"Items": [{"UserUin": None, "UserName": "somebody", "Roles": []}], "TotalCount": 1}
    found, sink = discovered(PRIVILEGES, wedata({"ListProjectMembers": members}))
    assert found.notes["members_without_id"] == 1
    assert ("unknown", "project", "1470") in {
        (edge.member_type, edge.container_type, edge.container_id) for edge in sink.memberships
    }


def test_roles_of_a_member_that_are_null_leave_the_surface_unanswered() -> None:
    found, _ = discovered(PRIVILEGES, wedata({"ListProjectMembers": {"Items": [{"UserUin": "200"}], "TotalCount": 1}}))
    assert {(gap.surface, gap.principal) for gap in found.gaps} == {("project members and roles", ("user", "200"))}
    nameless = {"ListProjectMembers": {"Items": [{"UserUin": None, "UserName": "x"}], "TotalCount": 1}}
    found, _ = discovered(PRIVILEGES, wedata(nameless))
    assert {gap.principal for gap in found.gaps} == {()}, "nobody knows who it is: everybody is concerned"


@pytest.mark.parametrize(
    ("uin", "verdict"), [("200", False), ("300", True), ("", "unknown")], ids=["member", "no member", "not linked"]
)
def test_an_entry_of_a_user_proves_no_membership_of_its_project(uin: str, verdict: bool | str) -> None:
    """The project is authorized as well: whether the user is in it, the project's members say, not the entry."""
    _, sink = discovered(SOURCES, wedata({"ListDataSources": _source(ProjectId="1471", CreateUser="100")}))
    entry = next(grant for grant in sink.grants if grant.key.principal_type == "user" and grant.revocable)
    linked = [Membership(SOURCES.name, entry.key.account, "user", "700", "user", uin)] if uin else []
    rest = [grant for grant in sink.grants if grant is not entry]
    access = access_around(SOURCES, [entry], rest, sink.memberships, linked)
    assert EffectiveAccess(access, PlatformAnswer(), {}).of(entry).absent == verdict


def _source(**fields: Any) -> Answers:
    return {"Items": [{"Id": 65377, "Name": "src", **fields}], "TotalCount": 1}


def test_the_default_audience_is_reported() -> None:
    _, sink = discovered(SOURCES, wedata({}))
    default = {grant.key.entitlement for grant in sink.grants if not grant.revocable}
    assert default >= {"default use of the creating project", "administrator of the creating project"}


ODD: dict[str, Callable[[], Any]] = {
    "null in place of the permissions": lambda: {"Details": None, "TotalCount": 2},
    "nothing in place of the permissions": lambda: {"TotalCount": 2},
}


@pytest.mark.parametrize("odd", ODD)
def test_what_is_null_never_reads_as_nobody(odd: str) -> None:
    with pytest.raises(ListingIncompleteError, match="ListPermissions"):
        discovered(PRIVILEGES, wedata({"ListPermissions": lambda _: ODD[odd]()}))


def _held(uri: str, *rights: str) -> Answers:
    return {
        "Resource": {"ResourceType": "Table" if uri.count(".") == 2 else "Catalog", "ResourceUri": uri},
        "SubjectDetails": [{"SubjectType": "User", "SubjectValue": "700"}],
        "PermissionDetails": [{"Name": right, "Inherited": False} for right in rights],
    }


def _permissions(totals: dict[str, int]) -> Callable[[Answers], Answers]:
    """Two rights of one user on the catalog and on the table; the totals by object, 0 elsewhere."""

    def answer(body: Answers) -> Answers:
        uri = body["Resource"]["ResourceUri"]
        details = [_held(uri, "SELECT_TABLE", "MODIFY_TABLE")] if uri in totals else []
        return {"Details": details, "TotalCount": totals.get(uri, 0)}

    return answer


def test_a_total_of_pairs_is_taken_by_discovery_and_by_verification_of_the_same_object() -> None:
    client = wedata({"ListPermissions": _permissions({"lake": 2, "lake.s.t": 2})})
    _, sink = discovered(PRIVILEGES, client)
    held = [grant for grant in sink.grants if grant.revocable]
    assert len(held) == 4
    reading = asyncio.run(PRIVILEGES.reread(client, {PRIVILEGES.listing_scope(grant) for grant in held}))
    assert {grant.key for grant in reading.grants} == {grant.key for grant in held}


def test_totals_of_two_units_in_one_account_block_it_and_name_the_listing() -> None:
    """One of the two answers is cut: with rows as the unit, the table's total of 2 stands for a second row."""
    with pytest.raises(ListingIncompleteError, match=r"ListPermissions\(.*lake\.s\.t.*another listing"):
        discovered(PRIVILEGES, wedata({"ListPermissions": _permissions({"lake": 1, "lake.s.t": 2})}))


def test_verification_takes_no_total_of_pairs_where_discovery_saw_rows() -> None:
    """After the call, an answer that is cut has as many pairs as there are rows."""
    _, sink = discovered(PRIVILEGES, wedata({"ListPermissions": _permissions({"lake.s.t": 1})}))
    (scope,) = {PRIVILEGES.listing_scope(grant) for grant in sink.grants if grant.revocable}
    with pytest.raises(ListingIncompleteError, match="2 rows declared, 1 distinct"):
        asyncio.run(PRIVILEGES.reread(wedata({"ListPermissions": _permissions({"lake.s.t": 2})}), {scope}))


def _left(system: Any, sink: Lists, found: Population, user: str = "ann") -> Any:
    """What is known of the access of a user to the first thing that it holds, once that record is gone."""
    gone = next(g for g in sink.grants if g.key.principal_id == user and g.revocable)
    rest = [grant for grant in sink.grants if grant is not gone]
    linked = [Membership(system.name, gone.key.account, "user", user, "user", "999")]
    access = access_around(system, [gone], rest, sink.memberships, linked)
    return EffectiveAccess(access, PlatformAnswer(), unasked(system.surfaces, found.surfaces), found.gaps).of(gone)


def _receivers(**fields: Any) -> Answers:
    return {"ListPortalMenuAuthorization": {"Result": [menu("m1", ANN, fields), menu("m2")]}}


NAMELESS = "holders without a name"
PUBLIC = "portal owner and public link"
UNTOLD: dict[str, tuple[Answers, str]] = {
    "a receiver of unknown kind": (_receivers(ReceiverId="x", ReceiverType=9), NAMELESS),
    "a receiver without an id": (_receivers(ReceiverId=None, ReceiverType=1), NAMELESS),
    "a white list": ({"ListWhitePortalMenu": {"Result": [{"ReceiverId": None, "ReceiverType": 0}]}}, NAMELESS),
    "a share": ({"QueryShareList": {"Result": [{"ShareId": "s", "ShareToId": "x", "ShareToType": None}]}}, NAMELESS),
    "whether the menu is open": (
        {"ListPortalMenuAuthorization": {"Result": [menu("m1", ANN, ShowOnlyWithAccess=None), menu("m2")]}},
        "menu receivers"),
    "whether a link opens it": (
        {"QueryWorksByOrganization": page({"WorksId": "p1", "WorkspaceId": "w1", "OwnerId": "olga"})}, PUBLIC),
    "who owns the portal": (
        {"QueryWorksByOrganization": page({"WorksId": "p1", "WorkspaceId": "w1", "PublicFlag": False})}, PUBLIC),
}  # fmt: skip


@pytest.mark.parametrize("name", UNTOLD)
def test_what_a_portal_does_not_tell_is_never_read_as_nobody(name: str) -> None:
    answers, surface = UNTOLD[name]
    found, sink = discovered(MENUS, quickbi(answers))
    left = _left(MENUS, sink, found)
    assert left.absent == "unknown" and set(left.unanswered) == {surface}, left


def test_a_portal_in_order_leaves_nothing_of_the_user() -> None:
    found, sink = discovered(MENUS, quickbi({}))
    assert _left(MENUS, sink, found).absent is True


@pytest.mark.parametrize("name", ["creator of a source", "owner of a project", "creator of a project"])
def test_a_null_owner_or_creator_is_somebody(name: str) -> None:
    project = {"ProjectId": "1470", "ProjectOwnerUin": "100", "CreatorUin": "100"}
    project.pop({"owner of a project": "ProjectOwnerUin", "creator of a project": "CreatorUin"}.get(name, ""), None)
    source = _source(ProjectId="1470", **({} if "source" in name else {"CreateUser": "100"}))
    answers = {"ListProjects": {"Items": [project], "TotalCount": 1}, "ListDataSources": source}
    found, sink = discovered(SOURCES, wedata(answers))
    left = _left(SOURCES, sink, found, "700")
    wanted = "default audience" if "source" in name else "memberships of the person"
    assert left.absent == "unknown" and wanted in left.unanswered, left
