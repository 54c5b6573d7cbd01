"""Permissions of Studio: files ("code") and workflows, with those that come from the folders above."""

from __future__ import annotations

from typing import Any

from emulator.errors import ApiError
from emulator.registry import Call
from emulator.store.studio import CODE, PRIVILEGES, WORKFLOW, Holder, Node
from emulator.store.wedata import ADMINISTRATOR_ROLE
from emulator.tencent import WEDATA
from emulator.tencent.paging import PAGE, REQUIRED_PAGE, cut
from emulator.tencent.projects import find_project

_RESOURCE = {"ResourceType": str, "ResourceId": str, "ResourceIdForPath": str, "ResourceCFSPath": str}
_SUBJECT = {"SubjectType": str, "SubjectValues": [str], "Privileges": [str]}
_TARGET = {"PermissionTargetType!": str, "PermissionTargetId!": str, "PermissionTypeList!": [str]}
_ENTITY = {"ProjectId!": str, "EntityId!": str, "EntityType!": str}
Change = tuple[Node, Holder, str]


def _node(call: Call, tree: str, kind: str, ident: str) -> Node:
    """A node of the project in the call.

    :raises ApiError: ResourceNotFound.
    """
    project = find_project(call, call.params["ProjectId"])
    node = call.world.studio.get(ident)
    if node is None or (node.project_id, node.tree, node.kind) != (project.project_id, tree, kind):
        raise ApiError("ResourceNotFound", f"The {kind or 'resource'} {ident} does not exist in the project.")
    return node


def _shown_id(call: Call, holder: Holder) -> str:
    """A holder's id as the answers name it: users by user id, or by uin, by mode."""
    if holder.kind != "user" or call.world.modes["wedata_studio_ids"] == "user_id":
        return holder.id
    uins = {person.wedata_user_id: person.wedata_uin for person in call.world.people}
    return uins.get(holder.id, holder.id)


def _holder(call: Call, kind: str, ident: str) -> Holder:
    if kind == "user" and call.world.modes["wedata_studio_ids"] == "uin":
        ids = {person.wedata_uin: person.wedata_user_id for person in call.world.people}
        return Holder(kind, ids.get(ident, ident))
    return Holder(kind, ident)


def _page(call: Call, items: list[Any], name: str, **sizes: int) -> dict[str, Any]:
    content, number, size = cut(call.params, items, beyond_end=call.world.modes["wedata_beyond_end"], **sizes)
    return {"Data": {name: content, "PageNumber": number, "PageSize": size, "TotalCount": len(items),
                     "TotalPageNumber": 0}}  # fmt: skip


def _resource(call: Call, node: Node) -> dict[str, Any]:
    studio = call.world.studio
    chain = "/".join(one.node_id for one in reversed([node, *studio.above(node)]))
    return {"ResourceType": node.kind, "ResourceId": node.node_id, "ResourceIdForPath": chain,
            "ResourceCFSPath": studio.path(node)}  # fmt: skip


@WEDATA.action("ListCodePermissions", {"ProjectId!": str, "Resource!": _RESOURCE, "Users": [str], **REQUIRED_PAGE})
def code_permissions(call: Call) -> dict[str, Any]:
    """Permissions on a file or folder, with those from above and the administrators': they cannot be deleted here."""
    given, modes = call.params["Resource"], call.world.modes
    node = _node(call, CODE, given.get("ResourceType", ""), given.get("ResourceId", ""))
    administrators = Holder("role", ADMINISTRATOR_ROLE)
    found: list[tuple[Holder, list[str], Node, bool]] = [(administrators, ["CAN_MANAGE"], node, False)]
    found += [(holder, held, node, True) for holder, held in call.world.studio.listed(node).items()]
    if modes["wedata_studio_inherited"] == "listed":
        for above in call.world.studio.above(node):
            shown = above if modes["wedata_inherited_resource"] == "parent" else node
            found += [(holder, held, shown, False) for holder, held in call.world.studio.listed(above).items()]
    rows = [
        {"RoleType": holder.kind, "RoleId": _shown_id(call, holder), "Privileges": held,
         "Resource": _resource(call, place), "DeleteAble": deletable}
        for holder, held, place, deletable in found
    ]  # fmt: skip
    users = call.params.get("Users")
    rows = [row for row in rows if not users or (row["RoleType"] == "user" and row["RoleId"] in users)]
    return _page(call, rows, "Rows", default=20, largest=100)


def _check(privileges: list[str], allowed: tuple[str, ...] = PRIVILEGES) -> None:
    if not privileges or not set(privileges) <= set(allowed):
        raise ApiError("InvalidParameter", f"Privileges must be among {', '.join(allowed)}.")


def _code_changes(call: Call, objects: str, subjects: str) -> dict[str, list[Change]]:
    """What a write asks for, by resource.

    A subject without values or privileges is refused, or stands for all that there are, by mode (taking only).

    :raises ApiError: InvalidParameter, ResourceNotFound: for the whole call.
    """
    wanted: dict[str, list[Change]] = {}
    everything = objects == "RecyclePolicySet" and call.world.modes["wedata_studio_no_subjects"] == "all"
    for item in call.params.get(objects, []):
        given = item.get("Resource", {})
        node = _node(call, CODE, given.get("ResourceType", ""), given.get("ResourceId", ""))
        changes = wanted.setdefault(node.node_id, [])
        for subject in item.get(subjects, []):
            kind, values, names = (subject.get(name) for name in ("SubjectType", "SubjectValues", "Privileges"))
            if kind not in ("user", "role", "group"):
                raise ApiError("InvalidParameter", "SubjectType must be user, role or group.")
            if not (values and names) and not everything:
                raise ApiError("InvalidParameter", "SubjectValues and Privileges must not be empty.")
            _check(names or list(PRIVILEGES))
            holders = [_holder(call, kind, value) for value in values or []]
            holders = holders or [holder for holder in node.holders if holder.kind == kind]
            changes += [(node, holder, name) for holder in holders for name in names or PRIVILEGES]
    if not any(wanted.values()):
        raise ApiError("InvalidParameter", f"{objects} names nothing.")
    return wanted


def _above(call: Call, node: Node, holder: Holder, privilege: str) -> bool:
    return any(privilege in above.holders.get(holder, ()) for above in call.world.studio.above(node))


def _take(call: Call, changes: list[Change]) -> str:
    """Take permissions off the nodes themselves; why something stayed, empty when nothing did."""
    reason = ""
    for node, holder, privilege in changes:
        if call.world.studio.change(node, holder, privilege, remove=True):
            continue
        if _above(call, node, holder, privilege):
            reason = "inherited permission cannot be deleted"
        elif call.world.modes["wedata_studio_absent"] == "false":
            reason = "permission does not exist"
    return reason


@WEDATA.action(
    "CreateCodePermissions",
    {
        "ProjectId!": str,
        "AuthorizePermissionObjects!": [{"Resource": _RESOURCE, "AuthorizeSubjects": [_SUBJECT]}],
    },
    write=True,
)
def create_code(call: Call) -> dict[str, Any]:
    """Give permissions on files and folders: one result for each, with a reason even when it worked."""
    wanted = _code_changes(call, "AuthorizePermissionObjects", "AuthorizeSubjects")
    for changes in wanted.values():
        for change in changes:
            call.world.studio.change(*change)
    return {"Data": [{"Item": ident, "Result": True, "Reason": "success"} for ident in wanted]}


@WEDATA.action(
    "DeleteCodePermissions",
    {"ProjectId!": str, "RecyclePolicySet": [{"Resource": _RESOURCE, "RecycleSubjects": [_SUBJECT]}]},
    write=True,
)
def delete_code(call: Call) -> dict[str, Any]:
    """Take permissions from files and folders themselves. The answer is an empty list, as in the sample, or by mode."""
    reasons = {ident: _take(call, changes)
               for ident, changes in _code_changes(call, "RecyclePolicySet", "RecycleSubjects").items()}  # fmt: skip
    if call.world.modes["wedata_code_results"] == "empty":
        return {"Data": []}
    return {"Data": [{"Item": ident, "Result": not reason, "Reason": reason or "success"}
                     for ident, reason in reasons.items()]}  # fmt: skip


@WEDATA.action("ListWorkflowPermissions", {**_ENTITY, **PAGE})
def workflow_permissions(call: Call) -> dict[str, Any]:
    """Permissions on a workflow or folder; those from above are not listed, or without a mark, by mode."""
    if call.number("PageSize", 10) < 10:
        raise ApiError("InvalidParameter", "PageSize must be between 10 and 200.")
    studio, node = call.world.studio, _node(call, WORKFLOW, call.params["EntityType"], call.params["EntityId"])
    listed = call.world.modes["wedata_workflow_inherited"] == "listed"
    items = [
        {"PermissionTargetType": holder.kind, "PermissionTargetId": _shown_id(call, holder), "PermissionTypeList": held}
        for place in [node, *(studio.above(node) if listed else [])]
        for holder, held in studio.listed(place).items()
    ]
    return _page(call, items, "Items", largest=200)


def _workflow_changes(call: Call, name: str, kinds: tuple[str, ...]) -> list[Change]:
    node = _node(call, WORKFLOW, call.params["EntityType"], call.params["EntityId"])
    changes = []
    for target in call.params[name]:
        _check(target["PermissionTypeList"], ("CAN_MANAGE",))
        if target["PermissionTargetType"] not in kinds:
            raise ApiError("InvalidParameter", f"PermissionTargetType must be one of {', '.join(kinds)}.")
        holder = _holder(call, target["PermissionTargetType"], target["PermissionTargetId"])
        changes += [(node, holder, privilege) for privilege in target["PermissionTypeList"]]
    if not changes:
        raise ApiError("InvalidParameter", f"{name} names nothing.")
    return changes


@WEDATA.action("CreateWorkflowPermissions", {**_ENTITY, "PermissionList!": [_TARGET]}, write=True)
def create_workflow(call: Call) -> dict[str, Any]:
    """Give users and roles CAN_MANAGE, the only permission that is supported."""
    for change in _workflow_changes(call, "PermissionList", ("user", "role")):
        call.world.studio.change(*change)
    return {"Data": {"Status": True}}


@WEDATA.action("DeleteWorkflowPermissions", {**_ENTITY, "DeletePermissionList!": [_TARGET]}, write=True)
def delete_workflow(call: Call) -> dict[str, Any]:
    """Take CAN_MANAGE from users, roles and groups; false when one of them has it from a folder above."""
    return {"Data": {"Status": not _take(call, _workflow_changes(call, "DeletePermissionList",
                                                                  ("user", "role", "group")))}}  # fmt: skip


def _children(call: Call, tree: str, kinds: tuple[str, ...]) -> list[Node]:
    """Nodes of some kinds in the folder that the call names by path.

    :raises ApiError: ResourceNotFound.
    """
    project, studio = find_project(call, call.params["ProjectId"]), call.world.studio
    nodes, path = list(studio.in_project(project.project_id, tree)), call.text("ParentFolderPath") or "/"
    found = [node.node_id for node in nodes if node.kind == "folder" and studio.path(node) == path.rstrip("/")]
    if path != "/" and not found:
        raise ApiError("ResourceNotFound", f"The folder {path} does not exist.")
    parent = found[0] if found else ""
    return [node for node in nodes if node.parent == parent and node.kind in kinds
            and call.text("Keyword") in node.name]  # fmt: skip


@WEDATA.action(
    "ListCodeFolderContents",
    {"ProjectId!": str, "ParentFolderPath": str, "Keyword": str, "OnlyFolderNode": bool, "OnlyUserSelfScript": bool},
)
def code_folder(call: Call) -> dict[str, Any]:
    """Files and folders of one level. No paging; an empty folder may be null, by mode."""
    kinds = ("folder",) if call.params.get("OnlyFolderNode") else ("folder", "script")
    nodes, studio = _children(call, CODE, kinds), call.world.studio
    if not nodes and call.world.modes["wedata_empty_folders"] == "null":
        return {"Data": None}
    return {"Data": [
        {"Id": node.node_id, "Title": node.name, "Type": node.kind, "IsLeaf": node.kind == "script", "Params": None,
         "AccessScope": node.scope, "Path": studio.path(node), "OwnerUin": node.owner, "CreateUserUin": node.owner,
         "NodePermission": "CAN_MANAGE", "Children": None,
         "ParentFolderPath": call.text("ParentFolderPath") or "/"}
        for node in nodes
    ]}  # fmt: skip


@WEDATA.action("ListWorkflowFolders", {"ProjectId!": str, "ParentFolderPath!": str, **PAGE})
def workflow_folders(call: Call) -> dict[str, Any]:
    """Folders of workflows in one folder, by page."""
    rows = [
        {"ProjectId": node.project_id, "FolderId": node.node_id, "FolderPath": call.world.studio.path(node),
         "CreateUserUin": node.owner}
        for node in _children(call, WORKFLOW, ("folder",))
    ]  # fmt: skip
    return _page(call, rows, "Items", largest=200)


@WEDATA.action(
    "ListWorkflows",
    {"ProjectId!": str, "Keyword": str, "ParentFolderPath": str, "WorkflowType": str, "BundleId": str,
     "OwnerUin": str, "CreateUserUin": str, "ModifyTime": [str], "CreateTime": [str], **PAGE},
)  # fmt: skip
def list_workflows(call: Call) -> dict[str, Any]:
    """Workflows by page: in one folder, or of the whole project without a folder."""
    project = find_project(call, call.params["ProjectId"])
    nodes = [node for node in call.world.studio.in_project(project.project_id, WORKFLOW) if node.kind == "workflow"]
    if "ParentFolderPath" in call.params:
        nodes = _children(call, WORKFLOW, ("workflow",))
    rows = [
        {"WorkflowId": node.node_id, "WorkflowName": node.name, "WorkflowType": "cycle", "OwnerUin": node.owner,
         "CreateUserUin": node.owner, "UpdateUserUin": node.owner, "WorkflowDesc": "",
         "CreateTime": "2025-09-03 10:00:00", "ModifyTime": "2025-09-03 10:00:00"}
        for node in nodes
        if call.text("Keyword") in node.name and call.text("OwnerUin") in ("", node.owner)
    ]  # fmt: skip
    return _page(call, rows, "Items", largest=200)
