"""Signatures of answers to approval requests: Ed25519 over one canonical statement.

The statement has two versions. The second one has a prefix of its own and covers the comment of the answer as well. It
is used where there is a comment, so answers without one have the statement of older versions.

The private key is not in the ledger, so write access to the ledger approves nothing. The signed message has a prefix
of its own, so the signature fits no other kind of text, even if an operator signs evidence with the same key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from rescind.errors import ConfigurationError
from rescind.model import canonical

_CONTEXT = b"rescind-approval-signature/1\n"
_WITH_COMMENT = b"rescind-approval-signature/2\n"
_NARROWING = b"rescind-narrowing-signature/1\n"
SIGNED = (
    "run",
    "dag",
    "airflow_run",
    "digest",
    "nonce",
    "requested_by",
    "valid_until",
    "answer",
    "responded_by",
    "responded_at",
    "automatic",
    "measured_against",
)
"""What is signed, under the names that evidence uses. ``digest`` is that of the plan; times are UTC text."""
NARROWED = (
    "run",
    "dag",
    "airflow_run",
    "digest",
    "nonce",
    "requested_by",
    "valid_until",
    "left_out",
    "grants",
    "grants_digest",
    "responded_by",
    "responded_by_name",
    "responded_at",
    "comment",
)
"""What is signed where an approver left out a part of the plan ``digest``, under the names that evidence uses."""
_COMMENT = "comment"
_NAME = "responded_by_name"
"""Signed too if it is not empty: an answer by a user whose name is their id has the statement of older versions."""
HOW_TO_CREATE = (
    "Create one with: openssl genpkey -algorithm ed25519 -out approval.pem; then set 'approval_key_file', or "
    "'approval_key_conn_id', or the environment variable RESCIND_APPROVAL_KEY"
)


def statement(facts: Mapping[str, Any]) -> bytes:
    """Return the signed message for an answer.

    :param facts: at least the fields of :data:`SIGNED`.
    :raises KeyError: when one is missing.
    """
    more = tuple(name for name in (_NAME, _COMMENT) if facts.get(name))
    context = _WITH_COMMENT if _COMMENT in more else _CONTEXT
    return context + canonical({name: facts[name] for name in (*SIGNED, *more)})


def narrowing_statement(facts: Mapping[str, Any]) -> bytes:
    """Return the signed message for what an approver left out. Its prefix is of its own: it is never an approval.

    :param facts: at least the fields of :data:`NARROWED`.
    :raises KeyError: when one is missing.
    """
    return _NARROWING + canonical({name: facts[name] for name in NARROWED})


def selection_mark(run: str, digest: str, user: str, user_name: str, comment: str, grants: Iterable[str]) -> str:
    """Return the SHA-256 (hex) of what a user selected on the page. It is signed with the answer that uses it.

    :param digest: of the plan that the user saw.
    :param user_name: empty where it is the same as the id.
    :param grants: ids of the selected grants; order and repetition do not count.
    """
    return hashlib.sha256(
        canonical(["selection/1", run, digest, user, user_name, comment, sorted(set(grants))])
    ).hexdigest()


def moment(value: datetime) -> str:
    """Return a time as text: UTC, microseconds, ``Z``."""
    return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def key_name(raw: bytes) -> str:
    """Return the short name of a public key: 16 hex characters of its SHA-256."""
    return hashlib.sha256(raw).hexdigest()[:16]


def fits(message: bytes, signature: str, raw: bytes) -> bool:
    """Return whether a signature (lower-case hex) of this message was made with the key.

    :param raw: 32 bytes of the public key.
    """
    try:
        signed = bytes.fromhex(signature)
        if signed.hex() != signature:
            return False
        Ed25519PublicKey.from_public_bytes(raw).verify(signed, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class ApprovalKeys:
    """The approval keys of a deployment. Without keys nothing can be signed, and no signature is accepted.

    :param signing: the private key that signs answers; its public half is accepted too.
    :param accepted: further public keys, 32 bytes each, for example the one before a rotation.
    """

    def __init__(self, signing: Ed25519PrivateKey | None = None, accepted: Iterable[bytes] = ()) -> None:
        own = [signing.public_key().public_bytes_raw()] if signing else []
        self._signing = signing
        self.accepted: Mapping[str, bytes] = {key_name(raw): raw for raw in [*own, *accepted]}
        self._checked: tuple[bytes, str, str] | None = None

    def require_signing(self) -> Ed25519PrivateKey:
        """Return the private key.

        :raises ConfigurationError: when there is none.
        """
        if self._signing is None:
            raise ConfigurationError(f"there is no key to sign approvals with. {HOW_TO_CREATE}")
        return self._signing

    def sign(self, message: bytes) -> tuple[str, str]:
        """Return the name of the signing key and the signature (hex).

        :raises ConfigurationError: when there is no signing key.
        """
        key = self.require_signing()
        return key_name(key.public_key().public_bytes_raw()), key.sign(message).hex()

    def problem(self, message: bytes, key: str, signature: str) -> str:
        """Return why the signature is not accepted, or an empty text.

        The last valid signature is remembered by its exact bytes, so a batch of calls is checked once.
        """
        if not signature:
            return "the approval has no signature"
        if self._checked == (message, key, signature):
            return ""
        raw = self.accepted.get(key)
        if raw is None:
            known = ", ".join(sorted(self.accepted)) or "none"
            return f"the approval is signed with the key {key[:16]!r}, which is not accepted here (accepted: {known})"
        if not fits(message, signature, raw):
            return (
                f"the signature of the approval by key {key} is not valid: the ledger was changed, or the key"
                " belongs to another ledger"
            )
        self._checked = (message, key, signature)
        return ""
