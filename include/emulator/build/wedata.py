"""WeData's part of the organization."""

from __future__ import annotations

import random

from emulator.build.sizes import Sizes
from emulator.store.people import Person
from emulator.store.wedata import (
    ADMINISTRATOR_ROLE,
    EVERYONE,
    METALAKE,
    PROJECT_ROLES,
    DataSource,
    Project,
    Resource,
    Subject,
)
from emulator.world import World

_ROLES = list(PROJECT_ROLES)
_LEVEL_NAMES = {
    "catalog": ["USE_CATALOG", "BROWSE", "CREATE_SCHEMA"],
    "schema": ["USE_SCHEMA", "CREATE_TABLE", "BROWSE"],
    "table": ["SELECT_TABLE", "MODIFY_TABLE", "BROWSE"],
}
_KINDS = ["MYSQL", "POSTGRE", "HIVE", "DLC", "KAFKA", "StarRocks", "ORACLE"]
TENANT_ROLES = [
    ("360000000000000001", "TenantAdmin", "Platform administrator"),
    ("360000000000000002", "Auditor", "Platform auditor"),
]


def build(world: World, rng: random.Random, sizes: Sizes) -> None:
    """Catalog tree, projects with members, privileges, data sources."""
    staff = [person for person in world.people if not person.left and not person.protected and not person.is_tool]
    leavers = [person for person in world.people if person.left and not person.protected]
    resources = _tree(world, rng, sizes)
    _projects(world, rng, sizes, staff, leavers)
    _shared_privileges(world, rng, resources)
    _special_privileges(world, resources)
    for person in leavers:
        _give(world, rng, resources, person, sizes.privileges_per_leaver)
    _fill(world, rng, resources, staff, sizes.privileges)
    _data_sources(world, rng, sizes, staff, leavers)


def _tree(world: World, rng: random.Random, sizes: Sizes) -> list[Resource]:
    names = ["lake_core", "lake_sales", "lake_risk", "lake_ops", "lake_lab"]
    resources = []
    for number in range(sizes.catalogs):
        catalog = names[number] if number < len(names) else f"lake_{number + 1:03d}"
        resources.append(Resource("catalog", catalog))
        for schema_number in range(sizes.schemas_per_catalog):
            schema = f"{catalog}.s{schema_number + 1:02d}"
            resources.append(Resource("schema", schema))
            for table_number in range(sizes.tables_per_schema):
                table = Resource("table", f"{schema}.t{table_number + 1:03d}")
                resources.append(table)
                world.table_details[table.uri] = {"guid": f"tbl-{rng.getrandbits(64):016x}"}
    for resource in resources:
        world.privileges.add_resource(resource)
    return resources


def _projects(world: World, rng: random.Random, sizes: Sizes, staff: list[Person], leavers: list[Person]) -> None:
    for number in range(sizes.projects):
        project_id = str(2_900_000_000_000_000_000 + rng.randrange(9_000_000_000_000_000))
        owner = rng.choice(staff)
        project = Project(project_id, f"project_{number + 1:02d}", owner.wedata_uin, owner.wedata_uin)
        project.members[owner.wedata_uin] = {ADMINISTRATOR_ROLE}
        for person in rng.sample(staff, min(len(staff), 14)) + rng.sample(leavers, min(len(leavers), 4)):
            project.members.setdefault(person.wedata_uin, {rng.choice(_ROLES[1:])})
        if number == 0:
            project.roles["410000000000000001"] = ("custom_reader", "Custom reader")
            for person in world.people:
                if person.protected or person.is_tool:
                    project.members.setdefault(person.wedata_uin, {ADMINISTRATOR_ROLE})
        world.projects[project_id] = project


def _shared_privileges(world: World, rng: random.Random, resources: list[Resource]) -> None:
    store, projects = world.privileges, list(world.projects)
    everyone = Subject("GlobalRole", EVERYONE)
    store.seed(METALAKE, everyone, "BROWSE")
    store.seed(METALAKE, Subject("GlobalRole", TENANT_ROLES[0][0]), "CREATE_CATALOG")
    for number, resource in enumerate(resources):
        if resource.type == "catalog":
            project = projects[number % len(projects)]
            store.seed(resource, Subject("Project", project), "USE_CATALOG")
            store.seed(resource, Subject("Role", f"{project}.{ADMINISTRATOR_ROLE}"), "GRANT_PRIVILEGES")
            store.seed(resource, Subject("GlobalRole", TENANT_ROLES[1][0]), "BROWSE")
        elif resource.type == "schema" and rng.random() < 0.6:
            role = rng.choice(_ROLES[1:])
            store.seed(resource, Subject("Role", f"{rng.choice(projects)}.{role}"), "SELECT_TABLE")
        elif resource.type == "table" and rng.random() < 0.15:
            store.seed(resource, everyone, "SELECT_TABLE")


def _special_privileges(world: World, resources: list[Resource]) -> None:
    catalogs = [resource for resource in resources if resource.type == "catalog"]
    tables = [resource for resource in resources if resource.type == "table"]
    for person in world.people:
        subject = Subject("User", person.wedata_user_id)
        if person.is_tool:
            world.privileges.seed(METALAKE, subject, "GRANT_PRIVILEGES")
            for table in tables[:2]:
                world.privileges.seed(table, subject, "SELECT_TABLE")
        elif person.protected == "last administrator":
            for catalog in catalogs:
                world.privileges.seed(catalog, subject, "GRANT_PRIVILEGES")
        elif person.protected:
            world.privileges.seed(catalogs[0], subject, "ALL_PRIVILEGES")
            world.privileges.seed(tables[0], subject, "SELECT_TABLE")
            world.privileges.seed(tables[-1], subject, "MODIFY_TABLE")
    _last_administrator(world, [resource for resource in resources if resource.type == "schema"])


def _last_administrator(world: World, schemas: list[Resource]) -> None:
    """A leaver whom nobody has replaced: taking this one away would leave a schema that nobody administers."""
    leaver = next((person for person in world.people if person.left and not person.protected), None)
    if leaver is not None and schemas:
        world.privileges.seed(schemas[-1], Subject("User", leaver.wedata_user_id), "GRANT_PRIVILEGES")


def _give(world: World, rng: random.Random, resources: list[Resource], person: Person, wanted: int) -> None:
    """Give a person direct privileges, mostly on tables, up to a number (fewer when all are taken)."""
    subject, given, tries = Subject("User", person.wedata_user_id), 0, 0
    while given < wanted and tries < wanted * 20:
        tries += 1
        resource = resources[int(rng.random() * len(resources))]
        if resource.type == "catalog" and rng.random() < 0.5:
            continue
        names = _LEVEL_NAMES[resource.type]
        for name in names[: 1 + int(rng.random() * 2)]:
            if given < wanted and world.privileges.seed(resource, subject, name):
                given += 1


def _fill(world: World, rng: random.Random, resources: list[Resource], staff: list[Person], total: int) -> None:
    store, subjects = world.privileges, [Subject("User", person.wedata_user_id) for person in staff]
    names = [_LEVEL_NAMES[resource.type] for resource in resources]
    tries, most = 0, max(1000, (total - store.count) * 6)
    while store.count < total and tries < most:
        tries += 1
        place = int(rng.random() * len(resources))
        subject = subjects[int(rng.random() * len(subjects))]
        pick = int(rng.random() * 3) if resources[place].type == "table" else 0
        store.seed(resources[place], subject, names[place][pick])


def _data_sources(world: World, rng: random.Random, sizes: Sizes, staff: list[Person], leavers: list[Person]) -> None:
    store, projects = world.data_sources, list(world.projects.values())
    for number in range(sizes.data_sources):
        project = projects[number % len(projects)]
        kind = _KINDS[number % len(_KINDS)]
        mode = "project" if number % 3 else "owner"
        source = DataSource(65_300 + number, project.project_id, kind, f"src_{kind.lower()}_{number + 1:03d}",
                            project.owner, mode)  # fmt: skip
        store.sources[source.source_id] = source
        for other in rng.sample(projects, min(2, len(projects))):
            if other is not project and rng.random() < 0.5:
                store.add(source, other.project_id, quiet=True)
    sources = list(store.sources.values())
    for person in leavers:
        wanted = int(sizes.source_grants_per_leaver) + (rng.random() < sizes.source_grants_per_leaver % 1)
        for source in rng.sample(sources, min(wanted, len(sources))):
            store.add(source, rng.choice(projects).project_id, person.wedata_user_id, quiet=True)
    for person in world.people:
        if person.protected or person.is_tool:
            store.add(sources[0], projects[0].project_id, person.wedata_user_id, quiet=True)
    tries = 0
    while store.count < sizes.source_grants and tries < sizes.source_grants * 6:
        tries += 1
        store.add(rng.choice(sources), rng.choice(projects).project_id, rng.choice(staff).wedata_user_id, quiet=True)
