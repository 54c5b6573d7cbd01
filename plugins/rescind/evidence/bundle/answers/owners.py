"""Check in a bundle what owners were asked: who handed over, who answered, and that the plan follows the answers."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping
from itertools import groupby
from typing import Any

from rescind.evidence.bundle.format import encode
from rescind.evidence.bundle.read import Source, records
from rescind.evidence.bundle.times import CLOCKS_APART, Times

Record = Mapping[str, Any]
HANDED = ("handed_by", "handed_to", "handed_at", "handed_comment")
_HEAD = (
    "reviewer",
    "no_answer",
    "asked_at",
    "answer_until",
    "method",
    "responded_by",
    "responded_at",
    "comment",
    *HANDED,
)


def asked_owners(source: Source) -> Iterator[tuple[str, list[Record]]]:
    """Yield each question to an owner: its digest, and the records of its grants in order."""
    for name, found in groupby(records(source, "questions"), key=lambda one: str(one["question"])):
        yield name, list(found)


def check_owner_answers(source: Source, items: Collection[str], times: Times, *, sanitized: bool) -> None:
    """Report what does not fit, through ``times``.

    :param items: ids of the grants of the plan.
    :param sanitized: whether the texts are pseudonyms, so that a digest over them is another one.
    """
    for name, found in asked_owners(source):
        head = found[0]
        if any(one.get(field) != head.get(field) for one in found for field in _HEAD):
            times.add("the records of a question do not agree", name)
        shown = [head["reviewer"], head["no_answer"], [[one["grant_id"], one["shown"]] for one in found]]
        if not sanitized and hashlib.sha256(encode(shown)).hexdigest() != name:
            times.add("the content of a question does not match its digest", name)
        _who(name, head, times)
        answers = {one["answer"] for one in found}
        if head["method"] == "no_answer" and answers != {head["no_answer"]}:
            times.add("a question without an answer was not settled by its rule", name)
        for one in found:
            if one["grant_id"] in items and one["answer"] != "revoke":
                times.add("the plan has a grant that its owner was asked about and nobody revoked", one["grant_id"])


def _who(name: str, head: Record, times: Times) -> None:
    """Check who handed over and who answered, and the order of the times."""
    handed_by, handed_to, handed_at, _ = (head.get(field) for field in HANDED)
    if len({handed_by is None, handed_to is None, handed_at is None}) > 1:
        times.add("a hand-over is not complete", name)
    elif handed_to is not None and (handed_by != head["reviewer"] or handed_to == handed_by):
        times.add("a question was handed over by somebody else than its reviewer, or to the reviewer", name)
    if head["method"] == "answer" and head["responded_by"] != (handed_to or head["reviewer"]):
        times.add("a question was answered by somebody who was not asked", name)
    times.in_run("a question", name, head["asked_at"], handed_at, head["responded_at"])
    for at in (handed_at, head["responded_at"] if head["method"] == "answer" else None):
        times.order("a question was answered or handed over after its due date", name, at, head.get("answer_until"))
    if head["method"] == "no_answer":
        due = (head.get("answer_until"), head["responded_at"])
        times.order("a question was settled by its rule before its due date", name, *due, allowed=CLOCKS_APART)
