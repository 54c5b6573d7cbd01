"""When the canaries of a plan release the rest of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rescind.errors import GuardTrippedError
from rescind.workflow.execute.canary import require_canaries

GOOD = {"items": 3, "proven": 3, "tried": 3, "left_alone": 0}
CHECKED = {"lost": [], "compared": 5, "complete": True}


def ledger(canary: dict[str, Any], check: dict[str, Any] | None) -> Any:
    """The two answers of a ledger that the rule reads."""
    place = {"system": "dms_permissions", "account": "1"}
    return SimpleNamespace(
        batches=SimpleNamespace(canaries=lambda run: [SimpleNamespace(batch_id="b", **place, **canary)]),
        verdicts=SimpleNamespace(retained=lambda run: [SimpleNamespace(**place, **check)] if check else []),
    )


@pytest.mark.parametrize("canary", [GOOD, {**GOOD, "proven": 2, "left_alone": 1, "tried": 2}])
def test_a_canary_that_is_proven_releases_the_rest(canary: dict[str, Any]) -> None:
    assert require_canaries(ledger(canary, CHECKED), "r") == 1


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"proven": 2}, CHECKED),
        ({"proven": 1, "left_alone": 1}, CHECKED),
        ({"proven": 0, "left_alone": 3}, CHECKED),
        ({"proven": 3, "tried": 0}, CHECKED),
        ({}, None),
        ({}, {**CHECKED, "lost": ["g"]}),
        ({}, {**CHECKED, "complete": False}),
    ],
    ids=["one left", "one left beside", "none proven", "none tried", "not checked", "one lost", "not complete"],
)
def test_anything_less_holds_the_rest(change: dict[str, Any], check: dict[str, Any] | None) -> None:
    with pytest.raises(GuardTrippedError, match="The rest of the plan is not sent"):
        require_canaries(ledger({**GOOD, **change}, check), "r")
