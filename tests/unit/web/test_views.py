"""The ledger's reads for pages: what they find, that they stay with the reader's DAGs, and that they cannot write."""

from __future__ import annotations

import dataclasses
import hashlib
import unicodedata
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from rescind.errors import LedgerError
from rescind.ledger import Ledger, NewBatch, NewCall, NewItem, NewPlan, NewQuestion, NewRun, QuestionItem
from rescind.ledger.read_models.item_rows import ItemFilter
from rescind.model import Choice, Decision
from rescind.web.shape import counted
from rescind.workflow.question.plan_people import plan_people
from tests.support.ledger import runs as ledger_runs
from tests.support.ledger.web_runs import finished_run, hostile_grants, late_run, returned, working_run
from tests.support.servers.postgres import tampering

ALL = {"access_review", "revoke_access"}


def test_runs_come_newest_first_with_their_counts(ledger: Ledger, tmp_path: Path) -> None:
    finished_run(ledger, tmp_path / "r.html")
    working_run(ledger, count=8)
    newest, oldest = ledger.views.runs(ALL)
    assert (newest.number, newest.items, newest.proven, newest.findings, newest.answer) == (2, 8, 0, None, "approve")
    assert (newest.calls_open, newest.scopes, newest.scopes_pending) == (8, 1, 0)
    assert (oldest.number, oldest.items, oldest.proven, oldest.findings) == (1, 4, 2, 2)
    assert oldest.state == "failed"
    assert [run.number for run in ledger.views.runs(ALL, before=2)] == [1]
    assert [run.number for run in ledger.views.runs(ALL, limit=1)] == [2]


def test_a_run_without_a_plan_is_shown_as_well(ledger: Ledger) -> None:
    ledger_runs.begin(ledger)
    (line,) = ledger.views.runs(ALL)
    assert (line.items, line.calls, line.answer, line.scopes) == (None, None, None, 0)
    assert ledger.views.run(1, ALL) is not None
    assert ledger.views.systems(1, ALL) == []
    assert ledger.views.progress(1, ALL) == []
    assert ledger.views.items(1, ALL, ItemFilter()).total == 0


def test_facts_of_a_run(ledger: Ledger, tmp_path: Path) -> None:
    run = finished_run(ledger, tmp_path / "r.html")
    found = ledger.views.run(run.number, ALL)
    assert found is not None
    assert found[1].report == str(tmp_path / "r.html")
    assert Path(found[1].bundle).parent == tmp_path
    assert found[1].problems == ["a <b>"]
    assert found[1].plan == ledger.plans.get(run.run_id).digest


def test_no_method_shows_a_run_of_another_dag(ledger: Ledger, tmp_path: Path) -> None:
    returned(ledger, finished_run(ledger, tmp_path / "r.html"), 1)
    working_run(ledger, dag_id="revoke_access", count=8)
    views = ledger.views
    assert [run.number for run in views.runs({"revoke_access"})] == [2]
    for dags in ({"revoke_access"}, {"other"}, set()):
        assert views.run(1, dags) is None
        assert views.systems(1, dags) == []
        assert views.returns(1, dags) == []
        assert views.watch(dags) is None
        assert views.progress(1, dags) == []
        assert views.item_counts(1, dags) == []
        page = views.items(1, dags, ItemFilter())
        assert (page.total, page.rows) == (0, [])
    assert views.dag_ids() == ["access_review", "revoke_access", "watch_regrants"]


def test_items_are_searched_filtered_and_paged(ledger: Ledger, tmp_path: Path) -> None:
    run = finished_run(ledger, tmp_path / "r.html")

    def total(**wanted: str) -> int:
        page = ledger.views.items(run.number, ALL, ItemFilter(**wanted))
        assert page.total == len(page.rows)
        return page.total

    assert total() == 4
    assert total(verdict="verified_gone") == 1
    assert total(verdict="none") == 1
    assert total(verdict="open") == 2
    assert total(system=ledger_runs.SYSTEM, state="approved") == 4
    assert total(system="dms_permissions") == 0
    assert total(state="held") == 0
    assert total(text="U000002") == 1
    assert total(text="portal-1/m") == 4
    assert total(text="LEAVER") == 4
    assert total(text="%") == 0, "a search is for text, not a pattern"
    assert total(text="_") == 0
    everything = ledger.views.items(run.number, ALL, ItemFilter()).rows
    paged = [ledger.views.items(run.number, ALL, ItemFilter(), offset=n, limit=1) for n in range(4)]
    assert [page.rows[0] for page in paged] == everything
    assert {page.total for page in paged} == {4}
    beyond = ledger.views.items(run.number, ALL, ItemFilter(), offset=99)
    assert (beyond.total, beyond.rows) == (4, [])


def test_an_item_says_what_was_sent_and_read(ledger: Ledger, tmp_path: Path) -> None:
    run = finished_run(ledger, tmp_path / "r.html")
    (item,) = ledger.views.items(run.number, ALL, ItemFilter(verdict="still_effective")).rows
    assert item.path == "group <b>Staff</b>"
    assert (item.rule, item.why) == ("leaver", "left the company")
    assert (item.outcome, item.request_id, item.sent_at) == ("", "", None)
    assert item.observed_at is not None


def test_systems_add_up(ledger: Ledger, tmp_path: Path) -> None:
    finished_run(ledger, tmp_path / "r.html")
    (row,) = ledger.views.systems(1, ALL)
    assert (row.discovered, row.items, row.proven, row.still_effective, row.not_sent) == (10, 4, 2, 1, 4)
    assert row.complete


def test_lanes_are_what_tasks_said_and_calls_where_none_did(ledger: Ledger) -> None:
    run = working_run(ledger, count=6)
    (calls,) = ledger.views.progress(run.number, ALL)
    assert (calls.stage, calls.system, calls.account) == ("revoke", ledger_runs.SYSTEM, ledger_runs.ACCOUNT)
    assert (calls.done, calls.total, calls.per_second) == (0, 6, 0)
    scope, batch = ledger.scopes.all(run.run_id)[0].scope_id, ledger.plans.batches(run.run_id)[0].batch_id
    ledger.progress.note(run.run_id, "discover", scope, label="Quick BI", done=3, total=0, per_second=1.5)
    assert [line.stage for line in ledger.views.progress(run.number, ALL)] == ["discover", "revoke"]
    ledger.progress.note(run.run_id, "revoke", batch, label="Quick BI · 1", done=2, total=6, per_second=0.5)
    discover, revoke = ledger.views.progress(run.number, ALL)
    assert (discover.system, discover.done, discover.total) == (ledger_runs.SYSTEM, 3, 0)
    assert (revoke.done, revoke.total, revoke.per_second) == (2, 6, 0.5)
    assert revoke.age_s < 60


def test_the_tasks_of_a_stage_are_one_lane_with_those_that_wait(ledger: Ledger) -> None:
    """Three batches: one done, one at work, one that nobody has taken up yet."""
    run = ledger_runs.begin(ledger)
    grants = [ledger_runs.grant(number) for number in range(30)]
    ledger_runs.list_scope(ledger, run, grants)
    ledger_runs.decide(ledger, run, grants, grants)
    calls = [NewCall(ledger_runs.call_for([one]), {}) for one in grants]
    parts = [calls[:10], calls[10:20], calls[20:]]
    effects = ledger_runs.effects_of(grants)
    until = datetime.now(UTC) + timedelta(hours=1)
    plan = NewPlan(hashlib.sha256(effects).hexdigest(), effects, until, "0.1.0")
    batches = [NewBatch(ledger_runs.SYSTEM, ledger_runs.ACCOUNT, "quickbi_default", part) for part in parts]
    items = [NewItem(one.grant_id, call.planned.call_id) for one, call in zip(grants, calls, strict=True)]
    ledger.plans.freeze(run.run_id, plan, batches, items)
    first, second, _ = ledger.plans.batches(run.run_id)
    ledger.progress.note(run.run_id, "revoke", first.batch_id, label="1", done=10, total=10, per_second=4.0)
    ledger.progress.note(run.run_id, "revoke", second.batch_id, label="2", done=5, total=10, per_second=2.0)
    ledger.progress.note(run.run_id, "roster", "people", label="people", done=9, total=0, per_second=1.0)
    roster, revoke = sorted(ledger.views.progress(run.number, ALL), key=lambda line: line.system)
    assert (revoke.done, revoke.total) == (15, 30)
    assert revoke.per_second == 2.0, "a task that is done has no pace any more"
    assert (roster.system, roster.label, roster.done) == ("", "people", 9)


def test_the_grants_of_a_restore_stand_in_the_run_that_it_restores(ledger: Ledger, tmp_path: Path) -> None:
    source = finished_run(ledger, tmp_path / "r.html")
    one = ledger_runs.grant(0)
    back = ledger.runs.begin(NewRun("revoke_access", "restore__1", "restore", "rita", reason="by mistake"))
    effects = ledger_runs.effects_of([one])
    call = ledger_runs.call_for([one])
    plan = NewPlan(
        hashlib.sha256(effects).hexdigest(),
        effects,
        datetime.now(UTC) + timedelta(hours=1),
        "0.1.0",
    )
    plan = dataclasses.replace(plan, operation="restore", source_run_id=source.run_id)
    batch = NewBatch(one.key.system, one.key.account, "quickbi_default", [NewCall(call, {})])
    ledger.plans.freeze(back.run_id, plan, [batch], [NewItem(one.grant_id, call.call_id)])
    page = ledger.views.items(back.number, ALL, ItemFilter())
    assert [row.principal_id for row in page.rows] == [one.key.principal_id]
    assert page.rows[0].state == "planned"
    assert [(row.items, row.proven) for row in ledger.views.systems(back.number, ALL)] == [(1, 0)]
    with tampering(make_conninfo("", **ledger.database.target)) as connection:  # what its verification comes to
        connection.execute("UPDATE rescind.plan_item SET state = 'restored' WHERE run_no = %s", (back.number,))
    assert [(row.items, row.proven) for row in ledger.views.systems(back.number, ALL)] == [(1, 1)]
    assert ledger.views.items(back.number, ALL, ItemFilter(verdict="open")).total == 0
    line = ledger.views.runs(ALL)[0]
    assert (line.operation, line.proven) == ("restore", 1)
    assert [count.proven for count in ledger.views.item_counts(back.number, ALL)] == [1]


def test_names_come_back_as_they_went_in(ledger: Ledger) -> None:
    run = working_run(ledger, count=7)
    names = {row.principal_name for row in ledger.views.items(run.number, ALL, ItemFilter()).rows}
    assert names == {grant.principal_name for grant in hostile_grants(7)}


def test_the_server_itself_keeps_these_reads_from_writing(ledger: Ledger) -> None:
    ledger_runs.begin(ledger)
    with pytest.raises(LedgerError, match="read-only"):
        ledger.views._select(lambda connection: connection.execute("UPDATE rescind.run SET state = 'x'"))
    assert ledger.views.runs(ALL)[0].state == "created"
    ledger.runs.finish(ledger.views.runs(ALL)[0].run_id, "planned", {})  # the connection writes again afterwards


def test_returns_are_counted_once_and_shown_as_last_seen(ledger: Ledger, tmp_path: Path) -> None:
    run = finished_run(ledger, tmp_path / "r.html")
    assert ledger.views.watch({"watch_regrants"}) is None
    returned(ledger, run, 2, not_checked=3)
    # The same watching run after a retry: its later look counts, and it is still one watch.
    returned(ledger, run, 1, not_checked=0)
    watch = ledger.views.watch({"watch_regrants"})
    assert watch is not None
    assert (watch.watched, watch.still_gone, watch.returned, watch.not_checked) == (2, 1, 1, 0)
    returned(ledger, run, 1, name="scheduled__2")
    lines = {line.principal_id: line for line in ledger.views.returns(run.number, ALL)}
    assert {who: line.times for who, line in lines.items()} == {"u000000": 2, "u000001": 1}
    assert all(line.seen_entitlement == "edit" and line.entitlement == "view" for line in lines.values())
    assert lines["u000000"].first_seen < lines["u000000"].last_seen
    assert ledger.views.runs(ALL)[0].returned == 2
    assert "watch_regrants" in ledger.views.dag_ids()


def test_who_is_waited_for_and_since_when(ledger: Ledger) -> None:
    run = ledger_runs.begin(ledger)
    grants = [ledger_runs.grant(number) for number in range(3)]
    ledger_runs.list_scope(ledger, run, grants)
    both = zip("ab", grants, strict=False)
    asked = [NewQuestion(who, "keep", (QuestionItem(one.grant_id, "x"),)) for who, one in both]
    first = ledger.questions.ask(run.run_id, asked)[0]
    (line,) = ledger.views.runs(ALL)
    assert (line.owners_open, line.owners_asked_at) == (2, first.asked_at)
    for question in ledger.questions.all(run.run_id):
        ledger.questions.answer(
            run.run_id, question.digest, revoke=[], responded_by=question.reviewer, responded_at=datetime.now(UTC)
        )
    (line,) = ledger.views.runs(ALL)
    assert (line.owners_open, line.owners_asked_at, line.asked_at, line.valid_until) == (0, None, None, None)


def test_people_are_grouped_by_the_roster_and_found_by_name(ledger: Ledger) -> None:
    run = ledger_runs.begin(ledger)
    grants = [ledger_runs.grant(number) for number in range(4)]
    ledger_runs.list_scope(ledger, run, grants)
    wei = {"person.id": "P1", "person.name": "王伟", "person.department": "财务", "person.status": "left"}
    gia = {"person.id": "P2", "person.name": unicodedata.normalize("NFD", "Trần Gia Hân")}
    about = [{**wei, "person.terminated_at": "2026-01-31T00:00:00Z"}, wei, gia, {"matched_by": "none"}]
    ledger.decisions.write(
        run.run_id,
        [
            Decision(one.grant_id, Choice.REVOKE, "leaver", "left", "high", facts=facts)
            for one, facts in zip(grants, about, strict=True)
        ],
    )
    ledger_runs.freeze(ledger, run, [[one] for one in grants])
    page = ledger.views.people(run.number, ALL)
    assert page.total == 3 and [row.items for row in page.rows] == [2, 1, 1]
    first = page.rows[0]
    assert (first.person, first.name, first.department, first.status) == ("P1", "王伟", "财务", "left")
    assert (first.gone_from, first.remaining, first.proven) == ("2026-01-31 00:00", 2, 0)
    assert [row.matched for row in page.rows] == ["", "", "none"]
    assert {row.person for row in page.rows[1:]} == {"P2", f"{ledger_runs.SYSTEM}/{ledger_runs.ACCOUNT}/user/u000003"}
    assert [row.person for row in ledger.views.people(run.number, ALL, text="王").rows] == ["P1"]
    assert [row.person for row in ledger.views.people(run.number, ALL, text="财务").rows] == ["P1"]
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        typed = unicodedata.normalize(form, "trần gia")
        assert [row.person for row in ledger.views.people(run.number, ALL, text=typed).rows] == ["P2"], form
        assert ledger.views.items(run.number, ALL, ItemFilter(text=typed)).total == 1, form
    assert ledger.views.items(run.number, ALL, ItemFilter(text="\uff50\uff12")).total == 1, "wide letters"
    assert ledger.views.people(run.number, ALL, text="%").total == 0
    assert ledger.views.people(run.number, {"other"}).total == 0
    for wanted, found in ((ItemFilter(person="P1"), 2), (ItemFilter(person="P2"), 1), (ItemFilter(text="王伟"), 2)):
        assert ledger.views.items(run.number, ALL, wanted).total == found
    assert {row.principal_name for row in ledger.views.items(run.number, ALL, ItemFilter(person="P1")).rows} == {"王伟"}


def test_one_id_in_two_accounts_is_two_people_for_the_page_and_for_the_approver(ledger: Ledger) -> None:
    run = ledger_runs.begin(ledger)
    accounts = ("alibaba:1:cn-hangzhou", "alibaba:2:cn-hangzhou")
    grants = [ledger_runs.grant(1, account=account) for account in accounts]
    for one in grants:
        ledger_runs.list_scope(ledger, run, [one])
    ledger_runs.decide(ledger, run, grants, grants)
    ledger_runs.freeze(ledger, run, [[one] for one in grants], batches=2)
    page = ledger.views.people(run.number, ALL)
    assert page.total == 2 and [row.items for row in page.rows] == [1, 1]
    for row in page.rows:
        (item,) = ledger.views.items(run.number, ALL, ItemFilter(person=row.person)).rows
        assert item.account in row.person
    assert [one.going for one in plan_people(ledger, run).people] == [1, 1]


def test_what_waits_for_an_approver_is_listed_and_nothing_else(ledger: Ledger, tmp_path: Path) -> None:
    finished_run(ledger, tmp_path / "r.html")
    working_run(ledger, count=2)
    waits = late_run(ledger)
    (line,) = ledger.views.waiting(ALL)
    assert (line.number, line.answer) == (waits.number, None) and line.asked_at is not None
    assert ledger.views.waiting({"other"}) == []


def test_counts_of_the_filters_tell_the_total(ledger: Ledger, tmp_path: Path) -> None:
    """A page without a search takes its total from the counts; it is what the database counts."""
    run = finished_run(ledger, tmp_path / "r.html")
    counts = ledger.views.item_counts(run.number, ALL)
    found = 0
    for verdict in ("", "none", "open", "verified_gone", "already_absent", "still_effective", "unverified"):
        for state in ("", "approved", "held"):
            for system in ("", ledger_runs.SYSTEM, "dms_permissions"):
                wanted = ItemFilter(system, state, verdict)
                total = counted(counts, wanted)
                assert total == ledger.views.items(run.number, ALL, wanted).total, wanted
                assert len(ledger.views.items(run.number, ALL, wanted, total=total).rows) == total
                found += total or 0
    assert found > 0
    assert counted(counts, ItemFilter(text="x")) is counted(counts, ItemFilter(person="P1")) is None


def test_a_person_of_a_run_can_be_asked_for_alone(ledger: Ledger, tmp_path: Path) -> None:
    run = finished_run(ledger, tmp_path / "r.html")
    every = ledger.views.people(run.number, ALL)
    assert every.total == len(every.rows) > 1
    for one in every.rows:
        (alone,) = ledger.views.people(run.number, ALL, person=one.person).rows
        assert dataclasses.replace(alone, people=every.total) == one
    assert ledger.views.people(run.number, ALL, person="nobody").rows == []
