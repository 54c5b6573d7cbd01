"""What an item of the items file is about, in the words of the emulator's dump."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from tests.support.oracle.ways import Dump, Resource, Row

_WEDATA_ROLES = {
    "administrator": "308335260274237440", "operations": "308335260844662784", "engineer": "308335260676890624",
    "member": "308335260945326080",
}  # fmt: skip
_QUICKBI_ROLES = {"permission": "111111112", "administrator": "111111111", "user": "111111113"}
_RECEIVERS = {"user": "0", "group": "1", "organization": "2", "workspace": "3"}
_BARE = "membership"
_ROLES = {"quickbi_organization_roles", "dms_system_roles", "wedata_project_roles"}


class Thing(NamedTuple):
    """A row of the dump that an item stands for: the kind of row, and columns that tell it."""

    kind: str
    where: Mapping[str, str]


def resource_of(item: Row) -> Resource:
    """What an item is on; the container is the portal of a menu or the project of an entry of a data source."""
    kind, container = str(item["resource_type"]).lower(), ""
    if item["system"] == "quickbi_menus":
        container = str(item["container"])
    elif item["system"] == "wedata_data_sources":
        container = str(item["column"][0])
    return Resource(kind, str(item["resource_id"]), container)


def role_of(item: Row) -> str:
    """The vendor's id or name of the role that an item is about; empty for membership alone.

    :raises LookupError: when the item does not tell it.
    """
    system, words = item["system"], _words(item)
    if system == "wedata_project_roles":
        right = str(item["entitlement"]).lower()
        if right == _BARE:
            return ""
        found = [word for word in (*words, *right.split()) if word.isdecimal() and word != str(item["resource_id"])
                 and word != str(item["principal_id"])]  # fmt: skip
        found += [ident for name, ident in _WEDATA_ROLES.items() if name in right.replace("data ", "")]
    elif system == "dms_system_roles":
        found = [word for word in words if word and word != str(item["principal_id"])
                 and word.replace("_", "").isupper()]  # fmt: skip
    else:
        right = " ".join(words).lower()
        found = [word for word in words if word.isdecimal() and len(word) >= 9 and word != str(item["principal_id"])]
        found += [ident for name, ident in _QUICKBI_ROLES.items() if name in right]
    if not found:
        raise LookupError(f"no role in {dict(item)}")
    return found[0]


def right_of(item: Row) -> str:
    """What an item gives, in the words of :func:`tests.support.oracle.judge.effective`.

    :raises LookupError: when an item of roles does not tell its role.
    """
    if item["system"] in _ROLES:
        return role_of(item)
    if item["system"] == "wedata_studio_permissions":
        return str(item["entitlement"]).upper()
    if item["system"] == "quickbi_dataset_whitelists":
        words = " ".join([*_words(item), str(item.get("container", ""))]).upper()
        return "COLUMN_LEVEL" if "COLUMN" in words else "ROW_LEVEL"
    return str(item["entitlement"])


def _words(item: Row) -> list[str]:
    return [str(item[name]) for name in ("native_id", "resource_id", "entitlement") if item.get(name)] + [
        str(word) for word in item.get("column", ())
    ]


def thing_of(item: Row) -> Thing:
    """The row that goes with an item.

    :raises LookupError: for an unknown system, or when the item does not tell its row.
    """
    system, who, place = item["system"], str(item["principal_id"]), resource_of(item)
    if system == "dms_permissions":
        return Thing(system, {"user_access_id": str(item["native_id"])})
    if system == "quickbi_menus":
        kind = _RECEIVERS[str(item["principal_type"]).lower()]
        return Thing(system, {"portal_id": place.container, "menu_id": place.id, "receiver_type": kind,
                              "receiver_id": who})  # fmt: skip
    if system == "quickbi_shares":
        kind = _RECEIVERS[str(item["principal_type"]).lower()]
        return Thing(system, {"works_id": place.id, "receiver_type": kind, "receiver_id": who})
    if system == "quickbi_dataset_whitelists":
        kind = _RECEIVERS[str(item["principal_type"]).lower()]
        return Thing(system, {"dataset_id": place.id, "rule_type": right_of(item), "receiver_type": kind,
                              "receiver_id": who})  # fmt: skip
    if system == "quickbi_work_authorizations":
        kind = _RECEIVERS[str(item["principal_type"]).lower()]
        return Thing(system, {"resource_id": place.id, "receiver_type": kind, "receiver_id": who})
    if system == "wedata_data_sources":
        user = who if str(item["principal_type"]).lower() == "user" else ""
        return Thing(system, {"data_source_id": place.id, "project_id": place.container, "user_id": user})
    if system == "wedata_privileges":
        kind, value, right = item["column"]
        return Thing(system, {"resource_uri": place.id, "subject_type": kind, "subject_value": value,
                              "privilege": right})  # fmt: skip
    return _membership(item, who, place)


def _membership(item: Row, who: str, place: Resource) -> Thing:
    """The same for the systems whose items are memberships, roles and accounts."""
    system = item["system"]
    if system == "quickbi_group_members":
        return Thing(system, {"group_id": place.id, "user_id": who})
    if system == "quickbi_workspace_members":
        return Thing(system, {"workspace_id": place.id, "user_id": who})
    if system == "quickbi_organization_roles":
        return Thing(system, {"user_id": who, "role_id": role_of(item)})
    if system == "dms_system_roles":
        return Thing(system, {"user_id": who, "role": role_of(item)})
    if system == "dms_accounts":
        return Thing(system, {"user_id": who})
    if system == "wedata_studio_permissions":
        return Thing(system, {"node_id": place.id, "subject_type": str(item["principal_type"]).lower(),
                              "subject_value": who.rpartition(".")[2], "privilege": right_of(item)})  # fmt: skip
    if system == "dms_abac_authorizations":
        by_role = str(item["principal_type"]).lower() == "role"
        kind, name = ("dms_policy_roles", "role_id") if by_role else ("dms_policy_members", "user_id")
        return Thing(kind, {"policy_id": place.id, name: who})
    if system == "dms_proxy_accesses":
        native = str(item.get("native_id", ""))
        return Thing(system, {"proxy_access_id": native} if native else {"proxy_id": place.id, "user_id": who})
    if system == "wedata_project_roles":
        role, member = role_of(item), {"project_id": place.id, "user_uin": who}
        return Thing(system, {**member, "role_id": role}) if role else Thing("wedata_project_members", member)
    raise LookupError(f"unknown system {system!r}")


def recorded(dump: Dump, item: Row) -> bool:
    """Whether the row of an item is there, expired or not."""
    thing = thing_of(item)
    found = dump.by(thing.kind, *thing.where).get(tuple(thing.where.values()), [])
    if item["system"] == "wedata_privileges":
        return any(str(row["resource_type"]).lower() == resource_of(item).kind for row in found)
    return bool(found)


def foreign_effects(entries: Iterable[Row], items: Iterable[Row]) -> Iterator[str]:
    """Effects of requests on access that no item stands for, one line each; none when nobody else lost or got anything.

    Two kinds of effects come with an item: the preset role that somebody has who has no other, and the end of a
    membership with its last role. All that an account takes with it when it is disabled comes with the account.

    :param entries: of the journal, since the run began. :param items: all that were not held back.
    """
    things = [thing_of(item) for item in items]
    entries = list(entries)
    requests = {entry["seq"] for entry in entries if entry["kind"] == "request"}
    for entry in entries:
        if entry["kind"] != "effect" or entry["cause"] not in requests or _comes_with(entry, things):
            continue
        if entry["op"] != "removed" or not any(_is(entry, thing) for thing in things):
            yield f"{entry['action']}: {entry['op']} {entry['system']} {dict(entry['grant'])}"


def _is(entry: Row, thing: Thing) -> bool:
    return bool(entry["system"] == thing.kind) and all(
        str(entry["grant"].get(name)) == value for name, value in thing.where.items()
    )


def _comes_with(entry: Row, things: list[Thing]) -> bool:
    system, grant = entry["system"], entry["grant"]
    if entry["op"] == "added":
        ordinary = {"quickbi_organization_roles": "111111113", "dms_system_roles": "USER"}.get(system)
        role = str(grant.get("role_id", grant.get("role", "")))
        return role == ordinary and any(
            thing.kind == system and thing.where["user_id"] == grant["user_id"] for thing in things
        )
    if system == "wedata_project_members":
        return any(thing.kind.startswith("wedata_project") and thing.where["user_uin"] == grant["user_uin"]
                   and thing.where["project_id"] == grant["project_id"] for thing in things)  # fmt: skip
    if entry["action"] in ("DisableUser", "DeleteUser") and system in ("dms_permissions", "dms_owners", "dms_dbas"):
        accounts = {thing.where["user_id"] for thing in things if thing.kind == "dms_accounts"}
        return grant["user_id"] in accounts or bool(accounts and system == "dms_dbas" and not grant["user_id"])
    return False
