"""Who sent the events of a run: nobody who did may approve it, and unknown senders start nothing real."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from rescind.hooks.airflow_instance.api import AIRFLOW_CONNECTION
from rescind.ledger import OCCASION
from tests.integration.pages.test_page import page
from tests.support.markup import Markup
from tests.support.reviews.airflow_record import AirflowRecord
from tests.support.reviews.leaver_events import SENDER, event, people, posted, real, requested
from tests.support.reviews.review import Review, ReviewBench

Bench = Callable[..., ReviewBench]


def test_the_user_who_sent_the_event_cannot_approve(bench: Bench, airflow: AirflowRecord) -> None:
    setup = bench(enforce_events=True, approvers=["omar", "olga"])
    (person,) = people(setup, 1)
    airflow.sent("omar", {"principals": [person["person_id"]]})
    review = real(setup, posted(person["person_id"]))
    review.user = "omar"
    review.through_plan()
    operator = review.approval()
    with review.ledger() as ledger:
        operator.ask(review.context("approve"), ledger)
    assert [one["id"] for one in operator.assigned_users] == ["olga"]
    with pytest.raises(AirflowFailException, match="the requester cannot approve their own run"):
        review.approve("omar")
    review.approve("olga")


def test_a_real_run_of_unknown_senders_is_refused_as_the_command_line_is(bench: Bench, airflow: AirflowRecord) -> None:
    setup = bench(enforce_events=True)
    (person,) = people(setup, 1)
    with pytest.raises(
        AirflowFailException, match=r"is unverified: Airflow's audit log does not tell.*requester_check"
    ):
        real(setup, posted(person["person_id"], reason="last day today")).preflight()
    # Others were refused before their events were used, or by a check behind them; nothing of an unused event is told.
    airflow.sent(SENDER, {"principals": ["person_id:nobody"], "reason": "of an unused event"})
    refused = real(setup, posted("person_id:nobody", reason="of an unused event"), run_id="asset__2")
    with pytest.raises(AirflowFailException, match="name nobody who can be used"):
        refused.preflight()
    setup.configure(max_percent=None)
    with pytest.raises(AirflowFailException):
        real(setup, posted(person["person_id"]), run_id="asset__3").preflight()
    with refused.ledger() as ledger:
        told = {one.airflow_run_id: one for one in ledger.views.refused(["offboard"])}
    assert {one.kind for one in told.values()} == {"triggered"}
    first, second, third = (told[f"asset__{n}"] for n in (1, 2, 3))
    assert (first.dry_run, first.requested_by, first.requester, first.reason) == (
        False, "", "no person", "last day today",
    )  # fmt: skip
    assert (second.dry_run, second.requester, second.reason) == (False, SENDER, "")
    assert not third.dry_run, "nobody knows what broken settings would have said"
    html = page(setup, "/runs").text
    shown = Markup.of(html).text
    assert f"asked for by {SENDER}" in shown and "asked for by no person" in shown and "schedule" not in shown
    assert '<span class="chip">dry run</span>' not in html and "of an unused event" not in shown


@pytest.mark.parametrize("status", [401, 403, 500])
def test_where_the_audit_log_cannot_be_read_no_real_run_starts(
    bench: Bench, airflow: AirflowRecord, status: int
) -> None:
    setup = bench(enforce_events=True, approvers=["omar", "olga"])
    (person,) = people(setup, 1)
    airflow.sent("omar", {"principals": [person["person_id"]]})
    airflow.status = status
    with pytest.raises(AirflowFailException, match=r"is unverified: Who sent the events is not known: .*HTTP"):
        real(setup, posted(person["person_id"])).preflight()


def test_without_the_connection_no_real_run_starts(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"AIRFLOW_CONN_{AIRFLOW_CONNECTION.upper()}", raising=False)
    setup = bench(enforce_events=True)
    (person,) = people(setup, 1)
    with pytest.raises(AirflowFailException, match=r"is unverified: Who sent the events is not known: there is no con"):
        real(setup, posted(person["person_id"])).preflight()
    setup.configure(requester_check="off")
    review = real(setup, posted(person["person_id"]))
    review.preflight()
    assert requested(review)[1].requested_by == ""


def sent_by_two(bench: Bench, airflow: AirflowRecord) -> tuple[ReviewBench, Review]:
    """A planned run of two events: one by an ordinary sender, one by the approver omar."""
    setup = bench(enforce_events=True, requester_check="off", approvers=["omar", "olga"])
    one, two = people(setup, 2)
    airflow.sent(SENDER, {"principals": [one["person_id"]]})
    airflow.sent("omar", {"principals": [two["person_id"]]})
    review = real(setup, posted(one["person_id"]), posted(two["person_id"], seconds=1))
    review.user = ""
    review.through_plan()
    return setup, review


def test_a_sender_that_preflight_found_is_kept_from_approving(bench: Bench, airflow: AirflowRecord) -> None:
    setup, review = sent_by_two(bench, airflow)
    airflow.status = 403
    with pytest.raises(AirflowFailException, match="'omar' sent an event of this run"):
        review.approve("omar")
    setup.configure(requester_check="where_possible")
    with pytest.raises(AirflowFailException, match=r"nobody is known to have sent .*HTTP 403.*requester_check"):
        review.approve("olga")
    setup.configure(requester_check="off")
    review.approve("olga")


def test_two_senders_of_one_content_are_nobody(bench: Bench, airflow: AirflowRecord) -> None:
    setup = bench(enforce_events=True)
    (person,) = people(setup, 1)
    for user in (SENDER, "omar"):
        airflow.sent(user, {"principals": [person["person_id"]]})
    with pytest.raises(AirflowFailException, match="is unverified"):
        real(setup, posted(person["person_id"])).preflight()


def test_where_the_check_is_off_every_known_sender_is_kept_from_approving(bench: Bench, airflow: AirflowRecord) -> None:
    _, review = sent_by_two(bench, airflow)
    operator = review.approval()
    with review.ledger() as ledger:
        operator.ask(review.context("approve"), ledger)
    assert "**Requester**: Several users sent the events" in operator.body
    assert [user["id"] for user in operator.assigned_users] == ["olga"]
    with pytest.raises(AirflowFailException, match="'omar' sent an event of this run"):
        review.approve("omar")


def test_only_the_senders_of_the_setting_count(bench: Bench, airflow: AirflowRecord) -> None:
    setup = bench(enforce_events=True, event_senders=[SENDER])
    one, two = people(setup, 2)
    airflow.sent(SENDER, {"principals": [one["person_id"]]})
    airflow.sent("omar", {"principals": [two["person_id"]]})
    review = real(setup, posted(one["person_id"]), posted(two["person_id"], seconds=1))
    review.preflight()
    names, run = requested(review)
    assert (names, run.requested_by, run.dry_run) == ([one["person_id"]], SENDER, False)
    with review.ledger() as ledger:
        left = ledger.inputs.facts(run.run_id, OCCASION)["events"][1]
    assert (left["sender"], left["aside"]) == ("omar", ["its sender is not in 'event_senders'"])


@pytest.mark.parametrize("extra", [{"from_trigger": True, "payload": {"type": "message", "data": "%s"}}])
def test_a_message_of_a_queue_has_no_sender(bench: Bench, airflow: AirflowRecord, extra: dict[str, Any]) -> None:
    setup = bench(enforce_events=True)
    (person,) = people(setup, 1)
    extra["payload"]["data"] = f'{{"principals": ["{person["person_id"]}"], "ticket": "HR-9"}}'
    with pytest.raises(AirflowFailException, match="is unverified: Events came by a message queue"):
        real(setup, event(extra)).preflight()
    setup.configure(enforce_events=False)
    review = real(setup, event(extra))
    review.preflight()
    names, run = requested(review)
    assert (names, run.ticket, run.dry_run, run.requested_by) == ([person["person_id"]], "HR-9", True, "")


def test_a_changed_requester_in_the_ledger_approves_nothing(bench: Bench, airflow: AirflowRecord) -> None:
    setup = bench(enforce_events=True, approvers=["omar", "olga"])
    (person,) = people(setup, 1)
    airflow.sent("omar", {"principals": [person["person_id"]]})
    review = real(setup, posted(person["person_id"]))
    review.user = "omar"
    review.through_plan()
    airflow.audit[:] = [("somebody", airflow.audit[0][1])]
    with pytest.raises(AirflowFailException, match="does not confirm that 'omar' sent the events"):
        review.approve("olga")


def test_nobody_who_sent_the_event_may_approve_the_run_over_everybody_either(
    bench: Bench, airflow: AirflowRecord
) -> None:
    setup = bench(enforce_events=True, approvers=["omar", "olga"])
    setup.list_people_from_now()
    person = next(one for one in people(setup, 20) if one["wedata_user_id"] and one["quickbi_user_id"])
    airflow.sent("omar", {"principals": [person["person_id"]]})
    first = setup.offboard(posted(person["person_id"]), systems=["wedata_privileges", "dms_permissions"])
    first.user = ""
    first.through_plan()
    first.close()
    after = replace(first.full_proof(), given=[])
    with pytest.raises(AirflowFailException, match="was not started by an event"):
        replace(after, params={}).preflight()
    with pytest.raises(AirflowFailException, match="in the name of its requester"):
        replace(after, user="olga").preflight()
    after.through_plan()
    with after.ledger() as ledger:
        run = ledger.runs.find("offboard", after.run_id)
        assert (run.requested_by, run.follows, run.dry_run) == ("omar", 2, False)
        operator = after.approval()
        operator.ask(after.context("approve"), ledger)
    assert [one["id"] for one in operator.assigned_users] == ["olga"] and "Started by 1 event" in operator.body
    assert "This run completes run 2" in operator.body
    after.user = "omar"  # who the approval is requested from, in this bench
    with pytest.raises(AirflowFailException, match=r"cannot approve their own run|sent an event of this run"):
        after.approve("omar")
    after.user = ""
    assert "after the event" in after.close()["clock"][0]["words"]
