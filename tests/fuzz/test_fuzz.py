"""Broken answers: only typed errors, bounded time and memory, and never a wrong "gone" or "done".

``FUZZ_CASES`` sets the number of answers (default 100,000), ``FUZZ_SEED`` where to begin. A failure
names the case's number: the same seed and number make the same bytes again.
"""

from __future__ import annotations

import json
import os
import random
import resource
import sys
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescind.cloud.answers.responses import judge
from rescind.cloud.transport import Raw
from rescind.errors import MalformedResponseError, UnknownOutcomeError
from tests.contract.messages import calm, messages
from tests.fuzz.drive import NOW, SLOWEST_S, Tally, WrongVerdictError, case, raw_of, run
from tests.fuzz.goldens import Golden, documents, goldens

CASES = int(os.environ.get("FUZZ_CASES", "100000"))
SEED = int(os.environ.get("FUZZ_SEED", "20260101"))
PARTS = 4
MEMORY_MB = 400


KEYWORDS = ["Response", "Data", "Error", "Code", "Details", "TotalCount", "Success", "Result", "Results", "RequestId"]
_MB = 1024 * 1024
HOSTILE = {
    "deep": lambda: b"[" * _MB,
    "deep-objects": lambda: b'{"a":' * (_MB // 8) + b"1" + b"}" * (_MB // 8),
    "wide": lambda: b'{"Response":{"Data":[' + b"0," * (_MB // 4) + b"0]}}",
    "digits": lambda: b'{"Response":{"Data":' + b"7" * _MB + b"}}",
    "exponent": lambda: b'{"Response":{"Data":1e' + b"9" * 100_000 + b"}}",
    "quotes": lambda: b'"' * _MB + b"\\" * _MB,
    "escapes": lambda: b'{"Response":{"Data":"' + b"\\u0041" * (_MB // 6) + b'"}}',
    "keys": lambda: b"{" + b",".join(b'"k%d":0' % n for n in range(50_000)) + b"}",
    "nulls": lambda: b"\x00" * _MB,
}


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_the_goldens_are_answers_and_refusals() -> None:
    """Unbroken, each says what it should: the oracle agrees with the package before anything is broken."""
    tally, kinds = Tally(), set()
    for golden in goldens():
        for place, page in enumerate(golden.pages):
            run(golden, place, raw_of(page), tally)
        kinds.add((golden.product, golden.action))
    assert kinds == set(messages())
    assert tally.outcomes["complete"] > 80
    assert tally.outcomes["accepted"] >= 8
    assert tally.outcomes["UnauthorizedError"] >= 10


@pytest.mark.seconds(180 + CASES // 200)
@pytest.mark.parametrize("part", range(PARTS))
def test_broken_answers(part: int) -> None:
    pool, parts, tally = list(goldens()), documents(), Tally()
    before = peak_mb()
    for number in range(part, CASES, PARTS):
        golden, place, raw = case(pool, parts, random.Random(SEED * 1_000_003 + number))
        try:
            run(golden, place, raw, tally)
        except WrongVerdictError as wrong:
            where = f"case {number} of seed {SEED}, {golden.name} page {place + 1}"
            pytest.fail(f"{where}: {wrong}\n{raw.status} {raw.body[:3000]!r}")
    print(f"part {part}: {dict(tally.outcomes.most_common())}, slowest {tally.slowest * 1000:.1f} ms")
    assert tally.cases == len(range(part, CASES, PARTS))
    assert tally.slowest < SLOWEST_S
    assert peak_mb() - before < MEMORY_MB
    if CASES >= 20_000:  # the mutator reaches every kind of outcome
        assert {"accepted", "complete", "incomplete", "read", "MalformedResponseError", "UnknownOutcomeError"} <= set(
            +tally.outcomes
        )


def peak_mb() -> float:
    """The most memory that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 1024 * 1024)


def of(action: str) -> Golden:
    return next(golden for golden in goldens() if golden.action == action)


@calm(200)
@given(
    st.sampled_from(["RevokePrivileges", "RevokeUserPermission", "CancelAuthorizationMenu", "ListPermissions"]),
    st.binary(max_size=200)
    | st.text(max_size=80).map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=5),
        max_leaves=20,
    ).map(as_json),
)
def test_answers_out_of_nowhere(action: str, body: bytes) -> None:
    """Arbitrary bytes and arbitrary JSON made of the vendors' words."""
    run(of(action), 0, Raw(200, {}, body, NOW, NOW), Tally())


@pytest.mark.parametrize("kind", ["ListPermissions", "RevokePrivileges", "ListPortalMenus", "ListUserPermissions"])
@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_answers_cost_little(kind: str, name: str) -> None:
    """A megabyte or two made to be expensive: refused in seconds, in a bounded multiple of their size."""
    body = HOSTILE[name]()
    golden = of(kind)
    tracemalloc.start()
    began = time.perf_counter()
    try:
        judged = judge(golden.pages[0].prepared, Raw(200, {}, body, NOW, NOW), repeated=lambda request_id: False)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(judged.error, UnknownOutcomeError if golden.message.write else MalformedResponseError)
    assert time.perf_counter() - began < 30
    assert peak < 60 * len(body) + 2_000_000


def test_an_answer_with_the_id_of_an_earlier_one_is_not_believed() -> None:
    for action, error in (("RevokePrivileges", "UnknownOutcomeError"), ("ListPermissions", "TransientError")):
        golden = of(action)
        judged = judge(golden.pages[0].prepared, raw_of(golden.pages[0]), repeated=lambda request_id: True)
        assert type(judged.error).__name__ == error
