"""What the page shows of a real review: its bundle holds for the offline verifier, and what came back is named."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from rescind.evidence.bundle.read import bundle_source
from rescind.evidence.bundle.verify import verify
from rescind.model import NEW_RUN
from rescind.systems import REGISTRY
from rescind.web.app import create_app
from rescind.workflow.closing.person_access import person_access
from rescind.workflow.question.risk import risk_level
from rescind.workflow.run_summary import headline
from tests.integration.approval.test_watch import give, gone, watched
from tests.integration.restore.test_restore import reviewed
from tests.support.markup import Markup
from tests.support.reviews.review import ReviewBench

Bench = Callable[..., ReviewBench]


def page(setup: ReviewBench, path: str, user: str = "vera") -> httpx.Response:
    """An answer of the page for a reader of every DAG."""

    async def reader(_request: Any) -> str:
        return user

    async def ask() -> httpx.Response:
        app = create_app(
            lambda: setup.ledger_dsn,
            lambda: [setup.folder / "evidence" / kind for kind in ("reports", "bundles")],
            {name: system.title for name, system in REGISTRY.items()},
            identify=reader,
            readable=lambda _, dags: frozenset(dags),
            person_access=person_access,
            risk_level=risk_level,
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://page.test") as client:
            return await client.get(path)

    return asyncio.run(ask())


def test_the_bundle_that_the_page_hands_out_holds(bench: Bench, tmp_path: Path) -> None:
    setup = bench()
    reviewed(setup)
    with zipfile.ZipFile(io.BytesIO(page(setup, "/runs/1/bundle").content)) as archive:
        archive.extractall(tmp_path / "unpacked")
    (folder,) = (one for one in (tmp_path / "unpacked").iterdir() if one.is_dir())
    beside = {one.name: one.read_text(encoding="utf-8") for one in (tmp_path / "unpacked").iterdir() if one.is_file()}
    assert beside.keys() == {"README.txt", "report.html"} and f"verify {folder.name} --key" in beside["README.txt"]
    assert beside["report.html"] == page(setup, "/runs/1/report").text
    verification = verify(bundle_source(folder))
    assert verification.holds, verification.problems
    assert f"verify {folder.name}" in Markup.of(page(setup, "/runs/1").text).text
    assert page(setup, "/runs/1/report").status_code == 200


def test_what_came_back_is_on_the_page_of_its_run(bench: Bench) -> None:
    setup = bench()
    before = setup.emulator.get("truth")
    reviewed(setup)
    back = gone(setup, before)
    back["dms_permissions"]["origin"] = "Granted by <b>a colleague</b>"
    give(setup, back)
    watched()
    text = Markup.of(page(setup, "/runs/1").text).text
    assert "4 grants whose records this run removed" in text
    assert "Granted by <b>a colleague</b>" in text
    for system in back:
        assert REGISTRY[system].title in text.partition("Regranted since")[2]
    assert "4 came back" in Markup.of(page(setup, "/runs").text).text


def _left_by(setup: ReviewBench, fault: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A run whose writes to data sources meet a fault; verified and reported."""
    review = setup.run(dry_run=False, systems=["wedata_data_sources"])
    review.through_plan()
    review.approve()
    faults = [{"id": "left", "action": "RevokeDataSourceAuthorization", **fault}]
    setup.emulator.post("faults", {"faults": faults, "replace": True})
    try:
        review.canary()
        review.revoke()
    except Exception as error:
        assert "ExpiredSignatureError" in str(error)
    review.verify()
    return review, review.report()


def test_what_an_answered_call_left_needs_a_new_run_and_every_place_says_so(bench: Bench) -> None:
    setup = bench(canary_items=0)
    refusal = {"kind": "error", "calls": [1], "code": "UnsupportedOperation"}
    review, summary = _left_by(setup, refusal)
    assert sum(row["still_present"] for row in summary["systems"]) == 1
    assert summary["next_step"] == NEW_RUN
    assert headline(summary).splitlines()[-1] == NEW_RUN
    with pytest.raises(Exception, match=f"items are not proven gone; {NEW_RUN}"):
        review.gate()
    assert NEW_RUN in Markup.of(Path(summary["report"]).read_text(encoding="utf-8")).text
    assert NEW_RUN in Markup.of(page(setup, "/runs/1").text).text
    assert Markup.of(page(setup, "/runs/1/items?verdict=still_present").text).text.count(NEW_RUN) == 1
    assert NEW_RUN not in Markup.of(page(setup, "/runs/1/items?verdict=verified_gone").text).text


def test_what_was_not_sent_yet_needs_no_new_run(bench: Bench) -> None:
    setup = bench(canary_items=0)
    review, summary = _left_by(setup, {"kind": "expired_token", "times": 0})
    row = summary["systems"][0]
    assert row["still_present"] == row["items"] > 0
    assert summary["next_step"] == "" and NEW_RUN not in headline(summary)
    with pytest.raises(Exception, match=r"items are not proven gone$"):
        review.gate()
    assert NEW_RUN not in Markup.of(Path(summary["report"]).read_text(encoding="utf-8")).text
    assert NEW_RUN not in page(setup, "/runs/1").text + page(setup, "/runs/1/items").text


def test_a_headline_of_a_dry_run_says_what_would_go(bench: Bench) -> None:
    review = bench().run(dry_run=True)
    review.through_plan()
    summary = review.report()
    items, held = (sum(row[name] for row in summary["systems"]) for name in ("items", "held"))
    assert items > 0
    first = headline(summary).splitlines()[0]
    assert (
        first
        == f"Run 1: ◇ dry run, nothing sent. {items} to revoke, {held} held back; {summary['calls']} calls planned"
    )


def test_a_headline_holds_counts_and_nobodys_words(bench: Bench) -> None:
    setup = bench()
    summary = setup.run(dry_run=False, reason="[click](javascript:alert(1)) <b>", ticket="click/7").whole()
    text = headline(summary)
    assert text.startswith("Run 1: ▲ closed, access remains (")
    for row in summary["systems"]:
        assert f"\n- {row['system']}: " in text
        assert row["account"] not in text
    assert "click" not in text and "<" not in text and len(text) < 900
    items, held = (sum(row[name] for row in summary["systems"]) for name in ("items", "held"))
    assert f" of {items} proven gone, {held} held back" in text.splitlines()[0]
    assert f"{held} held back" in text.splitlines()[1] and text.splitlines()[1].startswith("Remains: ")
