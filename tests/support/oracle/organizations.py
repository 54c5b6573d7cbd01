"""Random small organizations in which every way in is there, by seed: for the oracle, and for whole reviews.

In this process::

    app = organization(7)                       # an emulator without sockets
    for app in organizations(200): ...          # seeds 1 to 200, some 30 ms each

For an emulator that runs elsewhere, ``planted(world, seed)`` gives the operations for ``POST /_control/mutate``.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any

from emulator.app import App, Settings
from emulator.build.sizes import TINY, Sizes
from emulator.clock import ManualClock
from emulator.snapshot import snapshot
from tests.support.oracle.ways import Resource

SMALL = replace(TINY, people=12, leavers=4, dms_users=14, dms_leavers=4)
Operation = dict[str, Any]
_ADMINISTRATOR, _ORDINARY, _OPERATIONS = "308335260274237440", "308335260945326080", "308335260844662784"
_NO_LIMITS = {"wedata": 0.0, "dms": 0.0, "quickbi": 0.0, "tencent-sts": 0.0, "alibaba-sts": 0.0}


@dataclass(frozen=True)
class Planted:
    """One person with a record of its own and, beside it, one way in that stays when the record goes.

    :param kind: the oracle's name of the way.
    :param person: a row of ``people``.
    :param operations: for ``POST /_control/mutate``: first the record, then the way.
    """

    system: str
    kind: str
    person: Mapping[str, Any]
    operations: tuple[Operation, ...]


def organizations(
    count: int, first: int = 1, sizes: Sizes = SMALL, modes: Mapping[str, str] | None = None
) -> Iterator[App]:
    """Organizations of ``count`` seeds in a row."""
    for seed in range(first, first + count):
        yield organization(seed, sizes, modes)


def organization(
    seed: int,
    sizes: Sizes = SMALL,
    modes: Mapping[str, str] | None = None,
    *,
    plant: bool = True,
    clock: ManualClock | None = None,
) -> App:
    """One organization: sizes that differ a little by seed, and every way in for somebody who still works there.

    :param plant: False leaves the ways out, for :func:`planted` to add.
    :param clock: the clouds' clock; the machine's by default.
    """
    rng = random.Random(f"{seed}/sizes")
    varied = replace(
        sizes, people=sizes.people + rng.randrange(4), groups=sizes.groups + rng.randrange(3),
        portals=sizes.portals + rng.randrange(2), workspaces=sizes.workspaces + rng.randrange(2),
        projects=sizes.projects + rng.randrange(2), instances=sizes.instances + rng.randrange(2),
    )  # fmt: skip
    app = App(Settings(seed=seed, sizes=varied, limits=dict(_NO_LIMITS), modes=dict(modes or {})), clock)
    for one in planted(snapshot(app.world), seed) if plant else ():
        app.gateway.mutations.run(list(one.operations), "the generator")
    app.world.journal.clear()
    return app


def planted(world: Mapping[str, Any], seed: int) -> list[Planted]:
    """Every way in once, each for a person drawn by seed.

    Persons work there, are protected by nothing and are registered in every system. Each gets one way in a system
    before anyone gets a second one.
    """
    return drawn(Draw(world, random.Random(f"{seed}/ways")), _PLANTS)


def drawn(draw: Draw, plants: Iterable[tuple[str, str, Plant]]) -> list[Planted]:
    """Ways of a list, each for a person."""
    made, plants = [], list(plants)
    turns = {system: cycle(draw.people()) for system in dict.fromkeys(plant[0] for plant in plants)}
    for system, kind, plant in plants:
        person = next(turns[system])
        made.append(Planted(system, kind, person, tuple(plant(draw, person))))
    return made


def place(one: Planted) -> tuple[Resource, str]:
    """What the person's own record is on, and with which entitlement."""
    row = one.operations[0]
    if one.system == "quickbi_menus":
        return Resource("menu", row["menu_id"], row["portal_id"]), "view"
    if one.system == "dms_permissions":
        ident = row.get("table_id") or row["db_id"]
        return Resource(row["ds_type"].lower(), ident), row["perm_type"]
    if one.system == "wedata_privileges":
        return Resource(row["resource_type"].lower(), row["resource_uri"]), row["privilege"]
    return Resource("data_source", row["data_source_id"], row["project_id"]), "use"


class Draw:
    """Draws objects of a dump."""

    def __init__(self, world: Mapping[str, Any], rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self._people = [
            person for person in world["people"]
            if person["status"] == "active" and person["kind"] == "human" and not person["protected"]
            and person["dms_user_id"]
        ]  # fmt: skip

    def people(self) -> list[Any]:
        """The persons in random order."""
        return self.rng.sample(self._people, len(self._people))

    def one(self, name: str, fits: Callable[[Any], bool] = bool) -> Any:
        """A row of a kind that fits.

        :raises LookupError: when none fits.
        """
        rows = [row for row in self.world[name] if fits(row)]
        if not rows:
            raise LookupError(f"the organization has no {name} that fits")
        return self.rng.choice(rows)


Plant = Callable[[Draw, Any], list[Operation]]
_PLANTS: list[tuple[str, str, Plant]] = []


def _plant(system: str, *kinds: str) -> Callable[[Callable[[Draw, Any, str], list[Operation]]], Any]:
    def register(make: Callable[[Draw, Any, str], list[Operation]]) -> Any:
        for kind in kinds:
            _PLANTS.append((system, kind, lambda draw, person, kind=kind: make(draw, person, kind)))  # type: ignore[misc]
        return make

    return register


def _menu(draw: Draw, person: Any) -> tuple[Any, Operation]:
    """A menu with a record of the person."""
    menu = draw.one("quickbi_leaf_menus")
    return menu, _authorize(menu, 0, person["quickbi_user_id"])


def _authorize(menu: Any, kind: int, receiver: str) -> Operation:
    return {"op": "grant", "system": "quickbi_menus", "portal_id": menu["portal_id"], "menu_id": menu["menu_id"],
            "receiver_type": kind, "receiver_id": receiver, "auth_points": 3}  # fmt: skip


def _portal(draw: Draw, menu: Any) -> Any:
    return draw.one("quickbi_portals", lambda row: row["portal_id"] == menu["portal_id"])


@_plant("quickbi_menus", "direct", "group", "organization", "workspace")
def _receivers(draw: Draw, person: Any, kind: str) -> list[Operation]:
    menu, own = _menu(draw, person)
    user = person["quickbi_user_id"]
    if kind == "direct":
        return [own]
    if kind == "organization":
        return [own, _authorize(menu, 2, draw.world["organization_id"])]
    if kind == "group":
        group = draw.one("quickbi_groups")["group_id"]
        return [own, _authorize(menu, 1, group), {"op": "group_member", "group_id": group, "user_id": user}]
    space = draw.one("quickbi_workspaces")["workspace_id"]
    return [own, _authorize(menu, 3, space), {"op": "workspace_member", "workspace_id": space, "user_id": user}]


@_plant("quickbi_menus", "group_nested")
def _nested(draw: Draw, person: Any, kind: str) -> list[Operation]:
    menu, own = _menu(draw, person)
    inner = draw.one("quickbi_groups", lambda row: row["parent"] != "-1")
    member = {"op": "group_member", "group_id": inner["group_id"], "user_id": person["quickbi_user_id"]}
    # Not in the group above itself, which would be a shorter way.
    return [own, _authorize(menu, 1, inner["parent"]), {**member, "group_id": inner["parent"], "remove": True}, member]


@_plant("quickbi_menus", "white_list", "share", "portal_owner", "open_menu")
def _portal_ways(draw: Draw, person: Any, kind: str) -> list[Operation]:
    menu, own = _menu(draw, person)
    user, portal = person["quickbi_user_id"], menu["portal_id"]
    receiver = {"receiver_type": 0, "receiver_id": user}
    way: dict[str, Operation] = {
        "white_list": {"op": "white_list", "portal_id": portal, **receiver},
        "share": {"op": "share", "works_id": portal, **receiver},
        "portal_owner": {"op": "portal_owner", "portal_id": portal, "user_id": user},
        "open_menu": {"op": "menu_visibility", **menu, "show_only_with_access": False},
    }
    if kind != "open_menu":
        return [own, way[kind]]
    other = draw.one("quickbi_leaf_menus", lambda row: row["portal_id"] == portal and row != menu)
    return [own, way[kind], _authorize(other, 0, user)]


@_plant("quickbi_menus", "workspace_owner", "workspace_admin", "workspace_developer")
def _workspace_ways(draw: Draw, person: Any, kind: str) -> list[Operation]:
    menu, own = _menu(draw, person)
    user, space = person["quickbi_user_id"], _portal(draw, menu)["workspace_id"]
    if kind == "workspace_owner":
        return [own, {"op": "workspace_owner", "workspace_id": space, "user_id": user}]
    role = 25 if kind == "workspace_admin" else 26
    joined = {"op": "workspace_member", "workspace_id": space, "user_id": user, "role_id": role}
    return [own, joined, {**joined, "op": "workspace_role"}]


@_plant("quickbi_menus", "organization_admin", "permission_admin")
def _organization_roles(draw: Draw, person: Any, kind: str) -> list[Operation]:
    roles = [111111113, 111111111 if kind == "organization_admin" else 111111112]
    return [_menu(draw, person)[1], {"op": "quickbi_roles", "user_id": person["quickbi_user_id"], "role_ids": roles}]


def _record(person: Any, database: Any, perm: str = "QUERY", **more: Any) -> Operation:
    logic = database["logic"]
    return {"op": "grant", "system": "dms_permissions", "user_id": person["dms_user_id"], "perm_type": perm,
            "ds_type": "LOGIC_DATABASE" if logic else "DATABASE", "instance_id": database["instance_id"],
            "db_id": database["db_id"], "logic": logic, **more}  # fmt: skip


def _table_record(draw: Draw, person: Any, *, logic: bool) -> tuple[Any, Operation]:
    databases = {row["db_id"]: row for row in draw.world["dms_databases"] if row["logic"] == logic}
    table = draw.one("dms_tables", lambda row: row["db_id"] in databases)
    prefix = "LOGIC_" if logic else ""
    place = {"table_id": table["table_id"], "table_name": table["table_name"], "ds_type": f"{prefix}TABLE"}
    return table, _record(person, databases[table["db_id"]], **place)


@_plant("dms_permissions", "owner_table", "owner_logic_table")
def _table_owners(draw: Draw, person: Any, kind: str) -> list[Operation]:
    table, own = _table_record(draw, person, logic=kind == "owner_logic_table")
    return [own, _owner(person, kind.removeprefix("owner_"), table["table_id"])]


def _owner(person: Any, kind: str, ident: str) -> Operation:
    return {"op": "dms_owner", "owner_type": kind.upper(), "resource_id": ident, "user_id": person["dms_user_id"]}


@_plant("dms_permissions", "owner_database", "owner_logic_database", "owner_instance", "dba", "proxy", "record_above")
def _object_ways(draw: Draw, person: Any, kind: str) -> list[Operation]:
    logic, user = kind == "owner_logic_database", person["dms_user_id"]
    database = draw.one("dms_databases", lambda row: row["logic"] == logic)
    instance = database["instance_id"]
    if kind == "proxy":
        proxy = draw.one("dms_proxies")
        database = draw.one(
            "dms_databases", lambda row: row["instance_id"] == proxy["instance_id"] and not row["logic"]
        )
        way: Operation = {"op": "proxy_access", "proxy_id": proxy["proxy_id"], "user_id": user}
    elif kind == "dba":
        way = {"op": "dms_dba", "instance_id": instance, "user_id": user}
    elif kind == "record_above":
        way = _record(person, database, ds_type="INSTANCE", db_id="")
    else:
        target = kind.removeprefix("owner_")
        way = _owner(person, target, instance if target == "instance" else database["db_id"])
    return [_record(person, database), way]


@_plant("dms_permissions", "policy", "policy_role", "role_dba", "role_admin")
def _policies_and_roles(draw: Draw, person: Any, kind: str) -> list[Operation]:
    user, policy = person["dms_user_id"], draw.one("dms_policies", lambda row: bool(row["db_id"]))
    database = draw.one("dms_databases", lambda row: row["db_id"] == policy["db_id"])
    own = _record(person, database, policy["perm_type"])
    if kind == "policy":
        return [own, {"op": "dms_policy_member", "policy_id": policy["policy_id"], "user_id": user}]
    roles = ["USER", {"role_dba": "DBA", "role_admin": "ADMIN"}.get(kind, "")]
    if kind == "policy_role":
        role = draw.one("dms_roles")
        roles[1] = role["name"]
        attached = {"op": "dms_policy_role", "policy_id": policy["policy_id"], "role_id": role["role_id"]}
        return [own, attached, {"op": "dms_roles", "user_id": user, "roles": roles}]
    return [own, {"op": "dms_roles", "user_id": user, "roles": roles}]


def _privilege(resource: Any, kind: str, value: str, name: str = "SELECT_TABLE") -> Operation:
    return {"op": "grant", "system": "wedata_privileges", "resource_type": resource["resource_type"],
            "resource_uri": resource["resource_uri"], "subject_type": kind, "subject_value": value,
            "privilege": name}  # fmt: skip


@_plant("wedata_privileges", "inherited", "broader", "everyone", "platform_role")
def _privileges(draw: Draw, person: Any, kind: str) -> list[Operation]:
    table, user = draw.one("wedata_privileges", lambda row: row["resource_type"] == "Table"), person["wedata_user_id"]
    own = _privilege(table, "User", user)
    catalog = {"resource_type": "Catalog", "resource_uri": table["resource_uri"].partition(".")[0]}
    ways = {
        "inherited": _privilege(catalog, "User", user),
        "broader": _privilege(table, "User", user, "ALL_PRIVILEGES"),
        "everyone": _privilege(table, "GlobalRole", "AllAccountUsers"),
        "platform_role": _privilege(table, "GlobalRole", "360000000000000002"),
    }
    holder = {"op": "tenant_role", "role_id": "360000000000000002", "user_uin": person["wedata_uin"]}
    return [own, ways[kind], *([holder] if kind == "platform_role" else [])]


@_plant("wedata_privileges", "project", "role", "role_owner", "role_creator")
def _projects(draw: Draw, person: Any, kind: str) -> list[Operation]:
    table = draw.one("wedata_privileges", lambda row: row["resource_type"] == "Table")
    project, uin = draw.one("wedata_projects")["project_id"], person["wedata_uin"]
    own, role = _privilege(table, "User", person["wedata_user_id"]), _OPERATIONS
    if kind in ("role_owner", "role_creator"):
        head = {"op": "project_owner", "project_id": project, "user_uin": uin, "creator": kind == "role_creator"}
        return [own, _privilege(table, "Role", f"{project}.{_ADMINISTRATOR}"), head]
    if kind == "project":
        role, subject = _ORDINARY, _privilege(table, "Project", project)
    else:
        subject = _privilege(table, "Role", f"{project}.{role}")
    return [own, subject, {"op": "project_member", "project_id": project, "user_uin": uin, "role_id": role}]


@_plant("wedata_data_sources", "other_entry", "project", "creating_project", "creator", "administrator")
def _sources(draw: Draw, person: Any, kind: str) -> list[Operation]:
    shared = {"creating_project": "project", "creator": "owner", "administrator": "owner"}.get(kind)
    source = draw.one("wedata_data_source_sharing", lambda row: shared in (None, row["share_mode"]))
    projects = [row["project_id"] for row in draw.world["wedata_projects"]]
    ident, uin = source["data_source_id"], person["wedata_uin"]

    def entry(project: str, user: str) -> Operation:
        return {"op": "grant", "system": "wedata_data_sources", "data_source_id": ident, "project_id": project,
                "user_id": user}  # fmt: skip

    own = entry(projects[0], person["wedata_user_id"])
    member = {"op": "project_member", "user_uin": uin, "role_id": _ORDINARY}
    if kind == "other_entry":
        return [own, entry(projects[1], person["wedata_user_id"])]
    if kind == "project":
        return [own, entry(projects[1], ""), {**member, "project_id": projects[1]}]
    if kind == "creator":
        return [own, {"op": "data_source_creator", "data_source_id": ident, "user_uin": uin}]
    role = _ADMINISTRATOR if kind == "administrator" else _ORDINARY
    return [own, {**member, "project_id": source["project_id"], "role_id": role}]
