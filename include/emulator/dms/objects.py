"""Instances, databases, tables and who owns them."""

from __future__ import annotations

from typing import Any

from emulator.dms import DMS
from emulator.dms.common import PAGE, caller, cut, failure, optional_list
from emulator.registry import Call
from emulator.store.dms import Database, Instance, Table


def _owners(call: Call, ids: list[str]) -> dict[str, Any]:
    users = call.world.dms.users
    lists: dict[str, Any] = {}
    optional_list(call, lists, "OwnerIdList", list(ids), "OwnerIds")
    optional_list(call, lists, "OwnerNameList", [users[user].nick for user in ids if user in users], "OwnerNames")
    return lists


def _nick(call: Call, user_id: str) -> str:
    user = call.world.dms.users.get(user_id)
    return user.nick if user else ""


def _instance(call: Call, instance: Instance) -> dict[str, Any]:
    return {
        "InstanceId": str(instance.instance_id), "InstanceAlias": instance.alias, "Host": instance.host,
        "Port": instance.port, "InstanceType": instance.db_type, "EnvType": instance.env, "InstanceSource": "RDS",
        "State": "NORMAL", "StandardGroup": {"GroupMode": instance.mode, "GroupName": instance.mode.lower()},
        "DbaId": instance.dba, "DbaNickName": _nick(call, instance.dba), "DatabaseUser": "dms_service",
        "DatabasePassword": "demo-database-password", "DataLinkName": "", "DdlOnline": 0, "EcsInstanceId": "",
        "EcsRegion": "cn-hangzhou", "ExportTimeout": 600, "QueryTimeout": 60, "SafeRuleId": "3", "SellSitd": False,
        "SellTrust": "N", "Sid": "", "UseDsql": 0, "VpcId": "", **_owners(call, instance.owners),
    }  # fmt: skip


@DMS.action("ListInstances", f"Tid:int {PAGE} DbType EnvType InstanceSource InstanceState NetType Region SearchKey")
def list_instances(call: Call) -> dict[str, Any]:
    """Instances by page."""
    caller(call)
    key = call.text("SearchKey")
    found = [
        instance
        for instance in call.world.dms.instances.values()
        if call.text("DbType") in ("", instance.db_type)
        and call.text("EnvType") in ("", instance.env)
        and (key in instance.host or key in instance.alias)
    ]
    page = cut(call, found)
    return {"TotalCount": len(found), "InstanceList": {"Instance": [_instance(call, item) for item in page]}}


@DMS.action("GetInstance", "Tid:int Host! Port!:int Sid RealLoginUserUid")
def get_instance(call: Call) -> dict[str, Any]:
    """One instance by host and port. ``SellSitd`` is text here, unlike in the list."""
    caller(call)
    return {"Instance": {**_instance(call, _by_host(call)), "SellSitd": "N"}}


def _by_host(call: Call) -> Instance:
    for instance in call.world.dms.instances.values():
        if (instance.host, instance.port) == (call.text("Host"), call.number("Port", 0)):
            return instance
    raise failure(call, "InstanceNotExist", "The specified instance does not exist.", 404)


def _database(call: Call, database: Database) -> dict[str, Any]:
    instance = call.world.dms.instances[database.instance_id]
    return {
        "DatabaseId": str(database.db_id), "InstanceId": str(database.instance_id), "SchemaName": database.schema,
        "SearchName": f"{database.schema}@{instance.host}:{instance.port}", "DbType": database.db_type,
        "EnvType": database.env, "Host": instance.host, "Port": instance.port, "State": "NORMAL", "Sid": "",
        "CatalogName": "def", "Encoding": "utf8mb4", "DbaId": instance.dba, "DbaName": _nick(call, instance.dba),
        **_owners(call, database.owners),
    }  # fmt: skip


@DMS.action("ListDatabases", f"Tid:int InstanceId! {PAGE} SearchKey")
def list_databases(call: Call) -> dict[str, Any]:
    """Physical databases of an instance."""
    caller(call)
    found = [
        database
        for database in call.world.dms.databases.values()
        if not database.logic and str(database.instance_id) == call.text("InstanceId")
        and call.text("SearchKey") in database.schema
    ]  # fmt: skip
    page = cut(call, found)
    return {"TotalCount": len(found), "DatabaseList": {"Database": [_database(call, item) for item in page]}}


@DMS.action("GetDatabase", "Tid:int Host! Port!:int SchemaName! Sid RealLoginUserUid")
def get_database(call: Call) -> dict[str, Any]:
    """One physical database by host, port and schema."""
    caller(call)
    instance = _by_host(call)
    for database in call.world.dms.databases.values():
        if (database.logic, database.instance_id, database.schema) == (
            False, instance.instance_id, call.text("SchemaName"),
        ):  # fmt: skip
            return {"Database": {**_database(call, database), "InstanceAlias": instance.alias}}
    raise failure(call, "DatabaseNotExist", "The specified database does not exist.", 404)


def _logic(call: Call, database: Database) -> dict[str, Any]:
    return {
        "DatabaseId": str(database.db_id), "DatabaseIds": {"DatabaseIds": list(database.parts)}, "Logic": True,
        "Alias": database.schema, "SchemaName": database.schema, "SearchName": database.schema,
        "DbType": database.db_type, "EnvType": database.env, **_owners(call, database.owners),
    }  # fmt: skip


@DMS.action("ListLogicDatabases", f"Tid:int {PAGE}")
def list_logic_databases(call: Call) -> dict[str, Any]:
    """Logical databases of the tenant."""
    caller(call)
    found = [database for database in call.world.dms.databases.values() if database.logic]
    page = cut(call, found)
    return {
        "TotalCount": len(found),
        "LogicDatabaseList": {"LogicDatabase": [_logic(call, item) for item in page]},
    }


def find_database(call: Call, text: str, *, logic: bool) -> Database:
    """A database by id and kind.

    :raises ApiError: DatabaseNotExist.
    """
    database = call.world.dms.databases.get(int(text)) if text.isdecimal() else None
    if database is None or database.logic != logic:
        raise failure(call, "DatabaseNotExist", "The specified database does not exist.", 404)
    return database


@DMS.action("GetLogicDatabase", "Tid:int DbId!")
def get_logic_database(call: Call) -> dict[str, Any]:
    """One logical database."""
    caller(call)
    return {"LogicDatabase": _logic(call, find_database(call, call.text("DbId"), logic=True))}


def _table(call: Call, database: Database, table: Table) -> dict[str, Any]:
    guid = f"IDB_L_{database.db_id}.{table.table_id}" if call.params.get("ReturnGuid") else ""
    return {
        "TableId": str(table.table_id), "TableName": table.name, "DatabaseId": str(database.db_id),
        "TableGuid": guid, **_owners(call, table.owners),
    }  # fmt: skip


@DMS.action("ListTables", f"Tid:int DatabaseId! {PAGE} SearchName ReturnGuid:bool RealLoginUserUid")
def list_tables(call: Call) -> dict[str, Any]:
    """Tables of a physical database; only on instances in security collaboration."""
    caller(call)
    database = find_database(call, call.text("DatabaseId"), logic=False)
    if call.world.dms.instances[database.instance_id].mode != "COMMON":
        raise failure(call, "NotSupportYet", "The instance is not in security collaboration mode.", 403)
    found = [table for table in database.tables if call.text("SearchName") in table.name]
    rows = [
        {**_table(call, database, table), "TableSchemaName": database.schema, "TableType": "NORMAL",
         "Engine": "InnoDB", "Encoding": "utf8mb4", "Description": "", "NumRows": 100, "StoreCapacity": 1}
        for table in cut(call, found)
    ]  # fmt: skip
    return {"TotalCount": len(found), "TableList": {"Table": rows}}


@DMS.action("ListLogicTables", f"Tid:int DatabaseId! {PAGE} SearchName ReturnGuid:bool")
def list_logic_tables(call: Call) -> dict[str, Any]:
    """Tables of a logical database; ``SearchName`` is a prefix."""
    caller(call)
    database = find_database(call, call.text("DatabaseId"), logic=True)
    found = [table for table in database.tables if table.name.startswith(call.text("SearchName"))]
    rows = [
        {**_table(call, database, table), "Logic": True, "SchemaName": database.schema, "TableCount": "2",
         "TableExpr": f"{table.name}_[0-1]"}
        for table in cut(call, found)
    ]  # fmt: skip
    return {"TotalCount": len(found), "LogicTableList": {"LogicTable": rows}}
