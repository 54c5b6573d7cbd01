r"""Rows in PostgreSQL's COPY text format, kept on disk until they can be written in one go.

Listing a platform takes minutes at the platform's pace. A transaction that is open for minutes keeps
PostgreSQL from cleaning up behind the rows that pacing rewrites many times a second, so nothing is
sent to the server while listing: rows go to an unnamed temporary file and from there, in one short
transaction, through COPY. Memory stays constant whatever the number of rows.

Format: https://www.postgresql.org/docs/current/sql-copy.html (text: tab between fields, ``\N`` for
NULL, backslash escapes).
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rescind.errors import LedgerError
from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import not_a_digest

NULL = r"\N"
_SPECIAL = re.compile(r"[\\\t\n\r\x00]")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_BUFFERED = 1 << 20
_PIECE = 1 << 18


def text(value: str) -> str:
    """A text field.

    :raises LedgerError: for a NUL character, which PostgreSQL cannot store: dropping it would change an id.
    """
    if _SPECIAL.search(value) is None:
        return value
    if "\x00" in value:
        raise LedgerError("ledger: a text with a NUL character cannot be stored. The listing that holds it is unusable")
    return value.translate(_ESCAPES)


def array(values: Sequence[str]) -> str:
    """A ``text[]`` field."""
    quoted = ('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return text("{" + ",".join(quoted) + "}")


def document(value: Mapping[str, Any] | Sequence[Any] | None) -> str:
    """A ``jsonb`` field; empty and None become NULL.

    :raises LedgerError: for values that are not JSON.
    """
    if not value:
        return NULL
    try:
        return text(_encode(value))
    except (TypeError, ValueError) as error:
        raise LedgerError(f"ledger: a JSON field cannot be written: {error}") from None


def moment(value: datetime | None) -> str:
    """A ``timestamptz`` field.

    :raises LedgerError: for a time without a time zone.
    """
    if value is None:
        return NULL
    if value.tzinfo is None:
        raise LedgerError("ledger: a time without a time zone has no meaning here. Give an aware datetime")
    return value.isoformat()


def flag(value: bool) -> str:
    """A ``boolean`` field."""
    return "t" if value else "f"


def digest_field(hex_id: str) -> str:
    r"""A ``bytea`` field of a 64-character hex id: ``\\x...`` once escaped."""
    if len(hex_id) != 64:
        raise not_a_digest(hex_id)
    return "\\\\x" + hex_id


class RowFile:
    """COPY rows of one table on disk.

    :param table: table, with schema.
    :param columns: its columns, in the order of each row.
    """

    def __init__(self, table: str, columns: Sequence[str]) -> None:
        self._statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        # Closed by close(), which the owner's context manager calls.
        self._file = tempfile.SpooledTemporaryFile(max_size=_BUFFERED, prefix="rescind-")  # noqa: SIM115
        self.rows = 0

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """Append rows of encoded fields.

        :raises LedgerError: when the disk is full or a text cannot be UTF-8.
        """
        write = self._file.write
        try:
            for row in rows:
                write(("\t".join(row) + "\n").encode())
                self.rows += 1
        except UnicodeEncodeError:
            raise LedgerError("ledger: a text with half a character pair (a lone surrogate) cannot be stored") from None
        except OSError as error:
            raise LedgerError(
                f"ledger: rows cannot be kept on disk: {error.strerror}. Free space in {tempfile.gettempdir()}"
            ) from error

    def copy_into(self, connection: Connection, table: str | None = None) -> None:
        """Send all rows through COPY, in the caller's transaction.

        :param table: another table with the same columns.
        """
        statement = self._statement if table is None else re.sub(r"^COPY \S+", f"COPY {table}", self._statement)
        self._file.seek(0)
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            while piece := self._file.read(_PIECE):
                copy.write(piece)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
