"""What an answer of an owner says: one clear answer to exactly this question, a hand-over, or nothing at all."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.definitions.param import Param, ParamsDict

from rescind.errors import InputError
from rescind.ledger import Question, QuestionItem
from rescind.ledger.runs.owner_questions import Handover
from rescind.workflow.question.answer_fields import MOST_COMMENT
from rescind.workflow.question.owner_questions import OwnerAnswer, fields, options, read_answer

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ITEMS = tuple(QuestionItem(f"{n}" * 64, f"line {n}") for n in range(3))
ASKED = Question("alice", "revoke", ITEMS, NOW, "", "", None, delegates={"bob": "Bob", "7": "佐藤 健"})
TAKEN = replace(ASKED, handover=Handover("alice", "bob", "", NOW))
KEEP, EVERYTHING, *SINGLE, HAND = options(ASKED)


def read(*chosen: str, question: Question = ASKED, **given: Any) -> OwnerAnswer:
    return read_answer(question, {"chosen_options": list(chosen), "params_input": given})


def test_a_clear_answer_is_read() -> None:
    assert read(SINGLE[1], comment=" one ") == OwnerAnswer(("1" * 64,), comment="one")
    assert len(read(EVERYTHING).revoke) == 3 and read(EVERYTHING, KEEP).revoke == () == read(KEEP, delegate=None).revoke
    assert read(HAND, delegate="7", comment="yours") == OwnerAnswer(hand_to="7", comment="yours")
    assert read_answer(ASKED, {"chosen_options": [KEEP], "params_input": None}) == OwnerAnswer()


@pytest.mark.parametrize(
    ("chosen", "given"),
    [
        ([], {}),
        ([HAND], {}),
        ([HAND], {"delegate": ""}),
        ([HAND], {"delegate": "alice"}),
        ([HAND], {"delegate": "eve"}),
        ([HAND], {"delegate": "BOB"}),
        ([HAND], {"delegate": ["bob"]}),
        ([HAND], {"delegate": {"id": "bob"}}),
        ([HAND, EVERYTHING], {"delegate": "bob"}),
        ([HAND, HAND], {"delegate": "bob"}),
        ([HAND, KEEP], {}),
        ([KEEP], {"delegate": "bob"}),
        ([EVERYTHING], {"delegate": "bob"}),
        ([SINGLE[0]], {"delegate": 7}),
        ([KEEP], {"reviewer": "eve"}),
        ([KEEP], {"comment": "x" * (MOST_COMMENT + 1)}),
        ([KEEP], {"comment": 7}),
        ([EVERYTHING.replace(ASKED.digest[:8], "0" * 8)], {}),
        (["Revoke 4 (" + ASKED.digest[:8] + ")"], {}),
        (["Hand over"], {"delegate": "bob"}),
    ],
)
def test_an_answer_that_is_not_clear_says_nothing(chosen: list[str], given: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        read(*chosen, **given)


def test_fields_that_are_no_object_are_refused() -> None:
    with pytest.raises(InputError, match="fields"):
        read_answer(ASKED, {"chosen_options": [KEEP], "params_input": [KEEP]})


def test_a_colleague_can_hand_nothing_over_again_or_back() -> None:
    assert options(TAKEN) == [KEEP, EVERYTHING, *SINGLE] and set(fields(TAKEN)) == {"comment"}
    assert read(SINGLE[0], question=TAKEN).revoke == ("0" * 64,)
    for chosen, delegate in (([HAND], "7"), ([HAND], "alice"), ([KEEP], "alice"), ([HAND], None)):
        with pytest.raises(InputError):
            read(*chosen, question=TAKEN, delegate=delegate)
    assert HAND not in options(replace(ASKED, delegates={}))


def test_no_field_is_required_so_no_button_is_ever_disabled() -> None:
    made = fields(ASKED)
    ParamsDict({name: Param(**one) for name, one in made.items()}).validate()
    assert all("null" in one["type"] and one["default"] is None for one in made.values())
    assert made["delegate"]["enum"] == [None, "bob", "7"] and made["delegate"]["values_display"]["7"] == "佐藤 健 (7)"
