"""Tencent WeData: folders, scripts and workflows of the projects, and who is named in them beside the permissions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from rescind.cloud.clients import WeDataClient
from rescind.cloud.fields import is_named_id
from rescind.cloud.wedata.projects import PROJECT_ADMINISTRATOR
from rescind.cloud.wedata.studio import ListCodeFolderContents, ListWorkflowFolders, ListWorkflows, WorkflowFolder
from rescind.errors import ListingIncompleteError
from rescind.model import Cell, Grant, GrantKey, PrincipalType
from rescind.systems.population import Population
from rescind.systems.surfaces import UNCERTAIN, Gap, Surface
from rescind.systems.walker import Walker

SYSTEM = "wedata_studio_permissions"
FOLDER, SCRIPT, WORKFLOW_FOLDER, WORKFLOW = "studio_folder", "studio_script", "workflow_folder", "workflow"
ROOT = "/"
OWNER, CREATOR, SHARED = "owner", "creator", "shared with the project"
ADMINISTRATOR = "administrator of the project"
PERMISSIONS = Surface(
    "Studio permissions",
    "ListCodePermissions",
    "users, roles and groups with permissions on folders and scripts; on workflows by ListWorkflowPermissions",
    "no page says whether the lists of folders show what the caller may not see, nor who reaches the root",
)
OWNERS = Surface(
    "owners of folders, scripts and workflows",
    "ListCodeFolderContents",
    "owner and creator of a folder or script; of workflows by ListWorkflows, of their folders by ListWorkflowFolders",
    "no page says what a creator who does not own may do, so it leaves the access unproven",
)
ADMINISTRATORS = Surface(
    "administrators of the project",
    "ListProjectMembers",
    "members with the built-in role of an administrator",
    "only a row of the permissions shows that they reach an object; without one it leaves the access unproven",
)
SHARING = Surface(
    "shared folders and scripts",
    "ListCodeFolderContents",
    "folders and scripts that are shared with the project",
    "no page says what the members of the project may then do, so it leaves the access unproven",
)
_UNNAMED = "its id cannot be addressed"
_KINDS = {"folder": FOLDER, "script": SCRIPT}
_SCOPES = {"SHARED": True, "PRIVATE": False}


@dataclass(frozen=True, slots=True)
class Node:
    """One object on which Studio keeps permissions.

    :param kind: resource type of its grants.
    :param ident: the vendor's id of it; unique within a project as far as the pages say.
    :param path: its path or name, for people.
    :param above: ids of the folders above it, all of the same tree.
    :param shared: whether it is shared with the project; None where the vendor does not tell.
    """

    project: str
    kind: str
    ident: str
    path: str
    above: tuple[str, ...] = ()
    owner: str = ""
    creator: str = ""
    shared: bool | None = False

    @property
    def folder_kind(self) -> str:
        """Resource type of the folders above."""
        return FOLDER if self.kind in (FOLDER, SCRIPT) else WORKFLOW_FOLDER

    def ways(self, account: str, found: Population) -> Iterator[Grant]:
        """Yield owner, creator, administrators and whom it is shared with, as grants that no call takes away."""
        administrators = (PrincipalType.ROLE, f"{self.project}.{PROJECT_ADMINISTRATOR}")
        yield self._way(account, administrators, ADMINISTRATOR, "comes with the role", ADMINISTRATORS)
        if self.owner:
            yield self._way(account, (PrincipalType.USER, self.owner), OWNER, f"owns it; hand {self.path} over first")
        elif self.kind != WORKFLOW_FOLDER:
            why = f"the owner of {self.kind} {self.ident} is not told"
            found.could_not_tell(Gap(OWNERS.name, why, (self.kind, self.ident)))
        if self.creator and self.creator != self.owner:
            yield self._way(account, (PrincipalType.USER, self.creator), CREATOR, "created it", OWNERS)
        elif not self.creator:
            why = f"the creator of {self.kind} {self.ident} is not told"
            found.could_not_tell(Gap(OWNERS.name, why, (self.kind, self.ident)))
        if self.shared is not False:
            why = (
                "is shared with the project" if self.shared else "may be shared with the project: its scope is not told"
            )
            yield self._way(account, (PrincipalType.PROJECT, self.project), SHARED, why, SHARING)

    def _way(
        self, account: str, holder: tuple[str, str], right: str, why_not: str, doubt: Surface | None = None
    ) -> Grant:
        return Grant(
            key=GrantKey(SYSTEM, account, self.kind, self.ident, *holder, right, self.project),
            # No listing of permissions shows it.
            cell=Cell("", self.ident, right, holder),
            revocable=False,
            why_not=why_not,
            resource_name=self.path,
            attributes={UNCERTAIN: doubt.name} if doubt else {},
        )


async def code_nodes(walker: Walker[WeDataClient], project: str, found: Population) -> list[Node]:
    """Return folders and scripts of a project, each folder before what is in it.

    :raises ListingIncompleteError: when a folder could not be listed, or an object is in two folders.
    """
    nodes: dict[tuple[str, str], Node] = {}
    level: list[tuple[str, tuple[str, ...]]] = [(ROOT, ())]
    while level:
        listed = await walker.each(
            level, lambda one: walker.rows(ListCodeFolderContents(ProjectId=project, ParentFolderPath=one[0]))
        )
        below: list[tuple[str, tuple[str, ...]]] = []
        for (_, above), rows in zip(level, listed, strict=True):
            for row in rows:
                kind = _KINDS.get(row.Type or "")
                if kind is None:
                    found.not_reviewed("studio object", row.Id, f"type {row.Type!r} is not known")
                    continue
                if (kind, row.Id) in nodes or (kind == FOLDER and not row.Path):
                    why = "an object is in two folders, or a folder has no path"
                    raise ListingIncompleteError(f"ListCodeFolderContents({project})", why)
                nodes[kind, row.Id] = Node(
                    project, kind, row.Id, row.Path or row.Title or "", above, row.OwnerUin or "",
                    row.CreateUserUin or "", _SCOPES.get(row.AccessScope or ""),
                )  # fmt: skip
                if kind == FOLDER:
                    below.append((row.Path or "", (*above, row.Id)))
        level = below
    return _addressable(nodes.values(), found)


async def workflow_nodes(walker: Walker[WeDataClient], project: str, found: Population) -> list[Node]:
    """Return workflows and their folders, each folder before what is in it.

    Whether a listing of a folder holds what is in its folders too is not documented, so a folder is above another by
    its path, and a workflow is in every folder that lists it.

    :raises ListingIncompleteError: when a folder could not be listed, has no path, or shares its path or id.
    """
    folders: dict[str, WorkflowFolder] = {}
    level = [ROOT]
    while level:
        listed = await walker.each(
            level, lambda path: walker.rows(ListWorkflowFolders(ProjectId=project, ParentFolderPath=path))
        )
        every_row = {(row.FolderPath or "", row.FolderId): row for rows in listed for row in rows}
        new = {path: row for (path, _), row in every_row.items() if path not in folders}
        known = {(path, row.FolderId) for path, row in (folders | new).items()}
        if "" in new or every_row.keys() - known or len({ident for _, ident in known}) < len(known):
            why = "a folder has no path, or two folders share a path or an id"
            raise ListingIncompleteError(f"ListWorkflowFolders({project})", why)
        folders |= new
        level = sorted(new)
    above = {path: tuple(folders[one].FolderId for one in sorted(folders) if _is_above(one, path)) for path in folders}
    nodes = [
        Node(project, WORKFLOW_FOLDER, folders[path].FolderId, path, above[path], "", folders[path].CreateUserUin or "")
        for path in sorted(folders)
    ]
    every = await walker.rows(ListWorkflows(ProjectId=project))
    places = sorted(folders)
    inside = await walker.each(
        places, lambda path: walker.rows(ListWorkflows(ProjectId=project, ParentFolderPath=path))
    )
    where: dict[str, set[str]] = {row.WorkflowId: set() for row in every}
    for path, rows in zip(places, inside, strict=True):
        for row in rows:
            where.setdefault(row.WorkflowId, set()).update((*above[path], folders[path].FolderId))
    flows = {row.WorkflowId: row for rows in (every, *inside) for row in rows}
    nodes += [
        Node(project, WORKFLOW, ident, row.WorkflowName or "", tuple(sorted(where[ident])), row.OwnerUin or "",
             row.CreateUserUin or "")
        for ident, row in sorted(flows.items())
    ]  # fmt: skip
    return _addressable(nodes, found)


def _is_above(folder: str, path: str) -> bool:
    """Return whether what is at a path is in a folder; the root may be listed as a folder too."""
    return folder != path and path.startswith(f"{folder.rstrip('/')}/")


def _addressable(nodes: Iterable[Node], found: Population) -> list[Node]:
    """Return the nodes whose id a call can name; the others are named and left out.

    Who has permissions on a folder that is left out is not known, so access to what is in it is not proven.
    """
    kept = []
    for node in nodes:
        if is_named_id(node.ident):
            if not found.leaves_out(node.kind, node.ident):
                kept.append(node)
                continue
        else:
            found.not_reviewed(node.kind, node.ident, _UNNAMED)
        if node.kind == node.folder_kind:
            why = f"permissions on {node.kind} {node.ident} are not read"
            found.could_not_tell(Gap(PERMISSIONS.name, why, (node.kind, node.ident)))
    return kept
