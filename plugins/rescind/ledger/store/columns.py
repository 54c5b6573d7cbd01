"""Column lists, made from the records that hold the columns, so that each list is written once."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import fields
from typing import Any


def names(record: type[Any], *, without: Collection[str] = ()) -> tuple[str, ...]:
    """Return the field names of a dataclass in order: its columns in the table."""
    return tuple(field.name for field in fields(record) if field.name not in without)


def listed(columns: Iterable[str], alias: str = "") -> str:
    """Return the columns as SQL, each qualified with the alias of its table."""
    prefix = f"{alias}." if alias else ""
    return ", ".join(prefix + name for name in columns)
