"""The page "Access reviews" in a real browser, inside Airflow's interface and below a path prefix.

Needs an API server only: what the page shows is a ledger that the test has filled.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rescind.ledger import Ledger
from rescind.ledger.runs.refusals import NewRefusal
from tests.support.ledger.web_runs import HOSTILE, finished_run, late_run, owners_asked, returned, working_run
from tests.support.reviews.review import ledger_connection
from tests.support.servers.api_server import ApiServer, running_api_server
from tests.support.servers.emulator import ROOT
from tests.support.servers.postgres import *  # noqa: F403

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
PICTURES = ROOT / "test-results"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.seconds(600),
    pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium: apt-get install chromium"),
]


@dataclass
class Site:
    """An API server with two runs: run 1 is closed and has a report, run 2 is at work on items with hostile names."""

    server: ApiServer
    ledger: Ledger
    browser: Any

    def page(self, *, width: int = 1280, height: int = 820, scheme: str = "light") -> Any:
        """A page of a user who has just signed in; ``said`` collects what the browser complains about."""
        page = self.browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
        page.said = []
        page.on("console", lambda message: page.said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("dialog", lambda dialog: page.said.append(f"dialog {dialog.message}"))
        page.goto(f"{self.server.base}/auth/login")
        page.fill('input[name="username"]', "vera")
        page.fill('input[name="password"]', self.server.users["vera"])
        page.click('button[type="submit"]')
        page.wait_for_url(lambda url: "/auth/login" not in url, timeout=90_000)
        page.get_by_text("Dags").first.wait_for(timeout=90_000)
        return page


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, postgres_server: Any, ledger_template: str) -> Iterator[Site]:
    from playwright.sync_api import sync_playwright

    PICTURES.mkdir(exist_ok=True)
    home = tmp_path_factory.mktemp("airflow")
    dsn = postgres_server.uri(postgres_server.create_database(template=ledger_template))
    report = home / "evidence" / "reports" / "000001-run.html"
    report.parent.mkdir(parents=True)
    report.write_text("<!doctype html><p>the report</p><script>document.title = 'ran'</script>", encoding="utf-8")
    environ = {
        "AIRFLOW_CONN_RESCIND_LEDGER": json.dumps(ledger_connection(dsn)),
        "AIRFLOW_VAR_RESCIND_SETTINGS": json.dumps({"evidence": str(home / "evidence")}),
    }
    with Ledger(dsn) as ledger:
        finished_run(ledger, report, bundles=home / "evidence" / "bundles")
        owners_asked(ledger, working_run(ledger))
        with running_api_server(home, {"vera": "viewer"}, **environ) as server, sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
            yield Site(server, ledger, chromium)
            chromium.close()


def _complaints(page: Any) -> list[str]:
    """What the browser said of this page's own doing; a refused script or style would be here."""
    return [text for text in page.said if "autocomplete" not in text and "sandbox" not in text]


def _picture(page: Any, name: str) -> None:
    path = Path(PICTURES / f"{name}.png")
    page.screenshot(path=str(path))
    assert path.stat().st_size > 10_000


def test_the_menu_leads_to_the_page_and_addresses_can_be_shared(site: Site) -> None:
    page = site.page()
    page.get_by_role("button", name="Browse").first.click()
    page.get_by_text("Access reviews").first.click()
    frame = page.frame_locator("iframe")
    frame.get_by_role("heading", name="Access reviews").wait_for(timeout=60_000)
    _picture(page, "access-reviews")
    frame.get_by_role("link", name="1", exact=True).click()
    frame.get_by_role("heading", name="Run 1").wait_for()
    frame.get_by_text("Why this run failed").wait_for()
    _picture(page, "access-reviews-run")
    page.goto(page.url)
    frame.get_by_role("heading", name="Run 1").wait_for(timeout=60_000)
    assert _complaints(page) == []
    page.close()


def test_a_run_at_work_shows_its_progress_without_a_reload(site: Site) -> None:
    run = site.ledger.runs.latest()[0]
    (batch,) = site.ledger.plans.batches(run.run_id)
    page = site.page(scheme="dark")
    page.goto(f"{site.server.base}/rescind/runs/2")
    page.get_by_text("0 of 60").wait_for()
    page.evaluate("window.untouched = true")
    site.ledger.progress.note(run.run_id, "revoke", batch.batch_id, label="", done=24, total=60, per_second=0.5)
    page.get_by_text("24 of 60").wait_for(timeout=30_000)
    page.get_by_text("about 1 min 12 s left at 0.5/s").wait_for()
    assert page.evaluate("window.untouched"), "the page was loaded again"
    _picture(page, "access-reviews-live")
    assert _complaints(page) == []
    page.close()


def test_filters_search_and_pages(site: Site) -> None:
    page = site.page()
    page.goto(f"{site.server.base}/rescind/runs/2/items")
    page.get_by_role("link", name="Next").click()
    page.get_by_text("60 items, showing 51 to 60").wait_for()
    page.get_by_role("searchbox").fill("<script")
    page.get_by_role("searchbox").press("Enter")
    page.get_by_text("17 items").wait_for()
    page.get_by_label("State").select_option("approved")  # acts at once
    page.get_by_role("link", name="Show all").wait_for()
    assert "state=approved" in page.url
    assert page.get_by_role("searchbox").input_value() == "<script"
    page.get_by_text("17 items").wait_for()
    _picture(page, "access-reviews-filters")
    assert _complaints(page) == []
    page.close()


def test_hostile_names_are_text(site: Site) -> None:
    page = site.page()
    page.goto(f"{site.server.base}/rescind/runs/2/items")
    shown = page.inner_text("table")
    for name in HOSTILE:
        plain = "".join(f"<U+{ord(c):04X}>" if c in "\u202e\u200b\n\x1b" else c for c in name)
        assert plain in shown
    assert page.locator("table script").count() == 0
    assert _complaints(page) == []
    _picture(page, "access-reviews-hostile-names")
    page.close()


def test_a_report_is_shown_and_runs_nothing(site: Site) -> None:
    page = site.page()
    page.goto(f"{site.server.base}/rescind/runs/1/report")
    page.get_by_text("the report").wait_for()
    assert page.title() == ""
    assert any("script" in text.lower() for text in page.said), "the browser says that it refused the script"
    page.close()


@pytest.mark.parametrize(
    ("scheme", "width", "height", "language"),
    [
        *((scheme, *size, "en") for scheme in ("light", "dark") for size in ((1280, 820), (390, 844))),
        ("light", 1280, 820, "zh-CN"),
        ("dark", 390, 844, "ja"),
    ],
)
def test_no_page_is_cut_off_or_has_a_fault_of_accessibility(
    site: Site, scheme: str, width: int, height: int, language: str
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page, axe = site.page(width=width, height=height, scheme=scheme), Axe()
    person = "runs/1/person?id=quickbi_menus%2Falibaba:1234567890123456:cn-hangzhou%2Fuser%2Fu000000"
    if language != "en":
        page.goto(f"{site.server.base}/rescind/runs?lang={language}&tz=Asia/Shanghai")
        page.wait_for_url(lambda url: "lang=" not in url)  # a shared address carries nobody's choice
        assert "UTC+8)" in page.inner_text("main")
    groups = "runs/2/items?by=person"
    for path in (
        "runs",
        "runs/1",
        "runs/1/items",
        "runs/1/people",
        person,
        "runs/2",
        groups,
        "runs/2/owners",
        "runs/99",
    ):
        page.goto(f"{site.server.base}/rescind/{path}")
        assert page.evaluate("document.documentElement.lang") == language
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        found = axe.run(page).response
        assert len(found["passes"]) > 5, "the checks have run"
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found["violations"]] == [], path
        if path.endswith("owners"):
            assert page.locator("details.holders").count() == 5
            page.locator("details.holders summary").first.click()
            _picture(page, f"owners-{language}-{scheme}-{width}")
        if width == 390 and scheme == "light" and "?" not in path:
            _picture(page, "access-reviews-phone-" + path.replace("/", "-"))
    page.close()


def test_the_evidence_can_be_downloaded_inside_the_interface(site: Site, tmp_path: Path) -> None:
    """The interface shows the page in a sandboxed frame, which must let a download through."""
    page = site.page()
    page.goto(f"{site.server.base}/plugin/access-reviews")
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="1", exact=True).click(timeout=60_000)
    with page.expect_download(timeout=60_000) as waiting:
        frame.get_by_role("link", name="Evidence bundle").click()
    waiting.value.save_as(tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as archive:
        archive.extractall(tmp_path)
    assert waiting.value.suggested_filename.startswith("000001-")
    (bundle,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert json.loads((bundle / "manifest.json").read_text())["number"] == 1
    assert _complaints(page) == []
    page.close()


def test_what_came_back_and_what_waits_for_too_long_is_seen(site: Site) -> None:
    source = site.ledger.runs.find("access_review", "manual__1")
    assert source is not None
    returned(site.ledger, source, 2, not_checked=1)
    late_run(site.ledger)
    page = site.page()
    page.goto(f"{site.server.base}/rescind/runs")
    page.get_by_text("2 came back", exact=True).wait_for()
    page.get_by_text("1 could not be checked").wait_for()
    page.get_by_text("has waited 1 d 2 h for approval, plan valid until").wait_for()
    _picture(page, "access-reviews-list")
    page.goto(f"{site.server.base}/rescind/runs/1")
    came_back = page.get_by_role("region", name="Regranted since")
    assert came_back.locator("tbody tr").count() == 2
    assert HOSTILE[0] in came_back.inner_text()
    came_back.scroll_into_view_if_needed()
    _picture(page, "access-reviews-came-back")
    assert _complaints(page) == []
    page.close()


def test_runs_that_were_refused_are_read_on_desktop_and_phone(site: Site) -> None:
    said = f"InputError: trigger form: principals: the roster does not know {HOSTILE[0]}. Start a new run"
    for run in ("manual__refused_1", "manual__refused_2"):
        site.ledger.refusals.note(NewRefusal("revoke_access", run, "rita", "Leaver, last day today", True, said))
    for name, page in (
        ("", site.page()),
        ("-dark", site.page(scheme="dark")),
        ("-phone", site.page(width=390, height=844)),
    ):
        page.goto(f"{site.server.base}/rescind/runs")
        refused = page.get_by_role("region", name="Not started (2)")
        refused.wait_for()
        assert "the roster does not know" in refused.inner_text() and "InputError" not in refused.inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
        _picture(page, f"access-reviews-refused{name}")
        link = refused.get_by_role("link", name="Open the log").first
        assert link.evaluate("one => one.href").endswith("/dags/revoke_access/runs/manual__refused_2/tasks/preflight")
        assert _complaints(page) == []
        page.close()
