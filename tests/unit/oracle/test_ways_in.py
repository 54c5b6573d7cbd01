"""The oracle's ways in: for each kind a world in which only that way exists, and the same world without it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.oracle import Path, Resource, effective

World = dict[str, Any]
TODAY, NOW, LATER = "2026-01-10 00:00:00", 1_768_003_200_000, 1_768_003_200_001
USER, ORGANIZATION, PORTAL, SPACE, GROUP, OUTER = "u1", "org", "p1", "w1", "g1", "g0"
MENU, OTHER = Resource("menu", "m1", PORTAL), "m2"


def blank(**more: Any) -> World:
    """A world with one enabled person who reaches nothing."""
    return {
        "today": TODAY, "now_ms": NOW, "modes": {}, "organization_id": ORGANIZATION,
        "people": [{"wedata_user_id": "7001", "wedata_uin": "1001"}],
        "quickbi_users": [{"user_id": USER, "deleted": False, "role_ids": [111111113]}],
        "quickbi_portals": [{"portal_id": PORTAL, "workspace_id": SPACE, "owner": "somebody"}],
        "quickbi_workspaces": [{"workspace_id": SPACE, "owner": "somebody", "creator": "somebody"}],
        "quickbi_groups": [{"group_id": GROUP, "parent": OUTER}, {"group_id": OUTER, "parent": "-1"}],
        "dms_users": [{"user_id": "5", "uid": "26", "state": "NORMAL", "roles": ["USER"]}],
        "dms_instances": [{"instance_id": "1", "mode": "COMMON", "dba": "9"}],
        "dms_databases": [{"db_id": "2", "instance_id": "1", "logic": False, "parts": []},
                          {"db_id": "4", "instance_id": "1", "logic": True, "parts": ["2"]}],
        "dms_tables": [{"table_id": "3", "table_name": "t", "db_id": "2"},
                       {"table_id": "6", "table_name": "lt", "db_id": "4"}],
        "dms_roles": [{"role_id": "60", "name": "reader"}],
        "wedata_projects": [{"project_id": "P", "owner_uin": "1009", "creator_uin": "1009"}],
        **more,
    }  # fmt: skip


def menu_row(kind: int, receiver: str, menu: str = MENU.id) -> dict[str, Any]:
    return {"portal_id": PORTAL, "menu_id": menu, "receiver_type": kind, "receiver_id": receiver, "auth_points": 1}


def member(space: str = SPACE, role: int = 30) -> dict[str, Any]:
    return {"quickbi_workspace_members": [{"workspace_id": space, "user_id": USER, "role_id": role}]}


def in_group() -> dict[str, Any]:
    return {"quickbi_group_members": [{"group_id": GROUP, "parent": OUTER, "user_id": USER}]}


def role_of(role: int) -> dict[str, Any]:
    return {"quickbi_users": [{"user_id": USER, "deleted": False, "role_ids": [111111113, role]}]}


def shared(kind: int, receiver: str, expires: int = LATER) -> dict[str, Any]:
    return {"quickbi_shares": [{"works_id": PORTAL, "receiver_type": kind, "receiver_id": receiver,
                                "expires": expires}]}  # fmt: skip


def white(kind: int, receiver: str) -> dict[str, Any]:
    return {"quickbi_white_lists": [{"portal_id": PORTAL, "receiver_type": kind, "receiver_id": receiver}]}


OPEN = {"quickbi_open_menus": [{"portal_id": PORTAL, "menu_id": MENU.id}]}
MENU_WAYS: dict[str, tuple[World, Path]] = {
    "direct": ({"quickbi_menus": [menu_row(0, USER)]}, Path("direct")),
    "group": ({"quickbi_menus": [menu_row(1, GROUP)], **in_group()}, Path("group", GROUP)),
    "group_nested": ({"quickbi_menus": [menu_row(1, OUTER)], **in_group()}, Path("group_nested", OUTER)),
    "organization": ({"quickbi_menus": [menu_row(2, ORGANIZATION)]}, Path("organization", ORGANIZATION)),
    "workspace": ({"quickbi_menus": [menu_row(3, "w2")], **member("w2")}, Path("workspace", "w2")),
    "white_list": (white(0, USER), Path("white_list", "direct")),
    "white_list of a group": ({**white(1, OUTER), **in_group()}, Path("white_list", "group_nested")),
    "white_list of a workspace": ({**white(3, "w2"), **member("w2")}, Path("white_list", "workspace")),
    "white_list of all": (white(2, ORGANIZATION), Path("white_list", "organization")),
    "share": (shared(0, USER), Path("share", "direct")),
    "share to a group": ({**shared(1, GROUP), **in_group()}, Path("share", "group")),
    "share to all": (shared(2, ORGANIZATION), Path("share", "organization")),
    "portal_owner": (
        {"quickbi_portals": [{"portal_id": PORTAL, "workspace_id": SPACE, "owner": USER}]}, Path("portal_owner")),
    "workspace_owner": (
        {"quickbi_workspaces": [{"workspace_id": SPACE, "owner": USER, "creator": "x"}]},
        Path("workspace_owner", SPACE)),
    "workspace_admin": (member(role=25), Path("workspace_admin", SPACE)),
    "workspace_developer": (member(role=26), Path("workspace_developer", SPACE)),
    "organization_admin": (role_of(111111111), Path("organization_admin")),
    "permission_admin": (role_of(111111112), Path("permission_admin")),
    "open_menu": ({**OPEN, **member()}, Path("open_menu", "workspace_member")),
    "open_menu by another": ({**OPEN, "quickbi_menus": [menu_row(0, USER, OTHER)]}, Path("open_menu", "menu m2")),
}  # fmt: skip


@pytest.mark.parametrize("name", MENU_WAYS)
def test_each_way_to_a_menu_alone(name: str) -> None:
    more, path = MENU_WAYS[name]
    assert effective(blank(), "quickbi_menus", USER, MENU, "view") == []
    assert effective(blank(**more), "quickbi_menus", USER, MENU, "view") == [path]
    assert effective(blank(**more), "quickbi_menus", "stranger", MENU, "view") == []


@pytest.mark.parametrize("name", MENU_WAYS)
def test_a_deactivated_user_sees_nothing_unless_the_mode_says_so(name: str) -> None:
    more, path = MENU_WAYS[name]
    world = blank(**more)
    world["quickbi_users"] = [{**row, "deleted": True} for row in world["quickbi_users"]]
    assert effective(world, "quickbi_menus", USER, MENU, "view") == []
    world["modes"] = {"quickbi_deactivated": "answered"}
    assert effective(world, "quickbi_menus", USER, MENU, "view") == [path]


@pytest.mark.parametrize(("name", "mode", "value"), [
    ("group_nested", "quickbi_subgroups", "not_covered"),
    ("white_list", "quickbi_white_list", "workspaces"),
    ("white_list", "quickbi_white_list", "opens"),
    ("share", "quickbi_share_reach", "opens"),
    ("portal_owner", "quickbi_owner_reach", "opens"),
    ("workspace_owner", "quickbi_role_reach", "opens"),
    ("workspace_admin", "quickbi_role_reach", "opens"),
    ("workspace_developer", "quickbi_role_reach", "opens"),
    ("organization_admin", "quickbi_admin_reach", "none"),
    ("permission_admin", "quickbi_admin_reach", "organization_admin"),
])  # fmt: skip
def test_a_mode_closes_a_way_to_a_menu(name: str, mode: str, value: str) -> None:
    world = blank(**MENU_WAYS[name][0], modes={mode: value})
    assert effective(world, "quickbi_menus", USER, MENU, "view") == []
    opens = value == "opens" and {**world, **OPEN}
    if opens:
        assert [path.kind for path in effective(opens, "quickbi_menus", USER, MENU, "view")] == ["open_menu"]


def test_what_is_no_way_to_a_menu() -> None:
    """A share that has run out, an open menu of a portal that does not open, a viewer, another portal's owner."""
    for more in (shared(0, USER, NOW), OPEN, member(role=30), white(0, "somebody"), role_of(27)):
        assert effective(blank(**more), "quickbi_menus", USER, MENU, "view") == []


# --- DMS ----------------------------------------------------------------------------------------------

INSTANCE, DATABASE, TABLE = Resource("instance", "1"), Resource("database", "2"), Resource("table", "3")
LOGIC_DATABASE, LOGIC_TABLE = Resource("logic_database", "4"), Resource("logic_table", "6")


def record(ds_type: str, perm: str = "QUERY", expires: str = TODAY) -> dict[str, Any]:
    ids = {"INSTANCE": ("1", "", ""), "DATABASE": ("1", "2", ""), "LOGIC_DATABASE": ("1", "4", ""),
           "TABLE": ("1", "2", "3"), "LOGIC_TABLE": ("1", "4", "6")}[ds_type]  # fmt: skip
    row = {"user_access_id": "77", "user_id": "5", "ds_type": ds_type, "perm_type": perm, "expire_date": expires,
           "instance_id": ids[0], "db_id": ids[1], "table_id": ids[2]}  # fmt: skip
    return {"dms_permissions": [row]}


def owner(kind: str, ident: str) -> dict[str, Any]:
    return {"dms_owners": [{"owner_type": kind, "resource_id": ident, "user_id": "5"}]}


def policy(instance: str, database: str, **more: Any) -> dict[str, Any]:
    row = {"policy_id": "90", "name": "all", "perm_type": "QUERY", "instance_id": instance, "db_id": database}
    return {"dms_policies": [row], **more}


def with_roles(*roles: str) -> dict[str, Any]:
    return {"dms_users": [{"user_id": "5", "uid": "26", "state": "NORMAL", "roles": list(roles)}]}


HELD = {"dms_policy_members": [{"policy_id": "90", "user_id": "5"}]}
BY_ROLE = {"dms_policy_roles": [{"policy_id": "90", "role_id": "60"}], **with_roles("USER", "reader")}
PROXY = {"dms_proxies": [{"proxy_id": "8", "instance_id": "1"}],
         "dms_proxy_accesses": [{"proxy_access_id": "88", "proxy_id": "8", "user_id": "5"}]}  # fmt: skip
DBA = {"dms_instances": [{"instance_id": "1", "mode": "COMMON", "dba": "5"}]}
DMS_WAYS: dict[str, tuple[Resource, World, Path]] = {
    **{f"direct on {where.kind}": (where, record(where.kind.upper()), Path("direct", "77"))
       for where in (INSTANCE, DATABASE, TABLE, LOGIC_DATABASE, LOGIC_TABLE)},
    "database above": (TABLE, record("DATABASE"), Path("record_above", "database 2")),
    "instance above": (TABLE, record("INSTANCE"), Path("record_above", "instance 1")),
    "logic database above": (LOGIC_TABLE, record("LOGIC_DATABASE"), Path("record_above", "logic_database 4")),
    "owner of the table": (TABLE, owner("TABLE", "3"), Path("owner", "table 3")),
    "owner of the logic table": (LOGIC_TABLE, owner("LOGIC_TABLE", "6"), Path("owner", "logic_table 6")),
    "owner of the database": (TABLE, owner("DATABASE", "2"), Path("owner", "database 2")),
    "owner of the logic database": (LOGIC_TABLE, owner("LOGIC_DATABASE", "4"), Path("owner", "logic_database 4")),
    "owner of the instance": (DATABASE, owner("INSTANCE", "1"), Path("owner", "instance 1")),
    "DBA": (TABLE, DBA, Path("dba", "instance 1")),
    "proxy": (TABLE, PROXY, Path("proxy", "88")),
    "policy": (TABLE, policy("1", "2", **HELD), Path("policy", "all")),
    "policy on the instance": (DATABASE, policy("1", "", **HELD), Path("policy", "all")),
    "policy by role": (DATABASE, policy("1", "2", **BY_ROLE), Path("policy_role", "all")),
    "administrator": (LOGIC_TABLE, with_roles("ADMIN"), Path("role", "ADMIN")),
    "tenant DBA": (INSTANCE, with_roles("USER", "DBA"), Path("role", "DBA")),
}  # fmt: skip


@pytest.mark.parametrize("name", DMS_WAYS)
def test_each_way_to_a_dms_object_alone(name: str) -> None:
    where, more, path = DMS_WAYS[name]
    assert effective(blank(), "dms_permissions", "5", where, "QUERY") == []
    assert effective(blank(**more), "dms_permissions", "5", where, "QUERY") == [path]
    assert effective(blank(**more), "dms_permissions", "404", where, "QUERY") == []
    stopped = blank(**more)
    stopped["dms_users"] = [{**row, "state": "DISABLE"} for row in stopped["dms_users"]]
    assert effective(stopped, "dms_permissions", "5", where, "QUERY") == []


@pytest.mark.parametrize(("name", "mode", "value"), [
    ("owner of the instance", "dms_owner_reach", "own_object"),
    ("owner of the database", "dms_owner_reach", "own_object"),
    ("DBA", "dms_owner_reach", "own_object"),
    ("proxy", "dms_proxy_reach", "records"),
    ("administrator", "dms_role_reach", "none"),
    ("tenant DBA", "dms_role_reach", "admin"),
])  # fmt: skip
def test_a_mode_closes_a_way_to_a_dms_object(name: str, mode: str, value: str) -> None:
    where, more, _ = DMS_WAYS[name]
    assert effective(blank(**more, modes={mode: value}), "dms_permissions", "5", where, "QUERY") == []


def test_what_is_no_way_to_a_dms_object() -> None:
    """Records that have run out or give something else, objects beside and below, roles without a reach."""
    for more in (
        record("DATABASE", expires="2026-01-09 23:59:59"), record("DATABASE", "EXPORT"), record("TABLE"),
        record("LOGIC_DATABASE"), owner("TABLE", "3"), policy("1", "7", **HELD),
        policy("1", "2", dms_policy_roles=[{"policy_id": "90", "role_id": "60"}]),
        with_roles("SECURITY_ADMIN", "STRUCT_READ_ONLY"),
    ):  # fmt: skip
        assert effective(blank(**more), "dms_permissions", "5", DATABASE, "QUERY") == []
    # LOGIN on the instance says nothing about data, and nothing below an instance logs in.
    assert effective(blank(**record("INSTANCE", "LOGIN")), "dms_permissions", "5", DATABASE, "QUERY") == []
    wide = blank(**with_roles("SECURITY_ADMIN"), modes={"dms_role_reach": "all"})
    assert effective(wide, "dms_permissions", "5", DATABASE, "QUERY") == [Path("role", "SECURITY_ADMIN")]


# --- WeData -------------------------------------------------------------------------------------------

AT = Resource("table", "c.s.t")


def privilege(kind: str, value: str, name: str = "SELECT_TABLE", where: Resource = AT) -> dict[str, Any]:
    return {"wedata_privileges": [{"resource_type": where.kind.title(), "resource_uri": where.id, "subject_type": kind,
                                   "subject_value": value, "privilege": name}]}  # fmt: skip


def in_project(*roles: str) -> dict[str, Any]:
    return {"wedata_project_members": [{"project_id": "P", "user_uin": "1001", "role_ids": list(roles)}]}


def head(column: str) -> dict[str, Any]:
    return {"wedata_projects": [{"project_id": "P", "owner_uin": "1009", "creator_uin": "1009", column: "1001"}]}


ADMINISTRATOR = "308335260274237440"
HOLDERS = {"wedata_tenant_role_holders": [{"role_id": "36", "user_uin": "1001"}]}
PRIVILEGE_WAYS: dict[str, tuple[World, str]] = {
    "direct": (privilege("User", "7001"), "direct"),
    "schema": (privilege("User", "7001", where=Resource("schema", "c.s")), "inherited"),
    "catalog": (privilege("User", "7001", where=Resource("catalog", "c")), "inherited"),
    "metalake": (privilege("User", "7001", where=Resource("metalake", "default")), "inherited"),
    "broader": (privilege("User", "7001", "ALL_PRIVILEGES"), "broader"),
    "project": ({**privilege("Project", "P"), **in_project("r")}, "project"),
    "role": ({**privilege("Role", "P.r"), **in_project("r")}, "role"),
    "role of the owner": ({**privilege("Role", f"P.{ADMINISTRATOR}"), **head("owner_uin")}, "role"),
    "role of the creator": ({**privilege("Role", f"P.{ADMINISTRATOR}"), **head("creator_uin")}, "role"),
    "everyone": (privilege("GlobalRole", "AllAccountUsers"), "everyone"),
    "platform role": ({**privilege("GlobalRole", "36"), **HOLDERS}, "platform_role"),
}


@pytest.mark.parametrize("name", PRIVILEGE_WAYS)
def test_each_way_to_a_privilege_alone(name: str) -> None:
    more, kind = PRIVILEGE_WAYS[name]
    assert effective(blank(), "wedata_privileges", "7001", AT, "SELECT_TABLE") == []
    assert [path.kind for path in effective(blank(**more), "wedata_privileges", "7001", AT, "SELECT_TABLE")] == [kind]
    found = effective(blank(**more), "wedata_privileges", "7404", AT, "SELECT_TABLE")
    assert [path.kind for path in found] == (["everyone"] if kind == "everyone" else [])


def test_what_is_no_way_to_a_privilege() -> None:
    """Another privilege, a neighbor, another project's role, what stays above, what a mode takes away."""

    def ways(name: str = "SELECT_TABLE", **more: Any) -> list[Path]:
        return effective(blank(**more), "wedata_privileges", "7001", AT, name)

    assert ways(**privilege("User", "7001", "MODIFY_TABLE")) == []
    assert ways(**privilege("User", "7001", where=Resource("table", "c.s.t2"))) == []
    assert ways(**privilege("User", "7001", where=Resource("schema", "c"))) == []
    assert ways(**privilege("Role", "P.other"), **in_project("r")) == []
    assert ways("USE_SCHEMA", **privilege("User", "7001", "USE_SCHEMA", Resource("schema", "c.s"))) == []
    assert ways(**privilege("Project", "P"), **in_project("r"), modes={"wedata_project_reach": "none"}) == []
    none = {"wedata_owner_role": "none"}
    assert ways(**privilege("Role", f"P.{ADMINISTRATOR}"), **head("owner_uin"), modes=none) == []


def entry(kind: str, user: str = "", project: str = "P") -> dict[str, Any]:
    return {"wedata_data_sources": [{"data_source_id": "65", "kind": kind, "project_id": project, "user_id": user}]}


def source(mode: str, creator: str = "1009") -> dict[str, Any]:
    return {"wedata_data_source_sharing": [{"data_source_id": "65", "project_id": "P", "share_mode": mode,
                                            "creator_uin": creator}]}  # fmt: skip


SOURCE_WAYS: dict[str, tuple[World, Path]] = {
    "direct": (entry("user", "7001"), Path("direct")),
    "entry of another project": (entry("user", "7001", "Q"), Path("other_entry", "Q")),
    "project": ({**entry("project"), **in_project("r")}, Path("project", "P")),
    "creating project": ({**source("project"), **in_project("r")}, Path("creating_project", "P")),
    "creator": (source("owner", "1001"), Path("creator")),
    "administrator": ({**source("owner"), **in_project(ADMINISTRATOR)}, Path("administrator", "P")),
    "owner of the creating project": ({**source("owner"), **head("owner_uin")}, Path("administrator", "P")),
}


@pytest.mark.parametrize("name", SOURCE_WAYS)
def test_each_way_to_a_data_source_alone(name: str) -> None:
    more, path = SOURCE_WAYS[name]
    where = Resource("data_source", "65", "P")
    assert effective(blank(), "wedata_data_sources", "7001", where, "use") == []
    assert effective(blank(**more), "wedata_data_sources", "7001", where, "use") == [path]
    assert effective(blank(**more), "wedata_data_sources", "7404", where, "use") == []


def test_what_is_no_way_to_a_data_source() -> None:
    """An ordinary member where owner and administrators share, another source, an unknown system."""
    where = Resource("data_source", "65", "P")
    assert effective(blank(**source("owner"), **in_project("r")), "wedata_data_sources", "7001", where, "use") == []
    other = Resource("data_source", "66", "P")
    assert effective(blank(**entry("user", "7001")), "wedata_data_sources", "7001", other, "use") == []
    with pytest.raises(ValueError, match="unknown system"):
        effective(blank(), "fifth", "7001", where, "use")
