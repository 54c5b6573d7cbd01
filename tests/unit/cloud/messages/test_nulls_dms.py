"""DMS listings: every field that may be null or missing, and what becomes of the row."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rescind.cloud.dms.inventory import (
    GetUser,
    ListDatabases,
    ListInstances,
    ListLogicDatabases,
    ListUserOwnedResources,
    ListUsers,
)
from rescind.cloud.dms.permissions import (
    ListAuthorizedDatabasesForUser,
    ListAuthorizedInstancesForUser,
    ListAuthorizedUsersForDatabase,
    ListAuthorizedUsersForInstance,
)
from rescind.cloud.dms.policies import ListAbacAuthorizations, ListAbacPolicies
from rescind.cloud.dms.proxies import ListProxies, ListProxyAccesses
from rescind.errors import ListingIncompleteError
from tests.support.null_table import (
    MISSING,
    NULL,
    Client,
    Listed,
    Make,
    cases,
    check_field,
    check_full_row,
    check_null_row,
    read,
)

OWNERS = {"OwnerIdList": {"OwnerIds": ["51001"]}, "OwnerNameList": {"OwnerNames": ["Ann"]}}
RIGHT = {"DsType": "DATABASE", "PermType": "QUERY", "ExpireDate": "2030-01-01 00:00:00", "Message": "policy"}
TOTAL: dict[str, Any] = {"total": "TotalCount"}
USER = {
    "UserId": "51001",
    "Uid": "2600000000000001",
    "NickName": "Ann",
    "State": "NORMAL",
    "LastLoginTime": "2026-01-01 00:00:00",
    "ParentUid": "1600000000000001",
    "RoleIdList": {"RoleIds": [1]},
    "RoleNameList": {"RoleNames": ["ADMIN"]},
}

LISTINGS: tuple[Listed, ...] = (
    Listed(ListUsers(), "UserList.User", USER, frozenset({"UserId"}), **TOTAL),
    Listed(
        ListInstances(),
        "InstanceList.Instance",
        {
            "InstanceId": "9",
            "InstanceAlias": "shop",
            "InstanceType": "mysql",
            "InstanceSource": "RDS",
            "EnvType": "product",
            "State": "NORMAL",
            "DbaId": "51002",
            "DbaNickName": "Bob",
            "StandardGroup": {"GroupMode": "COMMON", "GroupName": "strict"},
            "SellSitd": True,
            **OWNERS,
        },
        frozenset({"InstanceId"}),
        **TOTAL,
    ),
    Listed(
        ListDatabases(InstanceId="9"),
        "DatabaseList.Database",
        {
            "DatabaseId": "1",
            "InstanceId": "9",
            "SchemaName": "shop",
            "CatalogName": "def",
            "SearchName": "shop@host",
            "DbType": "mysql",
            "EnvType": "product",
            "State": "NORMAL",
            "DbaId": "51002",
            "DbaName": "Bob",
            **OWNERS,
        },
        frozenset({"DatabaseId"}),
        **TOTAL,
    ),
    Listed(
        ListLogicDatabases(),
        "LogicDatabaseList.LogicDatabase",
        {
            "DatabaseId": "2",
            "Alias": "logic",
            "SchemaName": "shop",
            "SearchName": "shop@logic",
            "DbType": "mysql",
            "EnvType": "product",
            "Logic": True,
            "DatabaseIds": {"DatabaseIds": [1]},
            **OWNERS,
        },
        frozenset({"DatabaseId"}),
        **TOTAL,
    ),
    Listed(
        ListProxies(),
        "ProxyList",
        {
            "ProxyId": 3,
            "InstanceId": 9,
            "CreatorId": 51001,
            "CreatorName": "Ann",
            "ProtocolType": "MYSQL",
            "PrivateEnable": True,
            "PublicEnable": False,
            "RegionId": "cn-hangzhou",
        },
        frozenset({"ProxyId"}),
    ),
    Listed(
        ListProxyAccesses(ProxyId="3"),
        "ProxyAccessList",
        {
            "ProxyAccessId": 4,
            "ProxyId": 3,
            "InstanceId": 9,
            "UserId": 51001,
            "UserUid": "2600000000000001",
            "UserName": "Ann",
            "IndepAccount": "reader",
            "OriginInfo": "ticket (1)",
            "GmtCreate": "2026-01-01 00:00:00",
        },
        frozenset({"ProxyAccessId"}),
    ),
    Listed(
        ListAbacPolicies(),
        "PolicyList",
        {
            "AbacPolicyId": 5,
            "AbacPolicyName": "read all",
            "AbacPolicySource": "USER_DEFINE",
            "AbacPolicyContent": '{"Statement":[]}',
            "CreatorId": 51001,
        },
        frozenset({"AbacPolicyId"}),
        **TOTAL,
    ),
    Listed(
        ListAbacAuthorizations(PolicyId="5", PolicySource="USER_DEFINE"),
        "AuthorizationList",
        {
            "AuthorizationId": 6,
            "IdentityType": "USER",
            "IdentityId": 51001,
            "IdentityName": "Ann",
            "PolicyId": 5,
            "PolicyName": "read all",
            "PolicySource": "USER_DEFINE",
        },
        frozenset({"AuthorizationId"}),
        **TOTAL,
    ),
    Listed(
        ListUserOwnedResources(UserId="51001", OwnerType="TABLE"),
        "Data.resourceList",
        {
            "InstanceId": "9",
            "DbId": "1",
            "TableId": "7",
            "TableName": "orders",
            "SchemaName": "shop",
            "SearchName": "shop@host",
            "Alias": "shop",
            "EnvType": "product",
            "DbType": "mysql",
            "Logic": False,
        },
    ),
    Listed(
        ListAuthorizedInstancesForUser(UserId="51001"),
        "Instances",
        {
            "InstanceId": "9",
            "UserId": "51001",
            "InstanceAlias": "shop",
            "EnvType": "product",
            "PermissionDetail": RIGHT,
        },
        frozenset({"InstanceId"}),
    ),
    Listed(
        ListAuthorizedDatabasesForUser(UserId="51001"),
        "Databases",
        {
            "DbId": "1",
            "InstanceId": "9",
            "UserId": "51001",
            "Logic": False,
            "SchemaName": "shop",
            "SearchName": "shop@host",
            "EnvType": "product",
            "PermissionDetail": RIGHT,
        },
        frozenset({"DbId"}),
    ),
    Listed(
        ListAuthorizedUsersForInstance(InstanceId="9"),
        "Users",
        {"UserId": "51001", "Uid": "2600000000000001", "UserNickName": "Ann"},
        frozenset({"UserId"}),
    ),
    Listed(
        ListAuthorizedUsersForDatabase(DbId="1", Logic=False),
        "Users",
        {"UserId": "51001", "Uid": "2600000000000001", "UserNickName": "Ann"},
        frozenset({"UserId"}),
    ),
)
EACH = pytest.mark.parametrize("listed", LISTINGS, ids=lambda listed: listed.action)


@EACH
def test_a_full_row_is_read_and_has_every_field_of_the_model(listed: Listed, client: Client, alibaba: Make) -> None:
    check_full_row(client, alibaba, listed)


@pytest.mark.parametrize(("listed", "path", "how"), cases(LISTINGS))
def test_a_field_is_kept_as_unknown_or_refused(
    listed: Listed, path: str, how: str, client: Client, alibaba: Make
) -> None:
    check_field(client, alibaba, listed, path, how)


@EACH
@pytest.mark.parametrize("how", [NULL, MISSING])
def test_no_list_is_not_nobody(listed: Listed, how: str, client: Client, alibaba: Make) -> None:
    outer = listed.path.partition(".")[0]
    without: dict[str, Any] = {outer: None} if how == NULL else {}
    for page in (listed.payload(how, declared=0), {**without, "TotalCount": 0}):
        with pytest.raises(ListingIncompleteError) as caught:
            read(client, alibaba, listed, page)
        assert listed.action in caught.value.what


@EACH
def test_a_null_in_place_of_a_row_is_refused(listed: Listed, client: Client, alibaba: Make) -> None:
    check_null_row(client, alibaba, listed)


@EACH
def test_an_explicit_empty_list_is_nobody(listed: Listed, client: Client, alibaba: Make) -> None:
    assert read(client, alibaba, listed, listed.payload([], declared=0)).rows == ()


def test_secrets_and_hosts_of_a_proxy_are_not_read(client: Client, alibaba: Make) -> None:
    listed = next(each for each in LISTINGS if each.action == "ListProxyAccesses")
    row = {**listed.row, "AccessId": "canary", "AccessSecret": "canary", "PublicHost": "canary"}
    (access,) = read(client, alibaba, listed, listed.payload([row])).rows
    assert "canary" not in repr(access) + access.model_dump_json()


@pytest.mark.parametrize("identity", [{"IdentityType": "GROUP"}, {"IdentityType": None}, {"IdentityId": None}])
def test_a_policy_of_an_unknown_holder_is_a_row_among_others(
    identity: dict[str, Any], client: Client, alibaba: Make
) -> None:
    listed = next(each for each in LISTINGS if each.action == "ListAbacAuthorizations")
    odd = {**listed.row, "AuthorizationId": 8, **identity}
    rows = read(client, alibaba, listed, listed.payload([listed.row, odd], declared=2)).rows
    assert [row.AuthorizationId for row in rows] == ["6", "8"]


# --- owners and roles: what is not said is not "nobody" ---------------------------------------------------


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ({}, None),
        ({"OwnerIdList": None}, None),
        ({"OwnerIdList": {}}, None),
        ({"OwnerIdList": {"OwnerIds": None}}, None),
        ({"OwnerIdList": {"OwnerIds": []}}, ()),
        ({"OwnerIdList": {"OwnerIds": [51001, "51002"]}}, ("51001", "51002")),
    ],
)
def test_owners_that_are_not_listed_are_unknown(
    given: dict[str, Any], meant: tuple[str, ...] | None, client: Client, alibaba: Make
) -> None:
    for listed in LISTINGS[1:4]:
        bare = {name: value for name, value in listed.row.items() if name not in OWNERS}
        (row,) = read(client, alibaba, listed, listed.payload([{**bare, **given}])).rows
        assert (row.owner_ids, row.owner_names) == (meant, None), listed.action


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (None, None),
        ({}, None),
        ({"RoleNames": None}, None),
        ({"RoleNames": []}, ()),
        ({"RoleNames": ["DBA"]}, ("DBA",)),
    ],
)
def test_roles_that_are_not_listed_are_unknown(
    given: Any, meant: tuple[str, ...] | None, client: Client, alibaba: Make
) -> None:
    user = {**USER, "RoleNameList": given}
    (row,) = read(client, alibaba, LISTINGS[0], LISTINGS[0].payload([user])).rows
    assert row.role_names == meant
    assert ask(client, alibaba, GetUser(UserId="51001"), User=user).User.role_names == meant


def ask(client: Client, alibaba: Make, request: Any, **payload: Any) -> Any:
    async def run() -> Any:
        async with client(lambda _: alibaba(**payload), service="dms") as made:
            return (await made.read(request)).value

    return asyncio.run(run())
