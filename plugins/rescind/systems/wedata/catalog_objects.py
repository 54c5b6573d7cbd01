"""What a WeData catalog holds: its schemas, its tables and their owners."""

from __future__ import annotations

from collections.abc import Iterable

from rescind.cloud.clients import WeDataClient
from rescind.cloud.wedata.inventory import ListDatabase, ListSchema, ListTable, Table
from rescind.errors import ListingIncompleteError
from rescind.model import Cell, Grant, GrantKey, PrincipalType
from rescind.systems.population import Population
from rescind.systems.walker import Walker

OWNER = "owner"
DOTTED = "its name has a dot, so its permissions cannot be addressed"


async def objects_below(
    walker: Walker[WeDataClient], catalog: str, found: Population, only: frozenset[str] | None = None
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return the catalog's schemas and its tables as (ResourceType, ResourceUri), and add the owners of tables.

    Escaping is not documented, so an object with a dot in its name cannot be addressed: it is named and left out.

    :param only: the objects that are wanted and those above them, as ResourceUri; None for all.
    :raises ListingIncompleteError: when a table names neither its schema nor its database.
    """
    schemas = {database.Name for database in await walker.rows(ListDatabase(CatalogName=catalog))}
    schemas.update(schema.Name for schema in await walker.rows(ListSchema(CatalogName=catalog)))
    if only is not None:
        schemas = {schema for schema in schemas if f"{catalog}.{schema}" in only}
    tables = await _tables(walker, catalog, schemas, only)
    if any(not (table.SchemaName or table.DatabaseName) for table in tables):
        raise ListingIncompleteError(f"ListTable(CatalogName={catalog})", "a table names neither schema nor database")
    schemas.update(table.SchemaName or table.DatabaseName or "" for table in tables)
    paths = {(table.SchemaName or table.DatabaseName or "", table.Name): table for table in tables}
    for schema in sorted(schema for schema in schemas if "." in schema):
        found.not_reviewed("schema", f"{catalog}.{schema}", DOTTED)
    for schema, name in sorted(paths):
        if "." in schema or "." in name:
            found.not_reviewed("table", f"{catalog}.{schema}.{name}", DOTTED)
    plain = [(schema, name) for schema, name in sorted(paths) if "." not in schema and "." not in name]
    found.add_grants(
        _owner(walker.account, f"{catalog}.{schema}.{name}", owner)
        for schema, name in plain
        if (owner := paths[schema, name].owner)
    )
    return (
        [("Schema", f"{catalog}.{schema}") for schema in sorted(schemas) if "." not in schema],
        [("Table", f"{catalog}.{schema}.{name}") for schema, name in plain],
    )


async def _tables(
    walker: Walker[WeDataClient], catalog: str, schemas: Iterable[str], only: frozenset[str] | None
) -> list[Table]:
    """Return the tables of a catalog; with ``only``, the wanted ones, by schema.

    A table names its schema or its database, so both are asked for.
    """
    if only is None:
        return list(await walker.rows(ListTable(CatalogName=catalog)))
    inside = {uri.split(".")[1] for uri in only if uri.startswith(f"{catalog}.") and uri.count(".") > 1}
    requests = [
        ListTable.model_validate({"CatalogName": catalog, field: schema})
        for schema in sorted(inside & set(schemas))
        for field in ("SchemaName", "DatabaseName")
    ]
    listed = await walker.each(requests, walker.rows)
    tables = {(table.SchemaName or table.DatabaseName, table.Name): table for rows in listed for table in rows}
    return [table for (schema, name), table in tables.items() if not schema or f"{catalog}.{schema}.{name}" in only]


def _owner(account: str, uri: str, owner: str) -> Grant:
    """Return the owner of a table, as text of undocumented form: a path where it is the id of a person."""
    return Grant(
        key=GrantKey("wedata_privileges", account, "table", uri, PrincipalType.USER, owner, OWNER),
        # No call takes it and no listing of permissions shows it.
        cell=Cell("", uri, "owner", (owner,)),
        revocable=False,
        why_not="owns the table",
        resource_name=uri,
        attributes={"ResourceType": ""},
    )
