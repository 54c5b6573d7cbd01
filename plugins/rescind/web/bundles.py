"""Finds a run's evidence bundle on disk, inside the configured folders only, and packs it while it is sent."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from rescind.web.reports import local_path

MOST_BYTES = 1 << 30
_PIECE = 1 << 18
_MANIFEST = "manifest.json"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,160}")
_BEGINNING = (1980, 1, 1, 0, 0, 0)
"""The time of every file in an archive: the first that the format knows. The true ones are inside the bundle."""


def find_bundle(address: str, folders: Iterable[Path]) -> Path | None:
    """The bundle as a real folder right below one of the folders, or None.

    Links are followed before the comparison, so none leads outside. A folder that holds anything but regular ``.json``
    and ``.jsonl`` files, no manifest, or more than 1 GiB is not served, whatever the run's record says.
    """
    path = local_path(address)
    if path is None or not path.is_absolute():
        return None
    try:
        real = path.resolve(strict=True)
        inside = any(real.parent == folder.resolve(strict=True) for folder in folders if folder.is_dir())
        if not inside or not _NAME.fullmatch(real.name) or not real.is_dir():
            return None
        sizes = [_size(file) for file in real.iterdir()]
        whole = (real / _MANIFEST).is_file()
    except (OSError, ValueError):
        return None
    return real if whole and sum(sizes) <= MOST_BYTES else None


def packed(bundle: Path) -> Iterator[bytes]:
    """The bundle as one ZIP archive, piece by piece: the same files give the same bytes.

    :raises OSError: when a file changes meanwhile; the archive then has no end and does not open.
    """
    pieces = _Pieces()
    with ZipFile(pieces, "w") as archive:
        for file in sorted(bundle.iterdir()):
            size, sent = _size(file), 0
            entry = ZipInfo(f"{bundle.name}/{file.name}", _BEGINNING)
            entry.compress_type, entry.file_size = ZIP_DEFLATED, size
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o600) << 16  # it holds names of people
            with file.open("rb") as source, archive.open(entry, "w") as target:
                while piece := source.read(_PIECE):
                    sent += len(piece)
                    target.write(piece)
                    yield from pieces.taken()
            if sent != size:
                raise OSError(f"{file.name} was changed while it was read")
    yield from pieces.taken()


def _size(file: Path) -> int:
    """Bytes of a regular file that can belong to a bundle. :raises ValueError: for anything else."""
    status = file.lstat()
    if not stat.S_ISREG(status.st_mode) or file.suffix not in (".json", ".jsonl") or not _NAME.fullmatch(file.name):
        raise ValueError(f"{file.name!r} is no file of a bundle")
    return status.st_size


class _Pieces:
    """Where an archive is written to; it cannot go back, so what was written may leave at once."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._waiting.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Nothing is kept back."""

    def close(self) -> None:
        """Nothing is open."""

    def taken(self) -> Iterator[bytes]:
        """What has been written since the last time."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            yield b"".join(waiting)
