"""Rows of WeData Studio's listings of permissions, as grants."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from urllib.parse import quote

from rescind.cloud.clients import WeDataClient
from rescind.cloud.fields import UNNAMEABLE, is_numeric_id
from rescind.cloud.wedata.studio import CodeResource, ListCodePermissions, ListWorkflowPermissions
from rescind.model import PERHAPS_OWN, Cell, Grant, GrantKey, PrincipalType
from rescind.systems.walker import Walker
from rescind.systems.wedata.studio_tree import FOLDER, SCRIPT, SYSTEM, WORKFLOW, WORKFLOW_FOLDER, Node

LEVELS = ("CAN_VIEW", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE")
UNTOLD = "untold permissions"
CODE = {FOLDER: "folder", SCRIPT: "script"}
FLOW = {WORKFLOW_FOLDER: "folder", WORKFLOW: "workflow"}
KINDS = {"user": PrincipalType.USER, "role": PrincipalType.ROLE, "group": PrincipalType.GROUP}
_NOT_DELETABLE = "the vendor says that it cannot be withdrawn: it is inherited or built in"
_NOT_TOLD = "the vendor does not tell whether it can be withdrawn"
_NO_PRIVILEGES = "the row does not tell its permissions"
_NOBODY = "the row names no user, role or group"
PROJECT, ABOVE = "ProjectId", "Above"
FIXED = "fixed"
"""Stands in the key of a row that cannot be withdrawn: the same permission may be given directly too."""
Shown = tuple[str, str, Sequence[str] | None, bool | None, str]
"""Kind and id of the holder, permissions, whether they can be withdrawn, and the object they come from."""


def held_by(key: GrantKey) -> tuple[str, str, str]:
    """Return kind and id of the holder, and the permission."""
    return key.principal_type, key.principal_id, key.entitlement


async def shown_on(walker: Walker[WeDataClient], node: Node) -> list[Shown]:
    """Return the rows of one object's listing."""
    if node.kind in CODE:
        resource = CodeResource.model_validate({"ResourceType": CODE[node.kind], "ResourceId": node.ident})
        rows = await walker.rows(ListCodePermissions(ProjectId=node.project, Resource=resource))
        return [
            (row.RoleType or "", row.RoleId or "", row.Privileges, row.DeleteAble, row.source or node.ident)
            for row in rows
        ]
    entity = {"EntityId": node.ident, "EntityType": FLOW[node.kind]}
    flows = await walker.rows(ListWorkflowPermissions.model_validate({"ProjectId": node.project, **entity}))
    return [
        (row.PermissionTargetType or "", row.PermissionTargetId or "", row.PermissionTypeList, True, node.ident)
        for row in flows
    ]


def grants_on(
    account: str, node: Node, shown: Iterable[Shown], direct: Mapping[str, Collection[tuple[str, str, str]]]
) -> Iterator[Grant]:
    """Yield each permission once, but no row that repeats a permission on a folder.

    :param direct: by folder id, what is directly given on it.
    """
    found: dict[GrantKey, Grant] = {}
    above = " ".join(quote(one, safe="") for one in node.above)
    for subject, holder, rights, deletable, source in shown:
        kind, who = _principal(node.project, subject, holder)
        fixed = deletable is False or source != node.ident
        for right in rights or (UNTOLD,):
            place = (SYSTEM, account, node.kind, node.ident)
            key = GrantKey(*place, kind, who, right, FIXED if fixed else node.project)
            if source != node.ident and held_by(key) in direct.get(source, ()):
                continue  # the folder's own permission is known: this row stands and falls with it
            from_above = source if source != node.ident else _above(node, direct, held_by(key))
            inherited = f"{node.folder_kind} {from_above}" if from_above and (fixed or node.kind in FLOW) else ""
            why_not = _why_not(kind, holder, right, deletable, fixed)
            if inherited and fixed:
                why_not = f"inherited from {inherited}, whose own permission was not listed"
            found.setdefault(
                key,
                Grant(
                    key=key,
                    cell=cell_of(key),
                    revocable=not why_not,
                    why_not=PERHAPS_OWN if inherited and not why_not else why_not,
                    inherited_from=inherited,
                    resource_name=node.path,
                    attributes={PROJECT: node.project, ABOVE: above},
                ),
            )
    yield from found.values()


def _principal(project: str, subject: str, holder: str) -> tuple[str, str]:
    """Return type and id of a holder; a role's id is ``<ProjectId>.<RoleId>``, as its members have it."""
    kind = KINDS.get(subject)
    if kind is None or not holder:
        return PrincipalType.UNKNOWN, f"{subject} {holder}".strip()
    return kind, f"{project}.{holder}" if kind == PrincipalType.ROLE else holder


def cell_of(key: GrantKey) -> Cell:
    """Return the cell of a permission, from its identity alone."""
    subject = next((name for name, known in KINDS.items() if known == key.principal_type), "")
    holder = key.principal_id
    if subject == "role":
        holder = holder.partition(".")[2]
    return cell_on(key.resource_type, f"{key.native_id}.{key.resource_id}", subject, holder, key.entitlement)


def _above(node: Node, direct: Mapping[str, Collection[tuple[str, str, str]]], held: tuple[str, str, str]) -> str:
    """Return a folder above on which the same holder has the same permission, or an empty text."""
    return next((folder for folder in node.above if held in direct.get(folder, ())), "")


def _why_not(kind: str, holder: str, right: str, deletable: bool | None, fixed: bool) -> str:
    if kind == PrincipalType.UNKNOWN:
        return _NOBODY
    if fixed or deletable is None:
        return _NOT_DELETABLE if fixed else _NOT_TOLD
    if right == UNTOLD:
        return _NO_PRIVILEGES
    return "" if right in LEVELS and is_numeric_id(holder) else UNNAMEABLE


def cell_on(kind: str, resource: str, subject: str, holder: str, right: str) -> Cell:
    """Return the cell of one permission of one holder on one object.

    :param subject: the vendor's name of the kind of holder.
    """
    return Cell(f"{kind}/{subject}/{holder}", resource, "permission", (subject, holder, right))
