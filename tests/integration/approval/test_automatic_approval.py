"""Automatic approval within the limits of the deployment, and what the approver is told: whole runs in this process."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.http.notifications.http import HttpNotifier
from airflow.providers.standard.operators.hitl import HITLOperator

from rescind.operators.questions.approve import ApprovePlanOperator
from rescind.settings import Settings
from rescind.workflow.auto_approval import measure
from tests.integration.approval.test_campaign import holder
from tests.support.reviews.review import Review, ReviewBench

pytestmark = pytest.mark.seconds(180)
Bench = Callable[..., ReviewBench]


def automatic(setup: ReviewBench, **change: Any) -> None:
    """Allow automatic approval within wide limits, with these changes."""
    systems = ["wedata_privileges", "wedata_data_sources", "dms_permissions", "quickbi_menus"]
    allowed = {"max_revocations": 5000, "max_percent": 100, "systems": systems, "only_rules": ["leaver", "expired"]}
    setup.configure(automatic_approval={**allowed, **change})


def approve(review: Review, monkeypatch: pytest.MonkeyPatch, **kwargs: Any) -> Any:
    monkeypatch.setattr(HITLOperator, "execute", lambda self, context: self)
    return ApprovePlanOperator(task_id="approve", **kwargs).execute(review.context("approve"))


def approval(review: Review) -> Any:
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        return ledger.approvals.get(run.run_id, ledger.plans.get(run.run_id).digest)


def test_two_keys_approve_automatically_and_the_ledger_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    automatic(setup)
    review = setup.run(dry_run=False, automatic=True)
    review.through_plan()
    assert approve(review, monkeypatch)["by"] == "automatic"
    found = approval(review)
    assert (found.answer, found.automatic, found.responded_by) == ("approve", True, "automatic")
    assert "of 5000 grants" in found.method and "leaver" in found.method
    automatic(setup, max_revocations=1)
    with pytest.raises(Exception, match=r"approved automatically, which is not allowed now: .* more than 1"):
        review.revoke()
    setup.configure(automatic_approval=None)
    with pytest.raises(
        Exception, match="approved automatically, which is not allowed now: the setting automatic_approval is not set"
    ):
        review.revoke()
    assert setup.emulator.writes() == []
    automatic(setup)
    review.revoke()
    review.verify()
    assert review.report()["state"] == "succeeded"


@pytest.mark.parametrize(
    ("change", "asks", "message"),
    [
        ({"max_revocations": 1}, True, "more than 1;|more than 1$"),
        ({"max_percent": 1}, True, "more than 1 %"),
        ({"systems": ["dms_permissions"]}, True, "systems .* are not allowed"),
        ({"only_rules": ["expired"]}, True, "rules leaver are not allowed"),
        ({}, False, "does not request"),
        (None, True, "automatic_approval is not set"),
    ],
)
def test_anything_beyond_the_limits_goes_to_a_person(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any] | None, asks: bool, message: str
) -> None:
    setup = bench()
    if change is not None:
        automatic(setup, **change)
    review = setup.run(dry_run=False, **({"automatic": True} if asks else {}))
    review.through_plan()
    shown = approve(review, monkeypatch)
    assert shown.assigned_users == [{"id": "omar", "name": "omar"}]
    assert approval(review).answer is None
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        allowed = Settings.model_validate(setup.settings).automatic_approval
        _, reasons = measure(ledger, run, ledger.plans.get(run.run_id), allowed)
    assert reasons and re.search(message, "; ".join(reasons))
    with pytest.raises(Exception, match="no approver has answered"):
        review.revoke()


def test_the_approver_sees_the_riskiest_grants_and_the_digest(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    review = setup.run(dry_run=False)
    review.through_plan()
    shown = approve(review, monkeypatch)
    riskiest = shown.body.partition("**Highest risk**")[2].partition("\n\n|")[0].strip().splitlines()[2:]
    levels = [line.removeprefix("- ").partition(":")[0] for line in riskiest]
    assert 0 < len(riskiest) <= 12 and levels == sorted(levels, key=["high", "medium", "low"].index)
    assert approval(review).digest in shown.body and "**Guards**" in shown.body


@pytest.mark.parametrize("there", [True, False])
def test_airflows_http_notifier_tells_and_cannot_stop_the_question(bench: Bench, there: bool) -> None:
    setup = bench()
    review = setup.run(dry_run=False)
    review.through_plan()
    told: list[bytes] = []

    class Chat(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200 if there else 500)
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    server.daemon_threads = False  # closing the server waits for the requests, and so for their connections
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    chat = {"conn_type": "http", "host": "127.0.0.1", "port": server.server_address[1]}
    setup.monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps(chat))
    after: list[Any] = []
    notifiers = [HttpNotifier(http_conn_id="chat", endpoint="/hook", json={"text": "approve, please"}), after.append]
    operator = ApprovePlanOperator(task_id="approve", notifiers=notifiers)
    try:
        for notifier in operator.notifiers:
            notifier(review.context("approve"))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert told == [b'{"text": "approve, please"}'] and len(after) == 1


def test_a_form_request_never_approves_itself(bench: Bench) -> None:
    setup = bench()
    with pytest.raises(Exception, match="'requested' is the rule for targets of a form"):
        automatic(setup, only_rules=["requested"])
        setup.run().preflight()
    automatic(setup)
    person = holder(setup, 0)
    with pytest.raises(Exception, match="are for reviews by policy only"):
        setup.run(kind="targets", principals=[person], reason="incident", automatic=True).preflight()
    assert Path(setup.settings["roster"]).exists()
