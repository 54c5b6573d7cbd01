"""What starts a run decides what the run may do, and how it is recorded; a name decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from airflow.sdk.exceptions import AirflowFailException

from rescind.cloud.connection.permission_probe import Right
from rescind.systems import REGISTRY
from tests.support.reviews.review import Review, ReviewBench

pytestmark = pytest.mark.sockets

Bench = Callable[..., ReviewBench]


@pytest.mark.parametrize(
    ("run_type", "user", "explicit", "dry_run", "kind"),
    [
        ("scheduled", "", {}, False, "scheduled"),
        ("scheduled", "", {"dry_run": True}, True, "scheduled"),
        ("manual", "scheduler", {}, True, "manual"),
        ("operator_triggered", "", {"dry_run": True}, True, "triggered"),
        ("operator_triggered", "", {}, True, "triggered"),
        ("operator_triggered", "rita", {"dry_run": False}, False, "triggered"),
        ("asset_triggered", "", {}, True, "triggered"),
        ("backfill", "rita", {}, True, "triggered"),
    ],
)
def test_only_the_schedule_is_enforced(
    bench: Bench, run_type: str, user: str, explicit: dict[str, bool], dry_run: bool, kind: str
) -> None:
    setup = bench(enforce_scheduled=True)
    review = setup.run("r", user=user, systems=["dms_permissions"], **explicit)
    review.run_type = run_type
    review.preflight()
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", "r")
    assert (run.dry_run, run.kind, run.requested_by) == (dry_run, kind, user)
    assert run.requester == (user or {"scheduled": "the schedule"}.get(kind, "no person"))


@pytest.mark.parametrize("run_type", ["manual", "operator_triggered"])
def test_only_a_person_can_name_what_is_revoked(bench: Bench, run_type: str) -> None:
    """Airflow 3.2 calls a run that another DAG started manual, and lets it begin."""
    setup = bench()
    review = setup.run("r", kind="targets", user="", principals=["p1"], reason="last day today")
    review.run_type = run_type
    with pytest.raises(AirflowFailException, match=r"requester: is not a person.*trigger the DAG"):
        review.preflight()
    with review.ledger() as ledger:
        assert ledger.runs.find("revoke_access", "r") is None


def test_an_approver_called_scheduler_may_approve_what_the_schedule_asks_for(bench: Bench) -> None:
    setup = bench(enforce_scheduled=True, approvers=["scheduler"])
    review = setup.run("r", user="", systems=["dms_permissions"])
    review.run_type = "scheduled"
    review.through_plan()
    review.approve("scheduler")
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", "r")
        approval = ledger.approvals.get(run.run_id, ledger.plans.get(run.run_id).digest)
    assert (approval.answer, approval.responded_by, approval.requested_by) == ("approve", "scheduler", "")


@pytest.mark.parametrize(
    ("systems", "conn_id"),
    [
        (["wedata_data_sources"], "wedata_default"),
        (["quickbi_group_members", "quickbi_workspace_members"], "quickbi_default"),
    ],
)
def test_preflight_tries_only_what_the_reviewed_systems_need(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, systems: list[str], conn_id: str
) -> None:
    setup = bench(connections={name: [conn_id] for name in REGISTRY if name.partition("_")[0] in conn_id})
    (named,) = _tried(setup.run(systems=systems), monkeypatch)
    reads = {action for name in systems for action in REGISTRY[name].reads}
    requests = [entry for entry in setup.emulator.get("journal")["entries"] if entry["kind"] == "request"]
    assert {entry["action"] for entry in requests} - {"GetCallerIdentity"} == reads
    assert named == reads.union(*(REGISTRY[name].revoke_actions for name in systems))


def test_a_connection_that_only_verifies_needs_no_write(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench(verifying_connections={"dms_permissions": ["dms_granting"]})
    revoking, verifying = _tried(setup.run(systems=["dms_permissions"]), monkeypatch)
    assert revoking - verifying == {"RevokeUserPermission"} and verifying == REGISTRY["dms_permissions"].reads


def _tried(review: Review, monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The actions that preflight names in its log, for each connection, most first."""
    named: list[set[str]] = []

    def in_short(rights: Mapping[str, Right]) -> str:
        named.append(set(rights))
        return ""

    monkeypatch.setattr("rescind.workflow.connection_check.in_short", in_short)
    review.preflight()
    return sorted(named, key=len, reverse=True)
