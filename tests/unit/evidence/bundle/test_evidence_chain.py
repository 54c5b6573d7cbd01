from __future__ import annotations

import hashlib
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from rescind.cli import main
from rescind.cli.evidence import UNCHECKED
from rescind.evidence.bundle.read import bundle_source, records
from rescind.evidence.bundle.verify import verify
from rescind.evidence.report.html_report import write_report
from rescind.ledger import ChainEntry, Ledger, NewBatch, NewCall, NewItem, NewPlan
from rescind.plan.restore_effects import SystemRestores, restore_effects
from tests.support.ledger.runs import ACCOUNT, SYSTEM, begin, call_for
from tests.support.servers.postgres import as_owner
from tests.unit.evidence.conftest import bundle, closed_run

pytestmark = pytest.mark.postgres


def link(number: int, before: ChainEntry | None) -> str:
    return hashlib.sha256(f"{number} {before.link if before else ''}".encode()).hexdigest()


def test_many_at_once_make_one_row(ledger: Ledger) -> None:
    runs = [begin(ledger, f"manual__{number}", dry_run=True).run_id for number in range(8)]
    roots = {run_id: hashlib.sha256(run_id.encode()).hexdigest() for run_id in runs}
    threads = [
        threading.Thread(target=lambda run_id=run_id: ledger.evidence_chain.take(run_id, roots[run_id], link))
        for run_id in runs
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    evidence_chain = sorted(
        (ledger.evidence_chain.of_run(run_id) for run_id in runs), key=lambda seal: seal.number if seal else 0
    )
    assert [seal.number for seal in evidence_chain if seal] == list(range(1, 9))
    for before, seal in zip([None, *evidence_chain], evidence_chain, strict=False):
        assert seal is not None and seal.link == link(seal.number, before)
        assert (seal.previous.number if seal.previous else None) == (before.number if before else None)


def test_the_same_content_keeps_its_seal(ledger: Ledger) -> None:
    run_id = begin(ledger).run_id
    first = ledger.evidence_chain.take(run_id, "a" * 64, link)
    assert ledger.evidence_chain.take(run_id, "a" * 64, link) == first
    assert ledger.evidence_chain.take(run_id, "b" * 64, link).number == 2
    assert ledger.evidence_chain.of_run(begin(ledger, "manual__2").run_id) is None


@pytest.mark.parametrize("statement", ["UPDATE rescind.seal SET seal_no = 9", "DELETE FROM rescind.seal",
                                       "TRUNCATE rescind.seal"])  # fmt: skip
def test_seals_are_kept(ledger: Ledger, ledger_dsn: str, statement: str) -> None:
    ledger.evidence_chain.take(begin(ledger).run_id, "a" * 64, link)
    with (
        psycopg.connect(as_owner(ledger_dsn)) as connection,
        pytest.raises(psycopg.errors.IntegrityError, match="append only"),
    ):
        connection.execute(statement)


def test_overlapping_runs_are_no_gap_in_the_row(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slow = begin(ledger, "manual__1", dry_run=True)
    bundle(ledger, closed_run(ledger, "manual__2"), tmp_path)
    assert main(["evidence", "verify", str(tmp_path)]) == UNCHECKED
    assert "run 1 has no bundle" in capsys.readouterr().out
    bundle(ledger, ledger.runs.finish(slow.run_id, "dry_run", {}), tmp_path)
    assert main(["evidence", "verify", str(tmp_path)]) == UNCHECKED
    assert "has no bundle" not in capsys.readouterr().out


def test_what_is_restored_brings_the_grants_of_the_other_run(ledger: Ledger, tmp_path: Path) -> None:
    review = closed_run(ledger)
    proven = [one.grant_id for one in ledger.verdicts.latest(review.run_id)]
    gone = list(ledger.snapshot.grants_by_id(review.run_id, proven).values())[:2]
    run = begin(ledger, "restore__1")
    calls = [NewCall(call_for([one]), {}) for one in gone]
    gifts = SystemRestores(SYSTEM, ACCOUNT, {}, {one.key: {} for one in gone})
    source_plan = ledger.plans.get(review.run_id).digest
    bound = restore_effects(
        [gifts], source_run=review.run_id, source_plan=source_plan, settings="", guards={}, valid_for_s=60
    )
    ledger.plans.freeze(
        run.run_id,
        NewPlan(hashlib.sha256(bound).hexdigest(), bound, datetime.now(UTC) + timedelta(hours=1), "0.1.0",
                operation="restore", source_run_id=review.run_id),
        [NewBatch(SYSTEM, ACCOUNT, "quickbi_default", calls)],
        [NewItem(one.grant_id, call.call_id) for one, call in zip(gone, calls, strict=True)],
    )  # fmt: skip
    place = bundle(ledger, ledger.runs.finish(run.run_id, "failed", {}), tmp_path)
    source = bundle_source(place)
    assert verify(source).problems == []
    assert {one["grant_id"] for one in records(source, "source_grants")} == {one.grant_id for one in gone}
    write_report(source, tmp_path / "report.html")
    assert "Access restored" in (tmp_path / "report.html").read_text(encoding="utf-8")
