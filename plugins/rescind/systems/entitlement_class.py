"""What an entitlement allows, in one of a few classes: for sentences, and for the order of what people read first.

The vendors' words differ by system. An entitlement that no line here knows is not ranked low: it counts as something
that may change data.
"""

from __future__ import annotations

from enum import IntEnum


class EntitlementClass(IntEnum):
    """Classes of entitlements, the weakest first."""

    SEE = 1
    READ = 2
    EXPORT = 3
    UNKNOWN = 4
    CHANGE = 5
    OWN = 6

    @property
    def words(self) -> str:
        """What a holder may do, as a verb phrase."""
        return _WORDS[self]


_WORDS = {
    EntitlementClass.SEE: "see names or log on",
    EntitlementClass.READ: "read",
    EntitlementClass.EXPORT: "export",
    EntitlementClass.UNKNOWN: "use",
    EntitlementClass.CHANGE: "change",
    EntitlementClass.OWN: "own or administer",
}

_CLASSES: dict[EntitlementClass, frozenset[str]] = {
    EntitlementClass.OWN: frozenset(
        {"owner", "administrator", "administrator account", "admin", "dba", "all_privileges", "grant_privileges",
         "manage"}
    ),
    EntitlementClass.CHANGE: frozenset(
        {"correct", "modify", "modify_table", "edit", "data_entry", "developer", "data engineer",
         "operations engineer", "apply_tag", "write", "insert", "update", "delete"}
    ),
    EntitlementClass.EXPORT: frozenset({"export", "view_export"}),
    EntitlementClass.READ: frozenset(
        {"query", "select", "select_table", "view", "viewer", "analyst", "read", "execute"}
    ),
    EntitlementClass.SEE: frozenset({"browse", "login", "perf", "use_catalog", "use_schema", "ordinary member"}),
}  # fmt: skip
_BY_NAME = {name: one for one, names in _CLASSES.items() for name in names}
_CHANGING = ("create_", "modify_", "alter_", "drop_", "write_", "manage_")


def entitlement_class(entitlement: str) -> EntitlementClass:
    """Return the class of an entitlement as its system names it."""
    name = entitlement.casefold()
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name.startswith(_CHANGING):
        return EntitlementClass.CHANGE
    return EntitlementClass.UNKNOWN
