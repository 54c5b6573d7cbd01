"""Signatures of approvals: what they cover, which keys count, and that no other signature fits."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from rescind.approval_signature import SIGNED, ApprovalKeys, fits, key_name, statement
from rescind.errors import ConfigurationError
from rescind.evidence.bundle.signing import check, sign
from tests.support.reviews.approval import APPROVAL_PUBLIC, SIGNER, approval_key_file

FACTS: dict[str, Any] = {name: f"value of {name}" for name in SIGNED} | {"automatic": False}
OLD = Ed25519PrivateKey.from_private_bytes(bytes(range(3, 35)))
OLD_PUBLIC = OLD.public_key().public_bytes_raw()


def test_the_name_of_the_approver_is_covered_where_there_is_one() -> None:
    old, named = statement(FACTS), statement({**FACTS, "responded_by_name": "omar"})
    assert old == statement({**FACTS, "responded_by_name": ""}), "answers of older versions stay valid"
    assert len({old, named, statement({**FACTS, "responded_by_name": "rita"})}) == 3


def test_the_comment_is_covered_where_there_is_one() -> None:
    old, said = statement(FACTS), statement({**FACTS, "comment": "handed over"})
    assert old == statement({**FACTS, "comment": ""}), "answers of older versions stay valid"
    assert len({old, said, statement({**FACTS, "comment": "handed over."})}) == 3
    assert old.startswith(b"rescind-approval-signature/1\n") and said.startswith(b"rescind-approval-signature/2\n")
    as_name = statement({**FACTS, "responded_by_name": "handed over"})
    assert as_name != said, "a comment is not taken for a name"
    keys = ApprovalKeys(SIGNER)
    assert keys.problem(said, *keys.sign(said)) == ""
    assert "is not valid" in keys.problem(old, *keys.sign(said)), "a comment that was cut off"
    assert "is not valid" in keys.problem(said, *keys.sign(old)), "a comment that was added"


def test_every_field_is_covered() -> None:
    keys = ApprovalKeys(SIGNER)
    name, signature = keys.sign(statement(FACTS))
    assert (name, keys.problem(statement(FACTS), name, signature)) == (key_name(APPROVAL_PUBLIC), "")
    for field in SIGNED:
        changed = statement({**FACTS, field: True if field == "automatic" else "x"})
        assert "is not valid" in keys.problem(changed, name, signature), field
        with pytest.raises(KeyError):
            statement({one: value for one, value in FACTS.items() if one != field})


def test_texts_do_not_run_into_each_other() -> None:
    one = statement({**FACTS, "requested_by": 'a","responded_by":"b', "responded_by": ""})
    assert one != statement({**FACTS, "requested_by": "a", "responded_by": "b"})


def test_the_signature_fits_no_other_purpose_even_with_the_same_key() -> None:
    message = statement(FACTS)
    _, signature = ApprovalKeys(SIGNER).sign(message)
    bundle = sign(message, SIGNER)
    assert check(message, bundle) == APPROVAL_PUBLIC
    assert not fits(message, json.loads(bundle)["signature"], APPROVAL_PUBLIC)
    assert fits(message, signature, APPROVAL_PUBLIC)


@pytest.mark.parametrize("signature", ["", "zz", "00" * 64, "0" * 127])
def test_what_is_no_signature_is_refused(signature: str) -> None:
    assert ApprovalKeys(SIGNER).problem(statement(FACTS), key_name(APPROVAL_PUBLIC), signature)


def test_a_signature_is_compared_whole() -> None:
    keys, message = ApprovalKeys(SIGNER), statement(FACTS)
    name, signature = keys.sign(message)
    assert keys.problem(message, name, signature) == ""
    for wrong in (signature[:-1] + "0123"[signature[-1] == "0"], signature.upper(), signature[:-2], signature + "00"):
        assert "is not valid" in keys.problem(message, name, wrong), wrong
    for other in (name[:-1] + "0123"[name[-1] == "0"], name[:-1], ""):
        assert "not accepted here" in keys.problem(message, other, signature), other


def test_a_remembered_signature_is_no_way_around_the_check() -> None:
    """The last valid signature is remembered; every change of message, key or signature is checked again."""
    keys, message = ApprovalKeys(SIGNER, [OLD_PUBLIC]), statement(FACTS)
    name, signature = keys.sign(message)
    old_name, old_signature = ApprovalKeys(OLD).sign(message)
    for _ in range(2):
        assert keys.problem(message, name, signature) == ""
        assert keys.problem(message + b" ", name, signature)
        assert keys.problem(message, old_name, signature)
        assert keys.problem(message, name, old_signature)
    assert keys.problem(message, old_name, old_signature) == ""


def test_after_a_rotation_old_and_new_approvals_count_and_the_new_key_signs() -> None:
    message = statement(FACTS)
    before = ApprovalKeys(OLD).sign(message)
    during, after = ApprovalKeys(SIGNER, [OLD_PUBLIC]), ApprovalKeys(SIGNER)
    assert during.sign(message)[0] == key_name(APPROVAL_PUBLIC)
    assert during.problem(message, *before) == ""
    assert f"key '{key_name(OLD_PUBLIC)}', which is not accepted here" in after.problem(message, *before)


def test_without_a_key_nothing_is_signed_and_nothing_accepted() -> None:
    name, signature = ApprovalKeys(SIGNER).sign(statement(FACTS))
    assert "accepted: none" in ApprovalKeys().problem(statement(FACTS), name, signature)
    with pytest.raises(ConfigurationError, match="openssl genpkey"):
        ApprovalKeys().sign(statement(FACTS))
    readers = ApprovalKeys(accepted=[APPROVAL_PUBLIC])
    assert readers.problem(statement(FACTS), name, signature) == ""
    with pytest.raises(ConfigurationError, match="no key to sign approvals"):
        readers.sign(statement(FACTS))


def _line(key: Ed25519PrivateKey) -> str:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return pem.splitlines()[1]


@pytest.mark.airflow
def test_where_the_keys_come_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rescind.hooks.signing_keys import APPROVAL_VARIABLE, approval_keys, check_approval_key
    from rescind.settings import Settings

    file = approval_key_file(tmp_path)
    line = file.read_text().replace("\n", "\\n")
    monkeypatch.setenv("AIRFLOW_CONN_APPROVALS", json.dumps({"conn_type": "generic", "password": line}))
    monkeypatch.setenv("AIRFLOW_CONN_EMPTY", '{"conn_type": "generic"}')
    both = {key_name(APPROVAL_PUBLIC), key_name(OLD_PUBLIC)}
    further = (_line(OLD),)
    for settings in (
        Settings(approval_key_file=str(file), approval_public_keys=further),
        Settings(approval_key_conn_id="approvals", approval_public_keys=further),
    ):
        assert set(approval_keys(settings).accepted) == both
        assert approval_keys(settings).require_signing().sign(b"x") == SIGNER.sign(b"x")
    assert not approval_keys(Settings()).accepted
    check_approval_key(Settings(), dry_run=True)
    with pytest.raises(ConfigurationError, match=r"no key to sign it with.*openssl genpkey.*RESCIND_APPROVAL_KEY"):
        check_approval_key(Settings(), dry_run=False)
    monkeypatch.setenv(APPROVAL_VARIABLE, line)
    assert set(approval_keys(Settings()).accepted) == {key_name(APPROVAL_PUBLIC)}
    check_approval_key(Settings(), dry_run=False)
    for bad, message in (
        ({"approval_key_file": "a", "approval_key_conn_id": "b"}, "both set"),
        ({"approval_key_file": "/nowhere/key.pem"}, "'approval_key_file'.*cannot be read"),
        ({"approval_key_conn_id": "nobody"}, "connection 'nobody'.*is missing"),
        ({"approval_key_conn_id": "empty"}, "no Ed25519 private key"),
        ({"approval_public_keys": (_line(OLD), "x")}, "'approval_public_keys', number 2"),
    ):
        with pytest.raises(ConfigurationError, match=message) as caught:
            approval_keys(Settings(**bad))
        assert os.environ[APPROVAL_VARIABLE][40:60] not in str(caught.value)
