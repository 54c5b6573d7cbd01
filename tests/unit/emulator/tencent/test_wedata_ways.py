"""WeData beside grants: owners and creators of projects, creators of data sources, members without an id."""

from __future__ import annotations

from typing import Any

import pytest

from emulator.app import App
from emulator.store.people import Person
from emulator.store.wedata import DataSource, Project
from tests.support.emulator_client import Clients, mutate


@pytest.fixture
def stranger(app: App, project: Project) -> Person:
    """Somebody who has nothing to do with the project any more."""
    heads = {project.owner, project.creator}
    found = next(person for person in app.world.people if person.wedata_uin not in heads)
    project.members.pop(found.wedata_uin, None)
    return found


def members(clients: Clients, project: Project) -> list[dict[str, Any]]:
    """All members."""
    items: list[dict[str, Any]] = clients.wedata(
        "ListProjectMembers", {"ProjectId": project.project_id, "PageNumber": 1, "PageSize": 100}
    )["Data"]["Items"]
    return items


def test_owner_and_creator_of_a_project(app: App, clients: Clients, project: Project, stranger: Person) -> None:
    """In GetProject, ListProjects and, flagged, among the members, also without a role; or only as a member."""
    uin = stranger.wedata_uin
    for creator, flag, field in ((True, "IsCreator", "CreatorUin"), (False, "IsProjectOwner", "ProjectOwnerUin")):
        assert mutate(clients, op="project_owner", project_id=project.project_id, user_uin=uin, creator=creator)
        assert clients.wedata("GetProject", {"ProjectId": project.project_id})["Data"][field] == uin
        listed = clients.wedata("ListProjects", {"ProjectIds": [project.project_id]})["Data"]["Items"]
        assert [row[field] for row in listed] == [uin]
        flagged = [row for row in members(clients, project) if row[flag]]
        assert [(row["UserUin"], row["Roles"]) for row in flagged] == [(uin, [])]
    app.world.modes.set("wedata_empty_roles", "null")
    assert [row["Roles"] for row in members(clients, project) if row["UserUin"] == uin] == [None]
    app.world.modes.set("wedata_owner_listed", "members_only")
    assert uin not in {row["UserUin"] for row in members(clients, project)}
    refused = clients.wedata("DeleteProjectMember", {"ProjectId": project.project_id, "UserUins": [uin]})
    assert refused["Error"]["Code"] == "OperationDenied"


def test_how_creators_are_named(app: App, clients: Clients, project: Project) -> None:
    """By uin, by user id, by login name, or not at all: projects and data sources alike."""
    source = next(one for one in app.world.data_sources.sources.values() if one.project_id == project.project_id)
    source.creator = project.creator = project.owner
    person = next(one for one in app.world.people if one.wedata_uin == project.owner)
    forms = {"uin": person.wedata_uin, "user_id": person.wedata_user_id, "name": person.email.partition("@")[0],
             "null": None}  # fmt: skip
    for form, expected in forms.items():
        app.world.modes.set("wedata_creator_form", form)
        shown = clients.wedata("GetProject", {"ProjectId": project.project_id})["Data"]
        assert (shown["CreatorUin"], shown["ProjectOwnerUin"]) == (expected, expected)
        ids = {"ProjectId": project.project_id, "Id": source.source_id}
        assert clients.wedata("GetDataSource", ids)["Data"]["CreateUser"] == expected


def test_members_without_an_id(app: App, clients: Clients, project: Project) -> None:
    """None, all or every third one is null; the rest of the row stays."""
    uins = {row["UserUin"] for row in members(clients, project)}
    assert uins == {*project.members, project.owner, project.creator}
    app.world.modes.set("wedata_member_uin", "mixed")
    shown = {row["UserUin"] for row in members(clients, project)} - {None}
    assert shown == {uin for uin in uins if int(uin) % 3}
    app.world.modes.set("wedata_member_uin", "null")
    rows = members(clients, project)
    assert {row["UserUin"] for row in rows} == {None} and len(rows) == len(uins)
    assert all(row["DisplayName"] and row["Email"] for row in rows)


def default_audience(app: App, clients: Clients, source: DataSource) -> set[str]:
    """User ids that the default audience gives, as the listing shows it by mode."""
    app.world.modes.set("wedata_default_audience", "listed")
    data = clients.wedata("DescribeDataSourceAuthority", {"Id": source.source_id})["Data"]
    return {text.partition("_")[2] for text in data["AuthUsers"] or []}


def test_the_default_audience(app: App, clients: Clients, project: Project, stranger: Person) -> None:
    """Creator, administrators, owner and creator of the creating project."""
    source = next(one for one in app.world.data_sources.sources.values() if one.project_id == project.project_id)
    source.share_mode = "owner"
    source.users.clear()
    administrator = "308335260274237440"
    user = stranger.wedata_user_id
    ways = [
        {"op": "data_source_creator", "data_source_id": str(source.source_id)},
        {"op": "project_member", "project_id": project.project_id, "role_id": administrator},
        {"op": "project_owner", "project_id": project.project_id},
    ]
    for way in ways:
        before = (source.creator, project.owner)
        assert user not in default_audience(app, clients, source)
        assert mutate(clients, user_uin=stranger.wedata_uin, **way)
        assert user in default_audience(app, clients, source)
        source.creator, project.owner = before
        project.members.pop(stranger.wedata_uin, None)
    project.owner = stranger.wedata_uin
    app.world.modes.set("wedata_owner_role", "none")
    assert user not in default_audience(app, clients, source)


def test_a_page_behind_the_end(app: App, clients: Clients) -> None:
    """Empty, or the last page again."""
    page = {"PageNumber": 99, "PageSize": 1}
    assert clients.wedata("ListProjects", page)["Data"]["Items"] == []
    app.world.modes.set("wedata_beyond_end", "last")
    again = clients.wedata("ListProjects", page)["Data"]["Items"]
    assert [row["ProjectId"] for row in again] == [list(app.world.projects)[-1]]


def test_holders_of_platform_roles_are_in_no_answer(app: App, clients: Clients, stranger: Person) -> None:
    """Only the dump of the world knows them."""
    held = {"role_id": "360000000000000002", "user_uin": stranger.wedata_uin}
    assert mutate(clients, op="tenant_role", **held) is True
    assert mutate(clients, op="tenant_role", **held) is False
    assert clients.control("GET", "world")["wedata_tenant_role_holders"] == [held]
    assert stranger.wedata_uin not in str(clients.wedata("ListTenantRoles"))
    assert mutate(clients, op="tenant_role", remove=True, **held) is True
