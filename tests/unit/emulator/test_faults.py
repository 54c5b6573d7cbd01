"""Scripted faults without sockets: matching, accounting, refusals, changed content, late visibility."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.app import App
from emulator.faults.kinds import KINDS
from emulator.faults.script import SELECTORS, FaultScript
from tests.support.emulator_client import Clients


def script(clients: Clients, *faults: dict[str, Any]) -> None:
    """Set faults over the control interface."""
    clients.control("POST", "faults", {"faults": list(faults), "replace": True})


def a_privilege(clients: Clients) -> tuple[dict[str, Any], dict[str, Any]]:
    """A row of the truth (on a table) and the request that revokes it."""
    row = next(row for row in clients.truth("wedata_privileges") if row["resource_type"] == "Table")
    return row, {
        "Resources": [{"ResourceType": "Table", "ResourceUri": row["resource_uri"]}],
        "Subjects": [{"SubjectType": row["subject_type"], "SubjectValues": [row["subject_value"]]}],
        "Privileges": [{"Name": row["privilege"]}],
    }


def shown(clients: Clients, row: dict[str, Any]) -> bool:
    """Whether a privilege is listed as a direct one."""
    resource = {"ResourceType": row["resource_type"], "ResourceUri": row["resource_uri"]}
    details = clients.wedata("ListPermissions", {"Resource": resource})["Data"]["Details"]
    return any(
        item["SubjectDetails"][0]["SubjectValue"] == row["subject_value"] and detail["Name"] == row["privilege"]
        and not detail["Inherited"]
        for item in details
        for detail in item["PermissionDetails"]
    )  # fmt: skip


@pytest.mark.parametrize(("selector", "expected"), [
    ({}, [1]),
    ({"calls": [2, 4]}, [2, 4]),
    ({"from": 3, "times": 0}, [3, 4, 5, 6]),
    ({"from": 2, "to": 3}, [2, 3]),
    ({"every": 2}, [1, 3, 5]),
    ({"times": 3}, [1, 2, 3]),
])  # fmt: skip
def test_which_calls_are_hit(selector: dict[str, Any], expected: list[int]) -> None:
    """By number, by range, every so many, so many times."""
    faults = FaultScript()
    faults.add({"kind": "error", "action": "A", **selector})
    hits = [number for number in range(1, 7) if faults.fire("wedata", "A", {}).ids]
    assert hits == expected
    assert faults.fire("wedata", "B", {}).ids == []
    assert faults.account()["faults"][0]["fired_calls"] == expected


def test_rates_are_seeded() -> None:
    """The same seed hits the same calls; about as many as the rate says."""

    def hits(seed: int) -> list[bool]:
        faults = FaultScript()
        faults.add({"kind": "error", "rate": 0.3, "seed": seed})
        return [bool(faults.fire("dms", "X", {}).ids) for _ in range(500)]

    assert hits(1) == hits(1) != hits(2)
    assert 100 < sum(hits(1)) < 200


def test_where_matches_parameters(clients: Clients) -> None:
    """Scalars by equality, lists and objects by what they contain."""
    script(
        clients,
        {"kind": "error", "action": "RevokePrivileges", "where": {"Resources": "t002"}, "code": "FailedOperation"},
    )
    _, params = a_privilege(clients)
    for uri, refused in [("lake_core.s01.t001", False), ("lake_core.s01.t002", True)]:
        params["Resources"][0]["ResourceUri"] = uri
        assert ("Error" in clients.wedata("RevokePrivileges", params)) is refused
    script(clients, {"kind": "error", "action": "GetUser", "where": {"UserId": "5"}, "status": 418, "code": "Odd"})
    assert clients.dms("GetUser", UserId="51")["Code"] == "UserNotExist"
    assert clients.dms("GetUser", UserId="5")["Code"] == "Odd"


def test_every_fault_is_accounted_for(clients: Clients) -> None:
    """What did not fire is named, so that a test can fail for it."""
    script(clients, {"id": "hit", "kind": "error", "action": "ListTenantRoles"},
           {"id": "missed", "kind": "error", "action": "ListTenantRoles", "calls": [1, 9]},
           {"id": "never", "kind": "reset_after", "action": "RevokePrivileges"})  # fmt: skip
    clients.wedata("ListTenantRoles")
    account = clients.control("GET", "faults")
    assert (account["all_fired"], account["not_fired"], account["fired"]) == (False, ["missed", "never"], 2)
    assert {row["id"]: row["matched"] for row in account["faults"]} == {"hit": 1, "missed": 1, "never": 0}
    clients.control("DELETE", "faults")
    assert clients.control("GET", "faults") == {"faults": [], "fired": 0, "all_fired": True, "not_fired": []}


def test_unknown_kinds_and_options_are_refused() -> None:
    """A mistyped fault must not pass silently."""
    faults = FaultScript()
    for bad in ({"kind": "explode"}, {"kind": "error", "cod": "X"}, {"kind": "reset_after", "seconds": 1}):
        with pytest.raises(ValueError):
            faults.add(bad)
    assert len(faults) == 0


def test_options_are_not_taken_for_selectors() -> None:
    """An option with a selector's name would never reach its fault."""
    assert not [kind.name for kind in KINDS.values() if set(kind.options) & SELECTORS]


@pytest.mark.parametrize("name", sorted(KINDS))
def test_every_kind_can_be_set_and_survives_a_call(clients: Clients, name: str) -> None:
    """No kind breaks the gateway, on a read, on a write and on a refused call."""
    needed: dict[str, dict[str, Any]] = {
        "set": {"path": "RequestId", "value": 1}, "drop": {"path": "RequestId"}, "header": {"name": "X", "value": "1"},
    }  # fmt: skip
    script(clients, {"kind": name, "times": 0, **needed.get(name, {})})
    for action, params in [("GetUserActiveTenant", {}), ("RevokeUserPermission", {"UserId": "1"}), ("ListUsers", {})]:
        answer = clients.alibaba_raw("dms", action, params)
        assert (answer.status, b"emulator" in answer.body) in [(200, False), (302, False), (400, False), (500, False)]
    resource = {"Resource": {"ResourceType": "Catalog", "ResourceUri": "lake_core"}}
    assert b"emulator" not in clients.tencent_raw("ListPermissions", resource).body


def test_a_fault_that_finds_nothing_to_change_is_not_complete(clients: Clients) -> None:
    """A path that is not there, a list that is not there, an answer that is an error anyway."""
    script(clients, {"id": "path", "kind": "set", "path": "No.Such", "value": 1, "action": "GetUserActiveTenant"},
           {"id": "list", "kind": "short", "action": "GetUserActiveTenant"},
           {"id": "total", "kind": "total", "action": "GetUserActiveTenant"},
           {"id": "error", "kind": "null", "action": "GetUser"},
           {"id": "fine", "kind": "null", "path": "Tenant", "action": "GetUserActiveTenant"})  # fmt: skip
    assert clients.dms("GetUserActiveTenant")["Tenant"] is None
    assert clients.dms("GetUser", UserId="1")["Code"] == "UserNotExist"
    account = clients.control("GET", "faults")
    assert account["not_fired"] == ["path", "list", "total", "error"]
    assert {row["id"]: row["idle_calls"] for row in account["faults"]}["path"] == [1]


def test_refused_before_execution(app: App, clients: Clients) -> None:
    """Business errors, throttling with odd waits, expired tokens: nothing is carried out."""
    row, params = a_privilege(clients)
    script(clients, {"kind": "error", "action": "RevokePrivileges", "code": "InternalError", "calls": [1]},
           {"kind": "throttle", "action": "RevokePrivileges", "retry_after": -5, "calls": [2]},
           {"kind": "expired_token", "action": "RevokePrivileges", "calls": [3]})  # fmt: skip
    answers = [clients.tencent_raw("RevokePrivileges", params) for _ in range(3)]
    codes = [json.loads(answer.body)["Response"]["Error"]["Code"] for answer in answers]
    assert codes == ["InternalError", "RequestLimitExceeded", "AuthFailure.TokenFailure"]
    assert answers[1].headers["Retry-After"] == "-5"
    script(clients, {"kind": "throttle", "product": "dms", "retry_after": "soon", "status": 503})
    answer = clients.alibaba_raw("dms", "GetUserActiveTenant", {})
    assert (answer.status, answer.headers["x-acs-retry-after"]) == (503, "soon")
    assert shown(clients, row)
    assert clients.effects() == []


def test_carried_out_but_answered_with_an_error(clients: Clients) -> None:
    """error_after and status_after: the grant is gone, the answer says otherwise."""
    row, params = a_privilege(clients)
    script(clients, {"kind": "error_after", "action": "RevokePrivileges", "code": "InternalError"})
    assert clients.wedata("RevokePrivileges", params)["Error"]["Code"] == "InternalError"
    assert not shown(clients, row)
    entry = next(entry for entry in clients.app.world.journal.after(0) if entry["action"] == "RevokePrivileges")
    assert (entry["code"], entry["executed"], entry["effects"]) == ("InternalError", True, 1)
    script(clients, {"kind": "status_after", "action": "CancelAuthorizationMenu", "status": 502, "body": "html"})
    menu = next(row for row in clients.truth("quickbi_menus") if row["receiver_type"] == 0)
    answer = clients.alibaba_raw("quickbi", "CancelAuthorizationMenu", {
        "DataPortalId": menu["portal_id"], "MenuIds": menu["menu_id"], "UserIds": menu["receiver_id"],
    })  # fmt: skip
    assert (answer.status, answer.content_type) == (502, "text/html; charset=utf-8")
    assert menu not in clients.truth("quickbi_menus")


def test_success_that_is_a_lie(clients: Clients) -> None:
    """pretend: every product claims success, nothing happens."""
    row, params = a_privilege(clients)
    script(clients, {"kind": "pretend", "times": 0})
    assert clients.wedata("RevokePrivileges", params)["Data"]["OverallSuccess"] is True
    assert clients.wedata("RevokeDataSourceAuthorization", {"DataSourceId": "65300"})["Data"]["Status"] is True
    record = clients.truth("dms_permissions")[0]
    body = clients.dms("RevokeUserPermission", UserId=record["user_id"], DsType="DATABASE", PermTypes="QUERY",
                       UserAccessId=record["user_access_id"])  # fmt: skip
    assert body["Success"] is True
    menu = clients.truth("quickbi_menus")[0]
    body = clients.quickbi("CancelAuthorizationMenu", DataPortalId=menu["portal_id"], MenuIds="a,b", UserIds="c")
    assert body["Result"] == 2
    clients.control("DELETE", "faults")
    assert shown(clients, row)
    assert clients.effects() == []


@pytest.mark.parametrize(("honest", "results"), [(True, [True, False]), (False, [True, True])])
def test_only_a_part_is_carried_out(app: App, clients: Clients, honest: bool, results: list[bool]) -> None:
    """The first resource is done; the rest is reported as it is, or not."""
    uris = ["lake_core.s01.t001", "lake_core.s01.t002"]
    batch = {
        "Resources": [{"ResourceType": "Table", "ResourceUri": uri} for uri in uris],
        "Subjects": [{"SubjectType": "User", "SubjectValues": ["5"]}], "Privileges": [{"Name": "NEW"}],
    }  # fmt: skip
    clients.wedata("AuthorizePrivileges", batch)
    script(clients, {"kind": "partial", "action": "RevokePrivileges", "count": 1, "honest": honest})
    data = clients.wedata("RevokePrivileges", batch)["Data"]
    assert [item["Result"] for item in data["Results"]] == results
    assert data["OverallSuccess"] is all(results)
    left = [row["resource_uri"] for row in clients.truth("wedata_privileges") if row["subject_value"] == "5"]
    assert left == [uris[1]]


def test_content_of_results(clients: Clients) -> None:
    """Null, empty, short, duplicated, shuffled lists; a dropped key; a set value; totals that lie."""
    resource = {"Resource": {"ResourceType": "Catalog", "ResourceUri": "lake_core"}}
    rows = clients.wedata("ListPermissions", resource)["Data"]["Details"]
    assert len(rows) > 3

    def with_fault(**fault: Any) -> dict[str, Any]:
        script(clients, {"action": "ListPermissions", **fault})
        return clients.wedata("ListPermissions", resource)

    assert with_fault(kind="null")["Data"] is None
    assert with_fault(kind="null", path="Response.Data.Details")["Data"]["Details"] is None
    data = with_fault(kind="empty")["Data"]
    assert (data["Details"], data["TotalCount"]) == ([], len(rows))
    assert with_fault(kind="short", count=2)["Data"]["Details"] == rows[:-2]
    assert with_fault(kind="duplicate", count=1)["Data"]["Details"] == [*rows, rows[0]]
    mixed = with_fault(kind="shuffle")["Data"]["Details"]
    assert mixed != rows
    assert sorted(map(json.dumps, mixed)) == sorted(map(json.dumps, rows))
    assert "Details" not in with_fault(kind="drop", path="Response.Data.Details")["Data"]
    path = "Response.Data.Details.0.SubjectDetails.0.SubjectType"
    assert with_fault(kind="set", path=path, value="Robot")["Data"]["Details"][0]["SubjectDetails"][0][
        "SubjectType"
    ] == "Robot"  # fmt: skip
    assert with_fault(kind="total", delta=5)["Data"]["TotalCount"] == len(rows) + 5
    assert with_fault(kind="total", value=None)["Data"]["TotalCount"] is None
    assert clients.wedata("ListPermissions", resource)["Data"]["Details"] == rows


def test_success_in_other_spellings(clients: Clients) -> None:
    """Success as text, number or null; an error code beside it."""
    for value in ("false", "FALSE", 0, "0", None):
        script(clients, {"kind": "set", "action": "GetUserActiveTenant", "path": "Success", "value": value})
        assert clients.dms("GetUserActiveTenant")["Success"] == value


def test_pages_that_repeat_shift_and_never_end(clients: Clients) -> None:
    """Page 2 is page 1; rows are skipped; the total is out of reach."""
    page = {"PageNumber": 2, "PageSize": 2}
    names = [item["Name"] for item in clients.wedata("ListTable", {"PageNumber": 1, "PageSize": 500})["Data"]["Items"]]

    def with_fault(**fault: Any) -> dict[str, Any]:
        script(clients, {"action": "ListTable", **fault})
        data: dict[str, Any] = clients.wedata("ListTable", page)["Data"]
        return data

    assert [item["Name"] for item in with_fault(kind="page_repeat")["Items"]] == names[:2]
    assert [item["Name"] for item in with_fault(kind="page_shift", by=1)["Items"]] == names[3:5]
    endless = with_fault(kind="page_endless")
    assert (len(endless["Items"]), endless["TotalCount"]) == (2, 1_000_000_000)
    script(clients, {"kind": "page_repeat", "action": "ListUsers"}, {"kind": "page_shift", "action": "QueryUserList"})
    first = clients.dms("ListUsers", PageSize=10, PageNumber=2)["UserList"]["User"]
    assert first == clients.dms("ListUsers", PageSize=10, PageNumber=1)["UserList"]["User"]
    shifted = clients.quickbi("QueryUserList", PageSize=2, PageNum=1)["Result"]["Data"]
    assert shifted == clients.quickbi("QueryUserList", PageSize=3, PageNum=1)["Result"]["Data"][1:]


def test_removed_grants_stay_visible_for_a_number_of_reads(clients: Clients) -> None:
    """The truth is changed at once, the listing after two reads."""
    row, params = a_privilege(clients)
    script(clients, {"kind": "lag", "action": "RevokePrivileges", "reads": 2})
    assert clients.wedata("RevokePrivileges", params)["Data"]["OverallSuccess"] is True
    assert row not in clients.truth("wedata_privileges")
    assert [shown(clients, row) for _ in range(4)] == [True, True, False, False]


def test_removed_grants_stay_visible_for_a_time(app: App, clients: Clients) -> None:
    """By seconds, in every system."""
    script(clients, {"kind": "lag", "seconds": 30, "times": 0})
    record = next(row for row in clients.truth("dms_permissions") if row["ds_type"] == "DATABASE")
    clients.dms("RevokeUserPermission", UserId=record["user_id"], DsType="DATABASE", PermTypes="QUERY",
                UserAccessId=record["user_access_id"])  # fmt: skip
    menu = next(row for row in clients.truth("quickbi_menus") if row["receiver_type"] == 0)
    clients.quickbi("CancelAuthorizationMenu", DataPortalId=menu["portal_id"], MenuIds=menu["menu_id"],
                    UserIds=menu["receiver_id"])  # fmt: skip
    source = clients.truth("wedata_data_sources")[0]["data_source_id"]
    clients.wedata("RevokeDataSourceAuthorization", {"DataSourceId": source})

    def visible() -> list[bool]:
        rows = clients.dms("ListUserPermissions", UserId=record["user_id"], PermType="DATABASE", PageSize=100)
        ids = {detail["UserAccessId"] for row in rows["UserPermissions"]["UserPermission"]
               for detail in row["PermDetails"]["PermDetail"]}  # fmt: skip
        menus = clients.quickbi("ListPortalMenuAuthorization", DataPortalId=menu["portal_id"])["Result"]
        receivers = {(item["MenuId"], receiver["ReceiverId"]) for item in menus for receiver in item["Receivers"]}
        data = clients.wedata("DescribeDataSourceAuthority", {"Id": int(source)})["Data"]
        return [record["user_access_id"] in ids, (menu["menu_id"], menu["receiver_id"]) in receivers,
                bool(data["AuthProjectIds"] or data["AuthUsers"])]  # fmt: skip

    assert visible() == [True, True, True]
    app.world.clock.advance(31)  # type: ignore[attr-defined]
    assert visible() == [False, False, False]


def test_flapping_visibility(clients: Clients) -> None:
    """Every second reading shows the grant again."""
    row, params = a_privilege(clients)
    script(clients, {"kind": "lag", "action": "RevokePrivileges", "flap": True, "reads": 5})
    clients.wedata("RevokePrivileges", params)
    assert [shown(clients, row) for _ in range(7)] == [True, False, True, False, True, False, False]


def test_others_act_around_a_call(clients: Clients) -> None:
    """A grant by somebody else before or after a call, with its own entry in the journal."""
    row, params = a_privilege(clients)
    regrant = {"op": "grant", "system": "wedata_privileges", **row}
    script(clients, {"id": "aba", "kind": "mutate", "action": "RevokePrivileges", "when": "after", "ops": [regrant]})
    clients.wedata("RevokePrivileges", params)
    assert shown(clients, row)
    entries = [
        entry for entry in clients.app.world.journal.after(0) if entry["action"] in ("RevokePrivileges", "mutate")
    ]
    assert [(entry["kind"], entry.get("op"), entry["actor"]) for entry in entries if entry["kind"] != "request"] == [
        ("effect", "removed", entries[0]["actor"]), ("control", None, "fault aba"), ("effect", "added", "fault aba"),
    ]  # fmt: skip


def test_clock_skew_and_clock_offset(app: App, clients: Clients) -> None:
    """One request sees a wrong clock; or all do, and the Date header tells."""
    script(clients, {"kind": "skew", "seconds": 400, "product": "wedata"})
    assert clients.wedata("ListTenantRoles")["Error"]["Code"] == "AuthFailure.SignatureExpire"
    assert "Data" in clients.wedata("ListTenantRoles")
    true_now = clients.now
    clients.control("POST", "clock", {"offset": 960})
    answer = clients.alibaba_raw("dms", "GetUserActiveTenant", {}, now=true_now)
    assert json.loads(answer.body)["Code"] == "InvalidTimeStamp.Expired"
    assert answer.headers["Date"] == "Thu, 01 Jan 2026 00:16:00 GMT"
    clients.control("POST", "clock", {"advance": -960})
    assert clients.dms("GetUserActiveTenant")["Success"] is True


def test_load_by_fault_and_sessions_that_end(app: App, clients: Clients) -> None:
    """Others take the bucket; a session ends before its time; a key is withdrawn."""
    clients.control("POST", "limits", {"dms": 2})
    script(clients, {"kind": "load", "action": "GetUserActiveTenant", "per_second": 2, "calls": [1]})
    assert clients.dms("GetUserActiveTenant")["Code"] == "Throttling.User"
    assert clients.dms("GetUserActiveTenant")["Success"] is True
    assert clients.control("GET", "faults")["all_fired"] is True
    params = {"RoleArn": "acs:ram::1600000000000001:role/reviewer", "RoleSessionName": "night"}
    made = json.loads(clients.alibaba_raw("sts", "AssumeRole", params).body)["Credentials"]
    assert clients.control("POST", "expire_sessions", {}) == {"ended": 1}
    key = (made["AccessKeyId"], made["AccessKeySecret"])
    answer = clients.alibaba_raw("dms", "ListInstances", {}, key=key, token=made["SecurityToken"])
    assert json.loads(answer.body)["Code"] == "InvalidSecurityToken.Expired"
    clients.control("POST", "remove_key", {"key_id": "LTAIDEMO00000000000001"})
    assert clients.dms("ListInstances")["Code"] == "InvalidAccessKeyId.NotFound"


def test_reset_starts_again(app: App, clients: Clients) -> None:
    """The same organization, no faults, no counts, an empty journal."""
    before = {system: list(app.world.truth(system)) for system in app.world.counts()}
    script(clients, {"kind": "error", "times": 0, "action": "GetUser"})
    clients.wedata("RevokeDataSourceAuthorization", {"DataSourceId": "65300"})
    health = clients.control("POST", "reset", {})
    assert (health["journal"], len(app.faults), app.limiter.stats()["buckets"]) == (0, 0, [])
    assert {system: list(app.world.truth(system)) for system in app.world.counts()} == before
    clients.control("POST", "reset", {"seed": 5})
    assert list(app.world.truth("quickbi_menus")) != before["quickbi_menus"]
