"""Members of WeData projects and their roles: writes, effects, modes and faults."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.app import App
from emulator.store.wedata import Project
from tests.support.emulator_client import Clients

ADMINISTRATOR, ENGINEER, MEMBER = "308335260274237440", "308335260676890624", "308335260945326080"


@pytest.fixture
def uin(app: App, project: Project) -> str:
    """Somebody who has nothing to do with the project."""
    heads = {project.owner, project.creator}
    found = next(person.wedata_uin for person in app.world.people if person.wedata_uin not in heads)
    project.members.pop(found, None)
    return found


def change(clients: Clients, action: str, project: Project, **params: Any) -> str:
    """One write; its error code, empty for success."""
    answer = clients.wedata(action, {"ProjectId": project.project_id, **params})
    return str(answer.get("Error", {}).get("Code", ""))


def listed(clients: Clients, project: Project, uin: str) -> list[str] | None:
    """Role ids of a member by the list; None for who is not in it."""
    page = {"ProjectId": project.project_id, "PageNumber": 1, "PageSize": 200}
    rows = clients.wedata("ListProjectMembers", page)["Data"]["Items"]
    found = [row["Roles"] for row in rows if row["UserUin"] == uin]
    return sorted(role["RoleId"] for role in found[0]) if found else None


def told(clients: Clients) -> list[tuple[str, str]]:
    """Effects: operation, and the role or "member"."""
    return [(entry["op"], entry["grant"].get("role_id", "member")) for entry in clients.effects()
            if entry["system"] in ("wedata_project_members", "wedata_project_roles")]  # fmt: skip


def test_member_and_roles_are_effects_of_their_own(app: App, clients: Clients, project: Project, uin: str) -> None:
    """Come with roles, get more, lose one and the last, go; the dump has the same rows."""
    assert change(clients, "CreateProjectMember", project, UserUins=[uin], RoleIds=[MEMBER]) == ""
    assert change(clients, "GrantMemberProjectRole", project, UserUin=uin, RoleIds=[ENGINEER, MEMBER]) == ""
    assert listed(clients, project, uin) == [ENGINEER, MEMBER]
    dump = clients.control("GET", "world")
    for entry in clients.effects("wedata_project_roles"):
        assert entry["grant"] in dump["wedata_project_roles"]
    assert change(clients, "RemoveMemberProjectRole", project, UserUin=uin, RoleIds=[MEMBER, ADMINISTRATOR]) == ""
    assert change(clients, "RemoveMemberProjectRole", project, UserUin=uin, RoleIds=[ENGINEER]) == ""
    assert listed(clients, project, uin) == []
    assert change(clients, "DeleteProjectMember", project, UserUins=[uin, "1"]) == ""
    assert listed(clients, project, uin) is None
    assert told(clients) == [
        ("added", "member"), ("added", MEMBER), ("added", ENGINEER), ("removed", MEMBER), ("removed", ENGINEER),
        ("removed", "member"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("action", "params", "code"),
    [
        ("CreateProjectMember", {"UserUins": [], "RoleIds": [MEMBER]}, "InvalidParameter"),
        ("CreateProjectMember", {"UserUins": ["1"], "RoleIds": []}, "InvalidParameter"),
        ("CreateProjectMember", {"UserUins": ["1"], "RoleIds": ["360000000000000002"]}, "InvalidParameter"),
        ("CreateProjectMember", {"UserUins": "1", "RoleIds": [MEMBER]}, "InvalidParameter"),
        ("CreateProjectMember", {"RoleIds": [MEMBER]}, "MissingParameter"),
        ("DeleteProjectMember", {"UserUins": []}, "InvalidParameter"),
        ("DeleteProjectMember", {}, "MissingParameter"),
        ("RemoveMemberProjectRole", {"UserUin": "1", "RoleIds": [MEMBER]}, "UnauthorizedOperation.UserNotInProject"),
        ("GrantMemberProjectRole", {"UserUin": "1", "RoleIds": [MEMBER]}, "UnauthorizedOperation.UserNotInProject"),
        ("RemoveMemberProjectRole", {"UserUin": "1"}, "MissingParameter"),
        ("RemoveMemberProjectRole", {"UserUin": "1", "RoleIds": [MEMBER], "Role": "x"}, "UnknownParameter"),
        ("DeleteProjectMember", {"ProjectId": "0", "UserUins": ["1"]}, "InvalidParameter.WorkspaceNotExist"),
    ],
)  # fmt: skip
def test_what_is_refused(clients: Clients, project: Project, action: str, params: dict[str, Any], code: str) -> None:
    """Each with its code and without an effect."""
    answer = clients.wedata(action, {"ProjectId": project.project_id, **params})
    assert answer["Error"]["Code"] == code
    assert clients.effects() == []


def test_readings_of_the_last_and_of_absent_roles(app: App, clients: Clients, project: Project, uin: str) -> None:
    """The member stays, leaves, or the call is refused; an absent role is skipped or refused."""
    remove = {"UserUin": uin, "RoleIds": [MEMBER]}
    for mode, code, left in (("leaves", "", None), ("refused", "OperationDenied", [MEMBER]), ("stays", "", [])):
        app.world.modes.set("wedata_last_role", mode)
        change(clients, "CreateProjectMember", project, UserUins=[uin], RoleIds=[MEMBER])
        assert change(clients, "RemoveMemberProjectRole", project, **remove) == code
        assert listed(clients, project, uin) == left
    assert change(clients, "RemoveMemberProjectRole", project, **remove) == ""
    app.world.modes.set("wedata_absent_role", "refused")
    assert change(clients, "RemoveMemberProjectRole", project, **remove) == "InvalidParameter"
    app.world.modes.set("wedata_absent_member", "refused")
    gone = change(clients, "DeleteProjectMember", project, UserUins=[uin, "1"])
    assert gone == "UnauthorizedOperation.UserNotInProject" and listed(clients, project, uin) == []


def test_readings_of_grants(app: App, clients: Clients, project: Project, uin: str) -> None:
    """Roles are added or replaced; a member again; an id that nobody has."""
    create = {"UserUins": [uin], "RoleIds": [MEMBER]}
    change(clients, "CreateProjectMember", project, **create)
    app.world.modes.set("wedata_grant_role", "replace")
    change(clients, "GrantMemberProjectRole", project, UserUin=uin, RoleIds=[ENGINEER])
    assert listed(clients, project, uin) == [ENGINEER]
    change(clients, "CreateProjectMember", project, **create)
    assert listed(clients, project, uin) == [ENGINEER, MEMBER]
    app.world.modes.set("wedata_existing_member", "replace")
    change(clients, "CreateProjectMember", project, **create)
    assert listed(clients, project, uin) == [MEMBER]
    app.world.modes.set("wedata_existing_member", "refused")
    assert change(clients, "CreateProjectMember", project, **create) == "InvalidParameter"
    assert change(clients, "CreateProjectMember", project, UserUins=["5"], RoleIds=[MEMBER]) == ""
    app.world.modes.set("wedata_unknown_member", "refused")
    assert change(clients, "CreateProjectMember", project, UserUins=["6"], RoleIds=[MEMBER]) == "InvalidParameter"


def test_heads_and_the_last_administrator(app: App, clients: Clients, project: Project, uin: str) -> None:
    """Owner and creator refuse the whole call unless the mode lets them go; the last administrator the reverse."""
    project.owner = project.creator
    project.members = {project.owner: {ADMINISTRATOR}, uin: {MEMBER}}
    assert change(clients, "DeleteProjectMember", project, UserUins=[uin, project.owner]) == "OperationDenied"
    assert clients.effects() == []
    app.world.modes.set("wedata_last_administrator", "refused")
    app.world.modes.set("wedata_remove_head", "allowed")
    remove = {"UserUin": project.owner, "RoleIds": [ADMINISTRATOR]}
    assert change(clients, "DeleteProjectMember", project, UserUins=[project.owner]) == "OperationDenied"
    assert change(clients, "RemoveMemberProjectRole", project, **remove) == "OperationDenied"
    change(clients, "GrantMemberProjectRole", project, UserUin=uin, RoleIds=[ADMINISTRATOR])
    assert change(clients, "DeleteProjectMember", project, UserUins=[project.owner]) == ""
    assert (
        change(clients, "RemoveMemberProjectRole", project, UserUin=uin, RoleIds=[ADMINISTRATOR]) == "OperationDenied"
    )
    app.world.modes.set("wedata_last_administrator", "allowed")
    assert change(clients, "RemoveMemberProjectRole", project, UserUin=uin, RoleIds=[ADMINISTRATOR]) == ""


def test_entries_of_data_sources_stay_or_go_with_the_member(
    app: App, clients: Clients, project: Project, uin: str
) -> None:
    """Entries of other projects and of the project itself are never touched."""
    person = next(one for one in app.world.people if one.wedata_uin == uin)
    store, other = app.world.data_sources, list(app.world.projects)[-1]
    source = next(iter(store.sources.values()))
    mine = (project.project_id, person.wedata_user_id)
    for entry in (mine, (other, person.wedata_user_id), (project.project_id, "")):
        store.add(source, *entry)
    for mode, there in (("kept", True), ("removed", False)):
        app.world.modes.set("wedata_member_entries", mode)
        change(clients, "CreateProjectMember", project, UserUins=[uin], RoleIds=[MEMBER])
        change(clients, "DeleteProjectMember", project, UserUins=[uin])
        assert (mine in source.users) is there
    assert (other, person.wedata_user_id) in source.users and project.project_id in source.projects
    assert [entry["op"] for entry in clients.effects("wedata_data_sources")][-1] == "removed"


def test_roles_of_a_projects_own(app: App, clients: Clients, project: Project, uin: str) -> None:
    """Listed and granted like the built-in ones; those of another project are refused."""
    other = list(app.world.projects.values())[-1]
    project.roles["77"] = ("auditor", "Auditor")
    rows = clients.wedata("ListProjectRoles", {"ProjectId": project.project_id})["Data"]["Items"]
    assert [row["RoleDisplayName"] for row in rows if row["RoleId"] == "77"] == ["Auditor"]
    assert change(clients, "CreateProjectMember", project, UserUins=[uin], RoleIds=["77"]) == ""
    assert listed(clients, project, uin) == ["77"]
    assert change(clients, "CreateProjectMember", other, UserUins=[uin], RoleIds=["77"]) == "InvalidParameter"


def test_the_list_may_be_late_and_the_write_partial(app: App, clients: Clients, project: Project, uin: str) -> None:
    """With "lag" the former member and roles are shown for a read; "partial" takes only the first."""
    create = {"UserUins": [uin], "RoleIds": [MEMBER, ENGINEER]}
    steps: list[tuple[str, dict[str, Any], list[list[str] | None]]] = [
        ("CreateProjectMember", create, [None, [ENGINEER, MEMBER]]),
        ("RemoveMemberProjectRole", {"UserUin": uin, "RoleIds": [MEMBER]}, [[ENGINEER, MEMBER], [ENGINEER]]),
        ("DeleteProjectMember", {"UserUins": [uin]}, [[ENGINEER], None]),
    ]
    for action, params, shown in steps:
        clients.control("POST", "faults", {"kind": "lag", "reads": 1, "action": action})
        assert change(clients, action, project, **params) == ""
        assert [listed(clients, project, uin) for _ in range(2)] == shown
    change(clients, "CreateProjectMember", project, **create)
    clients.control("POST", "faults", {"kind": "partial", "count": 1, "action": "RemoveMemberProjectRole"})
    assert change(clients, "RemoveMemberProjectRole", project, UserUin=uin, RoleIds=[MEMBER, ENGINEER]) == ""
    assert listed(clients, project, uin) == [ENGINEER]
    clients.control("POST", "faults", {"kind": "pretend", "action": "DeleteProjectMember"})
    assert change(clients, "DeleteProjectMember", project, UserUins=[uin]) == ""
    assert listed(clients, project, uin) == [ENGINEER]
