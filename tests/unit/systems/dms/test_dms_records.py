"""DMS permission records: whose one is, and which the revoke call may name."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from rescind.errors import CloudError, ListingIncompleteError, NotFoundError
from rescind.systems.walker import Walker
from tests.support.dms_tenant import ANN, BOB, DMS, TABLE, Answers, Seen, client, record, records


def listed(*rows: Answers, kind: str = "TABLE", logic: str = "false") -> Seen:
    """A tenant whose one listing by database shows these rows."""

    def answer(sent: Mapping[str, str]) -> Answers:
        return records(*rows) if (sent["PermType"], sent["Logic"]) == (kind, logic) else records()

    return Seen({"ListDatabaseUserPermssions": answer})


# --- whose record it is --------------------------------------------------------------------------------


def reread(answers: Answers, *scopes: tuple[str, ...]) -> list[str]:
    reading = asyncio.run(DMS.reread(client(answers), scopes))
    return sorted(grant.key.principal_id for grant in reading.grants)


BY_ANN = ("by user", ANN, "TABLE", "false")


@pytest.mark.parametrize("rows", [[BOB], [ANN, BOB], [BOB, ANN]])
def test_a_listing_of_one_user_that_shows_another_proves_nothing(rows: list[str]) -> None:
    about = [record(who, "TABLE", **TABLE) for who in rows]
    with pytest.raises(ListingIncompleteError, match=r"ListUserPermissions\(TABLE\).*another user"):
        reread({"ListUserPermissions": records(*about)}, BY_ANN)
    assert reread({"ListUserPermissions": records(record(ANN, "TABLE", **TABLE))}, BY_ANN) == [ANN]


@pytest.mark.parametrize("code", ["UserNotExist", "NoPermission"])
def test_only_a_user_who_is_not_there_needs_no_listing(code: str) -> None:
    answer = {"ListUserPermissions": {"Code": code, "Message": "no", "HttpStatus": 403}}
    with pytest.raises(CloudError) as caught:
        reread(answer, BY_ANN)
    assert isinstance(caught.value, NotFoundError) == (code == "UserNotExist")


def test_both_listings_name_a_record_alike() -> None:
    def answer(sent: Mapping[str, str]) -> Answers:
        mine = (sent["PermType"], sent.get("Logic")) == ("TABLE", "false")
        return records(record(ANN, "TABLE", **TABLE)) if mine else records()

    seen = Seen({"ListDatabaseUserPermssions": answer})
    walker: Walker[Any] = Walker(client({"ListUserPermissions": answer}))
    own = DMS.principal_listing_scope(seen.grant())
    assert own == BY_ANN
    (by_user,) = asyncio.run(DMS._records_of(walker, "3001", own))  # type: ignore[attr-defined]
    assert (by_user.key, DMS.listing_scope(by_user)) == (seen.grant().key, DMS.listing_scope(seen.grant()))


# --- what the revoke call may name ---------------------------------------------------------------------

FINE = ""
ODD: dict[str, tuple[str, dict[str, Any], str]] = {
    "table": ("TABLE", TABLE, FINE),
    "table that leaves Logic out": ("TABLE", {**TABLE, "Logic": None}, FINE),
    "database": ("DATABASE", {}, FINE),
    "logical database": ("LOGIC_DATABASE", {"Logic": True}, FINE),
    "logical database that leaves Logic out": ("LOGIC_DATABASE", {"Logic": None}, FINE),
    "instance": ("INSTANCE", {"DbId": None, "Logic": None}, FINE),
    "instance that says Logic": ("INSTANCE", {"DbId": None}, FINE),
    "table that is logical": ("TABLE", {**TABLE, "Logic": True}, "contradicts itself"),
    "database that is logical": ("DATABASE", {"Logic": True}, "contradicts itself"),
    "logical table that is physical": ("LOGIC_TABLE", {**TABLE, "Logic": False}, "contradicts itself"),
    "logical database that is physical": ("LOGIC_DATABASE", {"Logic": False}, "contradicts itself"),
    "table without its id": ("TABLE", {"TableName": "orders"}, "does not name its database and table"),
    "logical table without its id": ("LOGIC_TABLE", {"Logic": True}, "does not name its database and table"),
    "table without its database": ("TABLE", {**TABLE, "DbId": None}, "does not name its database and table"),
    "database without its id": ("DATABASE", {"DbId": None}, "does not name its database and table"),
    "instance without its id": ("INSTANCE", {"InstanceId": None}, "names no instance"),
    "column": ("TABLE", {**TABLE, "ColumnName": "salary"}, "column permissions"),
    "kind of tomorrow": ("SCHEMA", {}, "unknown object type"),
}


@pytest.mark.parametrize("name", ODD)
def test_a_row_that_contradicts_itself_is_kept_and_says_why(name: str) -> None:
    ds_type, fields, why = ODD[name]
    seen = listed(record(ANN, ds_type, **fields))
    (grant,) = seen.sink.grants
    assert (grant.revocable, why in grant.why_not, bool(grant.why_not)) == (not why, True, bool(why))
    if not why:
        sent = DMS.request(SimpleNamespace(), [grant]).wire()  # type: ignore[arg-type]
        expected = None if ds_type == "INSTANCE" else ds_type.startswith("LOGIC_")
        assert sent.get("Logic") == expected


@pytest.mark.parametrize("privilege", ["QUERY", "EXPORT", "CORRECT", "LOGIN", "PERF", "ADMIN", "query"])
def test_only_privileges_that_the_call_knows_are_revocable(privilege: str) -> None:
    row = record(ANN, "DATABASE")
    row["PermDetails"]["PermDetail"][0]["PermType"] = privilege
    (grant,) = listed(row).sink.grants
    assert grant.revocable == (privilege in {"QUERY", "EXPORT", "CORRECT", "LOGIN", "PERF"})


def test_a_record_in_the_listing_of_columns_is_one_of_a_column() -> None:
    (grant,) = listed(record(ANN, "TABLE", **TABLE), kind="COLUMN").sink.grants
    assert grant.key.resource_type == "column" and not grant.revocable
