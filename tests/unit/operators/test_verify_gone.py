"""Verify operators, sensors and their trigger: gone only after two complete listings without the grant."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred

from rescind.hooks.single_calls.grants import KINDS
from rescind.operators import dms, quickbi, wedata
from rescind.sensors.dms import DmsUserPermissionGoneSensor
from rescind.sensors.quickbi import QuickBiMenuAuthorizationGoneSensor
from rescind.sensors.wedata import WeDataDataSourceAuthorizationGoneSensor, WeDataPrivilegeGoneSensor
from rescind.triggers.grant_gone import GrantGoneTrigger

pytestmark = pytest.mark.airflow

PRIVILEGE = {
    "resource_type": "Catalog", "resource_uri": "demo", "subject_type": "User", "subject_value": "700001",
    "privilege": "SELECT_TABLE",
}  # fmt: skip
SOURCE = {"data_source_id": "65377", "project_id": "29", "user_id": "70"}
RECORD = {"user_id": "51001", "user_access_id": "774001", "ds_type": "DATABASE", "perm_type": "QUERY", "db_id": "1"}
MENU = {"portal_id": "p", "menu_ids": ["m"], "user_ids": ["u"]}


def permissions(*rows: Any, total: int | None = None) -> dict[str, Any]:
    return {"Response": {"Data": {"Details": list(rows), "TotalCount": len(rows) if total is None else total}}}


def privilege_row(*, uri: str = "demo", **detail: Any) -> dict[str, Any]:
    return {
        "Resource": {"ResourceType": "CATALOG", "ResourceUri": uri},
        "SubjectDetails": [{"SubjectType": "User", "SubjectValue": "700001"}],
        "PermissionDetails": [{"Name": "SELECT_TABLE", **detail}],
    }


def authority(projects: list[str] | None, users: list[str] | None) -> dict[str, Any]:
    return {"Response": {"Data": {"AuthProjectIds": projects, "AuthUsers": users}}}


def records(*rows: Any, total: int | None = None) -> dict[str, Any]:
    listed = {"UserPermission": list(rows)}
    return {"Success": True, "UserPermissions": listed, "TotalCount": len(rows) if total is None else total}


def record_row(access_id: str = "774001", *, user: str = "51001", db: str = "1") -> dict[str, Any]:
    details = {"PermDetail": [{"UserAccessId": access_id, "PermType": "QUERY"}]}
    return {"UserId": user, "DsType": "DATABASE", "DbId": db, "Logic": False, "PermDetails": details}


def menus(*receivers: tuple[int, str], menu: str = "m") -> dict[str, Any]:
    listed = [{"ReceiverType": kind, "ReceiverId": ident, "AuthPointsValue": 1} for kind, ident in receivers]
    return {"Success": True, "Result": [{"MenuId": menu, "Receivers": listed}]}


CASES: list[tuple[Any, Any, dict[str, Any], str, dict[str, Any], dict[str, Any]]] = [
    (wedata.WeDataVerifyPrivilegesGoneOperator, WeDataPrivilegeGoneSensor, PRIVILEGE, "ListPermissions",
     permissions(privilege_row()), permissions()),
    (wedata.WeDataVerifyDataSourceAuthorizationsGoneOperator, WeDataDataSourceAuthorizationGoneSensor, SOURCE,
     "DescribeDataSourceAuthority", authority(["29"], ["29_70"]), authority(["29"], ["29_7"])),
    (dms.DmsVerifyUserPermissionsGoneOperator, DmsUserPermissionGoneSensor, RECORD, "ListUserPermissions",
     records(record_row()), records(record_row("9", db="2"))),
    (quickbi.QuickBiVerifyMenuAuthorizationsGoneOperator, QuickBiMenuAuthorizationGoneSensor, MENU,
     "ListPortalMenuAuthorization", menus((0, "u")), menus((1, "u"), (0, "v"))),
]  # fmt: skip
INCOMPLETE = {
    "ListPermissions": permissions(total=4),
    "DescribeDataSourceAuthority": {"Response": {"Data": None}},
    "ListUserPermissions": records(total=4),
    "ListPortalMenuAuthorization": {"Success": True, "Result": None},
}
each = pytest.mark.parametrize(("verify", "sensor", "grant", "action", "present", "gone"), CASES)


@pytest.fixture(autouse=True)
def connections(connection: Callable[..., str]) -> None:
    for conn_id in ("wedata_default", "dms_default", "quickbi_default"):
        connection(conn_id, "generic")


@each
def test_gone_needs_two_complete_listings(
    cloud: Any, verify: Any, sensor: Any, grant: Any, action: str, present: Any, gone: Any
) -> None:
    cloud.replies = {action: gone}
    report = verify(task_id="t", grants=grant).execute({})
    assert (report["gone"], report["still_present"], len(report["records"])) == (1, 0, 2)
    assert report["grants"] == [{"grant": grant, "verdict": "record_gone", "found": []}]
    assert cloud.actions() == [action, action]
    json.dumps(report)


@each
def test_a_grant_that_is_still_listed_fails_and_may_be_retried(
    cloud: Any, verify: Any, sensor: Any, grant: Any, action: str, present: Any, gone: Any
) -> None:
    for replies in (present, [gone, present]):  # also when only the second listing shows it
        cloud.replies = {action: replies}
        with pytest.raises(AirflowException, match="1 of 1 grants are still present") as caught:
            verify(task_id="t", grants=[grant]).execute({})
        assert not isinstance(caught.value, AirflowFailException)


@each
def test_an_incomplete_listing_is_never_gone(
    cloud: Any, verify: Any, sensor: Any, grant: Any, action: str, present: Any, gone: Any
) -> None:
    for replies in (INCOMPLETE[action], [gone, INCOMPLETE[action]]):
        cloud.replies = {action: replies}
        with pytest.raises(AirflowFailException):
            verify(task_id="t", grants=[grant]).execute({})


@each
def test_a_sensor_pokes_until_it_is_gone(
    cloud: Any, verify: Any, sensor: Any, grant: Any, action: str, present: Any, gone: Any
) -> None:
    cloud.replies = {action: [present, gone]}
    waiting = sensor(task_id="t", grant=grant, deferrable=False)
    assert not waiting.poke({}).is_done
    done = waiting.poke({})
    assert done.is_done and done.xcom_value["gone"] == 1


@each
def test_a_deferred_sensor_ends_with_the_report_of_its_trigger(
    cloud: Any, verify: Any, sensor: Any, grant: Any, action: str, present: Any, gone: Any
) -> None:
    cloud.replies = {action: [present, present, gone]}
    waiting = sensor(task_id="t", grant=grant, deferrable=True, poke_interval=0.01, timeout=60)
    with pytest.raises(TaskDeferred) as deferred:
        waiting.execute({})
    assert deferred.value.timeout == timedelta(seconds=60)
    path, arguments = deferred.value.trigger.serialize()
    assert path == "rescind.triggers.grant_gone.GrantGoneTrigger"
    assert "canary" not in json.dumps(arguments)
    event = asyncio.run(first_event(GrantGoneTrigger(**json.loads(json.dumps(arguments)))))
    assert waiting.execute_complete({}, event)["grants"][0]["verdict"] == "record_gone"
    assert cloud.actions() == [action] * 4


@each
def test_a_sensor_that_finds_it_gone_does_not_defer(
    cloud: Any, verify: Any, sensor: Any, grant: Any, action: str, present: Any, gone: Any
) -> None:
    cloud.replies = {action: gone}
    assert sensor(task_id="t", grant=grant, deferrable=True).execute({})["gone"] == 1


@each
def test_templates_hold_the_grant_and_the_connection_and_no_switches(
    cloud: Any, verify: Any, sensor: Any, grant: Any, action: str, present: Any, gone: Any
) -> None:
    for operator, field in ((verify, "grants"), (sensor, "grant")):
        conn_id = operator.grant_kind.hook.conn_name_attr
        assert set(operator.template_fields) == {field, conn_id}
        with DAG("mapped", schedule=None) as dag:
            operator.partial(task_id="t", **{conn_id: "x"}).expand(**{field: [grant]})
        assert dag.task_ids == ["t"]


async def first_event(trigger: GrantGoneTrigger) -> dict[str, Any]:
    return {**(await anext(aiter(trigger.run()))).payload}


def test_what_cannot_be_told_is_tried_again_and_what_is_wrong_ends_the_wait(cloud: Any) -> None:
    refused = {"Response": {"Error": {"Code": "AuthFailure.SecretIdNotFound", "Message": "m"}}}
    cloud.replies = {"ListPermissions": [INCOMPLETE["ListPermissions"], permissions(), permissions()]}
    arguments = {"kind": "WeDataPrivilege", "grant": PRIVILEGE, "conn_id": "wedata_default", "poke_interval": 0.0}
    assert asyncio.run(first_event(GrantGoneTrigger(**arguments)))["report"]["gone"] == 1
    assert len(cloud.asked) == 3
    cloud.replies = {"ListPermissions": refused}
    event = asyncio.run(first_event(GrantGoneTrigger(**arguments)))
    assert event["error"].startswith("UnauthorizedError")
    with pytest.raises(AirflowFailException, match="UnauthorizedError"):
        WeDataPrivilegeGoneSensor(task_id="t", grant=PRIVILEGE).execute_complete({}, event)
    with pytest.raises(AirflowFailException, match="UnauthorizedError"):
        WeDataPrivilegeGoneSensor(task_id="t", grant=PRIVILEGE, deferrable=False).poke({})


def test_a_poke_that_cannot_tell_is_not_done(cloud: Any) -> None:
    cloud.replies = {"ListPermissions": INCOMPLETE["ListPermissions"]}
    assert not WeDataPrivilegeGoneSensor(task_id="t", grant=PRIVILEGE, deferrable=False).poke({}).is_done


def test_an_inherited_privilege_is_not_gone(cloud: Any) -> None:
    cloud.replies = {"ListPermissions": permissions(privilege_row(Inherited=True))}
    with pytest.raises(AirflowException, match="inherited from an unnamed parent"):
        wedata.WeDataVerifyPrivilegesGoneOperator(task_id="t", grants=PRIVILEGE).execute({})


@pytest.mark.parametrize("spelling", ["user", "USER"])
def test_letter_case_hides_nothing(cloud: Any, spelling: str) -> None:
    row = privilege_row()
    row["SubjectDetails"][0]["SubjectType"] = spelling
    cloud.replies = {"ListPermissions": permissions(row)}
    with pytest.raises(AirflowException, match="still present"):
        wedata.WeDataVerifyPrivilegesGoneOperator(task_id="t", grants=PRIVILEGE).execute({})


def test_a_regrant_with_a_new_record_is_not_gone(cloud: Any) -> None:
    cloud.replies = {"ListUserPermissions": records(record_row("774002"))}
    with pytest.raises(AirflowException, match="another record of the same permission, 774002"):
        dms.DmsVerifyUserPermissionsGoneOperator(task_id="t", grants=RECORD).execute({})


@pytest.mark.parametrize(
    ("verify", "grant", "reply"),
    [
        (
            wedata.WeDataVerifyPrivilegesGoneOperator,
            PRIVILEGE,
            {"ListPermissions": permissions(privilege_row(uri="x"))},
        ),
        (dms.DmsVerifyUserPermissionsGoneOperator, RECORD, {"ListUserPermissions": records(record_row(user="9"))}),
    ],
)
def test_a_listing_about_something_else_proves_nothing(cloud: Any, verify: Any, grant: Any, reply: Any) -> None:
    cloud.replies = reply
    with pytest.raises(AirflowFailException, match=r"ListingIncompleteError.*a row is about another"):
        verify(task_id="t", grants=grant).execute({})


@pytest.mark.parametrize(
    ("grants", "words"),
    [
        ("abc", "not a list"),
        (None, "not a list"),
        ([["a"]], "not a mapping"),
        ({**SOURCE, "user_id": ""}, "user_id"),
        ({**SOURCE, "usr_id": "70"}, "usr_id"),
        ({"data_source_id": "65377"}, "project_id"),
    ],
)
def test_a_wrong_description_is_refused_before_anything_is_asked(cloud: Any, grants: Any, words: str) -> None:
    with pytest.raises(AirflowFailException, match=f"InputError.*{words}"):
        wedata.WeDataVerifyDataSourceAuthorizationsGoneOperator(task_id="t", grants=grants).execute({})
    assert cloud.asked == []


def test_many_grants_share_one_listing(cloud: Any) -> None:
    cloud.replies = {"DescribeDataSourceAuthority": authority(["29"], ["29_7"])}
    grants = [{**SOURCE, "user_id": str(number)} for number in range(100, 120)]
    report = wedata.WeDataVerifyDataSourceAuthorizationsGoneOperator(task_id="t", grants=grants).execute({})
    assert report["gone"] == 20 and len(cloud.asked) == 2


def test_nothing_to_verify_asks_nothing(cloud: Any) -> None:
    report = dms.DmsVerifyUserPermissionsGoneOperator(task_id="t", grants=[]).execute({})
    assert (report["gone"], cloud.asked) == (0, [])


REVOKES = {
    "WeDataPrivilege": wedata.WeDataRevokePrivilegesOperator,
    "WeDataDataSourceAuthorization": wedata.WeDataRevokeDataSourceAuthorizationOperator,
    "DmsPermission": dms.DmsRevokeUserPermissionOperator,
    "QuickBiMenuAuthorization": quickbi.QuickBiCancelAuthorizationMenuOperator,
}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_description_has_the_parameters_of_its_revoke_operator(name: str) -> None:
    operator = REVOKES[name]
    assert operator.grant_kind is KINDS[name]
    parameters = set(inspect.signature(operator.__init__).parameters) - {"self", "kwargs"}
    assert set(KINDS[name].model_fields) == parameters - {KINDS[name].hook.conn_name_attr}


def test_listed_grants_fit_the_revoke_operator_and_leave_out_what_it_cannot_remove(cloud: Any) -> None:
    unreadable = authority(["29"], ["29_70", "odd"])
    column = {**record_row("5"), "ColumnName": "c"}
    cloud.replies = {
        "ListPermissions": permissions(privilege_row(), privilege_row(Inherited=True)),
        "DescribeDataSourceAuthority": unreadable,
        "ListUserPermissions": records(record_row(), column),
        "ListPortalMenuAuthorization": menus((0, "u"), (1, "g"), (2, "o")),
    }
    lists: list[tuple[Any, list[dict[str, Any]], int]] = [
        (wedata.WeDataListPermissionsOperator(task_id="a", resource_type="Catalog", resource_uri="demo"),
         [{**PRIVILEGE, "resource_type": "CATALOG"}], 2),
        (wedata.WeDataListDataSourceAuthorizationsOperator(task_id="b", data_source_id="65377"),
         [{"data_source_id": "65377", "project_id": "29", "whole_project": True}, SOURCE], 3),
        (dms.DmsListUserPermissionsOperator(task_id="c", user_id="51001", object_kind="DATABASE"), [RECORD], 2),
        (quickbi.QuickBiListPortalMenuAuthorizationOperator(task_id="d", portal_id="p"),
         [MENU, {"portal_id": "p", "menu_ids": ["m"], "user_group_ids": ["g"]}], 1),
    ]  # fmt: skip
    for operator, grants, rows in lists:
        listed = operator.execute({})
        assert listed["grants"] == grants
        assert len(listed["rows"]) == rows == listed["record"]["counted"]
        json.dumps(listed)
        for grant in grants:
            described = REVOKES[operator.grant_kind.__name__](task_id="t", **grant).execute({})
            assert described["sent"] is False


def test_the_kill_switch_stops_a_single_write(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_RESCIND_STOP", "incident 17")
    operator = dms.DmsRevokeUserPermissionOperator(task_id="t", **RECORD, send=True)
    with pytest.raises(AirflowFailException, match="incident 17"):
        operator.execute({})
    assert cloud.asked == []
