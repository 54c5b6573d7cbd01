"""Reviews on real Airflow, judged by the emulator."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from local.demo.truth import judge
from local.errors import ApiError
from tests.support.servers.live import LiveStack

pytestmark = [pytest.mark.live, pytest.mark.seconds(1200)]
SYSTEMS = {"wedata_privileges", "wedata_data_sources", "dms_permissions", "quickbi_menus"}
WRITES = ("RevokePrivileges", "RevokeDataSourceAuthorization")


def test_the_demonstration_ends_green_with_every_check(live: LiveStack) -> None:
    assert live.demo.returncode == 0, live.demo.stdout[-4000:] + live.demo.stderr[-2000:]
    assert "FAIL" not in live.demo.stdout
    for system in SYSTEMS:
        assert f"{system}: exactly the" in live.demo.stdout
    assert live.config.base_url in live.demo.stdout and "rita" in live.demo.stdout


def test_no_write_bucket_was_ever_over_its_limit(live: LiveStack) -> None:
    buckets = {
        bucket["action"]: bucket for bucket in live.control.get("stats")["buckets"] if bucket["product"] == "wedata"
    }
    assert buckets["RevokePrivileges"]["accepted"] >= 300
    for action in WRITES:
        bucket = buckets[action]
        assert bucket["max_sliding_accepted"] <= bucket["limit"] == 20
        assert bucket["throttled"] <= max(3, 0.05 * bucket["requests"]), bucket


def test_revoking_ran_in_several_labelled_tasks_at_once(live: LiveStack) -> None:
    api = live.api("rita")
    run = api.runs("access_review", "success")[-1]
    tasks = [t for t in api.tasks("access_review", run["dag_run_id"]) if t["task_id"] == "revoke"]
    privileges = [t for t in tasks if t["rendered_map_index"].startswith("WeData privileges · 100000000001")]
    assert len(privileges) >= 2 and all("grants in" in t["rendered_map_index"] for t in tasks)
    first, second = sorted(privileges, key=lambda t: str(t["start_date"]))[:2]
    assert second["start_date"] < first["end_date"]


def test_tasks_lead_to_the_page_of_their_run(live: LiveStack) -> None:
    api = live.api("rita")
    run = api.runs("access_review", "success")[-1]["dag_run_id"]
    page = f"rescind/runs/{live.summary('access_review', run)['number']}"
    one = {"Access review": page}
    mapped = {**one, "Vendor console": None}  # the emulator is nobody's console
    last = {**one, "Evidence": f"{page}/bundle", "Report": f"{page}/report"}
    expected = (("preflight", -1, one), ("discover", 0, mapped), ("report", -1, last), ("gate", -1, last))
    for task, index, links in expected:
        path = f"/dags/access_review/dagRuns/{quote(run, safe='')}/taskInstances/{task}/links"
        assert api.get(path, map_index=index)["extra_links"] == links, task


def test_the_run_carries_its_result_as_a_note_and_its_pools_were_checked(live: LiveStack) -> None:
    api = live.api("vera")
    run = api.runs("access_review", "success")[-1]
    number = live.summary("access_review", run["dag_run_id"])["number"]
    assert run["note"].startswith((f"[Rescind] Run {number}: ✓ closed, ", f"[Rescind] Run {number}: ▲ closed, ")), run[
        "note"
    ]
    assert run["note"].endswith("\n\nstarted by make demo"), "what people wrote stays"
    for system in SYSTEMS:
        assert f"\n- {system}: " in run["note"]
    (preflight,) = [task for task in api.tasks("access_review", run["dag_run_id"]) if task["task_id"] == "preflight"]
    assert "pools: rescind_discover" in api.log(preflight)


def test_revoke_access_takes_a_leaver_off_all_four_systems(live: LiveStack) -> None:
    before = live.control.get("truth")
    person = live.holder()
    api = live.api("rita")
    api.wait_for_dag("revoke_access", 60)
    api.unpause("revoke_access")
    conf = {"principals": [person["person_id"]], "reason": "last day today", "ticket": "HR-7", "dry_run": False}
    run = api.trigger("revoke_access", conf)
    row, tasks, _ = live.carried_out("revoke_access", run)
    failed = [t["task_id"] for t in tasks if t["state"] == "failed"]
    assert row["state"] == "success", (failed, [api.log(t)[-1500:] for t in tasks if t["state"] == "failed"][:1])
    summary = live.summary("revoke_access", run)
    assert summary["approved_by"] == "omar" and summary["ticket"] == "HR-7"
    assert {row["system"] for row in summary["systems"] if row["items"]} == SYSTEMS
    for judged in judge(before, live.control.get("truth"), Path(summary["items_file"])):
        assert judged.holds and judged.removed == judged.planned > 0, judged


def test_a_rejected_plan_revokes_nothing_and_is_not_red(live: LiveStack) -> None:
    before = live.control.get("truth")
    person = live.holder()
    api = live.api("rita")
    run = api.trigger(
        "revoke_access", {"principals": [person["person_id"]], "reason": "asked for by mistake", "dry_run": False}
    )
    row, tasks, _ = live.carried_out("revoke_access", run, lambda options: options[-1])
    assert row["state"] == "success"
    assert {t["state"] for t in tasks if t["task_id"] in ("approve", "revoke")} == {"skipped"}
    assert live.summary("revoke_access", run)["state"] == "rejected"
    assert live.control.get("truth") == before


@pytest.mark.parametrize(
    ("conf", "words"),
    [
        ({"principals": ["P1"], "reason": "no"}, "reason"),
        ({"principals": ["P1"], "reason": "leaver today", "max_percent": 200}, "max_percent"),
        ({"principals": "P1", "reason": "leaver today"}, "principals"),
    ],
)
def test_the_form_refuses_bad_values_before_a_run_exists(live: LiveStack, conf: dict[str, Any], words: str) -> None:
    with pytest.raises(ApiError, match=words) as caught:
        live.api("rita").trigger("revoke_access", conf)
    assert caught.value.status in (400, 422)


def test_an_unknown_form_key_ends_the_run_in_preflight(live: LiveStack) -> None:
    api = live.api("rita")
    run = api.trigger("revoke_access", {"principals": ["P00001"], "reason": "leaver today", "force": True})
    assert api.wait("revoke_access", run, 300)["state"] == "failed"
    tasks = {t["task_id"]: t for t in api.tasks("revoke_access", run)}
    assert tasks["preflight"]["state"] == "failed" and tasks["plan"]["state"] == "upstream_failed"
    assert "unknown 'force'" in api.log(tasks["preflight"]) and "Known fields" in api.log(tasks["preflight"])


def test_a_viewer_can_neither_start_nor_answer(live: LiveStack) -> None:
    viewer = live.api("vera")
    with pytest.raises(ApiError) as caught:
        viewer.trigger("revoke_access", {"principals": ["P00001"], "reason": "leaver today"})
    assert caught.value.status == 403


def test_only_a_person_can_start_revoke_access(live: LiveStack) -> None:
    dag = live.api("rita").dag("revoke_access")
    assert dag is not None and dag["timetable_summary"] in (None, "None", "Never, external triggers only")
    with pytest.raises(ApiError) as caught:
        live.api("ada").post(
            "/backfills",
            {"dag_id": "revoke_access", "from_date": "2026-01-01T00:00:00Z", "to_date": "2026-01-02T00:00:00Z"},
        )
    assert caught.value.status in (400, 404, 409, 422)
