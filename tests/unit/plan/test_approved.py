"""What was approved comes back from the canonical bytes exactly, however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rescind.errors import PlanError
from rescind.model import GrantKey, Mode
from rescind.plan.approved import approved_settings, read_approved
from rescind.plan.effects import SystemEffects, effects
from rescind.plan.restore_effects import SystemRestores, restore_effects

_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
_KEYS = st.builds(GrantKey, st.just("a"), st.just("x"), _TEXT, _TEXT, _TEXT, _TEXT, _TEXT, _TEXT)


def _bytes(keys: set[GrantKey], mode: Mode = Mode.STRICT, emptied: set[tuple[str, str, tuple[str, ...]]] | None = None,
) -> bytes:  # fmt: skip
    other = GrantKey("b", "y", "t", "r", "user", "u", "read")
    return effects(
        [
            SystemEffects("a", "x", {"caller": 'q"]'}, mode, keys, emptied or set()),
            SystemEffects("b", "y", {}, Mode.STRICT, [other]),
        ],
        policy_version="v",
        settings="5" * 64,
        guards={"total": 5, "text": "[}"},
        valid_for_s=60,
    )


@given(st.sets(_KEYS, max_size=8), st.sets(_KEYS, max_size=4), st.integers(1, 40))
def test_grants_come_back_exactly_and_only_those_asked_about(
    approved: set[GrantKey], others: set[GrantKey], width: int
) -> None:
    data = _bytes(approved)
    pieces = [data[start : start + width] for start in range(0, len(data), width)]
    assert read_approved(pieces, "a", "x", approved | others).grants == approved
    assert read_approved(pieces, "a", "x", others).grants == approved & others


def test_mode_and_emptied_columns_come_back() -> None:
    emptied = {("p", "user", ("u1",)), ("p", "pair", ("User", "u,2", "]"))}
    read = read_approved([_bytes(set(), Mode.EMPTYING, emptied)], "a", "x", ())
    assert read.mode is Mode.EMPTYING and read.emptied == emptied


def test_another_system_or_account_is_not_approved() -> None:
    for system, account in (("a", "y"), ("b", "x"), ("c", "x")):
        with pytest.raises(PlanError, match=f"do not contain {system} on account {account}"):
            read_approved([_bytes(set())], system, account, ())


@given(st.data())
def test_cut_bytes_are_no_approval(data: st.DataObject) -> None:
    whole = _bytes({GrantKey("a", "x", "t", "r", "user", "u", "read")})
    end = whole.index(b'"system":"a"}')
    cut = data.draw(st.integers(0, end - 1))
    with pytest.raises(PlanError):
        read_approved([whole[:cut]], "a", "x", ())


def test_the_digest_of_the_settings_comes_back_from_both_forms() -> None:
    restore = restore_effects(
        [SystemRestores("a", "x", {"caller": ',"settings":"' + "6" * 64}, {})],
        source_run="r", source_plan="p", settings="5" * 64, guards={"text": ',"systems":['}, valid_for_s=60,
    )  # fmt: skip
    for whole in (_bytes(set()), restore):
        for width in (7, len(whole)):
            pieces = [whole[start : start + width] for start in range(0, len(whole), width)]
            assert approved_settings(pieces) == "5" * 64
    for broken in (b"", b"{}", _bytes(set()).replace(b',"settings":"' + b"5" * 64, b',"other":"')):
        with pytest.raises(PlanError, match="cannot be read"):
            approved_settings([broken])
