"""What changed between two snapshots, and what may not be compared at all."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rescind.cli import main
from rescind.errors import InputError
from rescind.ledger import Ledger
from rescind.ledger.population.snapshot_diff import merge
from rescind.model import Grant
from tests.support.ledger.runs import ACCOUNT, SYSTEM, begin, grant, list_scope

pytestmark = pytest.mark.postgres


def test_added_removed_and_changed_come_out_and_nothing_else(ledger: Ledger) -> None:
    old, new = begin(ledger, "one"), begin(ledger, "two")
    later = datetime(2030, 1, 1, tzinfo=UTC)
    list_scope(ledger, old, [grant(n) for n in range(30)])
    kept = [grant(n) for n in range(2, 29)]
    kept[0] = replace(kept[0], expires_at=later, expires_raw="2030", attributes={"Level": "3"})
    list_scope(ledger, new, [*kept, grant(40), grant(41)])
    found = ledger.diff(old.run_id, str(new.number))
    changes = {(change.kind, change.grant.key.principal_id): change.fields for change in found.changes()}
    assert changes == {
        ("removed", "u000000"): {},
        ("removed", "u000001"): {},
        ("removed", "u000029"): {},
        ("added", "u000040"): {},
        ("added", "u000041"): {},
        ("changed", "u000002"): {
            "expires_at": (None, later),
            "expires_raw": ("", "2030"),
            "attributes": ({}, {"Level": "3"}),
        },
    }
    assert found.not_comparable == [] and found.comparable == [(SYSTEM, ACCOUNT)]


@pytest.mark.parametrize("short", ["old", "new"])
def test_what_a_failed_listing_lacks_is_not_called_removed(ledger: Ledger, short: str) -> None:
    old, new = begin(ledger, "one"), begin(ledger, "two")
    for run, mine in ((old, short == "old"), (new, short == "new")):
        list_scope(ledger, run, [grant(n) for n in range(3 if mine else 9)], complete=not mine)
        list_scope(ledger, run, [grant(1, account="other")])
    found = ledger.diff(old.run_id, new.run_id)
    assert list(found.changes()) == []
    (gap,) = found.not_comparable
    number = old.number if short == "old" else new.number
    assert (gap.system, gap.account, gap.why) == (SYSTEM, ACCOUNT, f"run {number} did not list it completely")


def test_an_account_of_one_run_only_is_not_comparable(ledger: Ledger) -> None:
    old, new = begin(ledger, "one"), begin(ledger, "two")
    list_scope(ledger, old, [grant(1)])
    list_scope(ledger, new, [grant(1, account="other")])
    found = ledger.diff(old.run_id, new.run_id)
    assert [gap.why for gap in found.not_comparable] == [
        f"run {new.number} did not cover it",
        f"run {old.number} did not cover it",
    ]
    assert ledger.diff(old.run_id, new.run_id, system="dms_permissions").not_comparable == []
    with pytest.raises(InputError, match="no run has the id or number '99'"):
        ledger.diff("99", new.run_id)


def test_the_command_prints_lines_and_json(ledger: Ledger, ledger_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = begin(ledger, "one"), begin(ledger, "two")
    list_scope(ledger, old, [grant(1), grant(2)])
    list_scope(ledger, new, [replace(grant(2), resource_name="Menu\nrenamed"), grant(3)])
    assert main(["diff", str(old.number), str(new.number), "--dsn", ledger_dsn]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sorted(line[0] for line in lines[:-1]) == ["+", "-", "~"]
    assert lines[-1] == f"run {old.number} to run {new.number}: 1 added, 1 removed, 1 changed, 0 not comparable"
    assert main(["diff", old.run_id, new.run_id, "--json", "--dsn", ledger_dsn]) == 0
    rows = {row["change"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert rows["changed"]["fields"] == {"resource_name": {"old": "", "new": "Menu\nrenamed"}}
    assert rows["added"]["principal_id"] == "u000003" and rows["removed"]["principal_id"] == "u000001"
    assert main(["diff", "77", "78", "--dsn", ledger_dsn]) == 1


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.integers(0, 20), st.integers(0, 2)), st.dictionaries(st.integers(0, 20), st.integers(0, 2)))
def test_the_merge_says_what_a_comparison_in_memory_says(before: dict[int, int], after: dict[int, int]) -> None:
    def stream(side: dict[int, int]) -> list[Grant]:
        return sorted((grant(n, origin=str(o)) for n, o in side.items()), key=lambda one: one.grant_id)

    def expected(n: int) -> str | None:
        if n not in before or n not in after:
            return "added" if n in after else "removed"
        return "changed" if before[n] != after[n] else None

    said = {change.grant.key.principal_id: change.kind for change in merge(iter(stream(before)), iter(stream(after)))}
    wanted = {f"u{n:06d}": expected(n) for n in {*before, *after}}
    assert said == {user: kind for user, kind in wanted.items() if kind}


def test_the_baseline_is_the_last_complete_listing_before(ledger: Ledger) -> None:
    runs = [begin(ledger, name) for name in ("a", "b", "c", "d")]
    for run, size, complete in zip(runs, (30, 25, 4, 7), (True, True, False, True), strict=True):
        scope = list_scope(ledger, run, [grant(n) for n in range(size)], complete=complete)
    assert ledger.scopes.baseline(runs[0].run_id, scope) is None
    base = ledger.scopes.baseline(runs[3].run_id, scope)
    assert base is not None and (base.run_number, base.counted, base.removed) == (runs[1].number, 25, 0)
