"""The whole organization as JSON: what a judge needs to work out who reaches what, and through what."""

from __future__ import annotations

from typing import Any

from emulator.store.people import as_rows
from emulator.world import SYSTEMS, World

Rows = list[dict[str, Any]]


def snapshot(world: World) -> dict[str, Any]:
    """Grants, and everything beside them that decides about access, with the modes that say what reaches."""
    return {
        "today": world.today, "now_ms": int(world.clock.now() * 1000), "modes": world.modes.as_dict(),
        "organization_id": world.quickbi.organization_id, "people": as_rows(world.people),
        **{system: list(world.truth(system)) for system in SYSTEMS}, **beside_grants(world),
    }  # fmt: skip


def beside_grants(world: World) -> dict[str, Rows]:
    """What decides about access beside the grants, by kind."""
    return {**_wedata(world), **_quickbi(world), **_portals(world), **_dms(world), **_dms_objects(world)}


def _wedata(world: World) -> dict[str, Rows]:
    projects = world.projects.values()
    return {
        "wedata_projects": [
            {"project_id": project.project_id, "owner_uin": project.owner, "creator_uin": project.creator}
            for project in projects
        ],
        "wedata_project_members": [
            {"project_id": project.project_id, "user_uin": uin, "role_ids": sorted(roles)}
            for project in projects for uin, roles in project.members.items()
        ],
        "wedata_project_roles": [
            {"project_id": project.project_id, "user_uin": uin, "role_id": role}
            for project in projects for uin, roles in project.members.items() for role in sorted(roles)
        ],
        "wedata_tenant_role_holders": [
            {"role_id": role, "user_uin": uin} for role, uins in world.tenant_roles.items() for uin in sorted(uins)
        ],
        "wedata_data_source_sharing": [
            {"data_source_id": str(source.source_id), "project_id": source.project_id,
             "share_mode": source.share_mode, "creator_uin": source.creator}
            for source in world.data_sources.sources.values()
        ],
        **world.studio.rows(),
    }  # fmt: skip


def _quickbi(world: World) -> dict[str, Rows]:
    store = world.quickbi
    return {
        "quickbi_users": [
            {"user_id": user.user_id, "deleted": user.deleted, "role_ids": list(user.roles)}
            for user in store.users.values()
        ],
        "quickbi_organization_roles": [
            {"user_id": user.user_id, "role_id": role} for user in store.users.values() for role in user.roles
        ],
        "quickbi_groups": [{"group_id": group.group_id, "parent": group.parent} for group in store.groups.values()],
        "quickbi_group_members": [
            store.member_row(group, user) for group in store.groups.values() for user in group.members
        ],
        "quickbi_workspaces": [
            {"workspace_id": space.workspace_id, "owner": space.owner, "creator": space.creator or space.owner}
            for space in store.workspaces.values()
        ],
        "quickbi_workspace_members": [
            store.member_row(space, user) for space in store.workspaces.values() for user in space.members
        ],
        "quickbi_works": [
            {"works_id": work.works_id, "workspace_id": work.workspace_id, "owner": work.owner}
            for work in store.works.values()
        ],
        "quickbi_shares": [store.share_row(share) for share in store.shares.values()],
        "quickbi_work_authorizations": [record.row for record in store.authorizations], **store.datasets.rows(),
    }  # fmt: skip


def _portals(world: World) -> dict[str, Rows]:
    portals = world.quickbi.portals.values()
    return {
        "quickbi_portals": [
            {"portal_id": portal.portal_id, "workspace_id": portal.workspace_id, "owner": portal.owner}
            for portal in portals
        ],
        "quickbi_leaf_menus": [
            {"portal_id": portal.portal_id, "menu_id": menu.menu_id} for portal in portals for menu in portal.leaves()
        ],
        "quickbi_open_menus": [
            {"portal_id": portal.portal_id, "menu_id": menu.menu_id}
            for portal in portals for menu in portal.leaves() if not menu.show_only_with_access
        ],
        "quickbi_white_lists": [
            {"portal_id": portal.portal_id, "receiver_type": receiver.kind, "receiver_id": receiver.id,
             "auth_points": points}
            for portal in portals for receiver, points in portal.white.items()
        ],
    }  # fmt: skip


def _dms(world: World) -> dict[str, Rows]:
    store = world.dms
    return {
        "dms_users": [
            {"user_id": user.user_id, "uid": user.uid, "state": user.state, "roles": list(user.roles)}
            for user in store.users.values()
        ],
        "dms_accounts": [
            {"user_id": user.user_id, "uid": user.uid} for user in store.users.values() if user.state == "NORMAL"
        ],
        "dms_system_roles": [
            {"user_id": user.user_id, "role": role} for user in store.users.values() for role in user.roles
        ],
        "dms_roles": [{"role_id": str(number), "name": name} for name, number in store.custom_roles.items()],
        "dms_policies": [
            {"policy_id": str(policy.policy_id), "name": policy.name, "perm_type": policy.perm,
             "instance_id": str(policy.instance_id), "db_id": str(policy.db_id or ""), "effect": policy.effect,
             "source": policy.source}
            for policy in store.policies
        ],
        **store.policies.rows(),
        "dms_proxies": [
            {"proxy_id": str(proxy.proxy_id), "instance_id": str(proxy.instance_id)} for proxy in store.proxies.values()
        ],
        "dms_proxy_accesses": [
            store.access_row(access) for proxy in store.proxies.values() for access in proxy.accesses.values()
        ],
    }  # fmt: skip


def _dms_objects(world: World) -> dict[str, Rows]:
    store = world.dms
    databases = store.databases.values()
    owned = [("INSTANCE", instance.instance_id, instance.owners) for instance in store.instances.values()]
    for database in databases:
        prefix = "LOGIC_" if database.logic else ""
        owned.append((f"{prefix}DATABASE", database.db_id, database.owners))
        owned += [(f"{prefix}TABLE", table.table_id, table.owners) for table in database.tables]
    return {
        "dms_instances": [
            {"instance_id": str(instance.instance_id), "mode": instance.mode, "dba": instance.dba}
            for instance in store.instances.values()
        ],
        "dms_databases": [
            {"db_id": str(database.db_id), "instance_id": str(database.instance_id), "logic": database.logic,
             "parts": [str(part) for part in database.parts]}
            for database in databases
        ],
        "dms_tables": [
            {"table_id": str(table.table_id), "table_name": table.name, "db_id": str(database.db_id)}
            for database in databases for table in database.tables
        ],
        "dms_owners": [
            {"owner_type": kind, "resource_id": str(ident), "user_id": user}
            for kind, ident, users in owned for user in users
        ],
    }  # fmt: skip
