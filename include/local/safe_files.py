"""Files and folders that nobody else can redirect: no link is followed where something is written or a mode is set.

Another user of the machine may put a link where the stack is going to write, or make the folder that it is going to
use. So the last part of each path is opened without following a link, and owner and mode are those of what was opened.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from local.errors import LocalError

SOCKET_PATH_LIMIT = 100
"""Bytes; the kernel's limit for the path of a socket is 107 on Linux and 103 on macOS."""
_REMEDY = "Remove it, or choose another folder with RESCIND_STATE_DIR=<folder>."


def own_folder(path: Path, mode: int = 0o700, account: tuple[int, int] | None = None) -> None:
    """Create a folder if it is missing, and set its owner and mode.

    :param account: user id and group id of another owner; None keeps the caller.
    :raises LocalError: when it is a link or no folder, or belongs to another user.
    """
    path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    with _opened(path, os.O_RDONLY | os.O_DIRECTORY) as handle:
        if os.fstat(handle).st_uid not in (os.geteuid(), account[0] if account else os.geteuid()):
            raise LocalError(f"{path} belongs to another user.", _REMEDY)
        if account is not None:
            os.fchown(handle, *account)
        os.fchmod(handle, mode)


def append(path: Path) -> IO[bytes]:
    """Open a file for writing at its end, with mode 600.

    :raises LocalError: when it is a link or no regular file, or belongs to another user.
    """
    with _opened(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK) as handle:
        _only_ours(path, handle)
        os.fchmod(handle, 0o600)
        return os.fdopen(os.dup(handle), "ab")


def read(path: Path) -> str | None:
    """Return the text of a file, or None if it is missing.

    :raises LocalError: when it is a link or no regular file, or belongs to another user.
    """
    try:
        with _opened(path, os.O_RDONLY | os.O_NONBLOCK) as handle:
            _only_ours(path, handle)
            with os.fdopen(os.dup(handle), encoding="utf-8") as stream:
                return stream.read()
    except FileNotFoundError:
        return None


def write_private(path: Path, text: str) -> None:
    """Write a file with mode 600 in one step: readers see the old text or the new one, never a part.

    A link in its place is replaced, not followed.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_json(path: Path) -> Any:
    """Return the content of a JSON file, or None when it is missing or was cut short.

    :raises LocalError: see :func:`read`.
    """
    text = read(path)
    try:
        return None if text is None else json.loads(text)
    except json.JSONDecodeError:
        return None


def socket_folder(state: Path, folder: Path, name: str, account: tuple[int, int] | None = None) -> Path:
    """Return the folder of a socket: this one, or, where its path is too long, one with a random name.

    The random one is made for this stack alone and noted in ``sockets.json``. It is made again when it is gone, or when
    it is not the one that was made.

    :param state: the state folder.
    :param name: name of the socket's file.
    """
    if len(os.fsencode(folder / name)) <= SOCKET_PATH_LIMIT:
        return folder
    note, key = state / "sockets.json", f"{folder}"
    kept = read_json(note)
    kept = kept if isinstance(kept, dict) else {}
    found = Path(str(kept.get(key) or "/"))
    if not _private(found, account):
        found = Path(tempfile.mkdtemp(prefix="rescind-", dir=_short_place()))
        own_folder(found, account=account)
        write_private(note, json.dumps({**kept, key: str(found)}) + "\n")
    return found


def remove_socket_folders(state: Path) -> None:
    """Remove the folders with random names that :func:`socket_folder` has made for this state folder."""
    kept = read_json(state / "sockets.json")
    for text in kept.values() if isinstance(kept, dict) else ():
        folder = Path(str(text))
        if folder.name.startswith("rescind-") and folder.parent == Path(_short_place()):
            shutil.rmtree(folder, ignore_errors=True)


def _private(folder: Path, account: tuple[int, int] | None) -> bool:
    """Return whether it is a folder, no link, that belongs to us and that nobody else may enter."""
    try:
        status = folder.lstat()
    except OSError:
        return False
    ours = (os.geteuid(), account[0] if account else os.geteuid())
    return stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o700 and status.st_uid in ours


def _short_place() -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return runtime if runtime and len(runtime) < 40 and os.geteuid() != 0 and Path(runtime).is_dir() else "/tmp"


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    try:
        handle = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        raise
    except OSError as error:
        if path.is_symlink():
            raise LocalError(f"{path} is a link. Links are not followed here.", _REMEDY) from None
        raise LocalError(f"{path} cannot be used: {error.strerror}.", _REMEDY) from None
    try:
        yield handle
    finally:
        os.close(handle)


def _only_ours(path: Path, handle: int) -> None:
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        raise LocalError(f"{path} is no file of this user.", _REMEDY)
