"""One vocabulary: which words, tone and sign a run gets, and that nothing is green while anything remains."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from rescind.model import ItemState, Verdict
from rescind.run_state.states import (
    BAD,
    GOOD,
    PLAIN,
    WAITING,
    WARN,
    Counts,
    StateWords,
    closed_state,
    live_state,
    proof_state,
    tone_of,
    what_remains,
    words_of,
)

CLEAN = Counts(items=10, proven=10)


@pytest.mark.parametrize(
    ("state", "counts", "more", "key", "words"),
    [
        ("succeeded", CLEAN, {}, "proven", "✓ closed, all proven gone"),
        ("succeeded", CLEAN, {"operation": "restore"}, "proven", "✓ closed, all restored"),
        ("succeeded", Counts(), {}, "nothing", "✓ closed, nothing to revoke"),
        ("succeeded", Counts(10, 9, held=1), {}, "remains", "▲ closed, access remains (1)"),
        ("succeeded", Counts(10, 8, effective=2), {}, "remains", "▲ closed, access remains (2)"),
        ("succeeded", Counts(10, 10, kept=3), {}, "remains", "▲ closed, access remains (3)"),
        ("succeeded", Counts(0, 0, kept=1), {}, "remains", "▲ closed, access remains (1)"),
        ("succeeded", Counts(10, 9, unproven=1), {}, "not_proven", "▲ closed, not proven gone (1)"),
        ("succeeded", Counts(10, 7, 1, 1, 1), {}, "remains", "▲ closed, access remains (2)"),
        ("succeeded", Counts(3, 2, held=1), {"operation": "restore"}, "remains", "▲ closed, not all restored (1)"),
        ("failed", Counts(10, 7), {"answer": "approve", "calls": 4}, "failed", "✕ failed, access remains (3)"),
        ("failed", CLEAN, {"answer": "approve", "calls": 4}, "failed", "✕ failed"),
        ("failed", Counts(10), {"calls": 4}, "not_approved", "✕ not approved, nothing sent"),
        ("failed", Counts(), {}, "failed", "✕ failed"),
        ("rejected", Counts(10), {"answer": "reject", "calls": 4}, "rejected", "✕ rejected, nothing sent"),
        ("dry_run", Counts(10, held=1), {"calls": 4}, "dry_run", "◇ dry run, nothing sent"),
        ("abandoned", Counts(10), {"calls": 4}, "abandoned", "✕ abandoned"),
    ],
)
def test_a_closed_run_in_words(state: str, counts: Counts, more: dict[str, Any], key: str, words: str) -> None:
    found = closed_state(state, counts, **more)
    assert (found.key, found.text) == (key, words)


@pytest.mark.parametrize("field", ["held", "effective", "kept", "unproven", "other"])
def test_no_run_is_good_while_anything_remains(field: str) -> None:
    left = Counts(10, 9) if field == "other" else replace(CLEAN, items=11 if field != "kept" else 10, **{field: 1})
    state = closed_state("succeeded", left, answer="approve", calls=1)
    assert state.tone == "warn"
    assert len(what_remains(left)) == 1 and what_remains(left)[0].startswith("1 ")
    assert closed_state("succeeded", CLEAN, answer="approve", calls=1).tone == GOOD


def test_what_remains_adds_up() -> None:
    counts = Counts(items=20, proven=10, unproven=1, effective=2, held=3, kept=4)
    assert sum(int(line.split()[0]) for line in what_remains(counts)) == counts.remaining + counts.unproven == 14
    assert what_remains(CLEAN) == []


def test_every_state_and_verdict_has_words() -> None:
    for name in (*ItemState, *Verdict):
        assert words_of(name) and "_" not in words_of(name)
    assert tone_of("no such state") == PLAIN
    assert words_of("no_such_state") == "no such state"
    assert {name for name in (*ItemState, *Verdict) if tone_of(name) == GOOD} == {
        ItemState.RESTORED, Verdict.VERIFIED_GONE, Verdict.ALREADY_ABSENT,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("stage", "tone"), [("waiting for approval", "hold"), ("blocked", "warn"), ("revoking", "live")]
)
def test_a_run_at_work_in_words(stage: str, tone: str) -> None:
    assert (live_state(stage).words, live_state(stage).tone) == (stage, tone)


PROVEN = closed_state("succeeded", Counts(items=2, proven=2), answer="approve", calls=1)
NOTHING = closed_state("succeeded", Counts(), answer=None, calls=0)
EFFECTIVE = closed_state("succeeded", Counts(items=2, proven=1, effective=1), answer="approve", calls=1)
REJECTED = closed_state("rejected", Counts(items=2), answer="reject", calls=1)


@pytest.mark.parametrize(
    ("own", "number", "tone", "found"),
    [
        (PROVEN, None, "", ("proof_pending", WAITING, "known access gone, full proof pending")),
        (PROVEN, 9, "", ("proof_pending", WAITING, "known access gone, full proof pending (run 9)")),
        (PROVEN, 9, GOOD, ("proof_done", GOOD, "closed, all proven gone (run 9)")),
        (PROVEN, 9, WARN, ("proof_open", WARN, "known access gone, full proof open (run 9)")),
        (PROVEN, 9, "plain", ("proof_open", WARN, "known access gone, full proof open (run 9)")),
        (NOTHING, 9, "", ("proof_pending", WAITING, "no known access found, full proof pending (run 9)")),
        (NOTHING, 9, GOOD, ("proof_done", GOOD, "closed, all proven gone (run 9)")),
        (EFFECTIVE, 9, "", ("remains", WARN, "closed, access remains (1); full proof pending (run 9)")),
        (EFFECTIVE, 9, GOOD, ("remains", WARN, "closed, access remains (1); full proof closed (run 9)")),
        (REJECTED, 9, BAD, ("rejected", PLAIN, "rejected, nothing sent; full proof open (run 9)")),
    ],
)
def test_a_run_of_known_access_is_good_only_after_the_run_over_everybody(
    own: StateWords, number: int | None, tone: str, found: tuple[str, str, str]
) -> None:
    state = proof_state(own, number, tone)
    assert (state.key, state.tone, state.words) == found
