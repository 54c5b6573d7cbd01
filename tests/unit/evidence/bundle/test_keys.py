"""Who signed: keys are compared whole, weak keys are refused, and without a key nothing is said about the signer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from rescind.cli import main
from rescind.cli.evidence import UNCHECKED
from rescind.errors import ConfigurationError
from rescind.evidence.bundle.format import encode
from rescind.evidence.bundle.signing import check, key_name, public_key, same, sign
from rescind.evidence.bundle.verify import verify
from rescind.ledger import Ledger
from tests.support.ledger.memory_bundle import MemorySource
from tests.unit.evidence.conftest import KEY, OTHER, PUBLIC, bundle, closed_run, contents, pem

P = 2**255 - 19
ORDER_8 = int.from_bytes(bytes.fromhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), "little")
SMALL = [y | sign << 255 for y in (0, 1, P - 1, ORDER_8, P - ORDER_8) for sign in (0, 1)]
LONG = [y | sign << 255 for y in (P, P + 1, P + 3, P + 18) for sign in (0, 1)]
MANIFEST = b'{"any":"manifest"}\n'


def signed(raw: bytes, signature: bytes) -> bytes:
    facts = {"algorithm": "ed25519", "key": key_name(raw), "public_key": raw.hex(), "signature": signature.hex()}
    return encode(facts) + b"\n"


def test_one_signature_by_a_key_of_small_order_fits_every_manifest_and_is_refused() -> None:
    identity, zero = (1).to_bytes(32, "little"), bytes(32)
    forged = identity + zero  # R is the neutral element, S is 0
    Ed25519PublicKey.from_public_bytes(identity).verify(forged, b"anything")  # the library takes it
    with pytest.raises(ValueError, match="anyone can sign for"):
        check(MANIFEST, signed(identity, forged))


@pytest.mark.parametrize("number", [*SMALL, *LONG])
def test_weak_public_keys_are_refused_in_signatures_and_in_files(number: int, tmp_path: Path) -> None:
    raw = number.to_bytes(32, "little")
    with pytest.raises(ValueError, match="anyone can sign for"):
        check(MANIFEST, signed(raw, bytes(64)))
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    text = Ed25519PublicKey.from_public_bytes(raw).public_bytes(*form)
    with pytest.raises(ConfigurationError, match="anyone can sign for"):
        public_key(text, source="key.pem")


def test_ordinary_keys_pass() -> None:
    assert check(MANIFEST, sign(MANIFEST, KEY)) == PUBLIC == public_key(pem(KEY), source="key.pem")
    assert same(PUBLIC, bytes(PUBLIC)) and not same(None, None) and not same(PUBLIC, None)


@pytest.mark.parametrize("place", [0, 7, 8, 15, 16, 31])
def test_a_key_that_differs_in_one_bit_anywhere_is_another_key(place: int) -> None:
    near = bytearray(PUBLIC)
    near[place] ^= 1
    assert not same(PUBLIC, bytes(near))


@pytest.mark.postgres
def test_the_pinned_key_is_compared_whole(ledger: Ledger, tmp_path: Path) -> None:
    files = contents(bundle(ledger, closed_run(ledger), tmp_path))
    near = bytearray(PUBLIC)
    near[-1] ^= 1
    source = MemorySource(files)
    right, wrong, none = verify(source, key=PUBLIC), verify(source, key=bytes(near)), verify(source)
    assert right.holds and right.signer_checked
    assert not wrong.signer_checked
    assert wrong.problems == [
        f"signature.json: signed by public key {PUBLIC.hex()}, expected public key {bytes(near).hex()}"
    ]
    assert none.holds and not none.signer_checked
    assert not verify(source, key=b"").holds and not verify(source, key=PUBLIC[:16]).holds


@pytest.mark.postgres
def test_only_the_right_key_ends_with_status_0(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = tmp_path / "bundles"
    place = bundle(ledger, closed_run(ledger), row)
    keys = {name: tmp_path / f"{name}.pem" for name in ("right", "wrong")}
    keys["right"].write_bytes(pem(KEY))
    keys["wrong"].write_bytes(pem(OTHER))
    for path in (place, row):
        ends = {
            name: (main(["evidence", "verify", str(path), *given]), capsys.readouterr().out)
            for name, given in {"none": [], **{name: ["--key", str(key)] for name, key in keys.items()}}.items()
        }
        assert {name: status for name, (status, _) in ends.items()} == {"none": UNCHECKED, "right": 0, "wrong": 1}
        assert "SIGNER NOT CHECKED" in ends["none"][1] and "NOT CHECKED" not in ends["right"][1]
        assert not any(line.startswith("ok ") and "not checked" not in line for line in ends["none"][1].splitlines())


@pytest.mark.postgres
@pytest.mark.parametrize("field", ["key", "public_key", "signature"])
def test_the_last_character_of_each_text_of_the_signature_counts(ledger: Ledger, tmp_path: Path, field: str) -> None:
    files = contents(bundle(ledger, closed_run(ledger), tmp_path))
    facts = json.loads(files["signature.json"])
    facts[field] = facts[field][:-1] + ("0" if facts[field][-1] != "0" else "1")
    changed = {**files, "signature.json": encode(facts) + b"\n"}
    assert not verify(MemorySource(changed)).holds


@pytest.mark.postgres
@pytest.mark.parametrize("field", ["root", "link"])
def test_the_last_character_of_each_digest_of_the_manifest_counts(ledger: Ledger, tmp_path: Path, field: str) -> None:
    files = contents(bundle(ledger, closed_run(ledger), tmp_path, key=None))
    facts = json.loads(files["manifest.json"])
    facts[field] = facts[field][:-1] + ("0" if facts[field][-1] != "0" else "1")
    changed = encode(facts) + b"\n"
    result = verify(MemorySource({**files, "manifest.json": changed, "signature.json": sign(changed, None)}))
    assert result.problems == [f"manifest.json: has a {field} that does not match its content"]
