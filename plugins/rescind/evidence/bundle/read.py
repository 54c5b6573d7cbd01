"""Read bundles from a folder or from memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from rescind.errors import InputError
from rescind.evidence.bundle.format import MANIFEST, OMITTED, RECORD_FILES, file_name


def _no_float(_: str) -> float:
    raise ValueError("evidence must not hold a float")


_DECODER = json.JSONDecoder(parse_float=_no_float)


class Source(Protocol):
    """Where a bundle's files come from."""

    def names(self) -> set[str]:
        """Return every name in the folder of the bundle."""

    def open(self, name: str) -> IO[bytes]:
        """Open a file of the bundle.

        :raises OSError: when it is missing.
        """


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A bundle in a folder. Symbolic links are not followed."""

    path: Path

    def names(self) -> set[str]:
        """See :class:`Source`."""
        return {entry.name for entry in self.path.iterdir()}

    def open(self, name: str) -> IO[bytes]:
        """See :class:`Source`."""
        place = self.path / name
        if place.is_symlink() or not place.is_file():
            raise OSError(f"{name} is not a regular file")
        return place.open("rb")


def bundle_source(path: str | Path) -> FolderSource:
    """Return the bundle in a folder.

    :raises InputError: when the folder holds no manifest.
    """
    place = Path(path)
    if not (place / MANIFEST).is_file():
        raise InputError("PATH", f"{place} holds no {MANIFEST}", "Give the folder of one bundle")
    return FolderSource(place)


def read_json(source: Source, name: str) -> Any:
    """Return a JSON file of a bundle."""
    with source.open(name) as file:
        return json.load(file)


def records(source: Source, kind: str) -> Iterator[dict[str, Any]]:
    """Yield the records of one file in order. Verify the bundle first: its structure is not checked here."""
    if kind == OMITTED and file_name(OMITTED) not in source.names():
        return
    if kind not in (*RECORD_FILES, OMITTED):
        raise InputError("kind", f"{kind!r} is not a record file", f"Use one of {', '.join(RECORD_FILES)}")
    with source.open(file_name(kind)) as file:
        for line in file:
            yield parsed(line)["data"]


def parsed(line: bytes) -> Any:
    """Return the value of one line. Evidence holds no floats.

    :raises ValueError: when it is not JSON in UTF-8, or holds a float.
    """
    return _DECODER.decode(line.decode())


def latest_verdicts(source: Source) -> Iterator[dict[str, Any]]:
    """Yield the latest verdict of each item, ordered by grant id."""
    return (record for record in records(source, "verdicts") if record.get("latest", True))


def only(source: Source, kind: str) -> dict[str, Any] | None:
    """Return the record of a file that holds at most one."""
    return next(records(source, kind), None)
