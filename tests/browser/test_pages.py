"""What a person sees in Airflow, in a real browser. Pictures are kept in ``test-results``."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.servers.emulator import ROOT
from tests.support.servers.live import LiveStack

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
PICTURES = ROOT / "test-results"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.seconds(1200),
    pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for all tests of this module."""
    from playwright.sync_api import sync_playwright

    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


def _page(live: LiveStack, browser: Any, user: str, path: str) -> Any:
    """A page of Airflow as this user sees it."""
    page = browser.new_page(viewport={"width": 1280, "height": 820})
    page.goto(f"{live.config.base_url}/auth/login")
    page.fill('input[name="username"]', user)
    page.fill('input[name="password"]', live.passwords[user])
    page.click('button[type="submit"]')
    page.wait_for_url(lambda url: "/auth/login" not in url, timeout=60_000)
    page.get_by_text("Dags").first.wait_for(timeout=60_000)
    for attempt in range(3):  # the interface may still be moving to its own start page, which ends a navigation
        try:
            page.goto(live.config.base_url + path)
            break
        except Exception as error:
            if "ERR_ABORTED" not in str(error) or attempt == 2:
                raise
    return page


def _picture(page: Any, name: str) -> None:
    path = PICTURES / f"{name}.png"
    page.screenshot(path=str(path))
    assert path.stat().st_size > 10_000


def _run(live: LiveStack) -> str:
    return str(live.api("rita").runs("access_review", "success")[-1]["dag_run_id"])


def test_the_run_shows_every_stage_by_name(live: LiveStack, browser: Any) -> None:
    page = _page(live, browser, "vera", f"/dags/access_review/runs/{_run(live)}")
    for stage in ("Preflight", "Discover", "Seal snapshot", "Decide", "Plan", "Approve", "Revoke", "Verify", "Gate"):
        page.get_by_text(re.compile(f"^{stage}")).first.wait_for(timeout=30_000)
    _picture(page, "review")
    page.close()


def test_mapped_tasks_are_named_by_system_account_and_count(live: LiveStack, browser: Any) -> None:
    page = _page(live, browser, "vera", f"/dags/access_review/runs/{_run(live)}/tasks/revoke/mapped")
    page.get_by_text(re.compile(r"DMS permissions · \d+/central · \d+ grants in \d+ calls")).first.wait_for(
        timeout=30_000
    )
    _picture(page, "revoke")
    page.close()


def test_the_form_has_sections_and_asks_for_a_reason(live: LiveStack, browser: Any) -> None:
    page = _page(live, browser, "rita", "/dags/revoke_access")
    page.get_by_role("button", name="Trigger").first.click()
    dialog = page.get_by_role("dialog")
    for section in ("What", "Why", "Safety"):
        dialog.get_by_role("button", name=section).wait_for(timeout=30_000)
    assert dialog.get_by_role("button", name="Trigger").is_disabled()
    dialog.get_by_role("button", name="What").click()
    dialog.get_by_text("One per line: the exact id of a person in the roster").wait_for(timeout=30_000)
    page.wait_for_timeout(1_000)  # the sections unfold slowly
    _picture(page, "form")
    page.close()


def test_the_approval_page_reads_by_itself(live: LiveStack, browser: Any) -> None:
    run = _run(live)
    page = _page(live, browser, "omar", f"/dags/access_review/runs/{run}/tasks/approve/required_actions")
    page.get_by_text(re.compile(r"Approve revoking \d+ grants")).first.wait_for(timeout=30_000)
    body = page.inner_text("body")
    for words in (
        "rita asks to revoke",
        "After this,",
        "People (",
        "Highest risk",
        "Reason: Demonstration",
        "Guards",
        "Its digest is",
    ):
        assert words in body
    assert Path(PICTURES).exists()
    _picture(page, "approve")
    page.close()


REASON = "last day, asked for in a browser"
COMMENT = "已与人事确认 <b>**HR-7**</b> [x](http://evil.example)"


def _fill_in_the_form(page: Any, person: str) -> None:
    """Ask for everything of a person, not as a dry run, and send it off."""
    page.get_by_role("button", name="Trigger").first.click(timeout=60_000)
    dialog = page.get_by_role("dialog")
    for section, field, text in (("What", "principals", person), ("Why", "reason", REASON)):
        dialog.get_by_role("button", name=section).wait_for(timeout=60_000)
        if not dialog.locator(f"[name=element_{field}]").is_visible():
            dialog.get_by_role("button", name=section).click()
        dialog.locator(f"[name=element_{field}]").fill(text)
    dialog.get_by_role("button", name="Safety").click()
    dialog.locator("label:has([name=element_dry_run])").click()  # the form begins as a dry run
    page.wait_for_timeout(1_000)  # the sections unfold slowly
    _picture(page, "form-filled-in")
    dialog.get_by_role("button", name="Trigger").click()
    page.get_by_text("Dag Run Triggered").first.wait_for(timeout=60_000)


def _run_that_waits(live: LiveStack) -> tuple[str, dict[str, Any]]:
    """The run that the form has started, and the task of it whose question waits for an answer."""
    api = live.api("rita")
    runs = [run for state in ("queued", "running") for run in api.runs("revoke_access", state)]
    (run,) = (str(run["dag_run_id"]) for run in runs if run["conf"].get("reason") == REASON)
    for _, tasks in api.watch("revoke_access", run, 400):
        waiting = [task for task in tasks if task["state"] == "awaiting_input"]
        if waiting:
            return run, waiting[0]
    raise AssertionError("the run ended without a question")


def test_a_form_is_filled_in_its_sender_is_refused_and_somebody_else_approves(live: LiveStack, browser: Any) -> None:
    api, person = live.api("rita"), live.holder()
    api.wait_for_dag("revoke_access", 60)
    api.unpause("revoke_access")
    page = _page(live, browser, "rita", "/dags/revoke_access")
    _fill_in_the_form(page, person["person_id"])
    page.close()

    run, task = _run_that_waits(live)
    before = live.control.get("truth")
    question = f"/dags/revoke_access/runs/{quote(run)}/tasks/approve/required_actions"
    page = _page(live, browser, "rita", question)
    page.get_by_role("button", name=re.compile("^Approve ")).click(timeout=60_000)
    page.get_by_text("Access Denied").first.wait_for(timeout=60_000)
    _picture(page, "approve-refused")
    page.close()
    assert not api.question(task)["response_received"]
    assert live.control.get("truth") == before

    page = _page(live, browser, "omar", question)
    page.locator("[name=element_comment]").fill(COMMENT, timeout=60_000)
    _picture(page, "approve-comment")
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("[name=element_comment]").scroll_into_view_if_needed()
    _picture(page, "approve-comment-phone")
    page.set_viewport_size({"width": 1280, "height": 820})
    page.get_by_role("button", name=re.compile("^Approve ")).click(timeout=60_000)
    page.get_by_text("approve response successful").first.wait_for(timeout=60_000)
    assert api.wait("revoke_access", run, 400)["state"] == "success"
    summary = json.loads(Path(api.xcom("revoke_access", run, "report")["summary"]).read_text(encoding="utf-8"))
    assert (summary["requested_by"], summary["approved_by"], summary["problems"]) == ("rita", "omar", [])
    assert live.control.get("truth") != before
    page.goto(f"{live.config.base_url}/rescind/runs/{summary['number']}")
    page.get_by_text(COMMENT, exact=True).wait_for(timeout=60_000)
    _picture(page, "run-with-comment")
    page.goto(f"{live.config.base_url}/rescind/runs/{summary['number']}/report")
    page.get_by_text(COMMENT, exact=True).wait_for(timeout=60_000)
    page.close()


def test_a_finished_run_shows_its_note_and_its_report(live: LiveStack, browser: Any) -> None:
    run = live.api("rita").runs("access_review", "success")[-1]
    number = re.search(r"\[Rescind\] Run (\d+): [✓▲] closed", run["note"])
    assert number is not None
    page = _page(live, browser, "vera", f"/dags/access_review/runs/{quote(run['dag_run_id'])}")
    page.get_by_text(f"[Rescind] Run {number[1]}: ").first.wait_for(timeout=60_000)
    _picture(page, "note")
    page.goto(f"{live.config.base_url}/rescind/runs/{number[1]}/report")
    page.get_by_text("Demonstration").first.wait_for(timeout=60_000)
    _picture(page, "report")
    page.close()
