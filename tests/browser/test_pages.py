"""What a person sees in Airflow, in a real browser. Pictures are kept in ``test-results``."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.emulator import ROOT
from tests.support.live import LiveStack

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
    dialog.get_by_text("One exact id per line: a person of the roster").wait_for(timeout=30_000)
    page.wait_for_timeout(1_000)  # the sections unfold slowly
    _picture(page, "form")
    page.close()


def test_the_approval_page_reads_by_itself(live: LiveStack, browser: Any) -> None:
    run = _run(live)
    page = _page(live, browser, "omar", f"/dags/access_review/runs/{run}/tasks/approve/required_actions")
    page.get_by_text(re.compile(r"Approve revoking \d+ grants")).first.wait_for(timeout=30_000)
    body = page.inner_text("body")
    for words in ("rita asks to revoke", "Reason: Demonstration", "Guards", "Who loses most", "Its digest is"):
        assert words in body
    assert Path(PICTURES).exists()
    _picture(page, "approve")
    page.close()
