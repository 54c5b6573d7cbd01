"""Find the evidence bundle of a run, in the configured folders only, and stream it as a ZIP file."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from rescind.web.downloads.reports import local_path

MOST_BYTES = 1 << 30
_PIECE = 1 << 18
_MANIFEST = "manifest.json"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,160}")
_BEGINNING = (1980, 1, 1, 0, 0, 0)
"""The time of every file in an archive: the earliest of the format. The bundle holds the real times."""

_README = """Evidence of an access review

{name}/      the evidence bundle: records, manifest and signature
report.html  the report for people, if it was written; made from the bundle

Verify the bundle on any machine with Python 3.11, without Airflow:

    pip install rescind-verify
    rescind-verify verify {name} --key PUBLIC_KEY.pem

Get the public key from the people who run the reviews, not from the person who gave you this file. Without --key the
command ends with status 3: nothing is wrong, but the signer was not checked. To write the report again and compare it:

    rescind-verify report {name} again.html

This file and report.html are beside the bundle and not under its signature. The bundle holds names of people.
"""


def find_bundle(address: str, folders: Iterable[Path]) -> Path | None:
    """Return the bundle if it is a direct subfolder of one of the folders, else None.

    Links are resolved before the comparison. A folder is not served if it holds anything but regular ``.json`` and
    ``.jsonl`` files, has no manifest, or is larger than 1 GiB.
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


def packed(bundle: Path, report: Path | None = None) -> Iterator[bytes]:
    """Yield the bundle as a ZIP archive, in pieces. The same files give the same bytes.

    Beside the folder of the bundle, and so outside its seal, the archive holds a README and the report.

    :param report: the report of the run, from :func:`~rescind.web.downloads.reports.find_report`.
    :raises OSError: when a file changes meanwhile; the archive is then incomplete and does not open.
    """
    pieces = _Pieces()
    beside = {"README.txt": _README.format(name=bundle.name).encode()}
    if report is not None:
        beside["report.html"] = report.read_bytes()
    with ZipFile(pieces, "w") as archive:
        for name, content in beside.items():
            entry = ZipInfo(name, _BEGINNING)
            entry.compress_type, entry.create_system = ZIP_DEFLATED, 3
            entry.external_attr = (stat.S_IFREG | 0o600) << 16
            archive.writestr(entry, content)
            yield from pieces.taken()
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
    """Return the size of a regular file that can belong to a bundle.

    :raises ValueError: for anything else.
    """
    status = file.lstat()
    if not stat.S_ISREG(status.st_mode) or file.suffix not in (".json", ".jsonl") or not _NAME.fullmatch(file.name):
        raise ValueError(f"{file.name!r} is not a file of a bundle")
    return status.st_size


class _Pieces:
    """A write-only buffer for the archive. It cannot seek, so written bytes can be sent immediately."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._waiting.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Do nothing: there is no buffer below."""

    def close(self) -> None:
        """Do nothing: no file is open."""

    def taken(self) -> Iterator[bytes]:
        """Yield the bytes written since the last call."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            yield b"".join(waiting)
