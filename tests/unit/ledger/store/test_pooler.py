"""A real PgBouncer in front of the ledger: every mode is refused, everywhere, before anything is written."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any

import psycopg
import pytest

from rescind.cli import main
from rescind.errors import ConfigurationError
from rescind.ledger import Ledger
from rescind.ledger.ratelimit.db_thread import DatabaseThread
from rescind.ledger.store.database import Database
from rescind.ledger.store.migrate import migrate
from tests.support.servers.pgbouncer import MISSING, PROGRAM, pooler
from tests.support.servers.postgres import PostgresServer

pytestmark = [pytest.mark.postgres, pytest.mark.skipif(PROGRAM is None, reason=MISSING)]
MODES = ("transaction", "session")


@pytest.mark.parametrize("mode", MODES)
def test_no_way_in_goes_through_a_pooler(ledger_dsn: str, mode: str) -> None:
    with pooler(ledger_dsn, mode) as through:
        ledger = Ledger(through)
        thread = DatabaseThread(Database(through))
        for use in (
            lambda: migrate(through),
            ledger.check,
            lambda: ledger.runs.find("dag", "run"),
            lambda: asyncio.run(thread.ask(lambda connection: connection.execute("SELECT 1"))),
        ):
            with pytest.raises(ConfigurationError, match=r"a connection pooler .*Connect to PostgreSQL directly"):
                use()
    Ledger(ledger_dsn).check()


def test_nothing_is_created_through_a_pooler(
    postgres_server: PostgresServer, capsys: pytest.CaptureFixture[str]
) -> None:
    name = postgres_server.create_database()
    with pooler(postgres_server.uri(name), "transaction") as through:
        assert main(["ledger", "--dsn", through, "migrate"]) == 1
        assert main(["ledger", "--dsn", through, "check"]) == 1
    assert capsys.readouterr().err.count("a connection pooler (such as PgBouncer)") == 2
    with psycopg.connect(postgres_server.uri(name)) as connection:
        assert connection.execute("SELECT to_regnamespace('rescind')").fetchone() == (None,)


def test_a_pooler_that_shows_the_real_process_id_is_noticed_when_it_changes_sessions(
    ledger_dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(info: Any) -> int:
        return int(info.pgconn.exec_(b"SELECT pg_backend_pid()").get_value(0, 0) or 0)

    monkeypatch.setattr(psycopg.ConnectionInfo, "backend_pid", property(told))
    seen: Counter[str] = Counter()

    def client(number: int) -> None:
        database = Database(through, max_connections=1)
        for _ in range(40):
            try:
                with database.transaction() as connection:
                    row = connection.execute(
                        "SELECT pg_backend_pid() AS backend, %(n)s::int AS mine,"
                        " current_setting('lock_timeout') AS wait, current_setting('synchronous_commit') AS durable,"
                        " (SELECT count(*) FROM pg_prepared_statements) AS prepared",
                        {"n": number},
                    ).fetchone()
                assert row == {
                    "backend": connection.backend, "mine": number, "wait": "10s", "durable": "on", "prepared": 0,
                }  # fmt: skip
                seen["own session"] += 1
            except ConfigurationError as error:
                assert "a connection pooler" in str(error)
                seen["refused"] += 1
            except AssertionError as error:
                seen[f"wrong: {error}"] += 1
        database.close()

    with pooler(ledger_dsn, "transaction") as through:
        threads = [threading.Thread(target=client, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert set(seen) == {"own session", "refused"}
    assert sum(seen.values()) == 240
