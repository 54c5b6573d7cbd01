"""Who sees a menu of a portal, opens a work, is in a group or workspace, or holds a role; and through what."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.oracle.ways import Dump, Path, Resource

_USER, _GROUP, _ORGANIZATION, _WORKSPACE = "0", "1", "2", "3"
_WORKSPACE_ROLES = {"25": "workspace_admin", "26": "workspace_developer"}
_ADMIN, _PERMISSION_ADMIN = 111111111, 111111112


def menu_paths(dump: Dump, user_id: str, menu: Resource) -> Iterator[Path]:
    """Ways in which a user sees one menu. Export counts as nothing more than sight."""
    if not _active(dump, user_id):
        return
    names = _receivers_of(dump, user_id)
    for row in dump.by("quickbi_menus", "portal_id", "menu_id").get((menu.container, menu.id), []):
        pair = (str(row["receiver_type"]), str(row["receiver_id"]))
        if pair in names:
            yield Path(names[pair], "" if pair[0] == _USER else pair[1])
    wide = list(_portal_ways(dump, user_id, menu.container, names))
    yield from (path for path, whole in wide if whole)
    if dump.has("quickbi_open_menus", portal_id=menu.container, menu_id=menu.id):
        yield from _opened(dump, user_id, menu.container, names, [path for path, _ in wide])


def _active(dump: Dump, user_id: str) -> bool:
    rows = dump.by("quickbi_users", "user_id").get((user_id,), [])
    return bool(rows) and (not rows[0]["deleted"] or dump.mode("quickbi_deactivated", "nothing") == "answered")


def _receivers_of(dump: Dump, user_id: str, *, nested: bool = False) -> dict[tuple[str, str], str]:
    """Receivers that stand for a user, with the name of the way. ``nested``: whatever the mode says of sub-groups."""
    names = {
        (_USER, user_id): "direct",
        (_ORGANIZATION, str(dump.world.get("organization_id", ""))): "organization",
    }
    for space in dump.values("quickbi_workspace_members", "workspace_id", user_id=user_id):
        names[_WORKSPACE, space] = "workspace"
    parents = {str(row["group_id"]): str(row["parent"]) for row in dump.rows("quickbi_groups")}
    covered = nested or dump.mode("quickbi_subgroups", "covered") == "covered"
    for group in dump.values("quickbi_group_members", "group_id", user_id=user_id):
        names[_GROUP, group] = "group"
        above = parents.get(group, "-1")
        while covered and above in parents and (_GROUP, above) not in names:
            names[_GROUP, above] = "group_nested"
            above = parents[above]
    return names


def _portal_ways(
    dump: Dump, user_id: str, portal_id: str, names: dict[tuple[str, str], str]
) -> Iterator[tuple[Path, bool]]:
    """Ways into a portal that are no menu record, and whether each shows all menus."""
    white = dump.mode("quickbi_white_list", "all")
    for row in dump.by("quickbi_white_lists", "portal_id").get((portal_id,), []):
        pair = (str(row["receiver_type"]), str(row["receiver_id"]))
        if pair in names and (white != "workspaces" or pair[0] == _WORKSPACE):
            yield Path("white_list", names[pair]), white != "opens"
    for share in _shared(dump, portal_id, names):
        yield share, dump.mode("quickbi_share_reach", "all") == "all"
    for portal in dump.by("quickbi_portals", "portal_id").get((portal_id,), []):
        if portal["owner"] == user_id:
            yield Path("portal_owner"), dump.mode("quickbi_owner_reach", "all") == "all"
        yield from _workspace_ways(dump, user_id, str(portal["workspace_id"]))
    yield from _organization_ways(dump, user_id)


def _shared(dump: Dump, works_id: str, names: dict[tuple[str, str], str]) -> Iterator[Path]:
    """Shares of a work in force, with a receiver that stands for the user."""
    for row in dump.by("quickbi_shares", "works_id").get((works_id,), []):
        pair = (str(row["receiver_type"]), str(row["receiver_id"]))
        if pair in names and row["expires"] > dump.world.get("now_ms", 0):
            yield Path("share", names[pair])


def _workspace_ways(dump: Dump, user_id: str, workspace_id: str) -> Iterator[tuple[Path, bool]]:
    whole = dump.mode("quickbi_role_reach", "all") == "all"
    if user_id in dump.values("quickbi_workspaces", "owner", workspace_id=workspace_id):
        yield Path("workspace_owner", workspace_id), whole
    members = dump.by("quickbi_workspace_members", "workspace_id", "user_id")
    for row in members.get((workspace_id, user_id), []):
        role = str(row["role_id"])
        if role in _WORKSPACE_ROLES:
            yield Path(_WORKSPACE_ROLES[role], workspace_id), whole
        else:
            yield Path("workspace_member", workspace_id), False


def _organization_ways(dump: Dump, user_id: str) -> Iterator[tuple[Path, bool]]:
    """Roles of the organization; one that shows no menus does not open a portal either."""
    reach = dump.mode("quickbi_admin_reach", "all")
    for row in dump.by("quickbi_users", "user_id").get((user_id,), []):
        if _ADMIN in row["role_ids"] and reach != "none":
            yield Path("organization_admin"), True
        if _PERMISSION_ADMIN in row["role_ids"] and reach == "all":
            yield Path("permission_admin"), True


def _opened(
    dump: Dump, user_id: str, portal_id: str, names: dict[tuple[str, str], str], wide: list[Path]
) -> Iterator[Path]:
    """An open menu is seen by everyone who can open the portal."""
    for path in wide:
        yield Path("open_menu", path.kind)
    for row in dump.by("quickbi_menus", "portal_id").get((portal_id,), []):
        pair = (str(row["receiver_type"]), str(row["receiver_id"]))
        if pair in names:
            yield Path("open_menu", f"menu {row['menu_id']}")


def work_paths(dump: Dump, user_id: str, works_id: str) -> Iterator[Path]:
    """Ways in which a user opens a work: a portal or a dashboard."""
    if not _active(dump, user_id):
        return
    names = _receivers_of(dump, user_id)
    if dump.has("quickbi_portals", portal_id=works_id):
        yield from (path for path, _ in _portal_ways(dump, user_id, works_id, names))
        for row in dump.by("quickbi_menus", "portal_id").get((works_id,), []):
            if (str(row["receiver_type"]), str(row["receiver_id"])) in names:
                yield Path("menu", str(row["menu_id"]))
        return
    yield from _shared(dump, works_id, names)
    datasets = dump.by("quickbi_datasets", "dataset_id").get((works_id,), [])
    for work in [*dump.by("quickbi_works", "works_id").get((works_id,), []), *datasets]:
        if work["owner"] == user_id:
            yield Path("work_owner")
        if dump.has("quickbi_workspace_members", workspace_id=str(work["workspace_id"]), user_id=user_id):
            yield Path("workspace_member", str(work["workspace_id"]))
    yield from _authorized(dump, user_id, works_id)


def _authorized(dump: Dump, user_id: str, resource_id: str) -> Iterator[Path]:
    """Authorizations of a resource in force, with a receiver that stands for the user. Levels count alike."""
    names = _receivers_of(dump, user_id, nested=True)
    for row in dump.by("quickbi_work_authorizations", "resource_id").get((resource_id,), []):
        pair = (str(row["receiver_type"]), str(row["receiver_id"]))
        if pair in names and row["expires"] > dump.world.get("now_ms", 0):
            yield Path("authorization", names[pair])


def dataset_paths(dump: Dump, user_id: str, dataset_id: str, right: str) -> Iterator[Path]:
    """Ways in which nothing restricts the rows or columns of a dataset for a user who may use it.

    :param right: ``ROW_LEVEL`` or ``COLUMN_LEVEL``; with ``/`` and the id of a rule: what that rule lets through.
    """
    if not _active(dump, user_id):
        return
    level, _, rule = right.partition("/")
    names = _receivers_of(dump, user_id)
    for row in dump.by("quickbi_dataset_whitelists", "dataset_id", "rule_type").get((dataset_id, level), []):
        pair = (str(row["receiver_type"]), str(row["receiver_id"]))
        if pair in names:
            yield Path(names[pair], "" if pair[0] == _USER else pair[1])
    hit = _rules(dump, names, dataset_id, level)
    for row in dump.by("quickbi_dataset_levels", "dataset_id", "rule_type").get((dataset_id, level), []):
        if not row["open"]:
            yield Path("security_off")
        elif not hit and row["miss_hit"] == "ALL":
            yield Path("no_rule")
    if rule in hit:
        yield Path("rule", rule)


def _rules(dump: Dump, names: dict[tuple[str, str], str], dataset_id: str, level: str) -> set[str]:
    """Rules in force that hit a user: those for everybody, and those that name a receiver of the user."""
    found = set()
    for row in dump.by("quickbi_dataset_rules", "dataset_id", "rule_type").get((dataset_id, level), []):
        aimed = dump.by("quickbi_dataset_rule_users", "rule_id").get((row["rule_id"],), [])
        mine = any((str(one["receiver_type"]), str(one["receiver_id"])) in names for one in aimed)
        if row["open"] and (mine or row["scope"] == "ALL"):
            found.add(str(row["rule_id"]))
    return found


def group_paths(dump: Dump, user_id: str, group_id: str) -> Iterator[Path]:
    """Ways in which a user belongs to a group: itself, or through a group below it."""
    if dump.has("quickbi_group_members", group_id=group_id, user_id=user_id):
        yield Path("direct")
    for pair, name in _receivers_of(dump, user_id).items():
        if pair == (_GROUP, group_id) and name == "group_nested":
            yield Path("group_nested")


def workspace_paths(dump: Dump, user_id: str, workspace_id: str) -> Iterator[Path]:
    """Ways in which a user is in a workspace, with any role. An active administrator of the organization is in all."""
    if dump.has("quickbi_workspace_members", workspace_id=workspace_id, user_id=user_id):
        yield Path("direct")
    if user_id in dump.values("quickbi_workspaces", "owner", workspace_id=workspace_id):
        yield Path("workspace_owner")
    if _active(dump, user_id):
        yield from (path for path, _ in _organization_ways(dump, user_id))


def role_paths(dump: Dump, user_id: str, role_id: str) -> Iterator[Path]:
    """Whether a user holds a role of the organization; a deactivated one holds it too."""
    for row in dump.by("quickbi_users", "user_id").get((user_id,), []):
        if role_id in map(str, row["role_ids"]):
            yield Path("direct")
