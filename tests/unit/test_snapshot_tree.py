"""The tree of a snapshot: some parts stand for it, and no other parts do."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescind.snapshot_tree import Known, Part, join, leaf, omittable, snapshot_digest

PRINCIPALS = st.tuples(
    st.sampled_from(["everyone", "group", "role", "user"]), st.text("ab\u00e9\U0001f600", max_size=3)
)
POPULATIONS = st.dictionaries(PRINCIPALS, st.integers(1, 3), max_size=20)


def ids_of(principal: tuple[str, str], grants: int) -> str:
    return hashlib.sha256(repr((principal, grants)).encode()).hexdigest()


def leaves_of(population: dict[tuple[str, str], int]) -> list[Part]:
    return [leaf(one, grants, ids_of(one, grants)) for one, grants in sorted(population.items())]


def sealed_by_hand(population: dict[tuple[str, str], int]) -> list[Any] | None:
    """The root as docs/adr/0016 describes it: hash, principals, grants, first, last."""

    def sha(prefix: bytes, value: object) -> str:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(prefix + text.encode()).hexdigest()

    def tree(rows: list[tuple[tuple[str, str], int]]) -> list[Any]:
        if len(rows) == 1:
            (principal, grants) = rows[0]
            made = sha(b"\0", [*principal, grants, ids_of(principal, grants)])
            return [made, 1, grants, list(principal), list(principal)]
        half = 1
        while 2 * half < len(rows):
            half *= 2
        left, right = tree(rows[:half]), tree(rows[half:])
        return [sha(b"\1", [left, right]), left[1] + right[1], left[2] + right[2], left[3], right[4]]

    return tree(sorted(population.items(), key=lambda row: [one.encode() for one in row[0]])) if population else None


@given(POPULATIONS)
def test_the_root_is_that_of_the_description(population: dict[tuple[str, str], int]) -> None:
    root, expected = join(leaves_of(population)), sealed_by_hand(population)
    assert (json.loads(json.dumps(root.facts())) if root else None) == expected
    text = json.dumps(
        ["rescind-snapshot/2", ["a", "complete", expected, None]], ensure_ascii=False, separators=(",", ":")
    )
    assert snapshot_digest([("a", "complete", root, None)]) == "2:" + hashlib.sha256(text.encode()).hexdigest()


@given(POPULATIONS, st.sets(PRINCIPALS, max_size=5))
def test_parts_without_the_known_stand_for_the_rest(
    population: dict[tuple[str, str], int], known: set[tuple[str, str]]
) -> None:
    leaves = leaves_of(population)
    parts = omittable(leaves, Known(known))
    full = [one for one in leaves if one.first in known or one.first[0] == "everyone"]
    assert join(sorted([*parts, *full], key=lambda part: part.first)) == join(leaves)
    for part in parts:
        assert not any(part.first <= one <= part.last for one in known)
        assert not part.first <= ("everyone", "") <= part.last


@given(POPULATIONS.filter(bool), st.sets(PRINCIPALS, max_size=4), st.data())
def test_no_other_parts_have_the_root(
    population: dict[tuple[str, str], int], known: set[tuple[str, str]], data: st.DataObject
) -> None:
    """A part that is dropped, doubled, moved, exchanged, or has other numbers or ends."""
    leaves = leaves_of(population)
    full = [one for one in leaves if one.first in known or one.first[0] == "everyone"]
    good = sorted([*omittable(leaves, Known(known)), *full], key=lambda part: part.first)
    place = data.draw(st.integers(0, len(good) - 1))
    one, bad = good[place], list(good)
    how = data.draw(st.sampled_from(["drop", "double", "move", "grants", "leaves", "first", "last", "hash", "add"]))
    try:
        match how:
            case "drop":
                del bad[place]
            case "double":
                bad.insert(place, one)
            case "move":
                bad.insert(data.draw(st.integers(0, len(good) - 1)), bad.pop(place))
            case "grants" | "leaves":
                bad[place] = replace(one, **{how: getattr(one, how) + data.draw(st.sampled_from([-1, 1, 2]))})
            case "first" | "last":
                bad[place] = replace(one, **{how: data.draw(PRINCIPALS)})
            case "hash":
                bad[place] = replace(one, hash="0" * 64)
            case "add":
                new = data.draw(PRINCIPALS)
                bad = sorted([*good, leaf(new, 1, ids_of(new, 1))], key=lambda part: part.first)
        root = join(bad)
    except ValueError:
        return
    assert bad == good or root != join(leaves)


@pytest.mark.parametrize(
    "change",
    [
        {"leaves": 0}, {"grants": 1}, {"leaves": True}, {"grants": 4.0}, {"hash": "A" * 64}, {"hash": "ab"},
        {"first": ("user", 1)}, {"last": ("user", "a")}, {"leaves": 1}, {"first": ("user", "c")},
    ],
)  # fmt: skip
def test_impossible_parts_are_refused(change: dict[str, Any]) -> None:
    facts: dict[str, Any] = {"hash": "a" * 64, "leaves": 2, "grants": 4, "first": ("user", "a"), "last": ("user", "b")}
    assert Part(**facts).facts()[1:3] == [2, 4]
    with pytest.raises(ValueError, match="a part of the snapshot"):
        Part(**{**facts, **change})


def test_a_leaf_is_no_node_and_a_tree_says_where_its_parts_are() -> None:
    leaves = leaves_of({("user", name): 1 for name in "abcdefg"})
    three = join(leaves[:3])
    assert three is not None
    with pytest.raises(ValueError, match="no subtree in its place"):
        join([three, *leaves[3:]])  # of seven, the left child has four
    with pytest.raises(ValueError, match="overlap"):
        join([leaves[1], leaves[0]])
    assert join([]) is None and snapshot_digest([]) != snapshot_digest([("", "", None, None)])
