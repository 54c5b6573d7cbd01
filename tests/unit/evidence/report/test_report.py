from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

import pytest

from rescind.cli import main
from rescind.evidence.bundle.read import bundle_source
from rescind.evidence.bundle.verify import verify
from rescind.evidence.report.counting import figures
from rescind.evidence.report.figures import SHOWN_FINDINGS, SHOWN_PEOPLE
from rescind.evidence.report.html_report import headline, report, span, text
from rescind.evidence.report.tables import outcomes
from rescind.ledger import Ledger
from tests.support.ledger.memory_bundle import MemorySource
from tests.support.ledger.runs import begin, frozen_run
from tests.unit.evidence.bundle.test_bundle import remade
from tests.unit.evidence.conftest import HOSTILE, bundle, closed_run, contents

pytestmark = pytest.mark.postgres
ADDED_SINCE = {
    "review": ("schedule", "due_at", "period_start", "period_end", "period_basis", "retention", "time_source"),
    "approvals": ("measured_against", "nonce", "signing_key", "signature", "public_key", "airflow_record"),
    "verdicts": ("latest",),
}
VOID = {"meta", "br", "img", "input", "link", "hr"}


class Page(HTMLParser):
    """Tags, text and addresses of a page; tags must close in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.text = ""
        self.attributes: set[str] = set()
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(place: Path, out: Path) -> Page:
    assert main(["evidence", "report", str(place), str(out)]) == 0
    return Page(out.read_text(encoding="utf-8"))


def test_the_report_shows_the_run_and_hostile_names_as_text(ledger: Ledger, tmp_path: Path) -> None:
    place = bundle(ledger, closed_run(ledger), tmp_path)
    page = page_of(place, tmp_path / "report.html")
    for words in ("Run 1 of access_review", "Proven gone", "still reachable", "the last administrator stays",
                  "▲ Closed, access remains (2)", "3 of 5 grants are proven gone.",
                  "What remains: 1 still reachable in another way; 1 held back.",
                  "rita", "anna", figures(bundle_source(place)).manifest["root"]):  # fmt: skip
        assert words in page.text, words
    assert "<script>alert(1)</script> {{ 7*7 }} <U+202E>evil<U+202C> <U+001B>[31m" in page.text
    assert page.tags.isdisjoint({"script", "iframe", "img", "link", "object", "form", "a"})
    assert page.attributes.isdisjoint({"src", "href", "onload", "onclick", "onerror"})
    raw = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (
        HOSTILE not in raw and "\u202e" not in raw and "\x1b" not in raw and "http" not in raw.replace("http-equiv", "")
    )


def test_the_same_bundle_gives_the_same_report(ledger: Ledger, tmp_path: Path) -> None:
    place = bundle(ledger, closed_run(ledger), tmp_path)
    page_of(place, tmp_path / "1.html")
    page_of(place, tmp_path / "2.html")
    assert (tmp_path / "1.html").read_bytes() == (tmp_path / "2.html").read_bytes()


def test_a_bundle_of_an_older_version_holds_and_has_a_report(ledger: Ledger, tmp_path: Path) -> None:
    """What was added since the first version may be missing from records, and nothing else."""
    files = contents(bundle(ledger, closed_run(ledger), tmp_path, key=None))
    for kind, added in ADDED_SINCE.items():
        files = remade(files, kind, dict.fromkeys(added, ...))
    assert verify(MemorySource(files)).problems == []
    assert b"Proven gone" in report(figures(MemorySource(files)))
    assert sum(1 for _ in outcomes(MemorySource(files))) == 5


def test_a_run_that_did_nothing_has_a_report(ledger: Ledger, tmp_path: Path) -> None:
    place = bundle(ledger, ledger.runs.finish(begin(ledger).run_id, "failed", {}), tmp_path)
    page = page_of(place, tmp_path / "report.html")
    assert "The run ended before a plan was made. Nothing was sent." in page.text


def test_a_plan_of_which_nothing_was_sent_says_so(ledger: Ledger, tmp_path: Path) -> None:
    run = frozen_run(ledger).run
    page = page_of(bundle(ledger, ledger.runs.finish(run.run_id, "failed", {}), tmp_path), tmp_path / "report.html")
    assert "Nothing was sent." in page.text
    assert "Requests by outcome" not in page.text


def test_many_items_stay_few_lines(ledger: Ledger, tmp_path: Path) -> None:
    place = bundle(ledger, closed_run(ledger, grants=400, revoke=300), tmp_path)
    facts = figures(bundle_source(place))
    assert facts.people_total == 301 and len(facts.people) == SHOWN_PEOPLE
    assert len(facts.findings) <= SHOWN_FINDINGS
    assert facts.total["planned"] == 300 and facts.total["gone"] == 299 and facts.total["held"] == 1
    assert (tmp_path / "report.html").exists() is False
    page_of(place, tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size < 200_000


def test_the_headline_is_red_when_something_is_not_proven(ledger: Ledger, tmp_path: Path) -> None:
    facts = figures(bundle_source(bundle(ledger, closed_run(ledger), tmp_path)))
    assert headline(facts)["tone"] == "warn"
    facts.standings["unverified"] += 2
    assert headline(facts) == {
        "tone": "bad", "word": "✕ Failed, access remains (2)",
        "text": "3 of 5 grants are proven gone. What remains: 1 still reachable in another way; 1 held back. "
        "2 are not proven.",
    }  # fmt: skip
    facts.review["dry_run"] = True
    assert headline(facts)["word"] == "◇ Dry run, nothing sent"


def test_text_and_spans() -> None:
    assert text('<b>\u200b"') == "<bdi>&lt;b&gt;&lt;U+200B&gt;&#34;</bdi>"
    assert [span(one) for one in (0, 59.9, 61, 3_600, 90_061)] == ["0 s", "59 s", "1 min 1 s", "1 h", "1 d 1 h"]
