"""The effects of a restore: one byte form, and never to be taken for those of revoking."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest

from rescind.errors import InputError, PlanError
from rescind.model import GrantKey, Mode
from rescind.plan import SystemEffects, effects
from rescind.plan.approved import read_approved
from rescind.plan.restore_effects import SystemRestores, read_restores, restore_effects

KEY = GrantKey("quickbi_menus", "acc", "menu", "m1", "user", "u1", "view", "p1")
OTHER = KEY._replace(principal_id="u2")
GIFTS = SystemRestores("quickbi_menus", "acc", {"caller": "granter"}, {KEY: {"level": 1}, OTHER: {"level": 1}})


_LIMITS: dict[str, Any] = {"guards": {"total": 5}, "valid_for_s": 60}


def bound(*gifts: SystemRestores, **changes: Any) -> bytes:
    facts = {"source_run": "run-1", "source_plan": "d" * 64, "settings": "5" * 64, **_LIMITS, **changes}
    return restore_effects(gifts or (GIFTS,), **facts)


def digest(*gifts: SystemRestores, **changes: Any) -> str:
    return hashlib.sha256(bound(*gifts, **changes)).hexdigest()


def test_what_was_bound_is_what_is_read() -> None:
    assert read_restores([bound()], "quickbi_menus", "acc") == GIFTS.back
    pieces = [bound()[start : start + 7] for start in range(0, len(bound()), 7)]
    assert read_restores(pieces, "quickbi_menus", "acc") == GIFTS.back


def test_the_order_of_the_input_is_no_effect() -> None:
    turned = replace(GIFTS, back=dict(reversed(list(GIFTS.back.items()))))
    elsewhere = SystemRestores("quickbi_menus", "b", {}, {KEY._replace(account="b"): {"level": 1}})
    assert digest(turned, elsewhere) == digest(elsewhere, GIFTS)


@pytest.mark.parametrize(
    "changed",
    [
        digest(replace(GIFTS, back={KEY: {"level": 1}})),
        digest(replace(GIFTS, back={KEY: {"level": 3}, OTHER: {"level": 1}})),
        digest(replace(GIFTS, identity={"caller": "somebody"})),
        digest(source_run="run-2"),
        digest(source_plan="e" * 64),
        digest(guards={"total": 6}),
        digest(valid_for_s=61),
        digest(settings="6" * 64),
    ],
)
def test_every_effect_is_in_the_digest(changed: str) -> None:
    assert changed != digest()


def test_neither_form_is_read_as_the_other() -> None:
    revoke = effects(
        [SystemEffects("quickbi_menus", "acc", {}, Mode.STRICT, [KEY])],
        policy_version="",
        settings="",
        guards={},
        valid_for_s=60,
    )
    with pytest.raises(PlanError, match="not those of a restore"):
        read_restores([revoke], "quickbi_menus", "acc")
    with pytest.raises(PlanError, match="cannot be read"):
        read_approved([bound()], "quickbi_menus", "acc", {KEY})


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"not json", b'{"restores":1,"operation":"restore"}'])
def test_what_cannot_be_read_gives_nothing(text: bytes) -> None:
    with pytest.raises(PlanError, match="not those of a restore"):
        read_restores([text], "quickbi_menus", "acc")


@pytest.mark.parametrize("changed", [{"operation": "revoke"}, {"restores": 99}, {"operation": ""}, {"restores": None}])
def test_another_form_or_operation_gives_nothing(changed: dict[str, Any]) -> None:
    text = json.dumps({**json.loads(bound()), **changed}).encode()
    with pytest.raises(PlanError, match="not those of a restore"):
        read_restores([text], "quickbi_menus", "acc")


def test_each_account_gets_what_is_its_own() -> None:
    elsewhere = SystemRestores("quickbi_menus", "aaa", {}, {KEY._replace(account="aaa"): {"level": 3}})
    other = SystemRestores("a_system", "acc", {}, {KEY._replace(system="a_system"): {"level": 1}})
    whole = [bound(GIFTS, elsewhere, other)]
    for gifts in (GIFTS, elsewhere, other):
        assert read_restores(whole, gifts.system, gifts.account) == gifts.back
    with pytest.raises(PlanError, match="restore nothing"):
        read_restores(whole, "a_system", "aaa")


def test_an_account_that_is_not_named_gets_nothing() -> None:
    with pytest.raises(PlanError, match="restore nothing in dms_permissions"):
        read_restores([bound()], "dms_permissions", "acc")


def test_a_grant_stands_under_its_own_account_once() -> None:
    with pytest.raises(InputError, match="another account"):
        bound(replace(GIFTS, account="b"))
    with pytest.raises(InputError, match="twice"):
        bound(GIFTS, GIFTS)
