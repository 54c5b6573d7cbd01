"""DMS's part of the organization."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from emulator.build.sizes import Sizes
from emulator.store.dms import TIME_FORMAT, Database, DmsUser, Instance, Table, Target, Template, TemplateItem
from emulator.store.people import Person
from emulator.store.policies import Policy
from emulator.world import World

_PERMS = ["QUERY", "EXPORT", "CORRECT"]
_TYPES = ["mysql", "postgresql", "mysql", "sqlserver", "polardb"]
_ENVS = ["product", "product", "dev", "test", "pre"]
_FOREVER = "9999-12-31 00:00:00"


def build(world: World, rng: random.Random, sizes: Sizes) -> None:
    """Users, instances, databases, tables, records, policies and a template."""
    today = world.clock.utc().replace(hour=0, minute=0, second=0, microsecond=0)
    members = [person for person in world.people if person.dms_user_id]
    for person in members:
        _user(world, rng, person, today)
    _objects(world, rng, sizes, members)
    targets = _targets(world)
    _special(world, rng, targets, today)
    staff = [person for person in members if not person.left and not person.protected and not person.is_tool]
    leavers = [person for person in members if person.left and not person.protected]
    for person in leavers:
        wanted = int(sizes.dms_per_leaver) + (rng.random() < sizes.dms_per_leaver % 1)
        for _ in range(wanted):
            _record(world, rng, rng.choice(targets), person, today, expired=False)
    for _ in range(sizes.dms_expired):
        _record(world, rng, rng.choice(targets), rng.choice(staff), today, expired=True)
    while len(world.dms.records) < sizes.dms_records:
        target = targets[int(rng.random() * len(targets))]
        _record(world, rng, target, staff[int(rng.random() * len(staff))], today, expired=False)
    _policies(world, rng, staff, leavers, today)


def _user(world: World, rng: random.Random, person: Person, today: datetime) -> None:
    roles: tuple[str, ...] = ("USER",)
    if person.protected or person.is_tool:
        roles = ("ADMIN",)
    elif not person.left and rng.random() < 0.06:
        roles = ("USER", "DBA")
    state = "DISABLE" if person.left and rng.random() < 0.3 else "NORMAL"
    nick = person.email.partition("@")[0]
    world.dms.add_user(DmsUser(person.dms_user_id, person.alibaba_uid, nick, person.email, state, roles))


def _objects(world: World, rng: random.Random, sizes: Sizes, members: list[Person]) -> None:
    store = world.dms
    table_id, db_id = 13_000, 1_860_000
    staff = [person.dms_user_id for person in members if not person.left]
    for number in range(sizes.instances):
        mode = "COMMON" if number % 5 != 4 else "STABLE"
        instance = Instance(
            174_000 + number, f"instance-{number + 1:02d}", f"rm-demo{number + 1:02d}.mysql.rds.example.com", 3306,
            _TYPES[number % 5], _ENVS[number % 5], mode, rng.choice(staff), [rng.choice(staff)],
        )  # fmt: skip
        store.instances[instance.instance_id] = instance
        for part in range(sizes.databases_per_instance):
            db_id += 1
            database = Database(db_id, instance.instance_id, f"db_{number + 1:02d}_{part + 1:02d}",
                                instance.db_type, instance.env, owners=[rng.choice(staff)])  # fmt: skip
            for index in range(sizes.tables_per_database):
                table_id += 1
                database.tables.append(Table(table_id, f"table_{index + 1:02d}", [rng.choice(staff)]))
            store.databases[db_id] = database
    physical = list(store.databases.values())
    for number in range(sizes.logic_databases):
        db_id += 1
        parts = rng.sample(physical, min(2, len(physical)))
        logic = Database(db_id, parts[0].instance_id, f"logic_{number + 1:02d}", parts[0].db_type, parts[0].env,
                         logic=True, parts=[part.db_id for part in parts], owners=[rng.choice(staff)])  # fmt: skip
        for index in range(2):
            table_id += 1
            logic.tables.append(Table(table_id, f"logic_table_{index + 1:02d}", [rng.choice(staff)]))
        store.databases[db_id] = logic


def _targets(world: World) -> list[Target]:
    store = world.dms
    targets = [Target("INSTANCE", instance.instance_id) for instance in store.instances.values()]
    for database in store.databases.values():
        kind = "LOGIC_DATABASE" if database.logic else "DATABASE"
        # Databases twice: people are given whole databases more often than single tables.
        targets += [Target(kind, database.instance_id, database.db_id, database.logic)] * 2
        for table in database.tables[:3]:
            kind = "LOGIC_TABLE" if database.logic else "TABLE"
            place = (database.instance_id, database.db_id, database.logic)
            targets.append(Target(kind, *place, table.table_id, table.name))
    return targets


def _record(
    world: World, rng: random.Random, target: Target, person: Person, today: datetime, *, expired: bool
) -> None:
    perm = rng.choice(["LOGIN", "PERF"]) if target.ds_type == "INSTANCE" else rng.choice(_PERMS)
    created = today - timedelta(days=rng.randrange(150, 700), seconds=rng.randrange(86_400))
    roll = rng.random()
    if expired:
        expires = (today - timedelta(days=rng.randrange(3, 140))).strftime(TIME_FORMAT)
    elif roll < 0.25:
        expires = (today + timedelta(days=rng.randrange(3, 90))).strftime(TIME_FORMAT)
    else:
        expires = _FOREVER if roll < 0.4 else (today + timedelta(days=rng.randrange(200, 2000))).strftime(TIME_FORMAT)
    origin = f"Permission ticket {rng.randrange(10_000, 99_999)}" if roll < 0.6 else "Granted by administrator"
    world.dms.seed(person.dms_user_id, target, perm, created.strftime(TIME_FORMAT), expires, origin)


def _special(world: World, rng: random.Random, targets: list[Target], today: datetime) -> None:
    """Records of protected people and of the tool (one of each kind has run out), and column permissions."""
    for person in world.people:
        if not person.dms_user_id or not (person.protected or person.is_tool):
            continue
        _record(world, rng, targets[0], person, today, expired=False)
        _record(world, rng, targets[5 % len(targets)], person, today, expired=True)
    people = [person for person in world.people if person.dms_user_id and not person.protected and not person.is_tool]
    tables = [target for target in targets if target.ds_type == "TABLE"]
    for person in people[:: max(1, len(people) // 6)]:
        target = rng.choice(tables)._replace(ds_type="COLUMN", column="salary")
        _record(world, rng, target, person, today, expired=False)


def _policies(world: World, rng: random.Random, staff: list[Person], leavers: list[Person], today: datetime) -> None:
    store = world.dms
    physical = [database for database in store.databases.values() if not database.logic]
    holders = [person.dms_user_id for person in rng.sample(staff, min(3, len(staff))) + leavers[:1]]
    store.policies.append(Policy(9001, "read-everything-in-one", "QUERY", physical[0].instance_id,
                                 physical[0].db_id, holders))  # fmt: skip
    items = [
        TemplateItem(1, "META_DB", physical[0].instance_id, physical[0].db_id, "", ["QUERY", "EXPORT"]),
        TemplateItem(2, "META_TABLE", physical[-1].instance_id, physical[-1].db_id,
                     physical[-1].tables[0].name if physical[-1].tables else "", ["QUERY"]),
    ]  # fmt: skip
    created = (today - timedelta(days=300)).strftime(TIME_FORMAT)
    store.templates[1201] = Template(1201, "analyst", "Reading for analysts", created, staff[0].dms_user_id, items)
