"""What the writes of WeData must name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rescind.cloud.write_rules.shapes import (
    DIGITS,
    ID,
    NONE,
    PAIR,
    WORD,
    Parameters,
    Rule,
    filled_list,
    id_text,
    one_entry,
    only_names,
    path_text,
    refuse,
    whole_object,
)

_SUBJECTS = {
    "User": DIGITS,
    "Project": DIGITS,
    "Role": re.compile(r"[1-9][0-9]{0,19}(?:\.[1-9][0-9]{0,19}){0,2}"),
    "GlobalRole": re.compile(r"AllAccountUsers|[1-9][0-9]{0,19}"),
}
_ALL_WORD = re.compile(r"(?:all|any|every)(?:_.*)?", re.IGNORECASE | re.ASCII | re.DOTALL)
_ALL_PRIVILEGES = "ALL_PRIVILEGES"
_LEVELS = ("CAN_VIEW", "CAN_RUN", "CAN_EDIT", "CAN_MANAGE")


def _privileges(action: str, given: Parameters) -> None:
    only_names(action, given, {"Resources", "Subjects", "Privileges"})
    resources = [
        whole_object(action, "Resources", entry, {"ResourceType", "ResourceUri"})
        for entry in filled_list(action, "Resources", given["Resources"])
    ]
    for entry in resources:
        kind = id_text(action, "ResourceType", entry["ResourceType"], WORD)
        path = path_text(action, "ResourceUri", entry["ResourceUri"])
        if "*" in path or path == "%" or _ALL_WORD.fullmatch(path) or _ALL_WORD.fullmatch(kind):
            refuse(action, "a resource means more than one object")
    if len({entry["ResourceType"].casefold() for entry in resources}) != 1:
        refuse(action, "its resources have different types")
    subjects = filled_list(action, "Subjects", given["Subjects"])
    privileges = filled_list(action, "Privileges", given["Privileges"])
    if len(subjects) != len(privileges):
        refuse(action, f"has {len(subjects)} Subjects and {len(privileges)} Privileges")
    for entry in subjects:
        subject = whole_object(action, "Subjects", entry, {"SubjectType", "SubjectValues"})
        shape = _SUBJECTS.get(id_text(action, "SubjectType", subject["SubjectType"], WORD))
        if shape is None:
            refuse(action, "a subject has an unknown type")
            return
        for value in filled_list(action, "SubjectValues", subject["SubjectValues"]):
            id_text(action, "SubjectValues", value, shape)
    for entry in privileges:
        name = id_text(action, "Name", whole_object(action, "Privileges", entry, {"Name"})["Name"], WORD)
        if _ALL_WORD.fullmatch(name) and name != _ALL_PRIVILEGES:
            refuse(action, "a privilege means every privilege")


def _revoke_data_source(action: str, given: Parameters) -> None:
    """Exactly one selector: with none the vendor withdraws everything from the data source."""
    selectors = set(given) & {"RevokeProjectId", "RevokeUser"}
    if len(selectors) != 1:
        refuse(action, f"has {len(selectors)} selectors in place of one")
    only_names(action, given, {"DataSourceId", *selectors})
    id_text(action, "DataSourceId", given["DataSourceId"], DIGITS)
    if "RevokeUser" in given:
        id_text(action, "RevokeUser", given["RevokeUser"], PAIR)
    else:
        id_text(action, "RevokeProjectId", given["RevokeProjectId"], DIGITS)


def _authorize_data_source(action: str, given: Parameters) -> None:
    selectors = set(given) & {"AuthProjectId", "AuthUsers"}
    if len(selectors) != 1:
        refuse(action, f"has {len(selectors)} selectors in place of one")
    only_names(action, given, {"DataSourceId", *selectors})
    id_text(action, "DataSourceId", given["DataSourceId"], DIGITS)
    if "AuthProjectId" in given:
        id_text(action, "AuthProjectId", given["AuthProjectId"], DIGITS)
        return
    users = [id_text(action, "AuthUsers", user, PAIR) for user in filled_list(action, "AuthUsers", given["AuthUsers"])]
    if len({user.partition("_")[0] for user in users}) != 1:
        refuse(action, "its users are in different projects")


def _project_member(action: str, given: Parameters) -> None:
    """One project and one user; roles wherever the action has them, each named once."""
    user = "UserUin" if action.endswith("MemberProjectRole") else "UserUins"
    roles = NONE if action == "DeleteProjectMember" else {"RoleIds"}
    only_names(action, given, {"ProjectId", user, *roles})
    id_text(action, "ProjectId", given["ProjectId"], DIGITS)
    users = [given[user]] if user == "UserUin" else filled_list(action, user, given[user])
    if len(users) != 1:
        refuse(action, f"names {len(users)} users in place of one")
    id_text(action, user, users[0], DIGITS)
    ids = [id_text(action, name, one, DIGITS) for name in roles for one in filled_list(action, name, given[name])]
    if len(ids) > len(set(ids)):
        refuse(action, "RoleIds names a role twice")


def _holder(action: str, kind: Any, ident: Any, rights: Any, kinds: tuple[str, ...]) -> None:
    """One user, role or group with permissions, each named once."""
    if kind not in kinds:
        refuse(action, f"its holder is not one of {', '.join(kinds)}")
    id_text(action, "holder", ident, DIGITS)
    named = filled_list(action, "permissions", rights)
    if any(right not in _LEVELS for right in named) or len(set(named)) != len(named):
        refuse(action, "names a permission twice, or one that is not known")


def _code_permissions(action: str, given: Parameters) -> None:
    """One folder or script, one holder."""
    objects, subjects = (
        ("RecyclePolicySet", "RecycleSubjects")
        if action == "DeleteCodePermissions"
        else ("AuthorizePermissionObjects", "AuthorizeSubjects")
    )
    only_names(action, given, {"ProjectId", objects})
    id_text(action, "ProjectId", given["ProjectId"], DIGITS)
    entry = whole_object(action, objects, one_entry(action, objects, given[objects]), {"Resource", subjects})
    resource = whole_object(action, "Resource", entry["Resource"], {"ResourceType", "ResourceId"})
    if resource["ResourceType"] not in ("folder", "script"):
        refuse(action, "ResourceType is neither folder nor script")
    id_text(action, "ResourceId", resource["ResourceId"], ID)
    fields = {"SubjectType", "SubjectValues", "Privileges"}
    subject = whole_object(action, subjects, one_entry(action, subjects, entry[subjects]), fields)
    ident = one_entry(action, "SubjectValues", subject["SubjectValues"])
    _holder(action, subject["SubjectType"], ident, subject["Privileges"], ("user", "role", "group"))


def _workflow_permissions(action: str, given: Parameters) -> None:
    """One workflow or folder, one holder."""
    deletes = action == "DeleteWorkflowPermissions"
    name = "DeletePermissionList" if deletes else "PermissionList"
    only_names(action, given, {"ProjectId", "EntityId", "EntityType", name})
    id_text(action, "ProjectId", given["ProjectId"], DIGITS)
    id_text(action, "EntityId", given["EntityId"], ID)
    if given["EntityType"] not in ("folder", "workflow"):
        refuse(action, "EntityType is neither folder nor workflow")
    fields = {"PermissionTargetType", "PermissionTargetId", "PermissionTypeList"}
    entry = whole_object(action, name, one_entry(action, name, given[name]), fields)
    kinds = ("user", "role", "group") if deletes else ("user", "role")
    target = entry["PermissionTargetId"]
    _holder(action, entry["PermissionTargetType"], target, entry["PermissionTypeList"], kinds)


WRITES: Mapping[str, Rule] = {
    "RevokePrivileges": _privileges,
    "AuthorizePrivileges": _privileges,
    "RevokeDataSourceAuthorization": _revoke_data_source,
    "AuthorizeDataSource": _authorize_data_source,
    "DeleteCodePermissions": _code_permissions,
    "CreateCodePermissions": _code_permissions,
    "DeleteWorkflowPermissions": _workflow_permissions,
    "CreateWorkflowPermissions": _workflow_permissions,
    "RemoveMemberProjectRole": _project_member,
    "GrantMemberProjectRole": _project_member,
    "DeleteProjectMember": _project_member,
    "CreateProjectMember": _project_member,
}
