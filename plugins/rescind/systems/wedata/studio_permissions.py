"""Tencent WeData: permissions on folders and scripts of Studio, and on workflows and their folders.

A grant is one permission of one user, role or group on one object. One call takes permissions of one holder off one
object. A folder's permissions reach what is in it. The listing of scripts says of each row whether it can be withdrawn
(``DeleteAble``); that of workflows does not. So a permission that the holder also has on a folder above goes after that
one: if it is still listed then, it is the object's own.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, ClassVar
from urllib.parse import unquote

from rescind.cloud.base import Prepared, WriteRequest
from rescind.cloud.clients import WeDataClient
from rescind.cloud.fields import is_named_id, is_numeric_id
from rescind.cloud.wedata.inventory import ListProjects
from rescind.cloud.wedata.studio import (
    CreateCodePermissions,
    CreateWorkflowPermissions,
    DeleteCodePermissions,
    DeleteWorkflowPermissions,
)
from rescind.errors import BlastRadiusExceededError, NotFoundError
from rescind.model import PERHAPS_OWN, CallShape, Cell, Grant, GrantKey, Membership, PlannedCall, PrincipalType
from rescind.systems.base import ListingScope, PermissionSystem, Reading
from rescind.systems.final_bytes import body_fields
from rescind.systems.population import Population
from rescind.systems.surfaces import EndedMemberships, Surface, Untraceable
from rescind.systems.walker import Walker
from rescind.systems.wedata.projects import (
    LIMITS,
    MEMBERS,
    ROLE_HOLDERS,
    UNTRACEABLE,
    discover_projects,
    ended_memberships,
    holders,
)
from rescind.systems.wedata.studio_grants import (
    ABOVE,
    CODE,
    FLOW,
    KINDS,
    LEVELS,
    PROJECT,
    Shown,
    cell_of,
    cell_on,
    grants_on,
    held_by,
    shown_on,
)
from rescind.systems.wedata.studio_tree import (
    ADMINISTRATORS,
    FOLDER,
    OWNERS,
    PERMISSIONS,
    SHARING,
    WORKFLOW_FOLDER,
    Node,
    code_nodes,
    workflow_nodes,
)

GROUPS = Surface("members of groups", "", "who is in a group", "no action of this version lists them")
_GROUP = "no page says that a group can be given permissions on workflows again"


class WeDataStudioPermissions(PermissionSystem[WeDataClient]):
    """Permissions on Studio objects and workflows; one call takes what one holder has off one object."""

    name: ClassVar[str] = "wedata_studio_permissions"
    title: ClassVar[str] = "WeData Studio permissions"
    id_spaces: ClassVar[tuple[str, ...]] = ("wedata_user_id",)
    vendor: ClassVar[str] = "tencent"
    hook: ClassVar[str] = "rescind.hooks.wedata.WeDataHook"
    member_space: ClassVar[str] = "wedata_uin"
    surfaces: ClassVar[tuple[Surface, ...]] = (
        PERMISSIONS,
        OWNERS,
        ADMINISTRATORS,
        SHARING,
        MEMBERS,
        GROUPS,
        ROLE_HOLDERS,
        *LIMITS,
    )
    untraceable: ClassVar[Mapping[str, Untraceable]] = {
        **UNTRACEABLE,
        PrincipalType.GROUP: Untraceable(GROUPS.name, GROUPS.cannot),
    }
    shape: ClassVar[CallShape] = CallShape(max_rows=1, max_columns={"permission": len(LEVELS)})
    revoke_message: ClassVar[type[WriteRequest[Any]]] = DeleteCodePermissions
    revoke_also: ClassVar[tuple[type[WriteRequest[Any]], ...]] = (DeleteWorkflowPermissions,)
    restore_message: ClassVar[type[WriteRequest[Any]]] = CreateCodePermissions
    restore_also: ClassVar[tuple[type[WriteRequest[Any]], ...]] = (CreateWorkflowPermissions,)
    restore_shape: ClassVar[CallShape] = shape
    covering: ClassVar[frozenset[str]] = frozenset({"studio_folder", "workflow_folder"})
    relists_inherited: ClassVar[bool] = True
    in_turns: ClassVar[bool] = True
    reads: ClassVar[frozenset[str]] = frozenset(
        {
            "ListCodeFolderContents",
            "ListCodePermissions",
            "ListProjectMembers",
            "ListProjects",
            "ListWorkflowFolders",
            "ListWorkflowPermissions",
            "ListWorkflows",
        }
    )

    async def discover(self, client: WeDataClient, found: Population) -> None:
        """List the projects, the objects of each, and the permissions on each object, folders first."""
        walker = Walker(client, found)
        for project in await discover_projects(walker, found, self.name):
            if found.leaves_out("project", project):
                continue
            for tree in (await code_nodes(walker, project, found), await workflow_nodes(walker, project, found)):
                found.add_grants(way for node in tree for way in node.ways(walker.account, found))
                await self._tree(walker, tree, found)
                found.note("objects", len(tree))
        for surface in (PERMISSIONS, OWNERS, ADMINISTRATORS, SHARING):
            found.asked(surface.name)

    async def _tree(self, walker: Walker[WeDataClient], tree: Iterable[Node], found: Population) -> None:
        """List the permissions on the objects of one tree, from the top down."""
        direct: dict[str, set[tuple[str, str, str]]] = {}

        def take(node: Node, shown: list[Shown]) -> None:
            grants = list(grants_on(walker.account, node, shown, direct))
            found.add_grants(grants)
            found.add_principals(holders(grants))
            if node.kind == node.folder_kind:
                direct[node.ident] = {held_by(grant.key) for grant in grants if grant.revocable}

        by_depth = sorted(tree, key=_depth)
        for _, level in groupby(by_depth, _depth):
            await walker.for_each(list(level), lambda node: shown_on(walker, node), take)

    def cell(self, key: GrantKey) -> Cell:
        """One permission of one holder on one object; a call takes permissions of one holder."""
        return cell_of(key)

    def listing_scope(self, grant: Grant) -> ListingScope:
        """The object with its path. What stands beside the permissions is in no listing of them."""
        if not grant.cell.container:
            return ("", "", "", "")
        return (grant.key.resource_type, grant.attributes[PROJECT], grant.key.resource_id, grant.resource_name)

    async def reread(self, client: WeDataClient, listings: Collection[ListingScope]) -> Reading:
        """List the permissions on each object again."""
        walker = Walker(client)
        nodes = [_node(scope) for scope in sorted(listings)]
        listed = await walker.each(nodes, lambda node: shown_on(walker, node))
        grants = [
            grant
            for node, shown in zip(nodes, listed, strict=True)
            for grant in grants_on(walker.account, node, shown, {})
        ]
        return Reading(tuple(grants), frozenset(listings), walker.calls, tuple(walker.pages))

    def request(self, call: PlannedCall, grants: Sequence[Grant]) -> WriteRequest[Any]:
        """The call that withdraws the permissions of the one holder on the one object."""
        first = grants[0]
        return _write(first.cell, first.key.resource_type, [column[-1] for _, column in call.columns], _REVOKES)

    def turn(self, grant: Grant) -> int:
        """After the folders above, where it may come from one of them."""
        return len(_folders(grant)) if grant.why_not == PERHAPS_OWN else 0

    def ended_besides(
        self, planned: Collection[Grant], there: Iterable[Grant], elsewhere: Container[str] = ()
    ) -> Mapping[str, str]:
        """Hold what may come from a folder above whose permission stays: the call would end nothing, or not be told."""
        places = {_on(grant.key) for grant in planned}
        stays = {_on(grant.key) for grant in there if grant.revocable} - places
        doubted = [grant for grant in planned if grant.why_not == PERHAPS_OWN]
        from_above = {one.grant_id: next((f for f in _folders(one) if _on(one.key, f) in stays), "") for one in doubted}
        return {ident: _doubt(f"{WORKFLOW_FOLDER} {folder}") for ident, folder in from_above.items() if folder}

    async def also_ended(self, client: WeDataClient, grants: Collection[Grant]) -> Mapping[str, str]:
        """Read the folders above again: a permission that one of them still shows may come from there."""
        found: dict[str, str] = {}
        for grant in (one for one in grants if one.why_not == PERHAPS_OWN):
            for folder in _folders(grant):
                if held_by(grant.key) in await self._held_on(client, grant, WORKFLOW_FOLDER, folder):
                    found[grant.grant_id] = _doubt(f"{WORKFLOW_FOLDER} {folder}")
        return found

    async def ended_with_others(self, client: WeDataClient, grants: Collection[Grant]) -> Mapping[str, str]:
        """Return what was inherited: it is not listed any more, after the permission on the folder above is gone."""
        doubted = [grant for grant in grants if grant.why_not == PERHAPS_OWN]
        return {
            grant.grant_id: f"it was inherited from {grant.inherited_from}, and ended with it"
            for grant in doubted
            if held_by(grant.key)
            not in await self._held_on(client, grant, grant.key.resource_type, grant.key.resource_id)
        }

    async def _held_on(self, client: WeDataClient, like: Grant, kind: str, ident: str) -> set[tuple[str, str, str]]:
        """Return who holds what on an object of the grant's project now; nobody when the object is gone."""
        try:
            reading = await self.reread(client, [(kind, like.attributes[PROJECT], ident, "")])
        except NotFoundError:
            return set()
        return {held_by(grant.key) for grant in reading.grants}

    def blast_radius(self, prepared: Prepared[Any]) -> frozenset[Cell]:
        """Every permission that the final body names, of its one holder on its one object."""
        return frozenset(
            cell_on(*named) for named in _named(prepared, ("DeleteCodePermissions", "DeleteWorkflowPermissions"))
        )

    def inverse(self, grant: Grant) -> Mapping[str, Any] | None:
        """The same permission; None for a group on a workflow, which the vendor does not name where it is given."""
        key = grant.key
        if key.resource_type in FLOW and key.principal_type == PrincipalType.GROUP:
            return None
        return _inverse(key.resource_type, grant.cell.row, *grant.cell.column)

    def unfaithful(self, grant: Grant) -> str:
        """Return a reason for a group on a workflow."""
        return "" if self.inverse(grant) is not None else _GROUP

    def restore_group(self, grant: Grant) -> str:
        """The object and its holder."""
        return "/".join((grant.cell.container, grant.cell.row))

    def restore_request(self, inverses: Sequence[Mapping[str, Any]]) -> WriteRequest[Any]:
        """The call that gives the permissions to the one holder on the one object."""
        ((kind, resource, subject, holder),) = {
            (i["ObjectKind"], i["Object"], i["SubjectType"], i["SubjectId"]) for i in inverses
        }
        rights = sorted(inverse["Privilege"] for inverse in inverses)
        return _write(cell_on(kind, resource, subject, holder, rights[0]), kind, rights, _RESTORES)

    def given(self, prepared: Prepared[Any]) -> list[Mapping[str, Any]]:
        """Every permission that the final body gives."""
        named = _named(prepared, ("CreateCodePermissions", "CreateWorkflowPermissions"))
        return [_inverse(*one) for one in named]

    async def ended_memberships(self, client: WeDataClient, memberships: Collection[Membership]) -> EndedMemberships:
        """Return memberships in projects and their roles that ended since discovery."""
        return await ended_memberships(client, memberships)

    async def gone_holders(self, client: WeDataClient, grants: Collection[Grant]) -> Mapping[str, str]:
        """Return the grants of projects that are gone; the vendor has no listing of users."""
        there = {project.ProjectId for project in await Walker(client).rows(ListProjects())}
        return {g.grant_id: "the project is gone" for g in grants if g.attributes[PROJECT] not in there}

    async def own_ids(self, client: WeDataClient) -> frozenset[str]:
        """As for privileges: the UIN; the connection names WeData's own user id."""
        return frozenset({client.identity.user_id}) if client.identity else frozenset()

    def parents(self, grant: Grant) -> Iterable[tuple[str, str]]:
        """The folders above."""
        kind = FOLDER if grant.key.resource_type in CODE else WORKFLOW_FOLDER
        return ((kind, ident) for ident in _folders(grant))

    def includes(self, held: str, entitlement: str) -> bool:
        """Each level includes the ones below it, as the vendor's "maximum permission" says.

        Owners have every level. So may somebody whose permission has no known name.
        """
        if held in LEVELS and entitlement in LEVELS:
            return LEVELS.index(held) >= LEVELS.index(entitlement)
        return held == entitlement or held not in LEVELS


_REVOKES = (DeleteCodePermissions, DeleteWorkflowPermissions)
_RESTORES = (CreateCodePermissions, CreateWorkflowPermissions)


def _depth(node: Node) -> int:
    return len(node.above)


def _folders(grant: Grant) -> list[str]:
    """Return the ids of the folders above."""
    return [unquote(ident) for ident in grant.attributes.get(ABOVE, "").split()]


def _on(key: GrantKey, folder: str = "") -> tuple[str, ...]:
    """Return project, object, and who holds what on it; or the same on a folder of workflows."""
    place = (WORKFLOW_FOLDER, folder) if folder else (key.resource_type, key.resource_id)
    return (key.native_id, *place, *held_by(key))


def _node(scope: ListingScope) -> Node:
    kind, project, ident, path = scope
    return Node(project, kind, ident, path)


def _doubt(inherited: str) -> str:
    """Return why a permission is not taken away while the one on a folder above it stays."""
    return f"it is its own or inherited from {inherited}: it can be told once that permission is gone"


def _inverse(kind: str, resource: str, subject: str, holder: str, right: str) -> Mapping[str, Any]:
    action = "CreateCodePermissions" if kind in CODE else "CreateWorkflowPermissions"
    where = {"ObjectKind": kind, "Object": resource}
    return {"action": action, **where, "SubjectType": subject, "SubjectId": holder, "Privilege": right}


def _write(
    cell: Cell, kind: str, rights: Sequence[str], messages: tuple[type[WriteRequest[Any]], type[WriteRequest[Any]]]
) -> WriteRequest[Any]:
    """Return the write for permissions of one holder on one object."""
    project, _, ident = cell.row.partition(".")
    subject, holder, _ = cell.column
    common = {"ProjectId": project, "SubjectType": subject, "SubjectId": holder, "Privileges": tuple(rights)}
    if kind in CODE:
        return messages[0].model_validate({**common, "ResourceType": CODE[kind], "ResourceId": ident})
    return messages[1].model_validate({**common, "EntityType": FLOW[kind], "EntityId": ident})


def _named(prepared: Prepared[Any], actions: tuple[str, str]) -> list[tuple[str, str, str, str, str]]:
    """Return (kind, object, kind of holder, holder, permission) of the final body, written from the vendor's pages.

    :raises BlastRadiusExceededError: when it does not name one holder of one object with known permissions.
    """
    body, action = body_fields(prepared), prepared.action
    rest: tuple[Any, ...]
    try:
        if action == actions[0]:
            (one,) = body.pop("RecyclePolicySet" if action.startswith("Delete") else "AuthorizePermissionObjects")
            (who,) = one.pop("RecycleSubjects" if action.startswith("Delete") else "AuthorizeSubjects")
            resource = one.pop("Resource")
            kinds, kind, ident = CODE, resource.pop("ResourceType"), resource.pop("ResourceId")
            (holder,) = who.pop("SubjectValues")
            subject, rights = who.pop("SubjectType"), who.pop("Privileges")
            rest = (one, who, resource)
        else:
            (who,) = body.pop("DeletePermissionList" if action.startswith("Delete") else "PermissionList")
            kinds, kind, ident = FLOW, body.pop("EntityType"), body.pop("EntityId")
            subject, holder = who.pop("PermissionTargetType"), who.pop("PermissionTargetId")
            rights, rest = who.pop("PermissionTypeList"), (who,)
        project = body.pop("ProjectId")
        (ours,) = (mine for mine, theirs in kinds.items() if theirs == kind)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BlastRadiusExceededError(f"the final {action} body cannot be read: {error!r}") from None
    ids = all(isinstance(each, str) for each in (project, ident, holder)) and is_numeric_id(project)
    known = isinstance(rights, list) and rights and all(right in LEVELS for right in rights) and subject in KINDS
    if action not in actions or body or any(rest) or not ids or not known:
        raise BlastRadiusExceededError(f"the final {action} body does not name permissions of one holder on one object")
    if not is_named_id(ident) or not is_numeric_id(holder):
        raise BlastRadiusExceededError(f"the final {action} body has an empty selector; it was not sent")
    return [(ours, f"{project}.{ident}", subject, holder, right) for right in rights]
