"""A user without any way in, and a database, for the tests of DMS."""

from __future__ import annotations

import pytest

from emulator.app import App
from emulator.store.dms import Database, DmsUser


@pytest.fixture
def user(app: App) -> DmsUser:
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
def database(app: App) -> Database:
    """A physical database behind the proxy."""
    instance = next(iter(app.world.dms.proxies.values())).instance_id
    return next(d for d in app.world.dms.databases.values() if not d.logic and d.instance_id == instance)
