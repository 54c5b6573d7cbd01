"""The permission systems, by name. A further one is a module here and a line in the registry."""

from __future__ import annotations

from typing import Any

from rescind.errors import InputError
from rescind.systems.base import PermissionSystem
from rescind.systems.dms_permissions import DmsPermissions
from rescind.systems.quickbi_menus import QuickBiMenus
from rescind.systems.wedata_data_sources import WeDataDataSources
from rescind.systems.wedata_privileges import WeDataPrivileges

REGISTRY: dict[str, PermissionSystem[Any]] = {
    system.name: system for system in (WeDataPrivileges(), WeDataDataSources(), DmsPermissions(), QuickBiMenus())
}


def system_named(name: str) -> PermissionSystem[Any]:
    """The system of that name.

    :raises InputError: naming the systems that exist.
    """
    if name not in REGISTRY:
        raise InputError("system", f"unknown {name!r}", f"Known systems: {', '.join(REGISTRY)}")
    return REGISTRY[name]
