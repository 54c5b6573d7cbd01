"""What mapped tasks get from XCom: an id in the ledger, and a label for people. Never the grants themselves."""

from __future__ import annotations

from typing import TypedDict


class ScopeRef(TypedDict):
    """One scope of a run."""

    scope: str
    label: str


class BatchRef(TypedDict):
    """One batch of a plan."""

    batch: str
    label: str


class QuestionRef(TypedDict):
    """One question to an owner; ``question`` is its digest."""

    question: str
    label: str
