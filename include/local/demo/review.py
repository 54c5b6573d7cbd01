"""The demonstration: one access review on a real Airflow, from trigger to gate, checked against the emulator.

Everything goes through Airflow's REST interface, as a person with a browser would do it: rita starts the run,
omar reads the plan and approves it, and rita's own attempt to approve must be refused. What the run says about
itself is not believed: the emulator's record before and after decides.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local import emulated
from local.api import AirflowApi, Json
from local.config import Config
from local.demo import leaver, truth
from local.demo.closing import closing_lines
from local.demo.journal import problems
from local.errors import ApiError, CheckError
from local.migrations import ledger_dsn
from local.safe_files import write_private
from local.stack import Stack, announce, say
from local.state import APPROVAL_PUBLIC_KEY

DAG_ID = "access_review"
STAGES = (
    *("preflight", "discover", "seal", "decide", "ask", "plan", "approve", "approve_part", "canary"),
    *("verify_canary", "proceed", "revoke", "verify", "report", "gate"),
)
REQUESTER, APPROVER = "rita", "omar"
CONF = {"dry_run": False, "reason": "Demonstration of a full access review", "ticket": "DEMO-1"}
NOTE = "started by make demo"
TRUTH = "truth?extra=1"
"""What the emulator holds of every system."""
RUN_SECONDS = 600.0
REFUSED_SHARE = 0.05
READING_SECONDS = 1.5
"""A person reads before answering; an answer within the scheduler's same breath can make Airflow lose the task, which
then asks again."""
DONE = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})


@dataclass
class Checks:
    """What must hold at the end; every check is printed, and one that does not hold fails the demonstration."""

    failed: list[str] = field(default_factory=list)

    def that(self, holds: bool, what: str, otherwise: str = "") -> None:
        """Note one check."""
        say(f"  {'ok  ' if holds else 'FAIL'} {what}" + ("" if holds or not otherwise else f": {otherwise}"))
        if not holds:
            self.failed.append(what)


def main(config: Config, closing: str = "") -> int:
    """Run the demonstration; exit status 0 only if every check held.

    :param closing: close the paths of one leaver in this way (``own`` or ``all``) instead of a review of everybody.
    """
    began = time.monotonic()
    if closing:
        leaver.settings()
    stack = Stack(config)
    say(f"bringing up the stack in {config.state}")
    running = stack.up(emulator=True, reset=True)
    control = emulated.Control(config.emulator_url, stack.secrets.emulator_token)
    announce(running)

    with ExitStack() as clients:
        users = {
            user: clients.enter_context(AirflowApi(config.base_url, user, running.passwords[user]))
            for user in (REQUESTER, APPROVER)
        }
        dsn, checks = ledger_dsn(stack.airflow_environment()), Checks()
        if closing:
            run_id, summary = close_paths(checks, users, control, dsn, leaver.Leaver.planted(control, config), closing)
        else:
            run_id, summary = review_everybody(checks, users, control, dsn)
        check_evidence(checks, summary, config)
    place = config.state / "demo" / "summary.json"
    result = {"summary": summary, "failed_checks": checks.failed, "seconds": round(time.monotonic() - began, 1)}
    write_private(place, json.dumps(result, indent=2, ensure_ascii=False) + "\n")

    seconds = time.monotonic() - began
    say(f"\nthe report: {summary['report']}")
    say(f"the evidence: {summary['bundle']}")
    say(f"the summary as JSON: {place}")
    say(f"the run: {config.base_url}/dags/{summary['dag']}/runs/{run_id}")
    say(f"its page: {config.base_url}/rescind/runs/{summary['number']}")
    say(f'why a grant goes: make rescind ARGS="explain {summary["number"]} --principal ID"')
    if checks.failed:
        raise CheckError(f"{len(checks.failed)} checks did not hold ({seconds:.0f} s).", f"Logs: {config.logs}")
    say(f"every check held, {seconds:.0f} s in all; the stack keeps running, make down stops it")
    return 0


def review_everybody(
    checks: Checks, users: Mapping[str, AirflowApi], control: emulated.Control, dsn: str
) -> tuple[str, dict[str, Any]]:
    """Hold one review of everybody and check it; returns the run's id and its summary."""
    before = control.get(TRUTH)
    run_id, refused = hold_review(users[REQUESTER], users[APPROVER])
    summary = read_summary(users[REQUESTER], run_id)
    _tell(summary, control)
    check(checks, users[REQUESTER].run(DAG_ID, run_id), summary, refused)
    check_truth(checks, before, control.get(TRUTH), Path(summary["items_file"]))
    check_pace(checks, control)
    check_journal(checks, dsn, summary["run"], control.get("journal")["entries"])
    return run_id, summary


def close_paths(
    checks: Checks,
    users: Mapping[str, AirflowApi],
    control: emulated.Control,
    dsn: str,
    person: leaver.Leaver,
    closing: str,
) -> tuple[str, dict[str, Any]]:
    """Take everything from a leaver, with the paths to it, and check it; returns the last run's id and its summary."""
    before, had = control.get(leaver.WORLD), person.reached()
    say(f"\n{person.who} has left and reaches {had} things, by every kind of way that a system takes away")
    for number in range(1, leaver.RUNS + 1):
        say(f"\nrun {number} of at most {leaver.RUNS}")
        truth_before, seen = control.get(TRUTH), len(control.get("journal")["entries"])
        run_id, refused = hold_review(users[REQUESTER], users[APPROVER], leaver.DAG_ID, person.conf(closing))
        summary = read_summary(users[REQUESTER], run_id, leaver.DAG_ID)
        _tell(summary, control)
        checks.that(refused, f"{REQUESTER}, the requester, was not allowed to approve")
        found = truth.judge(truth_before, control.get(TRUTH), Path(summary["items_file"]))
        beside = sum(len(one.unexpected) + one.added for one in found)
        checks.that(not beside, f"{sum(one.removed for one in found)} records are gone, and none beside the plan")
        check_journal(checks, dsn, summary["run"], control.get("journal")["entries"][seen:])
        if not person.reached():
            break
    state = users[REQUESTER].run(leaver.DAG_ID, run_id)["state"]
    checks.that(state == "success", "the last run ended green", str(state))
    leaver.check(checks.that, person, before, had, number)
    return run_id, summary


def _tell(summary: Mapping[str, Any], control: emulated.Control) -> None:
    say("")
    for line in closing_lines(summary, _names(control)):
        say(line)
    say("\nchecked:")


def _names(control: emulated.Control) -> dict[str, str]:
    """Names of people by each of their ids."""
    spaces = ("wedata_user_id", "dms_user_id", "quickbi_user_id")
    return {person[space]: person["name"] for person in control.get("org")["people"] for space in spaces}


def hold_review(
    requester: AirflowApi, approver: AirflowApi, dag_id: str = DAG_ID, conf: Mapping[str, Any] = CONF
) -> tuple[str, bool]:
    """Start a run, approve it as another person, and wait for its end.

    :returns: the run's id, and whether the requester's own attempt to approve was refused.
    :raises ApiError: when Airflow refuses, or the run takes longer than :data:`RUN_SECONDS`.
    """
    requester.wait_for_dag(dag_id, 90)
    for state in ("running", "queued"):  # reviews run one at a time, and the emulator has just been set back
        for run in requester.runs(dag_id, state):
            requester.fail_run(dag_id, str(run["dag_run_id"]))
    requester.unpause(dag_id)
    run_id = requester.trigger(dag_id, dict(conf), NOTE)
    say(f"\n{REQUESTER} has started {dag_id} ({run_id})")
    progress, refused = Progress(), False
    answered: set[int] = set()
    for _, tasks in requester.watch(dag_id, run_id, RUN_SECONDS, interval=1.0):
        progress.show(tasks)
        # The state of a task that waits for a person depends on the version of Airflow; its question does not.
        asked = [question["task_instance"] for question in requester.questions(dag_id, run_id)]
        waiting = [task for task in asked if task["state"] != "running"]
        if waiting and waiting[0]["try_number"] not in answered:
            time.sleep(READING_SECONDS)
            refused = _approve(waiting[0], requester, approver, progress)
            answered.add(waiting[0]["try_number"])
    progress.close()
    requester.pause(dag_id)
    return run_id, refused


def _approve(task: Json, requester: AirflowApi, approver: AirflowApi, progress: Progress) -> bool:
    """Answer the question as the approver, after the requester has tried; whether that try was refused."""
    question = approver.question(task)
    option = next(option for option in question["options"] if option.startswith("Approve"))
    refused = False
    try:
        requester.answer(task, [option])
    except ApiError as error:
        refused = error.status == 403
    if refused:
        approver.answer(task, [option])
    progress.note(f"{question['subject']} {APPROVER}: {option}")
    return refused


def read_summary(api: AirflowApi, run_id: str, dag_id: str = DAG_ID) -> dict[str, Any]:
    """The run's closing summary.

    :raises CheckError: when the run has written none; shows the end of the log of the task that failed.
    """
    report = api.xcom(dag_id, run_id, "report")
    if isinstance(report, dict) and "summary" in report:
        summary: dict[str, Any] = json.loads(Path(report["summary"]).read_text(encoding="utf-8"))
        return summary
    failed = [task for task in api.tasks(dag_id, run_id) if task["state"] == "failed"]
    first = min(failed, key=lambda task: task["end_date"] or "", default=None)
    log = "\n".join(api.log(first).splitlines()[-25:]) if first else ""
    name = first["task_id"] if first else "none"
    raise CheckError(f"The run has no summary; the first task that failed: {name}.\n{log}")


def check(checks: Checks, run: Json, summary: Mapping[str, Any], refused: bool) -> None:
    """Check what the run says about itself."""
    checks.that(run["state"] == "success", "the run ended green", str(run["state"]))
    checks.that(refused, f"{REQUESTER}, the requester, was not allowed to approve")
    who = (summary["requested_by"], summary["approved_by"])
    checks.that(who == (REQUESTER, APPROVER), f"asked by {REQUESTER}, approved by {APPROVER}", str(who))
    stays = Counter[str]()
    for row in summary["decisions"]:
        stays[row["rule"]] += row["grants"]
    held = sum(finding["verdict"] == "held" for finding in summary["findings"])
    checks.that(
        stays["kept.protected"] > 0 and stays["kept.exception"] > 0 and held > 0,
        f"{stays['kept.protected']} protected grants, {stays['kept.exception']} waived ones and {held} held "
        "back by a guard are still there",
    )
    checks.that(summary["state"] == "succeeded" and not summary["problems"], "no record is left or unverified",
                "; ".join([summary["state"], *summary["problems"]]))  # fmt: skip
    for row in summary["systems"]:
        judged = row["verified_gone"] + row["already_absent"] + row["record_gone"] + row["still_effective"]
        name = row["system"]
        checks.that(
            row["items"] == judged > 0 and row["kept_lost"] == 0 < row["kept_compared"],
            f"{name}: {row['discovered']} grants found, {row['items']} revoked in {row['calls']} calls, each with a "
            f"verdict, {row['kept_compared']} retained and checked",
            f"{judged} with a verdict, {row['kept_lost']} retained ones missing",
        )


def check_truth(checks: Checks, before: Mapping[str, Any], after: Mapping[str, Any], items: Path) -> None:
    """Check the emulator's own record of who has what: exactly the planned grants are gone."""
    for judged in truth.judge(before, after, items):
        checks.that(
            judged.holds and not judged.added,
            f"{judged.system}: exactly the {judged.planned} planned grants are gone from the emulator",
            f"{len(judged.unexpected)} unexpected, {len(judged.left)} left, {judged.added} added",
        )


def check_pace(checks: Checks, control: emulated.Control) -> None:
    """Check that every write stayed below the vendor's limit, as the emulator counts.

    A single request may come too early on a machine that is busy with other things; it was not carried out.
    """
    rows = [row for row in control.get("stats")["buckets"] if row["action"].startswith(("Revoke", "Cancel"))]
    for row in sorted(rows, key=lambda row: str(row["action"])):
        checks.that(
            row["throttled"] <= max(3, REFUSED_SHARE * row["requests"]),
            f"{row['action']}: {row['requests']} requests, at most {row['max_sliding_accepted']} accepted in any "
            f"second (limit {row['limit']}), {row['throttled']} refused and sent again",
        )


def check_journal(checks: Checks, dsn: str, run: str, entries: Sequence[Mapping[str, Any]]) -> None:
    """Judge the execution by plan, ledger and the emulator's journal alone."""
    found = problems(dsn, run, entries)
    checks.that(
        not found,
        "plan, ledger and the emulator's journal agree: each write had its own intent, each item ends in one state",
        "; ".join(found[:3]),
    )


def check_evidence(checks: Checks, summary: Mapping[str, Any], config: Config) -> None:
    """Verify the run's bundle with the tool that an auditor would use, and the public key of this stack."""
    keys = ["--key", str(config.state / "demo" / emulated.PUBLIC_KEY)]
    keys += ["--approval-key", str(config.state / APPROVAL_PUBLIC_KEY)]
    command = [sys.executable, "-m", "rescind", "evidence", "verify", str(summary["bundle"]), *keys]
    environment = {**os.environ, "PYTHONPATH": str(config.plugins)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    checks.that(
        done.returncode == 0 and Path(summary["report"]).is_file(),
        "the evidence bundle verifies offline, bundle and approval signed by this stack's keys",
        (done.stdout + done.stderr).strip(),
    )


class Progress:
    """One line for each stage; on a terminal the line of the stage at work is live."""

    def __init__(self) -> None:
        self._live = sys.stdout.isatty()
        self._began = time.monotonic()
        self._shown: set[str] = set()
        self._notes: list[str] = []

    def show(self, tasks: list[Json]) -> None:
        """Print the stages that have ended since the last call."""
        for stage in STAGES:
            own = [task for task in tasks if task["task_id"] == stage]
            states = {task["state"] for task in own}
            if stage in self._shown or not own or None in states:
                continue
            if states <= DONE:
                self._line(self._text(stage, own), end="\n")
                self._shown.add(stage)
            elif self._live:
                self._line(self._text(stage, own), end="")
                break

    def note(self, text: str) -> None:
        """Print a line of its own."""
        self._line(f"  {text}", end="\n")

    def close(self) -> None:
        """End a line that is still live."""
        if self._live:
            self._line("", end="")

    def _line(self, text: str, end: str) -> None:
        sys.stdout.write(("\r\x1b[K" if self._live else "") + text + end)
        sys.stdout.flush()

    def _text(self, stage: str, tasks: list[Json]) -> str:
        done = sum(task["state"] in DONE for task in tasks)
        states: dict[str, int] = {}
        for task in tasks:
            states[str(task["state"])] = states.get(str(task["state"]), 0) + 1
        words = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        return f"  {time.monotonic() - self._began:6.1f} s  {stage:<10} {done}/{len(tasks)}  {words}"
