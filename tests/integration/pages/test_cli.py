"""``rescind``: explain, backtest and lint over the ledger of a real run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rescind import cli
from tests.support.reviews.review import Review, ReviewBench
from tests.support.servers.emulator import ROOT

pytestmark = pytest.mark.seconds(180)
Bench = Callable[..., ReviewBench]
POLICIES = ROOT / "include" / "policies"


@pytest.fixture
def decided(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Review:
    """A run up to its plan, with the command line pointed at its ledger."""
    setup = bench()
    review = setup.run()
    review.through_plan()
    monkeypatch.setenv("RESCIND_LEDGER_DSN", setup.ledger_dsn)
    return review


def run_id(review: Review) -> str:
    with review.ledger() as ledger:
        return str(ledger.runs.find("access_review", review.run_id).run_id)


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = cli.main(arguments)
    out, err = capsys.readouterr()
    return status, out, err


def rows(review: Review) -> Iterator[tuple[Any, Any]]:
    with review.ledger() as ledger:
        yield from ledger.decisions.each(run_id(review))


def test_explain_says_why_and_how_the_person_was_found(decided: Review, capsys: pytest.CaptureFixture[str]) -> None:
    name = run_id(decided)
    leaver = next((g, d) for g, d in rows(decided) if d.rule == "leaver")
    person = leaver[1].facts["person.id"]
    status, out, _ = call(capsys, "explain", name, "--principal", person)
    mine = [g for g, d in rows(decided) if d.facts.get("person.id") == person]
    assert status == 0 and out.endswith(f"{len(mine)} grants of run {name}\n")
    assert out.count("goes: ") + out.count("stays: ") == len(mine)
    assert "because    leaver: leaver" in out and "(id:" in out and "recorded" not in out
    status, one, _ = call(capsys, "explain", name, "--grant", leaver[0].grant_id)
    assert status == 0 and one.startswith("goes: ") and leaver[0].grant_id in one
    by_account = call(capsys, "explain", name, "--principal", leaver[0].key.principal_id)[1]
    assert leaver[0].grant_id in by_account


def test_what_cannot_be_explained_is_said(decided: Review, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, message in (
        (("explain", run_id(decided), "--principal", "nobody"), "holds no grant of this principal"),
        (("explain", run_id(decided), "--grant", "0" * 64), "holds no grant with this id"),
        (("explain", "run-000099-00000000", "--principal", "x"), "there is no run 'run-000099-00000000'"),
        (("backtest", str(POLICIES / "nowhere.yaml"), run_id(decided)), "nowhere.yaml: the file cannot be read"),
    ):
        status, out, err = call(capsys, *arguments)
        assert (status, out) == (1, "") and message in err


def test_backtest_counts_by_rule_and_against_what_was_decided(
    decided: Review, capsys: pytest.CaptureFixture[str]
) -> None:
    name = run_id(decided)
    gone = [d for _, d in rows(decided) if d.choice == "revoke"]
    leavers = sum(d.rule == "leaver" for d in gone)
    assert 0 < leavers < len(gone)
    status, out, _ = call(capsys, "backtest", str(POLICIES / "access_review.yaml"), name)
    assert status == 0 and f"recorded decisions: {len(gone)} to revoke; with this policy 0 more and 0 fewer" in out
    status, out, _ = call(capsys, "backtest", str(POLICIES / "leavers.yaml"), name)
    assert f"{leavers:7}  leaver  (revoked)" in out and "expired" not in out
    assert f"with this policy 0 more and {len(gone) - leavers} fewer" in out and "  fewer:" in out
    everything = decided.bench.folder / "everything.yaml"
    text = (
        (POLICIES / "leavers.yaml")
        .read_text()
        .replace("when: person.status == 'left' && person.terminated_at <= now", "when: grant.system != ''")
    )
    everything.write_text(text)
    _, out, _ = call(capsys, "backtest", str(everything), name, name)
    assert "more and 0 fewer" in out and "kept.protected" in out and "a later snapshot still holds" in out


def test_lint_needs_no_ledger_and_names_what_is_wrong(tmp_path: Path) -> None:
    """As a program: exit status and streams."""

    def lint(path: Path) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugins")}
        command = [sys.executable, "-m", "rescind", "lint", str(path)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)

    good = lint(POLICIES / "service_accounts.yaml")
    assert good.returncode == 0 and "only with complete data: roster" in good.stdout
    assert "service.owner: revoke, high" in good.stdout and "PCI DSS 7.2.5.1" in good.stdout
    bad = tmp_path / "bad.yaml"
    bad.write_text((POLICIES / "leavers.yaml").read_text().replace("person.status ==", "person.statas =="))
    wrong = lint(bad)
    assert wrong.returncode == 1 and wrong.stdout == ""
    assert "bad.yaml, line 9, rule leaver, condition 1:" in wrong.stderr and "person.status" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_wrong_usage_is_status_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RESCIND_LEDGER_DSN", raising=False)
    for arguments in (
        ["explain", "run"],
        ["explain", "run", "--principal", "a", "--grant", "b"],
        ["explain", "r", "--grant", "b"],
        [],
    ):
        with pytest.raises(SystemExit) as caught:
            cli.main(arguments)
        assert caught.value.code == 2
