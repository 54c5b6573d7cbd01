"""Finds a run's report on disk, inside the configured folders only."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

MOST_BYTES = 32 << 20


def local_path(address: str) -> Path | None:
    """The path in a plain path or ``file://`` address; None for any other address."""
    if "://" not in address:
        return Path(address) if address else None
    parts = urlsplit(address)
    return Path(unquote(parts.path)) if parts.scheme == "file" and parts.netloc in ("", "localhost") else None


def find_report(address: str, folders: Iterable[Path]) -> Path | None:
    """The report as a real file below one of the folders, or None.

    Links are followed before the comparison, so none leads outside. Only ``.html`` files of at most 32 MiB count:
    keys and tables that may lie beside a report are not served, whatever the run's record says.
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
