"""Paths that the person's own records open in other systems, and grants of groups: what goes, and who loses what."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rescind.model import Choice
from rescind.workflow.narrowing.left_out import left_out_grants
from rescind.workflow.question.approval_text import approval_request
from tests.integration.closing.test_close_paths import another_menu, paths, proposal
from tests.integration.reviews.test_worlds import with_member_ids
from tests.integration.systems.test_group_members import items, only_through_a_group
from tests.support.oracle.judge import effective
from tests.support.oracle.reach import lost
from tests.support.oracle.ways import Resource
from tests.support.reviews.journal_check import agree
from tests.support.reviews.review import Review, ReviewBench

Bench = Callable[..., ReviewBench]
MENUS, GROUPS, SHARES = "quickbi_menus", "quickbi_group_members", "quickbi_shares"
RECORDS, PROXIES = "dms_permissions", "dms_proxy_accesses"
PRIVILEGES, ROLES = "wedata_privileges", "wedata_project_roles"
ENGINEER, OPERATIONS = "308335260676890624", "308335260844662784"


def bench_of(bench: Bench, *systems: str, **settings: Any) -> ReviewBench:
    """A bench whose reviews cover these systems."""
    vendor = {name: name.partition("_")[0] for name in systems}
    given = {
        "connections": {name: [f"{vendor[name]}_default"] for name in systems},
        "granting_connections": {name: [f"{vendor[name]}_granting"] for name in systems},
    }
    return bench("--preset", "tiny", "--size", "groups=6", **given, **settings)


def asked(setup: ReviewBench, who: str, what: str, *, run_id: str = "manual__1", **more: Any) -> Review:
    given = {"principals": [who], "resources": [what], "reason": "moved to another team", "dry_run": False}
    return setup.run(run_id, kind="targets", systems=list(setup.settings["connections"]), **{**given, **more})


def closing(review: Review) -> list[dict[str, Any]]:
    return [row for note in proposal(review) for row in note["removals"]]


def still_open(review: Review) -> list[dict[str, Any]]:
    return [row for note in proposal(review) for row in note["open"]]


def mutate(setup: ReviewBench, *operations: dict[str, Any]) -> None:
    setup.emulator.post("mutate", {"ops": list(operations)})


def shared_portal(setup: ReviewBench) -> tuple[str, str, str]:
    """A person with a record on a menu whose portal is shared with the person: (user, portal, menu)."""
    user, group, menu = only_through_a_group(setup)
    portal = next(r["portal_id"] for r in setup.emulator.get("world")["quickbi_leaf_menus"] if r["menu_id"] == menu)
    share = {"op": "share", "works_id": portal, "receiver_type": 0, "receiver_id": user}
    open_ = {"op": "menu_visibility", "portal_id": portal, "menu_id": menu, "show_only_with_access": False}
    mutate(setup, {"op": "group_member", "group_id": group, "user_id": user, "remove": True}, share, open_)
    return user, portal, menu


def test_a_share_of_the_portal_goes_with_the_menu(bench: Bench) -> None:
    setup = bench_of(bench, MENUS, SHARES)
    user, portal, menu = shared_portal(setup)
    assert paths(setup, user, menu)
    review = asked(setup, user, menu, close_paths="own")
    summary = review.whole()
    agree(review, summary)
    (removal,) = closing(review)
    assert portal in removal["what"] and removal["principal"] == user and not removal["shared"]
    assert {(row["system"], row["verdict"]) for row in items(summary)} == {
        (MENUS, "verified_gone"),
        (SHARES, "verified_gone"),
    }
    assert paths(setup, user, menu) == []


def test_a_share_is_named_with_its_system_where_that_is_off(bench: Bench) -> None:
    setup = bench_of(bench, MENUS)
    user, _, menu = shared_portal(setup)
    review = asked(setup, user, menu, close_paths="own")
    review.through_plan()
    (left,) = still_open(review)
    assert f"enable the system {SHARES}" in left["who"] and closing(review) == []


def proxied(setup: ReviewBench) -> tuple[str, str]:
    """Somebody with a record on a database, and an account of a proxy of its instance: (user, database)."""
    world = setup.emulator.get("world")
    proxy = world["dms_proxies"][0]
    fits = [row for row in world["dms_databases"] if row["instance_id"] == proxy["instance_id"] and not row["logic"]]
    database = fits[0]
    person = next(
        one
        for one in world["people"]
        if one["kind"] == "human" and one["status"] == "active" and not one["protected"] and one["dms_user_id"]
        and not any(
            effective(world, RECORDS, one["dms_user_id"], Resource("database", database["db_id"]), right)
            for right in ("QUERY", "EXPORT", "CORRECT")
        )
    )  # fmt: skip
    user = person["dms_user_id"]
    place = {"instance_id": database["instance_id"], "db_id": database["db_id"], "logic": False}
    record = {"op": "grant", "system": RECORDS, "user_id": user, "perm_type": "QUERY", "ds_type": "DATABASE", **place}
    mutate(setup, record, {"op": "proxy_access", "proxy_id": proxy["proxy_id"], "user_id": user})
    return user, database["db_id"]


def test_the_account_of_a_proxy_goes_with_the_record_only_where_irreversible_removals_are_allowed(bench: Bench) -> None:
    setup = bench_of(bench, RECORDS, PROXIES)
    user, database = proxied(setup)
    setup.configure(allow_irreversible=False)
    careful = asked(setup, user, database, close_paths="own", run_id="manual__1", dry_run=True)
    careful.through_plan()
    (left,) = still_open(careful)
    assert "cannot be restored" in left["who"] and closing(careful) == []

    setup.configure(allow_irreversible=True)
    review = asked(setup, user, database, close_paths="own", run_id="manual__2")
    review.through_plan()
    (removal,) = closing(review)
    assert "does not come back" in removal["not_restored"]
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        assert "does not come back" in approval_request(ledger, run, ledger.plans.get(run.run_id))[1].replace("\\", "")
    review.approve()
    review.canary()
    review.revoke()
    review.verify()
    summary = review.report()
    agree(review, summary)
    rows = {row["system"]: row["verdict"] for row in items(summary)}
    assert rows[PROXIES] == "verified_gone" and rows[RECORDS] in ("verified_gone", "record_gone")
    world = setup.emulator.get("world")
    assert effective(world, RECORDS, user, Resource("database", database), "QUERY") == []


def in_a_project(setup: ReviewBench, *roles: str) -> tuple[str, str, str, str]:
    """Somebody with a privilege on a table that the first role of a project gives too: (user, UIN, project, table)."""
    with_member_ids(setup)
    world = setup.emulator.get("world")
    table = next(row for row in world[PRIVILEGES] if row["resource_type"] == "Table")
    heads = ("owner_uin", "creator_uin")
    busy = {(row[head], row["project_id"]) for row in world["wedata_projects"] for head in heads}
    projects = sorted(row["project_id"] for row in world["wedata_projects"])
    user, uin, project = next(
        (one["wedata_user_id"], one["wedata_uin"], project)
        for one in world["people"]
        for project in projects
        if one["kind"] == "human" and one["status"] == "active" and not one["protected"]
        and (one["wedata_uin"], project) not in busy
    )  # fmt: skip
    above = table["resource_uri"].split(".")
    around = {".".join(above[:size]) for size in range(1, len(above) + 1)} | {"default"}
    wide = [{**row, "op": "revoke", "system": PRIVILEGES} for row in world[PRIVILEGES] if row["resource_uri"] in around]
    place = {"op": "grant", "system": PRIVILEGES, "resource_type": "Table", "resource_uri": table["resource_uri"]}
    subjects = [
        {"subject_type": "User", "subject_value": user},
        {"subject_type": "Role", "subject_value": f"{project}.{roles[0]}"},
    ]
    former = [
        {"project_id": project, "user_uin": uin, "role_id": role}
        for row in world["wedata_project_members"]
        for role in row["role_ids"]
        if (row["project_id"], row["user_uin"]) == (project, uin)
    ]
    mutate(
        setup,
        *wide,
        *({**place, **one, "privilege": "SELECT_TABLE"} for one in subjects),
        *({**row, "op": "project_member", "remove": True} for row in former),
        *({"op": "project_member", "project_id": project, "user_uin": uin, "role_id": role} for role in roles),
    )  # fmt: skip
    return user, uin, project, table["resource_uri"]


def roles_of(setup: ReviewBench, uin: str, project: str) -> list[str] | None:
    rows = setup.emulator.get("truth?extra=1")["wedata_project_members"]
    found = [row["role_ids"] for row in rows if (row["user_uin"], row["project_id"]) == (uin, project)]
    return found[0] if found else None


def test_one_of_two_roles_of_a_project_goes_and_the_other_stays(bench: Bench) -> None:
    setup = bench_of(bench, PRIVILEGES, ROLES)
    user, uin, project, table = in_a_project(setup, ENGINEER, OPERATIONS)
    review = asked(setup, user, table, close_paths="own")
    summary = review.whole()
    agree(review, summary)
    (removal,) = closing(review)
    assert removal["what"].startswith(f"data engineer on project {project}") and removal["not_restored"] == ""
    assert roles_of(setup, uin, project) == [OPERATIONS]
    rows = {row["system"]: row["verdict"] for row in items(summary)}
    assert rows[ROLES] == "verified_gone" and rows[PRIVILEGES] in ("verified_gone", "record_gone")
    assert effective(setup.emulator.get("world"), PRIVILEGES, user, Resource("table", table), "SELECT_TABLE") == []


@pytest.mark.parametrize("allowed", [True, False])
def test_the_last_role_goes_with_the_membership_and_not_where_that_could_not_be_restored(
    bench: Bench, allowed: bool
) -> None:
    setup = bench_of(bench, PRIVILEGES, ROLES, allow_irreversible=allowed)
    user, uin, project, table = in_a_project(setup, ENGINEER)
    review = asked(setup, user, table, close_paths="own")
    review.through_plan()
    if not allowed:
        (left,) = still_open(review)
        assert "cannot be restored" in left["who"] and closing(review) == []
        return
    (removal,) = closing(review)
    assert removal["what"].startswith(f"membership on project {project}")
    assert removal["what"].endswith("with data engineer") and "data sources" in removal["not_restored"]
    assert any("data engineer" in one for one in removal["also_loses"])
    assert removal["price"] == 1 + removal["also_loses_count"]
    review.approve()
    review.canary()
    review.revoke()
    review.verify()
    summary = review.report()
    agree(review, summary)
    rows = items(summary)
    assert {row["verdict"] for row in rows if row["system"] == ROLES} == {"verified_gone"}
    assert roles_of(setup, uin, project) is None


def two_members(setup: ReviewBench, *, other_keeps: bool) -> tuple[str, str, str, dict[str, Any]]:
    """A person and one other in a group that sees two menus; the first is to go: (user, group, menu, the other)."""
    user, group, menu = only_through_a_group(setup)
    another_menu(setup, group, menu)
    world = setup.emulator.get("world")
    portal = next(row["portal_id"] for row in world["quickbi_leaf_menus"] if row["menu_id"] == menu)
    home = next(row["workspace_id"] for row in world["quickbi_portals"] if row["portal_id"] == portal)
    heads = {row["owner"] for kind in ("quickbi_portals", "quickbi_workspaces") for row in world[kind]}
    other = next(
        p for p in world["people"]
        if p["kind"] == "human" and p["status"] == "active" and not p["protected"]
        and p["quickbi_user_id"] not in {user, "", *heads}
    )  # fmt: skip
    who = other["quickbi_user_id"]
    ours = [row["group_id"] for row in world["quickbi_group_members"] if row["user_id"] == who]
    mutate(
        setup,
        {"op": "quickbi_roles", "user_id": who, "role_ids": [111111113]},
        {"op": "workspace_member", "workspace_id": home, "user_id": who, "remove": True},
        *({"op": "group_member", "group_id": one, "user_id": who, "remove": True} for one in ours),
    )
    world = setup.emulator.get("world")
    assert not effective(world, MENUS, who, Resource("menu", menu, portal), "view")
    members = [(row["group_id"], row["user_id"]) for row in world["quickbi_group_members"]]
    place = {"op": "grant", "system": MENUS, "portal_id": portal, "menu_id": menu}
    own = {**place, "receiver_type": 0, "receiver_id": other["quickbi_user_id"], "auth_points": 1}
    mutate(
        setup,
        *(
            {"op": "group_member", "group_id": home, "user_id": one, "remove": True}
            for home, one in members
            if (home, one) != (group, user)
        ),
        {"op": "group_member", "group_id": group, "user_id": other["quickbi_user_id"]},
        *([own] if other_keeps else []),
    )
    return user, group, menu, other


@pytest.mark.parametrize("other_keeps", [True, False])
def test_the_grant_of_a_group_goes_where_that_is_cheaper_and_who_loses_it_is_named(
    bench: Bench, other_keeps: bool
) -> None:
    setup = bench_of(bench, MENUS, GROUPS)
    user, group, menu, other = two_members(setup, other_keeps=other_keeps)
    file = Path(setup.settings["protections"])
    kept = {"system": GROUPS, "type": "user_group", "id": group, "reason": "on call"}
    file.write_text(file.read_text().replace("resources: []", f"resources: [{json.dumps(kept)}]"))
    own = asked(setup, user, menu, close_paths="own", run_id="manual__1", dry_run=True)
    own.through_plan()
    assert closing(own) == [] and len(still_open(own)) == 1

    review = asked(setup, user, menu, close_paths="all", run_id="manual__2")
    summary = review.whole()
    agree(review, summary)
    (removal,) = closing(review)
    assert removal["shared"] and removal["principal"] == f"group {group}" and menu in removal["what"]
    assert removal["price"] == 1 + removal["also_loses_count"] == (1 if other_keeps else 2)
    who = other["quickbi_user_id"]
    assert [who in one for one in removal["also_loses"]] == ([] if other_keeps else [True])
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        body = approval_request(ledger, run, ledger.plans.get(run.run_id))[1]
        closes = [d for _, d in ledger.decisions.each(run.run_id, choice=Choice.REVOKE) if d.rule == "closes_path"]
    assert len(closes) == 1 and (who in body) is not other_keeps
    page = Path(summary["report"]).read_text(encoding="utf-8")
    assert f"group {group}" in page and (who in page) is not other_keeps
    assert paths(setup, user, menu) == []
    before, after = review.worlds["discovered"], review.worlds["verified"]
    losers = {line.split()[0] for line in lost(before, after)}
    person = next(p["person_id"] for p in before["people"] if p["quickbi_user_id"] == user)
    assert losers == {person} | ({other["person_id"]} if not other_keeps else set())
    # A person who is left out also keeps what the group has; the own grant of the person is for the person alone.
    with review.ledger() as ledger:
        planned = {item.grant_id for item in ledger.plans.items(run.run_id) if item.call_id}
        assert left_out_grants(ledger, run, [(person, "")]) == planned > {closes[0].grant_id}
        assert left_out_grants(ledger, run, [("somebody else", "")]) == {closes[0].grant_id}


def test_the_grant_of_a_group_stays_where_a_protected_person_would_lose_it(bench: Bench) -> None:
    setup = bench_of(bench, MENUS, GROUPS)
    user, group, menu, other = two_members(setup, other_keeps=False)
    file = Path(setup.settings["protections"])
    entry = {"space": "person_id", "id": other["person_id"], "reason": "on call"}
    kept = {"system": GROUPS, "type": "user_group", "id": group, "reason": "on call"}
    text = file.read_text().replace("resources: []", f"resources: [{json.dumps(kept)}]")
    file.write_text(text.replace("principals:", f"principals:\n- {json.dumps(entry)}", 1))
    review = asked(setup, user, menu, close_paths="all")
    review.through_plan()
    assert closing(review) == [] and len(still_open(review)) == 1
