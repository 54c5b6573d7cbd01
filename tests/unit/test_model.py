"""Identity of grants and calls, and the canonical form under every digest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescind.model import GrantKey, PlannedCall, canonical, digest

KEYS = st.builds(GrantKey, *[st.text(max_size=12)] * 8)


@given(KEYS)
def test_a_grant_id_is_the_digest_of_the_whole_tuple(key: GrantKey) -> None:
    assert key.grant_id == digest(list(key))


@given(KEYS, KEYS)
def test_two_keys_share_an_id_only_when_every_field_is_equal(one: GrantKey, two: GrantKey) -> None:
    assert (one.grant_id == two.grant_id) == (one == two)


def test_fields_do_not_run_into_each_other() -> None:
    one = GrantKey("s", "a", "t", "r1", "user", "u", "e")
    two = GrantKey("s", "a", "t", "r", "1user", "u", "e")
    assert one.grant_id != two.grant_id


def test_the_canonical_form_sorts_keys_and_refuses_floats_anywhere() -> None:
    assert canonical({"b": [1, "ä"], "a": None}) == '{"a":null,"b":[1,"ä"]}'.encode()
    for value in (1.0, [0.5], {"a": [{"b": 2.5}]}):
        with pytest.raises(TypeError, match="float"):
            canonical(value)
    with pytest.raises(TypeError, match="text keys"):
        canonical({1: "a"})


def test_a_call_is_named_by_its_content_and_knows_its_cells() -> None:
    call = PlannedCall("s", "a", "c", ("r1", "r2"), (("user", ("1",)), ("group", ("2",))))
    same = PlannedCall("s", "a", "c", ("r1", "r2"), (("user", ("1",)), ("group", ("2",))))
    other = PlannedCall("s", "a", "c", ("r2", "r1"), (("user", ("1",)), ("group", ("2",))))
    assert call.call_id == same.call_id != other.call_id
    assert len(call.cells()) == 4 and call.cells() == other.cells()
