"""Who has a privilege on a catalog object of WeData, may use a data source or is in a project, and through what."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.oracle.ways import Dump, Path, Resource, Row

_EVERYONE, _WHOLE = "AllAccountUsers", "ALL_PRIVILEGES"
_ADMINISTRATOR = "308335260274237440"
# Privileges that a lower object does not take from a higher one.
_STAYS_ABOVE = {
    "catalog": {"CREATE_CATALOG"},
    "schema": {"CREATE_CATALOG", "CREATE_SCHEMA", "USE_CATALOG"},
    "table": {"CREATE_CATALOG", "CREATE_SCHEMA", "CREATE_TABLE", "USE_CATALOG", "USE_SCHEMA"},
}


def privilege_paths(dump: Dump, user_id: str, resource: Resource, privilege: str) -> Iterator[Path]:
    """Ways in which a user has a privilege: on the object or above it, by itself, a project, a role, everybody."""
    uins = dump.values("people", "wedata_uin", wedata_user_id=user_id)
    for place in _places(resource):
        inherited = place != resource
        for row in dump.by("wedata_privileges", "resource_uri").get((place.id,), []):
            if str(row["resource_type"]).lower() != place.kind:
                continue
            if row["privilege"] not in (privilege, _WHOLE):
                continue
            if inherited and privilege in _STAYS_ABOVE.get(resource.kind, set()):
                continue
            kind = _holder(dump, row, user_id, uins)
            if kind:
                yield _named(kind, row, place, inherited=inherited, privilege=privilege)


def _places(resource: Resource) -> list[Resource]:
    if resource.kind == "metalake":
        return [resource]
    parts = resource.id.split(".")
    above = [Resource("catalog" if size == 1 else "schema", ".".join(parts[:size])) for size in range(1, len(parts))]
    return [resource, *reversed(above), Resource("metalake", "default")]


def _named(kind: str, row: Row, place: Resource, *, inherited: bool, privilege: str) -> Path:
    if kind == "direct":
        broader = row["privilege"] != privilege
        name = "inherited" if inherited else "broader" if broader else "direct"
        return Path(name, f"{row['privilege']} on {place.kind} {place.id}" if name != "direct" else "")
    return Path(kind, f"{row['subject_value']} on {place.kind} {place.id}")


def _holder(dump: Dump, row: Row, user_id: str, uins: list[str]) -> str:
    """The name of the way in which a row's subject stands for a user; empty when it does not."""
    kind, value = row["subject_type"], str(row["subject_value"])
    if kind == "User":
        return "direct" if value == user_id else ""
    if kind == "GlobalRole":
        if value == _EVERYONE:
            return "everyone"
        held = any(dump.has("wedata_tenant_role_holders", role_id=value, user_uin=uin) for uin in uins)
        return "platform_role" if held else ""
    if dump.mode("wedata_project_reach", "members") != "members":
        return ""
    project, _, role = value.partition(".")
    roles = [found for uin in uins if (found := _roles(dump, project, uin)) is not None]
    if kind == "Project":
        return "project" if roles else ""
    return "role" if any(role in held for held in roles) else ""


def _roles(dump: Dump, project_id: str, uin: str) -> set[str] | None:
    """Roles of a person in a project; None for who has nothing to do with it. Owner and creator count by mode."""
    rows = dump.by("wedata_project_members", "project_id", "user_uin").get((project_id, uin), [])
    roles = {str(role) for row in rows for role in row["role_ids"]}
    heads = [str(row[name]) for row in dump.by("wedata_projects", "project_id").get((project_id,), [])
             for name in ("owner_uin", "creator_uin")]  # fmt: skip
    if uin in heads and dump.mode("wedata_owner_role", "administrator") == "administrator":
        return roles | {_ADMINISTRATOR}
    return roles if rows else None


def source_paths(dump: Dump, user_id: str, source_id: str, project_id: str = "") -> Iterator[Path]:
    """Ways in which a user may use a data source: entries, projects, the default audience.

    :param project_id: the project of the entry that is judged; entries of other projects are ways of their own.
    """
    uins = dump.values("people", "wedata_uin", wedata_user_id=user_id)
    for row in dump.by("wedata_data_sources", "data_source_id").get((source_id,), []):
        project = str(row["project_id"])
        if row["kind"] == "user" and row["user_id"] == user_id:
            yield Path("direct") if project_id in ("", project) else Path("other_entry", project)
        elif row["kind"] == "project" and any(_roles(dump, project, uin) is not None for uin in uins):
            yield Path("project", project)
    for row in dump.by("wedata_data_source_sharing", "data_source_id").get((source_id,), []):
        yield from _default_audience(dump, row, uins)


def _default_audience(dump: Dump, source: Row, uins: list[str]) -> Iterator[Path]:
    project = str(source["project_id"])
    for uin in uins:
        roles = _roles(dump, project, uin)
        if source["share_mode"] == "project":
            if roles is not None:
                yield Path("creating_project", project)
            continue
        if source["creator_uin"] == uin:
            yield Path("creator")
        if roles and _ADMINISTRATOR in roles:
            yield Path("administrator", project)


def project_paths(dump: Dump, uin: str, project_id: str, role_id: str) -> Iterator[Path]:
    """Ways in which a person (by uin) has a role in a project, or is in it at all.

    :param role_id: empty for being a member, with or without roles.
    """
    for row in dump.by("wedata_project_members", "project_id", "user_uin").get((project_id, uin), []):
        if not role_id or role_id in map(str, row["role_ids"]):
            yield Path("direct")
    if role_id not in ("", _ADMINISTRATOR) or dump.mode("wedata_owner_role", "administrator") != "administrator":
        return
    for row in dump.by("wedata_projects", "project_id").get((project_id,), []):
        for name in ("owner_uin", "creator_uin"):
            if row[name] == uin:
                yield Path(name.removesuffix("_uin"))


_LEVELS = ("CAN_VIEW", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE")


def studio_paths(dump: Dump, user_id: str, node_id: str, privilege: str) -> Iterator[Path]:
    """Ways in which a user has a permission, or one that holds it, on a folder, file or workflow of Studio."""
    nodes = dump.by("wedata_studio_nodes", "node_id").get((node_id,), [])
    uins = dump.values("people", "wedata_uin", wedata_user_id=user_id)
    for node in nodes:
        held = [_roles(dump, str(node["project_id"]), uin) for uin in uins]
        roles = {role for found in held for role in found or ()}
        if _ADMINISTRATOR in roles:
            yield Path("administrator", str(node["project_id"]))
        yield from _studio_above(dump, node, user_id, uins, roles, privilege)
        if node["access_scope"] == "SHARED" and privilege == "CAN_VIEW" and any(found is not None for found in held):
            yield Path("shared", str(node["project_id"]))


def _studio_above(
    dump: Dump, node: Row, user_id: str, uins: list[str], roles: set[str], privilege: str
) -> Iterator[Path]:
    """Owners and permissions of the node and of the folders above it."""
    places = [node]
    while places[-1]["parent"]:
        places += dump.by("wedata_studio_nodes", "node_id")[str(places[-1]["parent"]),]
    enough = _LEVELS[_LEVELS.index(privilege) :]
    for place in places:
        where = "" if place is node else str(place["node_id"])
        if place["owner_uin"] in uins:
            yield Path("owner", where)
        for row in dump.by("wedata_studio_permissions", "node_id").get((str(place["node_id"]),), []):
            mine = row["subject_value"] == user_id if row["subject_type"] == "user" else row["subject_value"] in roles
            if row["privilege"] not in enough or not mine or row["subject_type"] == "group":
                continue
            if row["subject_type"] == "role":
                yield Path("role", where or str(row["subject_value"]))
            else:
                own = "direct" if row["privilege"] == privilege else "broader"
                yield Path("inherited" if where else own, where)
