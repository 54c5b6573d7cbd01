"""Datasets: what restricts their rows and columns, and whom it does not."""

from __future__ import annotations

import json
from typing import Any

from emulator.quickbi import QUICKBI
from emulator.quickbi.common import PAGE, check_caller, failure, find_group, find_user, find_workspace, page
from emulator.registry import Call
from emulator.store.datasets import COLUMN, ROW, Dataset, Level, Rule
from emulator.store.receivers import GROUP, USER, Receiver

_TARGETS = {"1": USER, "2": GROUP}
"""``TargetType`` to the kind of receiver: other numbers than those of the receivers elsewhere."""
_DIRECTORY = {"Id": "schemaad8aad00", "Name": "root", "PathId": "schemaad8aad00", "PathName": "root"}


def find_dataset(call: Call, dataset_id: str) -> Dataset:
    """A dataset by id.

    :raises ApiError: Cube.Not.Exist.
    """
    check_caller(call)
    dataset = call.world.quickbi.datasets.get(dataset_id)
    if dataset is None:
        raise failure(call, "Cube.Not.Exist", "The Cube does not exist.")
    return dataset


def _level(call: Call, dataset: Dataset, rule_type: str) -> Level:
    if rule_type not in (ROW, COLUMN):
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:RuleType.")
    return dataset.levels[rule_type]


@QUICKBI.action("QueryDatasetList", f"WorkspaceId! {PAGE} Keyword DirectoryId WithChildren:bool")
def dataset_list(call: Call) -> dict[str, Any]:
    """Datasets of one workspace; ``RowLevel`` says whether row security is on. There is one directory."""
    space, users = find_workspace(call, call.text("WorkspaceId")), call.world.quickbi.users
    found = [one for one in call.world.quickbi.datasets.in_workspace(space.workspace_id)
             if call.text("Keyword") in one.name and call.text("DirectoryId") in ("", _DIRECTORY["Id"])]  # fmt: skip
    result = page(call, found)
    result["Data"] = [
        {"DatasetId": one.dataset_id, "DatasetName": one.name, "OwnerId": one.owner,
         "OwnerName": users[one.owner].nick if one.owner in users else "", "WorkspaceId": space.workspace_id,
         "WorkspaceName": space.name, "RowLevel": one.levels[ROW].open, "Description": "",
         "CreateTime": one.created, "ModifyTime": one.created, "OpenOfflineAcceleration": False,
         "Directory": dict(_DIRECTORY), "DataSource": {"DsId": "", "DsName": "", "DsType": "mysql"}}
        for one in result["Data"]
    ]  # fmt: skip
    return result


def _users(receivers: list[Receiver]) -> tuple[list[str], list[str]]:
    """Users and groups."""
    users = [one.id for one in receivers if one.kind == USER]
    return users, [one.id for one in receivers if one.kind == GROUP]


@QUICKBI.action("ListDataLevelPermissionWhiteList", "CubeId! RuleType!")
def white_list(call: Call) -> dict[str, Any]:
    """The white list of a dataset for rows or columns. No paging; whether the security is on makes no difference."""
    dataset, kind = find_dataset(call, call.text("CubeId")), call.text("RuleType")
    _level(call, dataset, kind)
    users, groups = _users(call.world.quickbi.datasets.listed(dataset, kind))
    how = call.world.modes["quickbi_empty_dataset_list"]
    model: dict[str, Any] | None = {"Users": users, "UserGroups": groups}
    if how == "null":
        model = {"Users": users or None, "UserGroups": groups or None}
    elif how == "no_model" and not users and not groups:
        model = None
    return {"CubeId": dataset.dataset_id, "RuleType": kind, "UsersModel": model}


def _rule(dataset: Dataset, kind: str, rule: Rule) -> dict[str, Any]:
    users, groups = _users(list(rule.receivers))
    return {
        "ruleId": rule.rule_id, "ruleName": rule.name, "isOpen": int(rule.open), "ruleTargetScope": rule.scope,
        "hitTakeEffect": 1, "ruleLevelType": kind, "cubeId": dataset.dataset_id,
        "ruleUsersModel": {"users": users, "userGroups": groups},
        "ruleContentModel": {"ruleContentType": "ROW_FIELD", "ruleContentJson": "{}", "ruleOriginConfigJson": "{}"},
    }  # fmt: skip


@QUICKBI.action("ListCubeDataLevelPermissionConfig", "CubeId! RuleType!")
def level_config(call: Call) -> str:
    """The switch, the policy for who is hit by no rule, and the rules, as JSON text."""
    dataset, kind = find_dataset(call, call.text("CubeId")), call.text("RuleType")
    level = _level(call, dataset, kind)
    return json.dumps({
        "cubeId": dataset.dataset_id, "ruleType": kind, "isOpen": int(level.open),
        "extraConfigModel": {"cubeId": dataset.dataset_id, "ruleType": kind, "missHitPolicy": level.miss_hit},
        "ruleModels": [_rule(dataset, kind, rule) for rule in level.rules.values()],
    })  # fmt: skip


def _known(call: Call, receiver: Receiver) -> Receiver:
    """Refuse a user or group that does not exist."""
    if receiver.kind == USER:
        find_user(call, receiver.id)
    else:
        find_group(call, receiver.id)
    return receiver


def _targets(call: Call, *, adds: bool) -> set[Receiver]:
    """The receivers that a change of the white list names; None named is refused, or all of the kind, by mode."""
    kind = _TARGETS.get(call.text("TargetType"))
    if kind is None:
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:TargetType.")
    if not call.text("TargetIds"):
        if adds or call.world.modes["quickbi_no_targets"] == "refused":
            raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:TargetIds.")
        held = call.world.quickbi.datasets[call.text("CubeId")].levels[call.text("RuleType")].white
        return {one for one in held if one.kind == kind}
    named = {Receiver(kind, ident) for ident in call.text("TargetIds").split(",")}
    return {_known(call, one) for one in named} if adds else named


@QUICKBI.action(
    "AddDataLevelPermissionWhiteList", "CubeId! OperateType RuleType TargetIds TargetType", write=True
)  # fmt: skip
def change_white_list(call: Call) -> bool:
    """Put users or groups on the white list (``OperateType`` ADD), or take them off (DELETE); others stay."""
    dataset, kind, modes = find_dataset(call, call.text("CubeId")), call.text("RuleType"), call.world.modes
    held = _level(call, dataset, kind).white
    how = call.text("OperateType") or {"refused": "", "add": "ADD"}[modes["quickbi_operate_omitted"]]
    if how not in ("ADD", "DELETE"):
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:OperateType.")
    named = _targets(call, adds=how == "ADD")
    if how == "DELETE" and modes["quickbi_absent_target"] == "refused" and not named <= held.keys():
        raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:TargetIds.")
    for receiver in sorted(named):
        call.world.quickbi.datasets.white(dataset, kind, receiver, remove=how == "DELETE")
    return True


def _model(call: Call, name: str) -> dict[str, Any]:
    """A JSON object in a text parameter.

    :raises ApiError: Invalid.Parameter.Error.
    """
    model = call.params[name]
    if not isinstance(model, dict):
        raise failure(call, "Invalid.Parameter.Error", f"The parameter is invalid:{name}.")
    return model


def _receivers(model: Any) -> set[Receiver]:
    users, groups = ((model or {}).get(name) or [] for name in ("users", "userGroups"))
    return {Receiver(USER, one) for one in users} | {Receiver(GROUP, one) for one in groups}


@QUICKBI.action("SetDataLevelPermissionWhiteList", "WhiteListModel!:json", write=True)
def set_white_list(call: Call) -> bool:
    """Replace the white list: who is not named loses the entry."""
    model = _model(call, "WhiteListModel")
    dataset, kind = find_dataset(call, model.get("cubeId", "")), model.get("ruleType", "")
    held, wanted = _level(call, dataset, kind).white, _receivers(model.get("usersModel"))
    for receiver in [_known(call, one) for one in sorted(wanted)]:
        call.world.quickbi.datasets.white(dataset, kind, receiver)
    for receiver in [one for one in held if one not in wanted]:
        call.world.quickbi.datasets.white(dataset, kind, receiver, remove=True)
    return True


def _named_rule(call: Call, dataset: Dataset, rule_id: str) -> Rule:
    for level in dataset.levels.values():
        if rule_id in level.rules:
            return level.rules[rule_id]
    raise failure(call, "Invalid.Parameter.Error", "The parameter is invalid:ruleId.")


@QUICKBI.action("AddDataLevelPermissionRuleUsers", "AddUserModel!:json", write=True)
def add_rule_users(call: Call) -> bool:
    """Let a rule hit users and groups."""
    model = _model(call, "AddUserModel")
    rule = _named_rule(call, find_dataset(call, model.get("cubeId", "")), model.get("ruleId", ""))
    for receiver in [_known(call, one) for one in sorted(_receivers(model.get("addModel")))]:
        call.world.quickbi.datasets.aim(rule, receiver)
    return True


@QUICKBI.action("DeleteDataLevelPermissionRuleUsers", "DeleteUserModel!:json", write=True)
def delete_rule_users(call: Call) -> bool:
    """Let a rule hit users and groups no more: who is then hit by none may see everything."""
    model = _model(call, "DeleteUserModel")
    rule = _named_rule(call, find_dataset(call, model.get("cubeId", "")), model.get("ruleId", ""))
    for receiver in sorted(_receivers(model.get("delModel"))):
        call.world.quickbi.datasets.aim(rule, receiver, remove=True)
    return True


@QUICKBI.action("DeleteDataLevelRuleConfig", "CubeId! RuleId!", write=True)
def delete_rule(call: Call) -> bool:
    """Delete a rule: whom it alone hit may see everything then."""
    rule = _named_rule(call, find_dataset(call, call.text("CubeId")), call.text("RuleId"))
    call.world.quickbi.datasets.drop_rule(rule.rule_id)
    return True


@QUICKBI.action("UpdateDataLevelPermissionStatus", "CubeId! IsOpen!:int RuleType!", write=True)
def switch(call: Call) -> bool:
    """Switch the security of rows or columns on or off: while it is off, everybody sees everything."""
    dataset, kind = find_dataset(call, call.text("CubeId")), call.text("RuleType")
    level = _level(call, dataset, kind)
    opened = bool(call.params["IsOpen"])
    call.world.quickbi.datasets.set_level(dataset, kind, opened=opened, miss_hit=level.miss_hit)
    return True
