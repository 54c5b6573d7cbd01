"""Every verdict, made to happen by the emulator: what a complete reading shows is what the run says."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.review import Review, ReviewBench

Bench = Callable[..., ReviewBench]
Row = dict[str, Any]
DMS, PRIVILEGES, SOURCES, MENUS = "dms_permissions", "wedata_privileges", "wedata_data_sources", "quickbi_menus"
NOT_OFFERED = "not offered by the vendor"


def _person(bench: ReviewBench) -> Row:
    """Somebody whom nothing protects, with an id everywhere."""
    people = bench.emulator.get("org")["people"]
    return next(
        one
        for one in people
        if one["status"] == "active" and one["kind"] == "human" and not one["protected"] and one["dms_user_id"]
    )


def _mutate(bench: ReviewBench, *operations: Row) -> None:
    changed = bench.emulator.post("mutate", {"actor": "somebody", "ops": list(operations)})["changed"]
    assert all(changed), (operations, changed)


def _script(bench: ReviewBench, *faults: Row) -> None:
    numbered = [{"id": f"fault {number}", "times": 0, **fault} for number, fault in enumerate(faults)]
    bench.emulator.post("faults", {"faults": numbered, "replace": True})


def _approved(bench: ReviewBench, person: Row, *systems: str) -> Review:
    """A run that takes everything from one person, approved and not yet sent."""
    review = bench.run(
        kind="targets", principals=[person["person_id"]], systems=list(systems), reason="a test", dry_run=False
    )
    review.through_plan()
    review.approve()
    return review


def _items(review: Review) -> list[Row]:
    """What the run says of each item in the end."""
    summary = review.report()
    return [json.loads(line) for line in Path(summary["items_file"]).read_text(encoding="utf-8").splitlines()]


def _records(bench: ReviewBench, person: Row, wanted: int) -> list[Row]:
    """So many valid DMS records of one person in different databases, made where they are missing."""
    truth = bench.emulator.get("truth")[DMS]
    databases = {row["db_id"]: row for row in truth if row["ds_type"] == "DATABASE"}
    mine = [row for row in truth if row["user_id"] == person["dms_user_id"]]
    _mutate(bench, *({**row, "op": "revoke", "system": DMS} for row in mine))
    names = ("ds_type", "instance_id", "db_id", "logic")
    places = [(row, perm) for _, row in sorted(databases.items()) for perm in ("QUERY", "EXPORT", "CORRECT")][:wanted]
    assert len(places) == wanted
    for row, perm in places:
        given = {name: row[name] for name in names} | {"user_id": person["dms_user_id"], "perm_type": perm}
        _mutate(bench, {"op": "grant", "system": DMS, **given})
    return [row for row in bench.emulator.get("truth")[DMS] if row["user_id"] == person["dms_user_id"]]


def test_one_run_with_every_verdict_each_with_its_statements(bench: Bench) -> None:
    setup = bench(settle_limit_seconds=1.5)
    person = _person(setup)
    gone, before_us, ignored, late, flapping, again = _records(setup, person, 6)
    review = _approved(setup, person, DMS)
    _mutate(setup, {**before_us, "op": "revoke", "system": DMS})

    def revoking(record: Row, kind: str, **options: Any) -> Row:
        where = {"UserAccessId": record["user_access_id"]}
        return {"kind": kind, "action": "RevokeUserPermission", "where": where, **options}

    given = {"op": "grant", "system": DMS, **{k: v for k, v in again.items() if k not in ("user_access_id", "origin")}}
    _script(
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
    items = {row["native_id"]: row for row in _items(review)}
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
    assert said["again"]["absent"] == {**proven, "effective": False}
    assert said["again"]["remains"].startswith(f"the principal itself holds {again['perm_type']} on database")
    assert said["ignored"]["absent"] == {"by_resource": False, "by_principal": False, "effective": False}
    assert report["items"] == 6
    with pytest.raises(Exception, match="2 of 6 items are not proven gone"):
        review.gate()


def test_the_two_sides_are_read_once_each_when_nothing_lags(bench: Bench) -> None:
    setup = bench()
    person = _person(setup)
    records = _records(setup, person, 6)
    review = _approved(setup, person, DMS)
    review.revoke()
    before = len(setup.emulator.get("journal")["entries"])
    (report,) = review.verify()
    actions = [e["action"] for e in setup.emulator.get("journal")["entries"][before:] if e["kind"] == "request"]
    databases = {row["db_id"] for row in records}
    assert report["verified_gone"] == 6
    assert actions.count("ListUserPermissions") == 1
    assert actions.count("ListDatabaseUserPermssions") == len(databases)
    # What the vendor says of policies and ownership: one listing of instances and one of databases for each user.
    assert report["list_calls"] == 1 + len(databases) + 2 < 2 * report["items"]


def test_what_one_listing_cannot_show_is_unverified_and_nothing_else(bench: Bench) -> None:
    setup = bench()
    person = _person(setup)
    records = _records(setup, person, 6)
    broken = records[0]["db_id"]
    mine = [row for row in records if row["db_id"] == broken]
    assert 0 < len(mine) < len(records)
    review = _approved(setup, person, DMS)
    review.revoke()
    null = {"kind": "null", "path": "UserPermissions", "action": "ListDatabaseUserPermssions"}
    _script(setup, {**null, "where": {"DbId": broken}})
    review.verify()
    assert setup.emulator.get("faults")["all_fired"]
    for row in _items(review):
        failed = row["resource_id"] == broken
        assert row["verdict"] == ("unverified" if failed else "verified_gone"), row
        assert row["absent"]["by_resource"] == ("the listing failed" if failed else True)
        assert row["absent"]["effective"] == ("not known" if failed else True)
    with pytest.raises(Exception, match=f"{len(mine)} of 6 items are not proven gone"):
        review.gate()


def test_a_user_who_is_not_listed_any_more_is_proven_by_the_resources_alone(bench: Bench) -> None:
    setup = bench()
    person = _person(setup)
    _records(setup, person, 3)
    review = _approved(setup, person, DMS)
    review.revoke()
    _script(setup, {"kind": "error", "action": "ListUserPermissions", "code": "UserNotExist", "status": 404})
    review.verify()
    items = _items(review)
    assert [row["verdict"] for row in items] == ["verified_gone"] * 3
    for row in items:
        assert row["absent"]["by_resource"] is True and "UserNotExist" in row["absent"]["by_principal"]
    assert review.gate() == "succeeded"


def test_a_right_that_comes_back_under_the_same_name_while_we_wait_is_still_present(bench: Bench) -> None:
    setup = bench(settle_limit_seconds=1.0)
    person = _person(setup)
    table = next(row for row in setup.emulator.get("truth")[PRIVILEGES] if row["resource_type"] == "Table")
    mine = {**table, "subject_type": "User", "subject_value": person["wedata_user_id"], "privilege": "MODIFY"}
    _mutate(setup, {**mine, "op": "grant", "system": PRIVILEGES})
    review = _approved(setup, person, PRIVILEGES)
    review.revoke()
    again = {"ops": [{**mine, "op": "grant", "system": PRIVILEGES}], "when": "after", "calls": [1], "times": 1}
    where = {"Resource": table["resource_uri"]}
    _script(setup, {"kind": "mutate", "action": "ListPermissions", "where": where, **again})
    review.verify()
    assert setup.emulator.get("faults")["all_fired"]
    rows = _items(review)
    (back,) = [row for row in rows if row["verdict"] == "still_present"]
    assert back["resource_id"] == table["resource_uri"] and back["entitlement"] == "MODIFY"
    assert back["absent"] == {"by_resource": False, "by_principal": NOT_OFFERED, "effective": False}
    assert all(row["absent"]["by_principal"] == NOT_OFFERED for row in rows)


def test_an_item_that_had_settled_and_is_shown_again_is_not_gone(bench: Bench) -> None:
    setup = bench(settle_limit_seconds=2.0)
    person = _person(setup)
    table = next(row for row in setup.emulator.get("truth")[PRIVILEGES] if row["resource_type"] == "Table")
    mine = {**table, "subject_type": "User", "subject_value": person["wedata_user_id"], "system": PRIVILEGES}
    soon, late = ({**mine, "privilege": name} for name in ("INSERT_TABLE", "UPDATE_TABLE"))
    _mutate(setup, {**soon, "op": "grant"}, {**late, "op": "grant"})
    review = _approved(setup, person, PRIVILEGES)
    where = {"Resource": table["resource_uri"]}
    _script(
        setup,
        {"kind": "lag", "action": "RevokePrivileges", "where": {"Privileges": late["privilege"]}, "reads": 4},
        {"kind": "mutate", "action": "ListPermissions", "where": where, "calls": [3], "times": 1, "when": "before",
         "ops": [{**soon, "op": "grant"}]},
    )  # fmt: skip
    review.revoke()
    review.verify()
    assert setup.emulator.get("faults")["all_fired"]
    verdicts = {row["entitlement"]: row["verdict"] for row in _items(review)}
    # Its table was read a third time for the sake of the other one, long after two clean readings.
    assert (verdicts["INSERT_TABLE"], verdicts["UPDATE_TABLE"]) == ("still_present", "verified_gone")


def test_every_path_that_remains_is_found_and_named(bench: Bench) -> None:
    setup = bench()
    person = _person(setup)
    expected = {**_wedata_paths(setup, person), **_quickbi_paths(setup, person)}
    _with_second_ids(setup)
    review = _approved(setup, person, PRIVILEGES, SOURCES, MENUS)
    review.revoke()
    review.verify()
    items = {(row["resource_id"], row["entitlement"]): row for row in _items(review)}
    for place, path in expected.items():
        row = items[place]
        assert row["verdict"] == "still_effective" and row["absent"]["effective"] is False, (place, row)
        assert row["remains"] == path
    assert review.gate() == "succeeded", "an open finding, not a failure"


def test_a_policy_of_the_platform_that_gives_the_same_right_is_named(bench: Bench) -> None:
    setup = bench()
    person = _person(setup)
    records = _records(setup, person, 6)
    covered = min(row["db_id"] for row in setup.emulator.get("truth")[DMS] if row["ds_type"] == "DATABASE")
    _mutate(setup, {"op": "dms_policy_member", "policy_id": "9001", "user_id": person["dms_user_id"]})
    review = _approved(setup, person, DMS)
    review.revoke()
    review.verify()
    assert covered in {row["db_id"] for row in records if row["perm_type"] == "QUERY"}
    for row in _items(review):
        left = (row["resource_id"], row["entitlement"]) == (covered, "QUERY")
        assert row["verdict"] == ("still_effective" if left else "verified_gone"), row
        assert row["remains"] == (f"a policy or ownership gives QUERY on database {covered}" if left else "")
    assert review.gate() == "succeeded"


def test_nothing_is_gone_while_the_platform_does_not_say_what_is_left(bench: Bench) -> None:
    setup = bench()
    person = _person(setup)
    _records(setup, person, 2)
    review = _approved(setup, person, DMS)
    review.revoke()
    _script(setup, {"kind": "null", "path": "Databases", "action": "ListAuthorizedDatabasesForUser"})
    review.verify()
    rows = _items(review)
    assert [row["verdict"] for row in rows] == ["unverified"] * 2
    assert [row["absent"] for row in rows] == [
        {"by_resource": True, "by_principal": True, "effective": "not known"}
    ] * 2


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
    _mutate(setup, *({**row, "op": "revoke", "system": PRIVILEGES} for row in wide))
    member = setup.emulator.get("truth?extra=1")["wedata_project_members"][0]
    project, role = member["project_id"], f"{member['project_id']}.{member['role_ids'][0]}"
    uin = person["wedata_uin"]
    joined = {"op": "project_member", "project_id": project, "user_uin": uin, "role_id": member["role_ids"][0]}
    setup.emulator.post("mutate", {"ops": [joined]})

    def grant(kind: str, uri: str, subject: str, value: str) -> Row:
        where = {"op": "grant", "system": PRIVILEGES, "resource_type": kind, "resource_uri": uri}
        return {**where, "subject_type": subject, "subject_value": value, "privilege": "SELECT_TABLE"}

    for uri in (role_table, project_table, open_table, below):
        _mutate(setup, grant("Table", uri, "User", person["wedata_user_id"]))
    _mutate(
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
        (role_table, read): f"user {uin} in role {role} holds {read} on table {role_table}",
        (project_table, read): f"user {uin} in project {project} holds {read} on table {project_table}",
        (open_table, read): f"everyone AllAccountUsers holds {read} on table {open_table}",
        (below, read): f"everyone AllAccountUsers holds {read} on schema {parent}",
        (source, "use"): f"user {uin} in project {project} holds use on data_source {source}",
    }


def _quickbi_paths(setup: ReviewBench, person: Row) -> dict[tuple[str, str], str]:
    """Menus that stay visible by a group, a group in a group, the organisation, a workspace, and to everybody."""
    user = person["quickbi_user_id"]
    extra = setup.emulator.get("truth?extra=1")
    rows = extra[MENUS]
    menus = sorted({(row["portal_id"], row["menu_id"]) for row in rows})
    closed = [m for m in menus if m not in {(o["portal_id"], o["menu_id"]) for o in extra["quickbi_open_menus"]}]
    group_menu, nested_menu, organisation_menu, workspace_menu, open_menu = closed[:5]
    _mutate(setup, *({**row, "op": "revoke", "system": MENUS} for row in rows
                     if (row["portal_id"], row["menu_id"]) in closed[:5]))  # fmt: skip
    members = extra["quickbi_group_members"]
    child = next(row for row in members if row["parent"] != "-1")
    inner, outer = child["group_id"], child["parent"]
    organisation = setup.emulator.get("org")["quickbi_organization_id"]
    workspace = extra["quickbi_workspace_members"][0]["workspace_id"]
    for operation in (
        *({"op": "group_member", "group_id": row["group_id"], "user_id": user, "remove": True} for row in members
          if row["user_id"] == user),
        {"op": "group_member", "group_id": inner, "user_id": user},
        {"op": "workspace_member", "workspace_id": workspace, "user_id": user},
    ):  # fmt: skip
        setup.emulator.post("mutate", {"ops": [operation]})

    def receive(menu: tuple[str, str], kind: int, ident: str, level: int = 1) -> Row:
        place = {"op": "grant", "system": MENUS, "portal_id": menu[0], "menu_id": menu[1]}
        return {**place, "receiver_type": kind, "receiver_id": ident, "auth_points": level}

    _mutate(setup, *(receive(menu, 0, user) for menu in closed[:4]), receive(open_menu, 0, user, 3))
    _mutate(
        setup,
        receive(group_menu, 1, inner),
        receive(nested_menu, 1, outer),
        receive(organisation_menu, 2, organisation),
        receive(workspace_menu, 3, workspace),
        {"op": "menu_visibility", "portal_id": open_menu[0], "menu_id": open_menu[1], "show_only_with_access": False},
    )
    return {
        (group_menu[1], "view"): f"group {inner} holds view on menu {group_menu[1]}",
        (nested_menu[1], "view"): f"group {inner} in group {outer} holds view on menu {nested_menu[1]}",
        (organisation_menu[1], "view"): f"organisation {organisation} holds view on menu {organisation_menu[1]}",
        (workspace_menu[1], "view"): f"workspace {workspace} holds view on menu {workspace_menu[1]}",
        # The export goes, the menu is still there for everybody.
        (open_menu[1], "view_export"): f"everyone everyone holds view on menu {open_menu[1]}",
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


def _kept_beside(review: Review) -> Row:
    """A kept grant of somebody else in a place that verification reads, as the ledger has it."""
    from rescind.systems import system_named

    place = system_named(DMS).place
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        decided = list(ledger.decisions.each(run.run_id, system=DMS))
        read = {place(grant) for grant, decision in decided if decision.choice == "revoke"}
        kept = next(g for g, d in decided if d.choice == "keep" and g.revocable and place(g) in read)
        return {"grant_id": kept.grant_id, "user_access_id": kept.key.native_id}


def test_a_kept_grant_that_is_lost_stops_the_run_and_can_be_given_back(bench: Bench) -> None:
    setup = bench()
    person = _person(setup)
    _records(setup, person, 4)
    review = _approved(setup, person, DMS)
    truth = setup.emulator.get("truth")[DMS]
    kept = _kept_beside(review)
    (lost,) = [row for row in truth if row["user_access_id"] == kept["user_access_id"]]
    # One call is left open, as if its worker had ended; meanwhile somebody takes a kept grant away.
    _script(setup, {"kind": "throttle", "action": "RevokeUserPermission", "from": 2})
    with pytest.raises(Exception, match="flow control"):
        review.revoke()
    _script(setup)
    _mutate(setup, {**lost, "op": "revoke", "system": DMS})
    (report,) = review.verify()
    assert report["kept_lost"] == 1
    sent = len(setup.emulator.writes())
    with pytest.raises(Exception, match=r"KeptLost: .*1 grants that were to be kept are gone"):
        review.revoke()
    assert len(setup.emulator.writes()) == sent
    with review.ledger() as ledger:
        assert ledger.control.state() is None, "other runs may go on"
    summary = review.report()
    with pytest.raises(Exception, match="trigger the DAG restore_access"):
        review.gate()
    offer = next(problem for problem in summary["problems"] if "restore_access" in problem)
    conf = json.loads(offer[offer.index("{") : offer.rindex("}") + 1])
    assert conf == {"run": "1", "grants": [kept["grant_id"]], "reason": "kept grants are gone", "dry_run": True}

    back = setup.restore(**{**conf, "dry_run": False})
    assert back.whole()["problems"] == []
    names = ("user_id", "ds_type", "instance_id", "db_id", "table_id", "perm_type", "expire_date")
    now = [{name: row[name] for name in names} for row in setup.emulator.get("truth")[DMS]]
    assert {name: lost[name] for name in names} in now


def test_a_kept_grant_that_is_there_again_lets_the_run_go_on(bench: Bench) -> None:
    setup = bench()
    table = next(row for row in setup.emulator.get("truth")[PRIVILEGES] if row["resource_type"] == "Table")
    person = _person(setup)
    mine = {**table, "subject_type": "User", "subject_value": person["wedata_user_id"], "privilege": "MODIFY"}
    _mutate(setup, {**mine, "op": "grant", "system": PRIVILEGES})
    review = _approved(setup, person, PRIVILEGES)
    _mutate(setup, {**table, "op": "revoke", "system": PRIVILEGES})
    assert [report["kept_lost"] for report in review.verify()] == [1]
    with pytest.raises(Exception, match="KeptLost"):
        review.revoke()
    assert setup.emulator.writes() == []
    _mutate(setup, {**table, "op": "grant", "system": PRIVILEGES})
    assert [report["kept_lost"] for report in review.verify()] == [0]
    review.revoke()
    review.verify()
    assert review.report()["problems"] == []


def test_a_connection_of_its_own_reads_where_one_is_configured(bench: Bench) -> None:
    setup = bench(verifying_connections={DMS: ["dms_granting"]})
    person = _person(setup)
    _records(setup, person, 2)
    review = _approved(setup, person, DMS)
    review.revoke()
    review.verify()
    assert review.report()["problems"] == []
    requests = [e for e in setup.emulator.get("journal")["entries"] if e["kind"] == "request" and e["product"] == "dms"]
    keys = {name: setup.emulator.key("alibaba", name)["key_id"] for name in ("rescind-bot", "second-application")}
    assert {e["key_id"] for e in requests if e["write"]} == {keys["rescind-bot"]}
    listings = [e["key_id"] for e in requests if e["action"] == "ListDatabaseUserPermssions"]
    assert listings.count(keys["rescind-bot"]) == 1, "preflight asks whether it may"
    assert len(set(listings)) == 2


def test_a_reading_connection_of_another_account_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench(verifying_connections={DMS: ["dms_foreign"]})
    own = setup.emulator.connections()["dms_default"]
    key = setup.emulator.key("alibaba", "foreign-account")
    foreign = {**own, "login": key["key_id"], "password": key["secret"]}
    monkeypatch.setenv("AIRFLOW_CONN_DMS_FOREIGN", json.dumps(foreign))
    with pytest.raises(Exception, match="dms_foreign' may not call"):
        setup.run(systems=[DMS]).preflight()


def test_listings_that_take_longer_than_the_wait_are_still_read_twice(bench: Bench) -> None:
    """The wait is for a platform that lags; what a vendor's limit makes slow is read to its end."""
    setup = bench(limits={"*": 10.0}, settle_seconds=0.02, settle_limit_seconds=0.1)
    summary = setup.run(dry_run=False, systems=["wedata_data_sources"]).whole()
    assert summary["problems"] == []
