from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescind.cli import main
from rescind.evidence.bundle.format import RECORD_FILES
from rescind.evidence.bundle.read import bundle_source, records
from rescind.evidence.bundle.verify import verify
from rescind.evidence.report.tables import TABLES, _Table, cell
from rescind.ledger import Ledger
from tests.unit.evidence.conftest import HOSTILE, bundle, closed_run


@pytest.mark.parametrize(
    "value", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "1" * 19, "007", "12e5"]
)
def test_what_a_spreadsheet_would_change_gets_an_apostrophe(value: str) -> None:
    assert cell(value).startswith("'")


NAMES = ["王伟", "黄𡋾", "𠮷野 健司", "김은우", "Trần Gia Hân", "Pavel O'Neill"]


@pytest.mark.parametrize("value", ["u000001", "a=b", "12345", "2026-01-01T00:00:00Z", "", "menu-1", *NAMES])
def test_what_it_would_not_change_stays(value: str) -> None:
    assert cell(value) == value


def test_invisible_characters_are_spelled_out() -> None:
    assert cell("a\u202eb\x1b[0m\n") == "a<U+202E>b<U+001B>[0m<U+000A>"


HARD = [
    None,
    "",
    "u1",
    "=1",
    "1e5",
    "12e5x",
    "7",
    "007",
    "1" * 12,
    "1600/cn",
    'a"b',
    "a\\b",
    "a\nb",
    "é",
    "\u202e",
    3,
    True,
    ["x"],
]


@given(st.lists(st.sampled_from(HARD) | st.text(max_size=8) | st.none(), min_size=5, max_size=12))
def test_a_row_is_written_as_csv_and_json_write_it(values: list[object]) -> None:
    columns = TABLES["scopes"][: len(values)]
    row = dict(zip(TABLES["scopes"], [*values, *[None] * 12], strict=False))
    with tempfile.TemporaryDirectory() as folder:
        with _Table(Path(folder), "scopes") as table:
            table.add(row)
        sheet, lines = ((Path(folder) / f"scopes.{kind}").read_bytes() for kind in ("csv", "jsonl"))
    assert lines == (json.dumps(row) + "\n").encode() and list(row)[: len(columns)] == list(columns)
    wanted = io.StringIO(newline="")
    csv.writer(wanted, quoting=csv.QUOTE_ALL).writerows([TABLES["scopes"], [cell(value) for value in row.values()]])
    assert sheet == wanted.getvalue().encode("utf-8-sig")


@pytest.mark.postgres
def test_tables_for_spreadsheets_and_tools(ledger: Ledger, tmp_path: Path) -> None:
    place = bundle(ledger, closed_run(ledger), tmp_path)
    assert main(["evidence", "export", str(place), str(tmp_path / "out")]) == 0
    with (tmp_path / "out" / "items.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / "out" / "items.jsonl").read_text().splitlines()]
    assert len(rows) == len(lines) == 5
    for row, line in zip(rows, lines, strict=True):
        assert row["principal_id"] == line["principal_id"] and row["rule"] == line["rule"] == "leaver"
        assert not any(text[:1] in ("=", "+", "-", "@", "\t", "\r") for text in row.values())
    hostile = next(line for line in lines if line["resource_name"])
    assert hostile["resource_name"] == HOSTILE
    assert next(row for row in rows if row["resource_name"])["resource_name"].startswith("'=cmd")
    with (tmp_path / "out" / "grants.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [row["choice"] for row in csv.DictReader(file)].count("keep") == 5


@pytest.mark.postgres
def test_a_sanitized_copy_keeps_its_shape_and_no_person(ledger: Ledger, tmp_path: Path) -> None:
    place = bundle(ledger, closed_run(ledger), tmp_path / "real")
    secret = tmp_path / "secret"
    secret.write_text("0123456789abcdef")
    for name in ("one", "two"):
        assert main(["evidence", "sanitize", str(place), str(tmp_path / name), "--key", str(secret)]) == 0
    copy, real = bundle_source(tmp_path / "one"), bundle_source(place)
    assert verify(copy).problems == []
    whole = "".join(p.read_text() for p in (tmp_path / "one").iterdir() if p.name != "controls.json")
    for personal in ("rita", "anna", "u00000", "User 1", "acs:ram", "R-0", "1234567890123456", "script", "leavers"):
        assert personal not in whole, personal
    for kind in RECORD_FILES:
        ours, theirs = list(records(copy, kind)), list(records(real, kind))
        assert [sorted(record) for record in ours] == [sorted(record) for record in theirs]
    grants = {grant["principal_id"] for grant in records(copy, "grants")}
    assert len(grants) == 10 and all(name.startswith("p-") for name in grants)
    assert (tmp_path / "one" / "grants.jsonl").read_bytes() == (tmp_path / "two" / "grants.jsonl").read_bytes()
    assert main(["evidence", "export", str(tmp_path / "one"), str(tmp_path / "tables")]) == 0
    lines = (tmp_path / "tables" / "items.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["standing"] for line in lines)[0] == "held"
    assert all(json.loads(line)["principal_id"] in grants for line in lines)
    assert main(["evidence", "report", str(tmp_path / "one"), str(tmp_path / "copy.html")]) == 0
    page = (tmp_path / "copy.html").read_text()
    assert "copy without personal data" in page and "rita" not in page and "anna" not in page
    assert main(["evidence", "sanitize", str(place), str(tmp_path / "one")]) == 2
    secret.write_text("short")
    assert main(["evidence", "sanitize", str(place), str(tmp_path / "three"), "--key", str(secret)]) == 2
