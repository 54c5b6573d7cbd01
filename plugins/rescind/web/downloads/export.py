"""Items of a run, and the list of runs, as CSV: names, words and ids, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from rescind.evidence.report.tables import cell
from rescind.ledger.read_models.item_rows import ItemLine
from rescind.ledger.read_models.run_rows import RefusedLine, RunLine
from rescind.run_state.states import NOT_STARTED, was_left_out, words_of
from rescind.web.shape import left_of, refusal, state_of

_COLUMNS = (
    "person", "department", "person id", "system", "account", "principal type", "principal id", "right",
    "last used", "resource type", "resource", "resource id", "state", "proof", "remains through", "rule", "why",
    "sent (UTC)", "listed again (UTC)", "request id", "grant id",
)  # fmt: skip
_PIECE = 500


def items_as_csv(rows: Sequence[ItemLine], titles: Mapping[str, str]) -> Iterator[str]:
    """Yield the file in pieces. It begins with a byte order mark, by which Excel knows that the text is UTF-8.

    :param titles: display names of the permission systems.
    """
    yield "\ufeff" + _lines([_COLUMNS])
    for start in range(0, len(rows), _PIECE):
        yield _lines([_row(one, titles) for one in rows[start : start + _PIECE]])


_RUN_COLUMNS = (
    "run", "state", "dry run", "dag", "airflow run", "requested by", "reason", "ticket", "started or refused (UTC)",
    "finished (UTC)", "items", "proven gone or restored", "remains", "findings", "why not started",
)  # fmt: skip


def runs_as_csv(runs: Sequence[RunLine], refused: Sequence[RefusedLine]) -> Iterator[str]:
    """Yield the list of runs as CSV, the refused ones first; see :func:`items_as_csv`."""
    yield "\ufeff" + _lines([_RUN_COLUMNS])
    for run in refused:
        yield _lines([(
            "", NOT_STARTED.words, "yes" if run.dry_run else "no", run.dag_id, run.airflow_run_id, run.requester,
            run.reason, "", _time(run.refused_at), "", "", "", "", "", refusal(run),
        )])  # fmt: skip
    for line in runs:
        counts = ["" if one is None else str(one) for one in (line.items, line.proven, line.findings)]
        yield _lines([(
            str(line.number), state_of(line).words, "yes" if line.dry_run else "no", line.dag_id, line.airflow_run_id,
            line.requester, line.reason, line.ticket, _time(line.started_at), _time(line.finished_at), counts[0],
            counts[1], "; ".join(left_of(line)), counts[2], "",
        )])  # fmt: skip


def _time(value: datetime | None) -> str:
    return f"{value:%Y-%m-%d %H:%M:%S}" if value else ""


def _row(one: ItemLine, titles: Mapping[str, str]) -> tuple[str, ...]:
    return (
        one.principal_name, one.department, one.person, titles.get(one.system, one.system), one.account,
        one.principal_type, one.principal_id, one.entitlement, one.last_used, one.resource_type, one.resource_name,
        one.resource_id,
        words_of("kept" if was_left_out(one.state, one.reason) else one.state),
        words_of(one.verdict) if one.verdict else "", one.path or one.reason, one.rule, one.why,
        _time(one.sent_at), _time(one.observed_at), one.request_id, one.grant_id,
    )  # fmt: skip


def _lines(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()
