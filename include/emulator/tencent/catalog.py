"""Walking the catalog tree: catalogs, databases (the schema level of lake catalogs), schemas, tables."""

from __future__ import annotations

from typing import Any

from emulator.errors import ApiError
from emulator.registry import Call
from emulator.store.wedata import Resource
from emulator.tencent import WEDATA
from emulator.tencent.paging import REQUIRED_PAGE, metadata_page


def _resources(call: Call, kind: str) -> list[Resource]:
    cached: dict[str, list[Resource]] = call.world.cache.setdefault("wedata_tree", {})
    if kind not in cached:
        cached[kind] = [resource for resource in call.world.privileges.grants if resource.type == kind]
    return cached[kind]


def _named(call: Call, kind: str, **wanted: str) -> list[list[str]]:
    """Paths of a kind whose parts agree with what is wanted; a wanted empty text takes any."""
    if "DatasourceId" in call.params:
        return []
    keyword, paths = call.text("Keyword"), []
    for resource in _resources(call, kind):
        parts = resource.uri.split(".")
        if wanted.get("catalog", "") not in ("", parts[0]) or keyword not in parts[-1]:
            continue
        if len(parts) > 1 and any(wanted.get(name, "") not in ("", parts[1]) for name in ("database", "schema")):
            continue
        paths.append(parts)
    return paths


@WEDATA.action("ListCatalog", {**REQUIRED_PAGE, "ParentCatalogId": str})
def list_catalog(call: Call) -> dict[str, Any]:
    """Names of the catalogs."""
    return {"Data": metadata_page(call.params, _named(call, "catalog"), lambda parts: {"Name": parts[0]})}


@WEDATA.action("ListDatabase", {**REQUIRED_PAGE, "CatalogName": str, "DatasourceId": int, "Keyword": str})
def list_database(call: Call) -> dict[str, Any]:
    """Databases of a catalog, or of all."""
    return {"Data": metadata_page(call.params, _named(call, "schema", catalog=call.text("CatalogName")), _database)}


def _database(parts: list[str]) -> dict[str, Any]:
    return {
        "Guid": f"db-{parts[0]}-{parts[1]}", "Name": parts[1], "CatalogName": parts[0], "Description": "",
        "Location": f"cosn://demo/{parts[0]}/{parts[1]}", "StorageSize": 0, "DatasourceId": None,
        "DatasourceType": "TCLAKE",
    }  # fmt: skip


@WEDATA.action("ListSchema", {**REQUIRED_PAGE, "CatalogName": str, "DatasourceId": int, "DatabaseName": str,
                              "Keyword": str})  # fmt: skip
def list_schema(call: Call) -> dict[str, Any]:
    """Schemas; ``Name`` and ``DatabaseName`` carry the same text, as in the sample."""
    found = _named(call, "schema", catalog=call.text("CatalogName"), database=call.text("DatabaseName"))
    return {"Data": metadata_page(call.params, found, _schema)}


def _schema(parts: list[str]) -> dict[str, Any]:
    return {"Guid": f"sc-{parts[0]}-{parts[1]}", "Name": parts[1], "DatabaseName": parts[1]}


@WEDATA.action("ListTable", {**REQUIRED_PAGE, "CatalogName": str, "DatasourceId": int, "DatabaseName": str,
                             "SchemaName": str, "Keyword": str})  # fmt: skip
def list_table(call: Call) -> dict[str, Any]:
    """Tables; ``SchemaName`` is null for lake tables, as in the sample."""
    found = _named(call, "table", catalog=call.text("CatalogName"), database=call.text("DatabaseName"),
                   schema=call.text("SchemaName"))  # fmt: skip
    return {"Data": metadata_page(call.params, found, lambda parts: _table(call, parts))}


def _table(call: Call, parts: list[str]) -> dict[str, Any]:
    details = call.world.table_details.get(".".join(parts), {})
    return {
        "Guid": details.get("guid", ""), "Name": parts[2], "Description": "", "DatabaseName": parts[1],
        "SchemaName": None, "TableType": "TABLE", "CreateTime": "2025-09-03T00:11:03+08:00",
        "UpdateTime": "2025-09-03T00:11:03+08:00",
        "TechnicalMetadata": {"Owner": "loader", "Location": f"cosn://demo/{'/'.join(parts)}", "StorageSize": 1024},
        "BusinessMetadata": {"TagNames": []}, "CatalogName": parts[0], "DatasourceId": None, "DatasourceType": "TCLAKE",
    }  # fmt: skip


@WEDATA.action("GetTable", {"TableGuid!": str})
def get_table(call: Call) -> dict[str, Any]:
    """One table by guid."""
    for uri, details in call.world.table_details.items():
        if details["guid"] == call.params["TableGuid"]:
            return {"Data": _table(call, uri.split("."))}
    raise ApiError("ResourceNotFound", "The table does not exist.")
