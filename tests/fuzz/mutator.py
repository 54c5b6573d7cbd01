"""Breaks answers: their bytes, and the JSON behind them. Everything follows from one random number generator."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

TOKENS = (
    b"null", b"true", b"false", b"NaN", b"-Infinity", b"1e999", b"-0", b"0", b"1", b"-1", b"2.0", b"1.5",
    b"9223372036854775808", b"7" * 60, b"[]", b"{}", b'""', b'"true"', b'"false"', b'"0"', b",", b":", b'"', b"\\",
    b"\\u0000", b"\\ud800", b"\xff", b"\xc3", b"\xef\xbb\xbf", b"<Error>", b"\x00", b"\n", b"[[[[", b"}}}}",
    b'"Error":{"Code":"InternalError","Message":"m"},', b'"Success":false,', b'"Success":true,',
    b'"Code":"Throttling",',
    b'"Data":null,', b'"TotalCount":0,', b'"TotalNum":0,', b'"Result":[],', b'"Items":[],',
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 1.0, 1.5, 10**18, 10**45, "", "0", "1", "true", "false", "TRUE", "null", "None",
    " ", "x", "é", "\u0000", "\u2028", "a" * 300, [], {}, [None], [[]], [{}], {"a": 1},
)  # fmt: skip
KEYS = (
    "Error", "Code", "code", "Message", "Success", "success", "ErrorCode", "Data", "Items", "Result", "Results",
    "TotalCount", "TotalNum", "RequestId", "Response", "OverallSuccess", "Status", "x",
)  # fmt: skip
ERRORS: tuple[Any, ...] = (
    {"Code": "InternalError", "Message": "m"},
    {"Code": "ResourceNotFound", "Message": "m"},
    {"Code": "RequestLimitExceeded.UinLimitExceeded", "Message": "m"},
    {"Code": None},
    {},
    "ResourceNotFound",
    "Throttling.User",
    "NoPermission",
)
LARGEST = 60_000

Slot = tuple[Any, Any]
TreeChange = Callable[[random.Random, Any, list[Slot], list[Any]], None]


def mutate(rng: random.Random, body: bytes, document: Any, others: list[Any]) -> bytes:
    """A broken answer.

    :param document: a copy of the answer as JSON that may be changed.
    :param others: answers to take parts from; not changed.
    """
    if rng.random() < 0.62:
        holder = [document]
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            slots = _slots(holder)
            rng.choice(TREE)(rng, holder, slots, others)
        body = _text(rng, holder[0])
        if rng.random() < 0.85:
            return body[:LARGEST]
    for _ in range(rng.choice((1, 1, 2, 4))):
        body = rng.choice(BYTES)(rng, body)
    return body[:LARGEST]


def _text(rng: random.Random, value: Any) -> bytes:
    try:
        text = json.dumps(value, ensure_ascii=rng.random() < 0.5, separators=(",", ":"))
    except (ValueError, RecursionError):
        return b"{}"
    return text.encode("utf-8", "surrogatepass")


def _slots(holder: list[Any]) -> list[Slot]:
    """Every place of the document: (container, key)."""
    found: list[Slot] = []
    queue: list[Any] = [holder]
    while queue:
        inner = queue.pop()
        keys = inner if isinstance(inner, dict) else range(len(inner))
        for key in keys:
            found.append((inner, key))
            if isinstance(inner[key], dict | list):
                queue.append(inner[key])
    return found


# --- the tree -----------------------------------------------------------------------------------------


def _replace(rng: random.Random, holder: Any, slots: list[Slot], others: list[Any]) -> None:
    container, key = rng.choice(slots)
    container[key] = _copy(rng.choice(VALUES))


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value)) if isinstance(value, dict | list) else value


def _delete(rng: random.Random, holder: Any, slots: list[Slot], others: list[Any]) -> None:
    container, key = rng.choice(slots)
    if container is not holder:
        del container[key]


def _nearby(rng: random.Random, holder: Any, slots: list[Slot], others: list[Any]) -> None:
    """A value close to the one that is there: other type, other case, one more or less."""
    container, key = rng.choice(slots)
    value = container[key]
    if isinstance(value, bool):
        container[key] = rng.choice((not value, str(value).lower(), str(value), int(value)))
    elif isinstance(value, int | float):
        container[key] = rng.choice((value + 1, value - 1, -value, str(value), float(value), value * 10))
    elif isinstance(value, str):
        container[key] = rng.choice((value[:-1], value + "0", value.upper(), value.swapcase(), f" {value}", [value]))
    elif value is None:
        container[key] = rng.choice((0, "", [], {}))
    else:
        container[key] = rng.choice(([value], {"x": value}, json.dumps(value), None))


def _rename(rng: random.Random, holder: Any, slots: list[Slot], others: list[Any]) -> None:
    keyed = [(container, key) for container, key in slots if isinstance(container, dict)]
    if keyed:
        container, key = rng.choice(keyed)
        container[rng.choice((key.lower(), key.upper(), key + "s", key[:-1], rng.choice(KEYS)))] = container.pop(key)


def _add(rng: random.Random, holder: Any, slots: list[Slot], others: list[Any]) -> None:
    containers = [container for container, _ in slots if isinstance(container, dict)]
    if containers:
        rng.choice(containers)[rng.choice(KEYS)] = _copy(rng.choice(VALUES + ERRORS))


def _rows(rng: random.Random, holder: Any, slots: list[Slot], others: list[Any]) -> None:
    """Take rows away, repeat them, change their order."""
    lists = [container[key] for container, key in slots if isinstance(container[key], list)]
    if not lists:
        return
    rows = rng.choice(lists)
    kind = rng.randrange(5)
    if kind == 0:
        rows.clear()
    elif kind == 1 and rows:
        del rows[rng.randrange(len(rows))]
    elif kind == 2 and rows:
        rows.insert(rng.randrange(len(rows) + 1), rng.choice(rows))
    elif kind == 3:
        rows.reverse()
    else:
        rows.append(_copy(rng.choice(VALUES)))


def _count(rng: random.Random, holder: Any, slots: list[Slot], others: list[Any]) -> None:
    """Change declared totals."""
    totals = [(container, key) for container, key in slots if key in ("TotalCount", "TotalNum", "Result")]
    if totals:
        container, key = rng.choice(totals)
        value = container[key]
        near = (value - 1, value + 1, 0) if isinstance(value, int) else ()
        container[key] = rng.choice((*near, None, "3", 3.0, -1, 10**30, True))


def _graft(rng: random.Random, holder: Any, slots: list[Slot], others: list[Any]) -> None:
    """A part of another answer, or all of it."""
    container, key = rng.choice(slots)
    source, inner = rng.choice(_slots([rng.choice(others)]))
    container[key] = _copy(source[inner])


def _nest(rng: random.Random, holder: Any, slots: list[Slot], others: list[Any]) -> None:
    container, key = rng.choice(slots)
    for _ in range(rng.choice((1, 5, 70, 400))):
        container[key] = [container[key]] if rng.random() < 0.5 else {"x": container[key]}


TREE: tuple[TreeChange, ...] = (
    _replace, _replace, _delete, _delete, _nearby, _nearby, _nearby, _rename, _add, _rows, _rows, _count, _graft, _nest
)  # fmt: skip

# --- the bytes ----------------------------------------------------------------------------------------


def _at(rng: random.Random, body: bytes) -> int:
    return rng.randrange(len(body) + 1)


def _flip(rng: random.Random, body: bytes) -> bytes:
    if not body:
        return body
    at = rng.randrange(len(body))
    return body[:at] + bytes([body[at] ^ (1 << rng.randrange(8))]) + body[at + 1 :]


def _insert(rng: random.Random, body: bytes) -> bytes:
    at = _at(rng, body)
    return body[:at] + rng.choice(TOKENS) + body[at:]


def _cut(rng: random.Random, body: bytes) -> bytes:
    at = _at(rng, body)
    return body[:at] + body[at + rng.choice((1, 1, 2, 8, 64, 1000)) :]


def _truncate(rng: random.Random, body: bytes) -> bytes:
    return body[: _at(rng, body)]


def _repeat(rng: random.Random, body: bytes) -> bytes:
    at, length = _at(rng, body), rng.choice((1, 4, 40, 400))
    return body[:at] + body[at : at + length] * rng.choice((2, 2, 3, 50)) + body[at + length :]


def _overwrite(rng: random.Random, body: bytes) -> bytes:
    at, token = _at(rng, body), rng.choice(TOKENS)
    return body[:at] + token + body[at + len(token) :]


def _swap(rng: random.Random, body: bytes) -> bytes:
    one, two, three = sorted(_at(rng, body) for _ in range(3))
    return body[:one] + body[two:three] + body[one:two] + body[three:]


def _double_key(rng: random.Random, body: bytes) -> bytes:
    """Say something twice: a key that comes again with another value."""
    at = body.find(b'{"', _at(rng, body))
    end = body.find(b'":', at)
    if at < 0 or end < 0:
        return body
    return body[: at + 1] + body[at + 1 : end + 2] + rng.choice((b"null,", b"true,", b"[],", b"0,")) + body[at + 1 :]


def _wrap(rng: random.Random, body: bytes) -> bytes:
    before, after = rng.choice(((b" ", b"\n"), (b"[", b"]"), (b"", b"garbage"), (b"<", b""), (b"\xef\xbb\xbf", b"")))
    return before + body + after


BYTES: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    _flip, _flip, _insert, _insert, _cut, _truncate, _repeat, _overwrite, _swap, _double_key, _wrap
)  # fmt: skip
