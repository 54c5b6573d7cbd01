"""Studio of WeData: which permissions may go, what is above them, who has access beside them, and the final bytes."""

from __future__ import annotations

import asyncio
import itertools
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest

from rescind.cloud.clients import WeDataClient
from rescind.cloud.connection.settings import ClientSettings
from rescind.cloud.wedata.data_sources import StatusAnswer
from rescind.cloud.wedata.studio import (
    CodeWriteAnswer,
    CreateWorkflowPermissions,
    DeleteCodePermissions,
    DeleteWorkflowPermissions,
)
from rescind.errors import (
    BlastRadiusExceededError,
    InputError,
    ListingIncompleteError,
    NotFoundError,
    RefusedError,
    UnknownOutcomeError,
)
from rescind.model import PERHAPS_OWN, Grant, PlannedCall
from rescind.systems import system_named
from rescind.systems.effective import access_around
from rescind.systems.population import Lists, Population
from rescind.systems.surfaces import UNCERTAIN
from rescind.systems.wedata.studio_tree import ADMINISTRATOR, CREATOR, OWNER, PERMISSIONS, SHARED
from tests.support.ledger.pacing import FreePacer

STUDIO = system_named("wedata_studio_permissions")
Answers = dict[str, Any]
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


async def _no_sleep(seconds: float) -> None:
    return None


def client(**answers: Any) -> WeDataClient:
    known, numbers = {**LAKE, **answers}, itertools.count(1)

    def network(request: httpx.Request) -> httpx.Response:
        given = known[request.headers["x-tc-action"]]
        body = given(json.loads(request.content)) if callable(given) else given
        return httpx.Response(200, json={"Response": {"RequestId": f"r{next(numbers)}", "Data": body}})

    fields = {"login": "AKID01", "password": "secret-01", "region": "ap-singapore", "edition": "international"}
    settings = ClientSettings.from_fields("wedata", fields)
    return WeDataClient(settings, pacer=FreePacer(), transport=httpx.MockTransport(network), sleep=_no_sleep)


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


@pytest.mark.parametrize(
    ("above", "own", "stale", "ended"),
    [(True, True, True, False), (False, True, False, False), (False, False, False, True), (None, None, False, True)],
)
def test_right_before_the_send_a_listing_tells_whether_a_workflow_has_its_permission_of_its_own(
    above: bool | None, own: bool | None, stale: bool, ended: bool
) -> None:
    """None: the object is gone."""
    sink, _ = discovered(ListWorkflowPermissions=page(flow("CAN_MANAGE")))
    (grant,) = (one for one in permissions(sink) if one.why_not == PERHAPS_OWN)

    def now(sent: Answers) -> Any:
        shown = above if sent["EntityType"] == "folder" else own
        if shown is None:
            raise NotFoundError("gone", vendor="tencent", action="ListWorkflowPermissions", code="ResourceNotFound")
        return page(*([flow("CAN_MANAGE")] if shown else [flow("CAN_MANAGE", who="701")]))

    there = client(ListWorkflowPermissions=now)
    more = asyncio.run(STUDIO.also_ended(there, [grant]))
    assert bool(more) is stale and (not stale or "workflow_folder wf1" in more[grant.grant_id])
    if not stale:
        found = asyncio.run(STUDIO.ended_with_others(there, [grant]))
        assert bool(found) is ended and (not ended or "ended with it" in found[grant.grant_id])
    certain = replace(grant, why_not="")
    assert asyncio.run(STUDIO.also_ended(client(ListWorkflowPermissions=None), [certain])) == {}
    assert asyncio.run(STUDIO.ended_with_others(client(ListWorkflowPermissions=None), [certain])) == {}


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


# --- requests and answers -------------------------------------------------------------------------------

CODE = {"ProjectId": "1470", "ResourceType": "script", "ResourceId": "s-1", "SubjectType": "user", "SubjectId": ANN}
FLOW = {"ProjectId": "1470", "EntityType": "folder", "EntityId": "wf1", "SubjectType": "role", "SubjectId": "308"}


def planned(kind: str, *rows: Answers) -> tuple[PlannedCall, list[Grant]]:
    given = {("ListCodePermissions" if kind.startswith("studio") else "ListWorkflowPermissions"): at(kind, *rows)}
    grants = permissions(discovered(**given)[0])
    cell = grants[0].cell
    columns = tuple((grant.cell.kind, grant.cell.column) for grant in grants)
    return PlannedCall(STUDIO.name, "a", cell.container, (cell.row,), columns), grants


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("studio_folder", held("CAN_VIEW", "CAN_RUN")),
        ("studio_script", held("CAN_EDIT", kind="role", who="308")),
        ("studio_script", held("CAN_EDIT", kind="group", who="12")),
        ("workflow_folder", flow("CAN_MANAGE", kind="role", who="308")),
        ("workflow", flow("CAN_MANAGE")),
    ],
)
def test_the_final_bytes_name_exactly_the_planned_permissions_and_the_restore_gives_them_back(
    kind: str, row: Answers
) -> None:
    call, grants = planned(kind, row)
    final = client().prepare(STUDIO.request(call, grants))
    assert STUDIO.blast_radius(final) == call.cells() == {grant.cell for grant in grants}
    inverses = [STUDIO.inverse(grant) for grant in grants]
    assert {STUDIO.restore_group(grant) for grant in grants} and None not in inverses
    back = client().prepare(STUDIO.restore_request([one for one in inverses if one]))
    assert sorted(map(dict, STUDIO.given(back)), key=str) == sorted((dict(one) for one in inverses if one), key=str)
    with pytest.raises(BlastRadiusExceededError):
        STUDIO.blast_radius(back)
    with pytest.raises(BlastRadiusExceededError):
        STUDIO.given(final)


def test_a_group_on_a_workflow_cannot_be_given_back() -> None:
    _, (grant,) = planned("workflow", flow("CAN_MANAGE", kind="group", who="12"))
    assert grant.revocable and STUDIO.inverse(grant) is None and STUDIO.unfaithful(grant)
    with pytest.raises(InputError):
        CreateWorkflowPermissions.model_validate({**FLOW, "SubjectType": "group", "Privileges": ("CAN_MANAGE",)})


_SUBJECT = {"SubjectType": "user", "SubjectValues": ["700"], "Privileges": ["CAN_EDIT"]}
_OBJECT = {"Resource": {"ResourceType": "script", "ResourceId": "s-1"}, "RecycleSubjects": [_SUBJECT]}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ProjectId": "1470"},
        {"ProjectId": "1470", "RecyclePolicySet": []},
        {"ProjectId": "1470", "RecyclePolicySet": [_OBJECT, _OBJECT]},
        {"ProjectId": "1470", "RecyclePolicySet": [{**_OBJECT, "RecycleSubjects": []}]},
        {"ProjectId": "1470", "RecyclePolicySet": [{**_OBJECT, "RecycleSubjects": [_SUBJECT, _SUBJECT]}]},
        {"ProjectId": "1470", "RecyclePolicySet": [{**_OBJECT, "RecycleSubjects": [{**_SUBJECT, "Privileges": []}]}]},
        {
            "ProjectId": "1470",
            "RecyclePolicySet": [{**_OBJECT, "RecycleSubjects": [{**_SUBJECT, "SubjectValues": []}]}],
        },
        {
            "ProjectId": "1470",
            "RecyclePolicySet": [{**_OBJECT, "RecycleSubjects": [{**_SUBJECT, "SubjectType": "all"}]}],
        },
        {"ProjectId": "1470", "RecyclePolicySet": [{**_OBJECT, "Resource": {"ResourceType": "script"}}]},
        {"ProjectId": "1470", "RecyclePolicySet": [{**_OBJECT, "Resource": {"ResourceType": "x", "ResourceId": "s"}}]},
        {"ProjectId": "1470", "RecyclePolicySet": [{**_OBJECT, "Recursive": True}]},
        {
            "ProjectId": "1470",
            "RecyclePolicySet": [{**_OBJECT, "RecycleSubjects": [{**_SUBJECT, "SubjectValues": ["0"]}]}],
        },
        {
            "ProjectId": "1470",
            "RecyclePolicySet": [{**_OBJECT, "Resource": {"ResourceType": "folder", "ResourceId": "all"}}],
        },
        {"ProjectId": 1470, "RecyclePolicySet": [_OBJECT]},
        {"ProjectId": "1470", "RecyclePolicySet": [_OBJECT], "All": True},
    ],
)
def test_a_body_that_is_not_one_holder_of_one_object_is_refused(body: Answers) -> None:
    final = client().prepare(DeleteCodePermissions.model_validate({**CODE, "Privileges": ("CAN_EDIT",)}))
    assert len(STUDIO.blast_radius(final)) == 1
    with pytest.raises(BlastRadiusExceededError):
        STUDIO.blast_radius(replace(final, body=json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ([], None),
        ([{"Item": "s-1", "Result": True, "Reason": "ok"}], None),
        ([{"Item": "s-1", "Result": False}], RefusedError),
        ([{"Item": "s-1", "Result": None}], UnknownOutcomeError),
        ([{"Item": "s-2", "Result": True}], UnknownOutcomeError),
        (None, UnknownOutcomeError),
    ],
)
def test_what_the_answer_about_a_script_says(data: Any, error: type[Exception] | None) -> None:
    message = DeleteCodePermissions.model_validate({**CODE, "Privileges": ("CAN_EDIT",)})
    facts = {"vendor": "tencent", "action": message.action}
    said = message.objection(CodeWriteAnswer.model_validate({"Data": data}), facts)
    assert said is None if error is None else isinstance(said, error)


@pytest.mark.parametrize(("status", "error"), [(True, None), (False, RefusedError), (None, UnknownOutcomeError)])
def test_what_the_answer_about_a_workflow_says(status: Any, error: type[Exception] | None) -> None:
    message = DeleteWorkflowPermissions.model_validate({**FLOW, "Privileges": ("CAN_MANAGE",)})
    facts = {"vendor": "tencent", "action": message.action}
    said = message.objection(StatusAnswer.model_validate({"Data": {"Status": status}}), facts)
    assert said is None if error is None else isinstance(said, error)


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
