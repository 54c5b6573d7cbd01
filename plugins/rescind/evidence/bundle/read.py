"""Reads bundles: from a folder, or from memory."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from rescind.errors import InputError
from rescind.evidence.bundle.format import MANIFEST, RECORD_FILES, file_name


class Source(Protocol):
    """Where a bundle's files come from."""

    def names(self) -> set[str]:
        """Every name in the bundle's folder, whatever it is."""

    def open(self, name: str) -> IO[bytes]:
        """A file of the bundle. :raises OSError: when there is none."""


@dataclass(frozen=True, slots=True)
class FolderSource:
    """A bundle in a folder. Links are not followed: what they point to is no part of the bundle."""

    path: Path

    def names(self) -> set[str]:
        """See :class:`Source`."""
        return {entry.name for entry in self.path.iterdir()}

    def open(self, name: str) -> IO[bytes]:
        """See :class:`Source`."""
        place = self.path / name
        if place.is_symlink() or not place.is_file():
            raise OSError(f"{name} is no regular file")
        return place.open("rb")


@dataclass(frozen=True, slots=True)
class MemorySource:
    """A bundle as bytes by name."""

    files: Mapping[str, bytes]

    def names(self) -> set[str]:
        """See :class:`Source`."""
        return set(self.files)

    def open(self, name: str) -> IO[bytes]:
        """See :class:`Source`."""
        if name not in self.files:
            raise OSError(f"{name} is not there")
        return io.BytesIO(self.files[name])


def bundle_source(path: str | Path) -> FolderSource:
    """The bundle in a folder.

    :raises InputError: when the path is no folder with a manifest.
    """
    place = Path(path)
    if not (place / MANIFEST).is_file():
        raise InputError("PATH", f"{place} holds no {MANIFEST}", "Name the folder of one bundle")
    return FolderSource(place)


def read_json(source: Source, name: str) -> Any:
    """A JSON file of a bundle, whole."""
    with source.open(name) as file:
        return json.load(file)


def records(source: Source, kind: str) -> Iterator[dict[str, Any]]:
    """The records of one file in order; the bundle is to be verified first, its form is not checked here."""
    if kind not in RECORD_FILES:
        raise InputError("kind", f"{kind!r} is no record file", f"Use one of {', '.join(RECORD_FILES)}")
    with source.open(file_name(kind)) as file:
        for line in file:
            yield json.loads(line)["data"]


def latest_verdicts(source: Source) -> Iterator[dict[str, Any]]:
    """The verdict that counts of each item, ordered by grant id; those before it are left out."""
    return (record for record in records(source, "verdicts") if record.get("latest", True))


def only(source: Source, kind: str) -> dict[str, Any] | None:
    """The single record of a file that holds at most one."""
    return next(records(source, kind), None)
