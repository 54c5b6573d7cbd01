"""White lists of Quick BI datasets, in whole reviews against the emulator."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rescind.cloud.quickbi.datasets import AddDataLevelPermissionWhiteList
from rescind.systems import REGISTRY, default_connections
from rescind.systems.quickbi.dataset_whitelists import QuickBiDatasetWhitelists
from tests.support.reviews.review import Review, ReviewBench
from tests.support.reviews.verdicts import items_of, script

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]
Entry = tuple[str, str, int, str]
NAME, ACTION = QuickBiDatasetWhitelists.name, "AddDataLevelPermissionWhiteList"
USER, GROUP = 0, 1
ROWS, COLUMNS = "ROW_LEVEL", "COLUMN_LEVEL"


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """A bench whose reviews cover white lists of datasets. That access is gone is never proven here."""
    given: dict[str, Any] = {"connections": {NAME: ["quickbi_default"]}, "max_percent": 100, "record_gone_fails": []}
    given |= {"granting_connections": {NAME: ["quickbi_granting"]}}
    return lambda **settings: bench("--preset", "tiny", **{**given, **settings})


def truth(setup: ReviewBench) -> dict[str, list[dict[str, Any]]]:
    return dict(setup.emulator.get("truth?extra=1"))


def entries(setup: ReviewBench) -> set[Entry]:
    """(dataset, kind of rules, kind of receiver, receiver), as the service itself holds them."""
    names = ("dataset_id", "rule_type", "receiver_type", "receiver_id")
    return {tuple(row[name] for name in names) for row in truth(setup)[NAME]}


def mutate(setup: ReviewBench, *operations: dict[str, Any]) -> None:
    setup.emulator.post("mutate", {"ops": list(operations)})


def entry(dataset: str, receiver: str, rule: str = ROWS, kind: int = USER, **more: Any) -> dict[str, Any]:
    place = {"dataset_id": dataset, "rule_type": rule, "receiver_type": kind, "receiver_id": receiver}
    return {"op": "dataset_whitelist", **place, **more}


def somebody(setup: ReviewBench) -> tuple[str, str, str]:
    """An ordinary person in no group, somebody else, and a dataset with empty white lists."""
    protected = {ident for ids in setup.emulator.get("protected")["ids"].values() for ident in ids}
    now = truth(setup)
    first, second, *_ = sorted({row["user_id"] for row in now["quickbi_workspace_members"]} - protected)
    groups = {row["group_id"] for row in now["quickbi_group_members"] if row["user_id"] == first}
    mutate(
        setup,
        *(entry(dataset, who, rule, kind, remove=True) for dataset, rule, kind, who in entries(setup)),
        *({"op": "group_member", "group_id": group, "user_id": first, "remove": True} for group in groups),
    )
    assert entries(setup) == set()
    return first, second, min(row["dataset_id"] for row in truth(setup)["quickbi_datasets"])


def asked(setup: ReviewBench, user: str) -> Review:
    """A run that takes the person off every white list."""
    given = {"principals": [user], "reason": "moved to another team", "systems": [NAME], "dry_run": False}
    return setup.run(kind="targets", **given)


def approved(setup: ReviewBench, user: str) -> Review:
    review = asked(setup, user)
    review.through_plan()
    review.approve()
    return review


def test_exactly_the_entries_of_the_person_go_and_come_back(bench: Bench) -> None:
    setup = bench()
    user, other, dataset = somebody(setup)
    group = truth(setup)["quickbi_groups"][0]["group_id"]
    mutate(
        setup,
        entry(dataset, user),
        entry(dataset, user, COLUMNS),
        entry(dataset, other),
        entry(dataset, group, kind=GROUP),
    )
    before, rules = entries(setup), [truth(setup)[name] for name in ("quickbi_dataset_levels", "quickbi_dataset_rules")]
    mine = {one for one in before if one[2:] == (USER, user)}
    assert len(mine) == 2 and len(before) == 4
    review = asked(setup, user)
    assert review.whole()["problems"] == []
    assert before - entries(setup) == mine and not entries(setup) - before
    assert [row["action"] for row in setup.emulator.writes()] == [ACTION] * 2
    rows = items_of(review)
    assert {(row["entitlement"], row["verdict"]) for row in rows} == {
        ("all_rows", "record_gone"),
        ("all_columns", "record_gone"),
    }
    assert setup.restore(run="1").whole()["problems"] == []
    assert entries(setup) == before
    assert rules == [truth(setup)[name] for name in ("quickbi_dataset_levels", "quickbi_dataset_rules")]


def test_several_people_of_one_list_go_in_one_call_and_groups_in_another(bench: Bench) -> None:
    setup = bench()
    user, other, dataset = somebody(setup)
    group = truth(setup)["quickbi_groups"][0]["group_id"]
    mutate(setup, entry(dataset, user), entry(dataset, other), entry(dataset, group, kind=GROUP))
    given = {"principals": [], "resources": [dataset], "systems": [NAME], "reason": "wrong audience"}
    review = setup.run(kind="targets", dry_run=False, **given)
    assert review.whole()["problems"] == [] and entries(setup) == set()
    assert len(setup.emulator.writes()) == 2


def test_what_a_group_has_stays_and_is_named(bench: Bench) -> None:
    setup = bench()
    user, _, dataset = somebody(setup)
    group = truth(setup)["quickbi_groups"][0]["group_id"]
    joins = {"op": "group_member", "group_id": group, "user_id": user}
    mutate(setup, joins, entry(dataset, user), entry(dataset, group, kind=GROUP))
    review = asked(setup, user)
    review.whole()
    (row,) = items_of(review)
    assert row["verdict"] == "still_effective" and "group" in row["remains"], row
    assert {one[2] for one in entries(setup)} == {GROUP}


@pytest.mark.parametrize("kind", ["reset_after", pytest.param("reset_before", marks=pytest.mark.long)])
def test_a_call_without_an_answer_is_read_before_it_is_sent_again(bench: Bench, kind: str) -> None:
    setup = bench()
    user, other, dataset = somebody(setup)
    mutate(setup, entry(dataset, user), entry(dataset, other))
    setup.emulator.post("faults", {"faults": [{"id": "once", "action": ACTION, "calls": [1], "kind": kind}]})
    review = asked(setup, user)
    assert review.whole()["problems"] == []
    assert {one[3] for one in entries(setup)} == {other}
    with review.ledger() as ledger:
        attempts = list(ledger.attempts.each(ledger.runs.find(review.dag_id, review.run_id).run_id))
    assert len(attempts) == (2 if kind == "reset_before" else 1)


@pytest.mark.parametrize("kind", ["lag", "pretend"])
def test_a_late_list_is_settled_and_a_pretended_end_is_found(bench: Bench, kind: str) -> None:
    setup = bench()
    user, _, dataset = somebody(setup)
    mutate(setup, entry(dataset, user))
    fault = {"id": "late", "action": ACTION, "times": 0, "kind": kind, **({"reads": 2} if kind == "lag" else {})}
    setup.emulator.post("faults", {"faults": [fault]})
    review = asked(setup, user)
    review.whole()
    assert [row["verdict"] for row in items_of(review)] == ["record_gone" if kind == "lag" else "still_present"]
    assert bool(entries(setup)) == (kind == "pretend")


@pytest.mark.parametrize(
    "modes",
    [
        {"quickbi_absent_target": "refused", "quickbi_no_targets": "all", "quickbi_operate_omitted": "add"},
        *(pytest.param({"quickbi_empty_dataset_list": one}, marks=pytest.mark.long) for one in ("null", "no_model")),
    ],
    ids=lambda modes: next(iter(modes.items()))[1],
)
def test_no_open_question_about_the_vendor_changes_what_goes(bench: Bench, modes: dict[str, str]) -> None:
    """Where an empty list is null, both lists need somebody who stays: null is never taken for nobody."""
    setup = bench()
    user, other, dataset = somebody(setup)
    setup.emulator.post("modes", modes)
    group = truth(setup)["quickbi_groups"][0]["group_id"]
    kept = [
        entry(dataset, who, rule, kind) for rule in (ROWS, COLUMNS) for who, kind in ((other, USER), (group, GROUP))
    ]
    mutate(setup, *kept, entry(dataset, user))
    before = entries(setup)
    review = asked(setup, user)
    assert review.whole()["problems"] == []
    assert before - entries(setup) == {(dataset, ROWS, USER, user)} and not entries(setup) - before
    assert setup.restore(run="1").whole()["problems"] == []
    assert entries(setup) == before


def test_a_list_that_is_null_is_never_empty(bench: Bench) -> None:
    setup = bench()
    user, _, dataset = somebody(setup)
    mutate(setup, entry(dataset, user))
    review = approved(setup, user)
    review.revoke()
    script(setup, {"action": "ListDataLevelPermissionWhiteList", "kind": "null", "path": "Result.UsersModel"})
    review.verify()
    assert {row["verdict"] for row in items_of(review)} == {"unverified"}
    with pytest.raises(Exception, match="not proven gone"):
        review.gate()


def test_a_dataset_that_is_not_shown_is_named_and_does_not_hide_the_others(bench: Bench) -> None:
    setup = bench()
    user, _, dataset = somebody(setup)
    other = max(row["dataset_id"] for row in truth(setup)["quickbi_datasets"])
    assert other != dataset
    mutate(setup, entry(dataset, user), entry(other, user))
    bad = {"action": "ListDataLevelPermissionWhiteList", "kind": "null", "path": "Result", "where": {"CubeId": dataset}}
    script(setup, bad)
    review = asked(setup, user)
    review.whole()
    assert {one[0] for one in entries(setup)} == {dataset}
    with review.ledger() as ledger:
        (scope,) = ledger.scopes.all(ledger.runs.find(review.dag_id, review.run_id).run_id)
    assert [one["id"] for one in scope.notes["not_reviewed"]] == [dataset]


class _Backwards(QuickBiDatasetWhitelists):
    """Its request to revoke adds, and its request to restore deletes."""

    def remove(
        self, containers: tuple[str, ...], members: tuple[str, ...], group: str
    ) -> AddDataLevelPermissionWhiteList:
        return super().remove(containers, members, group).model_copy(update={"OperateType": "ADD"})

    def add(self, containers: tuple[str, ...], members: tuple[str, ...], like: Any) -> AddDataLevelPermissionWhiteList:
        return super().add(containers, members, like).model_copy(update={"OperateType": "DELETE"})


def test_a_revocation_that_would_add_is_not_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    user, _, dataset = somebody(setup)
    mutate(setup, entry(dataset, user))
    monkeypatch.setitem(REGISTRY, NAME, _Backwards())
    review = approved(setup, user)
    with pytest.raises(Exception, match=r"BlastRadiusExceededError: .*does not delete"):
        review.revoke()
    assert not setup.emulator.writes()


def test_a_restore_that_would_delete_is_not_sent(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    user, other, dataset = somebody(setup)
    mutate(setup, entry(dataset, user), entry(dataset, other))
    assert asked(setup, user).whole()["problems"] == []
    monkeypatch.setitem(REGISTRY, NAME, _Backwards())
    restore = setup.restore(run="1")
    restore.through_plan()
    restore.approve()
    with pytest.raises(Exception, match=r"BlastRadiusExceededError: .*does not add"):
        restore.revoke()
    assert len(setup.emulator.writes()) == 1 and len(entries(setup)) == 1


def test_it_is_reviewed_only_where_the_settings_name_a_connection(bench: Bench) -> None:
    setup = bench(connections={"quickbi_menus": ["quickbi_default"]})
    assert NAME not in default_connections()
    with pytest.raises(Exception, match=f"no connection is configured for '{NAME}'"):
        asked(setup, somebody(setup)[0]).preflight()
