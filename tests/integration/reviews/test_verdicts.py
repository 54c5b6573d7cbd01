"""Every verdict, made to happen by the emulator: what a complete reading shows is what the run says."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from tests.support.reviews.review import ReviewBench
from tests.support.reviews.verdicts import (
    DMS,
    MENUS,
    PRIVILEGES,
    SOURCES,
    Row,
    approved,
    items_of,
    mutate,
    records_of,
    script,
    somebody,
)

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
NOT_OFFERED = "not offered by the vendor"


def test_one_run_with_every_verdict_each_with_its_statements(bench: Bench) -> None:
    setup = bench(settle_limit_seconds=1.5)
    setup.judged = False  # one listing keeps showing a record that is gone: "still present" is all that can be said
    person = somebody(setup)
    gone, before_us, ignored, late, flapping, again = records_of(setup, person, 6)
    review = approved(setup, person, DMS)
    mutate(setup, {**before_us, "op": "revoke", "system": DMS})

    def revoking(record: Row, kind: str, **options: Any) -> Row:
        where = {"UserAccessId": record["user_access_id"]}
        return {"kind": kind, "action": "RevokeUserPermission", "where": where, **options}

    given = {"op": "grant", "system": DMS, **{k: v for k, v in again.items() if k not in ("user_access_id", "origin")}}
    script(
        setup,
        revoking(ignored, "pretend"),
        revoking(late, "lag", reads=3),
        revoking(flapping, "lag", seconds=3600, flap=True),
        # Somebody gives it again while we wait for the platform to settle.
        {"kind": "mutate", "action": "ListUserPermissions", "calls": [1], "ops": [given], "when": "after", "times": 1},
    )
    review.revoke()
    (report,) = review.verify()
    assert setup.emulator.get("faults")["all_fired"]
    items = {row["native_id"]: row for row in items_of(review)}
    said = {name: items[one["user_access_id"]] for name, one in
            {"gone": gone, "before": before_us, "ignored": ignored, "late": late, "flapping": flapping, "again": again}
            .items()}  # fmt: skip
    assert {name: row["verdict"] for name, row in said.items()} | {"flapping": ""} == {
        "gone": "verified_gone",
        "before": "already_absent",
        "ignored": "still_present",
        "late": "verified_gone",
        "flapping": "",
        "again": "still_effective",
    }
    assert said["flapping"]["verdict"] in ("still_present", "unverified")
    proven = {"by_resource": True, "by_principal": True, "effective": True}
    assert [said[name]["absent"] for name in ("gone", "before", "late")] == [proven] * 3
    assert said["again"]["absent"] == {**proven, "effective": False, "paths": [said["again"]["remains"]]}
    assert said["again"]["remains"].startswith(f"direct grant: {again['perm_type']} on database")
    assert said["ignored"]["absent"] == {"by_resource": False, "by_principal": False, "effective": False}
    assert report["items"] == 6
    with pytest.raises(Exception, match="2 of 6 items are not proven gone"):
        review.gate()


def test_the_two_sides_are_read_once_each_when_nothing_lags(bench: Bench) -> None:
    setup = bench()
    person = somebody(setup)
    records = records_of(setup, person, 6)
    review = approved(setup, person, DMS)
    review.revoke()
    before = len(setup.emulator.get("journal")["entries"])
    (report,) = review.verify()
    actions = [e["action"] for e in setup.emulator.get("journal")["entries"][before:] if e["kind"] == "request"]
    databases = {row["db_id"] for row in records}
    assert report["verified_gone"] == 6
    assert actions.count("ListUserPermissions") == 1
    assert actions.count("ListDatabaseUserPermssions") == len(databases)
    # What the vendor says of policies and ownership: instances and databases that a user reaches, and those that the
    # user owns. None of the four listings declares a total, so each ends with a second empty page.
    assert report["list_calls"] == 1 + len(databases) + 4 * 2 < 2 * report["items"]


def test_what_one_listing_cannot_show_is_unverified_and_nothing_else(bench: Bench) -> None:
    setup = bench()
    person = somebody(setup)
    records = records_of(setup, person, 6)
    broken = records[0]["db_id"]
    mine = [row for row in records if row["db_id"] == broken]
    assert 0 < len(mine) < len(records)
    review = approved(setup, person, DMS)
    review.revoke()
    null = {"kind": "null", "path": "UserPermissions", "action": "ListDatabaseUserPermssions"}
    script(setup, {**null, "where": {"DbId": broken}})
    review.verify()
    assert setup.emulator.get("faults")["all_fired"]
    for row in items_of(review):
        failed = row["resource_id"] == broken
        assert row["verdict"] == ("unverified" if failed else "verified_gone"), row
        assert row["absent"]["by_resource"] == ("the listing failed" if failed else True)
        assert row["absent"]["effective"] == ("not known" if failed else True)
    with pytest.raises(Exception, match=f"{len(mine)} of 6 items are not proven gone"):
        review.gate()


def test_a_user_who_is_not_listed_any_more_is_proven_by_the_resources_alone(bench: Bench) -> None:
    setup = bench()
    person = somebody(setup)
    records_of(setup, person, 3)
    review = approved(setup, person, DMS)
    review.revoke()
    script(setup, {"kind": "error", "action": "ListUserPermissions", "code": "UserNotExist", "status": 404})
    review.verify()
    items = items_of(review)
    assert [row["verdict"] for row in items] == ["verified_gone"] * 3
    for row in items:
        assert row["absent"]["by_resource"] is True and "UserNotExist" in row["absent"]["by_principal"]
    assert review.gate() == "succeeded"


def test_a_right_that_comes_back_under_the_same_name_while_we_wait_is_still_present(bench: Bench) -> None:
    setup = bench(settle_limit_seconds=1.0)
    person = somebody(setup)
    table = next(row for row in setup.emulator.get("truth")[PRIVILEGES] if row["resource_type"] == "Table")
    mine = {**table, "subject_type": "User", "subject_value": person["wedata_user_id"], "privilege": "MODIFY"}
    mutate(setup, {**mine, "op": "grant", "system": PRIVILEGES})
    review = approved(setup, person, PRIVILEGES)
    review.revoke()
    again = {"ops": [{**mine, "op": "grant", "system": PRIVILEGES}], "when": "after", "calls": [1], "times": 1}
    where = {"Resource": table["resource_uri"]}
    script(setup, {"kind": "mutate", "action": "ListPermissions", "where": where, **again})
    review.verify()
    assert setup.emulator.get("faults")["all_fired"]
    rows = items_of(review)
    (back,) = [row for row in rows if row["verdict"] == "still_present"]
    assert back["resource_id"] == table["resource_uri"] and back["entitlement"] == "MODIFY"
    assert back["absent"] == {"by_resource": False, "by_principal": NOT_OFFERED, "effective": False}
    assert all(row["absent"]["by_principal"] == NOT_OFFERED for row in rows)


def test_an_item_that_had_settled_and_is_shown_again_is_not_gone(bench: Bench) -> None:
    setup = bench(settle_limit_seconds=2.0)
    person = somebody(setup)
    table = next(row for row in setup.emulator.get("truth")[PRIVILEGES] if row["resource_type"] == "Table")
    mine = {**table, "subject_type": "User", "subject_value": person["wedata_user_id"], "system": PRIVILEGES}
    soon, late = ({**mine, "privilege": name} for name in ("INSERT_TABLE", "UPDATE_TABLE"))
    mutate(setup, {**soon, "op": "grant"}, {**late, "op": "grant"})
    review = approved(setup, person, PRIVILEGES)
    where = {"Resource": table["resource_uri"]}
    script(
        setup,
        {"kind": "lag", "action": "RevokePrivileges", "where": {"Privileges": late["privilege"]}, "reads": 4},
        {"kind": "mutate", "action": "ListPermissions", "where": where, "calls": [3], "times": 1, "when": "before",
         "ops": [{**soon, "op": "grant"}]},
    )  # fmt: skip
    review.revoke()
    review.verify()
    assert setup.emulator.get("faults")["all_fired"]
    verdicts = {row["entitlement"]: row["verdict"] for row in items_of(review)}
    # Its table was read a third time for the sake of the other one, long after two clean readings.
    assert (verdicts["INSERT_TABLE"], verdicts["UPDATE_TABLE"]) == ("still_present", "verified_gone")


def test_every_path_that_remains_is_found_and_named(bench: Bench) -> None:
    setup = bench("--preset", "tiny", record_gone_fails=[])
    person = somebody(setup)
    expected = {**_wedata_paths(setup, person), **_quickbi_paths(setup, person)}
    _with_second_ids(setup)
    review = approved(setup, person, PRIVILEGES, SOURCES, MENUS)
    review.revoke()
    review.verify()
    items = {(row["resource_id"], row["entitlement"]): row for row in items_of(review)}
    for listing_scope, path in expected.items():
        row = items[listing_scope]
        assert row["verdict"] == "still_effective" and row["absent"]["effective"] is False, (listing_scope, row)
        assert path in {re.sub(r' "[^"]*"', "", named) for named in row["absent"]["paths"]}, row
        assert row["remains"] == row["absent"]["paths"][0]
    assert review.gate() == "succeeded", "an open finding, not a failure"


def test_a_policy_of_the_platform_that_gives_the_same_right_is_named(bench: Bench) -> None:
    setup = bench()
    person = somebody(setup)
    records = records_of(setup, person, 6)
    covered = min(row["db_id"] for row in setup.emulator.get("truth")[DMS] if row["ds_type"] == "DATABASE")
    mutate(setup, {"op": "dms_policy_member", "policy_id": "9001", "user_id": person["dms_user_id"]})
    review = approved(setup, person, DMS)
    review.revoke()
    review.verify()
    assert covered in {row["db_id"] for row in records if row["perm_type"] == "QUERY"}
    for row in items_of(review):
        left = (row["resource_id"], row["entitlement"]) == (covered, "QUERY")
        assert row["verdict"] == ("still_effective" if left else "verified_gone"), row
        assert row["remains"] == (f"a policy or ownership gives QUERY on database {covered}" if left else "")
    assert review.gate() == "succeeded"


def test_nothing_is_gone_while_the_platform_does_not_say_what_is_left(bench: Bench) -> None:
    setup = bench()
    person = somebody(setup)
    records_of(setup, person, 2)
    review = approved(setup, person, DMS)
    review.revoke()
    script(setup, {"kind": "null", "path": "Databases", "action": "ListAuthorizedDatabasesForUser"})
    review.verify()
    rows = items_of(review)
    assert [row["verdict"] for row in rows] == ["record_gone"] * 2
    for row in rows:
        assert (row["absent"]["by_resource"], row["absent"]["by_principal"]) == (True, True)
        assert row["absent"]["effective"] == "unknown"
        assert "ListAuthorizedDatabasesForUser" in str(row["absent"]["not_asked"])
        assert "ListAuthorizedDatabasesForUser" in row["remains"]
    review.report()
    with pytest.raises(AirflowFailException, match="record_gone_fails"):
        review.gate()


def _wedata_paths(setup: ReviewBench, person: Row) -> dict[tuple[str, str], str]:
    """Tables that stay reachable by a role, a project, everyone and a parent; a source by its project."""
    truth = setup.emulator.get("truth")
    tables = sorted({row["resource_uri"] for row in truth[PRIVILEGES] if row["resource_type"] == "Table"})
    by_schema = {uri.rpartition(".")[0]: uri for uri in tables}
    assert len(by_schema) >= 2, "the parent's path needs a schema of its own"
    parent, below = sorted(by_schema.items())[-1]
    role_table, project_table, open_table = [uri for uri in tables if uri.rpartition(".")[0] != parent][:3]
    reaching = ("SELECT_TABLE", "ALL_PRIVILEGES")
    wide = [row for row in truth[PRIVILEGES] if row["privilege"] in reaching and row["resource_type"] != "Metalake"]
    mutate(setup, *({**row, "op": "revoke", "system": PRIVILEGES} for row in wide))
    member = setup.emulator.get("truth?extra=1")["wedata_project_members"][0]
    project, role = member["project_id"], f"{member['project_id']}.{member['role_ids'][0]}"
    uin = person["wedata_uin"]
    joined = {"op": "project_member", "project_id": project, "user_uin": uin, "role_id": member["role_ids"][0]}
    setup.emulator.post("mutate", {"ops": [joined]})

    def grant(kind: str, uri: str, subject: str, value: str) -> Row:
        where = {"op": "grant", "system": PRIVILEGES, "resource_type": kind, "resource_uri": uri}
        return {**where, "subject_type": subject, "subject_value": value, "privilege": "SELECT_TABLE"}

    for uri in (role_table, project_table, open_table, below):
        mutate(setup, grant("Table", uri, "User", person["wedata_user_id"]))
    mutate(
        setup,
        grant("Table", role_table, "Role", role),
        grant("Table", project_table, "Project", project),
        grant("Table", open_table, "GlobalRole", "AllAccountUsers"),
        grant("Schema", parent, "GlobalRole", "AllAccountUsers"),
    )
    source = truth[SOURCES][0]["data_source_id"]
    for user in ("", person["wedata_user_id"]):
        entry = {"data_source_id": source, "project_id": project, "user_id": user}
        setup.emulator.post("mutate", {"ops": [{"op": "grant", "system": SOURCES, **entry}]})
    read = "SELECT_TABLE"
    return {
        (role_table, read): f"user {uin} in role {role}: {read} on table {role_table}",
        (project_table, read): f"user {uin} in project {project}: {read} on table {project_table}",
        (open_table, read): f"all users: {read} on table {open_table}",
        (below, read): f"all users: {read} on schema {parent}",
        (source, "use"): f"user {uin} in project {project}: use on data_source {source}",
    }


def _quickbi_paths(setup: ReviewBench, person: Row) -> dict[tuple[str, str], str]:
    """Menus that stay visible by a group, a group in a group, the organization, a workspace, and to everybody."""
    user = person["quickbi_user_id"]
    extra = setup.emulator.get("truth?extra=1")
    rows = extra[MENUS]
    menus = sorted({(row["portal_id"], row["menu_id"]) for row in rows})
    closed = [m for m in menus if m not in {(o["portal_id"], o["menu_id"]) for o in extra["quickbi_open_menus"]}]
    group_menu, nested_menu, organization_menu, workspace_menu, open_menu = closed[:5]
    mutate(setup, *({**row, "op": "revoke", "system": MENUS} for row in rows
                     if (row["portal_id"], row["menu_id"]) in closed[:5]))  # fmt: skip
    members = extra["quickbi_group_members"]
    child = next(row for row in members if row["parent"] != "-1")
    inner, outer = child["group_id"], child["parent"]
    organization = setup.emulator.get("org")["quickbi_organization_id"]
    workspace = extra["quickbi_workspace_members"][0]["workspace_id"]
    for operation in (
        *({"op": "group_member", "group_id": row["group_id"], "user_id": user, "remove": True} for row in members
          if row["user_id"] == user),
        {"op": "group_member", "group_id": inner, "user_id": user},
        {"op": "workspace_member", "workspace_id": workspace, "user_id": user},
    ):  # fmt: skip
        setup.emulator.post("mutate", {"ops": [operation]})

    def receive(menu: tuple[str, str], kind: int, ident: str, level: int = 1) -> Row:
        listing_scope = {"op": "grant", "system": MENUS, "portal_id": menu[0], "menu_id": menu[1]}
        return {**listing_scope, "receiver_type": kind, "receiver_id": ident, "auth_points": level}

    mutate(setup, *(receive(menu, 0, user) for menu in closed[:4]), receive(open_menu, 0, user, 3))
    mutate(
        setup,
        receive(group_menu, 1, inner),
        receive(nested_menu, 1, outer),
        receive(organization_menu, 2, organization),
        receive(workspace_menu, 3, workspace),
        {"op": "menu_visibility", "portal_id": open_menu[0], "menu_id": open_menu[1], "show_only_with_access": False},
    )
    return {
        (group_menu[1], "view"): f"group {inner}: view on menu {group_menu[1]}",
        (nested_menu[1], "view"): f"group {inner} in group {outer}: view on menu {nested_menu[1]}",
        (organization_menu[1], "view"): f"organization {organization}: view on menu {organization_menu[1]}",
        (workspace_menu[1], "view"): f"workspace {workspace}: view on menu {workspace_menu[1]}",
        # The export goes, the menu is still there for everybody.
        (open_menu[1], "view_export"): f"all users: view on menu {open_menu[1]}",
    }


def _with_second_ids(setup: ReviewBench) -> None:
    """A roster that ties the ids together under which WeData lists holders and members."""
    path = Path(setup.settings["roster"])
    uins = {one["person_id"]: one["wedata_uin"] for one in setup.emulator.get("org")["people"]}
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{**row, "wedata_uin": uins[row["person_id"]]} for row in csv.DictReader(file)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def test_listings_that_take_longer_than_the_wait_are_still_read_twice(bench: Bench) -> None:
    """The wait is for a platform that lags; what a vendor's limit makes slow is read to its end."""
    setup = bench(limits={"*": 10.0}, settle_seconds=0.02, settle_limit_seconds=0.1)
    summary = setup.run(dry_run=False, systems=["wedata_data_sources"]).whole()
    assert summary["problems"] == []
