"""The page in other languages: who chooses, what is escaped, what stays English."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rescind.i18n import Reader
from rescind.ledger import Ledger
from rescind.web.app import create_app
from rescind.web.phrases import bdi, link, phrase, phrases
from tests.support.ledger.web_runs import finished_run

# Airflow's API server imports Starlette's test client.
pytestmark = pytest.mark.filterwarnings("ignore:Using .httpx. with .starlette.testclient.")

HEADINGS = {"en": "<h1>Access reviews</h1>", "zh-CN": "<h1>权限复核</h1>", "ja": "<h1>アクセスレビュー</h1>"}


@pytest.mark.parametrize(
    ("query", "cookie", "accepts", "language"),
    [
        ("?lang=ja", "rescind_lang=en; rescind_airflow_lang=en", "zh-CN", "ja"),
        ("", "rescind_lang=ja; rescind_airflow_lang=en", "zh-CN", "ja"),
        ("?lang=auto", "rescind_lang=ja; rescind_airflow_lang=en", "zh-CN", "en"),
        ("?lang=xx", "rescind_airflow_lang=ja", "zh-CN", "ja"),
        ("", "rescind_lang=xx; rescind_airflow_lang=ko", "ja,en;q=0.1", "ja"),
        ("", "", "ko", "zh-CN"),
        ("", "", "", "zh-CN"),
    ],
)
def test_the_order_of_choices(
    ledger_dsn: str, tmp_path: Path, browser_of: Any, query: str, cookie: str, accepts: str, language: str
) -> None:
    browser = browser_of(_app(ledger_dsn, tmp_path, lambda: Reader("zh-CN", "Asia/Tokyo")))
    answer = browser.get(f"runs{query}", headers={"cookie": cookie, "accept-language": accepts})
    assert HEADINGS[language] in answer.text
    assert f'<html lang="{language}"' in answer.text
    assert "Cookie" in answer.headers["vary"]


def test_a_choice_is_kept_for_this_app_and_can_be_taken_back(browser: Any) -> None:
    said = browser.get("runs?lang=ja&tz=Asia/Tokyo").headers.get_list("set-cookie")
    path = "Path=/airflow/here/rescind; Max-Age=31536000; SameSite=Lax"
    assert said == [f"rescind_lang=ja; {path}", f"rescind_tz=Asia/Tokyo; {path}"]
    assert "Max-Age=0" in browser.get("runs?lang=auto").headers["set-cookie"]
    assert "set-cookie" not in browser.get("runs?lang=ja%3B+x&tz=../etc").headers


def test_settings_that_cannot_be_read_cost_no_page(ledger_dsn: str, tmp_path: Path, browser_of: Any) -> None:
    def broken() -> Reader:
        raise RuntimeError("no settings")

    answer = browser_of(_app(ledger_dsn, tmp_path, broken)).get("runs")
    assert answer.status_code == 200 and HEADINGS["en"] in answer.text


def test_local_time_is_beside_utc_and_the_export_stays_english(ledger: Ledger, browser: Any, tmp_path: Path) -> None:
    report = tmp_path / "r.html"
    report.write_text("<p>report</p>")
    finished_run(ledger, report)
    headers = {"cookie": "rescind_lang=ja; rescind_airflow_tz=Asia/Shanghai"}
    assert "UTC+8)" in browser.get("runs", headers=headers).text
    for path in ("runs.csv", "runs/1/items.csv"):
        assert browser.get(path, headers=headers).content == browser.get(path).content


def test_an_error_page_is_translated_too(browser: Any) -> None:
    answer = browser.get("runs/99", headers={"accept-language": "ja"})
    assert answer.status_code == 404 and "<h1>見つかりません</h1>" in answer.text


def test_a_phrase_and_what_fills_it_are_escaped() -> None:
    assert phrase("a < {name}", name="<b>\u202e") == "a &lt; &lt;b&gt;&lt;U+202E&gt;"
    assert phrase("{x}", x=bdi("<i>")) == "<bdi>&lt;i&gt;</bdi>"
    assert link('x"y', bdi("a")) == '<a href="x&#34;y"><bdi>a</bdi></a>'
    assert phrases("{count} a", "{count} b", 1234) == "1\u202f234 b"


async def _anybody(_request: Any) -> str:
    return "vera"


def _app(dsn: str, folder: Path, usual: Any) -> Any:
    return create_app(
        lambda: dsn,
        lambda: [folder],
        {},
        identify=_anybody,
        readable=lambda _, dags: frozenset(dags),
        usual_reader=usual,
    )
