"""Members and roles of WeData projects, in whole reviews against the emulator."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rescind.cloud.wedata.members import RemoveMemberProjectRole
from rescind.model import Grant, PlannedCall
from rescind.systems import REGISTRY, default_connections
from rescind.systems.wedata.project_roles import WeDataProjectRoles
from tests.support.reviews.review import Review, ReviewBench

Bench = Callable[..., ReviewBench]
Place = tuple[str, str, str]
"""(project, UIN, role id)."""
NAME, SOURCES = WeDataProjectRoles.name, "wedata_data_sources"
ADMIN, ENGINEER, OPERATIONS = "308335260274237440", "308335260676890624", "308335260844662784"


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """A bench whose reviews cover project roles and data sources, with a roster that has the UIN of everybody."""
    given: dict[str, Any] = {
        "connections": {NAME: ["wedata_default"], SOURCES: ["wedata_default"]},
        "granting_connections": {NAME: ["wedata_granting"], SOURCES: ["wedata_granting"]},
    }

    def make(*options: str, **settings: Any) -> ReviewBench:
        setup = bench("--preset", "tiny", *options, **{**given, **settings})
        uins = {one["person_id"]: one["wedata_uin"] for one in setup.emulator.get("org")["people"]}
        rewrite(setup, lambda row: {**row, "wedata_uin": uins[row["person_id"]]})
        return setup

    return make


def rewrite(setup: ReviewBench, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    """Change every row of the roster."""
    path = Path(setup.settings["roster"])
    with path.open(encoding="utf-8", newline="") as file:
        rows = [change(row) for row in csv.DictReader(file)]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def members(setup: ReviewBench) -> set[Place]:
    """Who is in which project with which role, as the service itself holds them; an empty role for a bare member."""
    rows = setup.emulator.get("truth?extra=1")["wedata_project_members"]
    return {(row["project_id"], row["user_uin"], role) for row in rows for role in (row["role_ids"] or [""])}


def mutate(setup: ReviewBench, *operations: dict[str, Any]) -> None:
    setup.emulator.post("mutate", {"ops": list(operations)})


def place(project: str, uin: str, role: str, **more: Any) -> dict[str, Any]:
    return {"op": "project_member", "project_id": project, "user_uin": uin, "role_id": role, **more}


def somebody(setup: ReviewBench, *roles: str) -> tuple[dict[str, Any], str]:
    """An ordinary person who is in exactly one project, with these roles: (person, project)."""
    protected = {ident for ids in setup.emulator.get("protected")["ids"].values() for ident in ids}
    projects = setup.emulator.get("truth?extra=1")["wedata_projects"]
    heads = {row[name] for row in projects for name in ("owner_uin", "creator_uin")}
    people = [one for one in setup.emulator.get("org")["people"] if one["status"] == "active"]
    person = min(
        (one for one in people if one["wedata_uin"] and one["wedata_uin"] not in protected | heads),
        key=lambda one: one["wedata_uin"],
    )
    uin, project = person["wedata_uin"], projects[0]["project_id"]
    before = [one for one in members(setup) if one[1] == uin]
    mutate(setup, *(place(*one, remove=True) for one in before), *(place(project, uin, role) for role in roles))
    assert {one for one in members(setup) if one[1] == uin} == {(project, uin, role) for role in roles}
    return person, project


def asked(setup: ReviewBench, people: Sequence[dict[str, Any]], *systems: str) -> Review:
    """A run that takes everything from these people."""
    given = {"principals": [one["person_id"] for one in people], "reason": "moved to another team"}
    return setup.run(kind="targets", dry_run=False, systems=list(systems or (NAME,)), **given)


def by_policy(setup: ReviewBench, condition: str) -> Review:
    """A run that takes away what a condition names."""
    policy = setup.folder / "policy.yaml"
    rule = {"id": "r", "description": "d", "when": condition, "decide": "revoke", "reason": "r", "severity": "high"}
    head = {"format": 1, "policy": "p", "description": "d", "combine": "first_match", "otherwise": "keep"}
    policy.write_text(json.dumps({**head, "rules": [rule]}))
    setup.configure(policy=str(policy))
    return setup.run(dry_run=False, systems=[NAME])


def items(review: Review) -> list[dict[str, Any]]:
    summary = review.report()
    return [json.loads(line) for line in Path(summary["items_file"]).read_text().splitlines()]


def why(review: Review) -> set[str]:
    """The reasons of the items of a plan."""
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        return {item.reason for item in ledger.plans.items(run.run_id)}


def test_a_leaver_is_taken_out_of_the_project_and_comes_back_with_every_role(bench: Bench) -> None:
    setup = bench()
    person, project = somebody(setup, ADMIN, ENGINEER)
    uin, before = person["wedata_uin"], members(setup)
    review = asked(setup, [person])
    summary = review.whole()
    assert summary["problems"] == [] and review.gate() == "succeeded"
    assert before - members(setup) == {(project, uin, ADMIN), (project, uin, ENGINEER)}
    assert not members(setup) - before
    assert [row["verdict"] for row in items(review)] == ["verified_gone"] * 3
    assert [entry["action"] for entry in setup.emulator.writes()] == ["DeleteProjectMember"]
    assert summary["systems"][0]["kept_compared"] > 0 and summary["systems"][0]["kept_lost"] == 0

    restore = setup.restore(run="1")
    summary = restore.whole()
    assert summary["problems"] == [] and restore.gate() == "succeeded"
    assert members(setup) == before
    assert [entry["action"] for entry in setup.emulator.writes()][1:] == ["CreateProjectMember"]


def test_one_role_of_several_goes_by_its_name_and_comes_back(bench: Bench) -> None:
    setup = bench()
    person, project = somebody(setup, ADMIN, ENGINEER)
    uin, before = person["wedata_uin"], members(setup)
    review = by_policy(setup, f"principal.id == '{uin}' && grant.entitlement == 'data engineer'")
    review.whole()
    assert before - members(setup) == {(project, uin, ENGINEER)} and not members(setup) - before
    assert [entry["action"] for entry in setup.emulator.writes()] == ["RemoveMemberProjectRole"]
    (row,) = items(review)
    assert row["verdict"] == "verified_gone"
    restore = setup.restore(run="1")
    restore.whole()
    assert members(setup) == before
    assert [entry["action"] for entry in setup.emulator.writes()][1:] == ["GrantMemberProjectRole"]


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("grant.entitlement in ['data engineer', 'operations engineer']", "last role"),
        ("grant.entitlement == 'membership'", "would also end"),
    ],
)
def test_a_plan_that_would_end_more_than_it_says_is_held(bench: Bench, condition: str, reason: str) -> None:
    setup = bench()
    person, _ = somebody(setup, ENGINEER, OPERATIONS)
    before = members(setup)
    review = by_policy(setup, f"principal.id == '{person['wedata_uin']}' && {condition}")
    review.through_plan()
    assert all(reason in text for text in why(review)), why(review)
    review.approve()
    review.revoke()
    assert members(setup) == before and not setup.emulator.writes()


def test_a_role_that_was_given_after_the_approval_is_not_taken_away(bench: Bench) -> None:
    setup = bench()
    person, project = somebody(setup, ENGINEER)
    review = asked(setup, [person])
    review.through_plan()
    review.approve()
    mutate(setup, place(project, person["wedata_uin"], ADMIN))
    before = members(setup)
    review.revoke()
    assert members(setup) == before and not setup.emulator.writes()
    assert any("would also end administrator" in text for text in why(review)), why(review)


def test_nothing_is_sent_while_the_members_cannot_be_read(bench: Bench) -> None:
    setup = bench()
    person, _ = somebody(setup, ENGINEER)
    before = members(setup)
    review = asked(setup, [person])
    review.through_plan()
    review.approve()
    failing = {"id": "bad", "action": "ListProjectMembers", "times": 0, "kind": "null", "path": "Response.Data.Items"}
    setup.emulator.post("faults", {"faults": [failing], "replace": True})
    with pytest.raises(Exception, match="ListProjectMembers"):
        review.revoke()
    assert members(setup) == before and not setup.emulator.writes()


@pytest.mark.sockets
@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "error", "code": "InternalError"},
        {"kind": "null", "path": "Response.Data.Items"},
        {"kind": "drop", "path": "Response.Data.TotalCount"},
        {"kind": "truncate", "mode": "closed", "keep": 0.5},
    ],
    ids=lambda fault: fault["kind"],
)
def test_listings_that_fail_are_never_gone(bench: Bench, fault: dict[str, Any]) -> None:
    setup = bench()
    person, _ = somebody(setup, ENGINEER)
    review = asked(setup, [person])
    review.through_plan()
    review.approve()
    review.revoke()
    failing = {"id": "bad", "action": "ListProjectMembers", "times": 0, **fault}
    setup.emulator.post("faults", {"faults": [failing], "replace": True})
    review.verify()
    assert {row["verdict"] for row in items(review)} == {"unverified"}
    with pytest.raises(Exception, match="not proven gone"):
        review.gate()


@pytest.mark.parametrize("action", ["ListProjects", "ListProjectMembers", "ListProjectRoles"])
def test_a_discovery_that_fails_plans_nothing(bench: Bench, action: str) -> None:
    setup = bench()
    person, _ = somebody(setup, ENGINEER)
    review = asked(setup, [person])
    review.preflight()
    failing = {"id": "bad", "action": action, "times": 0, "kind": "null", "path": "Response.Data.Items"}
    setup.emulator.post("faults", {"faults": [failing], "replace": True})
    with pytest.raises(Exception, match=action):
        review.discover()
    with pytest.raises(Exception, match="complete"):
        review.plan()
    assert not setup.emulator.writes()


@pytest.mark.parametrize(("role", "reason"), [("owner", "owns the project"), ("creator", "created the project")])
@pytest.mark.parametrize("form", ["uin", "user_id", "name", "null"])
def test_owner_and_creator_stay_whatever_form_names_them(bench: Bench, role: str, reason: str, form: str) -> None:
    setup = bench("--mode", f"wedata_creator_form={form}")
    person, project = somebody(setup, ENGINEER)
    mutate(
        setup,
        {"op": "project_owner", "project_id": project, "user_uin": person["wedata_uin"], "creator": role == "creator"},
    )
    before = members(setup)
    review = asked(setup, [person])
    review.through_plan()
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        kept = [g for g in ledger.snapshot.grants(run.run_id) if g.key.principal_id == person["wedata_uin"]]
        planned = list(ledger.plans.items(run.run_id))
    assert len(kept) == 2 and all(reason in grant.why_not for grant in kept) and not planned
    assert members(setup) == before


def test_the_last_administrator_of_a_project_is_held_with_the_membership(bench: Bench) -> None:
    setup = bench()
    person, project = somebody(setup, ADMIN)
    uin = person["wedata_uin"]
    others = [one for one in members(setup) if one[0] == project and one[2] == ADMIN and one[1] != uin]
    mutate(setup, *(place(*one, remove=True) for one in others))
    before = members(setup)
    review = asked(setup, [person])
    review.through_plan()
    reasons = why(review)
    assert any("without a holder of administrator" in text for text in reasons), reasons
    assert any("would also end administrator" in text for text in reasons), reasons
    review.approve()
    review.revoke()
    assert members(setup) == before and not setup.emulator.writes()


def test_the_own_identity_stays(bench: Bench) -> None:
    setup = bench()
    own = next(one for one in setup.emulator.get("org")["people"] if one.get("name") == "rescind-bot")
    _, project = somebody(setup, ENGINEER)
    mutate(setup, place(project, own["wedata_uin"], ENGINEER))
    before = members(setup)
    review = asked(setup, [own])
    review.through_plan()
    assert not review.batches and members(setup) == before and not setup.emulator.writes()


def test_a_person_without_a_uin_in_the_roster_is_not_recognized_and_stays(bench: Bench) -> None:
    setup = bench()
    person, _ = somebody(setup, ENGINEER)
    rewrite(
        setup, lambda row: {**row, "wedata_uin": "" if row["person_id"] == person["person_id"] else row["wedata_uin"]}
    )
    before = members(setup)
    review = by_policy(setup, f"principal.id == '{person['wedata_uin']}'")
    review.through_plan()
    assert not review.batches and members(setup) == before


@pytest.mark.parametrize("mode", ["null", "mixed"])
def test_members_without_an_id_are_never_touched(bench: Bench, mode: str) -> None:
    setup = bench("--mode", f"wedata_member_uin={mode}")
    person, _ = somebody(setup, ENGINEER)
    before = members(setup)
    review = asked(setup, [person])
    listed = mode == "mixed" and int(person["wedata_uin"]) % 3 != 0
    review.whole()
    verdicts = {row["verdict"] for row in items(review)}
    assert verdicts == ({"record_gone"} if listed else set())
    assert before - members(setup) == ({one for one in before if one[1] == person["wedata_uin"]} if listed else set())


def through_a_project(setup: ReviewBench, *, role: bool) -> tuple[dict[str, Any], str, str]:
    """A person with an own authorization on a data source that a project reaches too: (person, project, source)."""
    person, project = somebody(setup, ADMIN, ENGINEER)
    truth = setup.emulator.get("truth?extra=1")
    sharing = truth["wedata_data_source_sharing"]
    source = next(row["data_source_id"] for row in sharing if (row["project_id"] == project) == role)
    mine = [row for row in truth[SOURCES] if row["data_source_id"] == source]
    entry = {"system": SOURCES, "data_source_id": source, "project_id": project}
    mutate(
        setup,
        *({**row, "op": "revoke", "system": SOURCES} for row in mine),
        {"op": "grant", **entry, "user_id": person["wedata_user_id"]},
        *([] if role else [{"op": "grant", **entry, "user_id": ""}]),
    )
    return person, project, source


@pytest.mark.parametrize(
    ("role", "systems", "verdicts"),
    [
        (False, (SOURCES,), {"still_effective"}),
        (False, (SOURCES, NAME), {"verified_gone"}),
        (True, (SOURCES,), {"still_effective"}),
        (True, (SOURCES, NAME), {"verified_gone"}),
    ],
)
def test_a_leaver_who_leaves_the_project_too_no_longer_reaches_its_data_sources(
    bench: Bench, role: bool, systems: tuple[str, ...], verdicts: set[str]
) -> None:
    setup = bench()
    person, project, source = through_a_project(setup, role=role)
    review = asked(setup, [person], *systems)
    review.whole()
    rows = [one for one in items(review) if one["system"] == SOURCES and one["resource_id"] == source]
    assert {row["verdict"] for row in rows} == verdicts, rows
    assert verdicts == {"verified_gone"} or f"project {project}" in rows[0]["remains"] or project in rows[0]["remains"]


class _Greedy(WeDataProjectRoles):
    """Its requests name one role more than the plan."""

    def request(self, call: PlannedCall, grants: Sequence[Grant]) -> RemoveMemberProjectRole:
        (user,) = call.rows
        return RemoveMemberProjectRole(ProjectId=call.container, UserUin=user, RoleIds=(ENGINEER, ADMIN))


def test_a_request_that_would_hit_more_than_planned_is_not_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    person, _ = somebody(setup, ADMIN, ENGINEER)
    before = members(setup)
    monkeypatch.setitem(REGISTRY, NAME, _Greedy())
    review = by_policy(setup, f"principal.id == '{person['wedata_uin']}' && grant.entitlement == 'data engineer'")
    review.through_plan()
    review.approve()
    with pytest.raises(Exception, match=r"BlastRadiusExceededError: .*not approved.*'administrator'"):
        review.revoke()
    assert members(setup) == before and not setup.emulator.writes()


def test_it_is_reviewed_only_where_the_settings_name_a_connection(bench: Bench) -> None:
    setup = bench(connections={SOURCES: ["wedata_default"]})
    assert NAME not in default_connections()
    with pytest.raises(Exception, match=f"no connection is configured for '{NAME}'"):
        setup.run(systems=[NAME]).preflight()


@pytest.mark.parametrize("entries", ["kept", "removed"])
def test_a_membership_stays_unless_what_may_end_with_it_is_allowed_to(bench: Bench, entries: str) -> None:
    setup = bench("--mode", f"wedata_member_entries={entries}", allow_irreversible=False)
    person, project = somebody(setup, ENGINEER, OPERATIONS)
    before, sources = members(setup), setup.emulator.get("truth")["wedata_data_sources"]
    review = asked(setup, [person])
    review.whole()
    assert members(setup) == before and setup.emulator.get("truth")["wedata_data_sources"] == sources
    assert not setup.emulator.writes()
    with review.ledger() as ledger:
        held = list(ledger.plans.items(ledger.runs.find(review.dag_id, review.run_id).run_id))
    reasons = {item.reason for item in held if item.state == "held"}
    assert any("data sources of the project" in reason for reason in reasons), (project, reasons)


@pytest.mark.parametrize(
    "mode",
    [
        "wedata_last_role=leaves",
        "wedata_last_role=refused",
        "wedata_absent_member=refused",
        "wedata_existing_member=refused",
        "wedata_owner_listed=members_only",
        "wedata_last_administrator=refused",
    ],
)
def test_the_review_is_the_same_whatever_the_pages_leave_open(bench: Bench, mode: str) -> None:
    setup = bench("--mode", mode)
    person, project = somebody(setup, ENGINEER, OPERATIONS)
    uin, before = person["wedata_uin"], members(setup)
    review = asked(setup, [person])
    assert review.whole()["problems"] == []
    assert before - members(setup) == {(project, uin, ENGINEER), (project, uin, OPERATIONS)}
    assert [row["verdict"] for row in items(review)] == ["verified_gone"] * 3
    assert setup.restore(run="1").whole()["problems"] == []
    assert members(setup) == before


@pytest.mark.sockets
@pytest.mark.parametrize(
    ("fault", "verdict", "gone"),
    [
        ({"kind": "pretend"}, "still_present", False),
        ({"kind": "lag", "reads": 2}, "verified_gone", True),
        ({"kind": "close_after"}, "verified_gone", True),
        ({"kind": "error", "code": "InvalidParameter"}, "still_present", False),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else str(value),
)
def test_what_the_call_says_decides_nothing(bench: Bench, fault: dict[str, Any], verdict: str, gone: bool) -> None:
    setup = bench()
    person, project = somebody(setup, ENGINEER)
    review = asked(setup, [person])
    review.through_plan()
    review.approve()
    bad = {"id": "bad", "action": "DeleteProjectMember", "times": 0, **fault}
    setup.emulator.post("faults", {"faults": [bad], "replace": True})
    review.revoke()
    review.verify()
    assert {row["verdict"] for row in items(review)} == {verdict}
    assert ((project, person["wedata_uin"], ENGINEER) not in members(setup)) == gone
