"""A write of an operator that works alone, where Rescind is deployed: the same stops as a review, and a record."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import ErrorResponse
from psycopg.conninfo import make_conninfo

from rescind.airflow_support.lookups import connection_exists, read_variable
from rescind.cli import main as rescind
from rescind.cloud.client import CloudClient
from rescind.errors import LedgerError, RunInterruptedError
from rescind.ledger import Ledger, NewRun
from rescind.operators.dms import DmsRevokeUserPermissionOperator
from rescind.operators.quickbi import QuickBiCancelAuthorizationMenuOperator
from rescind.operators.wedata import (
    WeDataListPermissionsOperator,
    WeDataRevokeDataSourceAuthorizationOperator,
    WeDataRevokePrivilegesOperator,
)
from tests.support.ledger.runs import begin
from tests.support.reviews.review import ledger_connection
from tests.support.servers.postgres import tampering

pytestmark = [pytest.mark.airflow, pytest.mark.postgres]

PRIVILEGE = {
    "resource_type": "Catalog", "resource_uri": "demo", "subject_type": "User", "subject_value": "700001",
    "privilege": "SELECT_TABLE",
}  # fmt: skip
WHO = {
    "my_wedata": {"Response": {"AccountId": "100000000001", "Arn": "qcs::cam::uin/1:uin/2", "UserId": "2",
                               "PrincipalId": "2", "Type": "CAMUser"}},
    "alibaba": {"AccountId": "196813200012", "Arn": "acs:ram::1968:user/a", "UserId": "20460",
                "PrincipalId": "20460", "IdentityType": "RAMUser"},
}  # fmt: skip
DONE = {"Response": {"Data": {"OverallSuccess": True, "Results": [
    {"Resource": {"ResourceType": "CATALOG", "ResourceUri": "demo"}, "Result": True, "Reason": ""}]}}}  # fmt: skip
PROTECTED = "format: 1\nunknown_kind: allow\nkinds: [system]\nprincipals: []\nresources: []\n"
NONE_EXCEPTED = "format: 1\nexceptions: []\n"


@dataclass
class Deployment:
    """A deployment of Rescind around a fake cloud."""

    cloud: Any
    ledger: Ledger
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    connection: Callable[..., str]

    def files(self, protections: str = PROTECTED, exceptions: str = NONE_EXCEPTED) -> None:
        (self.folder / "protected.yaml").write_text(protections)
        (self.folder / "exceptions.yaml").write_text(exceptions)

    def configure(self, **settings: Any) -> None:
        given = {
            "connections": {"wedata_privileges": ["wedata_default"]},
            "protections": str(self.folder / "protected.yaml"),
            "exceptions": str(self.folder / "exceptions.yaml"),
            **settings,
        }
        self.monkeypatch.setenv("AIRFLOW_VAR_RESCIND_SETTINGS", json.dumps(given))

    def revoke(self, operator: Any = WeDataRevokePrivilegesOperator, *, index: int = -1, **fields: Any) -> Any:
        given = {**PRIVILEGE, "wedata_conn_id": "my_wedata"} if operator is WeDataRevokePrivilegesOperator else {}
        return operator(task_id="revoke", send=True, **{**given, **fields}).execute(context(index))

    def calls(self) -> list[Any]:
        run = self.ledger.runs.find("somebodys_dag", "manual__1")
        return self.ledger.single_calls.of_run(run.run_id) if run else []

    def writes(self) -> list[str]:
        return [action for action in self.cloud.actions() if not action.startswith(("Get", "Query", "List"))]


def context(index: int = -1) -> Any:
    dag_run = SimpleNamespace(
        dag_id="somebodys_dag", run_id="manual__1", run_type="manual", triggering_user_name="ada", conf={}
    )
    return {"dag_run": dag_run, "ti": SimpleNamespace(task_id="revoke", map_index=index)}


@pytest.fixture
def deployed(
    cloud: Any, connection: Callable[..., str], ledger: Ledger, ledger_dsn: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Deployment:  # fmt: skip
    for conn_id, own in (("my_wedata", "700099"), ("wedata_default", "700088")):
        connection(conn_id, "generic", extra={"own_ids": own})
    for conn_id in ("my_dms", "my_quickbi"):
        connection(conn_id, "generic", extra={"own_ids": "59999"})
    monkeypatch.setenv("AIRFLOW_CONN_RESCIND_LEDGER", json.dumps(ledger_connection(ledger_dsn)))
    made = Deployment(cloud, ledger, tmp_path, monkeypatch, connection)
    made.files()
    made.configure()
    cloud.replies = {"GetCallerIdentity": WHO["my_wedata"], "RevokePrivileges": DONE}
    return made


def test_a_write_is_recorded_before_and_after_it(deployed: Deployment) -> None:
    seen: list[tuple[str | None, str]] = []
    dispatch = CloudClient.dispatch

    async def looking(self: CloudClient, prepared: Any) -> Any:
        run = deployed.ledger.runs.find("somebodys_dag", "manual__1")
        seen.extend((call.outcome, run.state) for call in deployed.ledger.single_calls.of_run(run.run_id))
        return await dispatch(self, prepared)

    deployed.monkeypatch.setattr(CloudClient, "dispatch", looking)
    assert deployed.revoke(index=3)["outcome"] == "accepted"
    assert seen == [(None, "sending")]
    run = deployed.ledger.runs.find("somebodys_dag", "manual__1")
    assert run is not None and run.finished_at is not None
    assert (run.kind, run.requested_by, run.state, run.dry_run) == ("single", "ada", "accepted", False)
    (call,) = deployed.calls()
    assert (call.task_id, call.map_index, call.system, call.conn_id) == ("revoke", 3, "wedata_privileges", "my_wedata")
    assert (call.action, call.outcome, call.account) == ("RevokePrivileges", "accepted", "100000000001/ap-singapore")
    assert call.parameters["Subjects"] == [{"SubjectType": "User", "SubjectValues": ["700001"]}]
    assert call.request_id and call.closed_at >= call.intent_at
    assert "canary" not in json.dumps(dict(call.parameters))


def vendor_error(code: str) -> dict[str, Any]:
    return {"Response": {"Error": {"Code": code, "Message": "m"}}}


NO = {"Response": {"Data": {"OverallSuccess": False, "Results": [
    {"Resource": {"ResourceType": "Catalog", "ResourceUri": "demo"}, "Result": False, "Reason": "no"}]}}}  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (NO, "refused"),
        (vendor_error("InvalidParameter"), "refused"),
        (vendor_error("UnauthorizedOperation"), "refused"),
        (vendor_error("RequestLimitExceeded"), "throttled"),
        ((502, {"oops": 1}), "unknown"),
        ({"Response": {"Data": None}}, "unknown"),
    ],
)
def test_every_outcome_is_recorded(deployed: Deployment, reply: Any, outcome: str) -> None:
    deployed.cloud.replies["RevokePrivileges"] = reply
    with pytest.raises(AirflowException):
        deployed.revoke(patience_s=0)
    (call,) = deployed.calls()
    assert call.outcome == outcome
    run = deployed.ledger.runs.find("somebodys_dag", "manual__1")
    assert run is not None
    assert run.state == {"throttled": "not_sent"}.get(outcome, outcome)


def test_each_throttled_attempt_is_recorded(deployed: Deployment) -> None:
    deployed.cloud.replies["RevokePrivileges"] = [vendor_error("RequestLimitExceeded"), DONE]
    deployed.revoke()
    assert [call.outcome for call in deployed.calls()] == ["throttled", "accepted"]


def test_a_request_with_an_unknown_outcome_is_not_sent_again(deployed: Deployment) -> None:
    deployed.cloud.replies["RevokePrivileges"] = (502, {"oops": 1})
    with pytest.raises(AirflowFailException, match="UnknownOutcomeError"):
        deployed.revoke()
    with pytest.raises(AirflowFailException, match="is unknown: it may have happened"):
        deployed.revoke()
    assert len(deployed.writes()) == 1
    deployed.cloud.replies["RevokePrivileges"] = DONE
    deployed.revoke(subject_value="700002")
    assert [call.outcome for call in deployed.calls()] == ["unknown", "accepted"]
    assert deployed.ledger.runs.get(deployed.ledger.runs.latest(1)[0].run_id).state == "unknown"


def test_a_request_of_a_worker_that_died_is_not_sent_again(deployed: Deployment) -> None:
    def dies(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with deployed.monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("rescind.operators.bases.single_write.LedgerJournal.outcome", dies)
        deployed.revoke()
    with pytest.raises(AirflowFailException, match="is not recorded: it may have happened"):
        deployed.revoke()
    assert len(deployed.writes()) == 1
    (call,) = deployed.calls()
    (run,) = deployed.ledger.runs.latest(1)
    assert call.outcome is None and (run.state, run.finished_at) == ("sending", None)


def test_both_kill_switches_stop_it(deployed: Deployment) -> None:
    deployed.ledger.kill_switch.stop("ada", "incident")
    with pytest.raises(AirflowFailException, match=r"RunStoppedError.*incident"):
        deployed.revoke()
    deployed.ledger.kill_switch.resume("ada", "over")
    deployed.monkeypatch.setenv("AIRFLOW_VAR_RESCIND_STOP", "incident 17")
    with pytest.raises(AirflowFailException, match=r"RunStoppedError.*incident 17"):
        deployed.revoke()
    assert deployed.cloud.asked == [] and deployed.calls() == []
    deployed.monkeypatch.setenv("AIRFLOW_VAR_RESCIND_STOP", "")
    deployed.revoke()
    assert deployed.writes() == ["RevokePrivileges"]


def test_a_kill_switch_that_is_set_while_it_waits_stops_it(deployed: Deployment) -> None:
    slot = "rescind.ledger.ratelimit.pacer.LedgerPacer.slot"

    async def slowly(self: Any, bucket: Any, *, write: bool) -> None:
        if write:
            deployed.ledger.kill_switch.stop("ada", "incident")

    deployed.monkeypatch.setattr(slot, slowly)
    with pytest.raises(AirflowFailException, match="RunStoppedError"):
        deployed.revoke()
    assert deployed.writes() == [] and deployed.calls() == []


def principal(ident: str, space: str = "wedata_privileges") -> str:
    return PROTECTED.replace("principals: []", f"principals: [{{space: {space}, id: '{ident}', reason: break glass, "
                             "not_in_roster: true}]")  # fmt: skip


EXCEPTED = """format: 1
exceptions:
  - {id: e1, owner: rita, reason: handover, end: "2099-01-01",
     match: {system: wedata_privileges, principal_id: "700001"}}
"""


@pytest.mark.parametrize(
    ("files", "fields", "words"),
    [
        ({"protections": principal("700001")}, {}, "break glass"),
        ({"protections": principal("700001", "wedata_user_id")}, {}, "break glass"),
        ({"protections": PROTECTED.replace("resources: []", "resources: [{system: wedata_privileges, id: demo, "
                                           "reason: ours}]")}, {}, "ours"),
        ({"protections": PROTECTED.replace("allow", "protect")}, {}, "person or a service"),
        ({"exceptions": EXCEPTED}, {}, "handover"),
        ({}, {"subject_value": "700099"}, "the tool's own identity"),
        ({}, {"subject_value": "2"}, "the tool's own identity"),
    ],
)  # fmt: skip
def test_what_reviews_keep_a_single_write_keeps(
    deployed: Deployment, files: dict[str, str], fields: dict[str, str], words: str
) -> None:
    deployed.files(**files)
    with pytest.raises(AirflowFailException, match=words):
        deployed.revoke(**fields)
    assert deployed.writes() == [] and deployed.ledger.runs.latest(1) == []
    deployed.files()
    deployed.revoke()


@pytest.mark.parametrize("broken", ["protections", "exceptions"])
def test_without_its_files_nothing_is_sent(deployed: Deployment, broken: str) -> None:
    deployed.configure(**{broken: str(deployed.folder / "missing.yaml")})
    with pytest.raises(AirflowFailException, match=f"the {broken} file cannot be read"):
        deployed.revoke()
    assert deployed.writes() == []


def test_the_identities_of_reviews_are_ours_too(deployed: Deployment) -> None:
    deployed.connection("wedata_default", "generic", extra={"own_ids": "700055"})
    with pytest.raises(AirflowFailException, match="own identity"):
        deployed.revoke(subject_value="700055")
    run = begin(deployed.ledger, "manual__9")
    with tampering(make_conninfo("", **deployed.ledger.database.target)) as db:
        db.execute(
            "INSERT INTO rescind.scope (run_no, scope_no, scope_id, system, account, notes)"
            " VALUES (%s, 1, 's', 'wedata_privileges', 'a', '{\"own_ids\": [\"700066\"]}')",
            (run.number,),
        )
    with pytest.raises(AirflowFailException, match="own identity"):
        deployed.revoke(subject_value="700066")
    assert deployed.writes() == []


def test_one_protected_holder_keeps_the_whole_product_from_being_sent(deployed: Deployment) -> None:
    menus = {"portal_id": "p", "menu_ids": ["a", "b"], "user_ids": ["u", "v"], "quickbi_conn_id": "my_quickbi"}
    deployed.cloud.replies = {
        "GetCallerIdentity": WHO["alibaba"],
        "QueryUserInfoByAccount": {"Success": True, "Result": {"UserId": "me"}},
        "CancelAuthorizationMenu": {"Success": True, "Result": 2},
    }
    deployed.files(protections=principal("v", "quickbi_menus"))
    with pytest.raises(AirflowFailException, match="user v keeps it: break glass"):
        deployed.revoke(QuickBiCancelAuthorizationMenuOperator, **menus)
    assert deployed.writes() == []
    deployed.files(exceptions=EXCEPTED.replace("wedata_privileges", "quickbi_menus").replace(
        'principal_id: "700001"', 'principal_id: u, entitlement: view_export'))  # fmt: skip
    with pytest.raises(AirflowFailException, match="handover"):
        deployed.revoke(QuickBiCancelAuthorizationMenuOperator, **menus)
    deployed.files()
    assert deployed.revoke(QuickBiCancelAuthorizationMenuOperator, **menus)["menus_counted"] == 2
    assert deployed.calls()[0].system == "quickbi_menus"


def test_data_sources_and_dms_obey_as_well(deployed: Deployment) -> None:
    source = {"data_source_id": "1", "project_id": "29", "wedata_conn_id": "my_wedata"}
    deployed.files(protections=principal("70", "wedata_data_sources"))
    deployed.cloud.replies["RevokeDataSourceAuthorization"] = {"Response": {"Data": {"Status": True}}}
    with pytest.raises(AirflowFailException, match="user 70 keeps it"):
        deployed.revoke(WeDataRevokeDataSourceAuthorizationOperator, **source, user_id="70")
    deployed.revoke(WeDataRevokeDataSourceAuthorizationOperator, **source, whole_project=True)
    record = {"user_id": "51001", "user_access_id": "774001", "ds_type": "DATABASE", "perm_type": "QUERY", "db_id": "1"}
    deployed.files(protections=principal("51001", "dms_permissions"))
    deployed.cloud.replies |= {
        "GetCallerIdentity": WHO["alibaba"],
        "GetUserActiveTenant": {"Success": True, "Tenant": {"Tid": 3001, "TenantName": "t", "Status": "ACTIVE"}},
        "GetUser": {"Success": True, "User": {"UserId": "59999", "Uid": "20460"}},
        "RevokeUserPermission": {"Success": True},
    }
    with pytest.raises(AirflowFailException, match="user 51001 keeps it"):
        deployed.revoke(DmsRevokeUserPermissionOperator, **record, dms_conn_id="my_dms")
    deployed.files()
    deployed.revoke(DmsRevokeUserPermissionOperator, **record, dms_conn_id="my_dms")
    assert deployed.writes() == ["RevokeDataSourceAuthorization", "RevokeUserPermission"]


@pytest.mark.parametrize("name", ["connections", "granting_connections", "verifying_connections"])
def test_the_connections_of_reviews_need_the_setting(deployed: Deployment, name: str) -> None:
    named = {"connections": {"wedata_privileges": ["other"]}, name: {"wedata_privileges": ["wedata_default"]}}
    deployed.configure(**named)
    with pytest.raises(AirflowFailException, match=f"belongs to reviews .setting '{name}'"):
        deployed.revoke(wedata_conn_id="wedata_default")
    assert deployed.cloud.asked == [] and deployed.calls() == []
    deployed.configure(**named, allow_single_writes=True)
    deployed.revoke(wedata_conn_id="wedata_default")
    assert deployed.calls()[0].conn_id == "wedata_default"


def test_reads_may_use_the_connections_of_reviews(deployed: Deployment) -> None:
    deployed.cloud.replies["ListPermissions"] = {"Response": {"Data": {"Details": [], "TotalCount": 0}}}
    listed = WeDataListPermissionsOperator(task_id="t", resource_type="Catalog", resource_uri="demo")
    assert listed.execute(context())["rows"] == []


def test_a_ledger_alone_is_a_deployment_with_the_default_connections(deployed: Deployment) -> None:
    deployed.monkeypatch.delenv("AIRFLOW_VAR_RESCIND_SETTINGS")
    with pytest.raises(AirflowFailException, match="belongs to reviews"):
        deployed.revoke(wedata_conn_id="wedata_default")


def test_settings_without_a_ledger_send_nothing(deployed: Deployment) -> None:
    deployed.monkeypatch.delenv("AIRFLOW_CONN_RESCIND_LEDGER")
    with pytest.raises(AirflowFailException, match="'rescind_ledger' is missing"):
        deployed.revoke()
    deployed.monkeypatch.setenv("AIRFLOW_VAR_RESCIND_SETTINGS", "{")
    with pytest.raises(AirflowFailException, match="is not JSON"):
        deployed.revoke()
    deployed.monkeypatch.setenv("AIRFLOW_VAR_RESCIND_SETTINGS", '{"conections": {}}')
    with pytest.raises(AirflowFailException, match="conections"):
        deployed.revoke()
    assert deployed.cloud.asked == []


def test_without_any_deployment_the_operator_works_alone(deployed: Deployment) -> None:
    deployed.monkeypatch.delenv("AIRFLOW_VAR_RESCIND_SETTINGS")
    deployed.monkeypatch.delenv("AIRFLOW_CONN_RESCIND_LEDGER")
    operator = WeDataRevokePrivilegesOperator(task_id="t", send=True, **PRIVILEGE)
    assert operator.execute({})["outcome"] == "accepted"  # type: ignore[typeddict-item]
    assert deployed.cloud.actions() == ["RevokePrivileges"] and deployed.calls() == []


def test_a_ledger_that_does_not_answer_sends_nothing(deployed: Deployment) -> None:
    nowhere = {"conn_type": "postgres", "host": "127.0.0.1", "port": 1, "login": "x", "schema": "y"}
    deployed.monkeypatch.setenv("AIRFLOW_CONN_RESCIND_LEDGER", json.dumps(nowhere))
    with pytest.raises(AirflowException):
        deployed.revoke()
    assert deployed.cloud.asked == []


def test_a_review_is_no_run_of_single_calls(deployed: Deployment) -> None:
    review = NewRun("somebodys_dag", "manual__1", "manual", "ada", dry_run=True)
    deployed.ledger.runs.begin(review)
    with pytest.raises(AirflowFailException, match="another kind"):
        deployed.revoke()
    assert deployed.writes() == []


def test_an_abandoned_run_sends_no_more(deployed: Deployment) -> None:
    deployed.revoke()
    run = deployed.ledger.runs.find("somebodys_dag", "manual__1")
    assert run is not None
    deployed.ledger.runs.finish(run.run_id, "abandoned", {})
    with pytest.raises(AirflowFailException, match="was abandoned"):
        deployed.revoke()
    assert len(deployed.writes()) == 1
    assert deployed.ledger.runs.get(run.run_id).state == "abandoned"


def test_the_record_cannot_be_changed(deployed: Deployment) -> None:
    deployed.revoke()
    for statement in (
        "UPDATE rescind.single_call SET outcome = 'unknown'",
        "UPDATE rescind.single_call SET parameters = '{}'",
        "DELETE FROM rescind.single_call",
        "TRUNCATE rescind.single_call",
    ):
        with (
            pytest.raises(LedgerError, match=r"has its outcome already|permission denied"),
            deployed.ledger.database.transaction() as db,
        ):
            db.execute(statement)


def test_the_command_line_shows_it(deployed: Deployment, ledger_dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    deployed.revoke()
    assert rescind(["ledger", "--dsn", ledger_dsn, "status"]) == 0
    assert "accepted" in (shown := capsys.readouterr().out) and " single " in shown
    assert rescind(["ledger", "--dsn", ledger_dsn, "calls", "1"]) == 0
    line = capsys.readouterr().out
    assert "RevokePrivileges" in line and "'my_wedata'" in line and "700001" in line
    assert rescind(["ledger", "--dsn", ledger_dsn, "calls", "2"]) == 1


class Supervisor:
    """Answers every question of a task with one error."""

    def __init__(self, error: ErrorType | None) -> None:
        self.error = error

    def send(self, message: Any) -> Any:
        if self.error is None:
            raise ConnectionError("the API server is away")
        return ErrorResponse(error=self.error)


@pytest.mark.parametrize("error", [None, ErrorType.API_SERVER_ERROR, ErrorType.GENERIC_ERROR])
def test_no_answer_from_airflow_is_not_taken_for_no_deployment(deployed: Deployment, error: ErrorType | None) -> None:
    deployed.monkeypatch.delenv("AIRFLOW_VAR_RESCIND_SETTINGS")
    deployed.monkeypatch.delenv("AIRFLOW_CONN_RESCIND_LEDGER")
    deployed.monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", Supervisor(error), raising=False)
    with pytest.raises(RunInterruptedError, match="does not say whether the connection"):
        connection_exists("rescind_ledger")
    with pytest.raises(RunInterruptedError, match="does not say whether the Variable"):
        read_variable("rescind_settings")
    with pytest.raises(AirflowException, match="does not say"):
        WeDataRevokePrivilegesOperator(task_id="t", send=True, **PRIVILEGE).execute({})  # type: ignore[typeddict-item]
    assert deployed.cloud.asked == []


def test_a_connection_that_airflow_does_not_know_does_not_exist(deployed: Deployment) -> None:
    supervisor = Supervisor(ErrorType.CONNECTION_NOT_FOUND)
    deployed.monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    assert connection_exists("no_such_connection") is False
    assert connection_exists("rescind_ledger") is True
