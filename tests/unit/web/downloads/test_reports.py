from __future__ import annotations

from pathlib import Path

import pytest

from rescind.web.downloads import reports
from rescind.web.downloads.reports import find_report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "000001-run.html").write_text("<p>report</p>")
    (tmp_path / "secret.html").write_text("no")
    return tmp_path / "reports"


def test_a_report_in_the_folder_is_found_by_path_and_by_address(folder: Path) -> None:
    path = folder / "000001-run.html"
    assert find_report(str(path), [folder]) == path.resolve()
    assert find_report(path.as_uri(), [folder]) == path.resolve()


def test_nothing_outside_the_folder_is(folder: Path) -> None:
    outside = folder.parent / "secret.html"
    (folder / "link.html").symlink_to(outside)
    (folder / "loop").symlink_to(folder.parent)
    for address in (
        str(outside),
        f"{folder}/../secret.html",
        f"{folder}/link.html",
        f"{folder}/loop/secret.html",
        f"file://{folder}/..%2Fsecret.html",
        f"{folder}evil/x.html",
    ):
        assert find_report(address, [folder]) is None, address
    assert find_report(str(folder / "000001-run.html"), []) is None


def test_only_reports_of_a_sane_size_are(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("key.pem", "items.csv", "x.html.key"):
        (folder / name).write_text("no")
        assert find_report(str(folder / name), [folder]) is None
    (folder / "folder.html").mkdir()
    assert find_report(str(folder / "folder.html"), [folder]) is None
    monkeypatch.setattr(reports, "MOST_BYTES", 5)
    assert find_report(str(folder / "000001-run.html"), [folder]) is None


def test_other_addresses_are_none_of_this_machine(folder: Path) -> None:
    for address in (
        "",
        "000001-run.html",
        "s3://bucket/000001-run.html",
        "https://example.test/x.html",
        f"file://elsewhere{folder}/000001-run.html",
        f"{folder}/missing.html",
        f"{folder}/nul\x00.html",
    ):
        assert find_report(address, [folder]) is None, address
