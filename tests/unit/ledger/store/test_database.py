from __future__ import annotations

import os
import threading

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from rescind.errors import ConfigurationError, LedgerError
from rescind.ledger import Ledger
from rescind.ledger.store.database import Connection, Database, Timeouts
from rescind.ledger.store.errors import DatabaseError
from rescind.ledger.store.migrate import migrate
from rescind.ledger.store.session import BULK_MEMORY_MB
from tests.support.ledger.runs import begin
from tests.support.servers.postgres import BorrowedServer, PostgresServer, as_owner

pytestmark = pytest.mark.postgres


def backend(database: Database) -> int:
    with database.transaction() as connection:
        return connection.info.backend_pid


def test_connections_are_used_again(ledger_dsn: str) -> None:
    database = Database(ledger_dsn)
    assert backend(database) == backend(database)
    database.close()


def test_sessions_have_timeouts_utc_and_durable_commits(ledger_dsn: str) -> None:
    with Database(ledger_dsn, timeouts=Timeouts(statement=7, lock=3)).transaction() as connection:
        settings = {
            name: connection.execute(f"SHOW {name}").fetchone()
            for name in ("statement_timeout", "lock_timeout", "synchronous_commit", "TimeZone")
        }
    assert settings["statement_timeout"] == {"statement_timeout": "7s"}
    assert settings["lock_timeout"] == {"lock_timeout": "3s"}
    # The test server's default is off: an intent has to be durable all the same.
    assert settings["synchronous_commit"] == {"synchronous_commit": "on"}
    assert settings["TimeZone"] == {"TimeZone": "UTC"}


def test_bulk_transactions_have_more_time_and_at_least_their_memory(ledger_dsn: str) -> None:
    def shown(bulk: bool, options: str = "") -> tuple[str, ...]:
        database = Database(make_conninfo(ledger_dsn, options=options), timeouts=Timeouts(statement=7, bulk=90))

        def work(connection: Connection) -> tuple[str, ...]:
            row = connection.execute(
                "SELECT current_setting('statement_timeout') AS time, current_setting('work_mem') AS memory"
            ).fetchone()
            return tuple((row or {}).values())

        found = database.read(work, bulk=bulk)
        assert database.write(work, bulk=bulk) == found
        database.close()
        return found

    assert shown(True) == ("90s", f"{BULK_MEMORY_MB}MB")
    assert shown(False) == ("7s", "4MB")
    assert shown(True, "-c work_mem=1GB") == ("90s", "1GB")


def test_a_read_survives_that_its_idle_connections_were_ended(postgres_server: PostgresServer, ledger: Ledger) -> None:
    run = begin(ledger)
    assert postgres_server.end_sessions(str(ledger.database.target["dbname"])) >= 1
    assert ledger.runs.get(run.run_id) == run


def test_a_read_is_tried_once_more_and_not_for_ever(ledger: Ledger) -> None:
    tries = []

    def work(connection: Connection) -> None:
        tries.append(connection.info.backend_pid)
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(DatabaseError) as caught:
        ledger.database.read(work)
    assert caught.value.lost
    assert len(tries) == 2
    assert len(set(tries)) == 2


def test_a_write_is_not_repeated(ledger: Ledger) -> None:
    tries = []
    with (
        pytest.raises(LedgerError, match=r"lost before COMMIT\. Nothing was written"),
        ledger.database.transaction() as connection,
    ):
        tries.append(1)
        connection.execute("UPDATE rescind.run_counter SET last = last + 1")
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert len(tries) == 1
    assert begin(ledger).number == 1


def test_a_statement_that_takes_too_long_is_an_error_and_not_a_lost_connection(ledger_dsn: str) -> None:
    database = Database(ledger_dsn, timeouts=Timeouts(statement=0.05))
    with pytest.raises(DatabaseError, match="exceeded its timeout") as caught:
        database.read(lambda connection: connection.execute("SELECT pg_sleep(5)"))
    assert not caught.value.lost
    database.close()


def test_waiting_for_a_lock_ends(ledger_dsn: str) -> None:
    database = Database(ledger_dsn, timeouts=Timeouts(lock=0.05))
    with psycopg.connect(as_owner(ledger_dsn)) as other:
        other.execute("LOCK TABLE rescind.run_counter")
        with pytest.raises(DatabaseError, match="held the row too long"), database.transaction() as connection:
            connection.execute("UPDATE rescind.run_counter SET last = 7")
    database.close()


def test_no_more_connections_than_allowed(ledger_dsn: str) -> None:
    database = Database(ledger_dsn, max_connections=1, timeouts=Timeouts(checkout=0.05))
    with database.transaction(), pytest.raises(LedgerError, match="busy"), database.transaction():
        pytest.fail("a second connection was given out")
    assert backend(database) > 0
    database.close()


def test_a_connection_left_in_a_broken_state_is_not_used_again(ledger: Ledger) -> None:
    first = backend(ledger.database)
    with pytest.raises(LedgerError), ledger.database.transaction() as connection:
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert backend(ledger.database) != first


def test_errors_do_not_quote_rows(ledger: Ledger) -> None:
    with pytest.raises(LedgerError) as caught, ledger.database.transaction() as connection:
        connection.execute("INSERT INTO rescind.lane_worker VALUES ('vendor', 'a', 'r', 'action', 'SECRET')")
        connection.execute("INSERT INTO rescind.lane_worker VALUES ('vendor', 'a', 'r', 'action', 'SECRET')")
    assert "duplicate key" in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert "Key (" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_missing_schema_names_the_migration(postgres_server: PostgresServer) -> None:
    with pytest.raises(ConfigurationError, match=r"rescind ledger migrate"):
        begin(Ledger(postgres_server.uri(postgres_server.create_database())))


def test_threads_share_the_ledger(ledger: Ledger) -> None:
    runs: list[int] = []
    threads = [threading.Thread(target=lambda n=n: runs.append(begin(ledger, f"r{n}").number)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(runs) == list(range(1, 13))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_forked_child_connects_for_itself_and_leaves_the_parent_alone(ledger: Ledger) -> None:
    run = begin(ledger)
    mine = backend(ledger.database)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            ledger.runs.finish(run.run_id, "from the child", {})
            os.write(writer, str(backend(ledger.database)).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        theirs = int(pipe.read() or 0)
    assert theirs not in (0, mine)
    assert backend(ledger.database) == mine
    assert ledger.runs.get(run.run_id).state == "from the child"


FAIL_AT_COMMIT = """
CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN NULL; END $$;
CREATE TABLE noted (n int);
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON noted DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION at_commit();
GRANT INSERT ON noted TO PUBLIC;
"""


@pytest.mark.parametrize(
    ("body", "effect", "lost"),
    [
        ("PERFORM pg_terminate_backend(pg_backend_pid())", r"lost during COMMIT: whether .* is not known", True),
        ("RAISE EXCEPTION 'refused late'", "refused late. Nothing was written$", False),
    ],
)
def test_only_a_connection_that_is_lost_during_commit_leaves_the_effect_unknown(
    own_ledger_dsn: str, body: str, effect: str, lost: bool
) -> None:
    with psycopg.connect(as_owner(own_ledger_dsn)) as connection:
        connection.execute(FAIL_AT_COMMIT.format(body=body).encode())
    database = Database(own_ledger_dsn)
    with pytest.raises(DatabaseError, match=effect) as caught, database.transaction() as connection:
        connection.execute("INSERT INTO noted VALUES (1)")
    assert caught.value.lost is lost
    assert "Nothing was written" not in str(caught.value) or not lost
    database.close()


def test_a_transaction_that_went_on_after_an_error_is_an_error(ledger: Ledger) -> None:
    with (
        pytest.raises(LedgerError, match=r"before COMMIT\. Nothing was written"),
        ledger.database.transaction() as connection,
        pytest.raises(psycopg.errors.DivisionByZero),
    ):
        connection.execute("SELECT 1 / 0")
    assert begin(ledger).number == 1


@pytest.mark.parametrize("isolation", ["serializable", "repeatable read"])
@pytest.mark.parametrize("durable", ["off", "local"])
def test_defaults_of_the_server_do_not_reach_a_transaction(
    postgres_server: PostgresServer, own_ledger_dsn: str, isolation: str, durable: str
) -> None:
    name = conninfo_to_dict(own_ledger_dsn)["dbname"]
    with postgres_server.admin() as admin:
        for setting, value in (("default_transaction_isolation", isolation), ("synchronous_commit", durable)):
            admin.execute(f"ALTER DATABASE {name} SET {setting} = '{value}'")
    database = Database(own_ledger_dsn)
    names = ("transaction_isolation", "synchronous_commit", "transaction_read_only")

    def settings(connection: Connection) -> list[str]:
        return [(connection.execute(f"SHOW {name}").fetchone() or {})[name] for name in names]

    assert database.read(settings) == ["read committed", "on", "off"]
    with database.transaction() as connection:
        connection.execute("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        connection.execute("SET synchronous_commit = off")
    assert database.read(settings) == ["read committed", "on", "off"]
    assert database.read(settings, snapshot=True) == ["repeatable read", "on", "on"]
    database.close()


def test_a_read_only_server_is_refused(postgres_server: PostgresServer, own_ledger_dsn: str) -> None:
    with postgres_server.admin() as admin:
        admin.execute(
            f"ALTER DATABASE {conninfo_to_dict(own_ledger_dsn)['dbname']} SET default_transaction_read_only = on"
        )
    for use in (Ledger(own_ledger_dsn).check, lambda: migrate(own_ledger_dsn), lambda: begin(Ledger(own_ledger_dsn))):
        with pytest.raises(ConfigurationError, match=r"read-only.*Connect to the primary server"):
            use()


def test_a_borrowed_server_keeps_nothing_that_was_made_there(postgres_server: PostgresServer) -> None:
    lent = BorrowedServer(postgres_server.uri())
    name = lent.create_database()
    with psycopg.connect(lent.uri(name)) as connection:
        assert connection.info.dbname == name
        lent.stop()
    with postgres_server.admin() as admin:
        left = {row[0] for row in admin.execute("SELECT datname FROM pg_database").fetchall()}
    assert "postgres" in left and name not in left
