"""Fixtures for the emulator's own tests: a small emulator in this process, and clients that sign."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulator.app import App, Settings
from emulator.build.sizes import TINY
from emulator.clock import ManualClock
from emulator.store.dms import Database, DmsUser
from tests.support.emulator_client import Clients


@pytest.fixture
def app() -> Iterator[App]:
    """A tiny organization with a clock that stands still, without sockets and without limits."""
    settings = Settings(sizes=TINY, limits={"wedata": 0, "dms": 0, "quickbi": 0, "tencent-sts": 0, "alibaba-sts": 0})
    made = App(settings, ManualClock())
    yield made
    made.world.journal.close()


@pytest.fixture
def clients(app: App) -> Clients:
    """Signing clients that call the app directly."""
    return Clients(app)


@pytest.fixture
def dms_user(app: App) -> DmsUser:
    """An enabled user without records, roles, policies, ownership and proxy accounts."""
    store = app.world.dms
    found = next(user for user in store.users.values() if user.state == "NORMAL" and user.roles == ("USER",))
    for record in store.of_user(found.user_id):
        store.remove(record.access_id)
    for policy in store.policies:
        policy.user_ids = [one for one in policy.user_ids if one != found.user_id]
    for proxy in store.proxies.values():
        proxy.accesses.clear()
    for instance in store.instances.values():
        instance.owners = ["1"]
        instance.dba = "1"
    for database in store.databases.values():
        database.owners = ["1"]
        for table in database.tables:
            table.owners = ["1"]
    app.world.journal.clear()
    return found


@pytest.fixture
def dms_database(app: App) -> Database:
    """A physical database behind the proxy."""
    instance = next(iter(app.world.dms.proxies.values())).instance_id
    return next(d for d in app.world.dms.databases.values() if not d.logic and d.instance_id == instance)
