from __future__ import annotations

import contextlib
import json
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rescind.cloud.answers.strict_json import MAX_DEPTH, JsonError, loads, loads_text
from rescind.cloud.fields import exact_count, exact_flag, exact_number, exact_text


def test_integers_stay_exact() -> None:
    assert loads(b'{"Id": 1234567890123456789}') == {"Id": 1234567890123456789}
    assert exact_text(loads(b"1234567890123456789012345")) == "1234567890123456789012345"


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"{", b'{"a":1', b"[1,]", b"{'a':1}", b'{"a":1}x', b"nul",
        b"NaN", b"Infinity", b"-Infinity", b'{"a":NaN}', b"1e999", b"-1e999", b"9" * 41, b"-" + b"9" * 100_000,
        b'{"a":1,"a":2}', b'{"x":{"a":1,"a":1}}',
        "\ufeff{}".encode(), '{"a":"é"}'.encode("gbk", "replace") + b"\xff", '{"a":1}'.encode("utf-16"),
        b'{"a":"\xff"}',
        b"[" * 65 + b"]" * 65, b"[" * 1_000_000, b'{"a":' * 200_000, b"]" * 100, b"[}" * 100, b'{"a":"\n"}',
        b"0" * 2 + b"1", b"1." + b"0" * 5000,
    ],
    ids=lambda body: ascii(body[:20]) + str(len(body)),
)  # fmt: skip
def test_refused(body: bytes) -> None:
    with pytest.raises(JsonError):
        loads(body)


def test_nesting_up_to_the_limit_is_accepted() -> None:
    value = loads(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    depth = 0
    while value is not None:
        depth, value = depth + 1, (value[0] if value else None)
    assert depth == MAX_DEPTH


def test_brackets_inside_text_do_not_count() -> None:
    text = json.dumps({"a": "[" * 500 + '\\"' + "{" * 500, "b": [1]})
    assert loads(text.encode())["b"] == [1]


def test_entries_are_counted_before_anything_is_built() -> None:
    body = b"[" + b"[]," * 3_000_000 + b"[]]"
    tracemalloc.start()
    with pytest.raises(JsonError, match="entries"):
        loads(body)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000
    assert loads(b"[1,2,3]", max_entries=3) == [1, 2, 3]
    with pytest.raises(JsonError):
        loads(b"[1,2,3,4]", max_entries=3)


@pytest.mark.parametrize("body", [b'"' + b'\\"' * 1_000_000, b'["' + b'"' * 1_000_001, b'["' + b"\\" * 999_999])
def test_hostile_text_takes_linear_time(body: bytes) -> None:
    started = time.monotonic()
    with pytest.raises(JsonError):
        loads(b"[[" * 40 + body)
    assert time.monotonic() - started < 2


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_give_a_value_or_our_error(body: bytes) -> None:
    with contextlib.suppress(JsonError):
        loads(body)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)


@settings(max_examples=200, deadline=None)
@given(_JSON)
def test_ordinary_json_is_read_as_it_is(value: object) -> None:
    assert loads(json.dumps(value, ensure_ascii=True).encode()) == value
    assert loads(b"[" * 30 + json.dumps(value).encode() + b"]" * 30)


def test_text_inside_json() -> None:
    assert loads_text('[{"a":1}]') == [{"a": 1}]
    for bad in ("", "[", '{"a":1,"a":1}', "\ud800"):
        with pytest.raises(JsonError):
            loads_text(bad)


@pytest.mark.parametrize("value", [True, False, 1.0, 1e18])
def test_ids_are_never_floats_or_flags(value: object) -> None:
    for reader in (exact_text, exact_count, exact_number):
        with pytest.raises(ValueError, match=r"must be"):
            reader(value)


@pytest.mark.parametrize("value", ["", " 2", "2 ", "+2", "-2", "2.0", "0x2", "\u0662", "1_0", "1" * 19])
def test_counts_as_text_are_plain_digits(value: str) -> None:
    with pytest.raises(ValueError, match="digits"):
        exact_count(value)


def test_flags() -> None:
    assert [exact_flag(value) for value in (True, False, "true", "false")] == [True, False, True, False]
    for value in ("True", "FALSE", "TRUE", "0", "1", 0, 1, "", None, [], "yes"):
        with pytest.raises(ValueError, match="flag"):
            exact_flag(value)
    assert exact_number("-3") == -3
