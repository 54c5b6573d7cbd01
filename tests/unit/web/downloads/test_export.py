"""The exported file: Excel reads its names, and runs nothing of it."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime

from rescind.ledger.read_models.item_rows import ItemLine
from rescind.web.downloads.export import items_as_csv

NOW = datetime(2026, 6, 1, 6, 30, tzinfo=UTC)


def item(name: str, resource: str) -> ItemLine:
    return ItemLine(
        "quickbi_menus", "1/cn", "menu", "0051", resource, "user", "1234567890123456789", name, "view", "", "g" * 64,
        "accepted", "", "leaver", "left", "verified_gone", "", NOW, "c1", "accepted", "", "R-1", NOW, "P1", "财务",
    )  # fmt: skip


def test_names_come_through_and_formulas_do_not_run() -> None:
    rows = [item("王伟", "=HYPERLINK(1)"), item("髙橋 一", "+1"), item("O'Neill", "\u202egnp.exe")]
    text = "".join(items_as_csv(rows, {"quickbi_menus": "Quick BI menus"}))
    assert text.encode().startswith(b"\xef\xbb\xbf")
    lines = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [line["person"] for line in lines] == ["王伟", "髙橋 一", "O'Neill"]
    assert [line["resource"] for line in lines] == ["'=HYPERLINK(1)", "'+1", "<U+202E>gnp.exe"]
    assert {line["principal id"] for line in lines} == {"'1234567890123456789"}, "no spreadsheet rounds it"
    assert {(line["state"], line["proof"], line["department"]) for line in lines} == {("sent", "proven gone", "财务")}
    assert lines[0]["sent (UTC)"] == "2026-06-01 06:30:00"


def test_when_a_right_was_last_used_is_in_words_of_its_own() -> None:
    cases = {
        (None, "", ""): "",
        (None, "", "the key may not read the log"): "not known (the key may not read the log)",
        (20, "2026-06-09", "export, DMS operation log"): "used on 2026-06-09 (export, DMS operation log)",
        (90, "", "DMS operation log"): "not seen in 90 days (DMS operation log)",
        (1, "", "DMS operation log"): "not seen in 1 day (DMS operation log)",
    }
    rows = [replace(item("a", "b"), last_used_days=d, last_used_on=on, last_use=how) for d, on, how in cases]
    lines = csv.DictReader(io.StringIO("".join(items_as_csv(rows, {})).removeprefix("\ufeff")))
    assert [line["last used"] for line in lines] == list(cases.values())


def test_long_lists_come_in_pieces() -> None:
    pieces = list(items_as_csv([item("a", "b")] * 1_001, {}))
    assert len(pieces) == 4
    assert sum(piece.count("\r\n") for piece in pieces) == 1_002
