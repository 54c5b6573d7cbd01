"""What the oracle says of one person and one resource, and how it reads a dump of the emulator's world."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, NamedTuple

Row = Mapping[str, Any]


class Path(NamedTuple):
    """One way in.

    :param kind: its name, for example ``direct``, ``group``, ``white_list``, ``dba``.
    :param through: what it leads through: a group, a role, a parent object, an owner's object.
    """

    kind: str
    through: str = ""

    def __str__(self) -> str:
        return f"{self.kind} ({self.through})" if self.through else self.kind


class Resource(NamedTuple):
    """What is reached, in the words of the items file.

    :param kind: lower-case type, for example ``table``, ``logic_database``, ``menu``, ``data_source``.
    :param container: the portal of a menu; empty elsewhere.
    """

    kind: str
    id: str
    container: str = ""


class Dump:
    """A dump (``/_control/world``) with look-ups that are made once."""

    def __init__(self, world: Mapping[str, Any]) -> None:
        self.world = world

    def rows(self, name: str) -> list[Row]:
        """Rows of one kind, none when the dump does not have it."""
        return list(self.world.get(name, ()))

    def mode(self, name: str, default: str) -> str:
        """A mode of the world."""
        return str(self.world.get("modes", {}).get(name, default))

    def by(self, name: str, *columns: str) -> dict[tuple[str, ...], list[Row]]:
        """Rows of one kind by columns."""
        key = (name, *columns)
        if key not in self._indexes:
            found: dict[tuple[str, ...], list[Row]] = {}
            for row in self.rows(name):
                found.setdefault(tuple(str(row[column]) for column in columns), []).append(row)
            self._indexes[key] = found
        return self._indexes[key]

    @cached_property
    def _indexes(self) -> dict[tuple[str, ...], dict[tuple[str, ...], list[Row]]]:
        return {}

    def values(self, name: str, column: str, **where: str) -> list[str]:
        """One column of the rows that agree with ``where``."""
        rows = self.by(name, *where).get(tuple(where.values()), []) if where else self.rows(name)
        return [str(row[column]) for row in rows]

    def has(self, name: str, **where: str) -> bool:
        """Whether a row agrees with ``where``."""
        return tuple(where.values()) in self.by(name, *where)


def distinct(paths: Iterable[Path]) -> list[Path]:
    """Each path once, in order."""
    return list(dict.fromkeys(paths))
