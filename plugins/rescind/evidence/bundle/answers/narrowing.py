"""Check in a bundle what an approver left out: who did, signed, and that the plan is a part of the plan before it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Set
from typing import Any

from rescind.approval_signature import fits, key_name, narrowing_statement, selection_mark
from rescind.evidence.bundle.answers.approval import may_be_one
from rescind.evidence.bundle.effect_ids import effect_ids
from rescind.evidence.bundle.format import EFFECTS, EFFECTS_BEFORE, encode
from rescind.evidence.bundle.read import Source, records
from rescind.evidence.bundle.signing import weak
from rescind.run_state.states import kept_by, was_left_out
from rescind.users import shown_user

Record = Mapping[str, Any]
SELECTION = "selection"
_HEAD = b',"policy_version":'
_NARROWED = re.compile(rb'"narrowed":\{"by":"([0-9a-f]{64})","of":"([0-9a-f]{64})"\}')
_PIECE = 1 << 16
_UNSIGNED = "an item says that an approver left it out, and nothing that was signed says so"


def check_narrowing(
    source: Source,
    review: Record,
    plan: Record,
    items: Mapping[str, Record],
    keys: Collection[bytes] | None,
) -> tuple[list[str], list[str]]:
    """Return problems and notes about what was left out of the plan; both empty where nothing was.

    :param keys: public keys (32 bytes each), of which one must have signed; None: the key in the record.
    """
    narrowing, named = plan.get("narrowing"), _named(source)
    said = {ident for ident, item in items.items() if was_left_out(item["standing"], item["reason"])}
    if narrowing is None:
        unsigned = [_UNSIGNED] if said else []
        return (["the plan was narrowed, and nothing says by whom"] if named else unsigned), []
    by = shown_user(narrowing["responded_by"], narrowing["responded_by_name"])
    found, mark = _signed(review, narrowing, keys)
    name = narrowing["responded_by_name"] or narrowing["responded_by"]
    if may_be_one(name, narrowing["requested_by"], review["requested_by"]):
        found.append("the requester left out a part of the plan of their own run")
    reason = kept_by(by, narrowing["comment"])
    kept = {ident for ident, item in items.items() if item["call"] is None and item["reason"] == reason}
    found += _selection(source, review, narrowing, kept)
    if plan["digest"] != narrowing["digest"]:
        if named != (mark, narrowing["digest"]):
            found.append("the plan does not name what was left out as it was signed")
        found += _part(source, narrowing, items, kept)
        said -= kept
    elif named:
        found.append("the plan was narrowed twice")
    if said:
        found.append(_UNSIGNED)
    what = "grant" if narrowing["grants"] == 1 else "grants"
    note = f"{by!r} left out {narrowing['grants']} {what} of plan {narrowing['digest'][:12]}, signed"
    return found, [note]


def _signed(review: Record, narrowing: Record, keys: Collection[bytes] | None) -> tuple[list[str], str]:
    """Return the problems of the signature, and the digest of what is signed."""
    run = {"run": review["run"], "dag": review["dag"], "airflow_run": review["airflow_run"]}
    message = narrowing_statement({**narrowing, **run})
    name = str(narrowing["signing_key"])
    known = keys if keys is not None else [bytes.fromhex(narrowing["public_key"])] * bool(narrowing["public_key"])
    raw = next((one for one in known if key_name(one) == name), None)
    found = []
    if raw is None:
        found.append(f"what was left out is signed by key {name[:16]}, which is not accepted")
    elif weak(raw) or not fits(message, str(narrowing["signature"]), raw):
        found.append(f"the signature of what was left out by key {name} is not valid: it was changed or forged")
    return found, hashlib.sha256(message).hexdigest()


def _selection(source: Source, review: Record, narrowing: Record, kept: Set[str]) -> list[str]:
    """Return why what was left out is not what the approver had selected on the page; empty without a selection.

    What stays beside the selected lines would only have closed paths.
    """
    signed, wish = (
        [one for one in narrowing["left_out"] if len(one) == 3 and one[0] == SELECTION],
        narrowing.get(SELECTION),
    )
    if not signed or wish is None:
        return ["the selection of lines is missing, or nothing that was signed names it"] if signed or wish else []
    found = []
    user = (wish["user"], wish["user_name"])
    mark = selection_mark(review["run"], narrowing["digest"], *user, wish["comment"], wish["grants"])
    if narrowing["left_out"] != [[SELECTION, mark, wish["chosen_at"]]]:
        found.append("the selection of lines is not the one that was signed")
    if wish["user"] != narrowing["responded_by"]:
        found.append("the selection of lines is by another user than the answer")
    if not wish["chosen_at"] < narrowing["responded_at"]:
        found.append("the selection of lines was saved after the answer")
    if narrowing["comment"] != wish["comment"] and not narrowing["comment"].startswith(f"{wish['comment']}\n"):
        found.append("the reason of the selection is not the one that was signed")
    lines = set(wish["grants"])
    if kept and lines - kept:  # without kept items the narrower plan was never made
        found.append("a selected line was not kept")
    more = kept - lines
    if more and any(one["grant_id"] in more and one["rule"] != "closes_path" for one in records(source, "decisions")):
        found.append("a grant was kept that was not selected")
    return found


def _part(
    source: Source,
    narrowing: Record,
    items: Mapping[str, Record],
    kept: Set[str],
) -> list[str]:
    """Return why the plan is not the plan before it without exactly what was left out."""
    found, total = [], hashlib.sha256()
    with source.open(EFFECTS_BEFORE) as file:
        while piece := file.read(_PIECE):
            total.update(piece)
    if total.hexdigest() != narrowing["digest"]:
        found.append("the effects of the plan before do not match its digest")
    if (len(kept), hashlib.sha256(encode(sorted(kept))).hexdigest()) != (
        narrowing["grants"],
        narrowing["grants_digest"],
    ):
        found.append("the grants that were kept are not those that were left out")
    before, after = set(effect_ids(source, EFFECTS_BEFORE)), set(effect_ids(source, EFFECTS))
    if not after <= before - kept:
        found.append("the plan has a grant that was left out, or that the plan before it did not have")
    if not kept <= before or before - after - items.keys():
        found.append("the plan before it had other grants")
    return found


def _named(source: Source) -> tuple[str, str] | None:
    """Return (mark, digest of the plan before) from the approved effects, or None."""
    head = b""
    with source.open(EFFECTS) as file:
        while _HEAD not in head and (piece := file.read(_PIECE)):
            head += piece
    match = _NARROWED.search(head.partition(_HEAD)[0])
    return None if match is None else (match[1].decode(), match[2].decode())
