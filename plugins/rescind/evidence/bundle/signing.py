"""Ed25519 signatures of the manifest. The signed message has a prefix, so the signature fits no other kind of text."""

from __future__ import annotations

import hmac
import json
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from rescind.approval_signature import key_name
from rescind.errors import ConfigurationError
from rescind.evidence.bundle.format import encode

_CONTEXT = b"rescind-evidence-signature/1\n"
UNSIGNED: dict[str, Any] = {"algorithm": "none", "note": "unsigned: shows accidental change only"}
_PRIME = 2**255 - 19
_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER = (0, 1, _PRIME - 1, _ORDER_8, _PRIME - _ORDER_8)
"""The y coordinates of the eight points of small order. With such a key, one signature fits many messages."""
_HOW = "Create one with: openssl genpkey -algorithm ed25519 -out evidence.pem"


def private_key(pem: bytes, *, source: str) -> Ed25519PrivateKey:
    """Return an Ed25519 private key from PEM (PKCS #8, no passphrase).

    :param source: where it comes from, for the message.
    :raises ConfigurationError: when it is not such a key. The message never quotes the key.
    """
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{source} holds no Ed25519 private key in PEM without a passphrase. {_HOW}")
    return key


def public_key(pem: bytes, *, source: str) -> bytes:
    """Return the 32 bytes of an Ed25519 public key from PEM.

    :raises ConfigurationError: when it is not such a key.
    """
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError(
            f"{source} holds no Ed25519 public key in PEM. Write it from the private key with: "
            "openssl pkey -in evidence.pem -pubout"
        )
    raw = key.public_bytes_raw()
    if weak(raw):
        raise ConfigurationError(f"{source} holds a public key that anyone can sign for. {_HOW}")
    return raw


def weak(raw: bytes) -> bool:
    """Return whether a public key (32 bytes) has small order, or another encoding than the standard's."""
    y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
    return y >= _PRIME or y in _SMALL_ORDER


def same(one: bytes | None, other: bytes | None) -> bool:
    """Return whether two public keys are the same, byte for byte."""
    return one is not None and other is not None and hmac.compare_digest(one, other)


def sign(manifest: bytes, key: Ed25519PrivateKey | None) -> bytes:
    """Return the bytes of ``signature.json``; without a key they say that the bundle is unsigned."""
    if key is None:
        return encode(UNSIGNED) + b"\n"
    raw = key.public_key().public_bytes_raw()
    facts = {
        "algorithm": "ed25519",
        "key": key_name(raw),
        "public_key": raw.hex(),
        "signature": key.sign(_CONTEXT + manifest).hex(),
    }
    return encode(facts) + b"\n"


def check(manifest: bytes, signature: bytes) -> bytes | None:
    """Return the public key that signed this manifest, or None for an unsigned bundle.

    :raises ValueError: when the signature is not valid or not canonical; says why.
    """
    try:
        facts = json.loads(signature)
    except ValueError:
        raise ValueError("is not JSON") from None
    if encode(facts) + b"\n" != signature:
        raise ValueError("is not in canonical form")
    if facts == UNSIGNED:
        return None
    if not isinstance(facts, dict) or facts.keys() != {"algorithm", "key", "public_key", "signature"}:
        raise ValueError("is neither a signature nor the note of an unsigned bundle")
    if facts["algorithm"] != "ed25519":
        raise ValueError("names an algorithm other than ed25519")
    try:
        raw, signed = bytes.fromhex(facts["public_key"]), bytes.fromhex(facts["signature"])
        public = Ed25519PublicKey.from_public_bytes(raw)
    except (TypeError, ValueError):
        raise ValueError("is not an Ed25519 signature in lower-case hex") from None
    if (raw.hex(), signed.hex(), key_name(raw)) != (facts["public_key"], facts["signature"], facts["key"]):
        raise ValueError("is not in canonical form")
    if weak(raw):
        raise ValueError("is made with a public key that anyone can sign for")
    try:
        public.verify(signed, _CONTEXT + manifest)
    except InvalidSignature:
        raise ValueError("is not valid: the manifest or the signature was changed") from None
    return raw
