"""The permission systems, by name. To add one, write its class in a module here and add it to the registry."""

from __future__ import annotations

from typing import Any

from rescind.errors import InputError
from rescind.systems.base import PermissionSystem
from rescind.systems.dms.abac_authorizations import DmsAbacAuthorizations
from rescind.systems.dms.accounts import DmsAccounts
from rescind.systems.dms.permissions import DmsPermissions
from rescind.systems.dms.proxy_accesses import DmsProxyAccesses
from rescind.systems.quickbi.dataset_whitelists import QuickBiDatasetWhitelists
from rescind.systems.quickbi.group_members import QuickBiGroupMembers
from rescind.systems.quickbi.menus import QuickBiMenus
from rescind.systems.quickbi.shares import QuickBiShares
from rescind.systems.quickbi.work_authorizations import QuickBiWorkAuthorizations
from rescind.systems.quickbi.workspace_members import QuickBiWorkspaceMembers
from rescind.systems.wedata.data_sources import WeDataDataSources
from rescind.systems.wedata.privileges import WeDataPrivileges
from rescind.systems.wedata.project_roles import WeDataProjectRoles
from rescind.systems.wedata.studio_permissions import WeDataStudioPermissions

REGISTRY: dict[str, PermissionSystem[Any]] = {
    system.name: system
    for system in (
        WeDataPrivileges(),
        WeDataDataSources(),
        WeDataProjectRoles(),
        WeDataStudioPermissions(),
        DmsPermissions(),
        DmsAccounts(),
        DmsProxyAccesses(),
        DmsAbacAuthorizations(),
        QuickBiMenus(),
        QuickBiGroupMembers(),
        QuickBiWorkspaceMembers(),
        QuickBiShares(),
        QuickBiWorkAuthorizations(),
        QuickBiDatasetWhitelists(),
    )
}


def system_named(name: str) -> PermissionSystem[Any]:
    """Return the system of that name.

    :raises InputError: for an unknown name; the message names the systems that exist.
    """
    if name not in REGISTRY:
        raise InputError("system", f"unknown {name!r}", f"Known systems: {', '.join(REGISTRY)}")
    return REGISTRY[name]


def id_spaces() -> dict[str, tuple[str, ...]]:
    """Return the roster's id spaces by system. A system without any is left out."""
    return {name: system.id_spaces for name, system in REGISTRY.items() if system.id_spaces}


def default_connections() -> dict[str, list[str]]:
    """Return the default connection ids by system. A system without one is left out."""
    return {name: [system.default_connection] for name, system in REGISTRY.items() if system.default_connection}


def titles() -> dict[str, str]:
    """Return the titles of the systems by name."""
    return {name: system.title for name, system in REGISTRY.items()}
