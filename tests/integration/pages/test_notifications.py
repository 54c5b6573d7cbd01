"""Messages about whole runs arrive at a chat in their order, and once, also after a retry; and never in the way."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.providers.http.notifications.http import HttpNotifier
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from rescind.ledger import NewQuestion, QuestionItem
from rescind.operators.questions.approve import ApprovePlanOperator
from rescind.operators.questions.remind import RemindOperator
from rescind.operators.report import GateOperator
from tests.integration.approval import test_watch as watching
from tests.integration.approval.test_campaign import answer, asked, campaign
from tests.integration.restore.test_restore import reviewed
from tests.support.reviews.review import Review, ReviewBench
from tests.support.servers.chat_server import ChatServer, chat_server
from tests.support.servers.postgres import as_owner, tampering

pytestmark = pytest.mark.seconds(240)
Bench = Callable[..., ReviewBench]
HOME = "https://airflow.example.org/team"
WAITS = ("TaskAwaitingInput", "TaskDeferred")
KINDS = ("dingtalk", "feishu", "wecom", "teams")


@pytest.fixture
def chats() -> Iterator[ChatServer]:
    with chat_server() as server:
        yield server


def notified(setup: ReviewBench, chats: ChatServer, *kinds: str, events: list[str] | None = None, **more: Any) -> None:
    """Switch messages on, by the one setting."""
    for kind in kinds:
        setup.monkeypatch.setenv(f"AIRFLOW_CONN_CHAT_{kind.upper()}", chats.connection(kind))
    listed = [{"chat": kind, "conn_id": f"chat_{kind}", **({"events": events} if events else {})} for kind in kinds]
    setup.configure(notifications={"chats": listed, "base_url": HOME, **more})


def ask(review: Review, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> None:
    """The approval's task up to where it waits. Only the API that stores the question is missing."""
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **_: None)
    with pytest.raises(BaseException) as waits:  # Airflow's own signal is no Exception
        ApprovePlanOperator(task_id="approve", **arguments).execute(review.context("approve"))
    assert type(waits.value).__name__ in WAITS, waits.value


def titles(chats: ChatServer, kind: str) -> list[str]:
    return [one.title for one in chats.accepted(kind)]


def test_asked_answered_and_ended_arrive_in_order_and_once(
    bench: Bench, chats: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = bench()
    notified(setup, chats, *KINDS)
    open_transactions: list[int] = []

    def look() -> None:
        with psycopg.connect(as_owner(setup.ledger_dsn), autocommit=True) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND state LIKE 'idle in transaction%'"
            ).fetchone()
            open_transactions.append(row[0] if row else -1)

    chats.looks.append(look)
    review = setup.run(dry_run=False, kind="targets", principals=[_person(setup)], reason="last day of Zhou Carla")
    review.through_plan()
    ask(review, monkeypatch)
    ask(review, monkeypatch)  # a retry: Airflow lost the task
    review.approve()
    review.approve()
    assert ApprovePlanOperator(task_id="approve").execute(review.context("approve"))["answer"] == "approve"
    review.canary()
    review.revoke()
    review.verify()
    for _ in range(2):
        with pytest.raises(AirflowFailException, match="the report was not written"):
            review.gate()
    summary = review.report()
    for _ in range(2):  # report and gate were cleared: the real end is told, once
        try:
            review.gate()
        except AirflowFailException as error:
            assert summary["problems"], error
    expected = [
        "[Revoke access 1] ● waiting for approval",
        "[Revoke access 1] ◔ approved",
        "[Revoke access 1] ✕ failed, no report was written",
        f"[Revoke access 1] {_sign(summary)} {summary['outcome']['words']}",
    ]
    for kind in KINDS:
        assert titles(chats, kind) == expected, kind
    assert len(chats.received) == 4 * len(KINDS)
    assert set(open_transactions) == {0}
    _no_details(setup, review, chats, "Zhou", "Carla", "last day")
    first = chats.accepted("teams")[0].text
    assert "rita asks to revoke" in first and "1 person or group" in first and "Answer by" in first
    assert f"{HOME}/rescind/runs/1" in first


def test_a_good_end_is_told_after_a_bad_one_and_only_then(bench: Bench, chats: ChatServer) -> None:
    setup = bench()
    notified(setup, chats, "teams")
    review = setup.run(dry_run=True, systems=["quickbi_menus"])
    review.through_plan()
    for _ in range(2):
        with pytest.raises(AirflowFailException, match="the report was not written"):
            review.gate()
    summary = review.report()
    assert summary["problems"] == []
    for _ in range(2):
        review.gate()
    with review.ledger() as ledger:  # and a third end, which is the first one again
        ledger.runs.finish(summary["run"], "failed", {})
    with pytest.raises(AirflowFailException):
        review.gate()
    bad = "[Access review 1] ✕ failed, no report was written"
    first, second, third = titles(chats, "teams")
    assert first == third == bad != second and second.endswith(summary["outcome"]["words"])


def _sign(summary: dict[str, Any]) -> str:
    return {"warn": "▲", "bad": "✕"}[summary["outcome"]["tone"]]


def _person(setup: ReviewBench) -> str:
    """Somebody who may be reviewed and holds access in DMS."""
    return next(
        str(p["person_id"])
        for p in setup.emulator.get("org")["people"]
        if p["status"] == "active" and not p["protected"] and p["kind"] == "human" and p["dms_user_id"]
    )


def _no_details(setup: ReviewBench, review: Review, chats: ChatServer, *more: str) -> None:
    """No message names a resource, a grant, a person or an id."""
    said = "\n".join(one.text for one in chats.received)
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        hidden = {run.run_id, run.reason, ledger.plans.get(run.run_id).digest[:12], *more}
        for grant, _ in ledger.decisions.each(run.run_id, choice="revoke"):
            hidden |= {grant.grant_id, grant.resource_name, grant.principal_name}
            hidden |= {grant.key.resource_id, grant.key.principal_id, grant.key.account}
    hidden |= {person["person_id"] for person in setup.emulator.get("org")["people"]}
    assert [text for text in sorted(hidden) if len(text) > 3 and text in said] == []


def test_a_worker_that_dies_before_it_sends_loses_the_message_and_sends_none_twice(
    bench: Bench, chats: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = bench()
    notified(setup, chats, "wecom", "teams")
    review = setup.run(dry_run=False)
    review.through_plan()
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        plan = ledger.plans.get(run.run_id)
        assert ledger.notices.claim(f"asked {run.run_id} {plan.digest}", "wecom chat_wecom")  # and here it dies
    ask(review, monkeypatch)
    assert titles(chats, "wecom") == [] and len(titles(chats, "teams")) == 1


def test_the_answer_is_told_by_the_retry_where_the_first_try_died_after_recording_it(
    bench: Bench, chats: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = bench()
    review = setup.run(dry_run=False)
    review.through_plan()
    ask(review, monkeypatch)
    with pytest.raises(AirflowSkipException):
        review.approve(answer="reject")
    notified(setup, chats, "feishu")
    for _ in range(2):
        with pytest.raises(AirflowSkipException):
            ApprovePlanOperator(task_id="approve").execute(review.context("approve"))
    assert titles(chats, "feishu") == ["[Access review 1] ✕ rejected, nothing sent"]


@pytest.mark.parametrize(
    ("trouble", "delivered"),
    [
        ("signature", {"WeCom", "Teams"}),  # these two have none
        ("code", {"Teams"}),  # where the status alone counts
        ("throttled", set()),
        ("redirect", set()),
        ("silent", set()),
        ("down", set()),
        ("missing", set()),
    ],
)
def test_no_trouble_of_a_chat_reaches_the_review(
    trouble: str, delivered: set[str], review_that_waits: Review, chats: ChatServer, caplog: pytest.LogCaptureFixture
) -> None:
    setup, released = review_that_waits.bench, threading.Event()
    notified(setup, chats, *KINDS)
    setup.monkeypatch.setattr("rescind.notifications.sender.PAUSES", (0.0, 0.0))
    chats.always = {
        "code": (200, {}, b'{"errcode": 1, "code": 1}'),
        "throttled": (429, {}, b""),
        "redirect": (302, {"Location": "http://127.0.0.1:9/"}, b""),
        "silent": lambda _: released.wait(30),
    }.get(trouble)
    extra = {"timeout_s": 0.5, **({"secret": "other"} if trouble == "signature" else {})}
    for kind in KINDS:
        connection = json.loads(chats.connection(kind, **extra))
        if trouble == "down":
            connection["password"] = f"http://127.0.0.1:9/{kind}"
        setup.monkeypatch.setenv(f"AIRFLOW_CONN_CHAT_{kind.upper()}", json.dumps(connection))
        if trouble == "missing":
            setup.monkeypatch.delenv(f"AIRFLOW_CONN_CHAT_{kind.upper()}")
    try:
        with caplog.at_level(logging.INFO):
            ask(review_that_waits, setup.monkeypatch)
    finally:
        released.set()
    said = [one.getMessage() for one in caplog.records if one.name.startswith("rescind.notifications")]
    assert len(said) == len(KINDS) and all("(connection chat_" in one for one in said)
    assert {one.partition(" ")[0] for one in said if "was delivered" in one} == delivered, said
    review_that_waits.approve()


@pytest.fixture
def review_that_waits(bench: Bench) -> Review:
    review = bench("--preset", "tiny").run(dry_run=False, systems=["quickbi_menus"])
    review.through_plan()
    return review


def test_a_ledger_or_settings_that_cannot_be_read_stop_no_question(
    review_that_waits: Review, chats: ChatServer, caplog: pytest.LogCaptureFixture
) -> None:
    setup = review_that_waits.bench
    notified(setup, chats, "teams")
    with tampering(setup.ledger_dsn) as connection:
        connection.execute("ALTER TABLE rescind.notice RENAME TO notice_away")
        try:
            with caplog.at_level(logging.ERROR):
                ask(review_that_waits, setup.monkeypatch)
        finally:
            connection.execute("ALTER TABLE rescind.notice_away RENAME TO notice")
    assert "it cannot be made or recorded: ledger " in caplog.text and chats.received == []
    operator = ApprovePlanOperator(task_id="approve")
    operator.ledger_conn_id = "nowhere"
    operator.notifiers[0](review_that_waits.context("approve"))
    setup.monkeypatch.setenv("AIRFLOW_VAR_RESCIND_SETTINGS", "{")
    ApprovePlanOperator(task_id="approve").notifiers[0](review_that_waits.context("approve"))
    assert chats.received == []


def test_every_event_can_be_left_out_and_nothing_is_sent_without_the_setting(
    review_that_waits: Review, chats: ChatServer
) -> None:
    setup = review_that_waits.bench
    ask(review_that_waits, setup.monkeypatch)
    notified(setup, chats, "teams", events=["answered"])
    ask(review_that_waits, setup.monkeypatch)
    assert chats.received == []
    review_that_waits.approve()
    assert titles(chats, "teams") == ["[Access review 1] ◔ approved"]


def remind(**arguments: Any) -> Any:
    context = {"dag_run": SimpleNamespace(dag_id="remind_approvers", run_id="scheduled__1", conf={}), "params": {}}
    return RemindOperator(task_id="remind", **arguments).execute(context)


def _asked_before(setup: ReviewBench, age: timedelta) -> None:
    """Make the request older."""
    with tampering(setup.ledger_dsn) as connection:
        connection.execute("UPDATE rescind.approval SET requested_at = clock_timestamp() - %s", (age,))


def test_reminders_come_at_intervals_and_only_while_the_question_is_open(
    review_that_waits: Review, chats: ChatServer
) -> None:
    setup = review_that_waits.bench
    notified(setup, chats, "dingtalk", events=["reminder"], remind_hours=2)
    ask(review_that_waits, setup.monkeypatch)
    assert remind() == {"waiting": 1, "owners": 0} and chats.received == []
    asked_at = datetime.now(UTC) - timedelta(hours=5)
    _asked_before(setup, timedelta(hours=5))
    assert [remind(), remind()] == [{"waiting": 1, "owners": 0}] * 2
    (first,) = chats.accepted("dingtalk")
    assert first.title == "[Access review 1] ● waiting for approval"
    assert f"Waiting since {asked_at:%a %d %b %H:}" in first.text and "Answer by" in first.text
    _asked_before(setup, timedelta(hours=7))
    remind()
    assert len(chats.accepted("dingtalk")) == 2
    review_that_waits.approve()
    _asked_before(setup, timedelta(hours=9))
    assert remind() == {"waiting": 0, "owners": 0} and len(chats.received) == 2


def test_owners_and_their_colleagues_are_reminded_together_and_the_page_says_so(
    review_that_waits: Review, chats: ChatServer
) -> None:
    setup = review_that_waits.bench
    notified(setup, chats, "dingtalk", events=["reminder"], remind_hours=2)
    with review_that_waits.ledger() as ledger:
        run_id = ledger.runs.find("access_review", review_that_waits.run_id).run_id
        held = [one.grant_id for one in islice(ledger.plans.items(run_id), 2)]
        new = [
            NewQuestion(name, "keep", (QuestionItem(one, "line"),), delegates={"bob": "Bob"})
            for name, one in zip(("alice", "carol"), held, strict=True)
        ]
        first, second = ledger.questions.ask(run_id, new)
        assert remind()["owners"] == 0, "nobody was asked yet"
        for one in (first, second):
            ledger.questions.put(run_id, one.digest, within=timedelta(hours=72))
        at = datetime.now(UTC)
        ledger.questions.hand_over(run_id, first.digest, by="alice", to="bob", comment="yours", at=at)
        assert remind()["owners"] == 2 and chats.received == []
        with tampering(setup.ledger_dsn) as connection:
            connection.execute("UPDATE rescind.question SET asked_at = clock_timestamp() - interval '5 hours'")
        assert [remind()["owners"], remind()["owners"]] == [2, 2]
        (told,) = chats.accepted("dingtalk")
        assert told.title == "[Access review 1] ● waiting for owners" and "rescind/runs/1/owners" in told.text
        for words in (
            "2 questions to owners of resources wait, for 2 people",
            "1 of them was handed over",
            "all of them",
        ):
            assert words in told.text, told.text
        assert not [name for name in ("alice", "bob", "Bob", "carol", "yours", *held) if name in told.text]
        lines = {one.reviewer: one for one in ledger.views.questions_of(1, {"access_review"})}
        assert lines["alice"].reminded == lines["carol"].reminded == 1 and lines["alice"].asked == "bob"
        ledger.questions.answer(run_id, first.digest, revoke=[], responded_by="bob", responded_at=datetime.now(UTC))
        assert remind()["owners"] == 1
        with tampering(setup.ledger_dsn) as connection:
            connection.execute("UPDATE rescind.question SET due_at = clock_timestamp()")
        assert remind()["owners"] == 0


@pytest.mark.parametrize("change", ["finished_at = clock_timestamp()", "state = 'abandoned'"])
def test_nobody_is_reminded_of_a_run_that_has_ended(review_that_waits: Review, change: str) -> None:
    setup = review_that_waits.bench
    ask(review_that_waits, setup.monkeypatch)
    with tampering(setup.ledger_dsn) as connection:
        connection.execute(f"UPDATE rescind.run SET {change}")
    assert remind() == {"waiting": 0, "owners": 0}


def test_nobody_is_reminded_of_what_has_expired(review_that_waits: Review) -> None:
    setup = review_that_waits.bench
    ask(review_that_waits, setup.monkeypatch)
    with tampering(setup.ledger_dsn) as connection:
        connection.execute("UPDATE rescind.approval SET valid_until = clock_timestamp()")
    assert remind() == {"waiting": 0, "owners": 0}


def test_access_that_came_back_is_told_once(bench: Bench, chats: ChatServer) -> None:
    setup = bench()
    before = setup.emulator.get("truth")
    reviewed(setup)
    notified(setup, chats, "feishu")
    watching.watched("scheduled__0")
    watching.gate("scheduled__0")
    assert chats.received == []
    back = watching.gone(setup, before)
    watching.give(setup, back)
    watching.watched()
    for _ in range(2):
        with pytest.raises(AirflowFailException, match="came back"):
            watching.gate()
    (one,) = chats.accepted("feishu")
    assert one.title == f"[Watch regrants] ↺ came back ({len(back)})" and f"{HOME}/rescind/runs" in one.text
    ids = {str(value) for row in back.values() for name, value in row.items() if name.endswith("_id")}
    assert [text for text in ids if len(text) > 3 and text in one.text] == []
    setup.configure(watch_alarm="any")
    watching.watched("scheduled__2")
    with pytest.raises(AirflowFailException, match="is still back"):
        watching.gate("scheduled__2")
    assert len(chats.accepted("feishu")) == 2


def test_a_restore_is_told_by_its_name(bench: Bench, chats: ChatServer) -> None:
    setup = bench()
    reviewed(setup, systems=["quickbi_menus"])
    notified(setup, chats, "teams")
    restore = setup.restore(run="1")
    restore.through_plan()
    setup.monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **_: None)
    with pytest.raises(BaseException) as waits:
        restore.approval().execute(restore.context("approve"))
    assert type(waits.value).__name__ in WAITS, waits.value
    restore.approve()
    restore.revoke()
    restore.verify()
    restore.report()
    restore.gate()
    assert titles(chats, "teams") == [
        "[Restore access 2] ● waiting for approval",
        "[Restore access 2] ◔ approved",
    ]
    assert "asks to restore" in chats.accepted("teams")[0].text


def test_airflows_own_notifiers_get_every_message_once(review_that_waits: Review, chats: ChatServer) -> None:
    setup = review_that_waits.bench
    port = int(chats.url.rpartition(":")[2])
    mail = {"conn_type": "http", "host": "127.0.0.1", "port": port}
    setup.monkeypatch.setenv("AIRFLOW_CONN_OWN", json.dumps(mail))
    own = HttpNotifier(
        http_conn_id="own",
        endpoint="/wecom?key=tok",
        json={"msgtype": "markdown", "markdown": {"content": "{{ message.title }}\n{{ message.link }}"}},
        headers={"Content-Type": "application/json"},
    )
    setup.monkeypatch.setenv("AIRFLOW__API__BASE_URL", f"{HOME}/")
    for _ in range(2):
        ask(review_that_waits, setup.monkeypatch, notifiers=[own])
    operator = ApprovePlanOperator(task_id="approve", notifiers=[own])
    setup.monkeypatch.setattr(type(review_that_waits), "approval", lambda _: operator)
    review_that_waits.approve()
    with pytest.raises(AirflowFailException):
        GateOperator(task_id="gate", notifiers=[own]).execute(review_that_waits.context("gate"))
    assert titles(chats, "wecom") == [
        "[Access review 1] ● waiting for approval",
        "[Access review 1] ◔ approved",
        "[Access review 1] ✕ failed, no report was written",
    ]
    assert all(f"{HOME}/rescind/runs/1" in one.text for one in chats.received)


def test_owners_are_no_matter_for_the_chats_of_the_settings(bench: Bench, chats: ChatServer) -> None:
    setup = campaign(bench)
    notified(setup, chats, "wecom")
    review = setup.run(dry_run=False, ask_owners=True)
    for question in asked(review):
        with review.ledger() as ledger:
            run = ledger.runs.find("access_review", review.run_id)
            reviewer = ledger.questions.get(run.run_id, question["question"]).reviewer
        answer(review, question, [f"Keep all listed ({question['question'][:8]})"], reviewer)
    assert chats.received == []
