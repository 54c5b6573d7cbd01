"""The key that signs approvals in tests."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from rescind.approval_signature import ApprovalKeys

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))
APPROVAL_PUBLIC = SIGNER.public_key().public_bytes_raw()
KEYS = ApprovalKeys(SIGNER)


def approval_key_file(folder: Path, key: Ed25519PrivateKey = SIGNER, name: str = "approval.pem") -> Path:
    """Write a private key to a folder, as the settings want it."""
    path = folder / name
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path
