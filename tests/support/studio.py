"""A project with a folder, a script, a workflow folder and a workflow, and what its systems find."""

from __future__ import annotations

import asyncio
from typing import Any

from rescind.cloud.clients import WeDataClient
from rescind.model import Grant
from rescind.systems import system_named
from rescind.systems.population import Population
from tests.support.answering import Answers, wedata
from tests.support.sink import Lists

STUDIO = system_named("wedata_studio_permissions")
PROJECT, ANN, UIN, BOSS = "1470", "700", "100", "900"
FOLDER_ROW = {"Id": "f1", "Title": "etl", "Type": "folder", "Path": "/etl"}
SCRIPT_ROW = {"Id": "s-1", "Title": "load.sql", "Type": "script", "Path": "/etl/load.sql"}
COMMON = {"AccessScope": "PRIVATE", "OwnerUin": BOSS, "CreateUserUin": BOSS}


def page(*rows: Answers) -> Answers:
    return {"Items": list(rows), "TotalCount": len(rows)}


def code(*rows: Answers) -> Answers:
    return {"Rows": list(rows), "TotalCount": len(rows)}


def held(*rights: str, kind: str = "user", who: str = ANN, **fields: Any) -> Answers:
    return {"RoleType": kind, "RoleId": who, "Privileges": list(rights), "DeleteAble": True, **fields}


def flow(*rights: str, kind: str = "user", who: str = ANN) -> Answers:
    return {"PermissionTargetType": kind, "PermissionTargetId": who, "PermissionTypeList": list(rights)}


def tree(sent: Answers) -> list[Answers]:
    at = {"/": [{**FOLDER_ROW, **COMMON}], "/etl": [{**SCRIPT_ROW, **COMMON}]}
    return at[sent["ParentFolderPath"]]


def folders(sent: Answers) -> Answers:
    one = {"FolderId": "wf1", "FolderPath": "/daily", "CreateUserUin": BOSS}
    return page(one) if sent["ParentFolderPath"] == "/" else page()


LAKE: Answers = {
    "ListProjects": page({"ProjectId": PROJECT, "ProjectOwnerUin": BOSS, "CreatorUin": BOSS}),
    "ListProjectMembers": page({"UserUin": UIN, "Roles": [{"RoleId": "308"}], "IsCreator": False}),
    "ListCodeFolderContents": tree,
    "ListCodePermissions": code(),
    "ListWorkflowFolders": folders,
    "ListWorkflows": page({"WorkflowId": "w1", "WorkflowName": "load", "OwnerUin": BOSS, "CreateUserUin": BOSS}),
    "ListWorkflowPermissions": page(),
}


def client(**answers: Any) -> WeDataClient:
    return wedata({**LAKE, **answers})


def discovered(**answers: Any) -> tuple[Lists, Population]:
    sink = Lists()
    found = Population(sink)
    asyncio.run(STUDIO.discover(client(**answers), found))
    for grant in sink.grants:
        if grant.cell.container:
            assert STUDIO.cell(grant.key) == grant.cell
    return sink, found


def permissions(sink: Lists) -> list[Grant]:
    return [grant for grant in sink.grants if grant.cell.container]


def at(kind: str, *rows: Answers) -> Any:
    """Rows on the one object of a kind, nothing on the others."""
    if kind.startswith("studio"):
        want = kind.removeprefix("studio_")
        return lambda sent: code(*(rows if sent["Resource"]["ResourceType"] == want else ()))
    want = "folder" if kind == "workflow_folder" else "workflow"
    return lambda sent: page(*(rows if sent["EntityType"] == want else ()))
