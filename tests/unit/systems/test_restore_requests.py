"""What gives a grant back, and what a final request could give, read from its bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from rescind.cloud.base import Bucket, Prepared
from rescind.errors import BlastRadiusExceededError, PlanError
from rescind.model import Cell, Grant, GrantKey, canonical
from rescind.systems import REGISTRY, system_named
from rescind.workflow.execute.listings import match_regranted

SOURCES = system_named("wedata_data_sources")
PRIVILEGES = system_named("wedata_privileges")
DMS = system_named("dms_permissions")
MENUS = system_named("quickbi_menus")

_TABLE = {
    "DsType": "TABLE",
    "InstanceId": "17",
    "DbId": "42",
    "Logic": "false",
    "TableId": "7",
    "TableName": "orders",
    "Tid": "3",
}


def record(user: str = "51", native: str = "900", end: str = "2031-01-01 00:00:00", **facts: str) -> Grant:
    """A DMS permission record."""
    attributes = {**_TABLE, **facts}
    key = GrantKey("dms_permissions", "a", attributes["DsType"].lower(), "7", "user", user, "QUERY", native)
    return Grant(key, Cell(user, native, "record", (user, "QUERY")), expires_raw=end, attributes=attributes)


def menu(ident: str, receiver: str, kind: str = "user", level: str = "view") -> Grant:
    """A Quick BI menu authorization."""
    key = GrantKey("quickbi_menus", "a", "menu", ident, kind, receiver, level, "p1")
    return Grant(key, Cell("p1", ident, kind, (receiver,)))


def source(project: str, user: str = "") -> Grant:
    """A WeData data source authorization."""
    entry = f"{project}_{user}" if user else ""
    kind, holder, column = ("user", user, (project, user)) if user else ("project", project, (project,))
    key = GrantKey("wedata_data_sources", "a", "data_source", "65377", kind, holder, "use", entry)
    return Grant(key, Cell("65377", "65377", kind, column))


def privilege(uri: str, subject: str = "700", name: str = "SELECT_TABLE") -> Grant:
    """A WeData privilege on a table."""
    key = GrantKey("wedata_privileges", "a", "table", uri, "user", subject, name)
    return Grant(key, Cell("table", uri, "pair", ("User", subject, name)), attributes={"ResourceType": "Table"})


def prepared(system: Any, request: Any) -> Prepared[Any]:
    """The final form of a request, made here without the client."""
    wire = request.wire()
    query = {k: str(v).lower() if isinstance(v, bool) else v for k, v in wire.items()}
    tencent = system.vendor == "tencent"
    return raw(
        request.action,
        body=json.dumps(wire).encode() if tencent else b"",
        query="" if tencent else urlencode(query),
    )


def raw(action: str, *, body: bytes = b"", query: str = "") -> Prepared[Any]:
    return Prepared(
        vendor="v",
        service="s",
        action=action,
        version="1",
        write=True,
        method="POST",
        url=f"https://example.invalid/?{query}",
        headers={},
        body=body,
        bucket=Bucket("v", "a", "r", action, 5.0),
        request=None,
    )


@pytest.mark.parametrize(
    ("system", "grants"),
    [
        (DMS, [record()]),
        (DMS, [record(DsType="INSTANCE", DbId="", Logic="", TableId="", TableName="")]),
        (DMS, [record(DsType="LOGIC_DATABASE", Logic="true", TableId="", TableName="", InstanceId="")]),
        (MENUS, [menu(m, r, k, "view_export") for m in ("m1", "m2") for r, k in (("u1", "user"), ("g1", "group"))]),
        (SOURCES, [source("1")]),
        (SOURCES, [source("1", "5"), source("1", "6")]),
        (PRIVILEGES, [privilege("c.s.t1"), privilege("c.s.t2")]),
    ],
    ids=["record", "instance", "logic database", "menus", "project", "users", "privileges"],
)
def test_a_request_gives_exactly_what_was_captured(system: Any, grants: list[Grant]) -> None:
    inverses = [system.inverse(grant) for grant in grants]
    request = system.restore_request(inverses)
    assert request.action == system.restore_message.action and request.write
    given = system.given(prepared(system, request))
    assert sorted(map(canonical, given)) == sorted(map(canonical, inverses))


def test_what_the_vendor_would_add_beyond_shows_in_the_bytes() -> None:
    diagonal = [menu("m1", "u1"), menu("m2", "u2")]
    given = MENUS.given(prepared(MENUS, MENUS.restore_request([MENUS.inverse(one) or {} for one in diagonal])))
    assert len(given) == 4


@pytest.mark.parametrize(
    ("system", "final"),
    [
        (MENUS, raw("AuthorizeMenu", query="DataPortalId=p&MenuIds=m&UserIds=u")),
        (MENUS, raw("AuthorizeMenu", query="DataPortalId=p&MenuIds=m&UserIds=u&AuthPointsValue=11")),
        (MENUS, raw("AuthorizeMenu", query="DataPortalId=p&MenuIds=m&UserIds=&AuthPointsValue=1")),
        (MENUS, raw("AuthorizeMenu", query="DataPortalId=p&MenuIds=m&MenuIds=n&UserIds=u&AuthPointsValue=1")),
        (DMS, raw("GrantUserPermission", query="UserId=5&DsType=TABLE&PermTypes=QUERY%2CEXPORT&ExpireDate=x")),
        (DMS, raw("GrantUserPermission", query="UserId=5&DsType=TABLE&PermTypes=QUERY")),
        (DMS, raw("GrantUserPermission", query="UserId=5&UserId=6&PermTypes=QUERY&ExpireDate=x")),
        (SOURCES, raw("AuthorizeDataSource", body=b'{"DataSourceId":"1"}')),
        (SOURCES, raw("AuthorizeDataSource", body=b'{"DataSourceId":"1","AuthProjectId":"2","AuthUsers":["2_3"]}')),
        (SOURCES, raw("AuthorizeDataSource", body=b'{"DataSourceId":"1","AuthUsers":["2_3","4"]}')),
        (SOURCES, raw("AuthorizeDataSource", body=b'{"DataSourceId":"1","AuthUsers":[]}')),
        (SOURCES, raw("AuthorizeDataSource", body=b"[]")),
        (PRIVILEGES, raw("AuthorizePrivileges", body=b'{"Resources":[],"Subjects":[],"Privileges":[]}')),
        (PRIVILEGES, raw("AuthorizePrivileges", body=b"{}")),
    ],
)
def test_a_request_whose_gifts_cannot_be_told_is_refused(system: Any, final: Prepared[Any]) -> None:
    with pytest.raises(BlastRadiusExceededError):
        system.given(final)


def test_a_project_and_its_users_never_share_a_call() -> None:
    whole, user = source("1"), source("1", "5")
    assert SOURCES.restore_group(whole) != SOURCES.restore_group(user)
    with pytest.raises(PlanError, match="do not fit"):
        SOURCES.restore_request([SOURCES.inverse(whole) or {}, SOURCES.inverse(user) or {}])


@pytest.mark.parametrize("grant", [menu("m", "u", level="edit"), menu("m", "u", level="data_entry"), record(end="")])
def test_what_cannot_be_restored_faithfully_says_so(grant: Grant) -> None:
    assert REGISTRY[grant.key.system].inverse(grant) is None


def shown_as(
    items: list[Grant], shown: list[Grant], known: Mapping[str, Any] | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """Native ids (or levels) by native id of the items: as they were, and otherwise."""
    name = {grant.grant_id: grant.key.native_id for grant in [*items, *shown]}
    same, other = match_regranted(DMS, items, shown, known or {})
    return tuple({name[item]: grant.key.native_id for item, grant in found.items()} for found in (same, other))  # type: ignore[return-value]


def test_a_new_record_with_the_same_end_is_the_grant_again() -> None:
    assert shown_as([record()], [record(native="901")]) == ({"900": "901"}, {})
    assert shown_as([record()], [record(native="901", end="2032-01-01 00:00:00")]) == ({}, {"900": "901"})
    assert shown_as([record()], [record(user="52", native="901")]) == ({}, {})


def test_each_record_stands_for_one_item_and_those_that_were_always_there_for_none() -> None:
    items = [record(native="900"), record(native="910")]
    assert shown_as(items, [record(native="901")]) == ({"900": "901"}, {})
    assert shown_as(items[::-1], [record(native="901")]) == ({"910": "901"}, {})
    kept = record(native="890")
    assert shown_as(items, [kept], {kept.grant_id: kept}) == ({}, {})


def test_another_level_in_the_same_place_is_otherwise_and_never_the_same() -> None:
    item, other = menu("m", "u"), menu("m", "u", level="edit")
    same, otherwise = match_regranted(MENUS, [item], [other], {})
    assert (same, otherwise) == ({}, {item.grant_id: other})
    assert match_regranted(MENUS, [item], [item, other], {})[0] == {item.grant_id: item}
    elsewhere = replace(other, key=other.key._replace(native_id="p2"))
    assert match_regranted(MENUS, [item], [elsewhere], {}) == ({}, {})
