"""What DMS's own answers say of one user and one database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.emulator_client import Clients

if TYPE_CHECKING:
    from emulator.store.dms import Database, DmsUser


def messages(clients: Clients, user: DmsUser, database: Database) -> list[str]:
    """How the platform says that a user reaches a database, after checking its two lists against each other."""
    rows = clients.dms("ListAuthorizedDatabasesForUser", UserId=user.user_id, PageSize=100)["Databases"]
    found = [row["PermissionDetail"] for row in rows if row["DbId"] == str(database.db_id)]
    users = clients.dms("ListAuthorizedUsersForDatabase", DbId=database.db_id, PageSize=100)["Users"]
    assert (user.user_id in {row["UserId"] for row in users}) is bool(found)
    return [detail["Message"] for detail in found]


def on_instance(clients: Clients, user: DmsUser, database: Database) -> list[str]:
    """The same of the instance."""
    rows = clients.dms("ListAuthorizedInstancesForUser", UserId=user.user_id, PageSize=100)["Instances"]
    found = [row["PermissionDetail"] for row in rows if row["InstanceId"] == str(database.instance_id)]
    users = clients.dms("ListAuthorizedUsersForInstance", InstanceId=database.instance_id, PageSize=100)["Users"]
    assert (user.user_id in {row["UserId"] for row in users}) is bool(found)
    return [detail["Message"] for detail in found]
