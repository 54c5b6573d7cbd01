"""A run that comes back into another ledger from its bundle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rescind.errors import InputError, NotApprovedError
from rescind.evidence.bundle.read import FolderSource, bundle_source, read_json
from rescind.evidence.collect import Collector
from rescind.evidence.imports import import_run
from rescind.ledger import Ledger, RetainedCheck, Run
from tests.support.ledger.runs import ACCOUNT, SYSTEM, begin
from tests.unit.evidence.conftest import bundle, closed_run

pytestmark = pytest.mark.postgres
SAME = ("principals", "memberships", "decisions", "items", "verdicts", "kept")


@pytest.fixture
def other(own_ledger_dsn: str) -> Iterator[Ledger]:
    with Ledger(own_ledger_dsn) as opened:
        yield opened


def imported(ledger: Ledger, source: FolderSource) -> Run:
    return import_run(ledger, source, read_json(source, "manifest.json"))


def told(ledger: Ledger, run: Run, kind: str, *but: str) -> list[dict[str, Any]]:
    """The records of a file, without some fields."""
    return [{k: v for k, v in one.items() if k not in but} for one in Collector(ledger, run).records(kind)]


def test_everything_that_a_restore_needs_comes_back(ledger: Ledger, other: Ledger, tmp_path: Path) -> None:
    run = closed_run(ledger)
    lost = [next(ledger.snapshot.grants(run.run_id)).grant_id]
    check = next(iter(ledger.verdicts.retained(run.run_id)))
    ledger.verdicts.record_retained(
        run.run_id, RetainedCheck(SYSTEM, ACCOUNT, 5, lost, True, check.observed_at, {"a": 1})
    )
    source = bundle_source(bundle(ledger, run, tmp_path))
    begin(other, "something of its own")
    back = imported(other, source)
    assert (back.number, back.dag_id, back.requested_by, back.state) == (2, "imported", "rita", run.state)
    assert back.params["imported"]["run"] == run.run_id and back.finished_at is not None
    for kind in SAME:
        but = ("approved_at", "sent_at", "planned_at") if kind == "items" else ()
        assert told(other, back, kind, *but) == told(ledger, run, kind, *but), kind
    assert told(other, back, "grants", "scope") == told(ledger, run, "grants", "scope")
    # Batches are numbered again, and a call that was sent elsewhere is not open here: nothing can be sent at all.
    assert told(other, back, "calls", "batch", "state", "ordinal") == told(
        ledger, run, "calls", "batch", "state", "ordinal"
    )
    assert list(Collector(other, back).effects()) == list(Collector(ledger, run).effects())
    but = ("scope", "part", "started_at")
    assert told(other, back, "scopes", *but) == told(ledger, run, "scopes", *but)


def test_an_import_is_repeatable_and_can_send_nothing(ledger: Ledger, other: Ledger, tmp_path: Path) -> None:
    source = bundle_source(bundle(ledger, closed_run(ledger), tmp_path))
    back = imported(other, source)
    assert imported(other, source) == back
    assert len(other.runs.latest()) == 1
    (batch,) = other.plans.batches(back.run_id)
    lease = other.batches.claim(back.run_id, batch.batch_id, "worker")
    plan, call = other.plans.get(back.run_id), next(other.plans.calls(back.run_id))
    with pytest.raises(NotApprovedError):
        other.attempts.begin(
            lease, call.call_id, plan_digest=plan.digest, request_digest="d" * 64, action="Cancel", version="v1"
        )


def test_an_import_that_was_cut_off_goes_on(
    ledger: Ledger, other: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = closed_run(ledger)
    source = bundle_source(bundle(ledger, run, tmp_path))
    with monkeypatch.context() as broken, pytest.raises(ConnectionError):
        broken.setattr(type(other.verdicts), "record", lambda *_: (_ for _ in ()).throw(ConnectionError()))
        imported(other, source)
    back = imported(other, source)
    assert back.number == 1 and back.finished_at is not None
    assert told(other, back, "verdicts") == told(ledger, run, "verdicts")


def test_what_took_nothing_away_is_not_imported(ledger: Ledger, other: Ledger, tmp_path: Path) -> None:
    run = ledger.runs.finish(begin(ledger).run_id, "failed", {})
    with pytest.raises(InputError, match="revoked nothing"):
        imported(other, bundle_source(bundle(ledger, run, tmp_path)))
    assert other.runs.latest() == []
