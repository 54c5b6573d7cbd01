"""DMS's ground truth: instances, databases, tables, users, and one record per privilege of a user on an object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from emulator.journal import Journal
from emulator.visibility import Visibility

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


@dataclass(slots=True)
class DmsUser:
    """A user of the tenant."""

    user_id: str
    uid: str
    nick: str
    email: str
    state: str = "NORMAL"
    roles: tuple[str, ...] = ("USER",)


@dataclass(slots=True)
class Instance:
    """A database instance. ``mode`` COMMON is security collaboration: only there tables are listed."""

    instance_id: int
    alias: str
    host: str
    port: int
    db_type: str
    env: str
    mode: str
    dba: str
    owners: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Database:
    """A physical database, or a logical one over several physical ones (``parts``)."""

    db_id: int
    instance_id: int
    schema: str
    db_type: str
    env: str
    logic: bool = False
    parts: list[int] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


@dataclass(slots=True)
class Table:
    """A table of a database."""

    table_id: int
    name: str
    owners: list[str] = field(default_factory=list)


class Target(NamedTuple):
    """The object of a record, in the vendor's terms. Ids are numbers here and text on the wire."""

    ds_type: str
    instance_id: int
    db_id: int = 0
    logic: bool = False
    table_id: int = 0
    table_name: str = ""
    column: str = ""


class Record(NamedTuple):
    """One authorization record: one privilege of one user on one object."""

    access_id: int
    user_id: str
    target: Target
    perm: str
    created: str
    expires: str
    origin: str


@dataclass(slots=True)
class Policy:
    """An ABAC policy: gives access that has no record and no revoke by record id."""

    policy_id: int
    name: str
    perm: str
    instance_id: int
    db_id: int
    user_ids: list[str]


@dataclass(slots=True)
class TemplateItem:
    """One object of a permission template with the privileges it gives."""

    item_id: int
    resource_type: str
    instance_id: int
    db_id: int
    table_name: str
    perms: list[str]


@dataclass(slots=True)
class Template:
    """A permission template."""

    template_id: int
    name: str
    description: str
    created: str
    creator: str
    items: list[TemplateItem] = field(default_factory=list)


class DmsStore:
    """Everything of the tenant. Indexes are append-only lists of record ids, filtered when read."""

    def __init__(self, journal: Journal, visibility: Visibility, tenant_id: int) -> None:
        self._journal = journal
        self._visibility = visibility
        self.tenant_id = tenant_id
        self.users: dict[str, DmsUser] = {}
        self.by_uid: dict[str, str] = {}
        self.instances: dict[int, Instance] = {}
        self.databases: dict[int, Database] = {}
        self.policies: list[Policy] = []
        self.templates: dict[int, Template] = {}
        self.records: dict[int, Record] = {}
        self._of_user: dict[str, list[int]] = {}
        self._of_instance: dict[int, list[int]] = {}
        self._of_database: dict[int, list[int]] = {}
        self.next_id = 77_400_001

    def add_user(self, user: DmsUser) -> None:
        """Register a user."""
        self.users[user.user_id] = user
        self.by_uid[user.uid] = user.user_id

    def seed(self, user_id: str, target: Target, perm: str, created: str, expires: str, origin: str) -> Record:
        """Add a record without telling the journal (building the organization)."""
        record = Record(self.next_id, user_id, target, perm, created, expires, origin)
        self.next_id += 1
        self.records[record.access_id] = record
        self._of_user.setdefault(user_id, []).append(record.access_id)
        if target.ds_type == "INSTANCE":
            self._of_instance.setdefault(target.instance_id, []).append(record.access_id)
        else:
            self._of_database.setdefault(target.db_id, []).append(record.access_id)
        return record

    def add(self, user_id: str, target: Target, perm: str, created: str, expires: str, origin: str) -> Record:
        """Grant: always a new record with a new id, even where the same privilege exists."""
        record = self.seed(user_id, target, perm, created, expires, origin)
        self._journal.effect("added", "dms_permissions", self.row(record))
        return record

    def remove(self, access_id: int) -> Record | None:
        """Withdraw one record; None when there is none with this id."""
        record = self.records.pop(access_id, None)
        if record is not None:
            self._journal.effect("removed", "dms_permissions", self.row(record))
            self._visibility.removed("dms_permissions", record)
        return record

    def of_user(self, user_id: str) -> list[Record]:
        """Records of one user in order of creation."""
        return self._collect(self._of_user.get(user_id, ()), lambda record: record.user_id == user_id)

    def of_instance(self, instance_id: int) -> list[Record]:
        """Records on one instance itself (not on its databases)."""
        return self._collect(
            self._of_instance.get(instance_id, ()),
            lambda record: record.target.ds_type == "INSTANCE" and record.target.instance_id == instance_id,
        )

    def of_database(self, db_id: int) -> list[Record]:
        """Records on one database, its tables and its columns."""
        return self._collect(
            self._of_database.get(db_id, ()),
            lambda record: record.target.ds_type != "INSTANCE" and record.target.db_id == db_id,
        )

    def _collect(self, ids: Iterable[int], fits: Any) -> list[Record]:
        records = self.records
        found = [records[number] for number in ids if number in records]
        late = self._visibility.shown("dms_permissions", fits)
        return sorted([*found, *late]) if late else found

    @staticmethod
    def row(record: Record) -> dict[str, Any]:
        """A record as a row of the truth."""
        target = record.target
        return {
            "user_access_id": str(record.access_id), "user_id": record.user_id, "ds_type": target.ds_type,
            "instance_id": str(target.instance_id), "db_id": str(target.db_id or ""), "logic": target.logic,
            "table_id": str(target.table_id or ""), "table_name": target.table_name,
            "column_name": target.column, "perm_type": record.perm, "expire_date": record.expires,
            "create_date": record.created, "origin": record.origin,
        }  # fmt: skip

    def rows(self) -> Iterator[dict[str, Any]]:
        """All records."""
        for record in self.records.values():
            yield self.row(record)
