"""A real standby: refused while it follows, and after its promotion no run that began before sends anything."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from rescind.cli import main
from rescind.errors import ConfigurationError, PlanStaleError
from rescind.evidence.bundle.format import bundle_name
from rescind.evidence.write import refuse_newer
from rescind.ledger import Ledger
from rescind.ledger.store.migrate import migrate
from tests.support.ledger.attempts import claim, send
from tests.support.ledger.runs import begin, ready_run
from tests.support.servers.postgres import as_owner
from tests.support.servers.standby import standby

pytestmark = pytest.mark.postgres


def link(*_: object) -> str:
    return "b" * 64


def test_a_standby_is_refused_and_a_promoted_one_sends_nothing_of_older_runs(
    own_ledger_dsn: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger(own_ledger_dsn) as ledger:
        run = ready_run(ledger)
        ledger.evidence_chain.take(run.run.run_id, "a" * 64, link)
        (tmp_path / bundle_name(1, run.run.run_id)).mkdir()
        send(ledger, claim(ledger, run), run)
        with standby(as_owner(own_ledger_dsn)) as other:
            there = other.dsn(own_ledger_dsn)
            copy = Ledger(there)
            for use in (copy.check, lambda: migrate(other.dsn(as_owner(own_ledger_dsn))), copy.kill_switch.state):
                with pytest.raises(ConfigurationError, match=r"a standby, which may be behind.*primary server"):
                    use()
            other.promote(as_owner(own_ledger_dsn))
            # Written on the old server only: the new one is behind.
            late = begin(ledger, "late")
            ledger.evidence_chain.take(late.run_id, "c" * 64, link)
            ledger.kill_switch.stop("olga", "incident")
            (tmp_path / bundle_name(2, late.run_id)).mkdir()
            refuse_newer(ledger, tmp_path)

            copy.check()
            assert copy.kill_switch.state() is None
            (warning,) = copy.warnings()
            assert f"another server than run {run.run.run_id} had" in warning
            assert main(["ledger", "--dsn", there, "check"]) == 0
            assert "check the kill switch" in capsys.readouterr().out
            lease = claim(copy, run, "w2")
            with pytest.raises(PlanStaleError, match=r"another database server .* Nothing was sent"):
                send(copy, lease, run, call=1)
            with pytest.raises(ConfigurationError, match=r"bundle 000002-run-\S+, which this ledger does not"):
                refuse_newer(copy, tmp_path)
            # What begins on the new server is bound to it, and goes on.
            copy.runs.finish(run.run.run_id, "abandoned", {})
            new = ready_run(copy, "new")
            send(copy, claim(copy, new), new)
            assert copy.warnings() == []
            copy.close()
        ledger.kill_switch.resume("olga", "over")
        assert send(ledger, claim(ledger, run, "w3"), run, call=1).n == 1


def test_a_ledger_that_lacks_a_bundle_of_its_folder_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    refuse_newer(ledger, tmp_path)
    refuse_newer(ledger, tmp_path / "missing")
    run, later = begin(ledger), begin(ledger, "later")
    (tmp_path / bundle_name(1, run.run_id)).mkdir()
    with pytest.raises(ConfigurationError, match="000001-run-000001"):
        refuse_newer(ledger, tmp_path)  # it began the run, and does not know that it was reported
    ledger.evidence_chain.take(run.run_id, "a" * 64, link)
    for name in ("notes", "000009-report.html"):
        (tmp_path / name).mkdir()
    refuse_newer(ledger, tmp_path)
    (tmp_path / bundle_name(2, later.run_id)).mkdir()
    with pytest.raises(ConfigurationError, match="set 'evidence' to a new folder"):
        refuse_newer(ledger, tmp_path)


def test_bundles_of_another_ledger_are_not_compared(ledger: Ledger, tmp_path: Path) -> None:
    """A new ledger in the place of one that was lost can restore from the bundles of the lost one."""
    for number in (1, 2):
        (tmp_path / bundle_name(number, f"run-00000{number}-00000000")).mkdir()
    refuse_newer(ledger, tmp_path)
    run = begin(ledger)
    ledger.evidence_chain.take(run.run_id, "a" * 64, link)
    (tmp_path / bundle_name(1, run.run_id)).mkdir()
    refuse_newer(ledger, tmp_path)


def test_a_folder_that_cannot_be_listed_is_an_error_and_not_an_empty_one(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(ConfigurationError, match=r"cannot be listed \(Permission denied\)"):
        refuse_newer(ledger, tmp_path)


def test_a_server_that_does_not_tell_its_timeline_is_accepted(
    own_ledger_dsn: str,
) -> None:
    with psycopg.connect(as_owner(own_ledger_dsn)) as connection:
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system FROM PUBLIC")
    with Ledger(own_ledger_dsn) as ledger, ledger.database.transaction() as session:
        assert session.server == ""
    run = ready_run(ledger)
    assert send(ledger, claim(ledger, run), run).n == 1
    assert ledger.warnings() == []
    ledger.close()
