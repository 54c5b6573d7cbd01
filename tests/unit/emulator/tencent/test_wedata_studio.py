"""Permissions of WeData's Studio: files and workflows, what comes from above, refusals, modes and faults."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.app import App
from emulator.store.studio import CODE, SYSTEM, WORKFLOW, Node
from tests.support.emulator_client import Clients

ENGINEER, ADMINISTRATOR = "308335260676890624", "308335260274237440"


def chain(app: App, tree: str) -> list[Node]:
    """A folder, a folder in it and a file or workflow at the end, of the first project, without permissions."""
    nodes = list(app.world.studio.in_project(next(iter(app.world.projects)), tree))
    for node in nodes:
        node.holders.clear()
    return nodes


@pytest.fixture
def code(app: App) -> list[Node]:
    """Folder, inner folder, script."""
    return chain(app, CODE)


@pytest.fixture
def flow(app: App) -> list[Node]:
    """Folder, inner folder, workflow."""
    return chain(app, WORKFLOW)


@pytest.fixture
def user(app: App) -> str:
    """Somebody's WeData user id."""
    return app.world.people[0].wedata_user_id


def resource(node: Node) -> dict[str, str]:
    return {"ResourceType": node.kind, "ResourceId": node.node_id}


def give(clients: Clients, node: Node, user: str, *privileges: str, take: bool = False, **more: Any) -> dict[str, Any]:
    subject = {"SubjectType": "user", "SubjectValues": [user], "Privileges": list(privileges), **more}
    given, subjects = ("RecyclePolicySet", "RecycleSubjects") if take else (
        "AuthorizePermissionObjects", "AuthorizeSubjects")  # fmt: skip
    params = {"ProjectId": node.project_id, given: [{"Resource": resource(node), subjects: [subject]}]}
    return clients.wedata("DeleteCodePermissions" if take else "CreateCodePermissions", params)


def rows(clients: Clients, node: Node, user: str, **more: Any) -> list[tuple[list[str], bool, str]]:
    """Privileges, whether they can be deleted, and the resource of each row of the user."""
    params = {"ProjectId": node.project_id, "Resource": resource(node), "PageNumber": 1, "PageSize": 100, **more}
    found = clients.wedata("ListCodePermissions", params)["Data"]["Rows"]
    return [(row["Privileges"], row["DeleteAble"], row["Resource"]["ResourceId"])
            for row in found if row["RoleId"] == user]  # fmt: skip


def test_permissions_of_files_come_and_go(app: App, clients: Clients, code: list[Node], user: str) -> None:
    """One effect for each; the script's row names the whole way down to it; the administrators' role stays."""
    script = code[-1]
    (result,) = give(clients, script, user, "CAN_EDIT", "CAN_VIEW")["Data"]
    assert (result["Item"], result["Result"], bool(result["Reason"])) == (script.node_id, True, True)
    assert rows(clients, script, user) == [(["CAN_VIEW", "CAN_EDIT"], True, script.node_id)]
    assert rows(clients, script, ADMINISTRATOR) == [(["CAN_MANAGE"], False, script.node_id)]
    assert clients.effects(SYSTEM)[-1]["grant"] in clients.control("GET", "world")[SYSTEM]
    assert give(clients, script, user, "CAN_EDIT", take=True)["Data"] == []
    assert rows(clients, script, user) == [(["CAN_VIEW"], True, script.node_id)]
    params = {"ProjectId": script.project_id, "Resource": resource(script), "PageNumber": 1, "PageSize": 1}
    first = clients.wedata("ListCodePermissions", params)["Data"]
    assert (len(first["Rows"]), first["TotalCount"]) == (1, 2)
    assert first["Rows"][0]["Resource"]["ResourceIdForPath"] == "/".join(node.node_id for node in code)
    assert rows(clients, script, user, Users=["another"]) == []
    assert [(entry["op"], entry["grant"]["privilege"]) for entry in clients.effects(SYSTEM)] == [
        ("added", "CAN_EDIT"), ("added", "CAN_VIEW"), ("removed", "CAN_EDIT"),
    ]  # fmt: skip


def test_what_comes_from_above_cannot_be_deleted(app: App, clients: Clients, code: list[Node], user: str) -> None:
    """Listed with DeleteAble false, of the parent or as its own, or not at all; deleting it does nothing, silently."""
    top, _, script = code
    give(clients, top, user, "CAN_RUN")
    assert rows(clients, script, user) == [(["CAN_RUN"], False, top.node_id)]
    app.world.modes.set("wedata_inherited_resource", "own")
    assert rows(clients, script, user) == [(["CAN_RUN"], False, script.node_id)]
    app.world.modes.set("wedata_studio_inherited", "hidden")
    assert rows(clients, script, user) == []
    assert give(clients, script, user, "CAN_RUN", take=True)["Data"] == []
    app.world.modes.set("wedata_code_results", "per_resource")
    (result,) = give(clients, script, user, "CAN_RUN", take=True)["Data"]
    assert result["Result"] is False and "inherited" in result["Reason"]
    assert give(clients, script, user, "CAN_VIEW", take=True)["Data"][0]["Result"] is True, "nobody holds it"
    app.world.modes.set("wedata_studio_absent", "false")
    assert give(clients, script, user, "CAN_VIEW", take=True)["Data"][0]["Result"] is False
    assert rows(clients, top, user) == [(["CAN_RUN"], True, top.node_id)]
    assert [entry["op"] for entry in clients.effects(SYSTEM)] == ["added"]


def workflow(clients: Clients, action: str, node: Node, user: str = "", **more: Any) -> dict[str, Any]:
    """A write for one user, or a read."""
    params = {"ProjectId": node.project_id, "EntityId": node.node_id, "EntityType": node.kind}
    name = {"Create": "PermissionList", "Delete": "DeletePermissionList"}.get(action[:6])
    target = {"PermissionTargetType": "user", "PermissionTargetId": user, "PermissionTypeList": ["CAN_MANAGE"]}
    if name:
        return clients.wedata(action, {**params, name: [{**target, **more}]})
    return clients.wedata(action, {**params, **more})


def held(clients: Clients, node: Node) -> list[str]:
    items = workflow(clients, "ListWorkflowPermissions", node)["Data"]["Items"]
    return [item["PermissionTargetId"] for item in items]


def test_permissions_of_workflows(app: App, clients: Clients, flow: list[Node], user: str) -> None:
    """CAN_MANAGE only; those of folders reach down, and are listed below without a mark, or not at all."""
    top, _, leaf = flow
    assert workflow(clients, "CreateWorkflowPermissions", leaf, user)["Data"]["Status"] is True
    assert workflow(clients, "CreateWorkflowPermissions", top, user)["Data"]["Status"] is True
    assert held(clients, leaf) == [user]
    app.world.modes.set("wedata_workflow_inherited", "listed")
    assert held(clients, leaf) == [user, user]
    assert workflow(clients, "DeleteWorkflowPermissions", leaf, user)["Data"]["Status"] is True
    assert held(clients, leaf) == [user]
    assert workflow(clients, "DeleteWorkflowPermissions", leaf, user)["Data"]["Status"] is False
    assert (
        workflow(clients, "DeleteWorkflowPermissions", top, user)["Data"]["Status"] is True
        and held(clients, leaf) == []
    )
    for action, given in (("CreateWorkflowPermissions", {"PermissionTypeList": ["CAN_EDIT"]}),
                          ("CreateWorkflowPermissions", {"PermissionTargetType": "group"}),
                          ("ListWorkflowPermissions", {"PageSize": 9})):  # fmt: skip
        assert workflow(clients, action, leaf, user, **given)["Error"]["Code"] == "InvalidParameter"
    assert workflow(clients, "DeleteWorkflowPermissions", leaf, user, PermissionTargetType="group")["Data"]["Status"]


def test_refusals(app: App, clients: Clients, code: list[Node], user: str) -> None:
    """Unknown and foreign resources refuse the whole call; a subject without values too, unless the mode says all."""
    top, _, script = code
    foreign = {"ProjectId": list(app.world.projects)[-1]}
    listing = {"Resource": resource(top), "PageNumber": 1, "PageSize": 20}
    assert clients.wedata("ListCodePermissions", {**foreign, **listing})["Error"]["Code"] == "ResourceNotFound"
    assert clients.wedata("ListCodePermissions", {"ProjectId": top.project_id, **listing, "PageSize": 101})["Error"]
    give(clients, script, user, "CAN_RUN", "CAN_EDIT")
    give(clients, script, "700000000009", "CAN_EDIT")
    for given in ({"SubjectType": "User"}, {"SubjectValues": []}, {"Privileges": []}, {"Privileges": ["SELECT"]}):
        answer = give(clients, script, user, "CAN_RUN", take=True, **given)
        assert answer["Error"]["Code"] == "InvalidParameter", given
    for objects in ([], None):
        params = {"ProjectId": top.project_id, "RecyclePolicySet": objects}
        assert clients.wedata("DeleteCodePermissions", params)["Error"]["Code"] == "InvalidParameter"
    assert len(clients.effects(SYSTEM)) == 3
    app.world.modes.set("wedata_studio_no_subjects", "all")
    give(clients, script, user, "CAN_EDIT", take=True, SubjectValues=[])
    assert rows(clients, script, user) == [(["CAN_RUN"], True, script.node_id)]
    assert give(clients, script, user, "CAN_RUN", SubjectValues=[])["Error"]["Code"] == "InvalidParameter"


def test_lists_may_be_late_and_writes_pretended_or_partial(clients: Clients, code: list[Node], user: str) -> None:
    """What went stays listed for one read, what is new stays hidden; a write may do nothing, or a part."""
    top, inner, script = code
    for take, states in ((False, [0, 1]), (True, [1, 0])):
        name = "DeleteCodePermissions" if take else "CreateCodePermissions"
        clients.control("POST", "faults", {"kind": "lag", "reads": 1, "action": name})
        give(clients, top, user, "CAN_RUN", take=take)
        assert [len(rows(clients, top, user)) for _ in range(2)] == states
    subject = {"SubjectType": "user", "SubjectValues": [user], "Privileges": ["CAN_RUN"]}
    both = [{"Resource": resource(node), "AuthorizeSubjects": [subject]} for node in (inner, script)]
    params = {"ProjectId": top.project_id, "AuthorizePermissionObjects": both}
    clients.control("POST", "faults", {"kind": "partial", "count": 1, "action": "CreateCodePermissions"})
    assert len(clients.wedata("CreateCodePermissions", params)["Data"]) == 1
    assert len(rows(clients, inner, user)) == 1 and not rows(clients, script, user)[0][1], "only the inherited one"
    clients.control("POST", "faults", {"kind": "pretend", "action": "DeleteCodePermissions"})
    assert give(clients, inner, user, "CAN_RUN", take=True)["Data"] == [] and len(rows(clients, inner, user)) == 1
    clients.control("POST", "faults", {"kind": "pretend", "action": "CreateCodePermissions"})
    (result,) = give(clients, top, user, "CAN_EDIT")["Data"]
    assert (result["Item"], result["Result"], rows(clients, top, user)) == (top.node_id, True, [])


def test_ids_may_be_uins(app: App, clients: Clients, code: list[Node], flow: list[Node], user: str) -> None:
    """The same person by the other id, in requests and answers; the truth stays with the user id."""
    uin = app.world.people[0].wedata_uin
    app.world.modes.set("wedata_studio_ids", "uin")
    give(clients, code[0], uin, "CAN_RUN")
    workflow(clients, "CreateWorkflowPermissions", flow[0], uin)
    assert len(rows(clients, code[0], uin)) == 1 and held(clients, flow[0]) == [uin]
    assert {entry["grant"]["subject_value"] for entry in clients.effects(SYSTEM)} == {user}


def test_folders_are_walked_by_path(app: App, clients: Clients, code: list[Node], flow: list[Node]) -> None:
    """One level each; workflows of a folder or of the whole project; an empty folder may be null."""
    top, inner, script = code
    place = {"ProjectId": top.project_id}

    def files(path: str, **more: Any) -> list[str]:
        params = {**place, "ParentFolderPath": path, **more}
        return [row["Id"] for row in clients.wedata("ListCodeFolderContents", params)["Data"]]

    assert files("/") == [top.node_id] and files("/team") == [inner.node_id] and files("/team/jobs") == [script.node_id]
    assert files("/team/jobs", OnlyFolderNode=True) == []
    app.world.modes.set("wedata_empty_folders", "null")
    empty = {**place, "ParentFolderPath": "/team/jobs", "OnlyFolderNode": True}
    assert clients.wedata("ListCodeFolderContents", empty)["Data"] is None
    missing = clients.wedata("ListCodeFolderContents", {**place, "ParentFolderPath": "/nowhere"})
    assert missing["Error"]["Code"] == "ResourceNotFound"
    folders = clients.wedata("ListWorkflowFolders", {**place, "ParentFolderPath": "/team"})["Data"]["Items"]
    assert [row["FolderId"] for row in folders] == [flow[1].node_id]
    for more in ({}, {"ParentFolderPath": "/team/jobs"}):
        listed = clients.wedata("ListWorkflows", {**place, **more})["Data"]["Items"]
        assert [row["WorkflowId"] for row in listed] == [flow[2].node_id]
