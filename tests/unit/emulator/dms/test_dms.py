"""DMS: lists against the truth, and what its revoke and grant calls really do."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.app import App
from emulator.store.dms import Record
from tests.support.emulator_client import Clients


def records(clients: Clients, action: str, **params: Any) -> list[dict[str, Any]]:
    """All records of a list action, flattened, page by page."""
    found: list[dict[str, Any]] = []
    rows = page = 0
    while True:
        page += 1
        body = clients.dms(action, PageNumber=page, PageSize=2, **params)
        assert body["Success"] is True, body
        part = body["UserPermissions"]["UserPermission"]
        rows += len(part)
        found += [{**row, **detail} for row in part for detail in row["PermDetails"]["PermDetail"]]
        if rows >= body["TotalCount"]:
            return found


def of_kind(app: App, *kinds: str) -> Record:
    """Any record of a kind."""
    return next(record for record in app.world.dms.records.values() if record.target.ds_type in kinds)


def revoke(clients: Clients, record: Record, **changes: Any) -> dict[str, Any]:
    """RevokeUserPermission built from a record."""
    target = record.target
    params = {
        "UserId": record.user_id, "DsType": target.ds_type, "PermTypes": record.perm,
        "UserAccessId": record.access_id, "InstanceId": target.instance_id, "DbId": target.db_id or "",
        "Logic": str(target.logic).lower(), "TableId": target.table_id or "", "TableName": target.table_name, **changes,
    }  # fmt: skip
    return clients.dms("RevokeUserPermission", **{name: value for name, value in params.items() if value != ""})


def test_both_walks_find_every_record(app: App, clients: Clients) -> None:
    """By user and kind, and by instance and database: each is the truth."""
    users = clients.dms("ListUsers", PageSize=100)["UserList"]["User"]
    by_user = {
        record["UserAccessId"]
        for user in users
        for kind in ("INSTANCE", "DATABASE", "TABLE", "COLUMN")
        for record in records(clients, "ListUserPermissions", UserId=user["UserId"], PermType=kind)
    }
    by_object = set()
    for instance in clients.dms("ListInstances", PageSize=100)["InstanceList"]["Instance"]:
        rows = records(clients, "ListInstanceUserPermissions", InstanceId=instance["InstanceId"])
        assert all("DsType" not in row for row in rows)
        by_object |= {row["UserAccessId"] for row in rows}
        databases = clients.dms("ListDatabases", InstanceId=instance["InstanceId"])["DatabaseList"]["Database"]
        for database in databases:
            for kind in ("DATABASE", "TABLE", "COLUMN"):
                rows = records(clients, "ListDatabaseUserPermssions", DbId=database["DatabaseId"], PermType=kind)
                by_object |= {row["UserAccessId"] for row in rows}
    for database in clients.dms("ListLogicDatabases")["LogicDatabaseList"]["LogicDatabase"]:
        for kind in ("DATABASE", "TABLE", "COLUMN"):
            params = {"DbId": database["DatabaseId"], "PermType": kind, "Logic": "true"}
            by_object |= {row["UserAccessId"] for row in records(clients, "ListDatabaseUserPermssions", **params)}
    truth = {row["user_access_id"] for row in clients.truth("dms_permissions")}
    assert by_user == by_object == truth


@pytest.mark.parametrize("kind", ["INSTANCE", "DATABASE", "TABLE", "LOGIC_DATABASE"])
def test_one_record_goes(app: App, clients: Clients, kind: str) -> None:
    """A revoke takes the record of its id and no other."""
    record = of_kind(app, kind)
    before = len(app.world.dms.records)
    body = revoke(clients, record)
    assert set(body) == {"RequestId", "Success"}
    assert record.access_id not in app.world.dms.records
    assert len(app.world.dms.records) == before - 1
    assert clients.effects()[0]["grant"]["user_access_id"] == str(record.access_id)


def test_the_id_alone_decides(app: App, clients: Clients) -> None:
    """With another user's id in the request the wrong record goes, unless the mode checks."""
    record = of_kind(app, "DATABASE")
    stranger = next(user for user in app.world.dms.users if user != record.user_id)
    app.world.modes.set("dms_check_fields", "strict")
    body = revoke(clients, record, UserId=stranger)
    assert (body["Success"], body["ErrorCode"]) == (False, "InvalidParameterValid")
    assert "UserId" in body["ErrorMessage"]
    app.world.modes.set("dms_check_fields", "id_only")
    assert revoke(clients, record, UserId=stranger)["Success"] is True
    assert record.access_id not in app.world.dms.records


def test_a_second_revoke_by_mode(app: App, clients: Clients) -> None:
    """Nothing is published about it: refused in the body, success, or an error status."""
    record = of_kind(app, "TABLE")
    revoke(clients, record)
    body = revoke(clients, record)
    assert (body["Success"], body["ErrorCode"]) == (False, "InvalidParameterValid")
    app.world.modes.set("dms_absent_revoke", "success")
    assert revoke(clients, record)["Success"] is True
    app.world.modes.set("dms_absent_revoke", "error")
    assert revoke(clients, record)["Code"] == "InvalidParameterValid"
    assert len(clients.effects()) == 1


def test_column_permissions_stay(app: App, clients: Clients) -> None:
    """They are listed and cannot be revoked."""
    record = of_kind(app, "COLUMN")
    body = revoke(clients, record, DsType="TABLE")
    assert body["Code"] == "NotSupportYet"
    assert record.access_id in app.world.dms.records


def test_missing_and_wrong_words(app: App, clients: Clients) -> None:
    """Missing<Name> for what is mandatory; unknown words are refused; HTTP 400 or 200 by mode."""
    answer = clients.alibaba_raw("dms", "RevokeUserPermission", {"DsType": "TABLE"})
    body = json.loads(answer.body)
    assert (answer.status, body["Code"]) == (400, "MissingUserId")
    assert set(body) == {"RequestId", "HostId", "Code", "Message", "Recommend"}
    record = of_kind(app, "DATABASE")
    assert revoke(clients, record, PermTypes="DROP")["Code"] == "InvalidParameterValid"
    assert revoke(clients, record, Tid=999)["Code"] == "TenantNotExist"
    app.world.modes.set("dms_error_style", "body")
    body = revoke(clients, record, DsType="GALAXY")
    assert (body["Success"], body["ErrorCode"]) == (False, "InvalidParameterValid")
    assert revoke(clients, record, Logic="perhaps")["Code"] == "InvalidParameter"
    assert clients.effects() == []


def test_success_with_an_error_code_beside_it(app: App, clients: Clients) -> None:
    """The vendor's own sample, as a mode."""
    app.world.modes.set("dms_success_noise", "on")
    body = revoke(clients, of_kind(app, "DATABASE"))
    assert (body["Success"], body["ErrorCode"]) == (True, "MissingUserId")


def test_granting_makes_new_records(app: App, clients: Clients) -> None:
    """Each privilege of the list gets an own, new id, even beside the same privilege."""
    record = of_kind(app, "DATABASE")
    known = set(app.world.dms.records)
    params = {"UserId": record.user_id, "DsType": "DATABASE", "DbId": record.target.db_id, "Logic": "false",
              "PermTypes": "QUERY,EXPORT", "ExpireDate": "2031-01-02 03:04:05"}  # fmt: skip
    for _ in range(2):
        assert clients.dms("GrantUserPermission", **params)["Success"] is True
    fresh = sorted(set(app.world.dms.records) - known)
    assert len(fresh) == 4
    assert min(fresh) > max(known)
    assert {app.world.dms.records[number].expires for number in fresh} == {"2031-01-02 03:04:05"}
    assert clients.dms("GrantUserPermission", **{**params, "ExpireDate": "soon"})["Code"] == "InvalidParameterValid"


def test_expired_records_and_logic(app: App, clients: Clients) -> None:
    """Expired records are listed unless hidden; Logic filters; omitted means both unless the mode says otherwise."""
    now = app.world.today
    expired = next(record for record in app.world.dms.records.values() if record.expires < now
                   and record.target.ds_type == "DATABASE")  # fmt: skip

    def ids(**params: Any) -> set[str]:
        found = records(clients, "ListUserPermissions", UserId=expired.user_id, PermType="DATABASE", **params)
        return {row["UserAccessId"] for row in found}

    assert str(expired.access_id) in ids()
    assert str(expired.access_id) in ids(Logic="false")
    assert str(expired.access_id) not in ids(Logic="true")
    app.world.modes.set("dms_expired", "hidden")
    assert str(expired.access_id) not in ids()
    logic = of_kind(app, "LOGIC_DATABASE")
    app.world.modes.set("dms_expired", "listed")
    found = {row["UserAccessId"] for row in records(clients, "ListUserPermissions", UserId=logic.user_id,
                                                    PermType="DATABASE")}  # fmt: skip
    assert str(logic.access_id) in found
    app.world.modes.set("dms_logic_omitted", "physical")
    found = {row["UserAccessId"] for row in records(clients, "ListUserPermissions", UserId=logic.user_id,
                                                    PermType="DATABASE")}  # fmt: skip
    assert str(logic.access_id) not in found


def test_rows_group_records_and_totals_count_rows(app: App, clients: Clients) -> None:
    """Two privileges on one object are one row with two records."""
    record = of_kind(app, "DATABASE")
    app.world.dms.add(record.user_id, record.target, "EXPORT", "2026-01-01 00:00:00", "2027-01-01 00:00:00", "x")
    body = clients.dms("ListUserPermissions", UserId=record.user_id, PermType="DATABASE", PageSize=100)
    rows = body["UserPermissions"]["UserPermission"]
    assert body["TotalCount"] == len(rows)
    assert max(len(row["PermDetails"]["PermDetail"]) for row in rows) >= 2


def test_page_sizes(clients: Clients) -> None:
    """ListUsers takes 10, 20, 50, 100; templates 5, 10, 20; the authorized lists take text."""
    assert clients.dms("ListUsers", PageSize=30)["Code"] == "InvalidParameterValid"
    assert clients.dms("ListAuthorityTemplate", PageSize=100)["Code"] == "InvalidParameterValid"
    user = clients.dms("ListUsers", PageSize=10)["UserList"]["User"][0]["UserId"]
    assert clients.dms("ListAuthorizedInstancesForUser", UserId=user, PageSize="x")["Code"] == "InvalidParameterValid"


def test_effective_access_follows_every_source(app: App, clients: Clients) -> None:
    """The bare lists show a policy that no record explains, and no expired record."""
    policy = app.world.dms.policies[0]
    user = next(user for user in policy.user_ids if app.world.dms.users[user].state == "NORMAL")
    for record in app.world.dms.of_user(user):
        app.world.dms.remove(record.access_id)
    body = clients.dms("ListAuthorizedDatabasesForUser", UserId=user)
    assert "Success" not in body
    details = [row["PermissionDetail"] for row in body["Databases"] if row["DbId"] == str(policy.db_id)]
    assert any("policy" in detail["Message"] for detail in details)
    users = clients.dms("ListAuthorizedUsersForDatabase", DbId=policy.db_id)["Users"]
    assert user in {row["UserId"] for row in users}
    app.gateway.mutations.run([{"op": "dms_policy_member", "policy_id": policy.policy_id, "user_id": user,
                                "remove": True}])  # fmt: skip
    rows = clients.dms("ListAuthorizedDatabasesForUser", UserId=user)["Databases"]
    assert not any("policy" in row["PermissionDetail"]["Message"] for row in rows)


def test_templates_give_and_take_records(app: App, clients: Clients) -> None:
    """A template's records carry its origin; revoking the template takes only them."""
    user = of_kind(app, "DATABASE").user_id
    before = set(app.world.dms.records)
    listed = clients.dms("ListAuthorityTemplate", PageSize=5)["AuthorityTemplateViewList"]["AuthorityTemplateView"]
    template = listed[0]["TemplateId"]
    items = clients.dms("GetAuthorityTemplateItem", TemplateId=template)["AuthorityTemplateItemList"]
    assert len(items["AuthorityTemplateItem"]) == 2
    params = {"TemplateId": template, "UserIds": json.dumps([user])}
    assert clients.dms("GrantTemplateAuthority", ExpireDate="2031-01-01 00:00:00", **params)["Result"] is True
    assert len(app.world.dms.records) == len(before) + 3
    assert clients.dms("RevokeTemplateAuthority", **params)["Result"] is True
    assert set(app.world.dms.records) == before


def test_people_and_objects(app: App, clients: Clients) -> None:
    """Users by either id, the caller itself, instances by host, tables only under security collaboration."""
    me = clients.dms("GetUser")["User"]
    assert me["RoleNameList"]["RoleNames"] == ["ADMIN"]
    assert clients.dms("GetUser", Uid=me["Uid"])["User"] == clients.dms("GetUser", UserId=me["UserId"])["User"]
    assert clients.dms("GetUser", UserId="1")["Code"] == "UserNotExist"
    instance = clients.dms("ListInstances")["InstanceList"]["Instance"][0]
    one = clients.dms("GetInstance", Host=instance["Host"], Port=instance["Port"])["Instance"]
    assert one == {**instance, "SellSitd": "N"}  # text here, a boolean in the list: the vendor's own drift
    database = clients.dms("ListDatabases", InstanceId=instance["InstanceId"])["DatabaseList"]["Database"][0]
    tables = clients.dms("ListTables", DatabaseId=database["DatabaseId"])["TableList"]["Table"]
    assert tables[0]["TableId"]
    app.world.dms.instances[int(instance["InstanceId"])].mode = "STABLE"
    assert clients.dms("ListTables", DatabaseId=database["DatabaseId"])["Code"] == "NotSupportYet"
    owner = tables[0]["OwnerIdList"]["OwnerIds"][0]
    owned = clients.dms("ListUserOwnedResources", UserId=owner, OwnerType="TABLE", PageSize=100)
    assert "TotalCount" not in owned
    assert tables[0]["TableId"] in {row["TableId"] for row in owned["Data"]["resourceList"]}
    names = json.dumps([tables[0]["TableName"]])
    checked = clients.dms("CheckBatchTableAccessPermission", DbId=database["DatabaseId"], PermissionType="CORRECT",
                          TableNameList=names)  # fmt: skip
    assert checked["Data"][0]["Success"] in ("true", "false")


def test_disabling_a_user_is_no_soft_switch(app: App, clients: Clients) -> None:
    """Every record goes; enabling brings none back."""
    record = of_kind(app, "DATABASE")
    uid = app.world.dms.users[record.user_id].uid
    assert clients.dms("DisableUser", Uid=uid)["Success"] is True
    assert app.world.dms.of_user(record.user_id) == []
    assert clients.dms("EnableUser", Uid=uid)["Success"] is True
    assert clients.dms("GetUser", Uid=uid)["User"]["State"] == "NORMAL"
    assert app.world.dms.of_user(record.user_id) == []
    assert clients.dms("DeleteUser", Uid=uid)["Success"] is True
    states = {user["UserId"]: user["State"] for user in clients.dms("ListUsers", PageSize=100)["UserList"]["User"]}
    assert record.user_id not in states
    deleted = clients.dms("ListUsers", PageSize=100, UserState="DELETE")["UserList"]["User"]
    assert [user["UserId"] for user in deleted] == [record.user_id]
