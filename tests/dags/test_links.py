"""Links of the tasks of a real run: where they lead, and that they lead nowhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urljoin

import pytest

from rescind.airflow_support.links import PAGE, ConsoleLink, EvidenceLink, ReportLink, ReviewLink
from tests.support.reviews.review import Review, ReviewBench

Bench = Callable[..., ReviewBench]
KEY: Any = None


def links(operator: Any) -> dict[str, str]:
    """What Airflow stores when this task ends."""
    return {link.name: link.get_link(operator, ti_key=KEY) for link in operator.operator_extra_links}


def executed(review: Review, operator_class: Any, task_id: str, /, **arguments: Any) -> dict[str, str]:
    operator = operator_class(task_id=task_id, **arguments)
    operator.execute(review.context(task_id))
    return links(operator)


def test_every_stage_of_a_run_leads_to_its_page_and_the_last_to_its_report(bench: Bench) -> None:
    from rescind.operators.decide import SealOperator
    from rescind.operators.preflight import PreflightOperator
    from rescind.operators.report import GateOperator, ReportOperator
    from rescind.operators.revoke import RevokeBatchOperator
    from rescind.operators.verify import VerifyOperator

    setup = bench()
    page = {"Access review": f"{PAGE}/1"}
    mapped = {**page, "Vendor console": ""}  # the emulator is nobody's console
    review = setup.run(dry_run=False, systems=["wedata_data_sources"])
    assert executed(review, PreflightOperator, "preflight", kind="policy") == page
    review.preflight()
    review.discover()
    assert executed(review, SealOperator, "seal") == page
    review.plan()
    approve = review.approval()
    assert links(approve) == {"Access review": PAGE}
    review.approve()
    approve.execute(review.context("approve"))
    assert links(approve) == page
    review.canary()
    assert executed(review, RevokeBatchOperator, "revoke", batch=review.batches[0]) == mapped
    assert executed(review, VerifyOperator, "verify", scope=review.scopes[0]) == mapped
    closing = {**page, "Report": f"{PAGE}/1/report", "Evidence": f"{PAGE}/1/bundle"}
    assert executed(review, ReportOperator, "report") == closing
    assert executed(review, GateOperator, "gate") == closing


def test_a_task_that_fails_keeps_its_link(bench: Bench) -> None:
    from rescind.operators.decide import PlanOperator

    review = bench().run(dry_run=False, max_revocations=3)
    review.preflight()
    review.discover()
    review.decide()
    operator = PlanOperator(task_id="plan")
    with pytest.raises(Exception, match="GuardTrippedError"):
        operator.execute(review.context("plan"))
    assert links(operator) == {"Access review": f"{PAGE}/1"}


def test_a_restore_leads_to_its_own_page(bench: Bench) -> None:
    from rescind.operators.restore import RestorePreflightOperator

    setup = bench()
    review = setup.run(dry_run=False, systems=["quickbi_menus"])
    review.whole()
    restore = setup.restore(run="1")
    assert executed(restore, RestorePreflightOperator, "preflight") == {"Access review": f"{PAGE}/2"}


@pytest.mark.parametrize("served_under", ["https://air.example/", "https://air.example/prefix/"])
def test_a_link_stays_below_the_path_that_the_interface_is_served_under(served_under: str) -> None:
    operator = SimpleNamespace(run_number=7, report_at="/srv/reports/x.html", bundle_at="/srv/bundles/x")
    for link in (ReviewLink(), ReportLink(), EvidenceLink()):
        assert urljoin(served_under, link.get_link(operator, ti_key=KEY)).startswith(f"{served_under}rescind/runs/7")


@pytest.mark.parametrize(
    ("number", "address"),
    [
        (7, ""),
        (7, "s3://aws_default@bucket/reports/x.html"),
        (7, "https://elsewhere.example/x.html"),
        (7, "javascript://%0aalert(1)"),
        (None, "/srv/evidence/reports/x.html"),
    ],
)
def test_what_the_page_does_not_serve_has_no_link(number: int | None, address: str) -> None:
    operator = SimpleNamespace(run_number=number, report_at=address, bundle_at=address)
    assert ReportLink().get_link(operator, ti_key=KEY) == ""
    assert EvidenceLink().get_link(operator, ti_key=KEY) == ""


def test_the_console_is_that_of_the_connection_and_no_secret_of_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rescind.operators.discover import DiscoverOperator

    setup = bench()
    review = setup.run(systems=["dms_permissions"])
    review.preflight()
    operator = DiscoverOperator(task_id="discover", scope=review.scopes[0])
    real = {"conn_type": "alibaba_dms", "login": "LTAI5tNobody0000", "password": "s3cret"}
    monkeypatch.setenv("AIRFLOW_CONN_DMS_DEFAULT", json.dumps({**real, "extra": {"region": "cn-hangzhou"}}))
    operator.show_console("dms_permissions", "dms_default")
    assert ConsoleLink().get_link(operator, ti_key=KEY) == "https://dms.aliyun.com/new"
    monkeypatch.delenv("AIRFLOW_CONN_DMS_DEFAULT")
    operator.show_console("dms_permissions", "dms_default")
    assert ConsoleLink().get_link(operator, ti_key=KEY) == ""


def test_the_page_is_served_where_the_links_lead() -> None:
    from rescind import airflow_plugin

    (view,) = airflow_plugin.RescindPlugin.external_views
    assert view["href"] == PAGE


@pytest.mark.parametrize(
    ("evidence", "folder"),
    [
        ("/srv/evidence", "/srv/evidence"),
        ("file:///srv/a%20b", "/srv/a b"),
        ("proofs", "{home}/proofs"),
        ("s3://a@b/c", ""),
    ],
)
def test_the_page_shows_what_lies_in_the_evidence_folder_of_its_machine(
    evidence: str, folder: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from rescind.airflow_plugin import _evidence_folders

    monkeypatch.setenv("RESCIND_HOME", str(tmp_path))
    monkeypatch.setenv("AIRFLOW_VAR_RESCIND_SETTINGS", json.dumps({"evidence": evidence}))
    wanted = [Path(folder.format(home=tmp_path)) / kind for kind in ("reports", "bundles")] if folder else []
    assert list(_evidence_folders()) == wanted
