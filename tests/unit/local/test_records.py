"""One record of each system, as the plan, the request, the journal and an item of the run name it: always one row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from local.demo.records import KINDS, SYSTEMS, planned_row, truth_row, written_rows
from local.demo.truth import judge
from rescind.systems import REGISTRY

Row = Mapping[str, Any]


class Case(NamedTuple):
    """A record.

    :param cell: container, row, kind and column of the plan. :param action: the request that ends it, with ``sent``.
    :param kind: of the emulator's record, with ``held``. :param item: more fields of the item.
    """

    system: str
    cell: tuple[str, str, str, tuple[str, ...]]
    action: str
    sent: Row
    kind: str
    held: Row
    item: Row | None = None


ENGINEER = "308335260676890624"
STUDIO = {"node_id": "n", "project_id": "9", "subject_type": "user", "subject_value": "7"}
CASES = {
    "wedata_privileges": Case(
        "wedata_privileges", ("table", "c.s.t", "User", ("User", "7", "SELECT")), "RevokePrivileges",
        {"Resources": [{"ResourceType": "TABLE", "ResourceUri": "c.s.t"}], "Privileges": [{"Name": "SELECT"}],
         "Subjects": [{"SubjectType": "User", "SubjectValues": ["7"]}]},
        "wedata_privileges", {"resource_type": "TABLE", "resource_uri": "c.s.t", "subject_type": "User",
                              "subject_value": "7", "privilege": "SELECT"},
        {"resource_type": "table", "resource_id": "c.s.t"}),
    "wedata_data_sources": Case(
        "wedata_data_sources", ("", "3", "user", ("9", "7")), "RevokeDataSourceAuthorization",
        {"DataSourceId": "3", "RevokeUser": "9_7"},
        "wedata_data_sources", {"data_source_id": "3", "kind": "user", "project_id": "9", "user_id": "7"}),
    "wedata_project_roles": Case(
        "wedata_project_roles", ("9", "1001", "", ("data engineer",)), "RemoveMemberProjectRole",
        {"ProjectId": "9", "UserUin": "1001", "RoleIds": [ENGINEER]},
        "wedata_project_roles", {"project_id": "9", "user_uin": "1001", "role_id": ENGINEER},
        {"resource_id": "9", "principal_id": "1001"}),
    "the last role": Case(
        "wedata_project_roles", ("9", "1001", "", ("membership",)), "DeleteProjectMember",
        {"ProjectId": "9", "UserUins": ["1001"]},
        "wedata_project_members", {"project_id": "9", "user_uin": "1001", "role_ids": []},
        {"resource_id": "9", "principal_id": "1001"}),
    "wedata_studio_permissions": Case(
        "wedata_studio_permissions", ("studio_script/user/7", "9.n", "permission", ("user", "7", "CAN_EDIT")),
        "DeleteCodePermissions",
        {"ProjectId": "9", "RecyclePolicySet": [
            {"Resource": {"ResourceType": "script", "ResourceId": "n"},
             "RecycleSubjects": [{"SubjectType": "user", "SubjectValues": ["7"], "Privileges": ["CAN_EDIT"]}]}]},
        "wedata_studio_permissions", {**STUDIO, "tree": "code", "privilege": "CAN_EDIT"},
        {"native_id": "9", "resource_id": "n"}),
    "a workflow": Case(
        "wedata_studio_permissions", ("workflow_folder/user/7", "9.n", "permission", ("user", "7", "CAN_MANAGE")),
        "DeleteWorkflowPermissions",
        {"ProjectId": "9", "EntityId": "n", "EntityType": "folder", "DeletePermissionList": [
            {"PermissionTargetType": "user", "PermissionTargetId": "7", "PermissionTypeList": ["CAN_MANAGE"]}]},
        "wedata_studio_permissions", {**STUDIO, "tree": "workflow", "privilege": "CAN_MANAGE"},
        {"native_id": "9", "resource_id": "n"}),
    "dms_permissions": Case(
        "dms_permissions", ("", "55", "", ()), "RevokeUserPermission", {"UserAccessId": "55"},
        "dms_permissions", {"user_access_id": "55"}, {"native_id": "55"}),
    "dms_accounts": Case(
        "dms_accounts", ("", "", "", ("26",)), "DisableUser", {"Uid": "26"}, "dms_accounts",
        {"uid": "26", "user_id": "5"}, {"native_id": "26"}),
    "dms_proxy_accesses": Case(
        "dms_proxy_accesses", ("", "88", "", ()), "DeleteProxyAccess", {"ProxyAccessId": "88"},
        "dms_proxy_accesses", {"proxy_access_id": "88"}, {"native_id": "88"}),
    "dms_abac_authorizations": Case(
        "dms_abac_authorizations", ("policy", "90", "USER", ("90",)), "DeleteAbacAuthorization",
        {"AuthorizationId": "90", "IdentityType": "USER"},
        "dms_policy_members", {"authorization_id": "90", "policy_id": "1", "user_id": "5"},
        {"native_id": "90", "principal_type": "user"}),
    "a policy of a role": Case(
        "dms_abac_authorizations", ("policy", "90", "ROLE", ("90",)), "DeleteAbacAuthorization",
        {"AuthorizationId": "90", "IdentityType": "ROLE"},
        "dms_policy_roles", {"authorization_id": "90", "policy_id": "1", "role_id": "6"},
        {"native_id": "90", "principal_type": "role"}),
    "quickbi_menus": Case(
        "quickbi_menus", ("p", "m", "user", ("u",)), "CancelAuthorizationMenu",
        {"DataPortalId": "p", "MenuIds": "m", "UserIds": "u"},
        "quickbi_menus", {"portal_id": "p", "menu_id": "m", "receiver_type": 0, "receiver_id": "u"}),
    "quickbi_group_members": Case(
        "quickbi_group_members", ("", "g", "user", ("u",)), "DeleteUserGroupMembers",
        {"UserGroupIds": "g", "UserId": "u"}, "quickbi_group_members", {"group_id": "g", "user_id": "u"}),
    "quickbi_workspace_members": Case(
        "quickbi_workspace_members", ("", "w", "user", ("u",)), "DeleteUserFromWorkspace",
        {"WorkspaceId": "w", "UserId": "u"}, "quickbi_workspace_members", {"workspace_id": "w", "user_id": "u"}),
    "quickbi_shares": Case(
        "quickbi_shares", ("", "r", "group", ("g",)), "CancelReportShare",
        {"ReportId": "r", "ShareToType": "1", "ShareToIds": "g"},
        "quickbi_shares", {"works_id": "r", "receiver_type": 1, "receiver_id": "g"}),
    "quickbi_work_authorizations": Case(
        "quickbi_work_authorizations", ("work", "r", "user", ("u",)), "DeleteAuthorizationByUserId",
        {"ResourceType": "dashboard", "ResourceId": "r", "QbiUserId": "u"},
        "quickbi_work_authorizations",
        {"resource_type": "dashboard", "resource_id": "r", "receiver_type": 0, "receiver_id": "u"}),
    "an authorized dataset": Case(
        "quickbi_work_authorizations", ("dataset", "r", "user", ("u",)), "DeleteAuthorizationByUserId",
        {"ResourceType": "cube", "ResourceId": "r", "QbiUserId": "u"},
        "quickbi_work_authorizations",
        {"resource_type": "cube", "resource_id": "r", "receiver_type": 0, "receiver_id": "u"}),
    "quickbi_dataset_whitelists": Case(
        "quickbi_dataset_whitelists", ("all_columns group", "d", "group", ("g",)), "AddDataLevelPermissionWhiteList",
        {"CubeId": "d", "RuleType": "COLUMN_LEVEL", "OperateType": "DELETE", "TargetType": "2", "TargetIds": "g"},
        "quickbi_dataset_whitelists",
        {"dataset_id": "d", "rule_type": "COLUMN_LEVEL", "receiver_type": 1, "receiver_id": "g"}),
}  # fmt: skip


def test_every_system_of_the_product_is_known() -> None:
    assert set(SYSTEMS) == set(REGISTRY) == {case.system for case in CASES.values()}
    assert set(KINDS) == {case.kind for case in CASES.values()}
    for name, system in REGISTRY.items():
        assert system.revoke_actions == {case.action for case in CASES.values() if case.system == name}


@pytest.mark.parametrize("name", CASES)
def test_plan_request_and_record_are_one_row(name: str) -> None:
    case = CASES[name]
    row = planned_row(case.system, *case.cell)
    assert written_rows(case.action, case.sent) == {row}
    assert truth_row(case.kind, case.held) == row


@pytest.mark.parametrize("name", CASES)
def test_the_item_of_a_record_that_is_gone_is_judged_by_its_row(name: str, tmp_path: Path) -> None:
    case, items = CASES[name], tmp_path / "items.jsonl"
    container, ident, kind, column = case.cell
    fields = {"container": container, "resource_id": ident, "principal_type": kind, "column": list(column)}
    fields |= {"principal_id": "", "native_id": "", "state": "accepted", "system": case.system}
    items.write_text(json.dumps({**fields, **(case.item or {})}))
    (gone,) = judge({case.kind: [case.held]}, {}, items)
    assert gone.holds and not gone.added and gone.removed == 1
    (left,) = judge({case.kind: [case.held]}, {case.kind: [case.held]}, items)
    assert len(left.left) == 1


@pytest.mark.parametrize("operation", ["ADD", "", "delete"])
def test_a_request_that_does_not_delete_names_no_entry_of_a_white_list(operation: str) -> None:
    case = CASES["quickbi_dataset_whitelists"]
    sent = written_rows(case.action, {**case.sent, "OperateType": operation})
    assert planned_row(case.system, *case.cell) not in sent and len(sent) == 1


def test_an_authorization_id_counts_within_its_kind_of_holder() -> None:
    user, role = CASES["dms_abac_authorizations"], CASES["a policy of a role"]
    assert written_rows(user.action, user.sent).isdisjoint(written_rows(role.action, role.sent))
