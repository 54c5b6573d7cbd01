"""The example DAGs, run by Airflow against the emulator: they revoke exactly what they select, and only if told to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rescind.ledger import Ledger
from tests.support.reviews.review import ledger_connection
from tests.support.servers.emulator import ROOT, Emulator, running_emulator

pytestmark = [pytest.mark.airflow, pytest.mark.seconds(300)]
EXAMPLES = ROOT / "plugins/rescind/example_dags"
CALLS = ("wedata_privileges", "wedata_data_sources", "dms_permissions", "quickbi_menus")

PROBE = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
from airflow.models.dagbundle import DagBundleModel
from airflow.utils.db import initdb
from airflow.utils.session import create_session

initdb()
folder, runs = sys.argv[1], json.loads(sys.argv[2])
bag = DagBag(folder)
assert bag.import_errors == {}, bag.import_errors
for dag_id, conf in runs:
    run = bag.dags[dag_id].test(run_conf=conf)
    tasks = [(ti.task_id, ti.map_index, str(ti.state)) for ti in run.get_task_instances()]
    print("PROBE " + json.dumps({"dag": dag_id, "state": str(run.state), "tasks": tasks}), flush=True)
"""


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    with running_emulator(tmp_path_factory.mktemp("emulator"), "--preset", "tiny") as running:
        yield running


def run_examples(
    home: Path, emulator: Emulator, runs: list[tuple[str, dict[str, Any]]], more: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """Run the examples one after the other with ``dag.test``, in a process with a database of its own."""
    env = {name: text for name, text in os.environ.items() if not name.startswith("AIRFLOW")}
    env |= {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(EXAMPLES),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "PYTHONPATH": os.pathsep.join((str(ROOT / "plugins"), str(ROOT))),
        **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(value) for name, value in emulator.connections().items()},
        **(more or {}),
    }
    command = [sys.executable, "-c", PROBE, str(EXAMPLES), json.dumps(runs)]
    done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, timeout=280)
    found = [json.loads(line.removeprefix("PROBE ")) for line in done.stdout.splitlines() if line.startswith("PROBE ")]
    assert len(found) == len(runs), (done.stdout + done.stderr)[-4000:]
    return found


Row = dict[str, Any]


def first(rows: list[Row], **wanted: Any) -> Row:
    return next(row for row in rows if all(row[name] == value for name, value in wanted.items()))


def conf_of(truth: dict[str, list[Row]]) -> dict[str, Row]:
    """For each call: the facts of a grant that can go; nobody of them is the emulator's own key."""
    privilege = first(truth["wedata_privileges"], subject_type="User", resource_type="Catalog")
    source = first(truth["wedata_data_sources"], kind="user")
    record = first(truth["dms_permissions"], ds_type="DATABASE", perm_type="QUERY")
    menu = first(truth["quickbi_menus"], receiver_type=0)
    return dict(zip(CALLS, (privilege, source, record, menu), strict=True))


SELECTS: dict[str, tuple[dict[str, str], Callable[[Row], bool]]] = {
    "wedata_privileges": (
        {"resource_type": "resource_type", "resource_uri": "resource_uri", "user": "subject_value"},
        lambda row: row["subject_type"] == "User",
    ),
    "wedata_data_sources": (
        {"data_source_id": "data_source_id", "project_id": "project_id"},
        lambda row: row["kind"] == "user",
    ),
    "dms_permissions": (
        {"user_id": "user_id"},
        lambda row: row["ds_type"] == "DATABASE" and row["perm_type"] in ("QUERY", "EXPORT", "CORRECT"),
    ),
    "quickbi_menus": ({"portal_id": "portal_id", "user_id": "receiver_id"}, lambda row: row["receiver_type"] == 0),
}
"""Call -> field of its trigger form and the fact that goes there; and what else a selected row must be."""


def selected(call: str, row: Row, rows: list[Row]) -> list[Row]:
    """The rows that the example selects when its form names this row."""
    fields, also = SELECTS[call]
    return [one for one in rows if also(one) and all(one[name] == row[name] for name in fields.values())]


def gone(before: dict[str, list[Row]], after: dict[str, list[Row]], call: str) -> list[Row]:
    assert all(row in before[call] for row in after[call]), "something was added"
    return [row for row in before[call] if row not in after[call]]


def states(run: dict[str, Any]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for task_id, _, state in run["tasks"]:
        found.setdefault(task_id, set()).add(state)
    return found


def test_each_example_revokes_what_it_selects_and_only_if_it_is_told_to(emulator: Emulator, tmp_path: Path) -> None:
    before = emulator.get("truth")
    rows = conf_of(before)
    forms = {call: {name: rows[call][fact] for name, fact in SELECTS[call][0].items()} for call in CALLS}
    runs = [(f"example_{call}", {**form, "send": send}) for call, form in forms.items() for send in (False, True)]
    results = run_examples(tmp_path, emulator, runs)
    after = emulator.get("truth")
    for described, sent in zip(results[::2], results[1::2], strict=True):
        call = sent["dag"].removeprefix("example_")
        assert described["state"] == sent["state"] == "success", (described, sent)
        assert states(described)["list"] == {"success"} and states(described)["revoke"] == {"skipped"}
        assert set().union(*states(sent).values()) == {"success"}
        expected = selected(call, rows[call], before[call])
        assert expected and gone(before, after, call) == expected
        # One write for each grant: the first run of each pair has sent none.
        assert sum(task == "revoke" for task, _, _ in sent["tasks"]) == len(expected)
    assert len(emulator.writes()) == sum(len(gone(before, after, call)) for call in CALLS)


def test_one_example_uses_all_four_calls(emulator: Emulator, tmp_path: Path) -> None:
    before = emulator.get("truth")
    rows = conf_of(before)
    named = {
        "wedata_privileges": ("subject_value", ("resource_type", "resource_uri")),
        "wedata_data_sources": ("user_id", ("data_source_id",)),
        "dms_permissions": ("user_id", ("user_id",)),
        "quickbi_menus": ("receiver_id", ("portal_id",)),
    }
    groups = dict(zip(CALLS, ("wedata_object", "wedata_source", "dms_user", "quickbi_portal"), strict=True))
    form: dict[str, Any] = {
        groups[call]: {"person": rows[call][person], **{name: rows[call][name] for name in what}}
        for call, (person, what) in named.items()
    }
    form["dms_user"]["object_kind"] = "DATABASE"
    described, sent = run_examples(
        tmp_path, emulator, [("example_all_vendor_calls", {**form, "send": send}) for send in (False, True)]
    )
    after = emulator.get("truth")
    assert described["state"] == sent["state"] == "success", (described, sent)
    assert states(described)["dms_user.verify"] == {"skipped"}
    assert set().union(*states(sent).values()) == {"success"}
    for call, (person, what) in named.items():
        same = [
            row
            for row in before[call]
            if all(row[name] == rows[call][name] for name in (person, *what))
            and (call != "dms_permissions" or row["ds_type"] == "DATABASE")
        ]
        assert same and gone(before, after, call) == same, call


PROTECTED = """format: 1
unknown_kind: allow
kinds: [system]
principals: [{{space: quickbi_menus, id: "{user}", reason: break glass, not_in_roster: true}}]
resources: []
"""


def test_where_rescind_is_deployed_an_example_is_recorded_and_protected_people_stay(
    emulator: Emulator, tmp_path: Path, ledger_dsn: str
) -> None:
    before = emulator.get("truth")
    rows = [row for row in before["quickbi_menus"] if row["receiver_type"] == 0]
    own = next(one for one in emulator.get("org")["people"] if one["name"] == "rescind-bot")
    stays = next(row for row in rows if row["receiver_id"] != own["quickbi_user_id"])
    kept = {stays["receiver_id"], own["quickbi_user_id"]}
    goes = next(row for row in rows if row["receiver_id"] not in kept)
    (tmp_path / "protected.yaml").write_text(PROTECTED.format(user=stays["receiver_id"]))
    (tmp_path / "exceptions.yaml").write_text("format: 1\nexceptions: []\n")
    settings = {
        "protections": str(tmp_path / "protected.yaml"),
        "exceptions": str(tmp_path / "exceptions.yaml"),
        "allow_single_writes": True,
    }
    deployment = {
        "AIRFLOW_VAR_RESCIND_SETTINGS": json.dumps(settings),
        "AIRFLOW_CONN_RESCIND_LEDGER": json.dumps(ledger_connection(ledger_dsn)),
    }
    runs = [
        ("example_quickbi_menus", {"portal_id": row["portal_id"], "user_id": row["receiver_id"], "send": True})
        for row in (stays, goes)
    ]
    refused, sent = run_examples(tmp_path, emulator, runs, deployment)
    assert (refused["state"], sent["state"]) == ("failed", "success"), (refused, sent)
    assert states(refused)["revoke"] == {"failed"}
    expected = selected("quickbi_menus", goes, before["quickbi_menus"])
    assert gone(before, emulator.get("truth"), "quickbi_menus") == expected
    with Ledger(ledger_dsn) as ledger:
        (done,) = ledger.runs.latest(2)
        calls = ledger.single_calls.of_run(done.run_id)
        assert (done.kind, done.state) == ("single", "accepted")
    assert len(calls) == len(expected) and {call.outcome for call in calls} == {"accepted"}
    assert sorted(call.map_index for call in calls) == list(range(len(expected)))


def test_an_example_is_short_documented_and_starts_nothing_by_itself() -> None:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(dag_folder=str(EXAMPLES))
    assert bag.import_errors == {}
    assert {f"{dag_id}.py" for dag_id in bag.dags} == {path.name for path in EXAMPLES.glob("example_*.py")}
    for dag in bag.dags.values():
        assert dag.doc_md and type(dag.timetable).__name__ == "NullTimetable"
        assert dag.params.get_param("send").value is False
        assert all(task.pool == "default_pool" for task in dag.tasks), "an example runs without a pool of its own"
