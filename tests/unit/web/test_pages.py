"""The pages: what they show, that they show foreign text as text, and that nothing in them leads elsewhere."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest

from rescind.ledger import SETTINGS, Ledger, NewInput
from rescind.web.app import create_app
from rescind.web.pages import ERROR_STYLE
from tests.support.ledger import runs as ledger_runs
from tests.support.ledger.web_runs import HOSTILE, finished_run, late_run, returned, working_run
from tests.support.markup import Markup

REPORT = "<!doctype html><title>Report</title><style>p{color:red}</style><p>the report</p>"


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "000001-run.html"
    path.write_text(REPORT, encoding="utf-8")
    return path


@pytest.fixture
def filled(ledger: Ledger, report: Path) -> Ledger:
    """Run 1 is closed and has a report; run 2 is at work on 60 items with hostile names."""
    finished_run(ledger, report)
    working_run(ledger)
    return ledger


PAGES = ("runs", "runs/1", "runs/2", "runs/2/live", "runs/1/items", "runs/2/items", "runs/2/items?q=zz", "runs/9", "x")


def test_an_empty_ledger_says_how_to_begin(browser: Any, ledger: Ledger) -> None:
    answer = browser.get("runs")
    assert answer.status_code == 200
    assert "No review has run yet" in answer.text


def test_the_list_shows_every_run(browser: Any, filled: Ledger) -> None:
    text = Markup.of(browser.get("runs").text).text
    for words in ("revoking", "failed", "access_review", "rita", "leavers"):
        assert words in text


def test_the_list_is_paged(browser: Any, ledger: Ledger) -> None:
    for number in range(30):
        ledger_runs.begin(ledger, f"manual__{number}")
    first = browser.get("runs").text
    (older,) = [link for _, link in Markup.of(first).addresses if "before=" in link]
    assert older == "?before=6"
    second = browser.get(f"runs{older}").text
    assert re.findall(r'href="runs/(\d+)"', first) == [str(n) for n in range(30, 5, -1)]
    assert re.findall(r'href="runs/(\d+)"', second) == ["5", "4", "3", "2", "1"]
    assert "before=" not in second


def test_a_closed_run_shows_result_problems_and_where_its_evidence_is(browser: Any, filled: Ledger) -> None:
    html = browser.get("runs/1").text
    text = Markup.of(html).text
    told = (
        "failed",
        "a <b>",
        "approved by anna",
        "rescind evidence verify 000001-",
        "not: 1 still reachable",
    )
    for words in told:
        assert words in text
    assert 'href="../runs/1/report"' in html
    assert 'href="../runs/1/bundle"' in html
    assert "data-refresh" not in html, "a closed run does not change any more"


def test_a_run_at_work_refreshes_itself_and_forecasts(browser: Any, filled: Ledger) -> None:
    run = filled.views.runs({"access_review"})[0]
    (batch,) = filled.plans.batches(run.run_id)
    filled.progress.note(run.run_id, "revoke", batch.batch_id, label="", done=15, total=60, per_second=0.5)
    filled.progress.note(run.run_id, "other", "x", label="Odd \u202e<b>", done=1, total=2, per_second=0)
    page = browser.get("runs/2").text
    live = browser.get("runs/2/live").text
    assert ("section", "2/live") in Markup.of(page).addresses
    for html in (page, live):
        text = Markup.of(html).text
        assert "15 of 60" in text
        assert "about 1 min 30 s left at 0.5/s" in text
        assert "Odd <U+202E><b>" in text


def test_items_can_be_searched_and_paged(browser: Any, filled: Ledger) -> None:
    first = browser.get("runs/2/items").text
    assert "60 items, showing 1 to 50" in Markup.of(first).text
    (after,) = [link for _, link in Markup.of(first).addresses if "offset" in link]
    second = browser.get(f"runs/2/items{after}").text
    assert "60 items, showing 51 to 60" in Markup.of(second).text
    found = browser.get("runs/2/items?q=%3CSCRIPT&state=approved").text
    assert Markup.of(found).text.count("<script>alert(1)</script>") >= 9
    assert 'value="&lt;SCRIPT"' in found
    assert '<option value="approved" selected>' in found


def test_filters_outlive_the_turn_of_a_page(browser: Any, filled: Ledger) -> None:
    html = browser.get("runs/2/items?q=u0&state=approved&offset=50").text
    (back,) = [link for _, link in Markup.of(html).addresses if link.startswith("?")]
    assert back == "?state=approved&q=u0"


@pytest.mark.parametrize(
    "query", ["offset=-1", "state=%3Cb%3E", "q=" + "x" * 201, "system=a%27b", "q=%00", "offset=zzz"]
)
def test_a_filter_that_does_not_fit_is_refused_without_being_repeated(browser: Any, filled: Ledger, query: str) -> None:
    answer = browser.get(f"runs/1/items?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[2] not in answer.text
    assert "Invalid filter" in answer.text


@pytest.mark.parametrize("path", ["runs/9", "runs/0", "runs/x", "runs/9/items", "runs/9/live", "runs/9/report",
                                  "runs/9/bundle", "runs/2/report", "runs/2/bundle", "static/app.py",
                                  "static/..%2fapp.py", "docs", "openapi.json",
                                  "runs/99999999999999999999"])  # fmt: skip
def test_what_is_not_there_is_not_found(browser: Any, filled: Ledger, path: str) -> None:
    assert browser.get(path).status_code == 404


def test_hostile_names_are_text(browser: Any, filled: Ledger) -> None:
    html = browser.get("runs/2/items").text
    page = Markup.of(html)
    for name in HOSTILE:
        plain = name
        for character in "\u202e\u200b\n\x1b":
            plain = plain.replace(character, f"<U+{ord(character):04X}>")
        assert plain in page.text
    assert page.acting == []
    assert not re.search("[\u202e\u200b\x1b]", html)


def test_nothing_in_a_page_acts_or_leads_elsewhere(browser: Any, filled: Ledger) -> None:
    for path in PAGES:
        answer = browser.get(path)
        page = Markup.of(answer.text)
        assert page.acting == (["<style>" + ERROR_STYLE[:40]] if answer.status_code != 200 else []), path
        for tag, address in page.addresses:
            parts = urlsplit(address)
            assert not parts.scheme, (path, tag, address)
            assert not parts.netloc, (path, tag, address)
            assert not address.startswith("/"), f"{path}: {tag} {address} would break under a path prefix"


def test_every_link_works_below_a_prefix(browser: Any, filled: Ledger) -> None:
    """Follows every link from the list on; all of them stay below the app and answer."""
    root = f"{browser.PREFIX}/rescind/"
    seen, waiting = set(), ["runs"]
    while waiting:
        path = waiting.pop()
        if path in seen or len(seen) > 60:
            continue
        seen.add(path)
        answer = browser.get(path)
        assert answer.status_code == 200, path
        # What the live part links to is resolved by the page that it is put into.
        if answer.headers["content-type"].startswith("text/html") and not path.endswith(("report", "live", "bundle")):
            for _, address in Markup.of(answer.text).addresses:
                to = urljoin(f"http://airflow.test{root}{path}", address)
                if to.startswith(f"http://airflow.test{browser.PREFIX}/dags/"):
                    continue  # a page of Airflow
                assert to.startswith(f"http://airflow.test{root}"), (path, address)
                # One person for all of them.
                kind = next((one for one in ("person=", "person?id=") if one in to), None)
                if kind is None or not any(kind in one for one in {*seen, *waiting}):
                    waiting.append(to.removeprefix(f"http://airflow.test{root}"))
    assert {
        "runs",
        "runs/1",
        "runs/2",
        "runs/2/live",
        "runs/1/items",
        "runs/1/people",
        "runs/1/report",
        "runs/1/bundle",
    } <= seen


def test_every_answer_is_fenced_in(browser: Any, filled: Ledger) -> None:
    for path in (*PAGES, "static/app.css", "static/app.js", "static/icon.svg"):
        headers = browser.get(path).headers
        policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["img-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
        assert policy["frame-ancestors"] == "'self'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == ("private, max-age=300" if path.startswith("static/") else "no-store"), path


def test_a_report_is_served_as_it_is_and_may_do_nothing(browser: Any, filled: Ledger) -> None:
    answer = browser.get("runs/1/report")
    assert answer.text == REPORT
    policy = answer.headers["content-security-policy"]
    assert "sandbox;" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "allow-" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_a_bundle_is_one_archive_that_is_kept_and_not_shown(browser: Any, filled: Ledger, tmp_path: Path) -> None:
    answer = browser.get("runs/1/bundle")
    (bundle,) = tmp_path.glob("000001-*/")
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="{bundle.name}.zip"'
    assert answer.headers["content-security-policy"].startswith("sandbox;")
    assert (answer.headers["x-content-type-options"], answer.headers["cache-control"]) == ("nosniff", "no-store")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        content = {name: archive.read(name) for name in archive.namelist()}
    beside = {"README.txt", "report.html"}
    whole = {f"{bundle.name}/{file.name}": file.read_bytes() for file in bundle.iterdir()}
    assert {name: held for name, held in content.items() if name not in beside} == whole
    assert f"rescind-verify verify {bundle.name} --key" in content["README.txt"].decode()
    assert content["report.html"] == browser.get("runs/1/report").content
    assert browser.get("runs/1/bundle").content == answer.content


def test_a_report_elsewhere_is_named_but_not_served(browser: Any, ledger: Ledger, tmp_path: Path) -> None:
    finished_run(ledger, Path("/etc/passwd.html"), bundles=tmp_path)
    assert browser.get("runs/1/report").status_code == 404
    html = browser.get("runs/1").text
    assert "/etc/passwd.html" in html
    assert "1/report" not in html


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_nothing_can_be_changed(browser: Any, filled: Ledger, method: str) -> None:
    assert browser.get("runs/1", method=method).status_code == 405


def test_a_bundle_elsewhere_is_named_but_not_served(browser: Any, ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "deeper").mkdir()
    finished_run(ledger, tmp_path / "r.html", bundles=tmp_path / "deeper")
    assert browser.get("runs/1/bundle").status_code == 404
    html = browser.get("runs/1").text
    assert str(tmp_path / "deeper" / "000001-") in html
    assert "1/bundle" not in html


def test_what_came_back_stands_with_the_run_that_had_proven_it_gone(browser: Any, filled: Ledger) -> None:
    run = filled.views.runs({"access_review"}, before=2)[0]
    source = filled.runs.find(run.dag_id, run.airflow_run_id)
    assert source is not None
    assert "Last watch run" not in browser.get("runs").text
    returned(filled, source, 2, not_checked=1)
    returned(filled, source, 1, name="scheduled__2")
    page = Markup.of(browser.get("runs/1").text)
    for words in ("Regranted since", "2 grants whose records this run removed", "was view", "in 2 watch runs"):
        assert words in page.text
    assert HOSTILE[0] in page.text, "a source is text"
    assert "invoice<U+202E>gnp.exe" in page.text
    assert page.acting == []
    assert "Regranted since" not in browser.get("runs/2").text
    text = Markup.of(browser.get("runs").text).text
    assert "of 2 grants whose records were removed, 1 is still removed, 1 came back." in text
    assert "2 came back since" in text
    returned(filled, source, 0, name="scheduled__3", not_checked=4)
    assert "none came back, 4 could not be checked" in Markup.of(browser.get("runs").text).text


def test_who_may_not_read_the_watch_does_not_see_it(
    browser_of: Any, filled: Ledger, ledger_dsn: str, tmp_path: Path
) -> None:
    run = filled.views.runs({"access_review"}, before=2)[0]
    source = filled.runs.find(run.dag_id, run.airflow_run_id)
    assert source is not None
    returned(filled, source, 1)

    async def reader(_request: Any) -> str:
        return "vera"

    def page(*dags: str) -> str:
        app = create_app(
            lambda: ledger_dsn, lambda: [tmp_path], {}, identify=reader, readable=lambda _, known: known & set(dags)
        )
        return str(browser_of(app).get("runs").text)

    assert "Last watch run" in page("access_review", "watch_regrants")
    assert "Last watch run" not in page("access_review")
    alone = page("watch_regrants")
    assert "Last watch run" in alone and "runs/1" not in alone


def test_a_run_that_waits_for_too_long_says_so(browser: Any, ledger: Ledger) -> None:
    working_run(ledger)
    assert "has waited" not in browser.get("runs").text
    late_run(ledger)
    for path in ("runs", "runs/2", "runs/2/live"):
        text = Markup.of(browser.get(path).text).text
        assert text.count("has waited 1 d 2 h for approval, plan valid until") == 1, path


def test_the_page_of_a_run_says_where_its_settings_came_from_and_what_changed(browser: Any, ledger: Ledger) -> None:
    facts = {
        "record": {"settings": {}, "hidden": ["rescind_stop"]},
        "compared_with": 7,
        "changes": [["max_percent", 20, 60], ["<b>x", 1, 2]],
    }
    ledger_runs.begin(ledger, inputs=[NewInput(SETTINGS, "Airflow Variable rescind_settings", b"{}", facts)])
    text = Markup.of(browser.get("runs/1").text).text
    assert "Airflow Variable rescind_settings" in text
    assert "AIRFLOW_VAR_RESCIND_STOP of the workers' environment hides the Airflow Variable rescind_stop" in text
    assert "changed since run 7: max_percent, <b>x" in text
    assert "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" in text
