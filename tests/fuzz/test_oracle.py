"""The oracle is awake: with a defect planted in the package, broken answers bring it to light."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from rescind.cloud import paging
from rescind.cloud.answers import responses as answers
from rescind.cloud.answers import strict_json as strictjson
from rescind.cloud.quickbi.menus import WholePage
from rescind.cloud.wedata import privileges
from rescind.cloud.wedata.base import ItemsPage
from rescind.cloud.wedata.data_sources import RevokeDataSourceAuthorization
from tests.fuzz.drive import Tally, WrongVerdictError, case, raw_of, run
from tests.fuzz.goldens import Golden, documents, goldens

MOST_CASES = 12_000
Plant = Callable[[pytest.MonkeyPatch], None]


def null_is_empty(patch: pytest.MonkeyPatch) -> None:
    """A null list becomes an empty one."""
    for kind in (WholePage, ItemsPage):
        rows = kind.rows
        patch.setattr(kind, "rows", lambda self, rows=rows: rows(self) or ())


def totals_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    """Whatever came is called all."""
    patch.setattr(paging, "_ended", lambda request, walk, rows, new, size, beyond: True)


def repeats_are_dropped(patch: pytest.MonkeyPatch) -> None:
    """Rows with one key count once, silently."""
    patch.setattr(
        paging._Walk,
        "take_total",
        lambda self, total, needed: setattr(self, "declared", min(total or 0, 1)),
    )


def last_key_wins(patch: pytest.MonkeyPatch) -> None:
    """The standard reading of a key that comes twice."""
    patch.setattr(answers, "loads", lambda body: _typed(body))


def _typed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise strictjson.JsonError("not JSON") from None


def any_success(patch: pytest.MonkeyPatch) -> None:
    """``Success`` is not looked at."""
    patch.setattr(answers, "exact_flag", lambda value: True)


def null_status_is_success(patch: pytest.MonkeyPatch) -> None:
    """Only a plain false is a failure."""
    patch.setattr(RevokeDataSourceAuthorization, "objection", lambda self, reply, facts: None)


def results_by_index(patch: pytest.MonkeyPatch) -> None:
    """The echoed resource is not looked at."""
    patch.setattr(privileges, "_contradiction", lambda data, results, foreign: "")
    patch.setattr(privileges, "_judge", lambda result, times, doubt: (privileges.Said.ACCEPTED, ""))


def unknown_codes_are_refusals(patch: pytest.MonkeyPatch) -> None:
    """A write with an unreadable answer is said not to have happened."""
    patch.setattr(answers, "UnknownOutcomeError", answers.RefusedError)


def totals_are_not_asked_for(patch: pytest.MonkeyPatch) -> None:
    """A listing ends where it ends."""
    patch.setattr(paging._Walk, "take_total", lambda self, total, needed: setattr(self, "declared", None))


PLANTS: tuple[Plant, ...] = (
    null_is_empty,
    totals_are_not_compared,
    repeats_are_dropped,
    last_key_wins,
    any_success,
    null_status_is_success,
    results_by_index,
    unknown_codes_are_refusals,
    totals_are_not_asked_for,
)


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_defect_is_found(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    pool, parts = list(goldens()), documents()
    plant(monkeypatch)
    with pytest.raises(WrongVerdictError):
        for number in range(MOST_CASES):
            golden, place, raw = case(pool, parts, random.Random(number))
            run(golden, place, raw, Tally())


# --- what broken answers have found -------------------------------------------------------------------


def golden_of(action: str) -> Golden:
    return next(golden for golden in goldens() if golden.action == action)


def judged(action: str, change: Callable[[dict[str, Any]], None]) -> str:
    """The class of error for the golden answer with a change."""
    golden = golden_of(action)
    whole = json.loads(golden.pages[0].body)
    change(whole)
    raw = raw_of(golden.pages[0])
    raw = type(raw)(raw.status, raw.headers, json.dumps(whole).encode(), raw.sent_at, raw.answered_at)
    tally = Tally()
    run(golden, 0, raw, tally)
    (name,) = set(+tally.outcomes)
    return name


def test_half_a_surrogate_pair_is_no_text() -> None:
    """It passes a JSON parser and then breaks whatever encodes it: the ledger, the evidence, a log."""
    assert judged("QueryUserGroupMember", lambda a: a["Result"][0].update(Name="\ud800")) == "MalformedResponseError"
    assert judged("QueryUserGroupMember", lambda a: a["Result"][0].update(Name="\U0001f512")) == "complete"


@pytest.mark.parametrize("name", ["AuthProjectIds", "AuthUsers"])
def test_an_audience_that_is_not_there_is_not_empty(name: str) -> None:
    """Null says "none"; a list that is missing altogether says nothing."""
    assert judged("DescribeDataSourceAuthority", lambda a: a["Response"]["Data"].pop(name)) == "MalformedResponseError"
    assert judged("DescribeDataSourceAuthority", lambda a: a["Response"]["Data"].update({name: None})) == "read"


def test_an_inventory_is_empty_only_when_it_says_so() -> None:
    """Null beside a total of 0 says "none"; a list that is missing says nothing, whatever the total."""

    def empty(answer: dict[str, Any]) -> None:
        answer["Response"]["Data"].update(Items=None, TotalCount=0)

    def missing(answer: dict[str, Any]) -> None:
        empty(answer)
        del answer["Response"]["Data"]["Items"]

    assert judged("ListProjects", empty) == "complete"
    assert judged("ListProjects", missing) == "MalformedResponseError"


@pytest.mark.parametrize("code", [7, ["NoPermission"], {"a": 1}, 1.5, True])
def test_an_error_code_of_any_type_is_one(code: Any) -> None:
    assert judged("RevokeUserPermission", lambda a: a.update(ErrorCode=code)) == "UnknownOutcomeError"


@pytest.mark.parametrize("code", [None, "", " "])
def test_an_empty_error_code_is_none(code: Any) -> None:
    assert judged("RevokeUserPermission", lambda a: a.update(ErrorCode=code)) == "accepted"


def test_an_id_that_an_object_does_not_have_may_be_empty_text() -> None:
    """An instance has no database: some answers say so with empty text, and the listing stays readable."""

    def empty(answer: dict[str, Any]) -> None:
        for row in answer["UserPermissions"]["UserPermission"]:
            row.update(TableId="", TableName="")

    assert judged("ListUserPermissions", empty) == "complete"

    def nameless(answer: dict[str, Any]) -> None:
        answer["UserPermissions"]["UserPermission"][0]["UserId"] = ""

    assert judged("ListUserPermissions", nameless) == "MalformedResponseError"


def test_every_golden_has_a_number_of_its_own() -> None:
    names = [golden.name for golden in goldens()]
    assert len(set(names)) == len(names)
    ids = [id_ for g in goldens() for page in g.pages for id_ in itertools.islice(_ids(page.body), 1)]
    assert len(set(ids)) == len(ids)


def _ids(body: bytes) -> Any:
    whole = json.loads(body)
    whole = whole.get("Response", whole)
    for name in ("RequestId", "requestId"):
        if name in whole:
            yield whole[name]
