"""Known access first, the proof of the rest after: two linked runs, what each removes, and what each says."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from rescind.ledger import NAMED_PEOPLE, ScopeSpec
from rescind.model import KNOWN_ACCESS
from rescind.operators.full_proof import FullProofOperator
from rescind.settings import ReviewRequest, Settings
from rescind.web.shape import state_of
from rescind.workflow.inputs import own_ids
from rescind.workflow.offboarding import named_people
from rescind.workflow.offboarding.named_people import RunPeople, narrowed
from tests.support.reviews.parts import check_that_parts_are_no_baseline
from tests.support.reviews.review import Review, ReviewBench
from tests.support.reviews.verdicts import DMS, MENUS, PRIVILEGES, SOURCES, Row, mutate, script

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
FOUR = [PRIVILEGES, SOURCES, DMS, MENUS]


def _run(setup: ReviewBench, person: Row, name: str = "manual__known", **more: Any) -> Review:
    asked = {"systems": FOUR, "reason": "a leaver", "dry_run": False, "principals": [person["person_id"]], **more}
    return setup.run(name, kind="targets", **asked)


def _ids(person: Row) -> set[str]:
    return {str(person[name]) for name in ("dms_user_id", "wedata_user_id", "quickbi_user_id") if person[name]}


def _held(setup: ReviewBench, person: Row) -> Counter[str]:
    """Who still holds what, by the emulator's own books: records of the person, by system."""
    truth, ids = setup.emulator.get("truth"), _ids(person)
    return Counter({name: sum(bool(ids & set(map(str, row.values()))) for row in truth[name]) for name in FOUR})


def _others(setup: ReviewBench, person: Row) -> list[str]:
    truth, ids = setup.emulator.get("truth"), _ids(person)
    return sorted(f"{n} {sorted(r.items())}" for n in FOUR for r in truth[n] if not ids & set(map(str, r.values())))


def _parts(review: Review) -> dict[str, str]:
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        return {scope.system: scope.part for scope in ledger.scopes.all(run.run_id)}


def _state(review: Review) -> str:
    """The state of the run as its page shows it now."""
    with review.ledger() as ledger:
        number = ledger.runs.find(review.dag_id, review.run_id).number
        line, _ = ledger.views.run(number, [review.dag_id])
    return state_of(line).words


def _left_and_gone(review: Review) -> tuple[int, int]:
    """How many people who left are gone, and how many are not proven gone, by the overview."""
    with review.ledger() as ledger:
        times = ledger.views.leaver_times([review.dag_id])
    return times.people, times.waiting


def _leaves(setup: ReviewBench, person: str) -> None:
    """Write into the roster that a person has left."""
    path = Path(setup.settings["roster"])
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    gone = {"status": "left", "terminated_at": f"{datetime.now(UTC) - timedelta(days=2):%Y-%m-%dT00:00:00Z}"}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, **(gone if row["person_id"] == person else {})} for row in rows)


def _page(summary: Row) -> str:
    return Path(summary["report"].removeprefix("file://")).read_text(encoding="utf-8")


@pytest.fixture
def known(bench: Bench) -> Iterator[tuple[ReviewBench, Row]]:
    """A bench whose whole population was listed once, and a person with direct access in every system."""
    setup = bench(max_percent=100, record_gone_fails=[])
    people = setup.emulator.get("org")["people"]
    person = next(one for one in people if min(_held(setup, one).values()) and not one["protected"])
    setup.list_people_from_now()
    yield setup, person


def _table(setup: ReviewBench, person: Row, *, held: bool) -> Row:
    """A privilege on a table, as the person holds it; on a table where the person holds something, or on none such."""
    rows = [row for row in setup.emulator.get("truth")[PRIVILEGES] if row["resource_type"] == "Table"]
    mine = {row["resource_uri"] for row in rows if row["subject_value"] == person["wedata_user_id"]}
    row = next(row for row in rows if (row["resource_uri"] in mine) == held)
    return {**row, "subject_type": "User", "subject_value": person["wedata_user_id"], "privilege": "MODIFY",
            "system": PRIVILEGES}  # fmt: skip


def test_known_access_goes_first_and_the_run_that_follows_finds_the_rest(known: tuple[ReviewBench, Row]) -> None:
    setup, person = known
    before, others = _held(setup, person), _others(setup, person)
    new = _table(setup, person, held=False)
    mutate(setup, {**new, "op": "grant"})
    first = _run(setup, person)
    summary = first.whole()
    assert _parts(first) == {PRIVILEGES: KNOWN_ACCESS, SOURCES: KNOWN_ACCESS, DMS: NAMED_PEOPLE, MENUS: KNOWN_ACCESS}
    # By the emulator's own books: all that the snapshot showed is gone, the new grant and everybody else's stay.
    left = _held(setup, person)
    assert min(before.values()) and [left[name] for name in (PRIVILEGES, SOURCES, MENUS)] == [1, 0, 0]
    assert _others(setup, person) == others
    assert summary["outcome"]["words"].endswith("; full proof pending")
    assert [step["step"] for step in summary["clock"]][-2:] == ["known access gone", "verified gone"]
    assert "not yet: the run over everybody proves it" in summary["clock"][-1]["words"]
    assert sum("only known access was read" in line for line in summary["named_people"]) == 3
    assert "full proof pending" in _page(summary)

    after = first.full_proof()
    after.through_plan()
    assert "full proof pending (run 3)" in _state(first)
    assert _parts(after) == {PRIVILEGES: "", SOURCES: "", DMS: NAMED_PEOPLE, MENUS: ""}
    with after.ledger() as ledger:
        run = ledger.runs.find(after.dag_id, after.run_id)
        assert (run.follows, run.requested_by, run.dry_run) == (2, "rita", False)
        assert ledger.approvals.get(run.run_id, ledger.plans.get(run.run_id).digest) is None, "it asks again"
        assert [one.call_id is not None for one in ledger.plans.items(run.run_id)] == [True]
    after.approve()
    after.revoke()
    after.verify()
    closed = after.report()
    assert _held(setup, person)[PRIVILEGES] == 0 and _others(setup, person) == others
    assert closed["follows"] == 2 and closed["clock"][0]["words"].endswith("after the request")
    assert "full proof" in _state(first) and "pending" not in _state(first)
    assert first.close()["outcome"]["words"] == _state(first)


def test_the_state_of_the_first_run_follows_that_of_the_second(known: tuple[ReviewBench, Row]) -> None:
    setup, _ = known
    person = {"person_id": "P00003"}
    _leaves(setup, person["person_id"])
    first = _run(setup, person, systems=[PRIVILEGES])
    assert first.whole()["outcome"] == {
        "key": "proof_pending", "tone": "hold", "words": "known access gone, full proof pending", "remains": []
    }  # fmt: skip
    assert first.gate() == "succeeded"
    after = first.full_proof()
    after.preflight()
    assert _state(first) == "known access gone, full proof pending (run 3)"
    assert _left_and_gone(first) == (0, 1), "the overview counts nobody as gone before the full proof"
    after.discover()
    after.plan()
    closed = after.report()
    assert closed["outcome"]["key"] == "nothing" and closed["clock"][-1]["at"], "its listing is the proof"
    assert _state(first) == "closed, all proven gone (run 3)"
    assert _left_and_gone(first) == (1, 0)
    with pytest.raises(AirflowSkipException):
        FullProofOperator(task_id="full_proof").execute(after.context("full_proof"))


def test_what_the_first_run_sent_and_did_not_read_again_is_not_proven_by_the_second(
    known: tuple[ReviewBench, Row],
) -> None:
    """Verification was killed. The records are gone, so no later listing shows them."""
    setup, person = known
    _leaves(setup, person["person_id"])
    connected = {PRIVILEGES: ["wedata_default"], DMS: ["dms_default"]}
    setup.configure(connections=connected)
    first = _run(setup, person, systems=[])
    first.through_plan()
    first.approve()
    first.canary()
    first.revoke()
    first.close()
    mutate(setup, {**_table(setup, person, held=False), "op": "grant"})
    after = first.full_proof()
    setup.configure(connections={PRIVILEGES: connected[PRIVILEGES]})
    with pytest.raises(AirflowFailException, match="dms_permissions cannot be listed any more as in run 2"):
        after.preflight()
    setup.configure(connections=connected)
    after.through_plan()
    after.approve()
    after.revoke()
    after.verify()
    closed = after.close()
    assert closed["clock"][-1]["at"] is None and "of the run before are not proven gone" in closed["clock"][-1]["words"]
    assert _left_and_gone(first) == (0, 1)


def test_after_a_rejection_and_after_a_failed_listing_everybody_is_listed_all_the_same(
    known: tuple[ReviewBench, Row],
) -> None:
    setup, person = known
    first = _run(setup, person, systems=[MENUS])
    first.through_plan()
    with pytest.raises(AirflowSkipException):
        first.approve(answer="reject")
    with pytest.raises(AirflowFailException, match="run 2 has not ended"):
        FullProofOperator(task_id="full_proof").execute(first.context("full_proof"))
    assert first.close()["outcome"]["words"] == "rejected, nothing sent; full proof pending"
    first.full_proof().through_plan()
    failed = _run(setup, person, "manual__failed", systems=[MENUS])
    failed.preflight()
    script(setup, {"kind": "error", "action": "ListPortalMenuAuthorization", "code": "Forbidden", "status": 403})
    with pytest.raises(AirflowFailException):
        failed.discover()
    assert failed.close()["state"] == "failed"
    script(setup)
    failed.full_proof().through_plan()


def test_what_changed_since_the_snapshot_takes_nothing_from_anybody_else(
    known: tuple[ReviewBench, Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container that is gone, one that holds other people now, and one that the person joined in between."""
    setup, person = known
    lost = _table(setup, person, held=True)
    place = (person["wedata_user_id"], lost["resource_uri"])
    rows = setup.emulator.get("truth")[PRIVILEGES]
    mine = [row for row in rows if (row["subject_value"], row["resource_uri"]) == place]
    stranger = {**lost, "subject_value": "900001", "system": PRIVILEGES}
    mutate(setup, *({**row, "op": "revoke", "system": PRIVILEGES} for row in mine), {**stranger, "op": "grant"})
    others = _others(setup, person)
    whole = RunPeople.containers
    gone = {"nowhere.at.all", "gone-portal", "99999999"}
    monkeypatch.setattr(RunPeople, "containers", lambda self, known: whole(self, known) | gone)
    first = _run(setup, person, systems=[PRIVILEGES, SOURCES, MENUS])
    first.whole()
    assert _others(setup, person) == others and not any(_held(setup, person)[name] for name in (PRIVILEGES, MENUS))


def test_our_own_identity_in_a_system_that_is_left_to_the_next_run_is_protected_in_the_first(
    known: tuple[ReviewBench, Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup, person = known
    whole = named_people._why_whole
    monkeypatch.setattr(
        named_people, "_why_whole", lambda ledger, request, spec, since: "old" * (spec.system == DMS)
        or whole(ledger, request, spec, since)
    )  # fmt: skip
    review = _run(setup, person, systems=[DMS, MENUS])
    review.preflight()
    assert _parts(review) == {MENUS: KNOWN_ACCESS}
    with review.ledger() as ledger:
        own = ledger.scopes.own_ids(DMS)
        protected = own_ids(ledger, ledger.runs.find(review.dag_id, review.run_id))
    assert own and {(DMS, ident) for ident in own} <= set(protected)


def test_a_grant_of_somebody_whom_the_snapshot_did_not_show_as_named_is_held(
    known: tuple[ReviewBench, Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    setup, person = known
    note = RunPeople.note
    monkeypatch.setattr(RunPeople, "note", lambda self: {**note(self), "users": []})
    review = _run(setup, person, systems=[MENUS])
    review.through_plan()
    with review.ledger() as ledger:
        items = list(ledger.plans.items(ledger.runs.find(review.dag_id, review.run_id).run_id))
    assert items and {item.call_id for item in items} == {None}


def test_the_last_holder_stays_in_a_container_that_was_read_alone(known: tuple[ReviewBench, Row]) -> None:
    setup, person = known
    table = {**_table(setup, person, held=True), "privilege": "ALL_PRIVILEGES"}
    rivals = [row for row in setup.emulator.get("truth")[PRIVILEGES]
              if row["resource_uri"] == table["resource_uri"] and row["privilege"] == "ALL_PRIVILEGES"]  # fmt: skip
    mutate(setup, {**table, "op": "grant"}, *({**row, "op": "revoke", "system": PRIVILEGES} for row in rivals))
    review = _run(setup, person, systems=[PRIVILEGES])
    review.through_plan()
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        held = {item.grant_id: item.reason for item in ledger.plans.items(run.run_id) if item.call_id is None}
        grants = ledger.snapshot.grants_by_id(run.run_id, held).values()
    assert [(one.key.entitlement, one.key.resource_id) for one in grants] == [("ALL_PRIVILEGES", table["resource_uri"])]


def test_without_a_fresh_snapshot_or_in_a_dry_run_everybody_is_listed(known: tuple[ReviewBench, Row]) -> None:
    setup, person = known
    request = ReviewRequest(kind="targets", principals=(person["person_id"],), reason="a leaver")
    with _run(setup, person).ledger() as ledger:
        scopes = ledger.scopes.all(ledger.runs.find("access_review", "manual__whole").run_id)
        specs = [ScopeSpec(scope.system, scope.account) for scope in scopes]
        read_at = max(scope.ended_at for scope in scopes)
        first = min(scope.ended_at for scope in scopes)
        ask = {"known_first": True}
        settings = Settings(targeted_discovery_hours=1)
        fresh, _ = narrowed(ledger, settings, request, specs, read_at, **ask)
        stale, lines = narrowed(ledger, settings, request, specs, read_at + timedelta(hours=2), **ask)
        mixed, left = narrowed(ledger, settings, request, specs, first + timedelta(hours=1, microseconds=1), **ask)
        dry, _ = narrowed(ledger, settings, request, specs, read_at)
        wide, _ = narrowed(ledger, settings, request.model_copy(update={"close_paths": "own"}), specs, read_at, **ask)
    assert Counter(spec.part for spec in fresh) == {KNOWN_ACCESS: 3, NAMED_PEOPLE: 1}
    assert {spec.part for spec in stale} == {""} == {spec.part for spec in wide} and len(stale) == len(specs)
    assert sum("its last complete listing, run 1, is of" in line for line in lines) == 4
    assert len(mixed) == 3 and any("left to the run that follows" in line for line in left)
    assert Counter(spec.part for spec in dry) == {"": 3, NAMED_PEOPLE: 1}
    review = _run(setup, person, dry_run=True)
    review.preflight()
    assert KNOWN_ACCESS not in _parts(review).values()


def test_only_the_run_that_completes_it_may_name_a_run(known: tuple[ReviewBench, Row]) -> None:
    setup, person = known
    first = _run(setup, person, systems=[MENUS])
    first.through_plan()
    with pytest.raises(AirflowSkipException):
        first.approve(answer="reject")
    early = replace(first, run_id="early", params={**first.params, "follows": 2})
    with pytest.raises(AirflowFailException, match="run 2 has not ended"):
        early.preflight()
    first.close()
    after = first.full_proof()
    stranger = replace(after, user="omar")
    for wrong, why in (
        (stranger, "in the name of its requester"),
        (replace(after, user=""), "in the name of its requester"),
        (replace(after, params={**after.params, "principals": ["P00002"]}), "'principals' differ from run 2"),
        (replace(after, params={**after.params, "dry_run": True}), "'dry_run' differ from run 2"),
        (replace(after, params={**after.params, "more": 1}), "'more' differ from run 2"),
        (replace(after, params={**after.params, "follows": 1}), "1 is no run of this DAG"),
        (replace(after, params={**after.params, "follows": "2"}), "'2' is no run of this DAG"),
        (replace(after, params={**after.params, "follows": True}), "True is no run of this DAG"),
        (replace(after, params=first.params), "was started by another DAG"),
    ):
        with pytest.raises(AirflowFailException, match=why):
            wrong.preflight()
    after.preflight()
    with pytest.raises(AirflowFailException, match="run 3 completes run 2 already"):
        replace(after, run_id="manual__again").preflight()


def test_it_is_no_baseline_and_no_comparison(known: tuple[ReviewBench, Row]) -> None:
    setup, person = known
    for name in ("manual__a", "manual__b"):
        _run(setup, person, name, systems=[MENUS]).through_plan()
    check_that_parts_are_no_baseline(setup, MENUS, KNOWN_ACCESS)
