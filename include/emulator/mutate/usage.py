"""Use by others, while the logs are being read or before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulator.store.usage import SUCCESS, Login, Operation, Statement, View
from emulator.world import World

Given = dict[str, Any]


def operations() -> dict[str, Callable[[World, Given], bool]]:
    """Operations by name. Without ``at`` (seconds since the epoch) they happen now."""
    return {"dms_statement": _statement, "dms_login": _login, "dms_operation": _operation, "quickbi_view": _view}


def _at(world: World, given: Given) -> int:
    return int(given.get("at", world.clock.now()))


def _user(world: World, given: Given) -> str:
    return world.dms.users[given["user_id"]].user_id


def _statement(world: World, given: Given) -> bool:
    """A statement on a database, or on an instance."""
    db_id = int(given.get("db_id") or 0)
    instance_id = world.dms.databases[db_id].instance_id if db_id else int(given["instance_id"])
    world.usage.add(Statement(
        _at(world, given), _user(world, given), world.dms.instances[instance_id].instance_id, db_id,
        given.get("sql", "SELECT 1"), given.get("sql_type", "SELECT"), given.get("state", SUCCESS),
        given.get("through", "dms"),
    ))  # fmt: skip
    return True


def _login(world: World, given: Given) -> bool:
    instance = world.dms.instances[int(given["instance_id"])]
    world.usage.add(Login(_at(world, given), _user(world, given), instance.instance_id, "app", "10.0.0.9"))
    return True


def _operation(world: World, given: Given) -> bool:
    db_id = int(given.get("db_id") or 0)
    world.usage.add(Operation(_at(world, given), _user(world, given), given["module"],
                              world.dms.databases[db_id].db_id if db_id else 0, given.get("content", "")))  # fmt: skip
    return True


def _view(world: World, given: Given) -> bool:
    store = world.quickbi
    works_id = given["works_id"] if given["works_id"] in store.works else store.portals[given["works_id"]].portal_id
    world.usage.add(View(_at(world, given), store.users[given["user_id"]].user_id, works_id))
    return True
