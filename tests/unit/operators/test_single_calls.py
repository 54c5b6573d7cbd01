"""The single-call operators, from the connection to the bytes on the wire."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from rescind.operators.dms import DmsListUserPermissionsOperator, DmsRevokeUserPermissionOperator
from rescind.operators.quickbi import (
    QuickBiCancelAuthorizationMenuOperator,
    QuickBiListPortalMenuAuthorizationOperator,
)
from rescind.operators.wedata import (
    WeDataListPermissionsOperator,
    WeDataRevokeDataSourceAuthorizationOperator,
    WeDataRevokePrivilegesOperator,
)

pytestmark = pytest.mark.airflow

PRIVILEGE = {
    "resource_type": "Catalog", "resource_uri": "demo", "subject_type": "User", "subject_value": "700001",
    "privilege": "SELECT_TABLE",
}  # fmt: skip
SOURCE = {"data_source_id": "65377", "project_id": "29", "user_id": "70"}
RECORD = {"user_id": "51001", "user_access_id": "774001", "ds_type": "DATABASE", "perm_type": "QUERY", "db_id": "1"}
MENUS = {"portal_id": "p", "menu_ids": ["a", "b"], "user_ids": ["u"]}
WRITES: list[tuple[Any, dict[str, Any], str, str]] = [
    (WeDataRevokePrivilegesOperator, PRIVILEGE, "wedata_default", "RevokePrivileges"),
    (WeDataRevokeDataSourceAuthorizationOperator, SOURCE, "wedata_default", "RevokeDataSourceAuthorization"),
    (DmsRevokeUserPermissionOperator, RECORD, "dms_default", "RevokeUserPermission"),
    (QuickBiCancelAuthorizationMenuOperator, MENUS, "quickbi_default", "CancelAuthorizationMenu"),
]
READS: list[tuple[Any, dict[str, Any]]] = [
    (WeDataListPermissionsOperator, {"resource_type": "Catalog", "resource_uri": "demo"}),
    (DmsListUserPermissionsOperator, {"user_id": "51001", "object_kind": "TABLE"}),
    (QuickBiListPortalMenuAuthorizationOperator, {"portal_id": "p"}),
]
ACCEPTED: dict[str, Any] = {
    "RevokePrivileges": {"Response": {"Data": {"OverallSuccess": True, "Results": [
        {"Resource": {"ResourceType": "CATALOG", "ResourceUri": "demo"}, "Result": True, "Reason": ""}]}}},
    "RevokeDataSourceAuthorization": {"Response": {"Data": {"Status": True}}},
    "RevokeUserPermission": {"Success": True},
    "CancelAuthorizationMenu": {"Success": "true", "Result": "2"},
}  # fmt: skip


@pytest.fixture(autouse=True)
def connections(connection: Callable[..., str]) -> None:
    for conn_id in ("wedata_default", "dms_default", "quickbi_default"):
        connection(conn_id, "generic")


def made(operator: Any, **fields: Any) -> Any:
    return operator(task_id="t", **fields)


@pytest.mark.parametrize(("operator", "fields", "conn_id", "action"), WRITES)
def test_nothing_is_sent_by_default(
    cloud: Any, operator: Any, fields: dict[str, Any], conn_id: str, action: str
) -> None:
    result = made(operator, **fields).execute({})
    assert cloud.asked == []
    assert (result["sent"], result["action"]) == (False, action)
    assert len(result["fingerprint"]) == 64
    assert result["parameters"]
    assert "canary" not in json.dumps(result)


@pytest.mark.parametrize(("operator", "fields", "conn_id", "action"), WRITES)
def test_a_write_says_accepted_and_no_more(
    cloud: Any, operator: Any, fields: dict[str, Any], conn_id: str, action: str
) -> None:
    cloud.replies = ACCEPTED
    result = made(operator, **fields, send=True).execute({})
    assert cloud.actions() == [action]
    assert (result["outcome"], result["sent"]) == ("accepted", True)
    assert result["request_id"].startswith("r")
    json.dumps(result)


@pytest.mark.parametrize(("operator", "fields", "conn_id", "action"), WRITES)
def test_an_unclear_answer_fails_without_retry(
    cloud: Any, operator: Any, fields: dict[str, Any], conn_id: str, action: str
) -> None:
    cloud.replies = {action: (502, {"oops": 1})}
    with pytest.raises(AirflowFailException, match="UnknownOutcomeError"):
        made(operator, **fields, send=True).execute({})
    assert len(cloud.asked) == 1


@pytest.mark.parametrize(("operator", "fields", "conn_id", "action"), WRITES)
def test_throttled_writes_are_repeated_in_bounds(
    cloud: Any, operator: Any, fields: dict[str, Any], conn_id: str, action: str
) -> None:
    busy: dict[str, Any] = {"Code": "Throttling", "Message": "m"}
    if conn_id.startswith("wedata"):
        busy = {"Response": {"Error": {"Code": "RequestLimitExceeded", "Message": "m"}}}
    cloud.replies = {action: [busy, ACCEPTED[action]]}
    assert made(operator, **fields, send=True).execute({})["outcome"] == "accepted"
    assert len(cloud.asked) == 2
    cloud.replies = {action: busy}
    with pytest.raises(AirflowException, match="Nothing was changed") as caught:
        made(operator, **fields, send=True, patience_s=0).execute({})
    assert not isinstance(caught.value, AirflowFailException)


def test_a_refused_privilege_fails_without_retry(cloud: Any) -> None:
    echo = {"ResourceType": "Catalog", "ResourceUri": "demo"}
    results = [{"Resource": echo, "Result": False, "Reason": "no\x1b right"}]
    cloud.replies = {"RevokePrivileges": {"Response": {"Data": {"OverallSuccess": False, "Results": results}}}}
    with pytest.raises(AirflowFailException, match=r"no\? right"):
        made(WeDataRevokePrivilegesOperator, **PRIVILEGE, send=True).execute({})


@pytest.mark.parametrize("user_id", ["", " ", "0", "None", "1,2", "70_71"])
def test_an_empty_user_never_means_the_whole_project(cloud: Any, user_id: str) -> None:
    operator = made(WeDataRevokeDataSourceAuthorizationOperator, **{**SOURCE, "user_id": user_id}, send=True)
    with pytest.raises(AirflowFailException, match="InputError"):
        operator.execute({})
    assert cloud.asked == []


def test_the_whole_project_is_asked_for_by_name_and_never_by_leaving_the_user_out(cloud: Any) -> None:
    fields = {"data_source_id": "1", "project_id": "29"}
    for user in ({}, {"user_id": None}):
        with pytest.raises(AirflowFailException, match="whole_project=True is needed, and neither is given"):
            made(WeDataRevokeDataSourceAuthorizationOperator, **fields, **user, send=True).execute({})
    with pytest.raises(AirflowFailException, match="both is given"):
        made(WeDataRevokeDataSourceAuthorizationOperator, **SOURCE, whole_project=True, send=True).execute({})
    for wrong in (1, "true", "{{ params.whole }}", None):
        with pytest.raises(ValueError, match="whole_project must be True or False"):
            made(WeDataRevokeDataSourceAuthorizationOperator, **fields, whole_project=wrong)
    assert cloud.asked == []
    whole = made(WeDataRevokeDataSourceAuthorizationOperator, **fields, whole_project=True)
    assert whole.execute({})["parameters"] == {"DataSourceId": "1", "RevokeProjectId": "29"}


def test_a_rendered_text_is_not_a_list_of_letters(cloud: Any) -> None:
    with pytest.raises(AirflowFailException, match="not a list"):
        made(QuickBiCancelAuthorizationMenuOperator, **{**MENUS, "menu_ids": "abc"}, send=True).execute({})
    assert cloud.asked == []


@pytest.mark.parametrize(("operator", "fields", "conn_id", "action"), WRITES)
def test_send_must_be_a_flag(operator: Any, fields: dict[str, Any], conn_id: str, action: str) -> None:
    for wrong in ("True", "", 1, None, "{{ params.send }}"):
        with pytest.raises(ValueError, match="send must be True or False"):
            made(operator, **fields, send=wrong)


def test_a_missing_connection_fails_with_the_remedy() -> None:
    with pytest.raises(AirflowFailException, match="does not exist"):
        made(
            DmsListUserPermissionsOperator, user_id="1", object_kind="TABLE", dms_conn_id="no_such_connection"
        ).execute({})


def test_listings(cloud: Any) -> None:
    row = {
        "UserId": "51001",
        "DsType": "TABLE",
        "PermDetails": {"PermDetail": [{"UserAccessId": 7, "PermType": "QUERY"}]},
    }
    cloud.replies = {
        "ListUserPermissions": {"Success": True, "UserPermissions": {"UserPermission": [row]}, "TotalCount": 1},
        "ListPermissions": {"Response": {"Data": {"Details": [], "TotalCount": 0}}},
        "ListPortalMenuAuthorization": {"Success": True, "Result": [{"MenuId": "m", "Receivers": []}]},
    }
    for operator, fields in READS:
        result = made(operator, **fields).execute({})
        assert result["record"]["counted"] == len(result["rows"])
        json.dumps(result)
    assert result["rows"][0]["MenuId"] == "m"


def test_an_incomplete_listing_fails(cloud: Any) -> None:
    cloud.replies = {"ListPermissions": {"Response": {"Data": {"Details": [], "TotalCount": 4}}}}
    with pytest.raises(AirflowFailException, match=r"ListingIncompleteError.*4 rows declared"):
        made(WeDataListPermissionsOperator, resource_type="Catalog", resource_uri="demo").execute({})


@pytest.mark.parametrize("operator", [entry[0] for entry in (*WRITES, *READS)])
def test_templates_hold_ids_and_no_switches(operator: Any) -> None:
    fields = set(operator.template_fields)
    assert fields
    assert not fields & {"send", "patience_s", "password", "deferrable"}
    import inspect

    parameters = inspect.signature(operator.__init__).parameters
    assert fields <= set(parameters)
    assert all(p.kind is not p.POSITIONAL_OR_KEYWORD for name, p in parameters.items() if name != "self")


def test_operators_can_be_mapped() -> None:
    from airflow.sdk import DAG

    with DAG("mapped", schedule=None) as dag:
        WeDataRevokePrivilegesOperator.partial(
            task_id="m", **{name: value for name, value in PRIVILEGE.items() if name != "subject_value"}
        ).expand(subject_value=["1", "2"])
    assert dag.task_ids == ["m"]
