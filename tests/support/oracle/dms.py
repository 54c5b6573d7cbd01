"""Who reaches an instance, database, table or proxy of DMS, has an account or a role there, and through what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.support.oracle.ways import Dump, Path, Resource

_ROLES = {
    "admin_dba": {"ADMIN", "DBA"}, "admin": {"ADMIN"}, "none": set[str](),
    "all": {"ADMIN", "DBA", "SECURITY_ADMIN", "STRUCT_READ_ONLY"},
}  # fmt: skip
_DATA = ("QUERY", "EXPORT", "CORRECT")


class _Object(NamedTuple):
    kind: str
    id: str


def object_paths(dump: Dump, user_id: str, resource: Resource, privilege: str) -> Iterator[Path]:
    """Ways in which a user has a privilege on an object. A user who is not enabled has none.

    One exception: where the mode says so, a disabled user goes on using accounts of proxies.
    """
    rows = dump.by("dms_users", "user_id").get((user_id,), [])
    if not rows:
        return
    chain = _chain(dump, resource)
    if rows[0]["state"] != "NORMAL":
        if rows[0]["state"] == "DISABLE" and dump.mode("dms_disabled_proxies", "useless") == "usable":
            yield from _behind_proxies(dump, user_id, chain)
        return
    yield from _given(dump, user_id, chain, privilege)
    for number, item in enumerate(chain):
        if number == 0 or dump.mode("dms_owner_reach", "down") == "down":
            yield from _owners(dump, user_id, item)
    yield from _behind_proxies(dump, user_id, chain)
    for role in rows[0]["roles"]:
        if role in _ROLES[dump.mode("dms_role_reach", "admin_dba")]:
            yield Path("role", role)


def _given(dump: Dump, user_id: str, chain: list[_Object], privilege: str) -> Iterator[Path]:
    """Records and Allow policies, as far as no Deny policy on the object or above it takes them away."""
    denied = any(_policies(dump, user_id, item, privilege, "Deny") for item in chain)
    for number, item in enumerate(chain if privilege in _DATA else chain[:1]):
        if not denied or dump.mode("dms_deny_reach", "records") == "policies":
            yield from _records(dump, user_id, item, privilege, above=number > 0)
        if not denied:
            yield from _policies(dump, user_id, item, privilege, "Allow")


def _chain(dump: Dump, resource: Resource) -> list[_Object]:
    """The object and those above it. A logical database is above its tables and below nothing."""
    chain = [_Object(resource.kind, resource.id)]
    logic = "logic_" if resource.kind.startswith("logic_") else ""
    database = resource.id
    if resource.kind.endswith("table"):
        database = next(iter(dump.values("dms_tables", "db_id", table_id=resource.id)), "")
        chain.append(_Object(f"{logic}database", database))
    if resource.kind != "instance" and not logic:
        chain += [_Object("instance", one) for one in dump.values("dms_databases", "instance_id", db_id=database)]
    return chain


def _records(dump: Dump, user_id: str, item: _Object, privilege: str, *, above: bool) -> Iterator[Path]:
    column = {"instance": "instance_id"}.get(item.kind, "table_id" if item.kind.endswith("table") else "db_id")
    for row in dump.by("dms_permissions", "user_id", "ds_type", column).get((user_id, item.kind.upper(), item.id), []):
        if row["perm_type"] == privilege and row["expire_date"] >= dump.world["today"]:
            yield Path("record_above", f"{item.kind} {item.id}") if above else Path("direct", row["user_access_id"])


def _policies(dump: Dump, user_id: str, item: _Object, privilege: str, effect: str) -> list[Path]:
    """Policies of an effect with a privilege on an instance or database that stand for a user, itself or by a role."""
    if item.kind.endswith("table"):
        return []
    found = []
    for policy in dump.rows("dms_policies"):
        on_it = policy["db_id"] == item.id
        if item.kind == "instance":
            on_it = policy["instance_id"] == item.id and not policy["db_id"]
        if on_it and policy["perm_type"] == privilege and policy.get("effect", "Allow") == effect:
            kinds = {"direct": "policy"}
            found += [Path(kinds.get(path.kind, path.kind), policy["name"])
                      for path in _attached(dump, user_id, policy["policy_id"])]  # fmt: skip
    return found


def _attached(dump: Dump, user_id: str, policy_id: str) -> Iterator[Path]:
    """Ways in which a policy is attached to a user: itself, or by a custom role."""
    if dump.has("dms_policy_members", policy_id=policy_id, user_id=user_id):
        yield Path("direct")
    roles = [role for row in dump.by("dms_users", "user_id").get((user_id,), []) for role in row["roles"]]
    mine = {str(row["role_id"]) for row in dump.rows("dms_roles") if row["name"] in roles}
    for role in dump.values("dms_policy_roles", "role_id", policy_id=policy_id):
        if role in mine:
            yield Path("policy_role", role)


def policy_paths(dump: Dump, user_id: str, policy_id: str) -> Iterator[Path]:
    """Ways in which a policy gives a user something, whatever the state of the user; a Deny policy gives nothing."""
    for policy in dump.by("dms_policies", "policy_id").get((policy_id,), []):
        if policy.get("effect", "Allow") == "Allow":
            yield from _attached(dump, user_id, policy_id)


def _owners(dump: Dump, user_id: str, item: _Object) -> Iterator[Path]:
    if dump.has("dms_owners", owner_type=item.kind.upper(), resource_id=item.id, user_id=user_id):
        yield Path("owner", f"{item.kind} {item.id}")
    if item.kind == "instance" and dump.has("dms_instances", instance_id=item.id, dba=user_id):
        yield Path("dba", f"instance {item.id}")


def _behind_proxies(dump: Dump, user_id: str, chain: list[_Object]) -> Iterator[Path]:
    if dump.mode("dms_proxy_reach", "instance") != "instance":
        return
    instances = [item.id for item in chain if item.kind == "instance"]
    for proxy in [one for ident in instances for one in dump.values("dms_proxies", "proxy_id", instance_id=ident)]:
        for access in dump.by("dms_proxy_accesses", "proxy_id", "user_id").get((proxy, user_id), []):
            yield Path("proxy", access["proxy_access_id"])


def proxy_paths(dump: Dump, user_id: str, proxy_id: str) -> Iterator[Path]:
    """Accounts of a user at a proxy, whatever the state of the user: enabling brings their use back."""
    for access in dump.by("dms_proxy_accesses", "proxy_id", "user_id").get((proxy_id, user_id), []):
        yield Path("direct", access["proxy_access_id"])


def account_paths(dump: Dump, user_id: str) -> Iterator[Path]:
    """Ways in which a user still gets in: enabled, or by an account of a proxy that works without."""
    for row in dump.by("dms_users", "user_id").get((user_id,), []):
        if row["state"] == "NORMAL":
            yield Path("direct")
        elif row["state"] == "DISABLE" and dump.mode("dms_disabled_proxies", "useless") == "usable":
            for access in dump.by("dms_proxy_accesses", "user_id").get((user_id,), []):
                yield Path("proxy", access["proxy_access_id"])


def role_paths(dump: Dump, user_id: str, role: str) -> Iterator[Path]:
    """Whether a user who is not deleted holds a role of the tenant."""
    for row in dump.by("dms_users", "user_id").get((user_id,), []):
        if role in row["roles"] and row["state"] != "DELETE":
            yield Path("direct")
