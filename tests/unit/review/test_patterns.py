"""Patterns: the same answers as a regular expression, without its many ways to divide the value."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rescind.review import patterns
from rescind.review.patterns import matches


def by_regex(pattern: str, value: str) -> bool:
    parts = (".*" if one == "*" else "." if one == "?" else re.escape(one) for one in re.split(r"([*?])", pattern))
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


@settings(max_examples=1500, deadline=None)
@given(st.text("ab*?", max_size=9), st.text("ab\n", max_size=12))
def test_patterns_mean_what_a_regular_expression_means(pattern: str, value: str) -> None:
    assert matches(pattern, value, glob=True) == by_regex(pattern, value)


@given(st.text("ab*?", max_size=6), st.text("ab*?", max_size=6))
def test_without_glob_only_the_same_text_matches(pattern: str, value: str) -> None:
    assert matches(pattern, value, glob=False) == (pattern == value)


@pytest.mark.parametrize("stars", [5, 20, 200])
@pytest.mark.parametrize("end", ["b", "*b", "*?b", "ab*"])
def test_the_effort_grows_with_the_pattern_and_never_with_the_ways_to_divide_the_value(
    stars: int, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With backtracking, 20 stars over 100,000 letters would take longer than the universe is old."""
    value, steps = "a" * 100_000, [0]
    find = patterns._find

    def counted(part: str, value: str, start: int, end: int) -> int:
        steps[0] += 1
        return find(part, value, start, end)

    monkeypatch.setattr(patterns, "_find", counted)
    assert matches("*a" * stars + end, value, glob=True) is False
    assert 0 <= steps[0] <= stars + 2, "each part is searched at most once"


def test_each_search_begins_where_the_one_before_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    find = patterns._find

    def noted(part: str, value: str, start: int, end: int) -> int:
        begun.append(start)
        return find(part, value, start, end)

    monkeypatch.setattr(patterns, "_find", noted)
    assert matches("x*a?*b*a*y", "x_aq_b_a_y", glob=True)
    assert begun == sorted(begun) and len(begun) == 3
