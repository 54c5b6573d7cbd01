"""Calls of WeData's Studio: what is looked at right before, the final bytes, and what the answers say."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

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
    NotFoundError,
    RefusedError,
    UnknownOutcomeError,
)
from rescind.model import PERHAPS_OWN, Grant, PlannedCall
from tests.support.answering import Answers
from tests.support.studio import ANN, STUDIO, at, client, discovered, flow, held, page, permissions

CODE = {"ProjectId": "1470", "ResourceType": "script", "ResourceId": "s-1", "SubjectType": "user", "SubjectId": ANN}
FLOW = {"ProjectId": "1470", "EntityType": "folder", "EntityId": "wf1", "SubjectType": "role", "SubjectId": "308"}


def planned(kind: str, *rows: Answers) -> tuple[PlannedCall, list[Grant]]:
    given = {("ListCodePermissions" if kind.startswith("studio") else "ListWorkflowPermissions"): at(kind, *rows)}
    grants = permissions(discovered(**given)[0])
    cell = grants[0].cell
    columns = tuple((grant.cell.kind, grant.cell.column) for grant in grants)
    return PlannedCall(STUDIO.name, "a", cell.container, (cell.row,), columns), grants


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
def test_the_final_bytes_name_exactly_the_planned_permissions_and_the_restore_names_them_again(
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


def test_a_group_on_a_workflow_cannot_be_restored() -> None:
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
