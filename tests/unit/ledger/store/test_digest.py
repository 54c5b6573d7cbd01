"""Digests in SQL: hex text in Python, 32 bytes in the database."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from rescind.errors import LedgerError
from rescind.ledger import Ledger
from rescind.ledger.store.database import Database
from rescind.ledger.store.digest import Digest

ONE, OTHER = "0a" * 32, "ff" * 32


@pytest.mark.parametrize("text", ["", "ab", "g" * 64, "a" * 63, "a" * 66, "0a " * 32])
def test_only_64_hex_characters_are_a_digest(text: str) -> None:
    with pytest.raises(LedgerError, match=f"an id of {len(text)} characters is not a SHA-256 digest in hex"):
        Digest(text)


@pytest.mark.postgres
def test_a_digest_is_32_bytes_there_and_hex_text_here(ledger: Ledger) -> None:
    def work(connection: psycopg.Connection[psycopg.rows.DictRow]) -> psycopg.rows.DictRow | None:
        return connection.execute(
            "SELECT %(one)s AS one, octet_length(%(one)s) AS size, pg_typeof(%(one)s)::text AS kind,"
            " %(one)s = ANY(%(some)s) AS among, NULL::bytea AS none, %(some)s::bytea[] AS some",
            {"one": Digest(ONE), "some": [Digest(OTHER), Digest(ONE)]},
        ).fetchone()

    assert ledger.database.read(work) == {
        "one": ONE,
        "size": 32,
        "kind": "bytea",
        "among": True,
        "none": None,
        "some": [OTHER, ONE],
    }


@pytest.mark.postgres
def test_another_output_format_of_the_server_changes_nothing(ledger_dsn: str) -> None:
    database = Database(make_conninfo(ledger_dsn, options="-c bytea_output=escape"))
    try:
        row = database.read(lambda connection: connection.execute("SELECT %s AS one", (Digest(ONE),)).fetchone())
        assert row == {"one": ONE}
    finally:
        database.close()
