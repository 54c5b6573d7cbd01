"""Runs that list only the people whom they name, where a system lists by person: what they find, prove and refuse."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from rescind.cli.decisions import main
from rescind.cli.ledger import DSN_VARIABLE
from rescind.errors import ListingIncompleteError
from rescind.ledger import NAMED_PEOPLE, ScopeSpec
from rescind.settings import ReviewRequest, Settings
from rescind.workflow.offboarding.named_people import MOST_NAMED, RunPeople, narrowed
from tests.support.reviews.parts import check_that_parts_are_no_baseline
from tests.support.reviews.review import Review, ReviewBench
from tests.support.reviews.verdicts import DMS, Row, mutate, records_of, script, somebody

Bench = Callable[..., ReviewBench]
BY_OBJECT = ("ListDatabaseUserPermssions", "ListInstanceUserPermissions")


def _run(setup: ReviewBench, *people: Row, name: str = "manual__named", **more: Any) -> Review:
    asked = {"systems": [DMS], "reason": "a leaver", "dry_run": False, **more}
    return setup.run(name, kind="targets", principals=[one["person_id"] for one in people], **asked)


def _scope(review: Review) -> Any:
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        return next(scope for scope in ledger.scopes.all(run.run_id) if scope.system == DMS)


def _planned(review: Review) -> dict[str, tuple[str, ...]]:
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        ids = [item.grant_id for item in ledger.plans.items(run.run_id) if item.call_id]
        return {ident: tuple(grant.key) for ident, grant in ledger.snapshot.grants_by_id(run.run_id, ids).items()}


def _lose_rows(setup: ReviewBench) -> None:
    """From now on the listing by user is empty and says so, for everybody."""
    script(
        setup,
        {"kind": "empty", "action": "ListUserPermissions"},
        {"kind": "total", "action": "ListUserPermissions", "value": 0},
    )


@pytest.fixture
def known(bench: Bench) -> Iterator[tuple[ReviewBench, Row]]:
    """A bench whose whole population was listed once, and a person with four records."""
    setup = bench()
    person = somebody(setup)
    records_of(setup, person, 4)
    setup.list_people_from_now()
    yield setup, person


def test_the_same_is_planned_and_proven_gone_with_fewer_listings(known: tuple[ReviewBench, Row]) -> None:
    setup, person = known
    setup.configure(targeted_discovery_hours=0)
    whole = _run(setup, person, name="manual__all", dry_run=True)
    whole.through_plan()
    setup.configure(targeted_discovery_hours=1)
    review = _run(setup, person)
    review.through_plan()
    assert _planned(review).keys() == _planned(whole).keys() and len(_planned(review)) == 4
    before, now = (_scope(one).query["calls"] for one in (whole, review))
    assert sum(now[name] for name in BY_OBJECT if name in now) < sum(before[name] for name in BY_OBJECT)
    assert now["ListUserPermissions"] == 7
    review.approve()
    review.revoke()
    review.verify()
    summary = review.report()
    assert review.gate() == "succeeded"
    rows = [json.loads(line) for line in Path(summary["items_file"]).read_text(encoding="utf-8").splitlines()]
    assert Counter(row["verdict"] for row in rows) == {"verified_gone": 4}
    (line,) = summary["named_people"]
    assert "only the named people (1 users) were listed" in line and "last listed in run 2" in line
    assert [row for row in setup.emulator.get("truth")[DMS] if row["user_id"] == person["dms_user_id"]] == []


def test_records_of_others_on_the_same_objects_are_compared_afterwards(known: tuple[ReviewBench, Row]) -> None:
    setup, person = known
    review = _run(setup, person)
    review.through_plan()
    review.approve()
    review.revoke()
    own = {tuple(key) for key in _planned(review).values()}
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        others = [one for one in ledger.snapshot.grants(run.run_id, system=DMS, revocable=True)
                  if tuple(one.key) not in own]  # fmt: skip
    assert others, "the objects of the person hold records of others"
    lost = others[0].key
    truth = setup.emulator.get("truth")[DMS]
    there = [row for row in truth if (row["user_id"], row["perm_type"]) == (lost.principal_id, lost.entitlement)]
    (gone, *_) = [row for row in there if lost.resource_id in row.values()]
    mutate(setup, {**gone, "op": "revoke", "system": DMS})
    (report,) = review.verify()
    assert (report["kept_compared"] >= 1, report["kept_lost"]) == (True, 1)


def test_the_question_says_who_was_listed(known: tuple[ReviewBench, Row]) -> None:
    from rescind.workflow.question.approval_text import approval_request

    setup, person = known
    review = _run(setup, person)
    review.through_plan()
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        body = approval_request(ledger, run, ledger.plans.get(run.run_id))[1]
    assert "only the named people" in body and "nothing is said about other people" in body


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"close_paths": "own"}, "may also end other paths"),
        ({"principals": [f"dms_user_id:{number}" for number in range(MOST_NAMED + 1)]}, "more than 20 principals"),
    ],
)
def test_a_run_that_needs_everybody_lists_everybody(
    known: tuple[ReviewBench, Row], caplog: pytest.LogCaptureFixture, more: Row, why: str
) -> None:
    setup, person = known
    asked = {"kind": "targets", "principals": [person["person_id"]], "systems": [DMS], "reason": "a leaver", **more}
    review = setup.run("manual__named", **asked)
    review.preflight()
    assert _scope(review).part == "" and why in caplog.text


@pytest.mark.parametrize("way", ["never listed", "off", "resources", "policy"])
def test_without_people_a_setting_and_a_whole_listing_everybody_is_listed(bench: Bench, way: str) -> None:
    setup = bench()
    person = somebody(setup)
    setup.configure(targeted_discovery_hours=1) if way == "never listed" else setup.list_people_from_now()
    if way == "off":
        setup.configure(targeted_discovery_hours=0)
    if way == "policy":
        review = setup.run("manual__named")
    elif way == "resources":
        asked = {"systems": [DMS], "resources": ["1"], "reason": "an incident"}
        review = setup.run("manual__named", kind="targets", **asked)
    else:
        review = _run(setup, person)
    review.preflight()
    assert _scope(review).part == ""


def test_an_old_whole_listing_is_not_used(known: tuple[ReviewBench, Row]) -> None:
    setup, person = known
    review = _run(setup, person, dry_run=True)
    review.preflight()
    scope, settings = _scope(review), Settings(targeted_discovery_hours=1)
    request = ReviewRequest(kind="targets", principals=(person["person_id"],), reason="a leaver")
    spec = ScopeSpec(DMS, scope.account)
    with review.ledger() as ledger:
        read_at = ledger.scopes.last_whole(DMS, scope.account).ended_at
        for minutes, part in ((59, NAMED_PEOPLE), (61, "")):
            (found,), lines = narrowed(ledger, settings, request, [spec], read_at + timedelta(minutes=minutes))
            assert (found.part, bool(lines)) == (part, part == "")
    assert "its last complete listing, run 1, is of" in lines[0]


def test_the_share_is_that_of_the_last_whole_listing(known: tuple[ReviewBench, Row]) -> None:
    setup, person = known
    with Review(setup, "", "", "", {}).ledger() as ledger:
        run = ledger.runs.find("access_review", "manual__whole")
        counts = {one.system: one.revocable for one in ledger.snapshot.counts(run.run_id)}
    setup.configure(max_percent=100 * 4 // counts[DMS])
    review = _run(setup, person)
    with pytest.raises(AirflowFailException, match=f"of {counts[DMS]} grants"):
        review.through_plan()
    setup.configure(max_percent=100 * 4 // counts[DMS] + 1)
    again = _run(setup, person, name="manual__again")
    again.through_plan()
    assert len(_planned(again)) == 4


def test_two_listings_that_contradict_each_other_make_the_scope_incomplete(known: tuple[ReviewBench, Row]) -> None:
    """A record that is given after the listing by user was read is on the object all the same."""
    setup, person = known
    mine = next(row for row in setup.emulator.get("truth")[DMS] if row["user_id"] == person["dms_user_id"])
    given = {**mine, "op": "grant", "system": DMS, "perm_type": "LOGIN"}
    script(setup, {"kind": "mutate", "action": "ListUsers", "ops": [given], "when": "before", "times": 1})
    review = _run(setup, person)
    review.preflight()
    _lose_rows(setup)
    with pytest.raises(ListingIncompleteError, match="only one of the listings by user and by object"):
        review.discover()
    assert _scope(review).state == "incomplete"


def test_a_record_that_the_last_whole_listing_had_is_looked_for_on_its_object(known: tuple[ReviewBench, Row]) -> None:
    """The listing by user answers and shows nothing: the listings by object know better, so nothing is proven."""
    setup, person = known
    _lose_rows(setup)
    review = _run(setup, person)
    review.preflight()
    with pytest.raises(ListingIncompleteError, match="only one of the listings"):
        review.discover()


def test_somebody_whom_the_vendor_does_not_list_by_is_found_by_object(known: tuple[ReviewBench, Row]) -> None:
    setup, person = known
    review = _run(setup, person)
    review.preflight()
    records_of(setup, person, 8)  # on more databases than the last whole listing knows
    script(setup, {"kind": "error", "action": "ListUserPermissions", "code": "UserNotExist", "status": 403})
    review.discover()
    review.plan()
    assert len(_planned(review)) == 8 and _scope(review).notes["read_whole"] == 1


def test_it_is_no_baseline_no_comparison_and_no_source_for_a_policy(
    known: tuple[ReviewBench, Row], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    setup, person = known
    for name in ("manual__a", "manual__b"):
        review = _run(setup, person, name=name, dry_run=True)
        review.through_plan()
    part = check_that_parts_are_no_baseline(setup, DMS, NAMED_PEOPLE)
    monkeypatch.setenv(DSN_VARIABLE, setup.ledger_dsn)
    assert main(["backtest", "include/policies/access_review.yaml", part]) == 1
    assert "listed named people only in some systems" in capsys.readouterr().err


def test_a_grant_of_somebody_who_was_not_listed_is_held(
    known: tuple[ReviewBench, Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup, person = known
    whole = RunPeople.note
    monkeypatch.setattr(RunPeople, "note", lambda self: {**whole(self), "users": []})
    review = _run(setup, person)
    review.through_plan()
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        items = list(ledger.plans.items(run.run_id))
    assert len(items) == 4 and {item.reason for item in items} == {
        "only the named people of this run were listed in this system"
    }
    assert _planned(review) == {}
