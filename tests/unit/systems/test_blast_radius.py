"""The blast radius is read from the final bytes, and a request that could mean "everything" is refused."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from rescind.cloud.base import Bucket, Prepared
from rescind.errors import BlastRadiusExceededError
from rescind.model import Cell, ItemState, PlannedCall
from rescind.systems import system_named


def _prepared(action: str, *, body: object = None, query: str = "") -> Prepared:
    return Prepared(
        vendor="v",
        service="s",
        action=action,
        version="1",
        write=True,
        method="POST",
        url=f"https://example.invalid/?{query}",
        headers={},
        body=json.dumps(body).encode() if body is not None else b"",
        bucket=Bucket("v", "a", "r", action, 5.0),
        request=None,
    )


SOURCES = system_named("wedata_data_sources")
PRIVILEGES = system_named("wedata_privileges")
DMS = system_named("dms_permissions")
MENUS = system_named("quickbi_menus")


@pytest.mark.parametrize(
    "body",
    [
        {"DataSourceId": "65377"},
        {"DataSourceId": "65377", "RevokeProjectId": ""},
        {"DataSourceId": "65377", "RevokeProjectId": None},
        {"DataSourceId": "65377", "RevokeUser": ""},
        {"DataSourceId": "65377", "RevokeUser": "1,2"},
        {"DataSourceId": "65377", "RevokeUser": "2956525852619374592"},
        {"DataSourceId": "65377", "RevokeProjectId": "1", "RevokeUser": "1_2"},
        {"DataSourceId": "", "RevokeProjectId": "1"},
        {"DataSourceId": 65377, "RevokeProjectId": "1"},
        {"RevokeProjectId": "1"},
        {},
        [],
    ],
)
def test_a_data_source_request_without_exactly_one_selector_is_refused(body: object) -> None:
    with pytest.raises(BlastRadiusExceededError):
        SOURCES.blast_radius(_prepared("RevokeDataSourceAuthorization", body=body))


def test_data_source_selectors_are_read_back_exactly() -> None:
    project = _prepared(
        "RevokeDataSourceAuthorization", body={"DataSourceId": "65377", "RevokeProjectId": "2956525852619374592"}
    )
    user = _prepared(
        "RevokeDataSourceAuthorization", body={"DataSourceId": "65377", "RevokeUser": "2956525852619374592_7000"}
    )
    assert SOURCES.blast_radius(project) == {Cell("65377", "65377", "project", ("2956525852619374592",))}
    assert SOURCES.blast_radius(user) == {Cell("65377", "65377", "user", ("2956525852619374592", "7000"))}


def test_wedata_privileges_are_read_as_the_widest_product() -> None:
    body = {
        "Resources": [
            {"ResourceType": "Table", "ResourceUri": "c.s.a"},
            {"ResourceType": "TABLE", "ResourceUri": "c.s.b"},
        ],
        "Subjects": [{"SubjectType": "User", "SubjectValues": ["1", "2"]}],
        "Privileges": [{"Name": "SELECT_TABLE"}],
    }
    cells = PRIVILEGES.blast_radius(_prepared("RevokePrivileges", body=body))
    assert cells == {
        Cell("table", f"c.s.{table}", "pair", ("User", user, "SELECT_TABLE")) for table in "ab" for user in "12"
    }


@pytest.mark.parametrize("empty", ["Resources", "Subjects", "Privileges"])
def test_wedata_privileges_with_an_empty_list_are_refused(empty: str) -> None:
    body = {
        "Resources": [{"ResourceType": "Table", "ResourceUri": "c.s.a"}],
        "Subjects": [{"SubjectType": "User", "SubjectValues": ["1"]}],
        "Privileges": [{"Name": "SELECT_TABLE"}],
    }
    with pytest.raises(BlastRadiusExceededError):
        PRIVILEGES.blast_radius(_prepared("RevokePrivileges", body={**body, empty: []}))
    with pytest.raises(BlastRadiusExceededError):
        PRIVILEGES.blast_radius(
            _prepared("RevokePrivileges", body={name: v for name, v in body.items() if name != empty})
        )


def test_dms_names_one_record_of_one_user() -> None:
    query = "DbId=1&DsType=DATABASE&Logic=false&PermTypes=QUERY&Tid=3&UserAccessId=774&UserId=51"
    assert DMS.blast_radius(_prepared("RevokeUserPermission", query=query)) == {
        Cell("51", "774", "record", ("51", "QUERY"))
    }


@pytest.mark.parametrize(
    "query",
    [
        "UserId=51&UserAccessId=774&PermTypes=",
        "UserId=51&UserAccessId=&PermTypes=QUERY",
        "UserId=&UserAccessId=774&PermTypes=QUERY",
        "UserId=51&UserAccessId=774&PermTypes=QUERY%2CEXPORT",
        "UserId=51&UserAccessId=774&UserAccessId=775&PermTypes=QUERY",
    ],
)
def test_dms_requests_that_are_not_one_record_are_refused(query: str) -> None:
    with pytest.raises(BlastRadiusExceededError):
        DMS.blast_radius(_prepared("RevokeUserPermission", query=query))


def test_quickbi_is_read_as_menus_times_receivers() -> None:
    query = "DataPortalId=p&MenuIds=m1%2Cm2&UserIds=u1&UserGroupIds=g1%2Cg2"
    cells = MENUS.blast_radius(_prepared("CancelAuthorizationMenu", query=query))
    receivers = [("user", "u1"), ("group", "g1"), ("group", "g2")]
    assert cells == {Cell("p", menu, kind, (ident,)) for menu in ("m1", "m2") for kind, ident in receivers}


@pytest.mark.parametrize(
    "query",
    [
        "DataPortalId=p&MenuIds=m1",
        "DataPortalId=p&MenuIds=m1&UserIds=",
        "DataPortalId=p&MenuIds=&UserIds=u1",
        "DataPortalId=&MenuIds=m1&UserIds=u1",
        "DataPortalId=p&MenuIds=m1%2C&UserIds=u1",
        "DataPortalId=p%2Cq&MenuIds=m1&UserIds=u1",
        "DataPortalId=p&MenuIds=m1&MenuIds=m2&UserIds=u1",
    ],
)
def test_quickbi_requests_with_an_open_selector_are_refused(query: str) -> None:
    with pytest.raises(BlastRadiusExceededError):
        MENUS.blast_radius(_prepared("CancelAuthorizationMenu", query=query))


@pytest.mark.parametrize(
    ("status", "state"), [(True, ItemState.ACCEPTED), (False, ItemState.REFUSED), (None, ItemState.UNKNOWN)]
)
def test_a_status_that_says_nothing_is_no_yes(status: bool | None, state: ItemState) -> None:
    call = PlannedCall("wedata_data_sources", "acc", "65377", ("65377",), (("project", ("1",)),))
    (part,) = SOURCES.outcome(call, SimpleNamespace(value=SimpleNamespace(Status=status)))  # type: ignore[arg-type]
    assert (part.state, part.cells) == (state, call.cells())
    assert bool(part.detail) == (state is not ItemState.ACCEPTED)
