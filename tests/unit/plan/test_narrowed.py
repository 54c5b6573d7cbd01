"""A narrowed plan does nothing that the plan before it did not do: checked from the canonical effects alone."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from rescind.errors import PlanError
from rescind.model import GrantKey, Mode
from rescind.plan.effects import SystemEffects, effects
from rescind.plan.narrowed import NARROWED, check_narrowed, narrowed_by

OF, BY = "a" * 64, "b" * 64
CAPS = {"total": 10, "percent": 5, "per_principal": 3}
FACTS: dict[str, Any] = {"policy_version": "p1", "settings": "c" * 64, "valid_for_s": 60}


def key(number: int, system: str = "quickbi_menus") -> GrantKey:
    return GrantKey(system, "a1", "menu", f"m{number}", "user", f"u{number % 7}", "view", 'n"],"systems":[')


def column(number: int) -> tuple[str, str, tuple[str, ...]]:
    return "portal", "user", (f"u{number}",)


def whole(mode: Mode = Mode.EMPTYING) -> list[SystemEffects]:
    emptied = [column(n) for n in range(3)] if mode is Mode.EMPTYING else []
    return [
        SystemEffects("quickbi_menus", "a1", {"caller": "me"}, mode, [key(n) for n in range(40)], emptied),
        SystemEffects("dms_permissions", "a1", {"caller": "me"}, Mode.STRICT, [key(1, "dms_permissions")]),
    ]


def written(parts: list[SystemEffects], *, narrowed: Any = None, caps: Any = None, **more: Any) -> bytes:
    guards = {**(caps or CAPS), **({NARROWED: narrowed} if narrowed is not None else {})}
    return effects(parts, guards=guards, **{**FACTS, **more})


def check(parts: list[SystemEffects], before: list[SystemEffects] | None = None, **more: Any) -> None:
    narrow = written(parts, **{"narrowed": {"of": OF, "by": BY}, **more})
    pieces = [narrow[at : at + 7] for at in range(0, len(narrow), 7)]
    check_narrowed([written(before or whole())], pieces, of=OF, by=BY)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("mode", list(Mode))
def test_whatever_is_left_out_leaves_a_part_and_one_grant_more_is_none(seed: int, mode: Mode) -> None:
    random, before = Random(seed), whole(mode)
    parts = []
    for part in before:
        grants = random.sample(sorted(part.grants), random.randint(0, len(part.grants)))
        own = random.choice([Mode.STRICT, part.mode])
        emptied = random.sample(sorted(part.emptied), len(part.emptied) // 2) if own is Mode.EMPTYING else []
        parts += [replace(part, grants=grants, mode=own, emptied=emptied)] if grants else []
    check(parts, before)
    more = replace(parts[0], grants=[*parts[0].grants, key(99, parts[0].system)]) if parts else None
    with pytest.raises(PlanError, match="does more on"):
        check([more, *parts[1:]] if more else [replace(before[0], system="other", grants=[key(1, "other")])], before)


def test_what_was_left_out_is_not_in_it() -> None:
    narrow, kept = written(whole()[:1], narrowed={"of": OF, "by": BY}), {key(1, "dms_permissions").grant_id}
    check_narrowed([written(whole())], [narrow], of=OF, by=BY, kept=kept)
    with pytest.raises(PlanError, match="has a grant that was left out"):
        check_narrowed([written(whole())], [narrow], of=OF, by=BY, kept={*kept, key(39).grant_id})


def test_each_chosen_line_was_to_go_and_its_column_is_not_emptied() -> None:
    menus, permissions = whole()
    line, place = key(1, "dms_permissions").grant_id, ("quickbi_menus", "a1")
    narrow = written([menus], narrowed={"of": OF, "by": BY})

    def checked(**given: Any) -> None:
        check_narrowed([written([menus, permissions])], [narrow], of=OF, by=BY, **given)

    checked(kept={line}, lines=[line], columns=[(place, column(9)), (("other", "a1"), column(1))])
    for kept, lines in (
        ({line}, [line, key(77).grant_id]),
        ({line, key(77).grant_id}, [key(77).grant_id]),
        ((), [line]),
    ):
        with pytest.raises(PlanError, match="a chosen line was not in plan"):
            checked(kept=kept, lines=lines)
    with pytest.raises(PlanError, match="empties a column"):
        checked(kept={line}, lines=[line], columns=[(place, column(1))])


def test_nothing_but_grants_may_be_fewer() -> None:
    menus, permissions = whole()
    strict = whole(Mode.STRICT)
    for parts, before in (
        ([replace(menus, emptied=[column(9)])], None),
        ([replace(menus, mode=Mode.SPARSE, emptied=[])], None),
        ([replace(menus, emptied=[])], strict),
        ([replace(strict[0], mode=Mode.SPARSE)], strict),
        ([replace(menus, identity={"caller": "other"})], None),
        ([replace(menus, account="a2", grants=[key(1)._replace(account="a2")])], None),
    ):
        with pytest.raises(PlanError, match="does more on"):
            check(parts, before)
    for changed in ({"policy_version": "p2"}, {"settings": "d" * 64}, {"caps": {**CAPS, "total": 11}}, {"caps": {}}):
        with pytest.raises(PlanError, match="other caps, policies or settings"):
            check([permissions], **{"caps": {"total": 1}} if changed == {"caps": {}} else changed)


@pytest.mark.parametrize("named", [{"of": OF, "by": OF}, {"of": BY, "by": BY}])
def test_it_names_the_plan_before_and_what_was_left_out(named: Any) -> None:
    with pytest.raises(PlanError, match="not narrowed from plan"):
        check(whole(), narrowed=named)
    with pytest.raises(PlanError, match="not narrowed from plan"):
        check_narrowed([written(whole())], [written(whole())], of=OF, by=BY)


def test_what_it_was_narrowed_from_is_read_from_the_effects() -> None:
    assert narrowed_by([written(whole())]) is None
    assert narrowed_by([written(whole(), narrowed={"of": OF, "by": BY})]) == (OF, BY)
    for named in ({}, {"of": OF}, {"of": OF, "by": 1}, {"of": OF, "by": BY, "x": ""}, [OF, BY], "x"):
        with pytest.raises(PlanError, match="do not say"):
            narrowed_by([written(whole(), narrowed=named)])
