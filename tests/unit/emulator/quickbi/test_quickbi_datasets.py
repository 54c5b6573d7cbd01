"""Quick BI's datasets: white lists, rules and what removing one widens, refusals, modes and faults."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.app import App
from emulator.store.datasets import ROW, SYSTEM, Dataset
from emulator.store.receivers import Receiver
from tests.support.emulator_client import Clients

LIST, CHANGE = "ListDataLevelPermissionWhiteList", "AddDataLevelPermissionWhiteList"


@pytest.fixture
def dataset(app: App) -> Dataset:
    """A dataset with row security on and empty white lists."""
    found = next(iter(app.world.quickbi.datasets.values()))
    for level in found.levels.values():
        level.white.clear()
    return found


@pytest.fixture
def users(app: App) -> list[str]:
    """Two members."""
    return list(app.world.quickbi.users)[:2]


def change(clients: Clients, dataset: Dataset, how: str, *targets: str, **more: Any) -> dict[str, Any]:
    given = {"CubeId": dataset.dataset_id, "OperateType": how, "RuleType": ROW, "TargetType": "1",
             "TargetIds": ",".join(targets), **more}  # fmt: skip
    return clients.quickbi(CHANGE, **given)


def listed(clients: Clients, dataset: Dataset, kind: str = ROW) -> Any:
    return clients.quickbi(LIST, CubeId=dataset.dataset_id, RuleType=kind)["Result"]["UsersModel"]


def test_entries_of_rows_and_columns_come_and_go(
    app: App, clients: Clients, dataset: Dataset, users: list[str]
) -> None:
    """Several at once, each with an effect; the other list and the others on the list stay."""
    group = next(iter(app.world.quickbi.groups))
    assert change(clients, dataset, "ADD", *users)["Result"] is True
    change(clients, dataset, "ADD", users[0], RuleType="COLUMN_LEVEL")
    change(clients, dataset, "ADD", group, TargetType="2")
    assert listed(clients, dataset) == {"Users": sorted(users), "UserGroups": [group]}
    change(clients, dataset, "DELETE", users[0], "nobody")
    assert listed(clients, dataset) == {"Users": [users[1]], "UserGroups": [group]}
    assert listed(clients, dataset, "COLUMN_LEVEL") == {"Users": [users[0]], "UserGroups": []}
    change(clients, dataset, "DELETE", group, TargetType="1")
    assert listed(clients, dataset)["UserGroups"] == [group], "a group is no user"
    entries = clients.effects(SYSTEM)
    assert [entry["op"] for entry in entries] == ["added"] * 4 + ["removed"]
    assert entries[0]["grant"] == {"dataset_id": dataset.dataset_id, "rule_type": ROW, "receiver_type": 0,
                                   "receiver_id": sorted(users)[0]}  # fmt: skip
    assert entries[3]["grant"] in clients.control("GET", "world")[SYSTEM]


def test_setting_replaces_the_list(clients: Clients, dataset: Dataset, users: list[str]) -> None:
    """Who is not named loses the entry."""
    change(clients, dataset, "ADD", users[0])
    model = {"ruleType": ROW, "cubeId": dataset.dataset_id, "usersModel": {"users": [users[1]]}}
    assert clients.quickbi("SetDataLevelPermissionWhiteList", WhiteListModel=json.dumps(model))["Result"] is True
    assert listed(clients, dataset)["Users"] == [users[1]]
    assert [entry["op"] for entry in clients.effects(SYSTEM)] == ["added", "added", "removed"]


def test_empty_lists(app: App, clients: Clients, dataset: Dataset, users: list[str]) -> None:
    for mode, shown in (("empty", {"Users": [], "UserGroups": []}), ("null", {"Users": None, "UserGroups": None}),
                        ("no_model", None)):  # fmt: skip
        app.world.modes.set("quickbi_empty_dataset_list", mode)
        assert listed(clients, dataset) == shown
    change(clients, dataset, "ADD", users[0])
    assert listed(clients, dataset) == {"Users": [users[0]], "UserGroups": []}


def test_refusals_and_what_is_left_out(app: App, clients: Clients, dataset: Dataset, users: list[str]) -> None:
    """Unknown datasets, types, users and groups; without operation or targets; absent ones, by mode."""
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"CubeId": "no"}, "Cube.Not.Exist"), ({"RuleType": ""}, "Invalid.Parameter.Error"),
        ({"OperateType": "REPLACE"}, "Invalid.Parameter.Error"), ({"OperateType": ""}, "Invalid.Parameter.Error"),
        ({"TargetType": "0"}, "Invalid.Parameter.Error"), ({"TargetIds": ""}, "Invalid.Parameter.Error"),
        ({"TargetIds": f"{users[0]},nobody"}, "User.Not.In.Organization"),
        ({"TargetType": "2"}, "Usergroup.NotBelongTo.CurrentOrganization"),
    ]  # fmt: skip
    for given, code in wrong:
        assert change(clients, dataset, "ADD", users[0], **given)["Code"] == code, given
    assert clients.quickbi(LIST, CubeId="no", RuleType=ROW)["Code"] == "Cube.Not.Exist"
    assert clients.quickbi(LIST, CubeId=dataset.dataset_id, RuleType="x")["Code"] == "Invalid.Parameter.Error"
    for name in ("SetDataLevelPermissionWhiteList", "AddDataLevelPermissionRuleUsers"):
        text = "WhiteListModel" if name.startswith("Set") else "AddUserModel"
        assert clients.quickbi(name, **{text: "[]"})["Code"] == "Invalid.Parameter.Error"
    assert clients.effects() == []
    app.world.modes.set("quickbi_operate_omitted", "add")
    assert change(clients, dataset, "", *users)["Result"] is True
    assert change(clients, dataset, "DELETE", TargetIds="")["Code"] == "Invalid.Parameter.Error"
    app.world.modes.set("quickbi_absent_target", "refused")
    assert change(clients, dataset, "DELETE", users[0], "nobody")["Code"] == "Invalid.Parameter.Error"
    assert len(listed(clients, dataset)["Users"]) == 2
    app.world.modes.set("quickbi_no_targets", "all")
    assert change(clients, dataset, "DELETE", TargetIds="")["Result"] is True
    assert listed(clients, dataset)["Users"] == []


def test_lists_may_be_late_and_writes_pretended_or_partial(
    clients: Clients, dataset: Dataset, users: list[str]
) -> None:
    """What went stays listed for one read, what is new stays hidden; a write may do nothing, or a part."""
    for how, states in (("ADD", [0, 1]), ("DELETE", [1, 0])):
        clients.control("POST", "faults", {"kind": "lag", "reads": 1, "action": CHANGE})
        assert change(clients, dataset, how, users[0])["Result"] is True
        assert [len(listed(clients, dataset)["Users"]) for _ in range(2)] == states
    clients.control("POST", "faults", {"kind": "partial", "count": 1, "action": CHANGE})
    assert change(clients, dataset, "ADD", *users)["Result"] is True and listed(clients, dataset)["Users"] == users[:1]
    clients.control("POST", "faults", {"kind": "pretend", "action": CHANGE})
    assert change(clients, dataset, "DELETE", *users)["Result"] is True
    assert listed(clients, dataset)["Users"] == users[:1]


def test_datasets_are_listed_by_workspace_and_take_authorizations(
    app: App, clients: Clients, dataset: Dataset, users: list[str]
) -> None:
    """By page; an authorization of a dataset is for users only, and is read and taken back like one of a work."""
    (row,) = clients.quickbi("QueryDatasetList", WorkspaceId=dataset.workspace_id)["Result"]["Data"]
    assert (row["DatasetId"], row["OwnerId"], row["RowLevel"]) == (dataset.dataset_id, dataset.owner, True)
    asked = {"WorkspaceId": dataset.workspace_id, "PageSize": 1, "PageNum": 2}
    assert clients.quickbi("QueryDatasetList", **asked)["Result"]["Data"] == []
    place = {"ResourceId": dataset.dataset_id, "ResourceType": "cube"}
    given = {**place, "AuthPoints": 1, "ExpireDay": "2099-01-01", "AuthorizedId": users[0]}
    assert clients.quickbi("AddWorksAuthorization", AuthorizeScope=0, **given)["Success"] is True
    given["AuthorizedId"] = next(iter(app.world.quickbi.groups))
    assert clients.quickbi("AddWorksAuthorization", AuthorizeScope=1, **given)["Code"] == "Invalid.Parameter.Error"
    read = {"ResourceId": dataset.dataset_id, "WorksType": "cube", "ShareToType": 0, "HasAuth": "true"}
    assert [row["AuthorizedId"] for row in clients.quickbi("ListAuthConfigByResource", **read)["Result"]] == users[:1]
    assert clients.quickbi("DeleteAuthorizationByUserId", QbiUserId=users[0], **place)["Result"] is True
    assert clients.quickbi("ListAuthConfigByResource", **read)["Result"] == []


def test_rules_are_shown_and_changed(app: App, clients: Clients, dataset: Dataset, users: list[str]) -> None:
    """Rules with who they hit, as JSON text; users of a rule, rules and the switch each have an effect."""

    def config() -> Any:
        asked = {"CubeId": dataset.dataset_id, "RuleType": ROW}
        return json.loads(clients.quickbi("ListCubeDataLevelPermissionConfig", **asked)["Result"])

    shown = config()
    (rule,) = shown["ruleModels"]
    assert (shown["isOpen"], shown["extraConfigModel"]["missHitPolicy"], rule["ruleTargetScope"]) == (
        1,
        "NONE",
        "OTHERS",
    )
    place = {"cubeId": dataset.dataset_id, "ruleId": rule["ruleId"]}
    for name, text, key in (("AddDataLevelPermissionRuleUsers", "AddUserModel", "addModel"),
                            ("DeleteDataLevelPermissionRuleUsers", "DeleteUserModel", "delModel")):  # fmt: skip
        given = json.dumps({**place, key: {"users": users[:1], "userGroups": []}})
        assert clients.quickbi(name, **{text: given})["Result"] is True
        assert (users[0] in config()["ruleModels"][0]["ruleUsersModel"]["users"]) is name.startswith("Add")
    clients.quickbi("UpdateDataLevelPermissionStatus", CubeId=dataset.dataset_id, RuleType=ROW, IsOpen=0)
    gone = {"CubeId": dataset.dataset_id, "RuleId": rule["ruleId"]}
    assert clients.quickbi("DeleteDataLevelRuleConfig", **gone)["Result"] is True
    assert clients.quickbi("DeleteDataLevelRuleConfig", **gone)["Code"] == "Invalid.Parameter.Error"
    assert config()["ruleModels"] == [] and config()["isOpen"] == 0
    assert [(entry["op"], entry["system"].removeprefix("quickbi_dataset_")) for entry in clients.effects()] == [
        ("added", "rule_users"), ("removed", "rule_users"), ("changed", "levels"), ("removed", "rules"),
    ]  # fmt: skip


def test_who_leaves_takes_the_entries_along(app: App, clients: Clients, dataset: Dataset, users: list[str]) -> None:
    """DeleteUser takes the user off every white list and out of every rule."""
    user = users[0]
    for space in app.world.quickbi.workspaces.values():
        space.members.pop(user, None)
    change(clients, dataset, "ADD", user)
    rule = next(iter(dataset.levels[ROW].rules.values()))
    rule.receivers[Receiver(0, user)] = None
    assert clients.quickbi("DeleteUser", UserId=user)["Result"] is True
    assert listed(clients, dataset)["Users"] == [] and Receiver(0, user) not in rule.receivers
