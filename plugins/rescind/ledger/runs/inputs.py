"""Inputs: the files that a run decides from, byte for byte, so that it uses one version from start to end."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from rescind.errors import InputError
from rescind.ledger.store.database import Connection
from rescind.ledger.store.digest import Digest
from rescind.ledger.store.repository import Repository

MAX_BYTES = 64 * 2**20
"""Largest input, in bytes; the schema holds the same limit."""


OCCASION = "occasion"
"""What is recorded with every run beside its files: why it began, and what the deployment says of its evidence."""


@dataclass(frozen=True, slots=True)
class NewInput:
    """One file as it was read.

    :param name: what it is for: ``roster``, ``policy``, ``exceptions``, ``protections`` ...
    :param source: where it came from, for people; no secrets.
    :param facts: how it was read and admitted: format, times, limits. Plain JSON.
    :raises InputError: when it is larger than :data:`MAX_BYTES`.
    """

    name: str
    source: str
    content: bytes
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.content) > MAX_BYTES:
            problem = f"{len(self.content)} bytes, more than {MAX_BYTES}"
            raise InputError(f"{self.name}, {self.source}", problem, "Split the file, or leave out what is not needed.")

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of the content."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class StoredInput(NewInput):
    """One file as the ledger holds it."""

    recorded_at: datetime | None = None


class Inputs(Repository):
    """The inputs of each run. They are written with the run itself, see :meth:`rescind.ledger.runs.runs.Runs.begin`."""

    def of(self, run_id: str) -> dict[str, StoredInput]:
        """The inputs of a run by their names; empty for a run that was begun without any."""
        query = "SELECT name, source, content, facts, recorded_at FROM rescind.input WHERE run_no = %(run)s ORDER BY 1"
        rows = (StoredInput(*row) for row in self._rows(run_id, query, {}, binary=True))
        return {stored.name: stored for stored in rows}


def insert(connection: Connection, run_no: int, inputs: Sequence[NewInput]) -> None:
    """Write the inputs of a run that is just being begun."""
    for new in inputs:
        connection.execute(
            "INSERT INTO rescind.input (run_no, name, source, sha256, content, facts) VALUES (%s, %s, %s, %s, %s, %s)",
            (run_no, new.name, new.source, Digest(new.sha256), new.content, Jsonb(dict(new.facts))),
        )
