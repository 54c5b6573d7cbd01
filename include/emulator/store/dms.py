"""DMS's ground truth: instances, databases, tables, users, and one record per privilege of a user on an object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from emulator.journal import Journal
from emulator.store.policies import Policies
from emulator.visibility import Visibility

TIME_FORMAT = "%Y-%m-%d %H:%M:%S"


@dataclass(slots=True)
class DmsUser:
    """A user of the tenant. ``roles`` holds preset role names and names of custom roles."""

    user_id: str
    uid: str
    nick: str
    email: str
    state: str = "NORMAL"
    roles: tuple[str, ...] = ("USER",)
    mobile: str = ""
    most_queries: int = 2000
    most_rows: int = 100_000


@dataclass(slots=True)
class Instance:
    """A database instance. ``mode`` COMMON is security collaboration: only there tables are listed.

    NONE_CONTROL needs no record at all: a database password is enough.
    """

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
class Proxy:
    """A secure access proxy in front of an instance; ``accesses`` are its accounts by ``ProxyAccessId``."""

    proxy_id: int
    instance_id: int
    creator: str
    accesses: dict[int, ProxyAccess] = field(default_factory=dict)


@dataclass(slots=True)
class ProxyAccess:
    """A proxy account of one user, with a database password of its own when ``account`` is set."""

    access_id: int
    proxy_id: int
    user_id: str
    account: str
    origin: str
    created: str


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
        self.policies = Policies(journal, visibility)
        self.custom_roles: dict[str, int] = {}
        self.proxies: dict[int, Proxy] = {}
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
        self._visibility.added("dms_permissions", record)
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
        hidden = self._visibility.hidden("dms_permissions", fits)
        found = [record for record in found if record not in hidden] if hidden else found
        return sorted([*found, *late]) if late else found

    def owners_of(self, kind: str, ident: int) -> list[str] | None:
        """The owner list of an instance, (logical) database or (logical) table; None for an unknown object."""
        if kind == "INSTANCE":
            instance = self.instances.get(ident)
            return instance.owners if instance else None
        logic = kind.startswith("LOGIC_")
        if kind.endswith("DATABASE"):
            database = self.databases.get(ident)
            return database.owners if database and database.logic == logic else None
        tables = [table for database in self.databases.values() if database.logic == logic for table in database.tables]
        return next((table.owners for table in tables if table.table_id == ident), None)

    def set_state(self, user: DmsUser, state: str) -> bool:
        """Enable, disable or delete a user; False when it has the state already."""
        before, user.state = user.state, state
        if before == state:
            return False
        if "NORMAL" in (before, state):
            op = "added" if state == "NORMAL" else "removed"
            self._journal.effect(op, "dms_accounts", {"user_id": user.user_id, "uid": user.uid})
        else:
            self._journal.effect("changed", "dms_users", {"user_id": user.user_id, "state": state})
        self._visibility.removed("dms_accounts", (user.user_id, before))
        return True

    def set_roles(self, user: DmsUser, roles: tuple[str, ...]) -> bool:
        """Give a user these roles and no others; False when nothing changed. The journal has one effect for each."""
        before, user.roles = user.roles, roles
        for op, names in (("removed", set(before) - set(roles)), ("added", set(roles) - set(before))):
            for name in sorted(names):
                self._journal.effect(op, "dms_system_roles", {"user_id": user.user_id, "role": name})
        if before != roles:
            self._visibility.removed("dms_system_roles", (user.user_id, before))
        return before != roles

    def set_dba(self, instance: Instance, user_id: str) -> bool:
        """Make a user the DBA of an instance; empty for nobody."""
        before, instance.dba = instance.dba, user_id
        if before != user_id:
            self.changed("changed", "dbas", {"instance_id": str(instance.instance_id), "user_id": user_id})
        return before != user_id

    def listed_users(self, user_id: str = "") -> list[DmsUser]:
        """All users, or one, as listings show them: late states and roles included."""
        late = [dict(reversed(self._visibility.shown(kind, lambda item: user_id in ("", item[0]))))
                for kind in ("dms_accounts", "dms_system_roles")]  # fmt: skip
        found = [self.users[user_id]] if user_id else list(self.users.values())
        if not any(late):
            return found
        return [replace(user, state=late[0].get(user.user_id, user.state), roles=late[1].get(user.user_id, user.roles))
                for user in found]  # fmt: skip

    def own(self, kind: str, ident: int, user_id: str, *, remove: bool = False) -> bool:
        """Make a user an owner or take it off the list; False when nothing changed.

        :raises KeyError: for an object that does not exist.
        """
        owners = self.owners_of(kind, ident)
        if owners is None:
            raise KeyError(f"{kind} {ident}")
        if (user_id in owners) != remove:
            return False
        (owners.remove if remove else owners.append)(user_id)
        self._journal.effect("removed" if remove else "added", "dms_owners", {
            "owner_type": kind, "resource_id": str(ident), "user_id": user_id,
        })  # fmt: skip
        return True

    def changed(self, op: str, kind: str, fields: dict[str, Any]) -> None:
        """Tell the journal about a role, a DBA, a proxy account or a policy authorization."""
        self._journal.effect(op, f"dms_{kind}", fields)

    def access(self, proxy_id: int, user_id: str, account: str, created: str, origin: str) -> ProxyAccess:
        """Open a proxy account."""
        number = 1 + max((number for proxy in self.proxies.values() for number in proxy.accesses), default=8_800)
        access = ProxyAccess(number, proxy_id, user_id, account, origin, created)
        self.proxies[proxy_id].accesses[number] = access
        self.changed("added", "proxy_accesses", self.access_row(access))
        self._visibility.added("dms_proxy_accesses", access)
        return access

    def close_access(self, access_id: int) -> bool:
        """Close a proxy account; False when there is none."""
        for proxy in self.proxies.values():
            access = proxy.accesses.pop(access_id, None)
            if access is not None:
                self.changed("removed", "proxy_accesses", self.access_row(access))
                self._visibility.removed("dms_proxy_accesses", access)
                return True
        return False

    def listed_accesses(self, proxy: Proxy) -> list[ProxyAccess]:
        """Accounts of a proxy as a listing shows them."""
        late = [self._visibility.shown, self._visibility.hidden]
        shown, hidden = (one("dms_proxy_accesses", lambda item: item.proxy_id == proxy.proxy_id) for one in late)
        return [*(access for access in proxy.accesses.values() if access not in hidden), *shown]

    @staticmethod
    def access_row(access: ProxyAccess) -> dict[str, Any]:
        """A proxy account as a row of the truth."""
        return {
            "proxy_access_id": str(access.access_id), "proxy_id": str(access.proxy_id), "user_id": access.user_id,
            "account": access.account,
        }  # fmt: skip

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
