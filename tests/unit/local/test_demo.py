"""The demonstration's own logic, without a stack: approval, checks, progress."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from local.api import AirflowApi
from local.demo import review as demo
from local.demo.closing import _way, closing_lines
from local.errors import ApiError, CheckError

SYSTEM = {"system": "dms_permissions", "discovered": 9, "items": 3, "calls": 3, "verified_gone": 2,
          "already_absent": 1, "record_gone": 0,
          "still_effective": 0, "kept_compared": 6, "kept_lost": 0}  # fmt: skip
STAYS = [{"rule": "kept.protected", "grants": 2}, {"rule": "kept.exception", "grants": 1}]
HELD = [{"verdict": "held", "remains": "would leave nobody"}]
SUMMARY: dict[str, Any] = {"requested_by": "rita", "approved_by": "omar", "state": "succeeded", "problems": [],
                           "systems": [SYSTEM], "decisions": STAYS, "findings": HELD}  # fmt: skip


class FakeApi:
    """Answers of one user."""

    def __init__(self, *, refuse: int | None = None, xcom: Any = None) -> None:
        self.refuse = refuse
        self.returned = xcom
        self.answers: list[list[str]] = []

    def question(self, task: dict[str, Any]) -> dict[str, Any]:
        return {"subject": "Approve revoking 3 grants?", "options": ["Approve abc", "Reject"]}

    def answer(self, task: dict[str, Any], options: list[str]) -> None:
        if self.refuse is not None:
            raise ApiError("no", status=self.refuse)
        self.answers.append(options)

    def xcom(self, *_: str) -> Any:
        return self.returned

    def tasks(self, *_: str) -> list[dict[str, Any]]:
        return [
            {"task_id": "seal", "state": "failed", "end_date": "2"},
            {"task_id": "discover", "state": "failed", "end_date": "1"},
            {"task_id": "gate", "state": "upstream_failed", "end_date": None},
        ]

    def log(self, task: dict[str, Any]) -> str:
        return f"log of {task['task_id']}"


def approve(requester: FakeApi, approver: FakeApi) -> bool:
    return demo._approve({}, cast(AirflowApi, requester), cast(AirflowApi, approver), demo.Progress())


def test_the_approver_answers_after_the_requester_was_refused() -> None:
    requester, approver = FakeApi(refuse=403), FakeApi()
    assert approve(requester, approver) is True
    assert approver.answers == [["Approve abc"]]


@pytest.mark.parametrize("status", [None, 500])
def test_a_requester_who_is_not_refused_is_noticed(status: int | None) -> None:
    """Accepted, or failed for another reason: either way the rule was not shown to hold."""
    requester, approver = FakeApi(refuse=status), FakeApi()
    assert approve(requester, approver) is False
    assert approver.answers == []


@pytest.mark.parametrize(("remains", "shown"), [
    ("organization 2fe4: view on menu af2a", "organization: view on a menu"),
    ("group g1 in group g2: view on menu af2a", "group in a group: view on a menu"),
    ("user 1 in project p: use on data_source 7", "user in a project: use on a data_source"),
    ("direct grant: QUERY on database 7", "direct grant: QUERY on a database"),
    ("a policy or ownership gives everything on database 7", "a policy or ownership gives everything on a database"),
    ("a policy that names no object", "a policy that names no object"),
])  # fmt: skip
def test_ways_are_added_up_without_their_ids(remains: str, shown: str) -> None:
    assert _way(remains) == shown


def _closing(*findings: dict[str, str]) -> list[str]:
    outcome = {"words": "closed, all proven gone", "remains": []}
    summary = {"dag": "d", "run": 1, "outcome": outcome, "systems": [], "problems": [], "findings": findings}
    return list(closing_lines(summary, {"u1": "Mei Chen"}))


def test_each_kind_of_way_has_an_example_with_names() -> None:
    item = {"principal_id": "u1", "resource_type": "menu", "resource_id": "af2a", "resource_name": "Margin",
            "entitlement": "view", "verdict": "still_effective"}  # fmt: skip
    through = 'group 9a1 "night" in group 7c2 "all": share on portal 3f1 "Finance"'
    lines = _closing({**item, "remains": through}, {**item, "remains": through, "principal_id": "u2"},
                     {**item, "remains": "role 9.26: workspace developer on portal 3f1 \"Finance\""})  # fmt: skip
    assert (
        '  Mei Chen, view on menu "Margin": group "night" in group "all": share on portal "Finance" (and 1 alike)'
        in lines
    )
    assert '  Mei Chen, view on menu "Margin": workspace developer on portal "Finance"' in lines


def test_what_is_not_proven_is_counted_by_the_surface_that_did_not_answer() -> None:
    gone = {"verdict": "record_gone", "remains": "control mode: anyone with a password"}
    lines = _closing(gone, gone, {**gone, "remains": "sharing mode: of a source"})
    assert "record gone: 3 records are gone, access is not proven gone: 2 control mode, 1 sharing mode" in lines


def outcome(*, state: str = "success", refused: bool = True, **changes: Any) -> list[str]:
    checks = demo.Checks()
    demo.check(checks, {"state": state}, {**SUMMARY, **changes}, refused)
    return checks.failed


def test_a_run_in_order_passes(capsys: pytest.CaptureFixture[str]) -> None:
    assert outcome() == []
    assert capsys.readouterr().out.count("ok ") == 6


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "failed"},
        {"refused": False},
        {"approved_by": "rita"},
        {"approved_by": None},
        {"problems": ["3 items are not proven gone"]},
        {"decisions": STAYS[:1]},
        {"decisions": STAYS[1:]},
        {"findings": []},
        {"systems": [{**SYSTEM, "verified_gone": 1}]},
        {"systems": [{**SYSTEM, "kept_lost": 1}]},
        {"systems": [{**SYSTEM, "kept_compared": 0}]},
        {"systems": [{**SYSTEM, "items": 0, "verified_gone": 0, "already_absent": 0}]},
    ],
)
def test_every_check_can_fail(changes: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    state = changes.pop("state", "success")
    assert len(outcome(state=state, **changes)) == 1
    assert "FAIL" in capsys.readouterr().out


def test_the_emulators_record_decides(tmp_path: Path) -> None:
    items = tmp_path / "items.jsonl"
    item = {"system": "dms_permissions", "state": "accepted", "native_id": "1", "column": []}
    items.write_text(json.dumps(item) + "\n")

    def failed(*left: str) -> list[str]:
        checks = demo.Checks()
        before = {"dms_permissions": [{"user_access_id": ident} for ident in "123"]}
        demo.check_truth(checks, before, {"dms_permissions": [{"user_access_id": ident} for ident in left]}, items)
        return checks.failed

    assert failed("2", "3") == []
    assert len(failed("1", "2", "3")) == 1  # planned and still there
    assert len(failed("3")) == 1  # taken without a plan
    assert len(failed("2", "3", "4")) == 1  # appeared from nowhere


def test_a_run_without_summary_shows_the_first_failure() -> None:
    with pytest.raises(CheckError, match=r"failed: discover\.\nlog of discover"):
        demo.read_summary(cast(AirflowApi, FakeApi()), "r")


def test_the_summary_is_read_from_where_the_report_says(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"state": "succeeded"}')
    api = cast(AirflowApi, FakeApi(xcom={"summary": str(tmp_path / "s.json")}))
    assert demo.read_summary(api, "r") == {"state": "succeeded"}


def test_progress_prints_each_stage_once_when_it_has_ended(capsys: pytest.CaptureFixture[str]) -> None:
    progress = demo.Progress()
    rows = [{"task_id": "preflight", "state": "success"}, {"task_id": "discover", "state": "running"}]
    progress.show(rows)
    rows[1]["state"] = "success"
    rows.append({"task_id": "discover", "state": "failed"})
    progress.show(rows)
    progress.show(rows)
    progress.close()
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("s  ")[1].split() for line in lines] == [
        ["preflight", "1/1", "1", "success"],
        ["discover", "2/2", "1", "failed,", "1", "success"],
    ]
