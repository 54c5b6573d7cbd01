"""Read input files from a path, from object storage, or from an HTTP service, completely or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, cast

from rescind.data_files import in_time, read_regular
from rescind.errors import ConfigurationError, InputError
from rescind.ledger.runs.inputs import MAX_BYTES
from rescind.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from airflow.sdk import ObjectStoragePath

CHECKSUM_SUFFIX = ".sha256"
_MOST_CHECKSUM_BYTES = 1_000
_DATED = re.compile(r"(?<!\d)(20\d\d)-?([01]\d)-?([0-3]\d)(?:[T ]([0-2]\d):?([0-5]\d)(?::?\d\d)?Z?)?(?!\d)")


@dataclass(frozen=True, slots=True)
class Fetched:
    """One input as it was read.

    :param source: its name for people.
    :param as_of: the time that the content describes, timezone-aware, in UTC.
    :param checksums: announced SHA-256 digests (hex) of the content, each with its source.
    """

    content: bytes
    source: str
    format: Literal["csv", "json", "scim", "yaml"]
    as_of: datetime
    checksums: tuple[tuple[str, str], ...] = ()


def read_file(settings: Settings, name: str) -> Fetched:
    """Read a YAML file that a setting names.

    :raises ConfigurationError: when it is missing or cannot be read.
    """
    path = _place(settings, name)
    content, as_of = _read(path, name)
    return Fetched(content, path.name, "yaml", as_of)


def read_roster_file(settings: Settings) -> Fetched:
    """Read the roster from a path or object storage.

    :raises ConfigurationError: when it is missing or cannot be read.
    :raises InputError: for an unknown format or a malformed checksum file.
    """
    path = _place(settings, "roster")
    suffix = PurePosixPath(path.name).suffix.lower()
    if suffix not in (".csv", ".json"):
        raise InputError("roster", f"a file of kind {suffix or '(none)'}", "Name it .csv, or .json (people or SCIM).")
    content, as_of = _read(path, "roster")
    sums, said = _checksums(settings, path)
    if settings.roster_as_of == "name":
        as_of = _dated(path.name, "name of the roster file")
    elif settings.roster_as_of == "checksum":
        as_of = _dated(said, f"checksum file {path.name}{CHECKSUM_SUFFIX}")
    return Fetched(content, path.name, "csv" if suffix == ".csv" else "json", as_of, sums)


def _dated(text: str, where: str) -> datetime:
    """Return the only date, with its time if it has one, that a text holds; without an offset in UTC.

    :raises InputError: when it holds none or several that differ.
    """
    found = {match.groups() for match in _DATED.finditer(text)}
    try:
        ((year, month, day, hour, minute),) = found
        return datetime(*map(int, (year, month, day, hour or 0, minute or 0)), tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError:
        problem = f"{len(found)} dates, where the setting roster_as_of needs one that exists"
        raise InputError(where, problem, "Write it as 2026-07-31, 20260731 or 20260731T0600Z (UTC).") from None


def _place(settings: Settings, name: str) -> Path | ObjectStoragePath:
    text = settings.location(name)
    if "://" not in text:
        return settings.path(name)
    from airflow.sdk import ObjectStoragePath

    try:
        return ObjectStoragePath(text)
    except (ValueError, ImportError) as error:
        remedy = "Use a scheme whose Airflow provider is installed, for example s3://conn_id@bucket/key"
        raise ConfigurationError(
            f"setting {name!r} names an object storage that is not known ({type(error).__name__}). {remedy}"
        ) from None


def _read(path: Path | ObjectStoragePath, name: str, limit: int = MAX_BYTES) -> tuple[bytes, datetime]:
    content: bytes
    changed: Any
    with _explained(path, name):
        if _is_local(path):
            content, changed = read_regular(cast("Path", path), limit)
        else:
            with path.open("rb") as file:
                content = file.read(limit + 1)
            changed = path.stat().st_mtime
    if len(content) > limit:
        raise InputError(f"{name}, {path.name}", f"more than {limit} bytes", "Check that it is the right file.")
    return content, _moment(changed)


def _is_local(path: Path | ObjectStoragePath) -> bool:
    return "://" not in str(path)


@contextmanager
def _explained(path: Path | ObjectStoragePath, name: str) -> Iterator[None]:
    """Turn any error of a storage library into one that names setting, file and local folder, but no address."""
    try:
        yield
    except Exception as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        where = f" in {path.parent}" if _is_local(path) else ""
        raise ConfigurationError(
            f"the {name} file cannot be read ({why}): {path.name}{where}. Put it there, or set {name!r} to its path"
        ) from None


def _checksums(settings: Settings, path: Path | ObjectStoragePath) -> tuple[tuple[tuple[str, str], ...], str]:
    """Return the announced digests, and what the checksum file says beside its digest."""
    rest = ""
    announced = [("setting roster_sha256", settings.roster_sha256)] if settings.roster_sha256 else []
    beside = path.with_name(path.name + CHECKSUM_SUFFIX)
    with _explained(beside, "roster checksum"):
        there = in_time(beside.exists) if _is_local(beside) else beside.exists()
    if there:
        text = _read(beside, "roster checksum", _MOST_CHECKSUM_BYTES)[0].decode("utf-8", "replace")
        word, _, rest = text.strip().partition(" ")
        word = word.lower()
        if len(word) != 64 or not set(word) <= set("0123456789abcdef"):
            remedy = "Write it with sha256sum, or remove the file."
            raise InputError(beside.name, "its first word is no SHA-256 in hex (64 characters)", remedy)
        announced.append((beside.name, word))
    return tuple(announced), rest


def _moment(changed: Any) -> datetime:
    """Return a modification time in UTC: file systems give seconds, object stores a datetime."""
    if isinstance(changed, datetime):
        return (changed if changed.tzinfo else changed.replace(tzinfo=UTC)).astimezone(UTC)
    return datetime.fromtimestamp(float(changed), UTC)
