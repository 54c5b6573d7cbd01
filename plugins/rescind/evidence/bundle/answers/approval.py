"""Check the signature of the answer to an approval request in a bundle."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from rescind.approval_signature import fits, key_name, statement
from rescind.errors import InputError
from rescind.evidence.bundle.signing import weak
from rescind.users import same_user, shown_user

OLD = (
    "the approval is not signed: the bundle is from a version before signed approvals. It shows who approved only as"
    " far as its ledger can be trusted"
)


def answered_by(approval: Mapping[str, Any]) -> str:
    """Return who answered, for people. Bundles of older versions have no name beside the id."""
    return shown_user(str(approval["responded_by"]), str(approval.get("responded_by_name") or ""))


def check_answer(
    review: Mapping[str, Any], approval: Mapping[str, Any], keys: Collection[bytes] | None
) -> tuple[str, str]:
    """Return a problem and a note about the signature of an answer; either may be empty.

    :param review: the record of the run.
    :param keys: public keys (32 bytes each), of which one must have signed. None: the key in the record, which the
        report task took from the settings of its deployment.
    """
    if approval["answer"] is None:
        return "", ""
    if "signature" not in approval:
        return (OLD, "") if keys is not None else ("", OLD)
    if not approval["signature"]:
        return "the approval is not signed: nobody approved this plan", ""
    name = str(approval["signing_key"])
    known = keys if keys is not None else [bytes.fromhex(approval["public_key"])] * bool(approval["public_key"])
    raw = next((one for one in known if key_name(one) == name), None)
    if raw is None:
        whose = "is not a given key" if keys is not None else "the deployment did not accept when it wrote the bundle"
        return f"the approval is signed by key {name[:16]}, which {whose}", ""
    run = {"run": review["run"], "dag": review["dag"], "airflow_run": review["airflow_run"]}
    if weak(raw):
        return f"the approval is signed by key {name}, which anyone can sign for", ""
    if not fits(statement({**approval, **run}), str(approval["signature"]), raw):
        return f"the signature of the approval by key {name} is not valid: the approval was changed or forged", ""
    which = "the given approval key" if keys is not None else "approval key"
    more = "" if keys is not None else "; pass --approval-key to check whose key it is"
    said = f"{approval['answer']} by {answered_by(approval)}{' (automatic)' if approval['automatic'] else ''}"
    return "", f"{said}, signed by {which} {name}{more}"


def may_be_one(approver: str, *requesters: str) -> bool:
    """Return whether an approver may be a requester; a name that is empty or imitates another one may be."""
    try:
        return not approver or any(same_user(approver, requester) for requester in requesters)
    except InputError:
        return True
