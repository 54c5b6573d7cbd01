"""Where a run's inputs come from, and that it uses one version of them from start to end; with real runs."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from tests.support.reviews.review import Review, ReviewBench

pytestmark = pytest.mark.seconds(180)
Bench = Callable[..., ReviewBench]
ID_COLUMNS = ("wedata_user_id", "alibaba_uid", "dms_user_id", "quickbi_user_id")
EXTENSION = "urn:example:params:scim:schemas:extension:rescind:2.0:User"


def people(setup: ReviewBench) -> list[dict[str, str]]:
    """The bench's roster as JSON objects."""
    return list(csv.DictReader(io.StringIO(setup.emulator.text("roster.csv"))))


def as_scim(person: dict[str, str]) -> dict[str, Any]:
    extension = {name: person[name] for name in (*ID_COLUMNS, "terminated_at", "kind")}
    active = {"active": True, "left": False}.get(person["status"])
    return {"id": f"u-{person['person_id']}", "externalId": person["person_id"], "active": active, EXTENSION: extension}


class Service:
    """A roster service on loopback; ``answer`` makes one answer: (status, headers, body) for a path with its query."""

    def __init__(self, answer: Callable[[str, dict[str, list[str]]], tuple[int, dict[str, str], bytes]]) -> None:
        self.asked: list[tuple[str, str]] = []
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                service.asked.append((self.path, self.headers.get("Authorization", "")))
                status, headers, body = answer(parts.path, parse_qs(parts.query))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]


@contextmanager
def serving(setup: ReviewBench, answer: Any, **roster: Any) -> Iterator[Service]:
    """The service, running, with the bench's settings pointed to it."""
    service = Service(answer)
    thread = threading.Thread(target=service.server.serve_forever, daemon=True)
    thread.start()
    uri = {"conn_type": "http", "host": "127.0.0.1", "port": service.port, "login": "reader", "password": "s3cret"}
    setup.monkeypatch.setenv("AIRFLOW_CONN_HR", json.dumps(uri))
    setup.configure(roster={"conn_id": "hr", "endpoint": "/Users", "format": "scim", **roster})
    try:
        yield service
    finally:
        service.server.shutdown()
        service.server.server_close()
        thread.join()


def scim_pages(users: list[dict[str, Any]], **change: Any) -> Any:
    """Answers of a SCIM service.

    ``change`` edits the page that starts at the second user range; ``most`` is a total that it reports wrongly.
    """

    def answer(path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, str], bytes]:
        start, count = int(query["startIndex"][0]), int(query["count"][0])
        body = {
            "totalResults": change.get("most", len(users)),
            "startIndex": start,
            "Resources": users[start - 1 : start - 1 + count],
        }
        if start > 1:
            body |= change.get("second", {})
        return 200, {"Content-Type": "application/scim+json"}, json.dumps(body).encode()

    return answer


def revoked(review: Review) -> set[str]:
    """Ids of the grants that the run decided to take away."""
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        return {grant.grant_id for grant, _ in ledger.decisions.each(run.run_id, choice="revoke")}


def planned(setup: ReviewBench, run_id: str) -> set[str]:
    review = setup.run(run_id)
    review.through_plan()
    return revoked(review)


def begins(setup: ReviewBench) -> list[str]:
    """Run ids that the ledger knows."""
    with setup.run().ledger() as ledger:
        return [run.run_id for run in ledger.runs.latest()]


def test_every_source_of_the_same_roster_gives_the_same_decisions(bench: Bench) -> None:
    setup = bench()
    rows = people(setup)
    expected = planned(setup, "file")
    assert expected
    setup.configure(roster=f"file://{setup.folder}/roster.csv")
    assert planned(setup, "object storage") == expected
    users = [as_scim(person) for person in rows]
    with serving(setup, scim_pages(users), page_size=7) as service:
        assert planned(setup, "scim") == expected
    assert len(service.asked) == -(-len(users) // 7) + 1 and len(users) > 7  # and one page beyond the end
    assert {header for _, header in service.asked} == {"Basic cmVhZGVyOnMzY3JldA=="}

    def linked(path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, str], bytes]:
        at = int(query.get("after", ["0"])[0])
        body: dict[str, Any] = {"people": rows[at : at + 9], "count": len(rows), "exported": "2026-01-01T00:00:00Z"}
        if at + 9 < len(rows):
            body["more"] = f"/Users?after={at + 9}"
        return 200, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(body).encode()

    fields = {"format": "json", "items": "people", "total": "count", "next": "more"}
    with serving(setup, linked, **fields):
        assert planned(setup, "linked pages") == expected
    with (
        serving(setup, linked, **fields, as_of="exported"),
        pytest.raises(Exception, match=r"GuardTrippedError.*max_age"),
    ):
        planned(setup, "stale")


def _body(content: bytes, kind: str = "application/scim+json", **headers: str) -> Any:
    return lambda path, query: (200, {"Content-Type": kind, **headers}, content)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda users: scim_pages(users, second={"totalResults": 3}), "totalResults.*changed while it was read"),
        (lambda users: scim_pages(users, second={"Resources": []}), "empty page after 7 of"),
        (lambda users: scim_pages(users, second={"startIndex": 1}), "startIndex.*not 8"),
        (lambda users: scim_pages(users, second={"Resources": users[:10]}), "startIndex|people where"),
        (lambda users: scim_pages(users, second={"Resources": users}), "people where the service declares"),
        (lambda users: scim_pages(users, most=7), "page of 14|people where the service declares 7"),
        (lambda users: scim_pages(users, second={"Resources": None}), "Resources: not a list but nothing"),
        (lambda users: _body(b'{"totalResults": 2, "Resources": [{'), "page 1, line 1, column .*not valid JSON"),
        (lambda users: _body(b"{}", **{"Content-Length": "500"}), "does not answer completely"),
        (lambda users: _body(b"<html>Log in</html>", "text/html"), "content type 'text/html'.*login page"),
        (lambda users: _body(json.dumps({"Resources": users}).encode()), "totalResults: not the number of all"),
        (lambda users: _body(json.dumps({"totalResults": 0, "Resources": []}).encode()), "no people|empty"),
        (lambda users: _body(json.dumps(users).encode("utf-16")), "UTF-16"),
        (lambda users: lambda path, query: (500, {"Content-Type": "application/json"}, b"s3cret"), "HTTP 500"),
        (lambda users: lambda path, query: (302, {"Location": "http://127.0.0.1:1/"}, b""), "HTTP 302"),
        (
            lambda users: _body(json.dumps({"totalResults": 1, "Resources": users[:1]}).encode(), Date="yesterday-ish"),
            "min_people|Date|startIndex|people where",
        ),
    ],
    ids=[
        "total changes", "empty page", "start ignored", "page repeated", "too many", "size as total", "no list",
        "cut JSON", "cut body", "login page", "no total", "nobody", "UTF-16", "error", "redirect", "one of one",
    ],
)  # fmt: skip
def test_a_service_that_does_not_hand_out_one_whole_roster_decides_nothing(
    bench: Bench, answer: Any, message: str
) -> None:
    setup = bench()
    users = [as_scim(person) for person in people(setup)]
    with serving(setup, answer(users), page_size=7), pytest.raises(Exception, match=message) as caught:
        setup.run(dry_run=False).preflight()
    assert "s3cret" not in str(caught.value)
    assert begins(setup) == []


@pytest.mark.parametrize(
    ("page", "headers", "message"),
    [
        ({"items": [{}], "total": 2, "next": "http://127.0.0.1:1/Users"}, {}, "another host"),
        ({"items": [{}], "total": 3, "next": "/Users"}, {}, "earlier one|people where"),
        ({"items": [{}], "total": 2}, {}, "1 of 2 people and no further page"),
        ({"items": [{}], "total": 1, "next": "/Users?p=2"}, {}, "1 of 1 people and a further page"),
        ({"items": [{}], "total": 2, "next": 2}, {}, "next: not a link but a whole number"),
        ([{}], {"Link": '</Users?p=2>; rel="next"'}, "list without a total that has further pages"),
    ],
)
def test_links_between_pages_are_checked(bench: Bench, page: Any, headers: dict[str, str], message: str) -> None:
    setup = bench()
    answer = _body(json.dumps(page).encode(), "application/json", **headers)
    with serving(setup, answer, format="json"), pytest.raises(Exception, match=message):
        setup.run(dry_run=False).preflight()
    assert begins(setup) == []


def test_a_service_that_is_not_there_is_named_without_its_key(bench: Bench) -> None:
    setup = bench()
    with serving(setup, _body(b"")):
        pass
    with pytest.raises(Exception, match="roster endpoint /Users of hr does not answer") as caught:
        setup.run().preflight()
    assert "s3cret" not in str(caught.value)
    setup.monkeypatch.delenv("AIRFLOW_CONN_HR")
    with pytest.raises(Exception, match="roster endpoint /Users of hr does not answer"):
        setup.run().preflight()


@pytest.mark.parametrize("how", ["beside", "setting", "both"])
@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_checksum_must_fit_wherever_it_stands(bench: Bench, scheme: str, how: str) -> None:
    setup = bench()
    path = Path(setup.settings["roster"])
    setup.configure(roster=f"{scheme}{path}")
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    wrong = right[:-1] + ("0" if right[-1] != "0" else "1")
    beside = path.with_name("roster.csv.sha256")
    if how != "setting":
        beside.write_text(f"{right if how == 'both' else wrong}  roster.csv\n")
    if how != "beside":
        setup.configure(roster_sha256=wrong)
    with pytest.raises(Exception, match=r"the checksum in .* does not match the file"):
        setup.run().preflight()
    assert begins(setup) == []
    setup.configure(roster_sha256=right)
    beside.write_text("not a checksum\n")
    with pytest.raises(Exception, match="no SHA-256"):
        setup.run().preflight()
    beside.write_text(right.upper() + "\n")
    setup.run().preflight()


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("roster.xlsx", "kind .xlsx"),
        ("nowhere/roster.csv", "roster file cannot be read"),
        ("file:///nowhere/roster.csv", "roster file cannot be read"),
        ("nosuchscheme://bucket/roster.csv", "object storage that is not known|cannot be read"),
    ],
)
def test_a_roster_that_cannot_be_read_decides_nothing(bench: Bench, location: str, message: str) -> None:
    setup = bench()
    setup.configure(roster=location)
    with pytest.raises(Exception, match=message):
        setup.run().preflight()
    assert begins(setup) == []


def test_an_old_file_decides_nothing(bench: Bench) -> None:
    setup = bench()
    os.utime(setup.settings["roster"], (1_700_000_000, 1_700_000_000))
    for roster in (setup.settings["roster"], f"file://{setup.folder}/roster.csv"):
        setup.configure(roster=roster)
        with pytest.raises(Exception, match=r"GuardTrippedError.*roster.max_age"):
            setup.run().preflight()


def test_a_run_keeps_the_roster_and_policy_that_it_began_with(bench: Bench) -> None:
    setup = bench()
    expected = planned(setup, "first")
    review = setup.run("second")
    review.preflight()
    Path(setup.settings["roster"]).unlink()
    setup.configure(policy="nowhere.yaml", roster_is_complete=True)
    review.preflight()  # cleared: it is the same run
    review.discover()
    review.plan()
    assert revoked(review) == expected
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", "second")
        stored = ledger.inputs.of(run.run_id)
        assert set(stored) == {"roster", "policy", "exceptions", "protections", "occasion", "settings"}
        assert stored["roster"].content == setup.emulator.text("roster.csv").encode()
        with pytest.raises(Exception, match="permission denied"), ledger.database.transaction() as connection:
            connection.execute("UPDATE rescind.input SET source = 'x'")


def test_what_is_protected_or_waived_after_the_plan_stays(bench: Bench) -> None:
    setup = bench()
    exceptions = setup.folder / "exceptions.yaml"
    exceptions.write_text("format: 1\nexceptions: []\n")
    setup.configure(exceptions=str(exceptions))
    review = setup.run(dry_run=False)
    review.through_plan()
    review.approve()
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        rows = list(ledger.decisions.each(run.run_id, choice="revoke"))
    people = sorted({decision.facts["person.id"] for _, decision in rows if "person.id" in decision.facts})
    waived = next(grant for grant, d in rows if d.facts.get("person.id") != people[0])
    protected = Path(setup.settings["protections"])
    content = yaml.safe_load(protected.read_text())
    content["principals"].append({"space": "person_id", "id": people[0], "reason": "needed in court"})
    roster = {row["person_id"]: row for row in globals()["people"](setup)}
    lacking = [name for name in ID_COLUMNS if not roster[people[0]][name]]
    content["principals"][-1] |= {"without": lacking} if lacking else {}
    protected.write_text(yaml.safe_dump(content))
    match = {
        "system": waived.key.system,
        "resource_id": waived.key.resource_id,
        "principal_id": waived.key.principal_id,
    }
    entry = {"id": "X1", "owner": "omar", "reason": "handover", "end": "2099-01-01", "match": match}
    exceptions.write_text(yaml.safe_dump({"format": 1, "exceptions": [entry]}))
    review.revoke()
    review.verify()
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", review.run_id)
        states = {item.grant_id: item.state for item in ledger.plans.items(run.run_id)}
    stay = {g.grant_id for g, d in rows if d.facts.get("person.id") == people[0]} | {waived.grant_id}
    assert stay and {states[ident] for ident in stay} == {"held"}
    assert "accepted" in states.values()


ABSENCE = """
format: 1
policy: absence
description: nobody answers for them
combine: first_match
otherwise: keep
rules:
  - {id: nobody, description: d, when: "person.kind == 'human' && person.owner == 'unlisted'", decide: revoke,
     reason: nobody, severity: low, acts_on_absence: true}
"""


def test_absences_in_the_roster_count_only_where_it_lists_everyone(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    setup = bench()
    path = Path(setup.settings["roster"])
    rows = people(setup)
    for row in rows:
        row["manager"] = "P9999"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    policy = setup.folder / "absence.yaml"
    policy.write_text(ABSENCE)
    setup.configure(policy=str(policy))
    assert planned(setup, "not everyone") == set()
    assert "depend on people missing from the roster" in capsys.readouterr().out
    setup.configure(roster_is_complete=True)
    assert len(planned(setup, "everyone")) > 10


def written(setup: ReviewBench, rows: list[dict[str, str]]) -> None:
    """Write the bench's roster file."""
    with Path(setup.settings["roster"]).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def test_a_roster_that_has_lost_people_since_the_last_review_decides_nothing(bench: Bench) -> None:
    setup = bench()
    rows = people(setup)
    setup.run("whole").preflight()
    written(setup, rows[: len(rows) * 7 // 10])
    with pytest.raises(Exception, match=r"GuardTrippedError.*roster.max_shrink_percent"):
        setup.run("short").preflight()
    written(setup, [{**row, "dms_user_id": ""} for row in rows])
    with pytest.raises(Exception, match=r"0 people with a dms_user_id, .* in run 1"):
        setup.run("without ids").preflight()
    setup.configure(roster_max_shrink_percent=100)
    setup.run("raised").preflight()


def test_a_bad_row_and_leavers_without_a_date_are_named_in_log_page_and_report(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    setup = bench()
    rows = people(setup)
    bad = next(row for row in rows if row["status"] == "active" and row["dms_user_id"])
    gone = [row for row in rows if row["status"] == "left"]
    bad["terminated_at"], gone[0]["terminated_at"] = "2026-02-30", ""
    written(setup, rows)
    review = setup.run("with a bad row")
    review.preflight()
    logged = capsys.readouterr().out
    assert f"line {rows.index(bad) + 2} cannot be read and is set aside" in logged
    assert gone[0]["person_id"] in logged
    with review.ledger() as ledger:
        run = ledger.runs.find("access_review", "with a bad row")
        assert run is not None
        number = run.number
        found = ledger.views.run(number, ["access_review"])
    assert found is not None
    facts = found[1]
    said = " ".join(facts.roster_remarks)
    assert f"line {rows.index(bad) + 2} cannot be read" in said and "no rule about the leaving date can act" in said
    assert not any(row["person_id"] in said for row in rows)


def test_preflight_says_how_long_a_leaving_date_lasts(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    setup = bench()
    setup.run("default").preflight()
    assert "a leaving date without a time lasts until 24:00 of that day, UTC" in capsys.readouterr().out
    setup.configure(roster_format={"zone": "Asia/Shanghai", "end_of_day": "18:00"})
    setup.run("earlier").preflight()
    assert "a leaving date without a time lasts until 18:00 of that day, Asia/Shanghai" in capsys.readouterr().out


def test_the_age_of_a_roster_may_come_from_a_column(bench: Bench) -> None:
    setup = bench()
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ")
    written(setup, [{**row, "exported": moment} for row in people(setup)])
    os.utime(setup.settings["roster"], (1_700_000_000, 1_700_000_000))
    setup.configure(roster_as_of="column:exported")
    setup.run("by column").preflight()
