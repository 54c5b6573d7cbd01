"""DMS: after the records are gone, every other way in is named, and what could not be asked is not called gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.reviews.review import ReviewBench
from tests.support.reviews.verdicts import DMS, Row, items_of, mutate, records_of, script, somebody

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]


def _table_record(setup: ReviewBench, person: Row) -> Row:
    """The one record of a person: QUERY on a table of an instance under control."""
    records_of(setup, person, 0)
    extra = setup.emulator.get("truth?extra=1")
    instance_of = {row["db_id"]: row["instance_id"] for row in extra["dms_databases"] if not row["logic"]}
    proxy = extra["dms_proxies"][0]
    table = next(row for row in extra["dms_tables"] if instance_of.get(row["db_id"]) == proxy["instance_id"])
    place = {"ds_type": "TABLE", "instance_id": proxy["instance_id"], "db_id": table["db_id"], "logic": False}
    record = {**place, "table_id": table["table_id"], "table_name": table["table_name"], "perm_type": "QUERY"}
    mutate(setup, {"op": "grant", "system": DMS, "user_id": person["dms_user_id"], **record})
    _control(setup, proxy["instance_id"], "COMMON")
    return {**record, "proxy_id": proxy["proxy_id"]}


def _control(setup: ReviewBench, instance: str, mode: str) -> None:
    now = {row["instance_id"]: row["mode"] for row in setup.emulator.get("truth?extra=1")["dms_instances"]}
    if now[instance] != mode:
        mutate(setup, {"op": "dms_control_mode", "instance_id": instance, "mode": mode})


def _operations(person: Row, record: Row) -> dict[str, tuple[Row, str]]:
    """How the person gets each way in, and how the run names it."""
    user = {"user_id": person["dms_user_id"]}
    instance, database, table = (record[name] for name in ("instance_id", "db_id", "table_id"))

    def owner(kind: str, ident: str) -> Row:
        return {"op": "dms_owner", "owner_type": kind, "resource_id": ident, **user}

    itself = "direct grant:"
    return {
        "admin": ({"op": "dms_roles", "roles": ["USER", "ADMIN"], **user}, "role ADMIN: ADMIN on tenant "),
        "dba role": ({"op": "dms_roles", "roles": ["DBA"], **user}, "role DBA: DBA on tenant "),
        "instance dba": (
            {"op": "dms_dba", "instance_id": instance, **user}, f"{itself} DBA on instance {instance}"),
        "instance owner": (owner("INSTANCE", instance), f"{itself} owner on instance {instance}"),
        "database owner": (owner("DATABASE", database), f"{itself} owner on database {database}"),
        "table owner": (owner("TABLE", table), f"the platform names the user as owner of table {table}"),
        "proxy": (
            {"op": "proxy_access", "proxy_id": record["proxy_id"], "account": "reader", **user},
            f"{itself} proxy account on instance {instance}"),
    }  # fmt: skip


def _verified(setup: ReviewBench, person: Row, name: str = "run 1") -> tuple[list[Row], Any]:
    """The items of a run that took every record from the person, and the run."""
    targets = {"kind": "targets", "principals": [person["person_id"]], "systems": [DMS], "reason": "a test"}
    review = setup.run(name, dry_run=False, **targets)
    review.through_plan()
    review.approve()
    review.revoke()
    review.verify()
    return items_of(review), review


def test_an_administrator_who_owns_the_table_and_has_a_proxy_account_is_not_gone(bench: Bench) -> None:
    setup = bench()
    person = somebody(setup)
    record = _table_record(setup, person)
    ways = _operations(person, record)
    mutate(setup, *(ways[name][0] for name in ("admin", "table owner", "proxy")))
    (item,), review = _verified(setup, person)
    assert (item["resource_id"], item["verdict"]) == (record["table_id"], "still_effective")
    assert (item["absent"]["by_resource"], item["absent"]["by_principal"]) == (True, True)
    for name in ("admin", "proxy"):
        assert any(path.startswith(ways[name][1]) for path in item["absent"]["paths"]), (name, item)
    assert review.gate() == "succeeded", "an open finding, not a failure"


@pytest.mark.parametrize("authorized", ["all", "records_policies"])
def test_each_way_in_alone_keeps_the_access(bench: Bench, authorized: str) -> None:
    """Also where the platform's own answer does not tell of it."""
    setup = bench()
    person = somebody(setup)
    setup.emulator.post("modes", {"dms_authorized_sources": authorized})
    record = _table_record(setup, person)
    nothing = {"op": "dms_roles", "user_id": person["dms_user_id"], "roles": ["USER"]}
    for name, (operation, path) in _operations(person, record).items():
        mutate(setup, operation)
        (item,), _ = _verified(setup, person, name)
        assert (item["verdict"], item["remains"][: len(path)]) == ("still_effective", path), (name, item)
        if operation["op"] == "dms_roles":
            mutate(setup, nothing)
        elif operation["op"] == "dms_dba":
            mutate(setup, {**operation, "user_id": ""})
        else:
            mutate(setup, {**operation, "remove": True})
        record = _table_record(setup, person)
    (item,), _ = _verified(setup, person)
    assert item["verdict"] == "verified_gone", item


@pytest.mark.parametrize("lists", ["empty", "null", "missing"])
@pytest.mark.parametrize("role", ["SECURITY_ADMIN", "STRUCT_READ_ONLY"])
def test_what_gives_no_data_is_no_path_and_a_normal_account_is_judged(bench: Bench, role: str, lists: str) -> None:
    setup = bench()
    person = somebody(setup)
    setup.emulator.post("modes", {"dms_empty_lists": lists})
    _table_record(setup, person)
    mutate(setup, {"op": "dms_roles", "user_id": person["dms_user_id"], "roles": ["USER", role]})
    (item,), _ = _verified(setup, person)
    assert (item["verdict"], item["absent"]["effective"]) == ("verified_gone", True), item


@pytest.mark.parametrize("mode", ["NONE_CONTROL", "STABLE"])
def test_where_a_database_password_is_enough_only_the_record_is_gone(bench: Bench, mode: str) -> None:
    setup = bench()
    person = somebody(setup)
    records = records_of(setup, person, 6)
    _control(setup, records[0]["instance_id"], mode)
    items, _ = _verified(setup, person)
    instance_of = {row["db_id"]: row["instance_id"] for row in records}
    for item in items:
        open_ = instance_of[item["resource_id"]] == records[0]["instance_id"]
        assert item["verdict"] == ("record_gone" if open_ else "verified_gone"), item
        assert ("control mode" in str(item["absent"].get("not_asked"))) is open_


@pytest.mark.parametrize("action", ["ListProxies", "ListProxyAccesses", "ListUserOwnedResources"])
def test_a_right_that_is_missing_leaves_its_surface_open(bench: Bench, action: str) -> None:
    setup = bench()
    person = somebody(setup)
    _table_record(setup, person)
    script(setup, {"kind": "error", "action": action, "code": "Forbidden.RAM", "status": 403})
    (item,), _ = _verified(setup, person)
    assert setup.emulator.get("faults")["all_fired"]
    assert item["verdict"] == "record_gone" and action in item["remains"], item


def test_what_is_held_on_the_parts_of_a_logical_database_leaves_it_unproven(bench: Bench) -> None:
    """No page says whether the DBA of the instance behind it reaches it: neither gone nor remaining."""
    setup = bench()
    person = somebody(setup)
    records_of(setup, person, 0)
    extra = setup.emulator.get("truth?extra=1")
    logical = next(row for row in extra["dms_databases"] if row["logic"])
    user, instance = {"user_id": person["dms_user_id"]}, {"instance_id": logical["instance_id"]}
    _control(setup, logical["instance_id"], "COMMON")
    place = {"ds_type": "LOGIC_DATABASE", "db_id": logical["db_id"], "logic": True, "perm_type": "QUERY", **instance}
    dba = {"op": "dms_dba", **instance}
    if any(one["resource_id"] == logical["db_id"] and one["user_id"] == user["user_id"] for one in extra["dms_owners"]):
        owner = {"op": "dms_owner", "owner_type": "LOGIC_DATABASE", "resource_id": logical["db_id"], "remove": True}
        mutate(setup, {**owner, **user})
    for who, verdict in ((person["dms_user_id"], "record_gone"), ("", "verified_gone")):
        mutate(setup, {"op": "grant", "system": DMS, **user, **place}, {**dba, "user_id": who})
        (item,), _ = _verified(setup, person, verdict)
        assert item["verdict"] == verdict, (item["remains"], item)
        assert ("parts of logical databases" in str(item["absent"].get("not_asked"))) is bool(who)


def test_a_proxy_that_does_not_answer_leaves_its_own_instance_unproven_and_no_other(bench: Bench) -> None:
    setup = bench()
    person = somebody(setup)
    records = records_of(setup, person, 6)
    proxies = {row["instance_id"]: row["proxy_id"] for row in setup.emulator.get("truth?extra=1")["dms_proxies"]}
    places = {row["db_id"]: row["instance_id"] for row in records}
    for instance in set(places.values()):
        _control(setup, instance, "COMMON")
    closed = next(instance for instance in places.values() if instance in proxies)
    error = {"kind": "error", "action": "ListProxyAccesses", "code": "Forbidden.RAM", "status": 403}
    script(setup, {**error, "where": {"ProxyId": proxies[closed]}})
    items, _ = _verified(setup, person)
    verdicts = {(places[item["resource_id"]] == closed, item["verdict"]) for item in items}
    assert verdicts == {(True, "record_gone"), (False, "verified_gone")}
