"""DMS: every way in beside the permission records, found alone, and every listing of one, failing alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from rescind.errors import ListingIncompleteError
from rescind.model import Membership
from rescind.systems.dms.surfaces import SURFACES, TENANT
from rescind.systems.population import MOST_GAPS, Population
from rescind.systems.surfaces import Gap
from tests.support.dms_tenant import (
    ANN,
    BOB,
    DMS,
    OWNED_BY_ANN,
    QUIET,
    REFUSED,
    TABLE,
    UID,
    Answers,
    Seen,
    accesses,
    asked,
    client,
    databases,
    instances,
    logical,
    owns,
    record,
    records,
    user,
    users,
)
from tests.support.sink import Lists

# --- discovery ----------------------------------------------------------------------------------------


def test_without_another_way_in_nothing_remains_and_every_surface_was_asked() -> None:
    seen = Seen({})
    assert seen.fixed == [] and seen.sink.memberships == [] and seen.unanswered() == {}
    assert {grant.key.resource_type for grant in seen.sink.grants} == {"table", "logic_table"}
    for kind in ("table", "logic_table"):
        assert seen.access(kind=kind) == ([], {})


WAYS: dict[str, tuple[Answers, str]] = {
    "admin": ({"ListUsers": users(user(ANN, "ADMIN"), user(BOB))}, "role ADMIN: ADMIN on tenant 3001"),
    "tenant dba": ({"ListUsers": users(user(ANN, "DBA"), user(BOB))}, "role DBA: DBA on tenant 3001"),
    "instance owner": (
        {"ListInstances": instances(**OWNED_BY_ANN)}, "direct grant: owner on instance 17"),
    "instance dba": ({"ListInstances": instances(DbaId=ANN)}, "direct grant: DBA on instance 17"),
    "database owner": (
        {"ListDatabases": databases(**OWNED_BY_ANN)}, "direct grant: owner on database 88"),
    "database dba": ({"ListDatabases": databases(DbaId=ANN)}, "direct grant: DBA on database 88"),
    "proxy": (
        {"ListProxyAccesses": accesses(UserId=int(ANN))}, "direct grant: proxy account on instance 17"),
    "proxy by uid": (
        {"ListProxyAccesses": accesses(UserUid=UID[ANN])}, "direct grant: proxy account on instance 17"),
    "proxy that alone names the instance": (
        {"ListProxyAccesses": accesses(UserId=int(ANN), InstanceId=None)},
        "direct grant: proxy account on instance 17"),
    "owner by uid": (
        {"ListInstances": instances(OwnerIdList={"OwnerIds": [UID[ANN]]})},
        "direct grant: owner on instance 17"),
    "disabled admin": (
        {"ListUsers": users(user(ANN, "ADMIN", State="DISABLE"), user(BOB))}, "role ADMIN: ADMIN on tenant 3001"),
}  # fmt: skip


@pytest.mark.parametrize("name", WAYS)
def test_each_way_in_alone_is_a_path_of_its_holder_only(name: str) -> None:
    answers, path = WAYS[name]
    seen = Seen(answers)
    assert seen.unanswered() == {}
    assert seen.access() == ([path], {})
    assert seen.access(BOB) == ([], {})
    (way,) = seen.fixed
    assert not way.revocable and way.why_not and seen.found.dangling.total() == 0
    assert DMS.listing_scope(way) == ("", "", "") and DMS.principal_listing_scope(way) is None
    assert list(DMS.parents(way)) == ([] if way.key.resource_type == TENANT else [(TENANT, "3001")])


def test_the_owner_of_a_logical_database_reaches_its_tables_and_no_physical_one() -> None:
    seen = Seen({"ListLogicDatabases": logical(**OWNED_BY_ANN)})
    assert seen.access(kind="logic_table") == (["direct grant: owner on logic_database 99"], {})
    assert seen.access() == ([], {})


@pytest.mark.parametrize("role", ["SECURITY_ADMIN", "STRUCT_READ_ONLY", "auditors"])
def test_a_role_that_gives_no_data_is_listed_and_is_no_path(role: str) -> None:
    seen = Seen({"ListUsers": users(user(ANN, role), user(BOB))})
    assert [(g.key.principal_id, g.key.entitlement) for g in seen.fixed] == [(role.upper(), role.upper())]
    assert [edge.container_id for edge in seen.sink.memberships] == [role.upper()]
    assert seen.access() == ([], {})


def test_a_deleted_user_is_in_no_role() -> None:
    seen = Seen({"ListUsers": users(user(ANN, "ADMIN", State="DELETE"), user(BOB))})
    assert seen.access() == ([], {}) and seen.sink.memberships == []


def test_an_owner_that_is_nobody_stays_and_is_counted() -> None:
    seen = Seen({"ListInstances": instances(OwnerIdList={"OwnerIds": ["777"]})})
    assert [grant.key.principal_id for grant in seen.fixed] == ["777"]
    assert seen.found.dangling == {"principal user": 1}


def test_a_record_that_does_not_name_its_instance_still_inherits_from_it() -> None:
    def nameless(sent: Mapping[str, str]) -> Answers:
        wanted = sent["PermType"] == "TABLE" and sent["Logic"] == "false"
        return records(record(ANN, "TABLE", **{**TABLE, "InstanceId": None})) if wanted else records()

    seen = Seen({"ListInstances": instances(DbaId=ANN), "ListDatabaseUserPermssions": nameless})
    assert seen.access() == (["direct grant: DBA on instance 17"], {})
    (call,) = [DMS.request(None, [seen.grant()])]  # type: ignore[arg-type]
    assert "InstanceId" not in call.wire(), "the call repeats the row"


@pytest.mark.parametrize("group", [{"GroupMode": "NONE_CONTROL"}, {"GroupMode": "STABLE"}, {}, None])
def test_where_a_password_is_enough_nothing_is_gone(group: Any) -> None:
    seen = Seen({"ListInstances": instances(StandardGroup=group)})
    paths, unanswered = seen.access()
    assert paths == [] and set(unanswered) == {"control mode"}
    assert "(password_holder 17 holds the same right)" in unanswered["control mode"]
    assert set(seen.access(kind="logic_table")[1]) == {"control mode"}, "a part of it is on that instance"


UNCLEAR: dict[str, tuple[str, Answers, str]] = {
    "proxies refused": ("secure access proxies", {"ListProxies": REFUSED}, "ListProxies"),
    "proxies null": ("secure access proxies", {"ListProxies": {"ProxyList": None}}, "null"),
    "accounts refused": ("secure access proxies", {"ListProxyAccesses": REFUSED}, "proxy 5: "),
    "accounts null": ("secure access proxies", {"ListProxyAccesses": {"ProxyAccessList": None}}, "proxy 5: "),
    "odd proxy": ("secure access proxies", {"ListProxies": {"ProxyList": [{"ProxyId": "p-5"}]}}, "proxy p-5: "),
    "account of nobody": ("secure access proxies", {"ListProxyAccesses": accesses()}, "no user"),
    "no roles": (
        "tenant roles", {"ListUsers": users(user(ANN, RoleNameList=None), user(BOB))}, "no roles for user "),
    "role ids only": (
        "tenant roles",
        {"ListUsers": users(user(ANN, RoleNameList={"RoleNames": []}, RoleIdList={"RoleIds": [4]}), user(BOB))},
        "no roles for user "),
    "owner without id": (
        "owners and DBAs", {"ListInstances": instances(OwnerNameList={"OwnerNames": ["Ann"]})}, "without an id"),
    "owner of a database without id": (
        "owners and DBAs", {"ListDatabases": databases(OwnerNameList={"OwnerNames": ["Ann"]})}, "without an id"),
    "one owner of two without id": (
        "owners and DBAs", {"ListDatabases": databases(OwnerIdList={"OwnerIds": [BOB]},
                                                       OwnerNameList={"OwnerNames": ["Bob", "Ann"]})}, "without an id"),
    "dba without id": ("owners and DBAs", {"ListInstances": instances(DbaNickName="Ann")}, "without an id"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNCLEAR)
def test_what_could_not_be_asked_is_named_and_the_discovery_goes_on(name: str) -> None:
    surface, answers, why = UNCLEAR[name]
    paths, unanswered = Seen(answers).access()
    assert paths == [] and set(unanswered) == {surface} and why in unanswered[surface]


ELSEWHERE: dict[str, tuple[str, Answers]] = {
    "accounts refused": (ANN, {"ListProxyAccesses": REFUSED}),
    "account of nobody": (ANN, {"ListProxyAccesses": accesses(InstanceId=18)}),
    "account of Bob on an unnamed instance": (
        ANN,
        {
            "ListProxies": {"ProxyList": [{"ProxyId": 5}]},
            "ListProxyAccesses": accesses(UserId=BOB, InstanceId=None),
        }),
    "no roles of Bob": (ANN, {"ListUsers": users(user(ANN), user(BOB, RoleNameList=None))}),
    "owner of another instance without id": (ANN, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_concerns_another_instance_or_another_person_leaves_nobody_else_unproven(name: str) -> None:
    """The proxy, and the owner without an id, are on instance 18; the table is on instance 17."""
    who, answers = ELSEWHERE[name]
    other = {"InstanceId": "18", "StandardGroup": {"GroupMode": "COMMON"}}
    if "owner" in name:
        other["OwnerNameList"] = {"OwnerNames": ["Bob"]}
    both = {"InstanceList": {"Instance": [*instances()["InstanceList"]["Instance"], other]}, "TotalCount": 2}
    here = {
        "ListInstances": both,
        "ListProxies": {"ProxyList": [{"ProxyId": 5, "InstanceId": 18}]},
        "ListDatabases": lambda sent: (
            databases() if sent["InstanceId"] == "17" else {"DatabaseList": {"Database": []}, "TotalCount": 0}
        ),
    }
    seen = Seen({**here, **answers})
    assert len(seen.found.gaps) == 1 and not seen.unanswered()
    assert seen.access(who) == ([], {})


def test_too_many_gaps_count_for_everybody() -> None:
    found = Population(Lists())
    for number in range(MOST_GAPS + 1):
        found.could_not_tell(Gap("s", f"object {number}", ("instance", str(number))))
    assert len(found.gaps) == MOST_GAPS and "object 500 (one of more than 500)" in found.surfaces["s"]


LOGICAL: dict[str, Answers] = {
    "the DBA of the instance behind it": {"ListInstances": instances(DbaId=ANN)},
    "the owner of the instance behind it": {"ListInstances": instances(**OWNED_BY_ANN)},
    "the owner of a part": {"ListDatabases": databases(**OWNED_BY_ANN)},
    "a proxy account": {"ListProxyAccesses": accesses(UserId=ANN)},
    "parts that are not named": {"ListLogicDatabases": logical(DatabaseIds=None)},
    "parts that are not listed": {"ListLogicDatabases": logical(DatabaseIds={"DatabaseIds": [88, 89]})},
}


@pytest.mark.parametrize("name", LOGICAL)
def test_what_reaches_a_part_of_a_logical_database_leaves_it_unproven(name: str) -> None:
    """No page says whether the right on a part, or on its instance, reaches the logical database."""
    seen = Seen(LOGICAL[name])
    paths, unanswered = seen.access(ANN, "logic_table")
    assert paths == [] and set(unanswered) == {"parts of logical databases"}, unanswered
    others = {} if name.startswith("parts") else {BOB: "logic_table"}
    for who, kind in others.items():
        assert seen.access(who, kind) == ([], {})


def test_the_same_record_on_a_part_leaves_the_logical_database_unproven() -> None:
    def held(sent: Mapping[str, str]) -> Answers:
        if sent["PermType"] == "DATABASE":
            logic = sent["Logic"] == "true"
            row = record(ANN, "LOGIC_DATABASE" if logic else "DATABASE", DbId="99" if logic else "88", Logic=logic)
            row["PermDetails"]["PermDetail"][0]["UserAccessId"] = f"{logic}"
            return records(row)
        return records()

    paths, unanswered = Seen({"ListDatabaseUserPermssions": held}).access(ANN, "logic_database")
    assert paths == [] and "holds the same right on database 88" in unanswered["parts of logical databases"]


@pytest.mark.parametrize("state", ["DISABLE", "DELETE"])
def test_users_without_access_need_no_roles(state: str) -> None:
    seen = Seen({"ListUsers": users(user(ANN, RoleNameList=None, State=state), user(BOB))})
    assert seen.unanswered() == {}


@pytest.mark.parametrize("owners", [None, {}, {"OwnerIds": None}, {"OwnerIds": []}])
def test_no_list_of_owners_is_no_owner(owners: Any) -> None:
    none = {"OwnerIdList": owners}
    seen = Seen({"ListInstances": instances(**none), "ListDatabases": databases(**none)})
    assert seen.fixed == [] and seen.unanswered() == {}


@pytest.mark.parametrize("action", ["ListUsers", "ListInstances", "ListDatabases", "ListLogicDatabases"])
def test_what_the_population_needs_is_not_optional(action: str) -> None:
    null = {name: None if name != "TotalCount" else 0 for name in QUIET[action]}
    with pytest.raises(ListingIncompleteError, match=action):
        Seen({action: null})


# --- verification -------------------------------------------------------------------------------------


REACHED: dict[str, tuple[Answers, str]] = {
    "table": (owns(ANN, "TABLE", DbId="88", TableId="7", Logic=False), "as owner of table 7"),
    "table whose row leaves Logic out": (owns(ANN, "TABLE", DbId="88", TableId="7"), "as owner of table 7"),
    "database": (owns(ANN, "DATABASE", DbId="88", InstanceId="17", Logic=False), "as owner of database 88"),
    "instance": (owns(ANN, "INSTANCE", InstanceId="17"), "as owner of instance 17"),
    "policy": (
        {"ListAuthorizedDatabasesForUser": lambda sent: {"Databases": [
            {"DbId": "88", "PermissionDetail": {"PermType": "QUERY", "Message": "x"}}] * (sent["UserId"] == ANN)}},
        "a policy or ownership gives QUERY on database 88"),
    "no privilege named": (
        {"ListAuthorizedInstancesForUser": lambda sent: {"Instances": [
            {"InstanceId": "17", "PermissionDetail": {}}] * (sent["UserId"] == ANN)}},
        "a policy or ownership gives everything on instance 17"),
}  # fmt: skip


@pytest.mark.parametrize("name", REACHED)
def test_the_platforms_own_answer_is_a_path_of_its_holder_only(name: str) -> None:
    answers, words = REACHED[name]
    seen = Seen({})
    answer = asked(answers, seen.grant(ANN), seen.grant(BOB))
    paths, unanswered = seen.access(answer=answer)
    assert len(paths) == 1 and words in paths[0] and unanswered == {}
    assert seen.access(BOB, answer=answer) == ([], {}) and answer.calls > 0


def test_what_the_user_owns_elsewhere_is_no_path() -> None:
    seen = Seen({})
    for other in (
        owns(ANN, "TABLE", DbId="88", TableId="8", Logic=False),
        owns(ANN, "TABLE", DbId="99", TableId="7", Logic=True),
    ):
        assert seen.access(answer=asked(other, seen.grant())) == ([], {})


def only(who: str, given: Any, action: str) -> Answers:
    """An answer about one user only."""
    quiet = QUIET[action]

    def answer(sent: Mapping[str, str]) -> Answers:
        usual: Answers = quiet(sent) if callable(quiet) else quiet
        return dict(given) if sent["UserId"] == who else usual

    return {action: answer}


@pytest.mark.parametrize("given", [REFUSED, None], ids=["refused", "null"])
@pytest.mark.parametrize(
    ("action", "surface"),
    [
        ("ListAuthorizedInstancesForUser", "the platform's own answer"),
        ("ListAuthorizedDatabasesForUser", "the platform's own answer"),
        ("ListUserOwnedResources", "owned objects"),
    ],
)
def test_a_question_that_fails_for_one_user_is_open_for_that_user_only(action: str, surface: str, given: Any) -> None:
    names = {"ListUserOwnedResources": "Data", "ListAuthorizedInstancesForUser": "Instances"}
    null = {names.get(action, "Databases"): None}
    seen = Seen({})
    answer = asked(only(ANN, given or null, action), seen.grant(ANN), seen.grant(BOB))
    paths, unanswered = seen.access(answer=answer)
    assert paths == [] and set(unanswered) == {surface} and action in unanswered[surface]
    assert seen.access(BOB, answer=answer) == ([], {})


@pytest.mark.parametrize(
    ("action", "given", "surface"),
    [
        ("ListUserOwnedResources", {"Data": {"resourceList": [{"DbType": "mysql"}]}}, "owned objects"),
        ("ListAuthorizedDatabasesForUser", {"Databases": [{"DbId": "88"}]}, "the platform's own answer"),
        ("ListAuthorizedInstancesForUser", {"Instances": [{"InstanceId": "17"}]}, "the platform's own answer"),
    ],
)
def test_a_row_without_its_object_or_its_right_proves_nothing(action: str, given: Answers, surface: str) -> None:
    seen = Seen({})
    paths, unanswered = seen.access(answer=asked(only(ANN, given, action), seen.grant()))
    assert paths == [] and set(unanswered) == {surface}


def test_a_user_who_is_not_there_reaches_nothing() -> None:
    gone = {"Code": "UserNotExist", "Message": "no such user", "HttpStatus": 404}
    every = ("ListAuthorizedInstancesForUser", "ListAuthorizedDatabasesForUser", "ListUserOwnedResources")
    seen = Seen({})
    answer = asked(dict.fromkeys(every, gone), seen.grant())
    assert (answer.reaches, answer.unknown, answer.denies) == ({}, {}, set())


def test_every_surface_names_what_the_connection_must_be_allowed() -> None:
    assert len({surface.name for surface in SURFACES}) == len(SURFACES)
    for surface in SURFACES:
        assert surface.action in DMS.reads or (not surface.action and surface.cannot), surface.name


# --- roles at verification ----------------------------------------------------------------------------

EDGE = Membership("dms_permissions", "a", "user", ANN, "role", "ADMIN")
OUT = user(ANN, "ADMIN", State="DISABLE")


@pytest.mark.parametrize(
    ("listed", "alone", "ended"),
    [
        (OUT, OUT, True),
        (user(ANN), user(ANN), True),
        (None, {**OUT, "State": "DELETE"}, True),
        (None, None, True),
        (OUT, user(ANN, "ADMIN"), False),
        (user(ANN, "ADMIN"), OUT, False),
        (user(ANN, RoleNameList=None), OUT, False),
        (OUT, user(ANN, RoleNameList=None), False),
        (user(ANN, "ADMIN", State="FROZEN"), user(ANN, "ADMIN", State="FROZEN"), False),
    ],
)
def test_a_role_ends_only_when_both_answers_say_so(listed: Any, alone: Any, ended: bool) -> None:
    missing = {"Code": "UserNotExist", "Message": "no", "HttpStatus": 404}
    answers = {
        "ListUsers": users(*([listed] if listed else []), user(BOB, "ADMIN")),
        "GetUser": {"User": alone} if alone else missing,
    }
    other = Membership("dms_permissions", "a", "user", BOB, "role", "ADMIN")
    found = asyncio.run(DMS.ended_memberships(client(answers), [EDGE, other]))
    assert found.memberships == ({EDGE} if ended else set())


def test_an_answer_about_another_user_ends_no_role() -> None:
    answers = {"ListUsers": users(OUT), "GetUser": {"User": {**OUT, "UserId": BOB}}}
    with pytest.raises(ListingIncompleteError, match="another user"):
        asyncio.run(DMS.ended_memberships(client(answers), [EDGE]))
