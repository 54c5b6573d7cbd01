"""Items of a run as CSV, for spreadsheets: with names, words and ids, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from rescind.evidence.report.tables import cell
from rescind.ledger.read_models.rows import ItemLine
from rescind.run_state import words_of

_COLUMNS = (
    "person", "department", "person id", "system", "account", "principal type", "principal id", "right",
    "resource type", "resource", "resource id", "state", "proof", "remains through", "rule", "why", "sent (UTC)",
    "listed again (UTC)", "request id", "grant id",
)  # fmt: skip
_PIECE = 500


def items_as_csv(rows: Sequence[ItemLine], titles: Mapping[str, str]) -> Iterator[str]:
    """Yield the file in pieces. It begins with a byte order mark, by which Excel knows that the text is UTF-8.

    :param titles: display names of the permission systems.
    """
    yield "\ufeff" + _lines([_COLUMNS])
    for start in range(0, len(rows), _PIECE):
        yield _lines([_row(one, titles) for one in rows[start : start + _PIECE]])


def _row(one: ItemLine, titles: Mapping[str, str]) -> tuple[str, ...]:
    return (
        one.principal_name, one.department, one.person, titles.get(one.system, one.system), one.account,
        one.principal_type, one.principal_id, one.entitlement, one.resource_type, one.resource_name, one.resource_id,
        words_of(one.state), words_of(one.verdict) if one.verdict else "", one.path or one.reason, one.rule, one.why,
        f"{one.sent_at:%Y-%m-%d %H:%M:%S}" if one.sent_at else "",
        f"{one.observed_at:%Y-%m-%d %H:%M:%S}" if one.observed_at else "", one.request_id, one.grant_id,
    )  # fmt: skip


def _lines(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()
