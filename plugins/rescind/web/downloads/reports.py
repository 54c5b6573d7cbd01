"""Find the report of a run, in the configured folders only."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

MOST_BYTES = 32 << 20


def local_path(address: str) -> Path | None:
    """Return the path of a plain path or a ``file://`` address; None for any other address."""
    if "://" not in address:
        return Path(address) if address else None
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme == "file" and parts.netloc in ("", "localhost") else None


def find_report(address: str, folders: Iterable[Path]) -> Path | None:
    """Return the report if it is a file inside one of the folders, else None.

    Links are resolved before the comparison. Only ``.html`` files of at most 32 MiB are served: keys and tables beside
    a report are not.
    """
    path = local_path(address)
    if path is None or not path.is_absolute():
        return None
    try:
        real = path.resolve(strict=True)
        inside = any(real.is_relative_to(folder.resolve(strict=True)) for folder in folders if folder.is_dir())
        fits = real.suffix == ".html" and real.is_file() and real.stat().st_size <= MOST_BYTES
    except (OSError, ValueError):
        return None
    return real if inside and fits else None
