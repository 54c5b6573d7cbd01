"""The state folder: where it is, who may read it, its lock, and the secrets that are made once."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from local.errors import LocalError
from local.safe_files import append, own_folder, read_json, write_private

USERS = {"rita": "user", "omar": "user", "vera": "viewer", "ada": "admin"}
"""The users of the stack and their Airflow roles: rita asks, omar approves, vera looks on, ada administers."""

SERVICE = "bot"
"""The stack's own user, for the connection with which tasks ask Airflow: reads pools, writes notes on runs."""

APPROVAL_PUBLIC_KEY = "approval.pub.pem"
"""File in the state folder: the public half of the key that signs approvals, for the verifier."""

ROLES = {**USERS, SERVICE: "user"}
"""Everybody who can sign in; ``user`` is the least role that may write a note."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Secrets of one stack; made on first use, kept in the state folder with mode 600."""

    jwt_secret: str
    fernet_key: str
    api_secret_key: str
    postgres_password: str
    airflow_db_password: str
    ledger_db_password: str
    ledger_owner_password: str
    redis_password: str
    emulator_token: str
    approval_key: str
    passwords: dict[str, str]


def prepare(folder: Path) -> None:
    """Create the state folder, for its owner only.

    Root hands PostgreSQL to another account. Where that account can come as far as this folder, it may pass through it.

    :raises LocalError: when the folder cannot be written, is a link, or belongs to another user.
    """
    try:
        own_folder(folder, 0o711 if os.geteuid() == 0 and _open_to_all(folder) else 0o700)
        if not os.path.lexists(folder / ".gitignore"):
            write_private(folder / ".gitignore", "*\n")
        for name in ("logs", "airflow"):
            own_folder(folder / name)
    except OSError as error:
        raise LocalError(
            f"The state folder {folder} cannot be used: {error.strerror}.",
            "Choose a folder that you may write with RESCIND_STATE_DIR=<folder>.",
        ) from error


def _open_to_all(folder: Path) -> bool:
    """Return whether everybody may pass through every folder above this one."""
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in folder.parents)


def load_secrets(folder: Path) -> Secrets:
    """The secrets of the stack; what is missing is made and kept."""
    path = folder / "secrets.json"
    kept = read_json(path)
    kept = kept if isinstance(kept, dict) else {}
    passwords = dict(kept.get("passwords") or {})
    found = Secrets(
        jwt_secret=kept.get("jwt_secret") or secrets.token_urlsafe(48),
        fernet_key=kept.get("fernet_key") or base64.urlsafe_b64encode(os.urandom(32)).decode(),
        api_secret_key=kept.get("api_secret_key") or secrets.token_urlsafe(32),
        postgres_password=kept.get("postgres_password") or secrets.token_urlsafe(24),
        airflow_db_password=kept.get("airflow_db_password") or secrets.token_urlsafe(24),
        ledger_db_password=kept.get("ledger_db_password") or secrets.token_urlsafe(24),
        ledger_owner_password=kept.get("ledger_owner_password") or secrets.token_urlsafe(24),
        redis_password=kept.get("redis_password") or secrets.token_urlsafe(24),
        emulator_token=kept.get("emulator_token") or secrets.token_urlsafe(24),
        approval_key=kept.get("approval_key") or new_key(),
        passwords={user: passwords.get(user) or secrets.token_urlsafe(9) for user in ROLES},
    )
    wanted = {name: getattr(found, name) for name in Secrets.__slots__}
    if wanted != kept:
        write_private(path, json.dumps(wanted, indent=1) + "\n")
        write_private(folder / APPROVAL_PUBLIC_KEY, public_half(found.approval_key))
    return found


def new_key() -> str:
    """A new Ed25519 private key in PEM."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def public_half(pem: str) -> str:
    """The public key of a private key in PEM."""
    key = load_pem_private_key(pem.encode(), None)
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@contextmanager
def lock(folder: Path) -> Iterator[None]:
    """Keep a second command from starting or stopping the same stack at the same time.

    :raises LocalError: when another command is at work on this state folder.
    """
    with append(folder / "lock") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalError(
                f"Another command is starting or stopping the stack in {folder}.",
                "Wait until it has ended, or use another folder with RESCIND_STATE_DIR=<folder>.",
            ) from None
        yield
