"""The page of one person: accounts, access paths with what becomes of each, what would close them, history."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest

from rescind import cli
from rescind.ledger import VerdictRecord
from rescind.model import Verdict
from rescind.workflow.closing.person_access import person_access
from tests.integration.closing.test_close_paths import ALL, GROUPS, on, only_through_a_group, proposal
from tests.integration.pages.test_page import page
from tests.support.markup import Markup
from tests.support.reviews.review import Review, ReviewBench
from tests.support.reviews.verdicts import DMS, mutate, records_of, somebody

Bench = Callable[..., ReviewBench]


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """A bench whose reviews cover menus, group members and workspace members."""
    where = {name: ["quickbi_default"] for name in ALL}
    return lambda **settings: bench("--preset", "tiny", "--size", "groups=6", **{"connections": where, **settings})


def person_of(setup: ReviewBench, user: str) -> dict[str, Any]:
    people = setup.emulator.get("org")["people"]
    found: dict[str, Any] = next(one for one in people if one["quickbi_user_id"] == user)
    return found


def shown(setup: ReviewBench, ident: str, run: int = 1) -> str:
    answer = page(setup, f"/runs/{run}/person?{urlencode({'id': ident})}")
    assert answer.status_code == 200
    return answer.text


def name_of(review: Review) -> str:
    with review.ledger() as ledger:
        run = ledger.runs.find(review.dag_id, review.run_id)
        assert run is not None
        return str(run.run_id)


def test_a_person_s_page_shows_accounts_paths_the_way_to_close_them_and_history(bench: Bench) -> None:
    setup = bench()
    user, group, menu = only_through_a_group(setup)
    one = person_of(setup, user)
    review = on(setup, user, menu)
    review.through_plan()
    html = shown(setup, one["person_id"])
    text = re.sub(r"\s+", " ", Markup.of(html).text)
    assert one["name"] in text and f"roster: {one['status']}" in text and user in text
    assert Markup.of(html).acting == []
    (removal,) = [row for note in proposal(review) for row in note["removals"]]
    assert removal["what"] in text and "What would close the remaining paths" in text
    assert f"member on user_group {group}" in Markup.of(page(setup, "/runs/1").text).text, "also on the run's page"

    with review.ledger() as ledger:
        known = person_access(ledger, name_of(review), one["person_id"])
    own = [line for part in known.parts for line in part.lines if line.fate == "goes"]
    assert [line.words for line in own] == ["will go"] and "direct grant" in own[0].path
    assert known.stays == sum(len(part.lines) for part in known.parts) - 1
    drawing = ElementTree.fromstring(known.parts[0].drawing)
    kinds = [line.attrib["class"] for line in drawing.iter("{http://www.w3.org/2000/svg}path")]
    assert kinds.count("goes") == 2, "a line and its cross"

    review.approve()
    review.revoke()
    review.verify()
    review.report()
    text = re.sub(r"\s+", " ", Markup.of(shown(setup, one["person_id"])).text)
    assert "record gone: a direct grant" in text and "approved by" in text and "first call sent" in text
    with review.ledger() as ledger:
        after = person_access(ledger, name_of(review), one["person_id"])
    assert after.stays == known.stays, "the path through the group stays"


def test_a_membership_that_ends_closes_what_it_leads_to_and_nothing_else(bench: Bench) -> None:
    setup = bench()
    user, group, menu = only_through_a_group(setup)
    review = on(setup, user, menu, close_paths="own")
    review.through_plan()
    with review.ledger() as ledger:
        known = person_access(ledger, name_of(review), person_of(setup, user)["person_id"])
        snapshot = [one for one in ledger.snapshot.grants(name_of(review)) if one.key.principal_id == group]
    going = {line.path for part in known.parts for line in part.lines if line.fate == "goes"}
    through = [one for one in snapshot if one.key.principal_type == "group"]
    assert len(going) == 1 + len(through), "the direct grant, and all that the group holds"
    assert sum(path.startswith("group ") for path in going) == len(through)
    drawing = ElementTree.fromstring(known.parts[0].drawing)
    kinds = [line.attrib["class"] for line in drawing.iter("{http://www.w3.org/2000/svg}path")]
    assert kinds.count("ends") == len(through) and kinds.count("goes") == 4, "two lines, each with its cross"


def test_an_account_that_the_roster_does_not_know_has_a_page_too(bench: Bench) -> None:
    setup = bench()
    user, _, menu = only_through_a_group(setup)
    review = on(setup, user, menu)
    review.through_plan()
    with review.ledger() as ledger:
        account = ledger.scopes.all(name_of(review))[0].account
    html = shown(setup, f"{GROUPS}/{account}/user/{user}")
    assert "does not know this account" in html and "<svg" in html
    for ident in ("P-nobody", f"{GROUPS}/{account}/user/nobody", "a/b/c/d", "x" * 500):
        assert page(setup, f"/runs/1/person?{urlencode({'id': ident})}").status_code == 404
    assert page(setup, "/runs/1/person").text == page(setup, "/runs/1/people").text
    assert page(setup, "/runs/2/person?id=P1").status_code == 404


def test_rows_that_the_database_selects_are_those_that_are_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = bench()
    user, _, menu = only_through_a_group(setup)
    review = on(setup, user, menu)
    review.through_plan()
    ident = person_of(setup, user)["person_id"]
    with review.ledger() as ledger:
        selected = person_access(ledger, name_of(review), ident)
        monkeypatch.setattr("rescind.workflow.closing.surroundings.FEW", 0)
        assert selected.parts and person_access(ledger, name_of(review), ident) == selected


def seen(setup: ReviewBench, ident: str, run: int = 1) -> str:
    """The text of the page, in one line."""
    return re.sub(r"\s+", " ", Markup.of(shown(setup, ident, run)).text)


def holder(bench: Bench) -> tuple[ReviewBench, dict[str, Any]]:
    """A bench that reviews DMS permissions alone, and a person with two records there, who owns nothing."""
    setup = bench(connections={DMS: ["dms_default"]})
    first, people = somebody(setup), setup.emulator.get("org")["people"]
    one = next(p for p in people[people.index(first) + 1 :] if p["status"] == "active" and not p["protected"])
    records_of(setup, one, 2)
    return setup, one


def leaver(setup: ReviewBench, one: dict[str, Any], name: str = "manual__1", **more: Any) -> Review:
    asked = {"systems": [DMS], "principals": [one["person_id"]], "reason": "a leaver", "dry_run": False}
    review = setup.run(name, kind="targets", **{**asked, **more})
    review.through_plan()
    return review


def stays(review: Review, ident: str) -> Counter[str]:
    """The words of the paths that stay."""
    with review.ledger() as ledger:
        known = person_access(ledger, name_of(review), ident)
    return Counter(line.words for part in known.parts for line in part.lines if line.fate == "stays")


@pytest.mark.parametrize("way", ["rejected", "dry", "lapsed", "abandoned", "unsent"])
def test_nothing_goes_in_a_run_that_cannot_send_any_more(bench: Bench, way: str) -> None:
    setup, one = holder(bench)
    review = leaver(setup, one, dry_run=way == "dry")
    if way == "rejected":
        with pytest.raises(Exception, match=r"(?i)reject"):
            review.approve(answer="reject")
    elif way == "lapsed":
        with review.ledger() as ledger:
            digest = ledger.plans.get(name_of(review)).digest
            until = datetime.now(UTC) + timedelta(milliseconds=1)
            ledger.approvals.request(name_of(review), digest, requested_by="rita", valid_until=until)
    elif way == "abandoned":
        with review.ledger() as ledger:
            ledger.runs.finish(name_of(review), "abandoned", {})
    elif way == "unsent":
        review.approve()
        assert not stays(review, one["person_id"]), "it may still be sent"
        review.close()
    assert stays(review, one["person_id"]) == {"not sent": 2}
    text = seen(setup, one["person_id"])
    assert "2 paths stay." in text and "will go" not in text and "No path stays" not in text


def test_no_path_stays_only_when_all_of_it_is_proven_gone(bench: Bench) -> None:
    setup, one = holder(bench)
    review = leaver(setup, one)
    assert "Not everything is proven gone." in seen(setup, one["person_id"])
    review.approve()
    review.revoke()
    assert "Not everything is proven gone." in seen(setup, one["person_id"]), "sent, and not checked yet"
    review.verify()
    assert "No path stays." not in seen(setup, one["person_id"]), "one of the two is still reachable in another way"
    with review.ledger() as ledger:
        ids = [item.grant_id for item in ledger.plans.items(name_of(review))]
        at = datetime.now(UTC)
        again = [VerdictRecord(ident, Verdict.VERIFIED_GONE, "listed again", at) for ident in ids]
        ledger.verdicts.record(name_of(review), again)
    text = seen(setup, one["person_id"])
    assert "No path stays." in text and "Access may remain" not in text


def test_a_run_that_ends_without_a_check_says_that_nothing_was_checked(bench: Bench) -> None:
    setup, one = holder(bench)
    review = leaver(setup, one)
    review.approve()
    review.revoke()
    review.close()
    assert stays(review, one["person_id"]) == {"not checked": 2}


def test_what_the_check_found_instead_stays(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    setup, one = holder(bench)
    review = leaver(setup, one)
    review.approve()
    review.revoke()
    review.verify()
    with review.ledger() as ledger:
        first, second = (item.grant_id for item in ledger.plans.items(name_of(review)))
        at = datetime.now(UTC)
        found = VerdictRecord(first, Verdict.STILL_EFFECTIVE, "listed again", at, path="group 7: QUERY on db 9")
        doubt = VerdictRecord(second, Verdict.RECORD_GONE, "listed again", at, path="roles were not asked")
        ledger.verdicts.record(name_of(review), [found, doubt])
    assert stays(review, one["person_id"]) == {"still reachable": 1, "record gone, access not proven gone": 1}
    text = seen(setup, one["person_id"])
    assert "2 paths stay." in text and "No path stays" not in text
    assert "group 7: QUERY on db 9" in text and "roles were not asked" in text
    monkeypatch.setenv("RESCIND_LEDGER_DSN", setup.ledger_dsn)
    assert cli.main(["explain", name_of(review), "--principal", one["person_id"]]) == 0
    out = capsys.readouterr().out
    assert "[still reachable] " in out and "[record gone, access not proven gone] " in out


def test_a_listing_of_named_people_says_nothing_about_others(bench: Bench) -> None:
    setup, one = holder(bench)
    setup.list_people_from_now()
    leaver(setup, one)
    held = Counter(row["user_id"] for row in setup.emulator.get("truth")[DMS])
    by_user = {p["dms_user_id"]: p for p in setup.emulator.get("org")["people"] if p["person_id"] != one["person_id"]}
    other = next(by_user[user] for user, _ in held.most_common() if user in by_user)["person_id"]
    only = "listed only for the people of this run"
    assert "<svg" in shown(setup, other, 1) and only not in seen(setup, other, 1), "everybody was listed in run 1"
    text = seen(setup, other, 2)
    assert "<svg" not in shown(setup, other, 2) and only in text and "snapshot of this run shows no path" not in text
    mine = seen(setup, one["person_id"], 2)
    assert only not in mine and "named people only" in mine, "the history marks the run"
    assert seen(setup, other, 1).count("named people only") == 1, "the other run listed everybody"


def test_systems_that_were_not_listed_and_shared_ids_are_named(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    setup = bench(connections={DMS: ["dms_default"], GROUPS: ["quickbi_default"]})
    one = somebody(setup)
    records_of(setup, one, 2)
    roster = Path(setup.settings["roster"])
    head, *rows = roster.read_text(encoding="utf-8").splitlines()
    names = head.split(",")
    (mine,) = [row.split(",") for row in rows if row.split(",")[names.index("person_id")] == one["person_id"]]
    twin = dict.fromkeys(names, "") | dict(zip(names, mine, strict=True))
    shared = {"person_id", "name", "status", "dms_user_id"}
    twin = {name: value if name in shared else "" for name, value in twin.items()}
    twin |= {"person_id": "P-before", "status": "left"}
    roster.write_text("\n".join([head, *rows, ",".join(twin.values()), ""]), encoding="utf-8")
    review = leaver(setup, one)
    text = seen(setup, one["person_id"])
    assert "Access may remain that is not shown here:" in text and "No path stays" not in text
    assert f"dms_user_id {one['dms_user_id']}: more than one row of the roster has this id" in text
    assert "not listed in this run" in text
    monkeypatch.setenv("RESCIND_LEDGER_DSN", setup.ledger_dsn)
    assert cli.main(["explain", name_of(review), "--principal", str(one["dms_user_id"])]) == 0
    assert "access may remain that is not shown here: " in capsys.readouterr().out


def test_a_system_that_was_not_listed_completely_is_named(bench: Bench) -> None:
    setup, one = holder(bench)
    whole = setup.run("manual__0")
    whole.preflight()
    whole.discover()
    rows = setup.emulator.get("truth")[DMS]
    mutate(setup, *({**row, "op": "revoke", "system": DMS} for row in rows[: len(rows) // 2]))
    review = setup.run()
    review.preflight()
    with pytest.raises(Exception, match="grants found"):
        review.discover()
    text = seen(setup, one["person_id"], 2)
    assert "not listed completely" in text and "No path stays" not in text
    assert "The completely listed systems show no path for this person." in text
