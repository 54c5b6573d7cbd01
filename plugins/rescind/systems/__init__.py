"""The permission systems, by name. To add one, write its class in a module here and add a line to the registry.

A system is imported when it is first used: the message models of a vendor take a fifth of a second, and most tasks need
one vendor. The parsing of DAGs needs none.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from rescind.errors import InputError

if TYPE_CHECKING:
    from rescind.systems.base import PermissionSystem


class Entry(NamedTuple):
    """What is known of a system before it is imported.

    :param place: module and class, below this package.
    :param form_label: name in the trigger forms.
    :param default_connection: Airflow connection that reviews use when the setting ``connections`` is not given.
        Without one, the system is reviewed only where ``connections`` names it.
    """

    place: str
    form_label: str
    default_connection: str = ""


ENTRIES: dict[str, Entry] = {
    "wedata_privileges": Entry(
        "wedata.privileges.WeDataPrivileges", "Tencent WeData: catalog privileges", "wedata_default"
    ),
    "wedata_data_sources": Entry(
        "wedata.data_sources.WeDataDataSources", "Tencent WeData: data sources", "wedata_default"
    ),
    "wedata_project_roles": Entry(
        "wedata.project_roles.WeDataProjectRoles", "Tencent WeData: members of projects and their roles"
    ),
    "wedata_studio_permissions": Entry(
        "wedata.studio_permissions.WeDataStudioPermissions", "Tencent WeData: Studio folders, scripts and workflows"
    ),
    "dms_permissions": Entry("dms.permissions.DmsPermissions", "Alibaba DMS: permissions", "dms_default"),
    "dms_accounts": Entry("dms.accounts.DmsAccounts", "Alibaba DMS: accounts of users"),
    "dms_proxy_accesses": Entry(
        "dms.proxy_accesses.DmsProxyAccesses", "Alibaba DMS: accounts of secure access proxies"
    ),
    "dms_abac_authorizations": Entry(
        "dms.abac_authorizations.DmsAbacAuthorizations", "Alibaba DMS: policies of users and roles"
    ),
    "quickbi_menus": Entry("quickbi.menus.QuickBiMenus", "Alibaba Quick BI: portal menus", "quickbi_default"),
    "quickbi_group_members": Entry(
        "quickbi.group_members.QuickBiGroupMembers", "Alibaba Quick BI: members of user groups"
    ),
    "quickbi_workspace_members": Entry(
        "quickbi.workspace_members.QuickBiWorkspaceMembers", "Alibaba Quick BI: members of workspaces"
    ),
    "quickbi_shares": Entry("quickbi.shares.QuickBiShares", "Alibaba Quick BI: shares of works"),
    "quickbi_work_authorizations": Entry(
        "quickbi.work_authorizations.QuickBiWorkAuthorizations",
        "Alibaba Quick BI: authorizations of works and datasets",
    ),
    "quickbi_dataset_whitelists": Entry(
        "quickbi.dataset_whitelists.QuickBiDatasetWhitelists", "Alibaba Quick BI: white lists of datasets"
    ),
}
"""Every permission system, in the order of forms and reports."""


class Registry(MutableMapping[str, "PermissionSystem[Any]"]):
    """The systems by name. Each is imported and created at its first use."""

    def __init__(self) -> None:
        self._systems: dict[str, PermissionSystem[Any] | None] = dict.fromkeys(ENTRIES)

    def __getitem__(self, name: str) -> PermissionSystem[Any]:
        system = self._systems[name]
        if system is None:
            module, _, kind = ENTRIES[name].place.rpartition(".")
            system = self._systems[name] = getattr(import_module(f"{__name__}.{module}"), kind)()
        return system

    def __setitem__(self, name: str, system: PermissionSystem[Any]) -> None:
        self._systems[name] = system

    def __delitem__(self, name: str) -> None:
        del self._systems[name]

    def __contains__(self, name: object) -> bool:
        return name in self._systems

    def __iter__(self) -> Iterator[str]:
        return iter(self._systems)

    def __len__(self) -> int:
        return len(self._systems)


REGISTRY = Registry()


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
    return {name: [entry.default_connection] for name, entry in ENTRIES.items() if entry.default_connection}


def form_labels() -> dict[str, str]:
    """Return the names of the systems in the trigger forms, by name."""
    return {name: entry.form_label for name, entry in ENTRIES.items()}


def titles() -> dict[str, str]:
    """Return the titles of the systems by name."""
    return {name: system.title for name, system in REGISTRY.items()}
