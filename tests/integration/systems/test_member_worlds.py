"""Whole reviews over generated organizations with every system enabled, judged by the independent oracle.

Memberships, roles, shares and accounts of planted people go in the same run as their privileges, records and menus.
``report()`` holds every verdict against what the person still reaches and every effect of a request against the items;
here nobody else may reach less than before, and who is told to have lost everything has no way left.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from rescind.systems import REGISTRY
from tests.integration.reviews.test_worlds import with_member_ids
from tests.support.oracle import SYSTEMS, effective
from tests.support.oracle.items import resource_of, right_of
from tests.support.oracle.members import planted_members
from tests.support.oracle.organizations import planted
from tests.support.oracle.reach import gained, lost
from tests.support.reviews.review import Review, ReviewBench
from tests.support.reviews.verdicts import items_of, script

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
Row = dict[str, Any]
GONE = ("verified_gone", "already_absent")
MEMBERS = "quickbi_workspace_members"
PROXIES = "dms_proxy_accesses"
REPORTED = {"quickbi_organization_roles", "dms_system_roles"}
"""Planted whether or not a system takes them away: the systems beside them must name them."""
ROLES, SOURCES = "wedata_project_roles", "wedata_data_sources"
OPEN_QUESTIONS = {
    "quickbi_subgroups": ("covered", "not_covered"), "quickbi_role_users": ("all", "active"),
    "quickbi_absent_share": ("skipped", "refused"), "quickbi_shares_to_user": ("direct", "all"),
    "quickbi_expired_shares": ("hidden", "listed"), "quickbi_admin_flags": ("both", "roles_only", "flags_only"),
    "dms_disable_proxies": ("kept", "closed"), "dms_disabled_proxies": ("useless", "usable"),
    "dms_disable_records": ("removed", "kept"), "dms_absent_proxy_access": ("refused", "success"),
    "dms_state_again": ("success", "refused"), "wedata_last_role": ("stays", "leaves"),
    "wedata_absent_role": ("success", "refused"), "wedata_owner_listed": ("always", "members_only"),
    "wedata_empty_roles": ("empty", "null"),
    "quickbi_delete_inherited": ("refused", "own_record"), "quickbi_absent_authorization": ("success", "refused"),
    "quickbi_expired_authorizations": ("hidden", "listed"), "quickbi_permanent_end": ("far", "null", "empty"),
    "quickbi_empty_dataset_list": ("empty", "null", "no_model"), "quickbi_absent_target": ("skipped", "refused"),
    "dms_absent_authorization": ("refused", "success"), "dms_source_omitted": ("all", "user_define"),
    "dms_own_roles": ("replaced", "refused", "kept"), "wedata_studio_inherited": ("listed", "hidden"),
    "wedata_inherited_resource": ("parent", "own"), "wedata_workflow_inherited": ("hidden", "listed"),
    "wedata_code_results": ("empty", "per_resource"), "wedata_studio_absent": ("success", "false"),
}  # fmt: skip
"""Readings of the vendors' pages under which a review must say nothing false."""


def everything() -> dict[str, list[str]]:
    """A connection for each system that the oracle judges."""
    return {name: [f"{name.partition('_')[0]}_default"] for name in REGISTRY if name in SYSTEMS}


def prepared(bench: Bench, seed: int, **modes: str) -> tuple[ReviewBench, list[str]]:
    """An organization with every membership and every way in planted: the bench, and the planted people."""
    options = ("--preset", "tiny", "--seed", str(seed))
    caps = {"max_percent": 100, "max_revocations": 5000}
    if modes.get("quickbi_empty_dataset_list") == "no_model":
        caps["canary_items"] = 0  # a white list that goes empty shows nothing then, so no canary of it is ever proven
    setup = bench(*options, connections=everything(), granting_connections={}, record_gone_fails=[], **caps)
    setup.emulator.post("modes", modes)
    world = setup.emulator.get("world")
    members = [way for way in planted_members(world, seed) if way.system in REPORTED | set(REGISTRY)]
    ways = [*planted(world, seed), *members]
    for way in ways:
        setup.emulator.post("mutate", {"actor": "somebody", "ops": list(way.operations)})
    with_member_ids(setup)
    return setup, sorted({str(way.person["person_id"]) for way in ways})


def asked(setup: ReviewBench, people: list[str], *systems: str) -> Review:
    given = {"principals": people, "reason": "every membership", "dry_run": False, "systems": list(systems)}
    return setup.run(kind="targets", max_percent=100, max_revocations=5000, **given)


def reviewed(bench: Bench, seed: int, **modes: str) -> Counter[tuple[str, str]]:
    """Take everything from the planted people; counts verdicts by system."""
    setup, people = prepared(bench, seed, **modes)
    review = asked(setup, people)
    review.whole()
    before, after = review.worlds["discovered"], review.worlds["verified"]
    assert lost(before, after, people) == []
    assert gained(before, after) == []
    rows = items_of(review)
    assert left_to(after, rows) == []
    return Counter((row["system"], str(row["verdict"])) for row in rows)


def left_to(world: Row, rows: list[Row]) -> list[str]:
    """Ways that remain to people of whom every single item was called gone."""
    people = [row for row in rows if row["principal_type"] == "user"]
    told = {row["principal_id"]: True for row in people}
    for row in people:
        told[row["principal_id"]] &= row["verdict"] in GONE
    found = []
    for row in people:
        if told[row["principal_id"]]:
            ways = effective(world, row["system"], row["principal_id"], resource_of(row), right_of(row))
            found += [f"{row['system']} of {row['principal_id']}: {way}" for way in ways]
    return found


@pytest.mark.seconds(400)
def test_every_system_in_one_review_says_nothing_false(bench: Bench) -> None:
    verdicts = reviewed(bench, 1)
    gone = {system for system, verdict in verdicts if verdict in GONE}
    assert {"quickbi_group_members", MEMBERS, "quickbi_menus", ROLES, PROXIES} <= gone
    assert sum(count for (_, verdict), count in verdicts.items() if verdict == "still_effective") >= 5


@pytest.mark.long
@pytest.mark.seconds(900)
@pytest.mark.parametrize("seed", range(2, 102))
def test_nothing_false_is_said_in_many_organizations(bench: Bench, seed: int) -> None:
    rng = random.Random(f"{seed}/modes")
    assert reviewed(bench, seed, **{name: rng.choice(values) for name, values in OPEN_QUESTIONS.items()})


@pytest.mark.parametrize("lie", [True, False])
def test_the_oracle_finds_a_membership_that_only_seems_gone(bench: Bench, lie: bool) -> None:
    """The removal is pretended, and both lists lie about it: nobody but the oracle can know."""
    setup, people = prepared(bench, 1)
    review = asked(setup, people, MEMBERS)
    review.through_plan()
    review.approve()
    removal = {"action": "DeleteUserFromWorkspace", "kind": "pretend"}
    script(setup, *([removal] if lie else []))
    review.canary()
    review.revoke()
    empty = {"Data": [], "PageNum": 1, "PageSize": 1000, "TotalNum": 0, "TotalPages": 0}
    script(
        setup,
        {"action": "QueryWorkspaceUserList", "kind": "set", "path": "Result", "value": empty},
        {"action": "ListWorkspaceUserRolesByUserId", "kind": "set", "path": "Result", "value": []},
    )
    review.verify()
    if lie:
        with pytest.raises(AssertionError, match="false gone: quickbi_workspace_members"):
            review.report()
    else:
        assert {row["verdict"] for row in items_of(review)} >= {"verified_gone"}


def test_a_proxy_account_that_ended_in_the_same_run_is_no_path(bench: Bench) -> None:
    setup, people = prepared(bench, 1)
    asked(setup, people, "dms_permissions", PROXIES).whole()


def test_a_creator_who_left_the_creating_project_in_the_same_run_is_no_certain_path(bench: Bench) -> None:
    """No action shows the sharing mode, and in one of the two the creator keeps access: it is not known."""
    setup, people = prepared(bench, 1)
    asked(setup, people, ROLES, SOURCES).whole()
