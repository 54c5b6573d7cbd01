"""Leavers taken off by events on a running Airflow, from the REST interface to the clock.

To run it: ``pytest -m long tests/e2e/test_offboard.py -s`` (about six minutes; prints the clock of each run).
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.api import ENDED, Json
from local.demo.review import READING_SECONDS
from local.demo.truth import judge
from local.errors import ApiError
from local.stack import Stack
from rescind.ledger import OCCASION
from tests.support.servers.changed_stack import ChangedStack, changed_stack
from tests.support.servers.live import LiveStack

pytestmark = [
    pytest.mark.live,
    pytest.mark.long,
    pytest.mark.seconds(900),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),  # clients of the stack itself
]
DAG = "offboard"
SENDER = "hr"
QUICK_BI = {"quickbi_menus": ["quickbi_default"]}
LEAVERS = ("P00022", "P00033", "P00039")
"""Nobody else gives them a menu of Quick BI: no group, no workspace, no menu that is open to all. So it can be proven
that everything is gone."""


@dataclass
class Hr:
    """The HR system, and what is needed to follow its events."""

    live: LiveStack
    stack: ChangedStack
    settings: dict[str, Any]
    answered: set[tuple[str, int]] = field(default_factory=set)

    def configure(self, **changes: Any) -> None:
        """Store the deployment settings with these changes in Airflow."""
        settings = {**self.settings, "allow_irreversible": True, **changes}
        body = {"key": "rescind_settings", "value": json.dumps(settings)}
        try:
            self.live.api("ada").patch("/variables/rescind_settings", body)
        except ApiError as error:
            if error.status != 404:
                raise
            self.live.api("ada").post("/variables", body)

    def send(self, extra: dict[str, Any], user: str = SENDER) -> datetime:
        """Send an event as a user; when Airflow recorded it."""
        api = self.live.api(user)
        (asset,) = api.get("/assets", name_pattern="rescind_leavers")["assets"]
        return _time(api.post("/assets/events", {"asset_id": asset["id"], "extra": extra})["timestamp"])

    def runs(self) -> dict[str, Json]:
        """Every run of the DAG, by id."""
        rows = self.live.api("ada").get(f"/dags/{DAG}/dagRuns", limit=100)["dag_runs"]
        return {row["dag_run_id"]: row for row in rows}

    def follow(self, known: set[str], done: Callable[[dict[str, Json]], bool], approver: str = "omar") -> list[Json]:
        """Answer the questions of new runs until enough of them have ended; these runs, oldest first."""
        until = time.monotonic() + 600
        while True:
            new = {name: row for name, row in self.runs().items() if name not in known}
            if done(new):
                return sorted(new.values(), key=lambda row: row["dag_run_id"])
            assert time.monotonic() < until, {name: row["state"] for name, row in new.items()}
            for task in self.live.api("ada").questions(DAG):
                self.answer(task["task_instance"], approver)
            time.sleep(0.5)

    def answer(self, task: Json, approver: str) -> None:
        """Approve, once."""
        if (task["id"], task["try_number"]) not in self.answered:
            time.sleep(READING_SECONDS)
            api = self.live.api(approver)
            api.answer(task, [api.question(task)["options"][0]])
            self.answered.add((task["id"], task["try_number"]))

    def question(self, known: set[str]) -> Json:
        """Wait for the question of a new run; the task that waits."""
        until = time.monotonic() + 300
        while True:
            for one in self.live.api("ada").questions(DAG):
                if one["task_instance"]["dag_run_id"] not in known:
                    task: Json = one["task_instance"]
                    return task
            assert time.monotonic() < until, "nobody was asked"
            time.sleep(0.3)

    def why(self, row: Json) -> str:
        """The ends of the logs of what failed in a run."""
        api = self.live.api("ada")
        failed = [task for task in api.tasks(DAG, row["dag_run_id"]) if task["state"] == "failed"]
        return "\n\n".join(f"{task['task_id']}\n{api.log(task)[-2000:]}" for task in failed[:3])

    def took(self, row: Json) -> list[str]:
        """The people whom a run of the ledger is about; empty for a run that has not begun."""
        with self.stack.ledger() as ledger:
            run = ledger.runs.find(DAG, row["dag_run_id"])
            return list(run.params["principals"]) if run else []

    def held(self, *people: str) -> int:
        """How many menus of Quick BI these people hold by themselves."""
        ids = {p["quickbi_user_id"] for p in self.live.control.get("org")["people"] if p["person_id"] in people}
        return sum(row["receiver_id"] in ids for row in self.live.control.get("truth")["quickbi_menus"])


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def both_ended(count: int) -> Callable[[dict[str, Json]], bool]:
    """Whether this many runs are there, and all have ended."""
    return lambda new: len(new) >= count and all(row["state"] in ENDED for row in new.values())


@pytest.fixture(scope="module")
def hr() -> Iterator[Hr]:
    settings: dict[str, Any] = {}

    def change(stack: Stack, env: dict[str, str]) -> None:
        settings.update(json.loads(env.pop("AIRFLOW_VAR_RESCIND_SETTINGS")))
        del env["AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE"]  # the demonstration has it off, and assets would start nothing
        users = "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"  # who may send an event has the role "op" here
        env[users] = env[users].replace("omar:user", "omar:op") + f",{SENDER}:op"
        stack.secrets.passwords[SENDER] = "password-of-the-hr-system"

    with changed_stack(change) as (live, stack):
        live.api("ada").wait_for_dag(DAG, 120)
        live.api("ada").unpause(DAG)
        yield Hr(live, stack, settings)


def test_an_event_of_an_approver_is_answered_by_another_and_the_clock_runs_to_the_proof(hr: Hr) -> None:
    live, person, known = hr.live, LEAVERS[0], set(hr.runs())
    hr.configure(enforce_events=True, connections=QUICK_BI)
    with pytest.raises(ApiError) as refused:
        hr.send({"principals": [f"person_id:{person}"]}, user="rita")
    assert refused.value.status == 403 and set(hr.runs()) == known, "a user who may not send events starts nothing"
    before = live.control.get("truth?extra=1")
    assert hr.held(person) > 0
    at = hr.send({"principals": [f"person_id:{person}"], "reason": "last day today", "ticket": "HR-7"}, user="omar")
    task = hr.question(known)
    question = live.api("ada").question(task)
    assert [user["id"] for user in question["assigned_users"]] == ["ada"]
    assert "**Started by 1 event**" in question["body"] and "sent by omar" in question["body"]
    with pytest.raises(ApiError) as refused:
        live.api("omar").answer(task, [question["options"][0]])
    assert refused.value.status == 403
    hr.answer(task, "ada")
    (row,) = hr.follow(known, both_ended(1), "ada")
    assert row["state"] == "success" and row["run_type"] == "asset_triggered", hr.why(row)
    summary = live.summary(DAG, row["dag_run_id"])
    assert (summary["requested_by"], summary["approved_by"], summary["ticket"]) == ("omar", "ada", "HR-7")
    assert hr.held(person) == 0 and summary["problems"] == []
    for judged in judge(before, live.control.get("truth?extra=1"), Path(summary["items_file"])):
        assert judged.holds and judged.removed == judged.planned and not judged.added, judged
    told_everywhere(hr, row, summary)
    asked, approved, gone = (_time(step["at"]) for step in summary["clock"])
    print(
        f"\nclock: event to question {(asked - at).total_seconds():.1f} s, question to approval "
        f"{(approved - asked).total_seconds():.1f} s, approval to verified gone {(gone - approved).total_seconds():.1f}"
        f" s, event to verified gone {(gone - at).total_seconds():.1f} s"
    )
    assert at < asked < approved < gone


def told_everywhere(hr: Hr, row: Json, summary: dict[str, Any]) -> None:
    """The clock is the same in note, page and report, and has reached its end."""
    assert [step["step"] for step in summary["clock"]] == ["asked", "approved", "verified gone"]
    token = dict(hr.live.api("vera")._client.headers)["authorization"]
    address = f"{hr.live.config.base_url}/rescind/runs/{summary['number']}"
    page = httpx.get(address, headers={"authorization": token}, trust_env=False, timeout=60).text
    report = Path(summary["report"].removeprefix("file://")).read_text(encoding="utf-8")
    for step in summary["clock"]:
        assert " after the event" in step["words"] and step["at"], step
        for where, text in (("note", row["note"]), ("page", page), ("report", report)):
            assert step["words"] in text, (where, step)


def test_without_the_setting_an_event_is_a_dry_run_and_cannot_choose_another(hr: Hr) -> None:
    known, held = set(hr.runs()), hr.held(*LEAVERS)
    hr.configure(connections=QUICK_BI)
    wanted = {"principals": ["person_id:P00005"], "reason": "last day today"}
    hr.send({**wanted, "dry_run": False})
    (row,) = hr.follow(known, both_ended(1))
    assert row["state"] == "failed" and hr.took(row) == [] and "it has 1 unknown keys" in hr.why(row)
    known = set(hr.runs())
    hr.send(wanted)
    (row,) = hr.follow(known, both_ended(1))
    assert hr.took(row) == ["person_id:P00005"] and "left out: event of " in hr.why(row)
    summary = hr.live.summary(DAG, row["dag_run_id"])
    assert summary["dry_run"] is True and summary["approved_by"] is None
    assert [step["words"] for step in summary["clock"]] == ["no: a dry run asks nobody"] * 2 + ["no: a dry run"]
    assert hr.held("P00005") > 0 and hr.held(*LEAVERS) == held


def test_two_events_close_together_are_both_handled_and_each_once(hr: Hr) -> None:
    known, two = set(hr.runs()), LEAVERS[1:]
    hr.configure(enforce_events=True, connections=QUICK_BI)
    assert all(hr.held(person) for person in two)
    sent = [hr.send({"principals": [f"person_id:{person}"], "reason": "last day today"}) for person in two]

    def done(new: dict[str, Json]) -> bool:
        taken = [one for row in new.values() for one in hr.took(row)]
        return both_ended(1)(new) and len(taken) >= len(two)

    rows = hr.follow(known, done)
    time.sleep(5)  # a further run of the same events would have begun by now
    rows = hr.follow(known, both_ended(len(rows)))
    taken = {row["dag_run_id"]: hr.took(row) for row in rows}
    assert sorted(one for names in taken.values() for one in names) == [f"person_id:{one}" for one in two], taken
    assert all(row["state"] == "success" for row in rows), [hr.why(row) for row in rows]
    assert hr.held(*two) == 0
    for row in rows:
        if not hr.took(row):
            states = {task["task_id"]: task["state"] for task in hr.live.api("ada").tasks(DAG, row["dag_run_id"])}
            assert set(states.values()) == {"skipped"}, states
            continue
        summary = hr.live.summary(DAG, row["dag_run_id"])
        told_everywhere(hr, row, summary)
        print(
            f"\n{len(hr.took(row))} of 2 events, {(sent[1] - sent[0]).total_seconds():.2f} s apart:", summary["clock"]
        )


def test_an_event_that_airflow_cannot_read_back_stops_no_other(hr: Hr) -> None:
    known = set(hr.runs())
    hr.configure(connections=QUICK_BI)
    nested: Any = "P1"
    for _ in range(200):
        nested = [nested]
    at = hr.send({"principals": nested})
    (lost,) = hr.follow(known, both_ended(1))
    assert lost["state"] == "failed" and hr.took(lost) == [], "Airflow cannot start a task of it"
    known = set(hr.runs())
    hr.send({"principals": ["person_id:P00018"], "reason": "last day today"})
    (row,) = hr.follow(known, both_ended(1))
    why = hr.why(row)
    assert row["state"] == "failed" and f"left out: event of {at:%Y-%m-%d %H:%M:%S} UTC: Airflow's client" in why, why
    assert hr.took(row) == ["person_id:P00018"]
    with hr.stack.ledger() as ledger:
        run = ledger.runs.find(DAG, row["dag_run_id"])
        assert run is not None
        facts = ledger.inputs.facts(run.run_id, OCCASION)
    assert "events_unread" not in facts and len(facts["events"]) == 2
    known = set(hr.runs())
    hr.send({"principals": ["person_id:P00049"], "reason": "last day today"})
    (row,) = hr.follow(known, both_ended(1))
    assert row["state"] == "success", hr.why(row)


def test_known_access_goes_first_and_airflow_starts_the_run_over_everybody(hr: Hr) -> None:
    """For an event, and for a person with the form: the second run has the requester of the first one."""
    api, form = hr.live.api("rita"), "revoke_access"
    api.wait_for_dag(form, 60)
    hr.live.api("ada").unpause(form)
    hr.configure(enforce_events=True, connections=QUICK_BI)
    conf = {"principals": ["P00018"], "reason": "last day today"}
    whole = api.trigger(form, {**conf, "dry_run": True})
    assert api.wait(form, whole, 300)["state"] == "success"
    hr.configure(enforce_events=True, connections=QUICK_BI, targeted_discovery_hours=1)
    known, person = set(hr.runs()), "P00005"
    assert hr.held(person) and hr.held("P00018")
    hr.send({"principals": [f"person_id:{person}"], "reason": "last day today"})
    first, second = sorted(
        hr.follow(known, both_ended(2)), key=lambda row: row["dag_run_id"].startswith("full_proof__")
    )
    assert second["dag_run_id"] == f"full_proof__{first['dag_run_id']}" and second["run_type"] == "operator_triggered"
    told = [hr.live.summary(DAG, row["dag_run_id"]) for row in (first, second)]
    assert [one["requested_by"] for one in told] == [SENDER, SENDER] and told[1]["follows"] == told[0]["number"]
    assert "full proof pending" in told[0]["outcome"]["words"] and hr.held(person) == 0, hr.why(first)
    assert all("after the event" in one["clock"][0]["words"] or not one["calls"] for one in told)
    run = api.trigger(form, {**conf, "dry_run": False})
    row, _, _ = hr.live.carried_out(form, run)
    after = api.wait(form, f"full_proof__{row['dag_run_id']}", 300)
    assert (after["state"], after["triggering_user_name"]) == ("success", "rita")
    told = [hr.live.summary(form, one) for one in (row["dag_run_id"], after["dag_run_id"])]
    assert [one["requested_by"] for one in told] == ["rita", "rita"] and told[1]["follows"] == told[0]["number"]
    assert "full proof pending" in told[0]["outcome"]["words"] and hr.held("P00018") == 0
