"""White lists of datasets: what an answer means, and which direction a final request has."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from rescind.cloud.clients import QuickBiClient
from rescind.cloud.quickbi.datasets import AddDataLevelPermissionWhiteList
from rescind.errors import BlastRadiusExceededError, InputError, MalformedResponseError
from rescind.model import Cell, Grant
from rescind.systems.population import Population
from rescind.systems.quickbi.dataset_whitelists import RULES, QuickBiDatasetWhitelists
from rescind.systems.surfaces import unasked
from rescind.systems.walker import Walker
from rescind.workflow.closing.surroundings import is_membership
from tests.support.answering import quickbi
from tests.support.sink import Lists

SYSTEM = QuickBiDatasetWhitelists()


def page(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"Result": {"Data": list(rows), "TotalNum": len(rows)}}


def white(dataset: str, rule: str, users: Any, groups: Any) -> dict[str, Any]:
    return {"Result": {"CubeId": dataset, "RuleType": rule, "UsersModel": {"Users": users, "UserGroups": groups}}}


ORGANIZATION: dict[str, Any] = {
    "QueryUserList": page({"UserId": "ann"}),
    "QueryUserGroupListByParentId": {"Result": []},
    "QueryOrganizationWorkspaceList": page({"WorkspaceId": "w1"}),
    "QueryDatasetList": page({"DatasetId": "c1", "DatasetName": "Sales"}, {"DatasetId": "c2"}),
}


def client(lists: dict[tuple[str, str], dict[str, Any]]) -> QuickBiClient:
    def entries(sent: dict[str, str]) -> dict[str, Any]:
        place = (sent.get("CubeId", ""), sent.get("RuleType", ""))
        return lists.get(place) or white(*place, [], [])

    return quickbi({**ORGANIZATION, "ListDataLevelPermissionWhiteList": entries})


def grants(users: Any, groups: Any, rule: str = "ROW_LEVEL") -> list[Grant]:
    walker = Walker(client({("c1", rule): white("c1", rule, users, groups)}))
    found = asyncio.run(SYSTEM._grants(walker, ("c1", "Sales")))
    assert walker.calls == len(walker.pages) == 2
    return found


def test_both_lists_of_a_dataset_are_read_and_odd_entries_are_kept() -> None:
    rows, columns = grants(["ann", "all", "ann"], ["g1"]), grants(["ann"], [], "COLUMN_LEVEL")
    said = [(one.key.principal_type, one.key.principal_id, one.key.entitlement, one.revocable) for one in rows]
    assert said == [
        ("user", "ann", "all_rows", True),
        ("user", "all", "all_rows", False),
        ("group", "g1", "all_rows", True),
    ]
    assert [one.key.entitlement for one in columns] == ["all_columns"]
    assert {SYSTEM.cell(one.key) for one in rows} == {one.cell for one in rows}
    assert len({one.cell.container for one in [*rows, *columns]}) == 3
    assert not any(map(is_membership, rows))


@pytest.mark.parametrize(
    "answer",
    [
        {"Result": None},
        {"Result": {"CubeId": "c1", "RuleType": "ROW_LEVEL", "UsersModel": None}},
        white("c1", "ROW_LEVEL", None, []),
        white("c1", "ROW_LEVEL", [], None),
        white("c2", "ROW_LEVEL", [], []),
        white("c1", "COLUMN_LEVEL", [], []),
    ],
    ids=["no result", "no lists", "no users", "no groups", "another dataset", "another list"],
)
def test_an_answer_that_is_not_a_list_of_this_dataset_is_never_nobody(answer: dict[str, Any]) -> None:
    walker = Walker(client({("c1", "ROW_LEVEL"): answer}))
    with pytest.raises(MalformedResponseError):
        asyncio.run(SYSTEM._grants(walker, ("c1", "Sales")))
    found, sink = Population(lists := Lists()), lists
    asyncio.run(SYSTEM.discover(client({("c1", "ROW_LEVEL"): answer}), found))
    assert [one["id"] for one in found.left_out] == ["c1"] and sink.grants == []


def test_rules_stay_an_open_question() -> None:
    cloud = client({("c2", "ROW_LEVEL"): white("c2", "ROW_LEVEL", ["ann"], [])})
    found, sink = Population(lists := Lists()), lists
    asyncio.run(SYSTEM.discover(cloud, found))
    (grant,) = sink.grants
    assert grant.key.resource_id == "c2" and not found.left_out
    assert unasked(SYSTEM.surfaces, found.surfaces) == {}
    assert set(asyncio.run(SYSTEM.ask_platform(cloud, [grant])).unknown[grant.grant_id]) == {RULES.name}


def prepared(**change: str) -> Any:
    given = {"CubeId": "c1", "RuleType": "ROW_LEVEL", "OperateType": "DELETE", "TargetType": "1", "TargetIds": "a,b"}
    query = "&".join(f"{name}={value}" for name, value in {**given, **change}.items() if value != "-")
    return SimpleNamespace(action="AddDataLevelPermissionWhiteList", url=f"https://q/?{query}")


def test_a_request_that_adds_is_no_revocation_and_one_that_deletes_no_restore() -> None:
    cells = SYSTEM.blast_radius(prepared(TargetType="2"))
    assert cells == {Cell("all_rows group", "c1", "group", (ident,)) for ident in "ab"}
    with pytest.raises(BlastRadiusExceededError, match="does not delete"):
        SYSTEM.blast_radius(prepared(OperateType="ADD"))
    with pytest.raises(BlastRadiusExceededError, match="does not add"):
        SYSTEM.given(prepared())
    back = SYSTEM.given(prepared(OperateType="ADD", RuleType="COLUMN_LEVEL"))
    assert [(one["member"], one["role"], one["OperateType"]) for one in back] == [
        ("a", "all_columns", "ADD"),
        ("b", "all_columns", "ADD"),
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"CubeId": "-"},
        {"CubeId": "c1,c2"},
        {"CubeId": ""},
        {"RuleType": "-"},
        {"RuleType": "ALL"},
        {"OperateType": "-"},
        {"OperateType": "SET"},
        {"TargetType": "3"},
        {"TargetIds": "-"},
        {"TargetIds": ""},
        {"TargetIds": "a,"},
        {"UserIds": "c"},
    ],
    ids=str,
)
def test_a_request_without_a_full_selector_is_refused(change: dict[str, str]) -> None:
    for read in (SYSTEM.blast_radius, SYSTEM.given):
        with pytest.raises(BlastRadiusExceededError):
            read(prepared(**change))


def test_a_restore_adds_what_was_deleted() -> None:
    (grant, *_), (group,) = grants(["ann"], ["g1"]), grants([], ["g1"], "COLUMN_LEVEL")
    for one, wire in ((grant, ("ROW_LEVEL", "1", "ann")), (group, ("COLUMN_LEVEL", "2", "g1"))):
        inverse = SYSTEM.inverse(one)
        assert inverse is not None and not SYSTEM.unfaithful(one)
        sent = SYSTEM.restore_request([inverse]).wire()
        assert (sent["RuleType"], sent["TargetType"], sent["TargetIds"]) == wire and sent["OperateType"] == "ADD"


def test_a_write_names_every_target_once() -> None:
    given: dict[str, Any] = {"CubeId": "c", "RuleType": "ROW_LEVEL", "OperateType": "DELETE", "TargetType": "1"}
    for targets in ((), ("a", "a"), tuple(f"u{number}" for number in range(51)), ("all",)):
        with pytest.raises(InputError):
            AddDataLevelPermissionWhiteList(**given, TargetIds=targets)
