"""The records of signed answers: to the plan, and of what an approver left out of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rescind.evidence.bundle.format import moment
from rescind.ledger import Approval, Narrowing, Selection

Record = dict[str, Any]


def approval_record(one: Approval, keys: Mapping[str, bytes]) -> Record:
    """Return the record of a request for approval and its answer.

    :param keys: the public keys that the deployment accepts, by name.
    """
    return {
        **_answered(one, keys),
        "answer": one.answer,
        "automatic": one.automatic,
        "measured_against": one.method,
        "airflow_record": one.airflow_record,
        "used_at": moment(one.used_at),
        "used_by_batch": one.used_by_batch,
    }


def narrowing_record(one: Narrowing, keys: Mapping[str, bytes]) -> Record:
    """Return the record of what an approver left out.

    :param keys: the public keys that the deployment accepts, by name.
    """
    return {
        **_answered(one, keys),
        "left_out": [list(part) for part in one.left_out],
        "grants": one.grants,
        "grants_digest": one.grants_digest,
    }


def selection_record(one: Selection) -> Record:
    """Return the record of the lines that an approver selected. The answer that uses them is signed."""
    return {
        "user": one.user_id,
        "user_name": one.user_name,
        "chosen_at": moment(one.chosen_at),
        "comment": one.comment,
        "grants": list(one.grant_ids),
    }


def _answered(one: Approval | Narrowing, keys: Mapping[str, bytes]) -> Record:
    return {
        "digest": one.digest,
        "nonce": one.nonce,
        "requested_by": one.requested_by,
        "requested_at": moment(one.requested_at),
        "valid_until": moment(one.valid_until),
        "responded_by": one.responded_by,
        "responded_by_name": one.responded_by_name,
        "responded_at": moment(one.responded_at),
        "comment": one.comment,
        "signing_key": one.signing_key,
        "signature": one.signature,
        # From the settings, not from the ledger, which holds no key.
        "public_key": keys.get(one.signing_key, b"").hex(),
    }
