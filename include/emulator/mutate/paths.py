"""Changes of the ways in that are no grants: owners, roles, white lists, shares, proxy accounts, policies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulator.mutate import datasets, usage
from emulator.store.authorizations import PERMANENT, WorkAuthorization
from emulator.store.policies import Policy
from emulator.store.quickbi import Share
from emulator.store.receivers import Receiver
from emulator.store.studio import Holder
from emulator.world import World

Operation = dict[str, Any]
_FAR = 4_102_444_800_000
"""The end of a share without one given: the year 2100, in milliseconds."""


def operations(world: World) -> dict[str, Callable[[Operation], bool]]:
    """Operations by name, for :class:`emulator.mutate.mutations.Mutations`."""
    made = {
        "white_list": _white_list, "share": _share, "work_authorization": _work_authorization,
        "portal_owner": _portal_owner,
        "work_owner": _work_owner, "workspace_owner": _workspace_owner,
        "workspace_role": _workspace_role, "quickbi_roles": _quickbi_roles, "dms_roles": _dms_roles,
        "dms_owner": _dms_owner, "dms_dba": _dms_dba, "dms_control_mode": _control_mode,
        "dms_policy": _policy, "dms_policy_role": _policy_role, "proxy_access": _proxy_access,
        "project_owner": _project_owner,
        **datasets.operations(), **usage.operations(),
        "tenant_role": _tenant_role, "data_source_creator": _source_creator,
        "studio_permission": _studio_permission, "studio_node": _studio_node,
    }  # fmt: skip
    return {name: _bound(world, operation) for name, operation in made.items()}


def _bound(world: World, operation: Callable[[World, Operation], bool]) -> Callable[[Operation], bool]:
    return lambda given: operation(world, given)


def _receiver(given: Operation) -> Receiver:
    return Receiver(int(given["receiver_type"]), given["receiver_id"])


def _white_list(world: World, given: Operation) -> bool:
    portal = world.quickbi.portals[given["portal_id"]]
    points = int(given.get("auth_points", 1))
    return world.quickbi.white(portal, _receiver(given), points, remove=bool(given.get("remove")))


def _share(world: World, given: Operation) -> bool:
    store, receiver = world.quickbi, _receiver(given)
    found = [share.share_id for share in store.shares.values()
             if (share.works_id, share.receiver) == (given["works_id"], receiver)]  # fmt: skip
    if given.get("remove"):
        return any([store.unshare(share_id) for share_id in found])
    if given["works_id"] not in {**store.portals, **store.works}:
        raise KeyError(given["works_id"])
    share_id = found[0] if found else f"share-{len(world.journal) + 1:08d}-{len(store.shares)}"
    store.unshare(share_id)
    points, expires = int(given.get("auth_points", 1)), int(given.get("expires", _FAR))
    store.share(Share(share_id, given["works_id"], receiver, points, expires))
    return True


def _work_authorization(world: World, given: Operation) -> bool:
    """Give a receiver a record on a dashboard, in place of one it has, or take all that it has there."""
    store, receiver, ident = world.quickbi, _receiver(given), given["resource_id"]
    if ident not in store.works:
        raise KeyError(ident)
    gone = store.authorizations.remove(receiver, ident)
    if given.get("remove"):
        return bool(gone)
    points, number = int(given.get("auth_points", 3)), f"auth-7{len(world.journal):07d}"
    end = PERMANENT if points == 11 else int(given.get("expires", PERMANENT - 86_400_000))
    kind = given.get("resource_type", "dashboard")
    store.authorizations.add(WorkAuthorization(number, ident, kind, receiver, points, end, world.today))
    return True


def _portal_owner(world: World, given: Operation) -> bool:
    portal, user = world.quickbi.portals[given["portal_id"]], world.quickbi.users[given["user_id"]]
    before, portal.owner = portal.owner, user.user_id
    world.quickbi.changed("owners", {"works_id": portal.portal_id, "user_id": portal.owner})
    return before != portal.owner


def _work_owner(world: World, given: Operation) -> bool:
    work, user = world.quickbi.works[given["works_id"]], world.quickbi.users[given["user_id"]]
    before, work.owner = work.owner, user.user_id
    world.quickbi.changed("owners", {"works_id": work.works_id, "user_id": work.owner})
    return before != user.user_id


def _workspace_owner(world: World, given: Operation) -> bool:
    space, user = world.quickbi.workspaces[given["workspace_id"]], world.quickbi.users[given["user_id"]]
    before, space.owner = space.owner, user.user_id
    space.creator = space.creator or before
    world.quickbi.changed("owners", {"workspace_id": space.workspace_id, "user_id": space.owner})
    return before != space.owner


def _workspace_role(world: World, given: Operation) -> bool:
    space, user_id = world.quickbi.workspaces[given["workspace_id"]], given["user_id"]
    if user_id not in space.members:
        raise KeyError(user_id)
    return world.quickbi.join(space, user_id, int(given["role_id"]))


def _quickbi_roles(world: World, given: Operation) -> bool:
    return world.quickbi.set_roles(world.quickbi.users[given["user_id"]], [int(role) for role in given["role_ids"]])


def _dms_roles(world: World, given: Operation) -> bool:
    return world.dms.set_roles(world.dms.users[given["user_id"]], tuple(given["roles"]))


def _dms_owner(world: World, given: Operation) -> bool:
    remove = bool(given.get("remove"))
    return world.dms.own(given["owner_type"], int(given["resource_id"]), given["user_id"], remove=remove)


def _dms_dba(world: World, given: Operation) -> bool:
    return world.dms.set_dba(world.dms.instances[int(given["instance_id"])], given["user_id"])


def _control_mode(world: World, given: Operation) -> bool:
    instance = world.dms.instances[int(given["instance_id"])]
    before, instance.mode = instance.mode, given["mode"]
    world.dms.changed("changed", "control_modes", {"instance_id": str(instance.instance_id), "mode": instance.mode})
    return before != instance.mode


def _policy_role(world: World, given: Operation) -> bool:
    policies, remove = world.dms.policies, bool(given.get("remove"))
    return policies.attach(policies.by_id(str(given["policy_id"])), "ROLE", int(given["role_id"]), remove=remove)


def _policy(world: World, given: Operation) -> bool:
    """A new policy on an instance or, with ``db_id``, a database; attached to nobody."""
    instance = world.dms.instances[int(given["instance_id"])].instance_id
    number, place = int(given["policy_id"]), int(given.get("db_id") or 0)
    if any(policy.policy_id == number for policy in world.dms.policies):
        return False
    effect, source = given.get("effect", "Allow"), given.get("source", "USER_DEFINE")
    name, perm = given.get("name", f"policy-{number}"), given["perm_type"]
    world.dms.policies.append(Policy(number, name, perm, instance, place, [], effect=effect, source=source))
    world.dms.changed("added", "policies", {"policy_id": str(number), "name": name})
    return True


def _proxy_access(world: World, given: Operation) -> bool:
    proxy, user_id = world.dms.proxies[int(given["proxy_id"])], given["user_id"]
    found = [access.access_id for access in proxy.accesses.values() if access.user_id == user_id]
    if given.get("remove"):
        return any([world.dms.close_access(number) for number in found])
    if found:
        return False
    world.dms.access(proxy.proxy_id, user_id, given.get("account", ""), world.today, "Granted by somebody else")
    return True


def _project_owner(world: World, given: Operation) -> bool:
    project = world.projects[given["project_id"]]
    name = "creator" if given.get("creator") else "owner"
    before = getattr(project, name)
    setattr(project, name, given["user_uin"])
    world.journal.effect("changed", "wedata_projects", {
        "project_id": project.project_id, "owner_uin": project.owner, "creator_uin": project.creator,
    })  # fmt: skip
    return bool(before != given["user_uin"])


def _tenant_role(world: World, given: Operation) -> bool:
    holders, uin = world.tenant_roles.setdefault(given["role_id"], set()), given["user_uin"]
    remove = bool(given.get("remove"))
    if (uin in holders) != remove:
        return False
    (holders.discard if remove else holders.add)(uin)
    world.journal.effect("removed" if remove else "added", "wedata_tenant_role_holders", {
        "role_id": given["role_id"], "user_uin": uin,
    })  # fmt: skip
    return True


def _studio_permission(world: World, given: Operation) -> bool:
    node, holder = world.studio[given["node_id"]], Holder(given["subject_type"], given["subject_value"])
    return world.studio.change(node, holder, given["privilege"], remove=bool(given.get("remove")))


def _studio_node(world: World, given: Operation) -> bool:
    """Another owner, or another scope (SHARED, PRIVATE); what is not given stays."""
    node = world.studio[given["node_id"]]
    before = (node.owner, node.scope)
    node.owner, node.scope = given.get("user_uin", node.owner), given.get("access_scope", node.scope)
    world.journal.effect("changed", "wedata_studio_nodes", {
        "node_id": node.node_id, "owner_uin": node.owner, "access_scope": node.scope,
    })  # fmt: skip
    return before != (node.owner, node.scope)


def _source_creator(world: World, given: Operation) -> bool:
    source = world.data_sources.sources[int(given["data_source_id"])]
    before, source.creator = source.creator, given["user_uin"]
    world.journal.effect("changed", "wedata_data_source_sharing", {
        "data_source_id": str(source.source_id), "creator_uin": source.creator,
    })  # fmt: skip
    return before != source.creator
