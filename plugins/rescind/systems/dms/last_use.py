"""Alibaba DMS: when users last used their permissions, by the operation audit.

Three logs: statements (by user and database), operations (exports and data changes, by the name of a database) and
logons (by user and instance). The vendor keeps them for three years where an instance is under Stable Change or
Security Collaboration, or has sensitive data protection. Elsewhere it keeps them for one day, which is over before it
can be read. A use past DMS, by a database account, is in none of them. Statements are not parsed, so nothing is known
of tables and columns, and one in a database may reach the others of its instance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, get_args

from rescind.cloud.clients import DmsClient
from rescind.cloud.dms.audit_logs import (
    AuditEntry,
    ExportModule,
    GetOpLog,
    ListInstanceLoginAuditLog,
    ListSQLExecAuditLog,
    LoginEntry,
    LogRead,
    OperationEntry,
    SqlEntry,
)
from rescind.cloud.dms.inventory import DmsInstance
from rescind.errors import ListingIncompleteError, first_of
from rescind.model import Grant, Principal
from rescind.systems.dms.surfaces import Objects
from rescind.systems.last_use import (
    FAILURES,
    NOT_READ,
    CapReachedError,
    Judge,
    LastUse,
    Newest,
    Place,
    UsageRequest,
    day_of,
    not_known,
    reason_of,
)

USAGE_READS = frozenset({"GetOpLog", "ListInstanceLoginAuditLog", "ListSQLExecAuditLog"})
STATEMENTS, OPERATIONS, LOGONS = "DMS audit log of statements", "DMS operation log", "DMS audit log of logons"
NO_TABLES = "the logs show databases, not tables and columns"
NO_CLASS = "no log shows the use of this permission"
SHORT = "the platform keeps the log of this instance for one day only, or does not say"
UNPLACED = "the log has a use by this user that names no single database"
ACROSS = "the user worked in another database of the same instance, and a statement can reach across"
NEW = "granted too recently, or the platform does not say when"
_KEEPING = frozenset({"COMMON", "STABLE"})
_READING = frozenset({"SELECT", "SHOW", "DESC", "DESCRIBE", "EXPLAIN", "USE", "HELP"})
_NOT_DONE = frozenset({"FAIL", "NOEXE", "CANCEL"})
_DONE = "SUCCESS"
_EXPORTS: tuple[ExportModule, ...] = get_args(ExportModule)
_CHANGE = "DATA_CHANGE"
_QUERY, _CORRECT, _EXPORT, _LOGIN = "QUERY", "CORRECT", "EXPORT", "LOGIN"


@dataclass(slots=True)
class _Log:
    """One log while it is read, and what is known by it.

    :ivar unplaced: users with an entry that may be a use of anything.
    :ivar anybody: whether an entry may be a use by anybody.
    :ivar busy: user -> places that were used.
    :ivar why: why nothing is known by it; empty once it was read to its end.
    """

    name: str
    found: dict[str, Newest] = field(default_factory=dict)
    unplaced: set[str] = field(default_factory=set)
    anybody: bool = False
    busy: dict[str, set[Place]] = field(default_factory=dict)
    entries: int = 0
    why: str = NOT_READ

    def use(self, right: str, user: str, place: Place, day: date, how: str) -> None:
        self.found.setdefault(right, Newest()).add(user, place, day, f"{how}, {self.name}")
        self.busy.setdefault(user, set()).add(place)

    def of(self, right: str, user: str, place: Place) -> tuple[date, str] | None:
        newest = self.found.get(right)
        return newest.of(user, place) if newest else None


class DmsUse:
    """Reads the logs of one tenant, and says what is known of a grant."""

    def __init__(self, objects: Objects, users: Sequence[Principal], asked: UsageRequest) -> None:
        self._asked = asked
        self._ids = {ident: user.principal_id for user in users for _, ident in user.other_ids}
        self._ids |= {user.principal_id: user.principal_id for user in users}
        self._statements, self._operations, self._logons = (_Log(name) for name in (STATEMENTS, OPERATIONS, LOGONS))
        self._named: dict[str, set[Place]] = {}
        self._hosts: dict[Place, set[str | None]] = {}
        keeping = {one.InstanceId for one in objects.instances if _keeps(one)}
        self._kept: set[Place] = {("instance", ident) for ident in keeping}
        host = {one.DatabaseId: one.InstanceId for one in objects.databases}
        for database in objects.databases:
            self._name(_physical(database.DatabaseId), database.SchemaName, database.SearchName)
            self._hosts[_physical(database.DatabaseId)] = {database.InstanceId}
            if host[database.DatabaseId] in keeping:
                self._kept.add(_physical(database.DatabaseId))
        for logical in objects.logical:
            self._name(_logical(logical.DatabaseId), logical.SchemaName, logical.SearchName, logical.Alias)
            self._hosts[_logical(logical.DatabaseId)] = {host.get(part) for part in logical.part_ids} or {None}
            if logical.part_ids and all(host.get(part) in keeping for part in logical.part_ids):
                self._kept.add(_logical(logical.DatabaseId))

    def _name(self, place: Place, *names: str | None) -> None:
        for name in names:
            if name:
                self._named.setdefault(name, set()).add(place)

    async def read(self, client: DmsClient, tid: str) -> None:
        """Read every log, side by side; one that fails says nothing, and is noted."""
        modules = [_module(name) for name in (*_EXPORTS, _CHANGE)]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(client, self._statements, [ListSQLExecAuditLog], self._statement, tid))
                group.create_task(self._read(client, self._operations, modules, self._operation, tid))
                group.create_task(self._read(client, self._logons, [ListInstanceLoginAuditLog], self._logon, tid))
        except BaseExceptionGroup as errors:
            raise first_of(errors) from errors

    async def _read(
        self,
        client: DmsClient,
        log: _Log,
        reads: Sequence[Callable[..., LogRead]],
        take: Callable[[Any, str, date], None],
        tid: str,
    ) -> None:
        failed: BaseException | None = None
        try:
            for day in self._asked.window():
                for read in reads:
                    # To the midnight after it: whether the vendor includes the end is not documented.
                    times = {"StartTime": f"{day} 00:00:00", "EndTime": f"{day + timedelta(days=1)} 00:00:00"}
                    await self._day(client, log, read(**times, Tid=tid), take)
            log.why = ""
        except (*FAILURES, CapReachedError) as error:
            failed, log.why = error, reason_of(error)
        self._asked.note(log.name, failed, entries=log.entries)

    async def _day(self, client: DmsClient, log: _Log, read: LogRead, take: Callable[[Any, str, date], None]) -> None:
        """Take every entry of one closed day. The total must be there and stay, and every entry must come.

        :raises ListingIncompleteError: otherwise, also for an entry whose time cannot be read.
        """
        name, total, seen, number = f"{read.action} of {read.StartTime[:10]}", -1, 0, 0
        while seen < total or number == 0:
            number += 1
            self._asked.call()
            page = (await client.read(read.at(number))).value
            entries = page.entries() if page.TotalCount else page.entries() or ()
            if page.TotalCount is None or entries is None:
                raise ListingIncompleteError(name, "no total or no entries, so nothing proves that all came")
            if number > 1 and page.TotalCount != total:
                raise ListingIncompleteError(name, "the total changed between pages", shifted=True)
            total, seen = page.TotalCount, seen + len(entries)
            if seen > total or (not entries and seen < total):
                raise ListingIncompleteError(name, f"{total} entries declared, {seen} came")
            self._take(log, name, entries, take)

    def _take(
        self, log: _Log, name: str, entries: Iterable[AuditEntry], take: Callable[[Any, str, date], None]
    ) -> None:
        for entry in entries:
            log.entries += 1
            day = day_of(entry.OpTime)
            if day is None:
                raise ListingIncompleteError(name, "the time of an entry cannot be read")
            if entry.UserId is None:
                log.anybody = True
            else:
                take(entry, entry.UserId, day)

    def _statement(self, entry: SqlEntry, user: str, day: date) -> None:
        """A statement that may change data may read it too; one of an unknown kind may do both."""
        if entry.ExecState in _NOT_DONE:
            return
        place = self._database(entry)
        if entry.ExecState != _DONE or place is None:
            self._statements.unplaced.add(user)
            return
        reads = (entry.SQLType or "").upper() in _READING
        self._statements.use(_QUERY, user, place, day, "query" if reads else "statement")
        if not reads:
            self._statements.use(_CORRECT, user, place, day, "statement")

    def _database(self, entry: SqlEntry) -> Place | None:
        if entry.DbId in (None, "0"):  # on an instance
            return None
        either = [_physical(entry.DbId or ""), _logical(entry.DbId or "")]
        if entry.Logic is not None:
            return either[entry.Logic]
        fits = [place for place in either if place in self._hosts]
        return fits[0] if len(fits) == 1 else None

    def _operation(self, entry: OperationEntry, user: str, day: date) -> None:
        places = self._named.get(entry.Database or "", set())
        users = {self._ids.get(one, "") for one in (user, entry.OpUserId) if one}
        if "" in users:
            self._operations.anybody = True
            return
        if len(places) != 1 or len(users) != 1 or entry.Module not in (*_EXPORTS, _CHANGE):
            self._operations.unplaced |= users
            return
        right, how = (_CORRECT, "data change") if entry.Module == _CHANGE else (_EXPORT, "export")
        (who,), (place,) = users, places
        self._operations.use(right, who, place, day, how)

    def _logon(self, entry: LoginEntry, user: str, day: date) -> None:
        if entry.InstanceId is None:
            self._logons.unplaced.add(user)
        else:
            self._logons.use(_LOGIN, user, ("instance", entry.InstanceId), day, "logon")

    def judge(self, grant: Grant) -> LastUse:
        """Return what is known of one record."""
        kind, right, ident = grant.key.resource_type, grant.key.entitlement, grant.key.resource_id
        if kind in ("table", "logic_table", "column"):
            return not_known(NO_TABLES)
        logs = {
            _QUERY: (self._statements,),
            _CORRECT: (self._statements, self._operations),
            _EXPORT: (self._operations,),
        }.get(right if kind in ("database", "logic_database") else "", ())
        place = _logical(ident) if kind == "logic_database" else _physical(ident)
        if (kind, right) == ("instance", _LOGIN):
            logs, place = (self._logons,), ("instance", ident)
        if not logs:
            return not_known(NO_CLASS)
        return self._by(logs, right, place, grant)

    def _by(self, logs: Sequence[_Log], right: str, place: Place, grant: Grant) -> LastUse:
        user = grant.key.principal_id
        if unread := next((log.why for log in logs if log.why), ""):
            return not_known(unread)
        doubt = self._doubt(logs, user, place)
        if seen := [use for log in logs if (use := log.of(right, user, place))]:
            day, how = max(seen)
            return LastUse(0 if doubt else self._asked.since(day), day.isoformat(), how)
        if doubt:
            return not_known(doubt)
        granted = day_of(grant.created_raw)
        days = min(self._asked.days, self._asked.since(granted)) if granted else 0
        return LastUse(days, "", " and ".join(log.name for log in logs)) if days else not_known(NEW)

    def _doubt(self, logs: Sequence[_Log], user: str, place: Place) -> str:
        """Return why there may be a use, or a later one, that the logs do not show of this place."""
        if place not in self._kept:
            return SHORT
        if any(log.anybody or user in log.unplaced for log in logs):
            return UNPLACED
        return ACROSS if any(self._reaches(used, place) for log in logs for used in log.busy.get(user, ())) else ""

    def _reaches(self, used: Place, other: Place) -> bool:
        """Return whether a statement in one database may be a use of another; so may one in a database not listed."""
        if used == other or other not in self._hosts:
            return False
        hosts = self._hosts.get(used, {None})
        return None in hosts or not hosts.isdisjoint(self._hosts[other])


def _module(name: str) -> Callable[..., LogRead]:
    return lambda **fields: GetOpLog.model_validate({"Module": name, **fields})


def _physical(ident: str) -> Place:
    return ("database", ident)


def _logical(ident: str) -> Place:
    return ("logic_database", ident)


def _keeps(instance: DmsInstance) -> bool:
    """Whether the vendor keeps the logs of an instance; a mode that is not named counts like one that does not."""
    mode = instance.StandardGroup.GroupMode if instance.StandardGroup else None
    return mode in _KEEPING or instance.SellSitd is True


async def last_use(
    client: DmsClient, tid: str, users: Sequence[Principal], objects: Objects, asked: UsageRequest | None
) -> Judge | None:
    """Return what says when a record was last used; None when the run does not ask."""
    if asked is None:
        return None
    use = DmsUse(objects, users, asked)
    await use.read(client, tid)
    return use.judge
