from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import psycopg
import pytest

from rescind.cli import main
from rescind.cli.ledger import DSN_VARIABLE
from rescind.errors import ConfigurationError, PlanStaleError
from rescind.ledger import Ledger
from rescind.ledger.store.migrate import migrate, migrations
from tests.support.ledger.runs import ready_run
from tests.support.servers.postgres import PostgresServer, as_owner

pytestmark = pytest.mark.postgres


@pytest.fixture
def empty_dsn(postgres_server: PostgresServer) -> str:
    return postgres_server.uri(postgres_server.create_database())


def test_files_are_numbered_without_gaps_and_begin_at_one() -> None:
    assert [migration.version for migration in migrations()] == list(range(1, len(migrations()) + 1))


def test_a_second_run_applies_nothing(empty_dsn: str) -> None:
    assert migrate(empty_dsn) == [migration.name for migration in migrations()]
    assert migrate(empty_dsn) == []
    Ledger(empty_dsn).check()


def test_two_at_once_apply_each_file_once(empty_dsn: str) -> None:
    applied: list[list[str]] = []
    threads = [threading.Thread(target=lambda: applied.append(migrate(empty_dsn))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(names) for names in applied) == [0, 0, 0, len(migrations())]


def test_check_names_the_command_when_nothing_was_migrated(empty_dsn: str) -> None:
    with pytest.raises(ConfigurationError, match=r"contains no ledger.*rescind ledger migrate"):
        Ledger(empty_dsn).check()


def test_check_reports_a_schema_behind_the_code(own_ledger_dsn: str) -> None:
    with psycopg.connect(as_owner(own_ledger_dsn)) as connection:
        connection.execute("DELETE FROM rescind.migration WHERE version = (SELECT max(version) FROM rescind.migration)")
    with pytest.raises(ConfigurationError, match="behind the code"):
        Ledger(own_ledger_dsn).check()


def test_a_newer_schema_is_refused(own_ledger_dsn: str) -> None:
    with psycopg.connect(as_owner(own_ledger_dsn)) as connection:
        connection.execute("INSERT INTO rescind.migration (version, name, checksum) VALUES (999, '999_x.sql', 'x')")
    for refuse in (Ledger(own_ledger_dsn).check, lambda: migrate(own_ledger_dsn)):
        with pytest.raises(ConfigurationError, match="newer than this code"):
            refuse()


def test_an_edited_file_is_noticed(own_ledger_dsn: str) -> None:
    with psycopg.connect(as_owner(own_ledger_dsn)) as connection:
        connection.execute("UPDATE rescind.migration SET checksum = 'other' WHERE version = 1")
    with pytest.raises(ConfigurationError, match="changed after it had been applied"):
        Ledger(own_ledger_dsn).check()


def test_a_failing_file_leaves_nothing_behind(empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import rescind.ledger.store.migrate as module

    known = module.migrations()
    broken = module.Migration(len(known) + 1, "009_broken.sql", "CREATE TABLE rescind.half (a int); SELECT 1 / 0;")
    monkeypatch.setattr(module, "migrations", lambda: [*known, broken])
    with pytest.raises(Exception, match="division by zero"):
        migrate(empty_dsn)
    with psycopg.connect(empty_dsn) as connection:
        assert connection.execute("SELECT to_regclass('rescind.half')").fetchone() == (None,)
        assert connection.execute("SELECT count(*) FROM rescind.migration").fetchone() == (len(known),)


def test_a_missing_database_is_named_with_its_remedy(postgres_server: PostgresServer) -> None:
    ledger = Ledger(postgres_server.uri("no_such_database"))
    with pytest.raises(ConfigurationError, match=r"does not exist.*--create-database"):
        ledger.check()


def test_the_database_is_created_on_request_and_only_once(postgres_server: PostgresServer) -> None:
    dsn = postgres_server.uri("made_on_request")
    try:
        assert len(migrate(dsn, create_database=True)) == len(migrations())
        assert migrate(dsn, create_database=True) == []
    finally:
        postgres_server.drop_database("made_on_request")


def test_an_unreachable_server_is_a_configuration_error_without_the_password(tmp_path: Path) -> None:
    ledger = Ledger(f"postgresql://someone:hunter2@/ledger?host={tmp_path}", connect_timeout_s=2)
    with pytest.raises(ConfigurationError, match="Check host, port, user and password") as caught:
        ledger.check()
    assert "hunter2" not in str(caught.value) + repr(ledger) + repr(ledger.database)


def test_an_unreadable_connection_string_is_not_quoted() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Ledger("postgresql://someone:hunter2@host:notaport:1/x y=z")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_command_line_migrates_checks_stops_and_resumes(
    empty_dsn: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DSN_VARIABLE, empty_dsn)
    assert main(["ledger", "check"]) == 1
    assert "contains no ledger" in capsys.readouterr().err
    assert main(["ledger", "migrate"]) == 0
    assert main(["ledger", "migrate"]) == 0
    assert "up to date" in capsys.readouterr().out
    assert main(["ledger", "check"]) == 0
    assert main(["ledger", "stop", "--by", "olga", "--reason", "incident 7"]) == 0
    assert "kill switch: SET (by 'olga'" in capsys.readouterr().out
    assert main(["ledger", "resume", "--by", "olga", "--reason", "over"]) == 0
    assert main(["ledger", "status"]) == 0
    assert "kill switch: not set" in capsys.readouterr().out
    monkeypatch.delenv(DSN_VARIABLE)
    assert main(["ledger", "check", "--dsn", empty_dsn]) == 0
    assert main(["ledger", "--dsn", empty_dsn, "check"]) == 0


def test_command_line_abandons_a_run(ledger_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    with Ledger(ledger_dsn) as ledger:
        run = ready_run(ledger, "one")
        lease = ledger.batches.claim(run.run.run_id, run.batch_id, "w")
        assert main(["ledger", "--dsn", ledger_dsn, "abandon", run.run.run_id, "--by", "olga", "--reason", "lost"]) == 0
        assert "is abandoned" in capsys.readouterr().out
        assert ledger.runs.get(run.run.run_id).summary == {"by": "olga", "reason": "lost"}
        with pytest.raises(PlanStaleError, match="abandoned"):
            ledger.attempts.begin(
                lease, run.call_ids[0], plan_digest=run.plan.digest, request_digest="d", action="A", version="1"
            )
        assert ready_run(ledger, "two").plan.state == "frozen"
    assert main(["ledger", "--dsn", ledger_dsn, "abandon", "run-9", "--by", "olga", "--reason", "lost"]) == 1


def test_command_line_without_a_connection_string_says_where_it_goes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rescind", "ledger", "check"],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(Path(__file__).parents[4] / "plugins")},
        check=False,
    )
    assert done.returncode == 2
    assert DSN_VARIABLE in done.stderr
