"""The home page over many runs: what is counted, what a later review replaces, and whose runs they are."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

from rescind.ledger import Ledger, NewQuestion, NewRun, QuestionItem
from rescind.ledger.read_models import queries
from rescind.ledger.read_models.item_rows import ItemFilter
from rescind.ledger.read_models.overview import BucketLine, OpenCell
from rescind.ledger.runs.records import NAMED_PEOPLE
from rescind.ledger.runs.refusals import NewRefusal
from rescind.model import Verdict
from rescind.web.charts import short
from rescind.web.overview import HeatCell, heat, quarters, weeks
from tests.support.ledger import runs as ledger_runs
from tests.support.ledger.history import closed_review
from tests.support.ledger.web_runs import HOSTILE, late_run
from tests.support.markup import Markup
from tests.support.servers.postgres import tampering

NOW = datetime.now(UTC)
GONE, REACHABLE, RECORD = Verdict.VERIFIED_GONE, Verdict.STILL_EFFECTIVE, Verdict.RECORD_GONE
ALL = {"access_review", "revoke_access"}
TWO = ("quickbi_menus", "dms_permissions")


def _weeks(ledger: Ledger, dags: set[str] = ALL) -> list[tuple[str, int, int, int, int]]:
    found = [one for one in ledger.views.buckets(dags) if one.kind == "week"]
    return [(one.system, one.items, one.proven, one.open, one.kept) for one in found]


def test_a_later_review_replaces_what_earlier_runs_left_and_a_run_about_people_adds_to_it(ledger: Ledger) -> None:
    assert ledger.views.buckets(ALL) == [] and ledger.views.open_now(ALL) == []
    assert ledger.views.leaver_times(ALL) is None
    ago = [NOW - timedelta(days=days) for days in (40, 30, 20, 10)]
    left = NOW - timedelta(days=50)
    closed_review(ledger, "first", range(8), [GONE, REACHABLE], systems=TWO, ended=ago[0], left_at=left)
    closed_review(ledger, "dry", range(8), [GONE], ended=ago[1], dry_run=True)
    second = closed_review(ledger, "second", range(4), [GONE, GONE, REACHABLE, RECORD], ended=ago[2], left_at=left)
    assert _weeks(ledger) == [
        ("dms_permissions", 8, 4, 4, 10),
        ("quickbi_menus", 8, 4, 4, 10),
        ("quickbi_menus", 4, 2, 2, 10),
    ]
    assert [(one.department, one.system, one.items) for one in ledger.views.open_now(ALL)] == [
        ("", "dms_permissions", 2),
        ("", "quickbi_menus", 1),
        ("Data", "quickbi_menus", 1),
        ("Sales", "dms_permissions", 2),
    ]
    # Two of the four of the second review are gone now: person 2 by a run about that person, with the same grant.
    closed_review(
        ledger, "one", [0, 1, 2], [GONE], ended=ago[3], left_at=left, kind="targets", dag_id="revoke_access", kept=0
    )
    assert _weeks(ledger)[-1] == ("quickbi_menus", 3, 3, 2, 10), "a run about people replaces no review"
    cells = {(one.department, one.system): (one.items, one.number) for one in ledger.views.open_now(ALL)}
    assert ("Data", "quickbi_menus") not in cells, "of a grant that two runs met the later one counts"
    assert cells["", "quickbi_menus"] == (1, second.number)
    mine = ledger.views.open_now({"access_review"})
    assert ("Data", "quickbi_menus") in {(one.department, one.system) for one in mine}
    assert ledger.views.open_now({"other"}) == [] and ledger.views.buckets(set()) == []
    times = ledger.views.leaver_times(ALL)
    assert times is not None and times.worst_s is not None and times.median_s is not None
    # Persons 0 to 2 are gone by the last run, 4 and 6 by the first; 3, 5 and 7 are not.
    assert (times.people, times.waiting) == (5, 3)
    assert round(times.worst_s / 86_400) == 40 and times.worst_run == 4 and times.worst_name == "Omar Haddad"


def test_open_grants_of_runs_that_are_too_many_to_read_count_too(ledger: Ledger) -> None:
    left = NOW - timedelta(days=9)
    closed_review(ledger, "review", range(2), [REACHABLE], systems=TWO, ended=NOW - timedelta(days=8))
    about_people: dict[str, Any] = {"kind": "targets", "dag_id": "revoke_access", "kept": 0, "left_at": left}
    closed_review(ledger, "left open", [7], [REACHABLE], ended=NOW - timedelta(days=7), **about_people)
    last = closed_review(ledger, "gone", [8], [GONE], systems=TWO, ended=NOW - timedelta(days=6), **about_people)
    account = ledger.scopes.all(last.run_id)[0].account
    names = (*TWO, "wedata_privileges", "wedata_projects", "dms_accounts")
    systems = [{"system": name, "account": account, "items": 1, "verified_gone": 1} for name in names]
    with tampering(make_conninfo("", **ledger.database.target)) as connection:
        connection.execute(
            "INSERT INTO rescind.run (number, run_id, dag_id, airflow_run_id, kind, requested_by, params, dry_run,"
            " state, finished_at, summary) SELECT number + n, 'copy' || n, dag_id, 'copy' || n, kind, requested_by,"
            " params, false, state, finished_at, %(summary)s FROM rescind.run, generate_series(1, 60) n"
            " WHERE number = %(last)s",
            {"last": last.number, "summary": Jsonb({"answer": "approve", "systems": systems})},
        )
    assert sum(one.items for one in ledger.views.open_now(ALL)) == 5


def test_an_approved_run_that_was_abandoned_left_open_what_is_not_proven_gone(ledger: Ledger) -> None:
    closed_review(ledger, "review", range(3), [GONE])
    asked = ledger_runs.begin(ledger, "never approved")
    ledger.runs.finish(asked.run_id, "abandoned", {"by": "anna", "reason": "stuck"})
    assert sum(one.items for one in ledger.views.open_now(ALL)) == 0
    stuck = closed_review(ledger, "stuck", [5, 6], [GONE, REACHABLE], kind="targets", kept=0)
    ledger.runs.finish(stuck.run_id, "abandoned", {"by": "anna", "reason": "stuck"})
    assert [(one.items, one.number) for one in ledger.views.open_now(ALL)] == [(1, stuck.number)]
    assert _weeks(ledger) == [("quickbi_menus", 5, 4, 1, 10)]


@pytest.mark.parametrize(("until", "open_"), [("- interval '1 minute'", 1), ("+ interval '1 hour'", 0)])
def test_an_approved_run_that_never_reports_is_open_once_its_approval_is_over(
    ledger: Ledger, ledger_dsn: str, until: str, open_: int
) -> None:
    stuck = closed_review(ledger, "stuck", [5, 6], [GONE, REACHABLE], kind="targets", kept=0)
    with tampering(ledger_dsn) as connection:
        connection.execute("UPDATE rescind.run SET finished_at = NULL, state = 'open', summary = '{}'")
        connection.execute(f"UPDATE rescind.approval SET valid_until = clock_timestamp() {until}".encode())
    found = [(one.items, one.number) for one in ledger.views.open_now(ALL)]
    assert found == [(1, stuck.number)][:open_]
    with tampering(ledger_dsn) as connection:
        connection.execute("UPDATE rescind.approval SET answer = 'reject'")
    assert ledger.views.open_now(ALL) == []


def test_the_times_of_leavers_say_how_far_back_they_look(browser: Any, ledger: Ledger) -> None:
    ended = NOW - timedelta(days=2)
    for number in range(3):
        closed_review(
            ledger,
            f"r{number}",
            [number],
            [GONE],
            ended=ended,
            left_at=ended,
            kept=0,
            kind="targets",
            dag_id="offboard",
        )
    times = ledger.views.leaver_times({"offboard"}, most=2)
    assert times is not None and (times.people, times.last_runs) == (2, 2)
    times = ledger.views.leaver_times({"offboard"})
    assert times is not None and (times.people, times.last_runs) == (3, None)


def test_old_runs_count_no_more_and_a_summary_that_somebody_changed_breaks_nothing(ledger: Ledger) -> None:
    closed_review(ledger, "old", range(3), [REACHABLE], ended=NOW - timedelta(days=3 * 366))
    run = closed_review(ledger, "new", range(4), [GONE, REACHABLE], ended=NOW - timedelta(days=1))
    assert len(_weeks(ledger)) == 1 and sum(one.items for one in ledger.views.open_now(ALL)) == 2
    odd = (
        '{"systems": [7, {"system": 5, "account": "a"}, {"system": "s", "account": "a", "items": "many",'
        ' "held": 1e99}], "findings": {"a": 1}, "kept_back": "x", "answer": "approve"}'
    )
    for summary in (odd, "[]", '{"systems": "x"}', "7"):
        with tampering(make_conninfo("", **ledger.database.target)) as connection:
            connection.execute("UPDATE rescind.run SET summary = %s WHERE number = %s", (summary, run.number))
        assert sum(one.items for one in ledger.views.buckets(ALL)) == 0
        newest = ledger.views.runs(ALL)[0]
        assert (newest.kept, newest.findings) == (0, None)


def test_the_page_before_the_first_run_with_a_dry_run_only_and_with_a_history(browser: Any, ledger: Ledger) -> None:
    empty = browser.get("runs").text
    assert "Start with a dry run" in Markup.of(empty).text and "dags/access_review" in empty
    assert '<dl class="tiles"' not in empty and "<svg" not in empty
    closed_review(ledger, "dry", range(4), [GONE], dry_run=True)
    dry = Markup.of(browser.get("runs").text).text
    assert "nothing has been revoked yet" in dry and "The trend begins with the first run" in dry
    assert "no leaver in 90 days" in dry and "not watched yet" in dry
    for days in (100, 20):
        ended = NOW - timedelta(days=days)
        closed_review(
            ledger, f"r{days}", range(6), [GONE, GONE, REACHABLE], ended=ended, left_at=ended - timedelta(hours=28)
        )
    html = browser.get("runs").text
    text = Markup.of(html).text
    assert html.count('<svg class="chart"') == 2 and "style=" not in html and "<script>" not in html
    for words in ("1 d 4 h", "median of 4 people in 90 days", "2 not proven gone", "of 6 that were to go, 67 %"):
        assert words in text, words
    assert "Quick BI menus" in text.partition("Open findings by department")[2]
    assert "person?id=P0000" in html


def test_the_runs_are_listed_where_the_figures_over_many_runs_take_too_long(
    browser: Any, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed_review(ledger, "one", range(2), [GONE, REACHABLE])
    with tampering(make_conninfo("", **ledger.database.target)) as connection, connection.transaction():
        connection.execute("LOCK TABLE rescind.decision IN ACCESS EXCLUSIVE MODE")
        monkeypatch.setattr(queries, "_STATEMENT_MS", 300)
        answer = browser.get("runs")
    text = Markup.of(answer.text).text
    assert answer.status_code == 200 and "closed, access remains" in text and "could not be read in time" in text
    assert "Open findings" not in text, "nothing is said of what was not read"


def test_what_waits_for_the_reader_comes_first(browser: Any, browser_of: Any, ledger: Ledger) -> None:
    run = ledger_runs.begin(ledger, "asks")
    grants = [ledger_runs.grant(number) for number in range(3)]
    ledger_runs.list_scope(ledger, run, grants)
    ledger_runs.decide(ledger, run, grants, [])
    shown = tuple(QuestionItem(one.grant_id, f"line {n}") for n, one in enumerate(grants[:2]))
    other = (QuestionItem(grants[2].grant_id, "line 2"),)
    new = [NewQuestion("vera", "keep", shown), NewQuestion("olga", "revoke", other, delegates={"vera": "Vera"})]
    (mine, taken) = ledger.questions.ask(run.run_id, new)
    late_run(ledger)
    html = browser.get("runs").text
    text = Markup.of(html).text
    assert "Waiting for you (1)" in text and "2 grants on resources that you own" in text and "all of them stay" in text
    assert "runs/asks/required_actions?response_received=false" in html
    assert "Waiting for an answer of others (1)" in text
    assert len(ledger.views.questions(ALL, ["olga"])) == 1 and ledger.views.questions({"other"}, ["vera"]) == []
    due = ledger.questions.put(run.run_id, taken.digest, within=timedelta(hours=72)).due_at
    assert due is not None
    ledger.questions.hand_over(run.run_id, taken.digest, by="olga", to="vera", comment=HOSTILE[0], at=NOW)
    assert ledger.views.questions(ALL, ["olga"]) == []
    text = Markup.of(browser.get("runs").text).text
    until = f"until {due:%Y-%m-%d %H:%M} UTC"
    for words in ("Waiting for you (2)", "handed over to you by olga", "all of them go", until, "By person ("):
        assert words in text, words
    page = browser.get(f"runs/{run.number}/owners").text
    shown_text = Markup.of(page).text
    for words in ("2 questions, 2 open", "handed over by olga", "Vera", "all go, if approved", "not asked yet"):
        assert words in shown_text, words
    assert HOSTILE[0] not in page and "runs/asks/required_actions" in page
    assert f'href="../runs/{run.number}/owners"' in browser.get(f"runs/{run.number}").text
    lines = {one.reviewer: one for one in ledger.views.questions_of(run.number, ALL)}
    assert [sum(count for _, _, count in lines[name].people) for name in ("vera", "olga")] == [2, 1]
    assert all(person for one in lines.values() for _, person, _ in one.people)
    ledger.questions.answer(
        run.run_id, taken.digest, revoke=[], responded_by="vera", responded_at=datetime.now(UTC), comment="needed"
    )
    ledger.questions.close(run.run_id, mine.digest, at=NOW)
    assert "Waiting for you" not in Markup.of(browser.get("runs").text).text
    settled = Markup.of(browser.get(f"runs/{run.number}/owners").text).text
    for words in ("0 open", "answered by vera", "0 to revoke, 1 to keep", "needed", "no answer in time"):
        assert words in settled, words
    assert ledger.views.questions_of(run.number, {"other"}) == []
    assert "asks no owners" in browser.get("runs/2/owners").text


def test_the_list_is_exported_with_refused_runs(browser: Any, ledger: Ledger) -> None:
    ledger.refusals.note(NewRefusal("offboard", "asset__1", "", HOSTILE[0], False, "InputError: =cmd|x", "triggered"))
    closed_review(ledger, "one", range(3), [GONE, REACHABLE])
    answer = browser.get("runs.csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    refused, run = csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert (refused["state"], refused["dry run"], refused["requested by"]) == ("not started", "no", "no person")
    assert refused["dag"] == "offboard" and refused["why not started"] in ("'=cmd|x", "\t=cmd|x")
    assert (run["state"], run["items"], run["remains"]) == (
        "closed, access remains (1)", "3", "1 still reachable in another way",
    )  # fmt: skip


def test_items_are_compared_with_the_run_before_and_sorted(browser: Any, ledger: Ledger) -> None:
    closed_review(ledger, "first", range(4), [GONE], systems=TWO, ended=NOW - timedelta(days=9))
    closed_review(ledger, "of other systems", range(4), [GONE], ended=NOW - timedelta(days=8))
    closed_review(ledger, "people", range(4), [GONE], systems=TWO, kind="targets", dag_id="revoke_access")
    last = closed_review(ledger, "last", range(6), [GONE], systems=TWO, rules=("leaver", "leaver", "expired"))
    line = ledger.views.since(last.number, ALL)
    assert line is not None and (line.number, line.new, line.changed, line.unchanged) == (1, 4, 2, 6)
    about = [
        ledger.runs.begin(NewRun("revoke_access", name, "manual", "rita", params={"kind": "targets"})) for name in "ab"
    ]
    for number, run in enumerate(about):
        ledger_runs.list_scope(ledger, run, [ledger_runs.grant(number)], part=NAMED_PEOPLE)
        ledger.scopes.seal(run.run_id)
    assert ledger.views.since(about[1].number, ALL) is None, "the run before listed other people"
    assert ledger.views.since(last.number, {"revoke_access"}) is None and ledger.views.since(1, ALL) is None

    def shown(**wanted: str) -> list[str]:
        page = ledger.views.items(last.number, ALL, ItemFilter(**wanted))
        assert page.total == len(page.rows)
        return [f"{one.system} {one.resource_name} {one.person}" for one in page.rows]

    parts = [shown(since=value) for value in ("new", "changed", "unchanged")]
    assert [len(one) for one in parts] == [4, 2, 6] and sorted(one for part in parts for one in part) == sorted(shown())
    assert all(one.endswith(("P00004", "P00005")) for one in parts[0])
    assert {one.rpartition(" ")[2] for one in parts[1]} == {"P00002"}
    assert shown(since="changed", system="dms_permissions", text="menu") == ["dms_permissions Menu 1002 P00002"]
    assert shown(sort="resource") != shown() and sorted(shown(sort="resource")) == sorted(shown(sort="right"))
    text = Markup.of(browser.get(f"runs/{last.number}").text).text
    assert "Compared with run 1: 4 new, 2 changed, 6 unchanged and decided before." in text
    html = browser.get(f"runs/{last.number}/items?since=new&sort=resource&q=menu").text
    assert "4 items" in Markup.of(html).text and "items.csv?q=menu&amp;since=new&amp;sort=resource" in html
    lines = browser.get(f"runs/{last.number}/items.csv?since=new&sort=resource&q=menu").text.splitlines()
    assert len(lines) == 5
    for value in ("new", "changed", "unchanged"):
        nothing = ledger.views.items(1, ALL, ItemFilter(since=value))
        assert (nothing.total, nothing.rows) == (0, []), "nothing is known of a run without one to compare with"
    assert "No item matches" in Markup.of(browser.get("runs/1/items?system=wedata_privileges&since=new").text).text


def _bucket(kind: str, begins: datetime, opened: int, **more: int) -> BucketLine:
    counts = {"items": 10, "proven": 10 - opened, "effective": opened, "kept": 5, **more}
    return BucketLine(kind, begins, "s", "a", open=opened, **counts)


def test_quarters_and_weeks_without_a_run_keep_the_state_of_the_one_before() -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)
    found = [
        _bucket("quarter", datetime(2026, 1, 1, tzinfo=UTC), 4),
        _bucket("quarter", datetime(2026, 10, 1, tzinfo=UTC), 1),
    ]
    assert [(one.name, one.revoked, one.effective, one.kept) for one in quarters(found, now)] == [
        ("2026 Q1", 6, 4, 5),
        ("2026 Q2", 0, 4, 5),
        ("2026 Q3", 0, 4, 5),
        ("2026 Q4", 9, 1, 5),
    ]
    begins = datetime(2026, 10, 26, tzinfo=UTC)
    line = weeks([_bucket("week", begins, 7), _bucket("week", begins + timedelta(days=14), 3)], now, 2)
    assert [one.open for one in line] == [7, 7, 3, 2]
    assert quarters([], now) == [] == weeks([], now, 0)


def test_the_heat_map_folds_small_departments_and_adds_up() -> None:
    cells = [OpenCell(f"d{n:02d}", ("s1", "s2")[n % 2], n + 1, 1) for n in range(20)] + [OpenCell("", "s1", 5, 1)]
    made = heat(cells)
    assert made.systems == ["s1", "s2"] and made.total == sum(one.items for one in cells) == sum(made.totals)
    assert sum(row.total for row in made.rows) == made.total
    assert (made.rows[0].department, made.rows[0].key) == ("d19", "d19")
    assert made.rows[0].cells[:2] == [HeatCell(0, 0), HeatCell(20, 4, made.rows[0].cells[1].run)]
    assert made.rows[-1].department == "9 others" and made.rows[-1].cells[0].level == 4
    assert made.rows[-1].key == "" and {cell.run for cell in made.rows[-1].cells} == {0}, "several have no filter"
    assert heat([]).total == 0
    assert [short(value) for value in (0, 981, 2310, 14_400, 1_200_000)] == ["0", "981", "2.3k", "14k", "1.2M"]
