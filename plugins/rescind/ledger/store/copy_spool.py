r"""Rows in PostgreSQL's COPY text format, spooled to disk and written in one transaction.

Listing a platform takes minutes. A transaction that is open that long keeps PostgreSQL from vacuuming the rows that
the rate limiter updates many times a second. So rows go to an unnamed temporary file first, and then through COPY in
one short transaction. Memory use does not depend on the number of rows.

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
    """Return a text field.

    :raises LedgerError: for a NUL character. PostgreSQL cannot store it, and dropping it would change an id.
    """
    if _SPECIAL.search(value) is None:
        return value
    if "\x00" in value:
        raise LedgerError(
            "ledger: a text with a NUL character cannot be stored. The listing that contains it is not usable"
        )
    return value.translate(_ESCAPES)


def texts(values: Sequence[str]) -> Sequence[str]:
    """Return text fields, see :func:`text`. Most rows need no escape, which one look at all of it shows."""
    whole = "".join(values)
    if "\\" in whole or "\t" in whole or "\n" in whole or "\r" in whole or "\x00" in whole:
        return [text(value) for value in values]
    return values


def array(values: Sequence[str]) -> str:
    """Return a ``text[]`` field."""
    return text(array_literal(values))


def array_literal(values: Sequence[str]) -> str:
    """Return the text of a ``text[]`` value, to be cast to it."""
    quoted = ('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return "{" + ",".join(quoted) + "}"


def document(value: Mapping[str, Any] | Sequence[Any] | None) -> str:
    """Return a ``jsonb`` field; empty and None become NULL.

    :raises LedgerError: for values that are not JSON.
    """
    if not value:
        return NULL
    try:
        return text(_encode(value))
    except (TypeError, ValueError) as error:
        raise LedgerError(f"ledger: a JSON field cannot be written: {error}") from None


def moment(value: datetime | None) -> str:
    """Return a ``timestamptz`` field.

    :raises LedgerError: for a time without a time zone.
    """
    if value is None:
        return NULL
    if value.tzinfo is None:
        raise LedgerError("ledger: a time has no time zone. Pass a timezone-aware datetime")
    return value.isoformat()


def flag(value: bool) -> str:
    """Return a ``boolean`` field."""
    return "t" if value else "f"


def digest_field(hex_id: str) -> str:
    r"""Return the ``bytea`` field of a 64-character hex id: ``\\x...`` once escaped."""
    if len(hex_id) != 64:
        raise not_a_digest(hex_id)
    return "\\\\x" + hex_id


def bytes_field(value: bytes) -> str:
    """Return a ``bytea`` field."""
    return "\\\\x" + value.hex()


class RowFile:
    """The COPY rows of one table, on disk.

    :param table: the table with its schema.
    :param columns: its columns in the order of each row.
    """

    def __init__(self, table: str, columns: Sequence[str]) -> None:
        self._statement = f"COPY {table} ({', '.join(columns)}) FROM STDIN"
        # The owner calls close().
        self._file = tempfile.SpooledTemporaryFile(max_size=_BUFFERED, prefix="rescind-")  # noqa: SIM115
        self.rows = 0

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        """Append rows of encoded fields.

        :raises LedgerError: when the disk is full or a text is not valid UTF-8.
        """
        write = self._file.write
        try:
            for row in rows:
                write(("\t".join(row) + "\n").encode())
                self.rows += 1
        except UnicodeEncodeError:
            raise LedgerError(
                "ledger: a text with a lone surrogate cannot be stored. The listing that contains it is not usable"
            ) from None
        except OSError as error:
            raise LedgerError(
                f"ledger: rows cannot be written to disk: {error.strerror}. Free space in {tempfile.gettempdir()}"
            ) from error

    def copy_into(self, connection: Connection, table: str | None = None) -> None:
        """Write all rows through COPY in the caller's transaction.

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
