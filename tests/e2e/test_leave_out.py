"""Two questions on real Airflow: who is left out in its form, or ticked on the page, keeps that; the rest is gone."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from local.api import Json
from local.demo.review import READING_SECONDS
from local.demo.truth import judge
from tests.support.servers.emulator import ROOT
from tests.support.servers.live import LiveStack

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
PICTURES = ROOT / "test-results"
DAG = "revoke_access"
WHY = "still hands over until Friday"

pytestmark = [
    pytest.mark.live,
    pytest.mark.browser,
    pytest.mark.long,
    pytest.mark.seconds(1800),
    pytest.mark.skipif(not CHROMIUM, reason="needs Debian's chromium: apt-get install chromium"),
]


def test_a_person_is_left_out_in_the_form_and_the_rest_needs_a_second_answer(live: LiveStack) -> None:
    PICTURES.mkdir(exist_ok=True)
    api, before = live.api("rita"), live.control.get("truth")
    kept, gone = live.holders()[:2]
    api.wait_for_dag(DAG, 60)
    api.unpause(DAG)
    people = [kept["person_id"], gone["person_id"]]
    run = api.trigger(DAG, {"principals": people, "reason": "last day today", "dry_run": False})

    first = waiting(live, run, "approve")
    answered_in_the_form(live, first, kept["person_id"])

    second = waiting(live, run, "approve_part")
    question, old = live.api("omar").question(second), live.api("omar").question(first)
    assert question["subject"].startswith("Second question") and question["options"] != old["options"]
    assert WHY in question["body"] and set(question["params"]) == {"comment"}
    pictures(live, second, "second")
    live.api("omar").answer(second, [question["options"][0]], {"comment": "the rest can go"})
    assert api.wait(DAG, run, 600)["state"] == "success"

    summary = live.summary(DAG, run)
    assert summary["left_out"] > 0 and summary["approved_by"] == "omar"
    judged = judge(before, live.control.get("truth"), Path(summary["items_file"]))
    assert all(one.holds and one.removed == one.planned for one in judged), judged
    after = live.control.get("truth")
    assert rights(after, kept) == rights(before, kept) and len(rights(after, kept)) >= summary["left_out"]
    assert len(rights(after, gone)) < len(rights(before, gone))
    page(live, f"rescind/runs/{summary['number']}", "run")
    page(live, f"rescind/runs/{summary['number']}/items?state=held", "items")


def test_ticked_lines_stay_and_an_answer_without_a_selection_is_asked_again(live: LiveStack) -> None:
    PICTURES.mkdir(exist_ok=True)
    api, omar, before = live.api("rita"), live.api("omar"), live.control.get("truth")
    api.wait_for_dag(DAG, 60)
    api.unpause(DAG)
    person = live.holders()[-1]
    run = api.trigger(DAG, {"principals": [person["person_id"]], "reason": "last day today", "dry_run": False})
    first = waiting(live, run, "approve")
    question = omar.question(first)
    (number,) = set(re.findall(r"rescind/runs/([0-9]+)/select", question["body"]))
    guarded = int((re.findall(r"([0-9]+) held back", question["body"]) or ["0"])[0])
    assert [one.split(" ")[0] for one in question["options"]] == ["Approve", "Use", "Reject"]
    omar.answer(first, [question["options"][1]], {})
    again = waiting(live, run, "approve", tried=2)
    assert "saved none for plan" in api.log({**again, "try_number": 1}) and live.control.get("truth") == before
    asked = omar.question(again)
    assert not asked["response_received"] and asked["options"] == question["options"]

    ticked = ticked_and_answered(live, again, number)
    second = waiting(live, run, "approve_part")
    asked = omar.question(second)
    assert asked["subject"].startswith("Second question") and f"left out {len(ticked)} grants" in asked["body"]
    omar.answer(second, [asked["options"][0]], {"comment": "the rest can go"})
    assert api.wait(DAG, run, 600)["state"] == "success"
    summary = live.summary(DAG, run)
    assert (summary["left_out"], summary["approved_by"]) == (len(ticked), "omar")
    rows = [json.loads(line) for line in Path(summary["items_file"]).read_text(encoding="utf-8").splitlines()]
    held = [row for row in rows if row["state"] == "held"]
    kept = [row for row in held if row["reason"] == f"kept by omar: {WHY}"]
    assert len(kept) == len(ticked), [row["reason"] for row in held]
    assert len(held) - len(kept) == guarded, "no guard holds more than before"
    after = live.control.get("truth")
    judged = judge(before, after, Path(summary["items_file"]))
    assert all(one.holds and one.removed == one.planned for one in judged), judged
    assert len(rights(after, person)) == len(rights(before, person)) - (len(rows) - len(held))
    page(live, f"rescind/runs/{number}/items?state=held", "selected")


def ticked_and_answered(live: LiveStack, task: Json, number: str) -> list[str]:
    """Tick two lines and save them without scripts, then press the third option in Airflow; the ids of the lines."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        site = signed_in(playwright, live)
        session = site.context.storage_state()
        for name, theme, width in (("wide", "light", 1280), ("wide-dark", "dark", 1280), ("phone", "dark", 390)):
            context = site.context.browser.new_context(
                storage_state=session, java_script_enabled=False, color_scheme=theme,
                viewport={"width": width, "height": 900},
            )  # fmt: skip
            plain = context.new_page()
            plain.goto(f"{live.config.base_url}/rescind/runs/{number}/select")
            boxes = plain.locator('input[name="box"]')
            ticked = [str(boxes.nth(at).get_attribute("value")) for at in (0, boxes.count() - 1)]
            for value in ticked:
                plain.locator(f'input[value="{value}"]').check()
            plain.locator("textarea").fill(WHY)
            plain.screenshot(path=PICTURES / f"select-{name}.png", full_page=True)
            plain.get_by_role("button", name="Save").click()
            plain.get_by_text("Nothing is approved yet").wait_for(timeout=90_000)
            plain.screenshot(path=PICTURES / f"selection-{name}.png", full_page=True)
        link = plain.get_by_role("link", name="Open the question").first.get_attribute("href")
        site.goto(f"{live.config.base_url}/{str(link).replace('../', '')}")
        button = site.get_by_role("button", name="Use my selection")
        button.wait_for(timeout=90_000)
        site.screenshot(path=PICTURES / "select-asked.png", full_page=True)
        button.click()
        for _ in range(60):
            if live.api("omar").question(task)["response_received"]:
                return ticked
            time.sleep(0.5)
        raise AssertionError("the form sent no answer")


def waiting(live: LiveStack, run: str, task_id: str, *, tried: int = 1) -> Json:
    """The task as it waits for an answer, in this try."""
    for _, tasks in live.api("rita").watch(DAG, run, 600):
        for task in tasks:
            found = (task["task_id"], task["state"], task["try_number"])
            if found == (task_id, "awaiting_input", tried):
                time.sleep(READING_SECONDS)
                return task
    raise AssertionError(f"{task_id} asks nobody: {[(t['task_id'], t['state']) for t in tasks]}")


def rights(truth: Json, person: Json) -> set[tuple[str, str]]:
    """Everything that the platforms hold for a person, as text."""
    ids = {str(person[space]) for space in ("dms_user_id", "quickbi_user_id", "wedata_user_id")}
    fields = ("user_id", "receiver_id", "subject_value")
    return {
        (system, repr(sorted(row.items())))
        for system, rows in truth.items()
        for row in rows
        if ids & {str(row.get(name)) for name in fields}
    }


def signed_in(playwright: Any, live: LiveStack, width: int = 1280) -> Any:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
    found = browser.new_page(viewport={"width": width, "height": 1000})
    found.goto(f"{live.config.base_url}/auth/login")
    found.fill('input[name="username"]', "omar")
    found.fill('input[name="password"]', live.passwords["omar"])
    found.click('button[type="submit"]')
    found.wait_for_url(lambda url: "/auth/login" not in url, timeout=90_000)
    return found


def address(live: LiveStack, task: Json) -> str:
    at = f"dags/{DAG}/runs/{task['dag_run_id']}/tasks/{task['task_id']}/required_actions"
    return f"{live.config.base_url}/{at}"


def answered_in_the_form(live: LiveStack, task: Json, person: str) -> None:
    """Choose the person in the list, write the reason, and press Approve."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        site = signed_in(playwright, live)
        site.goto(address(live, task))
        site.get_by_text("Leave out (optional)").wait_for(timeout=90_000)
        site.screenshot(path=PICTURES / "leave-out-asked.png", full_page=True)
        field = site.locator('[id*="leave_out"] input, input[id*="leave_out"]').first
        field.click()
        field.type(person)
        site.get_by_text(f"({person}) · everything").last.click()
        site.locator('[name*="comment"], [id*="comment"] input, [id*="comment"] textarea').first.fill(WHY)
        site.screenshot(path=PICTURES / "leave-out-chosen.png", full_page=True)
        site.get_by_role("button", name="Approve").first.click()
        for _ in range(60):
            if live.api("omar").question(task)["response_received"]:
                return
            time.sleep(0.5)
        raise AssertionError("the form sent no answer")


def pictures(live: LiveStack, task: Json, name: str) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        site = signed_in(playwright, live)
        site.goto(address(live, task))
        site.get_by_text("Second question").first.wait_for(timeout=90_000)
        site.screenshot(path=PICTURES / f"leave-out-{name}.png", full_page=True)


def page(live: LiveStack, path: str, name: str) -> None:
    """A picture of the page, wide and on a phone."""
    from playwright.sync_api import sync_playwright

    for width in (1280, 390):
        with sync_playwright() as playwright:
            site = signed_in(playwright, live, width)
            site.goto(f"{live.config.base_url}/{path}")
            site.get_by_text("kept by").first.wait_for(timeout=90_000)
            site.screenshot(path=PICTURES / f"leave-out-{name}-{width}.png", full_page=True)
            assert site.evaluate("document.documentElement.scrollWidth") <= width
