"""Digests in SQL: 64 hex characters in Python, 32 bytes (``bytea``) in PostgreSQL, converted in this module alone.

A statement takes a :class:`Digest` as its parameter. A ``bytea`` column comes back as hex text. Content that is no
digest (inputs, effects) is read with ``binary=True`` and comes back as bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.types.string import BytesDumper

from rescind.errors import LedgerError

_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Digest:
    """A SHA-256 digest or an id made of one, as the parameter of a statement.

    :param hex: the digest, 64 hex characters.
    :raises LedgerError: when the text is not 64 hex characters.
    """

    hex: str

    def __post_init__(self) -> None:
        try:
            size = len(bytes.fromhex(self.hex))
        except (ValueError, TypeError):
            size = 0
        if 2 * size != _LENGTH or len(self.hex) != _LENGTH:
            raise not_a_digest(self.hex)


def not_a_digest(text: str) -> LedgerError:
    """Return the error for an id that is not a digest."""
    return LedgerError(f"ledger: an id of {len(text)} characters is not a SHA-256 digest in hex (64 characters)")


def adapt(connection: psycopg.Connection[psycopg.rows.DictRow]) -> None:
    """Make a connection send :class:`Digest` as ``bytea`` and return ``bytea`` as hex text."""
    connection.adapters.register_dumper(Digest, _DigestDumper)
    connection.adapters.register_loader("bytea", _HexLoader)


class _DigestDumper(Dumper):
    oid = BytesDumper.oid

    def dump(self, obj: Digest) -> bytes:
        return b"\\x" + obj.hex.encode()


class _HexLoader(Loader):
    def load(self, data: Buffer) -> str:
        text = bytes(data).decode()
        if not text.startswith("\\x"):
            raise psycopg.DataError("the session does not return bytea in hex; bytea_output must be 'hex'")
        return text[2:]
