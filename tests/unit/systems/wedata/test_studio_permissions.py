"""Studio of WeData: which permissions may go, what is above them, and who has access beside them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rescind.errors import (
    ListingIncompleteError,
)
from rescind.model import PERHAPS_OWN
from rescind.systems.effective import access_around
from rescind.systems.population import Population
from rescind.systems.surfaces import UNCERTAIN
from rescind.systems.wedata.studio_tree import ADMINISTRATOR, CREATOR, OWNER, PERMISSIONS, SHARED
from tests.support.answering import Answers
from tests.support.sink import Lists
from tests.support.studio import (
    COMMON,
    FOLDER_ROW,
    LAKE,
    SCRIPT_ROW,
    STUDIO,
    UIN,
    at,
    client,
    code,
    discovered,
    flow,
    held,
    page,
    permissions,
    tree,
)


def test_without_permissions_only_owners_are_found_and_nothing_is_left_open() -> None:
    sink, found = discovered()
    assert permissions(sink) == [] and found.gaps == [] and found.left_out == []
    ways = {(g.key.resource_type, g.key.entitlement) for g in sink.grants}
    kinds = {kind for kind, _ in ways}
    assert len(kinds) == 4 and ways - {(kind, ADMINISTRATOR) for kind in kinds} == {
        ("studio_folder", OWNER), ("studio_script", OWNER), ("workflow", OWNER), ("workflow_folder", CREATOR),
    }  # fmt: skip
    assert not any(grant.revocable for grant in sink.grants)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (held("CAN_EDIT"), ""),
        (held("CAN_EDIT", kind="role", who="308"), ""),
        (held("CAN_EDIT", kind="group", who="12"), ""),
        (held("CAN_EDIT", DeleteAble=False), "cannot be withdrawn"),
        (held("CAN_EDIT", DeleteAble=None), "does not tell whether"),
        (
            held("CAN_EDIT", Resource={"ResourceType": "folder", "ResourceId": "f9"}),
            "inherited from studio_folder f9, whose own permission was not listed",
        ),
        (held("CAN_EDIT", Resource={"ResourceType": "script", "ResourceId": "s-1"}), ""),
        (held("CAN_FLY"), "cannot name"),
        (held("CAN_EDIT", Privileges=None), "does not tell its permissions"),
        (held("CAN_EDIT", kind="team"), "no user, role or group"),
        (held("CAN_EDIT", RoleId=None), "no user, role or group"),
        (held("CAN_EDIT", who="a,b"), "cannot name"),
    ],
)
def test_a_row_of_a_script(row: Answers, why: str) -> None:
    sink, _ = discovered(ListCodePermissions=at("studio_script", row))
    (grant,) = permissions(sink)
    assert grant.revocable == (why == "") and why in grant.why_not


def test_the_same_permission_given_directly_and_built_in_are_two() -> None:
    rows = (held("CAN_EDIT"), held("CAN_EDIT", DeleteAble=False))
    sink, _ = discovered(ListCodePermissions=at("studio_script", *rows))
    direct, fixed = sorted(permissions(sink), key=lambda grant: not grant.revocable)
    assert direct.key._replace(native_id="fixed") == fixed.key
    rest = [grant for grant in sink.grants if grant is not direct]
    paths = access_around(STUDIO, [direct], rest, sink.memberships).paths(direct)
    assert [path.grant.key for path in paths] == [fixed.key]


def test_a_permission_of_a_folder_above_is_a_path() -> None:
    def listed(sent: Answers) -> Answers:
        return code(held("CAN_MANAGE" if sent["Resource"]["ResourceType"] == "folder" else "CAN_EDIT"))

    sink, _ = discovered(ListCodePermissions=listed)
    on_script = next(grant for grant in permissions(sink) if grant.key.resource_type == "studio_script")
    rest = [grant for grant in sink.grants if grant is not on_script]
    assert on_script.revocable
    paths = access_around(STUDIO, [on_script], rest, sink.memberships).paths(on_script)
    assert [path.describe() for path in paths] == ['direct grant: CAN_MANAGE on studio_folder f1 "/etl"']


@pytest.mark.parametrize(("right", "repeated"), [("CAN_EDIT", True), ("CAN_RUN", False)])
def test_a_row_that_repeats_a_permission_on_its_folder_is_no_way_of_its_own(right: str, repeated: bool) -> None:
    """The vendor names the folder. The folder's permission stands for it; one that no folder shows is kept."""

    def listed(sent: Answers) -> Answers:
        if sent["Resource"]["ResourceType"] == "folder":
            return code(held("CAN_EDIT"))
        return code(held(right, Resource={"ResourceType": "folder", "ResourceId": "f1"}))

    sink, _ = discovered(ListCodePermissions=listed)
    found = {(grant.key.resource_type, grant.key.entitlement, grant.inherited_from) for grant in permissions(sink)}
    shown = set() if repeated else {("studio_script", "CAN_RUN", "studio_folder f1")}
    assert found == {("studio_folder", "CAN_EDIT", ""), *shown}


@pytest.mark.parametrize("inside", [True, False])
def test_a_workflow_in_a_folder_with_the_same_permission_may_have_it_from_there(inside: bool) -> None:
    every = LAKE["ListWorkflows"]
    listing = {
        "ListWorkflows": lambda sent: every if inside or "ParentFolderPath" not in sent else page(),
        "ListWorkflowPermissions": page(flow("CAN_MANAGE")),
    }
    sink, _ = discovered(**listing)
    by_kind = {grant.key.resource_type: grant for grant in permissions(sink)}
    folder, flowing = by_kind["workflow_folder"], by_kind["workflow"]
    assert folder.revocable and flowing.revocable and (flowing.why_not == PERHAPS_OWN) is inside
    assert flowing.inherited_from == ("workflow_folder wf1" if inside else "")
    assert (STUDIO.turn(folder), STUDIO.turn(flowing)) == (0, int(inside)) and STUDIO.in_turns
    held_back = STUDIO.ended_besides([flowing], sink.grants)
    assert set(held_back) == ({flowing.grant_id} if inside else set())
    assert not inside or "once that permission is gone" in held_back[flowing.grant_id]
    assert STUDIO.ended_besides([folder, flowing], sink.grants) == {}
    assert STUDIO.ended_besides([folder], sink.grants) == {}


def test_below_two_folders_each_goes_after_those_above_it() -> None:
    top, inner = {"FolderId": "wf0", "FolderPath": "/a"}, {"FolderId": "wf1", "FolderPath": "/a/b"}
    sink, _ = discovered(ListWorkflowFolders=page(top, inner), ListWorkflowPermissions=page(flow("CAN_MANAGE")))
    grants = {grant.key.resource_id: grant for grant in permissions(sink)}
    assert {ident: STUDIO.turn(grant) for ident, grant in grants.items()} == {"wf0": 0, "wf1": 1, "w1": 2}
    without = [grants["wf1"], grants["w1"]]
    assert set(STUDIO.ended_besides(without, sink.grants)) == {one.grant_id for one in without}


def test_a_role_of_the_project_is_a_way_for_its_members_and_the_project_for_shared_scripts() -> None:
    def shared(sent: Answers) -> list[Answers]:
        return [{**one, "AccessScope": "SHARED"} for one in tree(sent)]

    rows = (held("CAN_EDIT", who=UIN), held("CAN_MANAGE", kind="role", who="308"))
    sink, _ = discovered(ListCodePermissions=at("studio_script", *rows), ListCodeFolderContents=shared)
    mine = next(grant for grant in permissions(sink) if grant.key.principal_id == UIN)
    rest = [grant for grant in sink.grants if grant is not mine]
    paths = access_around(STUDIO, [mine], rest, sink.memberships).paths(mine)
    ways = {(path.grant.key.principal_type, path.grant.key.principal_id, path.grant.key.entitlement) for path in paths}
    assert ways == {("role", "1470.308", "CAN_MANAGE"), ("project", "1470", SHARED)}


@pytest.mark.parametrize(("field", "kind"), [("OwnerUin", "owner"), ("CreateUserUin", "creator")])
def test_who_owns_or_created_an_object_and_is_not_told_stays_unproven(field: str, kind: str) -> None:
    _, found = discovered(ListCodeFolderContents=lambda sent: [{**one, field: ""} for one in tree(sent)])
    assert {gap.resource for gap in found.gaps} == {("studio_folder", "f1"), ("studio_script", "s-1")}
    assert all(kind in gap.why for gap in found.gaps)


@pytest.mark.parametrize("row", [{**FOLDER_ROW, **COMMON, "Path": None}, {**FOLDER_ROW, **COMMON, "Path": ""}])
def test_a_folder_without_a_path_is_no_listing(row: Answers) -> None:
    with pytest.raises(ListingIncompleteError, match="no path"):
        discovered(ListCodeFolderContents=[row])


def test_a_folder_that_holds_itself_is_no_listing() -> None:
    with pytest.raises(ListingIncompleteError, match="two folders"):
        discovered(ListCodeFolderContents=[{**FOLDER_ROW, **COMMON}])


@pytest.mark.parametrize("action", ["ListCodeFolderContents", "ListWorkflowFolders", "ListWorkflows"])
def test_a_list_of_objects_that_is_null_is_no_listing(action: str) -> None:
    with pytest.raises(ListingIncompleteError):
        discovered(**{action: None})


@pytest.mark.parametrize("ident", ["all", "0", "a b"])
def test_an_object_whose_id_no_call_can_carry_is_named_and_left_out(ident: str) -> None:
    row = {**SCRIPT_ROW, **COMMON, "Id": ident}
    _, found = discovered(ListCodeFolderContents=lambda sent: [row] if sent["ParentFolderPath"] == "/" else [])
    assert [one["id"] for one in found.left_out] == [ident]


# --- what is above an object ----------------------------------------------------------------------------


def left_open(sink: Lists, found: Population, kind: str) -> dict[str, str]:
    """What stays unanswered for the first permission on an object of this kind, and for nothing beside the gaps."""
    grant = next(one for one in permissions(sink) if one.key.resource_type == kind)
    rest = [one for one in sink.grants if one is not grant]
    return access_around(STUDIO, [grant], rest, sink.memberships).gaps(grant, found.gaps)


@pytest.mark.parametrize("ident", ["f1", "a b", "all"])
def test_a_folder_that_is_not_reviewed_leaves_what_is_in_it_unproven(ident: str) -> None:
    def listed(sent: Answers) -> list[Answers]:
        return [{**one, "Id": ident} if one["Type"] == "folder" else one for one in tree(sent)]

    answers = {"ListCodeFolderContents": listed, "ListCodePermissions": at("studio_script", held("CAN_EDIT"))}
    found = Population(sink := Lists(), (), ("f1",))
    asyncio.run(STUDIO.discover(client(**answers), found))
    assert [(one["type"], one["id"]) for one in found.left_out] == [("studio_folder", ident)]
    assert set(left_open(sink, found, "studio_script")) == {PERMISSIONS.name}


def test_a_workflow_folder_that_is_not_reviewed_leaves_its_workflows_unproven() -> None:
    found = Population(sink := Lists(), (), ("wf1",))
    answers = {"ListWorkflowPermissions": page(flow("CAN_MANAGE"))}
    asyncio.run(STUDIO.discover(client(**answers), found))
    assert set(left_open(sink, found, "workflow")) == {PERMISSIONS.name}
    assert left_open(*discovered(**answers), "workflow") == {}


@pytest.mark.parametrize(
    "rows",
    [
        ({"FolderId": "wf1", "FolderPath": "/daily"}, {"FolderId": "wf2", "FolderPath": "/daily"}),
        ({"FolderId": "wf1", "FolderPath": "/daily"}, {"FolderId": "wf1", "FolderPath": "/nightly"}),
    ],
    ids=["one path, two folders", "one folder, two paths"],
)
@pytest.mark.parametrize("later", [False, True])
def test_workflow_folders_that_share_a_path_or_an_id_are_no_listing(rows: tuple[Answers, ...], later: bool) -> None:
    first, second = rows

    def listed(sent: Answers) -> Answers:
        if sent["ParentFolderPath"] == "/":
            return page(first) if later else page(first, second)
        return page(second) if later and sent["ParentFolderPath"] == "/daily" else page()

    # A page must not repeat a key, so two paths of one folder come in two listings or not at all.
    with pytest.raises(ListingIncompleteError):
        discovered(ListWorkflowFolders=listed)


def test_a_root_that_is_listed_as_a_folder_is_above_every_other() -> None:
    root, daily = {"FolderId": "wf0", "FolderPath": "/"}, {"FolderId": "wf1", "FolderPath": "/daily"}
    sink, _ = discovered(ListWorkflowFolders=page(root, daily), ListWorkflowPermissions=page(flow("CAN_MANAGE")))
    said = {grant.key.resource_id: grant.inherited_from for grant in permissions(sink)}
    assert said["wf0"] == "" and said["wf1"] == said["w1"] == "workflow_folder wf0"
    above = {grant.key.resource_id: sorted(STUDIO.parents(grant)) for grant in permissions(sink)}
    assert above["wf0"] == [] and above["wf1"] == [("workflow_folder", "wf0")] and len(above["w1"]) == 2


@pytest.mark.parametrize(("scope", "shared"), [("PRIVATE", False), ("SHARED", True), (None, True), ("TEAM", True)])
def test_what_is_not_told_to_be_private_may_be_shared_with_the_project(scope: Any, shared: bool) -> None:
    sink, _ = discovered(ListCodeFolderContents=lambda sent: [{**one, "AccessScope": scope} for one in tree(sent)])
    ways = [grant for grant in sink.grants if grant.key.entitlement == SHARED]
    assert len(ways) == (2 if shared else 0) and all(UNCERTAIN in way.attributes for way in ways)


def test_a_permission_that_nobody_knows_may_include_every_other() -> None:
    sink, _ = discovered(ListCodePermissions=at("studio_script", held("CAN_VIEW"), held("CAN_FLY")))
    mine = next(grant for grant in permissions(sink) if grant.revocable)
    rest = [grant for grant in sink.grants if grant is not mine]
    paths = access_around(STUDIO, [mine], rest, sink.memberships).paths(mine)
    assert [path.grant.key.entitlement for path in paths] == ["CAN_FLY"]
    assert STUDIO.includes("CAN_EDIT", "CAN_VIEW") and not STUDIO.includes("CAN_VIEW", "CAN_EDIT")
