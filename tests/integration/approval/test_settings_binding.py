"""Settings are part of what is approved: what changes afterwards stops the run before the next call, by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rescind.evidence.bundle.read import FolderSource
from rescind.evidence.bundle.verify import verify
from tests.support.reviews.review import Review, ReviewBench
from tests.support.servers.postgres import tampering

Bench = Callable[..., ReviewBench]


def _approved(bench: Bench, **settings: Any) -> Review:
    review = bench(**settings).run(dry_run=False, systems=["dms_permissions"])
    review.through_plan()
    review.approve()
    return review


def _record(review: Review) -> dict[str, Any]:
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        return dict(ledger.inputs.facts(run.run_id, "settings"))


def _question(review: Review) -> str:
    operator = review.approval()
    with review.ledger() as ledger:
        assert operator.ask(review.context("approve"), ledger) is None
    return str(operator.body)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"approvers": ["omar", "eve"]}, "approvers"),
        ({"max_percent": 61}, "max_percent"),
        ({"max_per_principal": 499}, "max_per_principal"),
        ({"protections": "include/config/protected.yaml"}, "protections"),
        ({"granting_connections": {}}, "granting_connections"),
        ({"record_gone_fails": []}, "record_gone_fails"),
        ({"not_reviewed": {"dms_permissions": ["i-1"]}}, "not_reviewed"),
        ({"plan_valid_hours": 25}, "plan_valid_hours"),
        ({"settle_seconds": 0.01}, "settle_seconds"),
        (
            {"automatic_approval": {"max_revocations": 9, "max_percent": 9, "systems": ["x"], "only_rules": ["y"]}},
            "automatic_approval",
        ),
    ],
)
def test_a_setting_that_was_changed_after_the_approval_stops_the_send(
    bench: Bench, changed: dict[str, Any], named: str
) -> None:
    review = _approved(bench)
    before = review.bench.settings.get(named)
    review.bench.configure(**changed)
    with pytest.raises(Exception, match=f"NotApprovedError: .*setting '{named}' is .* now and was .* when the plan"):
        review.revoke()
    assert review.bench.emulator.writes() == []
    if before is None:
        del review.bench.settings[named]
    review.bench.configure(**({} if before is None else {named: before}))
    assert review.revoke()[0]["accepted"] > 0


def test_settings_that_only_change_speed_or_place_may_change(bench: Bench, tmp_path: Path) -> None:
    review = _approved(bench)
    review.bench.configure(
        workers=9, batch_seconds=5, max_batches=7, rows_per_call={"dms_permissions": 1},
        settle_in_place_seconds=1.5, summaries=str(tmp_path / "elsewhere"),
    )  # fmt: skip
    assert review.revoke()[0]["accepted"] > 0


def test_a_restore_is_bound_to_its_settings_too(bench: Bench) -> None:
    review = _approved(bench)
    review.revoke()
    review.verify()
    review.report()
    back = review.bench.restore(run="1")
    back.through_plan()
    back.approve()
    sent = len(review.bench.emulator.writes())
    review.bench.configure(max_restores=499)
    with pytest.raises(Exception, match="setting 'max_restores' is 499 now and was 500 when the plan was approved"):
        back.revoke()
    assert len(review.bench.emulator.writes()) == sent
    review.bench.configure(max_restores=500)
    back.revoke()
    assert len(review.bench.emulator.writes()) > sent


def test_recorded_settings_that_were_changed_in_the_ledger_are_refused(bench: Bench) -> None:
    review = _approved(bench)
    facts = _record(review)
    facts["record"]["settings"]["max_percent"] = 100
    review.bench.configure(max_percent=100)
    content = json.dumps(facts["record"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    with tampering(review.bench.ledger_dsn) as connection:
        connection.execute(
            "UPDATE rescind.input SET facts = %s, content = %s, sha256 = sha256(%s) WHERE name = 'settings'",
            (json.dumps(facts), content, content),
        )
    with pytest.raises(Exception, match="the recorded settings are not those that the approved digest covers"):
        review.revoke()
    assert review.bench.emulator.writes() == []


def test_a_run_keeps_the_settings_that_it_began_with(bench: Bench) -> None:
    review = bench(record_gone_fails=["policy", "targets"]).run(dry_run=False, systems=["wedata_privileges"])
    review.preflight()
    review.discover()
    review.bench.configure(max_percent=1, max_revocations=1)
    review.plan()
    review.bench.configure(max_percent=60, max_revocations=5000)
    review.approve()
    review.revoke()
    review.verify()
    review.bench.configure(record_gone_fails=[])
    assert "The setting 'record_gone_fails' makes this run fail" in "; ".join(review.report()["problems"])


def test_an_approver_sees_what_changed_since_the_last_run_that_a_person_approved(bench: Bench) -> None:
    first = bench().run("manual__1", dry_run=False, systems=["dms_permissions"])
    first.through_plan()
    assert "No earlier run of this kind was approved by a person" in _question(first)
    first.approve()
    with first.ledger() as ledger:
        ledger.runs.finish(ledger.runs.find("access_review", "manual__1").run_id, "succeeded", {})
    same = first.bench.run("manual__2", dry_run=False, systems=["dms_permissions"])
    same.through_plan()
    assert "As in run 1, the last one of this kind that a person approved" in _question(same)
    first.bench.configure(max_percent=59, approvers=["omar", "eve"])
    protected = Path(first.bench.settings["protections"])
    protected.write_text(protected.read_text(encoding="utf-8") + "# looked at\n", encoding="utf-8")
    # A dry run in between, and a run that nobody answered, are not what an approver has seen.
    dry = first.bench.run("manual__3", dry_run=True, systems=["dms_permissions"])
    dry.preflight()
    third = first.bench.run("manual__4", dry_run=False, systems=["dms_permissions"])
    third.through_plan()
    text = _question(third)
    assert "Changed since run 1, the last one of this kind that a person approved" in text
    assert r"**max\_percent**: 60 → 59" in text
    assert r"**approvers**: \[\"omar\"\] → \[\"omar\", \"eve\"\]".replace('\\"', '"') in text
    assert "content of protections" in text


def test_the_record_is_in_the_bundle_and_the_report_and_the_verifier_recomputes_it(bench: Bench) -> None:
    review = _approved(bench)
    review.revoke()
    review.verify()
    summary = review.report()
    bundle = Path(summary["bundle"])
    assert verify(FolderSource(bundle)).problems == []
    lines = (bundle / "inputs.jsonl").read_text(encoding="utf-8").splitlines()
    (record,) = [row for row in (json.loads(line)["data"] for line in lines) if row["name"] == "settings"]
    settings = record["facts"]["record"]["settings"]
    assert settings["approvers"] == ["omar"] and settings["max_percent"] == 60 and "workers" not in settings
    assert record["facts"]["record"]["form"]["dry_run"] is False
    assert len(record["facts"]["record"]["files"]["protections"]) == 64
    assert json.loads((bundle / "effects.json").read_text(encoding="utf-8"))["settings"] == record["sha256"]
    assert f"settings {record['sha256']}, approvers 'omar'" in verify(FolderSource(bundle)).notes
    report = Path(summary["report"]).read_text(encoding="utf-8")
    assert "<h2>Settings</h2>" in report and "max_per_principal" in report and record["sha256"] in report


@pytest.mark.parametrize("variable", ["rescind_settings", "rescind_stop"])
def test_a_variable_that_the_environment_hides_is_named_by_preflight_and_page(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variable: str
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_RESCIND_STOP", "false")
    review = bench().run(dry_run=True, systems=["dms_permissions"])
    review.preflight()
    with review.ledger() as ledger:
        _, facts = ledger.views.run(1, ["access_review"])
    assert set(facts.settings_hidden) == {"rescind_settings", "rescind_stop"}
    assert facts.settings_source == "AIRFLOW_VAR_RESCIND_SETTINGS (environment)"
    name = f"AIRFLOW_VAR_{variable.upper()} of the workers' environment hides the Airflow Variable {variable}"
    assert any(name in record.getMessage() for record in caplog.records)
