"""The report in English, Chinese and Japanese: the same facts, and nothing else of the evidence changes."""

# ruff: noqa: RUF001 - Chinese and Japanese punctuation

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rescind.cli import main
from rescind.evidence.bundle.read import bundle_source
from rescind.evidence.report.html_report import write_report
from rescind.evidence.report.tables import exported, joined
from rescind.ledger import Ledger
from tests.unit.evidence.conftest import bundle, closed_run
from tests.unit.evidence.report.test_report import Page

pytestmark = pytest.mark.postgres


def test_the_report_in_three_languages(ledger: Ledger, tmp_path: Path) -> None:
    place = bundle(ledger, closed_run(ledger), tmp_path)
    source, pages, tables = bundle_source(place), {}, {}
    for language, zone in (("en", ""), ("zh-CN", "Asia/Shanghai"), ("ja", "Asia/Tokyo")):
        folder, out = tmp_path / f"tables-{language}", tmp_path / f"{language}.html"
        write_report(source, out, exported(source, folder, joined(source)), language=language, zone=zone)
        pages[language] = Page(out.read_text(encoding="utf-8"))
        tables[language] = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert tables["en"] == tables["zh-CN"] == tables["ja"], "what machines read is never translated"
    english = tmp_path / "usual.html"
    write_report(source, english)
    assert english.read_bytes() == (tmp_path / "en.html").read_bytes()
    for language, words in (
        ("zh-CN", ["已验证移除", "5 项授权中已验证移除 3 项", "▲ 已结束，仍有访问权限（2）", "UTC+8", "Asia/Shanghai"]),
        ("ja", ["削除確認済", "5 件のうち 3 件の削除を確認", "▲ 終了、アクセスが残存（2）", "UTC+9", "Asia/Tokyo"]),
    ):  # fmt: skip
        page, raw = pages[language], (tmp_path / f"{language}.html").read_text(encoding="utf-8")
        assert [word for word in words if word not in page.text] == []
        assert f'<html lang="{language}">' in raw and "Noto Sans CJK" in raw
        for fact in (*re.findall(r"\b[0-9a-f]{64}\b", pages["en"].text), "rita", "access_review", "view"):
            assert fact in page.text, "names, ids, rights and digests are the same"


def test_the_command_in_a_translated_report_writes_the_same_file(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = bundle(ledger, closed_run(ledger), tmp_path)
    options = ["--language", "ja", "--time-zone", "Asia/Tokyo"]
    assert main(["evidence", "report", str(place), str(tmp_path / "1.html"), *options]) == 0
    said = (tmp_path / "1.html").read_text(encoding="utf-8")
    assert f"again.html {' '.join(options)}\n" in said
    assert main(["evidence", "report", str(place), str(tmp_path / "2.html"), *options]) == 0
    assert (tmp_path / "2.html").read_text(encoding="utf-8") == said
    assert main(["evidence", "report", str(place), str(tmp_path / "3.html"), "--time-zone", "Mars/Base"]) == 2
    assert "--time-zone: Mars/Base is not known" in capsys.readouterr().err
    assert not (tmp_path / "3.html").exists()
