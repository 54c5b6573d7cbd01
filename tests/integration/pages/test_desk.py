"""What people read about one leaver: before the approval, after it, on the page, in the report and in the files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rescind.evidence.bundle.read import bundle_source
from rescind.evidence.report.tables import export, outcomes
from rescind.workflow.question.approval_text import approval_request
from rescind.workflow.run_summary import headline
from tests.integration.pages.test_page import page
from tests.support.markup import Markup
from tests.support.reviews.review import Review, ReviewBench

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]


def holder_of_what_cannot_be_restored(setup: ReviewBench) -> dict[str, Any]:
    """Somebody who works here and holds an edit level of Quick BI, which no restore brings back."""
    held = {r["receiver_id"] for r in setup.emulator.get("truth")["quickbi_menus"] if r["auth_points"] in (10, 11)}
    people = setup.emulator.get("org")["people"]
    found: dict[str, Any] = next(p for p in people if p["status"] == "active" and p["quickbi_user_id"] in held)
    return found


def question(review: Review) -> tuple[str, str]:
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        return approval_request(ledger, run, ledger.plans.get(run.run_id))


def test_a_leaver_whose_access_remains_is_amber_everywhere_and_by_name(bench: Bench) -> None:
    setup = bench(allow_irreversible=False, canary_items=0, record_gone_fails=[])
    one = holder_of_what_cannot_be_restored(setup)
    reason = "Leaver, last day today"
    review = setup.run(kind="targets", dry_run=False, principals=[one["person_id"]], reason=reason)
    review.through_plan()
    subject, body = question(review)
    first, *rest = body.splitlines()
    assert first.startswith("**▲ After this, access remains: ") and "held back" in first
    assert "of 1 person or group" in subject
    who = next(line for line in rest if line.startswith("- **"))
    assert one["name"] in who and one["person_id"] in who and "roster: active" in who
    assert "the reason says that the person leaves, but the roster says active" in who
    assert "(rescind/runs/1/items)" in body and "allow_irreversible" in body
    held = body.partition("**Held back, so it stays**")[2].partition("\n\n**")[0]
    assert one["name"] in held and " on menu " in held and "cannot be restored" in held
    with review.ledger() as ledger:
        assert review.approval().ask(review.context("approve"), ledger) is None
    waits = Markup.of(page(setup, "/runs").text).text
    assert "Waiting for an answer of others (1)" in waits and "Waits for omar, asked" in waits
    assert "Waiting for you (1)" in Markup.of(page(setup, "/runs", "omar").text).text

    review.approve()
    review.revoke()
    review.verify()
    summary = review.report()
    assert summary["state"] == "succeeded" and review.gate() == "succeeded"
    row_count = sum(row["items"] + row["held"] for row in summary["systems"])
    proven = sum(row["verified_gone"] + row["already_absent"] for row in summary["systems"])
    unproven = sum(row["record_gone"] for row in summary["systems"])
    left = row_count - proven - unproven + summary["kept_back"]
    assert left > 0
    words = f"closed, access remains ({left})"
    assert words in headline(summary).splitlines()[0]
    with review.ledger() as ledger:
        opened = sum(one.items for one in ledger.views.open_now(["access_review"]))
        buckets = ledger.views.buckets(["access_review"])
    week, quarter = (sum(one.open for one in buckets if one.kind == kind) for kind in ("week", "quarter"))
    assert opened == row_count - proven == week == quarter, "what no call can remove is no item of the plan"
    home = Markup.of(page(setup, "/runs").text).text
    assert f"▲ {opened}" in home and "Open findings by department and system" in home
    for path in ("/runs", "/runs/1"):
        assert words in Markup.of(page(setup, path).text).text, path
    report = Markup.of(Path(summary["report"]).read_text(encoding="utf-8")).text
    assert f"Closed, access remains ({left})" in report and one["name"] in report


def test_files_and_lists_name_people(bench: Bench, tmp_path: Path) -> None:
    setup = bench()
    summary = setup.run(dry_run=False).whole()
    source = bundle_source(Path(summary["bundle"].removeprefix("file://")))
    rows = list(outcomes(source))
    assert rows and all(row["person_name"] for row in rows if row["person"])
    assert all(row["principal_name"] or row["person_name"] for row in rows if row["principal_type"] == "user")
    export(source, tmp_path / "tables")
    findings = [json.loads(line) for line in (tmp_path / "tables/findings.jsonl").read_text().splitlines()]
    assert findings and all(one["person_name"] or one["principal_name"] or one["principal_id"] for one in findings)
    exported = page(setup, "/runs/1/items.csv?verdict=open")
    assert exported.headers["content-type"] == "text/csv; charset=utf-8" and exported.text.startswith("\ufeff")
    lines = list(csv.DictReader(io.StringIO(exported.text.removeprefix("\ufeff"))))
    open_items = [row for row in rows if row["standing"] not in ("verified_gone", "already_absent")]
    assert {line["grant id"] for line in lines} == {row["grant_id"] for row in open_items}
    people = {row["person"]: row["person_name"] for row in rows if row["person"]}
    ident, name = next(iter(people.items()))
    shown = Markup.of(page(setup, "/runs/1/people").text).text
    assert name in shown and ident in shown
    mine = Markup.of(page(setup, f"/runs/1/items?person={ident}").text).text
    assert f"{sum(row['person'] == ident for row in rows)} item" in mine
