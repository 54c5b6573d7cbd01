"""WeData's ground truth: catalog objects with privileges, projects with members, data sources with audiences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from emulator.journal import Journal
from emulator.visibility import Visibility

TYPE_NAMES = {
    "metalake": "Metalake", "catalog": "Catalog", "schema": "Schema", "table": "Table",
    "view": "View", "function": "Function", "model": "Model", "volume": "Volume",
}  # fmt: skip
SUBJECT_TYPES = ("User", "Project", "Role", "GlobalRole")
EVERYONE = "AllAccountUsers"
ADMINISTRATOR_ROLE = "308335260274237440"
PROJECT_ROLES = {
    ADMINISTRATOR_ROLE: ("ProjectManager", "Project administrator"),
    "308335260676890624": ("DataEngineer", "Data engineer"),
    "308335260844662784": ("OperationsEngineer", "Operations engineer"),
    "308335260945326080": ("OrdinaryMember", "Ordinary member"),
}
# Privileges that mean something on the object itself only, so that objects below do not inherit them.
NOT_INHERITED = {"table": {"USE_CATALOG", "CREATE_CATALOG", "CREATE_SCHEMA", "USE_SCHEMA", "CREATE_TABLE"},
                 "schema": {"USE_CATALOG", "CREATE_CATALOG", "CREATE_SCHEMA"},
                 "catalog": {"CREATE_CATALOG"}}  # fmt: skip


class Resource(NamedTuple):
    """A catalog object: lower-case type and dotted path (``default`` for the metalake)."""

    type: str
    uri: str


class Subject(NamedTuple):
    """Who holds a privilege: User, Project, Role or GlobalRole, and the id of that type."""

    type: str
    value: str


METALAKE = Resource("metalake", "default")


def ancestors(resource: Resource) -> list[Resource]:
    """The objects above, nearest first."""
    if resource.type == "metalake":
        return []
    parts = resource.uri.split(".")
    above = [Resource("catalog" if size == 1 else "schema", ".".join(parts[:size])) for size in range(1, len(parts))]
    return [*reversed(above), METALAKE]


class PrivilegeStore:
    """Privileges by resource and subject; the privileges of one subject are bits of one number."""

    def __init__(self, journal: Journal, visibility: Visibility) -> None:
        self._journal = journal
        self._visibility = visibility
        self.names: list[str] = []
        self._bits: dict[str, int] = {}
        self.grants: dict[Resource, dict[Subject, int]] = {METALAKE: {}}
        self.count = 0

    def add_resource(self, resource: Resource) -> None:
        """Make an object known."""
        self.grants.setdefault(resource, {})

    def bit(self, name: str) -> int:
        """The bit of a privilege name, a new one when the name is new (the set of names is open)."""
        if name not in self._bits:
            self._bits[name] = 1 << len(self.names)
            self.names.append(name)
        return self._bits[name]

    def names_of(self, mask: int) -> list[str]:
        """Names in a mask."""
        return [name for index, name in enumerate(self.names) if mask >> index & 1]

    def seed(self, resource: Resource, subject: Subject, name: str) -> bool:
        """Add without telling the journal (building the organization); False when it was there."""
        holders = self.grants.setdefault(resource, {})
        before = holders.get(subject, 0)
        bit = self.bit(name)
        if before & bit:
            return False
        holders[subject] = before | bit
        self.count += 1
        return True

    def add(self, resource: Resource, subject: Subject, name: str) -> bool:
        """Grant; False when it was there."""
        added = self.seed(resource, subject, name)
        if added:
            self._journal.effect("added", "wedata_privileges", self.row(resource, subject, name))
        return added

    def remove(self, resource: Resource, subject: Subject, name: str) -> bool:
        """Withdraw a direct grant; False when there is none."""
        holders = self.grants.get(resource, {})
        mask = holders.get(subject, 0)
        bit = self._bits.get(name, 0)
        if not mask & bit:
            return False
        if mask == bit:
            del holders[subject]
        else:
            holders[subject] = mask & ~bit
        self.count -= 1
        self._journal.effect("removed", "wedata_privileges", self.row(resource, subject, name))
        self._visibility.removed("wedata_privileges", (resource, subject, name))
        return True

    def direct(self, resource: Resource) -> dict[Subject, int]:
        """Direct grants of one object as a listing sees them, late ones included."""
        held = self.grants.get(resource, {})
        late = self._visibility.shown("wedata_privileges", lambda item: item[0] == resource)
        if late:
            held = dict(held)
            for _, subject, name in late:
                held[subject] = held.get(subject, 0) | self.bit(name)
        return held

    def inherited(self, resource: Resource) -> Iterator[tuple[Resource, Subject, int]]:
        """Grants of the objects above that reach down to this one: (where from, subject, mask)."""
        blocked = 0
        for name in NOT_INHERITED.get(resource.type, ()):
            blocked |= self._bits.get(name, 0)
        for above in ancestors(resource):
            for subject, mask in self.direct(above).items():
                if mask & ~blocked:
                    yield above, subject, mask & ~blocked

    def inherits(self, resource: Resource, subject: Subject, name: str) -> Resource | None:
        """The object from which a subject inherits a privilege here, if any."""
        bit = self._bits.get(name, 0)
        for above, holder, mask in self.inherited(resource):
            if holder == subject and mask & bit:
                return above
        return None

    @staticmethod
    def row(resource: Resource, subject: Subject, name: str) -> dict[str, Any]:
        """A grant as a row of the truth."""
        return {
            "resource_type": TYPE_NAMES.get(resource.type, resource.type), "resource_uri": resource.uri,
            "subject_type": subject.type, "subject_value": subject.value, "privilege": name,
        }  # fmt: skip

    def rows(self) -> Iterator[dict[str, Any]]:
        """All direct grants."""
        for resource, holders in self.grants.items():
            for subject, mask in holders.items():
                for name in self.names_of(mask):
                    yield self.row(resource, subject, name)


@dataclass(slots=True)
class Project:
    """A project with its members (uin to role ids). Owner and creator need not be members."""

    project_id: str
    name: str
    owner: str
    creator: str
    members: dict[str, set[str]] = field(default_factory=dict)
    roles: dict[str, tuple[str, str]] = field(default_factory=lambda: dict(PROJECT_ROLES))


class ProjectMembers:
    """Who is in a project and with which roles: two kinds of rows of the truth, the member and each of its roles."""

    def __init__(self, journal: Journal, visibility: Visibility) -> None:
        self._journal = journal
        self._visibility = visibility

    def change(self, project: Project, uin: str, roles: set[str] | None) -> bool:
        """Give a member these roles and no others; None takes it out. False when nothing changed."""
        before = project.members.get(uin)
        if before == roles:
            return False
        member = {"project_id": project.project_id, "user_uin": uin}
        if before is None:
            self._journal.effect("added", "wedata_project_members", member)
        held, wanted = before or set(), roles or set()
        for op, ids in (("removed", held - wanted), ("added", wanted - held)):
            for role_id in sorted(ids):
                self._journal.effect(op, "wedata_project_roles", {**member, "role_id": role_id})
        if roles is None:
            self._journal.effect("removed", "wedata_project_members", member)
            del project.members[uin]
        else:
            project.members[uin] = set(roles)
        self._visibility.removed("wedata_project_members", (project.project_id, uin, before))
        return True

    def listed(self, project: Project) -> dict[str, set[str]]:
        """Members with their roles as a listing shows them: late changes are not there yet."""
        shown = dict(project.members)
        late = self._visibility.shown("wedata_project_members", lambda item: item[0] == project.project_id)
        for _, uin, before in reversed(late):
            if before is None:
                shown.pop(uin, None)
            else:
                shown[uin] = before
        return shown


@dataclass(slots=True)
class DataSource:
    """A data source. ``share_mode`` decides the default audience that no listing shows.

    ``project``: users of the creating project; ``owner``: its creator and that project's administrators.
    """

    source_id: int
    project_id: str
    kind: str
    name: str
    creator: str
    share_mode: str
    projects: dict[str, None] = field(default_factory=dict)
    users: dict[tuple[str, str], None] = field(default_factory=dict)


class DataSourceStore:
    """Data sources and whom they are authorized to."""

    def __init__(self, journal: Journal, visibility: Visibility) -> None:
        self._journal = journal
        self._visibility = visibility
        self.sources: dict[int, DataSource] = {}
        self.count = 0

    def add(self, source: DataSource, project_id: str, user_id: str = "", *, quiet: bool = False) -> bool:
        """Admit a project, or a user of a project; False when it was there."""
        held: dict[Any, None] = source.users if user_id else source.projects
        key: Any = (project_id, user_id) if user_id else project_id
        if key in held:
            return False
        held[key] = None
        self.count += 1
        if not quiet:
            self._journal.effect("added", "wedata_data_sources", self.row(source.source_id, project_id, user_id))
        return True

    def remove(self, source: DataSource, project_id: str, user_id: str = "") -> bool:
        """Take one entry off; False when there is none."""
        held: dict[Any, None] = source.users if user_id else source.projects
        key: Any = (project_id, user_id) if user_id else project_id
        if key not in held:
            return False
        del held[key]
        self.count -= 1
        self._journal.effect("removed", "wedata_data_sources", self.row(source.source_id, project_id, user_id))
        self._visibility.removed("wedata_data_sources", (source.source_id, project_id, user_id))
        return True

    def wipe(self, source: DataSource) -> int:
        """Take every entry off; how many there were. The default audience stays."""
        entries = [(project, "") for project in source.projects] + list(source.users)
        for project, user in entries:
            self.remove(source, project, user)
        return len(entries)

    def audience(self, source: DataSource) -> tuple[list[str], list[tuple[str, str]]]:
        """Projects and users as a listing sees them, late ones included."""
        projects, users = list(source.projects), list(source.users)
        for _, project, user in self._visibility.shown("wedata_data_sources", lambda item: item[0] == source.source_id):
            if user and (project, user) not in users:
                users.append((project, user))
            elif not user and project not in projects:
                projects.append(project)
        return projects, users

    @staticmethod
    def row(source_id: int, project_id: str, user_id: str) -> dict[str, Any]:
        """An entry as a row of the truth."""
        return {
            "data_source_id": str(source_id), "kind": "user" if user_id else "project",
            "project_id": project_id, "user_id": user_id,
        }  # fmt: skip

    def rows(self) -> Iterator[dict[str, Any]]:
        """All entries."""
        for source in self.sources.values():
            for project in source.projects:
                yield self.row(source.source_id, project, "")
            for project, user in source.users:
                yield self.row(source.source_id, project, user)
