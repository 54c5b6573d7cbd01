"""Studio of WeData: folders, scripts and workflows of a project, and who may view, run, edit or manage them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from emulator.journal import Journal
from emulator.visibility import Visibility

SYSTEM = "wedata_studio_permissions"
CODE, WORKFLOW = "code", "workflow"
PRIVILEGES = ("CAN_VIEW", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE")


class Holder(NamedTuple):
    """Who holds a permission: ``user`` (WeData user id), ``role`` (of the project) or ``group``, and the id."""

    kind: str
    id: str


@dataclass(slots=True)
class Node:
    """A folder, a script (``tree`` code) or a workflow. ``parent`` is the id of the folder above, empty at the top."""

    node_id: str
    project_id: str
    tree: str
    kind: str
    name: str
    parent: str
    owner: str
    scope: str = "PRIVATE"
    holders: dict[Holder, set[str]] = field(default_factory=dict)

    def row(self, holder: Holder, privilege: str) -> dict[str, Any]:
        """A permission as a row of the truth."""
        return {
            "project_id": self.project_id, "tree": self.tree, "node_id": self.node_id, "subject_type": holder.kind,
            "subject_value": holder.id, "privilege": privilege,
        }  # fmt: skip


class Studio(dict[str, Node]):
    """All nodes by id; tells the journal about permissions."""

    def __init__(self, journal: Journal, visibility: Visibility) -> None:
        super().__init__()
        self._journal = journal
        self._visibility = visibility

    def change(self, node: Node, holder: Holder, privilege: str, *, remove: bool = False) -> bool:
        """Give a permission on a node itself or take it; False when nothing changed."""
        held = node.holders.setdefault(holder, set())
        if (privilege in held) != remove:
            return False
        (held.discard if remove else held.add)(privilege)
        entry = (node.node_id, holder, privilege)
        (self._visibility.removed if remove else self._visibility.added)(SYSTEM, entry)
        self._journal.effect("removed" if remove else "added", SYSTEM, node.row(holder, privilege))
        return True

    def listed(self, node: Node) -> dict[Holder, list[str]]:
        """Permissions on a node itself as a listing shows them."""
        late = (self._visibility.shown, self._visibility.hidden)
        shown, hidden = ({item[1:] for item in one(SYSTEM, lambda item: item[0] == node.node_id)} for one in late)
        held = {(holder, privilege) for holder, several in node.holders.items() for privilege in several}
        found: dict[Holder, list[str]] = {}
        for holder, privilege in sorted((held - hidden) | shown, key=lambda one: (one[0], PRIVILEGES.index(one[1]))):
            found.setdefault(holder, []).append(privilege)
        return found

    def above(self, node: Node) -> list[Node]:
        """The folders above a node, nearest first."""
        found, parent = [], node.parent
        while parent:
            found.append(self[parent])
            parent = self[parent].parent
        return found

    def path(self, node: Node) -> str:
        """The absolute path by names."""
        return "/" + "/".join(one.name for one in reversed([node, *self.above(node)]))

    def in_project(self, project_id: str, tree: str) -> Iterator[Node]:
        """Nodes of one tree of a project."""
        return (node for node in self.values() if (node.project_id, node.tree) == (project_id, tree))

    def seed(self, nodes: Iterable[Node]) -> None:
        """Add nodes without telling the journal (building the organization)."""
        self.update((node.node_id, node) for node in nodes)

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """Nodes and permissions."""
        return {
            "wedata_studio_nodes": [
                {"node_id": node.node_id, "project_id": node.project_id, "tree": node.tree, "kind": node.kind,
                 "parent": node.parent, "owner_uin": node.owner, "access_scope": node.scope}
                for node in self.values()
            ],
            SYSTEM: [
                node.row(holder, privilege) for node in self.values()
                for holder, held in node.holders.items() for privilege in sorted(held)
            ],
        }  # fmt: skip
