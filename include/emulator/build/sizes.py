"""How large an organization is. Every field is a command line argument (``--size name=number``)."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of the generated organization; the defaults are the preset ``demo``.

    Grants are spread so that a leaver holds ``*_per_leaver`` of them; what remains up to the total goes to
    the people who stay, to groups, roles and projects. ``leavers_in_groups`` leavers stay in a user group
    that still opens menus, so that access remains after their own records are gone. ``paths`` is 1 or 0: whether
    each way in that is no grant (owners, roles, shares ...) is there, with a leaver. ``usage`` is 1 or 0: whether
    anybody ever used anything.
    """

    people: int = 84
    leavers: int = 34
    services: int = 6
    departments: int = 7
    leavers_in_groups: int = 2
    paths: int = 1
    usage: int = 1
    # WeData
    catalogs: int = 5
    schemas_per_catalog: int = 3
    tables_per_schema: int = 5
    privileges: int = 1000
    privileges_per_leaver: int = 10
    projects: int = 6
    data_sources: int = 40
    source_grants: int = 230
    source_grants_per_leaver: float = 2.4
    # DMS
    dms_users: int = 70
    dms_leavers: int = 26
    instances: int = 5
    databases_per_instance: int = 3
    logic_databases: int = 3
    tables_per_database: int = 5
    dms_records: int = 420
    dms_per_leaver: float = 2.3
    dms_expired: int = 52
    # Quick BI
    portals: int = 6
    menus_per_portal: int = 40
    groups: int = 12
    workspaces: int = 4
    menu_pairs: int = 1150
    menu_pairs_per_leaver: int = 13
    open_menus: int = 6

    def as_dict(self) -> dict[str, float]:
        """All sizes by name."""
        return asdict(self)

    def with_overrides(self, words: list[str]) -> Sizes:
        """Sizes with some replaced, each given as ``name=number``.

        :raises ValueError: for an unknown name or a value that is no number of at least 0.
        """
        known = {column.name: column.type for column in fields(self)}
        changes: dict[str, float] = {}
        for word in words:
            name, _, text = word.partition("=")
            if name not in known:
                raise ValueError(f"unknown size {name!r}; known: {', '.join(known)}")
            value = float(text) if known[name] == "float" else int(text)
            if value < 0:
                raise ValueError(f"size {name} must not be negative")
            changes[name] = value
        return replace(self, **changes)  # type: ignore[arg-type]


def scaled(grants: int) -> Sizes:
    """Sizes for about ``grants`` grants over the four systems, with the demo's shares between them."""
    factor = max(1.0, grants / 2800)
    root = factor**0.5
    people = int(84 * root * 4) if factor > 1 else 84
    leavers = max(34, people // 10)
    pairs, privileges = int(grants * 0.41), int(grants * 0.36)
    records, sources = int(grants * 0.15), int(grants * 0.08)
    return Sizes(
        people=people, leavers=leavers, services=max(6, people // 50), departments=max(7, int(root * 4)),
        leavers_in_groups=2, paths=1, catalogs=max(5, int(5 * root / 2)),
        schemas_per_catalog=max(3, int(3 * root**0.5)),
        tables_per_schema=max(5, int(5 * root**0.5)), privileges=privileges,
        privileges_per_leaver=max(1, privileges // (leavers * 8)), projects=max(6, int(6 * root / 2)),
        data_sources=max(40, int(40 * root)), source_grants=sources,
        source_grants_per_leaver=max(1.0, sources / (leavers * 8)), dms_users=people, dms_leavers=leavers,
        instances=max(5, int(5 * root / 2)), databases_per_instance=max(3, int(3 * root**0.5)),
        logic_databases=max(3, int(3 * root / 4)), tables_per_database=max(5, int(5 * root**0.5)),
        dms_records=records, dms_per_leaver=max(1.0, records / (leavers * 8)), dms_expired=max(52, records // 20),
        portals=max(6, int(6 * root / 2)), menus_per_portal=min(200, max(40, int(40 * root**0.5))),
        groups=max(12, int(12 * root)), workspaces=max(4, int(4 * root**0.5)), menu_pairs=pairs,
        menu_pairs_per_leaver=max(1, pairs // (leavers * 8)), open_menus=max(6, int(root)),
    )  # fmt: skip


TINY = Sizes(
    people=8, leavers=3, services=2, departments=2, leavers_in_groups=1, paths=1, catalogs=2, schemas_per_catalog=2,
    tables_per_schema=2, privileges=60, privileges_per_leaver=5, projects=2, data_sources=5, source_grants=20,
    source_grants_per_leaver=2, dms_users=9, dms_leavers=3, instances=2, databases_per_instance=2, logic_databases=1,
    tables_per_database=2, dms_records=40, dms_per_leaver=3, dms_expired=6, portals=2, menus_per_portal=6, groups=4,
    workspaces=2, menu_pairs=50, menu_pairs_per_leaver=5, open_menus=1,
)  # fmt: skip
PRESETS = {"demo": Sizes(), "tiny": TINY}
