"""Changes made by others: grants, revocations, memberships, states, through the control interface or a fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulator.mutate import paths
from emulator.store.dms import Record, Target
from emulator.store.receivers import Receiver
from emulator.store.wedata import Resource, Subject
from emulator.world import World

Operation = dict[str, Any]


class Mutations:
    """Carries out operations given as JSON objects with an ``op`` and the fields of a truth row."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._operations: dict[str, Callable[[Operation], bool]] = {
            "grant": self._grant,
            "revoke": self._revoke,
            "group_member": self._group_member,
            "workspace_member": self._workspace_member,
            "project_member": self._project_member,
            "dms_user_state": self._dms_user_state,
            "dms_policy_member": self._policy_member,
            "quickbi_user": self._quickbi_user,
            "menu_visibility": self._menu_visibility,
            **paths.operations(world),
        }

    def run(self, operations: list[Operation], actor: str = "somebody-else") -> list[bool]:
        """Carry out operations and write them down as one control entry.

        :returns: for each whether it changed anything.
        :raises ValueError: for an unknown operation or an object that does not exist; earlier ones stay done.
        """
        try:
            return [self._one(operation) for operation in operations]
        finally:
            self.world.journal.close_entry("control", action="mutate", actor=actor, params={"ops": operations})

    def _one(self, operation: Operation) -> bool:
        name = operation.get("op", "")
        if name not in self._operations:
            raise ValueError(f"unknown operation {name!r}; known: {', '.join(self._operations)}")
        try:
            return self._operations[name](operation)
        except KeyError as error:
            raise ValueError(f"operation {name}: unknown or missing {error}") from error

    def _grant(self, given: Operation) -> bool:
        world, system = self.world, given["system"]
        if system == "wedata_privileges":
            resource = Resource(given["resource_type"].lower(), given["resource_uri"])
            if resource not in world.privileges.grants:
                world.privileges.add_resource(resource)
                world.cache.clear()
            return world.privileges.add(resource, Subject(given["subject_type"], given["subject_value"]),
                                        given["privilege"])  # fmt: skip
        if system == "wedata_data_sources":
            source = world.data_sources.sources[int(given["data_source_id"])]
            return world.data_sources.add(source, given["project_id"], given.get("user_id", ""))
        if system == "dms_permissions":
            self._dms_grant(given)
            return True
        if system == "quickbi_menus":
            portal = world.quickbi.portals[given["portal_id"]]
            receiver = Receiver(int(given["receiver_type"]), given["receiver_id"])
            return world.quickbi.add(portal, portal.menus[given["menu_id"]], receiver, int(given.get("auth_points", 3)))
        raise ValueError(f"unknown system {system!r}")

    def _dms_grant(self, given: Operation) -> Record:
        target = Target(
            given["ds_type"], int(given["instance_id"]), int(given.get("db_id") or 0), bool(given.get("logic")),
            int(given.get("table_id") or 0), given.get("table_name", ""), given.get("column_name", ""),
        )  # fmt: skip
        world = self.world
        return world.dms.add(
            given["user_id"], target, given["perm_type"], given.get("create_date", world.today),
            given.get("expire_date", "9999-12-31 00:00:00"), given.get("origin", "Granted by somebody else"),
        )  # fmt: skip

    def _revoke(self, given: Operation) -> bool:
        world, system = self.world, given["system"]
        if system == "wedata_privileges":
            resource = Resource(given["resource_type"].lower(), given["resource_uri"])
            return world.privileges.remove(resource, Subject(given["subject_type"], given["subject_value"]),
                                           given["privilege"])  # fmt: skip
        if system == "wedata_data_sources":
            source = world.data_sources.sources[int(given["data_source_id"])]
            return world.data_sources.remove(source, given["project_id"], given.get("user_id", ""))
        if system == "dms_permissions":
            return world.dms.remove(int(given["user_access_id"])) is not None
        if system == "quickbi_menus":
            portal = world.quickbi.portals[given["portal_id"]]
            receiver = Receiver(int(given["receiver_type"]), given["receiver_id"])
            return world.quickbi.remove(portal, portal.menus[given["menu_id"]], receiver)
        raise ValueError(f"unknown system {system!r}")

    def _group_member(self, given: Operation) -> bool:
        store = self.world.quickbi
        group, user = store.groups[given["group_id"]], given["user_id"]
        return store.leave(group, user) if given.get("remove") else store.join(group, user)

    def _workspace_member(self, given: Operation) -> bool:
        """Who is a member already keeps the role; ``workspace_role`` changes it."""
        store = self.world.quickbi
        space, user = store.workspaces[given["workspace_id"]], given["user_id"]
        if given.get("remove"):
            return store.leave(space, user)
        return user not in space.members and store.join(space, user, int(given.get("role_id", 30)))

    def _project_member(self, given: Operation) -> bool:
        """A role of a member more or less; with the last one it leaves the project."""
        project, uin, role = self.world.projects[given["project_id"]], given["user_uin"], given["role_id"]
        held = project.members.get(uin, set())
        roles = held - {role} if given.get("remove") else held | {role}
        return roles != held and self.world.members.change(project, uin, roles or None)

    def _dms_user_state(self, given: Operation) -> bool:
        self.world.dms.set_state(self.world.dms.users[given["user_id"]], given["state"])
        return True

    def _policy_member(self, given: Operation) -> bool:
        policies, remove = self.world.dms.policies, bool(given.get("remove"))
        return policies.attach(policies.by_id(str(given["policy_id"])), "USER", int(given["user_id"]), remove=remove)

    def _quickbi_user(self, given: Operation) -> bool:
        """Deactivate, activate (``deleted``) or take out of the organization altogether (``remove``)."""
        store, user_id = self.world.quickbi, given["user_id"]
        user = store.users[user_id]
        if not given.get("remove"):
            store.set_deleted(user, bool(given["deleted"]))
            return True
        store.set_roles(user, [])
        del store.users[user_id]
        store.changed("users", {"user_id": user_id, "removed": True})
        return True

    def _menu_visibility(self, given: Operation) -> bool:
        portal = self.world.quickbi.portals[given["portal_id"]]
        menu = portal.menus[given["menu_id"]]
        if menu.show_only_with_access == bool(given["show_only_with_access"]):
            return False
        menu.show_only_with_access = bool(given["show_only_with_access"])
        self.world.quickbi.visibility_changed(portal, menu)
        return True
