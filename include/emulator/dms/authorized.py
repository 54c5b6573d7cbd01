"""Effective access, whatever its source: valid records, owners, DBAs, policies, proxy accounts, roles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from emulator.dms import DMS
from emulator.dms.common import TEXT_PAGE, authorized_page, caller, failure
from emulator.dms.objects import find_database
from emulator.registry import Call
from emulator.store.dms import Database, DmsStore, Instance, Record
from emulator.store.policies import Policy

_DATA = ("QUERY", "EXPORT", "CORRECT")
ROLE_REACH = {
    "admin_dba": ("ADMIN", "DBA"), "admin": ("ADMIN",), "none": (),
    "all": ("ADMIN", "DBA", "SECURITY_ADMIN", "STRUCT_READ_ONLY"),
}  # fmt: skip
SOURCES = {
    "all": ("record", "owner", "dba", "policy", "proxy", "role"),
    "no_roles": ("record", "owner", "dba", "policy", "proxy"),
    "records_policies": ("record", "policy"),
}


class Path(NamedTuple):
    """One way in which a user reaches an object. ``source``: record, owner, dba, policy, proxy or role."""

    user_id: str
    ds_type: str
    perm: str
    expires: str
    message: str
    source: str

    def detail(self) -> dict[str, Any]:
        """The vendor's ``PermissionDetail``."""
        return {"DsType": self.ds_type, "PermType": self.perm, "ExpireDate": self.expires, "Message": self.message}


def _policy_users(store: DmsStore, policy: Policy) -> list[str]:
    """Users of a policy, directly and as holders of a custom role."""
    names = {name for name, number in store.custom_roles.items() if number in policy.role_ids}
    holders = [user.user_id for user in store.users.values() if names.intersection(user.roles)] if names else []
    return list(dict.fromkeys([*policy.user_ids, *holders]))


def _by_role(call: Call, kind: str) -> Iterator[Path]:
    """Users whose role reaches everything in the tenant."""
    reaching = ROLE_REACH[call.world.modes["dms_role_reach"]]
    for user in call.world.dms.users.values():
        for role in user.roles:
            if role in reaching:
                yield Path(user.user_id, kind, "", "", f"role {role}", "role")


def _over_instance(call: Call, instance: Instance) -> Iterator[Path]:
    """Owners and the DBA of an instance: they reach its databases too."""
    for user in instance.owners:
        yield Path(user, "INSTANCE", "", "", "owner", "owner")
    if instance.dba:
        yield Path(instance.dba, "INSTANCE", "", "", "DBA", "dba")


def _by_proxy(call: Call, instance: Instance) -> Iterator[Path]:
    """Users with an account of a proxy in front of the instance."""
    if call.world.modes["dms_proxy_reach"] == "instance":
        for proxy in call.world.dms.proxies.values():
            if proxy.instance_id == instance.instance_id:
                for access in proxy.accesses.values():
                    yield Path(access.user_id, "INSTANCE", "", "", f"proxy {proxy.proxy_id}", "proxy")


def _by_policy(call: Call, kind: str, instance: int, db: int, *, above: bool) -> Iterator[Path]:
    """Users of policies on an instance (``db`` 0) or a database; ``above``: policies on the instance reach down."""
    store = call.world.dms
    for policy in store.policies:
        if policy.effect == "Allow" and policy.on(instance, db, above=above):
            for user in _policy_users(store, policy):
                yield Path(user, kind, policy.perm, "", f"policy {policy.name}", "policy")


def _not_denied(call: Call, paths: Iterator[Path], instance: int, db: int, *, above: bool) -> Iterator[Path]:
    """Ways that no Deny policy takes away: it beats records and Allow policies of its privilege, by mode only these."""
    store = call.world.dms
    denied = {(user, policy.perm) for policy in store.policies
              if policy.effect == "Deny" and policy.on(instance, db, above=above)
              for user in _policy_users(store, policy)}  # fmt: skip
    beaten = {"records": ("record", "policy"), "policies": ("policy",)}[call.world.modes["dms_deny_reach"]]
    return (path for path in paths if path.source not in beaten or (path.user_id, path.perm) not in denied)


def _by_record(call: Call, records: Iterable[Record], kinds: tuple[str, ...], perms: tuple[str, ...]) -> Iterator[Path]:
    """Valid records on the object itself, or on the instance above it with privileges on data."""
    now = call.world.today
    for record in records:
        kind = record.target.ds_type
        if kind in kinds and (not perms or record.perm in perms) and record.expires >= now:
            yield Path(record.user_id, kind, record.perm, record.expires, "", "record")


def instance_paths(call: Call, instance: Instance) -> Iterator[Path]:
    """How users reach an instance."""
    return _not_denied(call, _instance_ways(call, instance), instance.instance_id, 0, above=False)


def _instance_ways(call: Call, instance: Instance) -> Iterator[Path]:
    yield from _by_record(call, call.world.dms.of_instance(instance.instance_id), ("INSTANCE",), ())
    yield from _over_instance(call, instance)
    yield from _by_proxy(call, instance)
    yield from _by_policy(call, "INSTANCE", instance.instance_id, 0, above=False)
    yield from _by_role(call, "INSTANCE")


def database_paths(call: Call, database: Database) -> Iterator[Path]:
    """How users reach a database: on itself, through its instance, as owners, by policy, proxy or role."""
    ways = _database_ways(call, database)
    return _not_denied(call, ways, database.instance_id, database.db_id, above=not database.logic)


def _database_ways(call: Call, database: Database) -> Iterator[Path]:
    store = call.world.dms
    kind = "LOGIC_DATABASE" if database.logic else "DATABASE"
    yield from _by_record(call, store.of_database(database.db_id), (kind,), ())
    if not database.logic:
        yield from _by_record(call, store.of_instance(database.instance_id), ("INSTANCE",), _DATA)
        if call.world.modes["dms_owner_reach"] == "down":
            yield from _over_instance(call, store.instances[database.instance_id])
        yield from _by_proxy(call, store.instances[database.instance_id])
    for user in database.owners:
        yield Path(user, kind, "", "", "owner", "owner")
    yield from _by_policy(call, kind, database.instance_id, database.db_id, above=not database.logic)
    yield from _by_role(call, kind)


def _listed(call: Call, paths: Iterator[Path]) -> Iterator[Path]:
    """What the four lists show of the ways in, by mode."""
    shown = SOURCES[call.world.modes["dms_authorized_sources"]]
    return (path for path in paths if path.source in shown)


def _active(call: Call, path: Path) -> bool:
    """Whether a way counts: for an enabled user, and a proxy account for a disabled one where the mode says so."""
    user = call.world.dms.users.get(path.user_id)
    if user is None or user.state == "NORMAL":
        return user is not None
    return user.state == "DISABLE" and path.source == "proxy" and call.world.modes["dms_disabled_proxies"] == "usable"


def _known(call: Call) -> str:
    caller(call)
    if call.text("UserId") not in call.world.dms.users:
        raise failure(call, "UserNotExist", "The specified user does not exist.", 404)
    return call.text("UserId")


@DMS.action("ListAuthorizedInstancesForUser", f"Tid:int UserId! {TEXT_PAGE} DbType EnvType SearchKey", bare=True)
def instances_for_user(call: Call) -> dict[str, Any]:
    """Instances a user can reach. No TotalCount, no Success."""
    user_id, rows = _known(call), []
    for instance in call.world.dms.instances.values():
        if call.text("DbType") not in ("", instance.db_type) or call.text("EnvType") not in ("", instance.env):
            continue
        for path in _listed(call, instance_paths(call, instance)):
            if path.user_id == user_id and _active(call, path):
                rows.append({
                    "InstanceId": str(instance.instance_id), "InstanceAlias": instance.alias, "Host": instance.host,
                    "Port": str(instance.port), "DbType": instance.db_type, "EnvType": instance.env,
                    "UserId": user_id, "UserName": call.world.dms.users[user_id].nick,
                    "PermissionDetail": path.detail(),
                })  # fmt: skip
    return {"Instances": authorized_page(call, rows)}


@DMS.action(
    "ListAuthorizedDatabasesForUser", f"Tid:int UserId! {TEXT_PAGE} DbType EnvType Logic:bool SearchKey", bare=True
)
def databases_for_user(call: Call) -> dict[str, Any]:
    """Databases a user can reach: one row for each way in."""
    user_id, rows = _known(call), []
    for database in call.world.dms.databases.values():
        if call.params.get("Logic", database.logic) != database.logic:
            continue
        if call.text("SearchKey") not in database.schema:
            continue
        for path in _listed(call, database_paths(call, database)):
            if path.user_id == user_id and _active(call, path):
                rows.append({
                    "DbId": str(database.db_id), "InstanceId": str(database.instance_id), "Logic": database.logic,
                    "SchemaName": database.schema, "SearchName": database.schema, "DbType": database.db_type,
                    "EnvType": database.env, "UserId": user_id, "PermissionDetail": path.detail(),
                })  # fmt: skip
    return {"Databases": authorized_page(call, rows)}


def _users(call: Call, paths: Iterator[Path], *, real_name: bool) -> dict[str, Any]:
    users, rows = call.world.dms.users, []
    for user_id in dict.fromkeys(path.user_id for path in paths if _active(call, path)):
        user = users[user_id]
        if call.text("SearchKey") not in user.nick:
            continue
        row = {"UserId": user_id, "Uid": user.uid, "UserNickName": user.nick}
        rows.append({**row, "UserRealName": user.nick} if real_name else row)
    return {"Users": authorized_page(call, rows)}


@DMS.action("ListAuthorizedUsersForInstance", f"Tid:int InstanceId! {TEXT_PAGE} SearchKey", bare=True)
def users_for_instance(call: Call) -> dict[str, Any]:
    """Users that can reach an instance."""
    caller(call)
    text = call.text("InstanceId")
    instance = call.world.dms.instances.get(int(text)) if text.isdecimal() else None
    if instance is None:
        raise failure(call, "InstanceNotExist", "The specified instance does not exist.", 404)
    return _users(call, _listed(call, instance_paths(call, instance)), real_name=True)


@DMS.action("ListAuthorizedUsersForDatabase", f"Tid:int DbId! {TEXT_PAGE} Logic:bool SearchKey", bare=True)
def users_for_database(call: Call) -> dict[str, Any]:
    """Users that can reach a database."""
    caller(call)
    database = find_database(call, call.text("DbId"), logic=call.params.get("Logic", False))
    return _users(call, _listed(call, database_paths(call, database)), real_name=False)


@DMS.action(
    "CheckBatchTableAccessPermission", "Tid:int DbId!:int PermissionType! TableNameList!:json Logic:bool",
    methods=("POST",),
)  # fmt: skip
def check_tables(call: Call) -> dict[str, Any]:
    """Whether the caller itself has a privilege on tables; ``Success`` of each is a text."""
    me = caller(call)
    database = find_database(call, str(call.params["DbId"]), logic=call.params.get("Logic", False))
    perm, now = call.text("PermissionType"), call.world.today
    whole = any(path.user_id == me.user_id and path.perm in ("", perm) for path in database_paths(call, database))
    tables = {
        record.target.table_name
        for record in call.world.dms.of_database(database.db_id)
        if record.user_id == me.user_id and record.perm == perm and record.target.table_id and record.expires >= now
    }
    if call.world.modes["dms_owner_reach"] == "down":
        tables |= {table.name for table in database.tables if me.user_id in table.owners}
    return {"Data": [
        {"TableName": name, "Success": "true" if whole or name in tables else "false",
         "ErrorMessage": "" if whole or name in tables else "no permission"}
        for name in call.params["TableNameList"]
    ]}  # fmt: skip
