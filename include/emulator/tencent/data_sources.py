"""Data sources and their audiences."""

from __future__ import annotations

from typing import Any

from emulator.errors import ApiError
from emulator.registry import Call
from emulator.store.wedata import ADMINISTRATOR_ROLE, DataSource
from emulator.tencent import WEDATA
from emulator.tencent.paging import PAGE, paged
from emulator.tencent.projects import creator_id


def _source(call: Call, text: str | int) -> DataSource:
    source = call.world.data_sources.sources.get(int(text)) if str(text).isdecimal() else None
    if source is None:
        raise ApiError("ResourceNotFound", f"The data source {text} does not exist.")
    return source


def _item(call: Call, source: DataSource) -> dict[str, Any]:
    project, creator = call.world.projects[source.project_id], creator_id(call, source.creator)
    secret = '{"url":"jdbc:demo://10.0.0.7:3306","username":"loader","password":"ENC(demo-not-a-secret)"}'
    return {
        "ProjectId": source.project_id, "Id": source.source_id, "Type": source.kind, "Name": source.name,
        "DisplayName": source.name.replace("_", " "), "Description": "", "ProjectName": project.name,
        "CreateUser": creator, "CreateTime": "2025-09-03 00:11:03", "ModifyUser": creator,
        "ModifyTime": "2025-10-03 00:11:03", "ProdConProperties": secret, "DevConProperties": None, "Category": "DB",
    }  # fmt: skip


@WEDATA.action("ListDataSources", {"ProjectId!": str, **PAGE, "Name": str, "DisplayName": str, "Type": [str],
                                   "Creator": str})  # fmt: skip
def list_data_sources(call: Call) -> dict[str, Any]:
    """Sources that a project owns, by page."""
    params = call.params
    if params["ProjectId"] not in call.world.projects:
        raise ApiError("InvalidParameter.WorkspaceNotExist", "The project does not exist.")
    items = [
        source
        for source in call.world.data_sources.sources.values()
        if source.project_id == params["ProjectId"]
        and params.get("Name", "") in source.name
        and (not params.get("Type") or source.kind in params["Type"])
        and params.get("Creator", source.creator) == source.creator
    ]
    return {"Data": paged(call, items, lambda source: _item(call, source))}


@WEDATA.action("GetDataSource", {"ProjectId!": str, "Id!": int})
def get_data_source(call: Call) -> dict[str, Any]:
    """One source; its password is masked here and only here."""
    source = _source(call, call.params["Id"])
    if source.project_id != call.params["ProjectId"]:
        raise ApiError("ResourceNotFound", "The data source does not belong to the project.")
    item = _item(call, source)
    item["ProdConProperties"] = item["ProdConProperties"].replace("ENC(demo-not-a-secret)", "******")
    return {"Data": item}


@WEDATA.action("GetDataSourceRelatedTasks", {"Id!": int})
def related_tasks(call: Call) -> dict[str, Any]:
    """Development tasks that use a source: every third source has some."""
    source = _source(call, call.params["Id"])
    project = call.world.projects[source.project_id]
    tasks = [{"TaskId": f"20251{source.source_id}", "TaskName": f"load_{source.name}",
              "CreateTime": "2025-09-04 08:00:00", "OwnerUinList": [source.creator]}]  # fmt: skip
    groups = [{"TaskType": "OfflineIntegration", "TaskNum": 1, "TaskList": tasks}] if source.source_id % 3 == 0 else []
    return {"Data": [{"ProjectId": project.project_id, "ProjectName": project.name, "TaskInfo": groups or None}]}


@WEDATA.action("DescribeDataSourceAuthority", {"Id!": int})
def describe_authority(call: Call) -> dict[str, Any]:
    """Projects and users admitted; null means none. The default audience is not listed (see the modes)."""
    source = _source(call, call.params["Id"])
    projects, users = call.world.data_sources.audience(source)
    if call.world.modes["wedata_default_audience"] == "listed":
        extra_projects, extra_users = default_audience(call, source)
        projects += [project for project in extra_projects if project not in projects]
        users += [user for user in extra_users if user not in users]
    return {"Data": {
        "AuthProjectIds": projects or None,
        "AuthUsers": [f"{project}_{user}" for project, user in users] or None,
    }}  # fmt: skip


def default_audience(call: Call, source: DataSource) -> tuple[list[str], list[tuple[str, str]]]:
    """Who can use a source without any entry: its project, or its creator and the project's administrators."""
    if source.share_mode == "project":
        return [source.project_id], []
    project = call.world.projects[source.project_id]
    uins = {source.creator} | {uin for uin, roles in project.members.items() if ADMINISTRATOR_ROLE in roles}
    if call.world.modes["wedata_owner_role"] == "administrator":
        uins |= {project.owner, project.creator}
    users = [(source.project_id, person.wedata_user_id) for person in call.world.people if person.wedata_uin in uins]
    return [], users


def _project_user(text: str) -> tuple[str, str]:
    project, separator, user = text.partition("_")
    if not separator or not project.isdecimal() or not user.isdecimal():
        raise ApiError("InvalidParameter", "The user must be given as projectId_userId.")
    return project, user


@WEDATA.action(
    "RevokeDataSourceAuthorization", {"DataSourceId!": str, "RevokeProjectId": str, "RevokeUser": str}, write=True
)
def revoke_authorization(call: Call) -> dict[str, Any]:
    """Take a project or one user off a source. Without either (absent, null, empty or blank) everything goes."""
    store = call.world.data_sources
    source = _source(call, call.params["DataSourceId"])
    project, user = call.text("RevokeProjectId").strip(), call.text("RevokeUser").strip()
    if project and user:
        raise ApiError("InvalidParameter", "Only one of RevokeProjectId and RevokeUser can be filled in.")
    if user:
        store.remove(source, *_project_user(user))
    elif project:
        store.remove(source, project)
    else:
        store.wipe(source)
    return {"Data": {"Status": True}}


@WEDATA.action("AuthorizeDataSource", {"DataSourceId!": str, "AuthProjectId": str, "AuthUsers": [str]}, write=True)
def authorize_data_source(call: Call) -> dict[str, Any]:
    """Admit a project, or users of one project."""
    store = call.world.data_sources
    source = _source(call, call.params["DataSourceId"])
    project, users = call.text("AuthProjectId"), [_project_user(user) for user in call.params.get("AuthUsers", [])]
    if bool(project) == bool(users):
        raise ApiError("InvalidParameter", "Exactly one of AuthProjectId and AuthUsers must be filled in.")
    if len({owner for owner, _ in users}) > 1:
        raise ApiError("InvalidParameter", "All users must belong to one project.")
    if unknown := {owner for owner, _ in users or [(project, "")]} - set(call.world.projects):
        raise ApiError("InvalidParameter.WorkspaceNotExist", f"The project {unknown.pop()} does not exist.")
    for owner, user in users or [(project, "")]:
        store.add(source, owner, user)
    return {"Data": {"Status": True}}
