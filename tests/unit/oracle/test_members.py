"""The oracle on memberships, roles, shares and accounts: ways, items, effects, and agreement with the emulator."""

from __future__ import annotations

import random
from typing import Any

import pytest

from emulator.modes import CHOICES
from emulator.snapshot import snapshot
from tests.support.oracle import SYSTEMS, Dump, Path, Resource, effective, foreign_effects, judge
from tests.support.oracle.items import recorded, role_of, thing_of
from tests.support.oracle.members import ID_SPACES, kinds, place_of, planted_members
from tests.support.oracle.organizations import organization, organizations
from tests.support.oracle.reach import gained, lost
from tests.unit.oracle.test_organizations import REACH, call

ADMIN, ORDINARY = "111111111", "111111113"


def test_every_membership_system_is_planted() -> None:
    assert {system for system, _ in kinds()} == set(ID_SPACES)
    assert set(ID_SPACES) < SYSTEMS


def named(ways: list[Path], system: str) -> set[str]:
    """Names of ways; of records of the system itself that others may hold too, who holds them."""
    own = {"quickbi_shares": "share", "quickbi_work_authorizations": "authorization"}.get(system)
    return {path.through if path.kind == own else path.kind for path in ways}


@pytest.mark.parametrize("seed", range(1, 4))
def test_each_way_stays_when_the_membership_goes(seed: int) -> None:
    """Planted alone: no way before, the membership and the way then, and the way alone after the membership ended."""
    for one in planted_members(snapshot(organization(seed, plant=False).world), seed):
        app = organization(seed, plant=False)
        (where, role), user = place_of(one), one.person[ID_SPACES[one.system]]
        app.gateway.mutations.run(list(one.operations))
        assert "direct" in named(effective(snapshot(app.world), one.system, user, where, role), one.system), one
        reverse = {
            "quickbi_organization_roles": {"role_ids": [int(ORDINARY)]}, "dms_system_roles": {"roles": ["USER"]},
            "dms_accounts": {"state": "DISABLE"},
        }.get(one.system, {"remove": True})  # fmt: skip
        app.gateway.mutations.run([{**one.operations[0], **reverse}])
        app.world.modes.set("dms_disabled_proxies", "usable")
        left = named(effective(snapshot(app.world), one.system, user, where, role), one.system)
        assert "direct" not in left, one
        if len(one.operations) > 1:
            assert one.kind in left, (one, left)


def item(system: str, who: str, kind: str, ident: str, right: str = "", native: str = "", **more: Any) -> Any:
    """A row of the items file."""
    return {"system": system, "principal_type": "user", "principal_id": who, "resource_type": kind,
            "resource_id": ident, "entitlement": right, "native_id": native, "container": "account", "column": [who],
            "state": "accepted", "verdict": "verified_gone", "remains": "", "absent": {"effective": True},
            **more}  # fmt: skip


ITEMS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    # item, kind of row, the row
    "quickbi_group_members": (item("quickbi_group_members", "u", "user_group", "g", "member"), "",
                              {"group_id": "g", "parent": "-1", "user_id": "u"}),
    "quickbi_workspace_members": (item("quickbi_workspace_members", "u", "workspace", "w", "developer"), "",
                                  {"workspace_id": "w", "user_id": "u", "role_id": 26}),
    "quickbi_shares": (item("quickbi_shares", "u", "work", "r", "view", "s1"), "",
                       {"share_id": "s1", "works_id": "r", "receiver_type": 0, "receiver_id": "u", "auth_points": 1,
                        "expires": 9}),
    "quickbi_work_authorizations": (
        item("quickbi_work_authorizations", "u", "work", "r", "edit"), "",
        {"authorization_id": "a1", "resource_id": "r", "resource_type": "dashboard", "receiver_type": 0,
         "receiver_id": "u", "auth_points": 11, "expires": 9}),
    "dms_abac_authorizations": (item("dms_abac_authorizations", "5", "policy", "9001", "attached", "90010000005"),
                                "dms_policy_members", {"policy_id": "9001", "user_id": "5"}),
    "a policy of a role": (item("dms_abac_authorizations", "6001", "policy", "9001", principal_type="role"),
                           "dms_policy_roles", {"policy_id": "9001", "role_id": "6001"}),
    "quickbi_dataset_whitelists": (
        item("quickbi_dataset_whitelists", "u", "dataset", "d", "all rows", "ROW_LEVEL"), "",
        {"dataset_id": "d", "rule_type": "ROW_LEVEL", "receiver_type": 0, "receiver_id": "u"}),
    "quickbi_organization_roles": (item("quickbi_organization_roles", "u", "organization_role", ADMIN, "holder"), "",
                                   {"user_id": "u", "role_id": 111111111}),
    "dms_accounts": (item("dms_accounts", "5", "tenant", "3001", "account", "26"), "", {"user_id": "5", "uid": "26"}),
    "dms_system_roles": (item("dms_system_roles", "5", "tenant", "3001", "SECURITY_ADMIN"), "",
                         {"user_id": "5", "role": "SECURITY_ADMIN"}),
    "dms_proxy_accesses": (item("dms_proxy_accesses", "5", "proxy", "7001", "access", "8801"), "",
                           {"proxy_access_id": "8801", "proxy_id": "7001", "user_id": "5", "account": ""}),
    "wedata_project_roles": (item("wedata_project_roles", "1001", "project", "900", "data engineer"), "",
                             {"project_id": "900", "user_uin": "1001", "role_id": "308335260676890624"}),
    "wedata_studio_permissions": (
        item("wedata_studio_permissions", "7001", "script", "n", "CAN_EDIT"), "",
        {"node_id": "n", "subject_type": "user", "subject_value": "7001", "privilege": "CAN_EDIT"}),
    "bare member": (item("wedata_project_roles", "1001", "project", "900", "membership"), "wedata_project_members",
                    {"project_id": "900", "user_uin": "1001", "role_ids": []}),
}  # fmt: skip


@pytest.mark.parametrize("name", ITEMS)
def test_an_item_stands_for_exactly_its_row(name: str) -> None:
    """Its own row is its record and its effect; one of another person, place or role is not."""
    row, kind, truth = ITEMS[name]
    kind = kind or name
    assert thing_of(row).kind == kind
    assert recorded(Dump({kind: [truth]}), row) and not recorded(Dump({kind: []}), row)
    request = {"kind": "request", "seq": 1}
    effect = {"kind": "effect", "cause": 1, "seq": 2, "action": "A", "op": "removed", "system": kind}
    assert list(foreign_effects([request, {**effect, "grant": truth}], [row])) == []
    assert list(foreign_effects([{"kind": "control", "seq": 1}, {**effect, "grant": truth}], [])) == []
    assert len(list(foreign_effects([request, {**effect, "grant": truth}], []))) == 1
    assert len(list(foreign_effects([request, {**effect, "op": "added", "grant": truth}], [row]))) == 1
    for column in thing_of(row).where:
        if (column, name) == ("role_id", "bare member"):
            continue
        other = {**truth, column: "another"}
        assert not recorded(Dump({kind: [other]}), row), column
        assert len(list(foreign_effects([request, {**effect, "grant": other}], [row]))) == 1, column


@pytest.mark.parametrize(
    ("system", "right", "native", "expected"),
    [
        ("wedata_project_roles", "administrator", "", "308335260274237440"),
        ("wedata_project_roles", "operations engineer", "", "308335260844662784"),
        ("wedata_project_roles", "ordinary member", "", "308335260945326080"),
        ("wedata_project_roles", "role 410000000000000001", "", "410000000000000001"),
        ("wedata_project_roles", "membership", "", ""),
        ("dms_system_roles", "DBA", "", "DBA"),
        ("quickbi_organization_roles", "administrator", "", ADMIN),
        ("quickbi_organization_roles", "permission administrator", "", "111111112"),
        ("quickbi_organization_roles", "role", "300200100", "300200100"),
    ],
)  # fmt: skip
def test_the_role_of_an_item(system: str, right: str, native: str, expected: str) -> None:
    assert role_of(item(system, "1001", "place", "900", right, native)) == expected


def test_an_item_that_tells_no_role_is_an_error() -> None:
    with pytest.raises(LookupError, match="no role"):
        role_of(item("wedata_project_roles", "1001", "project", "900", "unheard of"))


def effect(action: str, op: str, system: str, **grant: Any) -> Any:
    return {"kind": "effect", "cause": 1, "action": action, "op": op, "system": system, "grant": grant}


@pytest.mark.parametrize(
    ("entry", "items", "allowed"),
    [
        (effect("UpdateUser", "added", "quickbi_organization_roles", user_id="u", role_id=111111113),
         ["quickbi_organization_roles"], True),
        (effect("UpdateUser", "added", "quickbi_organization_roles", user_id="u", role_id=111111112),
         ["quickbi_organization_roles"], False),
        (effect("UpdateUser", "added", "quickbi_organization_roles", user_id="v", role_id=111111113),
         ["quickbi_organization_roles"], False),
        (effect("UpdateUser", "removed", "quickbi_organization_roles", user_id="u", role_id=111111112),
         ["quickbi_organization_roles"], False),
        (effect("DisableUser", "removed", "dms_permissions", user_id="5", user_access_id="1"), ["dms_accounts"], True),
        (effect("DisableUser", "removed", "dms_permissions", user_id="6", user_access_id="1"), ["dms_accounts"], False),
        (effect("RevokeUserPermission", "removed", "dms_permissions", user_id="5", user_access_id="1"),
         ["dms_accounts"], False),
        (effect("DisableUser", "changed", "dms_dbas", instance_id="1", user_id=""), ["dms_accounts"], True),
        (effect("DisableUser", "changed", "dms_dbas", instance_id="1", user_id=""), ["dms_system_roles"], False),
        (effect("DeleteProjectMember", "removed", "wedata_project_members", project_id="900", user_uin="1001"),
         ["wedata_project_roles"], True),
        (effect("DeleteProjectMember", "removed", "wedata_project_members", project_id="901", user_uin="1001"),
         ["wedata_project_roles"], False),
        (effect("DeleteProjectMember", "removed", "wedata_project_roles", project_id="900", user_uin="1001",
                role_id="308335260274237440"), ["wedata_project_roles"], False),
    ],
)  # fmt: skip
def test_what_comes_with_an_item(entry: Any, items: list[str], allowed: bool) -> None:
    """Ordinary roles, what an account takes along, a membership with its last role; nothing of other people."""
    found = list(foreign_effects([{"kind": "request", "seq": 1}, entry], [ITEMS[name][0] for name in items]))
    assert (found == []) is allowed


@pytest.mark.parametrize("name", [name for name in ITEMS if ITEMS[name][0]["principal_type"] == "user"])
def test_a_verdict_while_the_membership_is_there_is_false(name: str) -> None:
    """Said to be gone, it is there; said to remain, it is not."""
    row, kind, truth = ITEMS[name]
    users = [{"user_id": "u", "deleted": False, "role_ids": [111111111] * name.startswith("quickbi_org")}]
    world = {
        "quickbi_users": users, "organization_id": "o", "now_ms": 5,
        "dms_users": [{"user_id": "5", "state": "NORMAL", "roles": ["SECURITY_ADMIN"]}],
        "wedata_project_members": [{"project_id": "900", "user_uin": "1001", "role_ids": ["308335260676890624"]}],
        "wedata_studio_nodes": [{"node_id": "n", "project_id": "9", "parent": "", "owner_uin": "", "access_scope": ""}],
        "dms_policies": [{"policy_id": "9001"}], (kind or name): [truth],
    }  # fmt: skip
    gone = {"quickbi_users": [{**users[0], "role_ids": []}], "organization_id": "o", "now_ms": 5, "dms_users": []}
    assert judge(world, gone, [row]) == []
    assert [line.partition(":")[0] for line in judge(world, world, [row])] == ["false gone"]
    assert [line.partition(":")[0] for line in judge(gone, gone, [row])] == ["never there"]
    still = {**row, "verdict": "still_effective", "absent": {"effective": False}}
    assert judge(world, world, [still]) == []
    assert [line.partition(":")[0] for line in judge(world, gone, [still])] == ["false remaining"]


def test_oracle_and_emulator_agree_on_every_work() -> None:
    """For everybody and every portal and dashboard: CheckReadable says yes exactly when the oracle knows a way."""
    compared = 0
    for app in organizations(6, first=300):
        rng = random.Random(app.settings.seed)
        for one in planted_members(snapshot(app.world), app.settings.seed):
            app.gateway.mutations.run(list(one.operations))
        for name in REACH:
            app.world.modes.set(name, rng.choice(CHOICES[name]))
        dump, store = Dump(snapshot(app.world)), app.world.quickbi
        for user in store.users:
            for works_id in (*store.portals, *store.works):
                said = call(app, "quickbi", "CheckReadable", UserId=user, WorksId=works_id)
                ways = effective(dump, "quickbi_shares", user, Resource("work", works_id), "")
                assert said == bool(ways), (app.settings.seed, user, works_id, ways)
                compared += 1
    assert compared > 500


def test_oracle_and_emulator_agree_on_members_roles_and_accounts() -> None:
    """The lists of one user and of one container against the oracle's direct ways."""
    compared = 0
    for app in organizations(4, first=400):
        for one in planted_members(snapshot(app.world), app.settings.seed):
            app.gateway.mutations.run(list(one.operations))
        dump, store = Dump(snapshot(app.world)), app.world.quickbi

        def direct(system: str, who: str, ident: str, role: str = "", dump: Dump = dump) -> bool:
            return "direct" in {path.kind for path in effective(dump, system, who, Resource("", ident), role)}

        for user in store.users:
            groups = {row["UsergroupId"] for row in call(app, "quickbi", "ListUserGroupsByUserId", UserId=user)}
            spaces = {row["WorkspaceId"]
                      for row in call(app, "quickbi", "ListWorkspaceUserRolesByUserId", UserId=user)}  # fmt: skip
            roles = call(app, "quickbi", "QueryUserInfoByUserId", UserId=user)["RoleIdList"]
            assert groups == {one for one in store.groups if direct("quickbi_group_members", user, one)}
            assert spaces == {one for one in store.workspaces if direct("quickbi_workspace_members", user, one)}
            assert set(roles) == {one for one in (111111111, 111111112, 111111113, 300200100)
                                  if direct("quickbi_organization_roles", user, "", str(one))}  # fmt: skip
            compared += 1
        for user in app.world.dms.users:
            row = call(app, "dms", "GetUser", UserId=user)["User"]
            assert direct("dms_accounts", user, "") == (row["State"] == "NORMAL")
            assert all(direct("dms_system_roles", user, "", role) for role in row["RoleNameList"]["RoleNames"])
        for project in app.world.projects:
            page = call(app, "wedata", "ListProjectMembers", ProjectId=project, PageNumber=1, PageSize=200)["Data"]
            for row in page["Items"]:
                for role in row["Roles"]:
                    assert direct("wedata_project_roles", row["UserUin"], project, role["RoleId"])
                ways = effective(dump, "wedata_project_roles", row["UserUin"], Resource("project", project), "")
                assert ways, row
                compared += 1
    assert compared > 100


@pytest.mark.parametrize(
    ("operation", "losers"),
    [
        ({"op": "group_member"}, 1),
        ({"op": "dms_user_state", "state": "DISABLE"}, 1),
        ({"op": "share", "receiver_type": 2}, 2),
        ({"op": "nothing"}, 0),
    ],
)
def test_who_lost_something(operation: dict[str, Any], losers: int) -> None:
    """One person, everybody who had a thing by the organization alone, or nobody; planned losses are not named."""
    app = organization(5)
    world = snapshot(app.world)
    above = {row["parent"] for row in world["quickbi_groups"]}
    leaves = {row["user_id"]: row["group_id"] for row in world["quickbi_group_members"] if row["group_id"] not in above}
    enabled = {row["user_id"] for row in world["dms_accounts"]}
    person = next(one for one in world["people"] if one["status"] == "active" and one["dms_user_id"] in enabled
                  and one["quickbi_user_id"] in leaves)  # fmt: skip
    work, group = world["quickbi_works"][0]["works_id"], leaves[person["quickbi_user_id"]]
    everybody = {"op": "share", "works_id": work, "receiver_type": 2, "receiver_id": world["organization_id"]}
    app.gateway.mutations.run([everybody])
    before = snapshot(app.world)
    ids = {"user_id": person["dms_user_id" if operation["op"].startswith("dms") else "quickbi_user_id"]}
    if operation["op"] != "nothing":
        app.gateway.mutations.run([{**ids, "group_id": group, **everybody, **operation, "remove": True}])
    found = lost(before, snapshot(app.world))
    assert len({line.partition(" ")[0] for line in found}) >= losers and bool(found) is bool(losers)
    everyone = [one["person_id"] for one in world["people"]]
    assert lost(before, snapshot(app.world), everyone) == []
    if losers == 1:
        assert lost(before, snapshot(app.world), [person["person_id"]]) == []


def test_a_removal_that_widens_is_seen() -> None:
    """A Deny policy is detached: the user gains what it took away, and nobody loses anything."""
    app = organization(5)
    world = snapshot(app.world)
    user = next(one for one in world["people"] if one["status"] == "active" and one["dms_user_id"])["dms_user_id"]
    database = next(row for row in world["dms_databases"] if not row["logic"])
    place = {"instance_id": database["instance_id"], "db_id": database["db_id"], "perm_type": "EXPORT"}
    member = {"op": "dms_policy_member", "user_id": user}
    given = {"op": "grant", "system": "dms_permissions", "user_id": user, "ds_type": "DATABASE", **place}
    denied = {"op": "dms_policy", "policy_id": 9100, "effect": "Deny", **place}
    app.gateway.mutations.run([{"op": "dms_roles", "user_id": user, "roles": ["USER"]}, given, denied])
    allowed = snapshot(app.world)
    app.gateway.mutations.run([{**member, "policy_id": 9100}])
    before = snapshot(app.world)
    assert [line.partition(" lost ")[2] for line in lost(allowed, before)] != []
    app.gateway.mutations.run([{**member, "policy_id": 9100, "remove": True}])
    assert [line.partition(" gained ")[2] for line in gained(before, snapshot(app.world))] == [
        f"dms_permissions EXPORT on database {database['db_id']}"
    ]
    assert lost(before, snapshot(app.world)) == gained(allowed, before) == []


@pytest.mark.parametrize(
    ("miss_hit", "operation", "expected"),
    [
        ("ALL", {"op": "dataset_rule_user", "remove": True}, {"ROW_LEVEL"}),
        ("NONE", {"op": "dataset_rule_user", "remove": True}, set()),
        ("ALL", {"op": "dataset_rule", "remove": True}, {"ROW_LEVEL"}),
        ("NONE", {"op": "dataset_level", "open": False}, {"ROW_LEVEL"}),
        ("NONE", {"op": "dataset_whitelist"}, {"ROW_LEVEL"}),
    ],
)
def test_what_removing_a_rule_widens(miss_hit: str, operation: dict[str, Any], expected: set[str]) -> None:
    """Who was restricted by one rule sees everything when it goes and nobody who is hit by none is kept out."""
    app = organization(5, plant=False)
    world = snapshot(app.world)
    groups = {row["user_id"] for row in world["quickbi_group_members"]}
    person = next(one for one in world["people"] if one["status"] == "active" and one["quickbi_user_id"] not in groups)
    user, dataset = person["quickbi_user_id"], world["quickbi_datasets"][0]["dataset_id"]
    place = {"dataset_id": dataset, "rule_type": "ROW_LEVEL", "rule_id": "r", "receiver_type": 0, "receiver_id": user}
    entries = [row for row in world["quickbi_dataset_whitelists"] if row["receiver_id"] == user]
    app.gateway.mutations.run([
        {"op": "dataset_level", **place, "miss_hit": miss_hit}, {"op": "dataset_rule", **place},
        {"op": "dataset_rule_user", **place}, *({"op": "dataset_whitelist", **row, "remove": True} for row in entries),
    ])  # fmt: skip

    def sees(right: str) -> bool:
        where = Resource("dataset", dataset)
        return bool(effective(snapshot(app.world), "quickbi_dataset_whitelists", user, where, right))

    assert not sees("ROW_LEVEL") and sees("ROW_LEVEL/r")
    before = snapshot(app.world)
    app.gateway.mutations.run([{**place, **operation}])
    mine = [line for line in gained(before, snapshot(app.world)) if line.startswith(f"{person['person_id']} ")]
    assert {line.split()[3] for line in mine if "/" not in line} == expected
    assert sees("ROW_LEVEL") is bool(expected)
