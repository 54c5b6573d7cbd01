"""Runs the operators of a review in this process, stage by stage, against a real ledger and the emulator.

The same operators, ledger and calls as on Airflow; only the scheduler is missing. For what needs one,
see ``tests/e2e``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from urllib.parse import quote

import pytest
import yaml

from tests.support.oracle import SYSTEMS, foreign_effects, judge
from tests.support.reviews.airflow_events import StoredEvents
from tests.support.reviews.approval import approval_key_file
from tests.support.servers.emulator import Emulator


@dataclass
class ReviewBench:
    """Everything one review needs, set up in the environment of this process.

    :param folder: a fresh folder for roster, protections and summaries.
    """

    emulator: Emulator
    ledger_dsn: str
    folder: Path
    monkeypatch: pytest.MonkeyPatch
    settings: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=lambda: {"*": 200.0})
    judged: bool = True
    """Whether the oracle judges the verdicts; off only where the platform is made to lie about what it has."""
    sent: list[tuple[str, int, int]] = field(default_factory=list)
    """Which run sent something, and how long the emulator's journal was before and after."""

    def __post_init__(self) -> None:
        roster = self.folder / "roster.csv"
        roster.write_text(self.emulator.text("roster.csv"), encoding="utf-8")
        protected = self.folder / "protected.yaml"
        protected.write_text(yaml.safe_dump(protections(self.emulator.get("protected"))), encoding="utf-8")
        self.settings = {
            "roster": str(roster),
            "protections": str(protected),
            "approvers": ["omar"],
            "max_revocations": 5000,
            "max_percent": 60,
            "max_per_principal": 500,
            "allow_irreversible": True,
            "settle_seconds": 0.05,
            "settle_limit_seconds": 5,
            "summaries": str(self.folder / "summaries"),
            "evidence": str(self.folder / "evidence"),
            "approval_key_file": str(approval_key_file(self.folder)),
            "granting_connections": {
                "wedata_privileges": ["wedata_granting"],
                "wedata_data_sources": ["wedata_granting"],
                "dms_permissions": ["dms_granting"],
                "quickbi_menus": ["quickbi_granting"],
            },
            **self.settings,
        }
        self.configure()

    def configure(self, **settings: Any) -> None:
        """Put connections and settings (with these changes) into the environment."""
        self.settings |= settings
        self.monkeypatch.setenv("AIRFLOW_VAR_RESCIND_SETTINGS", json.dumps(self.settings))
        for conn_id, value in self.emulator.connections(limits=self.limits).items():
            self.monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))
            granting = self._granting(value)
            self.monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}".replace("DEFAULT", "GRANTING"), granting)
        self.monkeypatch.setenv("AIRFLOW_CONN_RESCIND_LEDGER", json.dumps(ledger_connection(self.ledger_dsn)))

    def _granting(self, reviewing: dict[str, Any]) -> str:
        """A connection with another key of the same account, which restores."""
        vendor = "tencent" if reviewing["conn_type"].startswith("tencent") else "alibaba"
        key = self.emulator.key(vendor, "second-application")
        return json.dumps({**reviewing, "login": key["key_id"], "password": key["secret"]})

    def run(self, run_id: str = "manual__1", *, kind: str = "policy", user: str = "rita", **params: Any) -> Review:
        """A new DAG run, nothing executed yet."""
        return Review(self, run_id, kind, user, params)

    def list_people_from_now(self, run_id: str = "manual__whole") -> None:
        """List the whole population once; later runs about named people list only these, where a system can."""
        whole = self.run(run_id)
        whole.preflight()
        whole.discover()
        self.configure(targeted_discovery_hours=1)

    def restore(self, run_id: str = "restore__1", *, user: str = "rita", **params: Any) -> Restore:
        """A new DAG run that restores: ``run`` is the number or id of the run that it restores."""
        asked = {"reason": "taken away by mistake", "dry_run": False, **params}
        return Restore(self, run_id, "restore", user, asked)

    def offboard(
        self, *events: Any, run_id: str = "asset__1", stored: list[Any] | None = None, **params: Any
    ) -> Offboard:
        """A new DAG run of these asset events; ``stored`` are all events of the asset."""
        whole = list(events) if stored is None else stored
        return Offboard(
            self, run_id, "targets", "", params, run_type="asset_triggered", given=list(events), stored=whole
        )


@dataclass
class Review:
    """One DAG run, stage by stage. ``stage`` runs an operator; ``through`` runs all stages up to one."""

    dag_id: ClassVar[str] = "access_review"
    bench: ReviewBench
    run_id: str
    kind: str
    user: str
    params: dict[str, Any]
    scopes: list[dict[str, str]] = field(default_factory=list)
    canaries: list[dict[str, str]] = field(default_factory=list)
    batches: list[dict[str, str]] = field(default_factory=list)
    run_type: str = "manual"
    worlds: dict[str, Any] = field(default_factory=dict)
    """The emulator's world at discovery and at the last verification, for the oracle."""
    xcom: dict[tuple[str, str], Any] = field(default_factory=dict)
    """What tasks left for others, by task and key."""
    journal: list[int] = field(default_factory=lambda: [0, 0])
    """The length of the emulator's journal at both."""

    def context(self, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """What Airflow hands to a task, as far as the operators use it."""
        dag_run = SimpleNamespace(
            dag_id=self.dag_id,
            run_id=self.run_id,
            run_type=self.run_type,
            triggering_user_name=self.user or None,
            conf=dict(self.params),
        )
        ti = SimpleNamespace(
            task_id=task_id,
            map_index=map_index,
            try_number=1,
            id="ti",
            xcom_push=lambda key, value: self.xcom.update({(task_id, key): value}),
            xcom_pull=lambda task_ids, key: self.xcom.get((task_ids, key)),
        )
        return {"dag_run": dag_run, "params": dict(self.params), "ti": ti, "task_instance": ti}

    def preflight(self) -> None:
        from rescind.operators.preflight import PreflightOperator

        self.scopes = PreflightOperator(task_id="preflight", kind=self.kind).execute(self.context("preflight"))

    def discover(self) -> None:
        from rescind.operators.discover import DiscoverOperator

        for index, scope in enumerate(self.scopes):
            DiscoverOperator(task_id="discover", scope=scope).execute(self.context("discover", index))
        self.look("discovered", 0)

    def plan(self) -> None:
        self.decide()
        self.freeze()

    def decide(self) -> list[dict[str, str]]:
        """Seal and decide; the questions to owners."""
        from rescind.operators.decide import DecideOperator, SealOperator

        SealOperator(task_id="seal").execute(self.context("seal"))
        questions: list[dict[str, str]] = DecideOperator(task_id="decide").execute(self.context("decide"))
        return questions

    def freeze(self) -> None:
        """The plan of what was decided and answered."""
        from rescind.operators.decide import PlanOperator

        self.canaries = PlanOperator(task_id="plan").execute(self.context("plan"))
        with self.ledger() as ledger:
            run = ledger.runs.find(self.dag_id, self.run_id)
            planned = [] if run.dry_run else ledger.plans.batches(run.run_id)
            self.batches = [{"batch": b.batch_id, "label": b.label} for b in planned if not b.canary]

    def approve(self, user: str = "omar", answer: str = "approve", name: str = "", **fields: Any) -> None:
        """What the approval task does with the answer of the user with this id (and name, where it is another).

        :param fields: of the question's form.
        """
        with self.ledger() as ledger:
            run = ledger.runs.find(self.dag_id, self.run_id)
            assert run is not None
            plan = ledger.plans.get(run.run_id)
            ledger.approvals.request(run.run_id, plan.digest, requested_by=self.user, valid_until=plan.valid_until)
        chosen = {"approve": f"Approve {plan.digest}", "selection": f"Use my selection {plan.digest[:12]}"}
        event = {
            "chosen_options": [chosen.get(answer, "Reject")],
            "params_input": fields,
            "responded_at": datetime.now(UTC),
            "responded_by_user": {"id": user, "name": name or user},
        }
        self.approval().execute_complete(self.context("approve"), event)

    def approval(self) -> Any:
        """The approval's operator."""
        from rescind.operators.questions.approve import ApprovePlanOperator

        return ApprovePlanOperator(task_id="approve")

    def second(self) -> Any:
        """The operator of the second question."""
        from rescind.operators.questions.approve_part import ApprovePartOperator

        return ApprovePartOperator(task_id="approve_part")

    def ask_again(self) -> Any:
        """Ask the second question; returns its operator as it would be put."""
        asked = self.second()
        with self.ledger() as ledger:
            assert asked.ask(self.context("approve_part"), ledger) is None
        return asked

    def approve_part(self, user: str = "omar", answer: str = "approve", **fields: Any) -> None:
        """What the second question's task does with an answer; the batches are those of the narrower plan then."""
        with self.ledger() as ledger:
            run = ledger.runs.find(self.dag_id, self.run_id)
            chosen = f"Approve {ledger.plans.get(run.run_id).digest}" if answer == "approve" else "Reject"
            planned = ledger.plans.batches(run.run_id)
            self.batches = [{"batch": b.batch_id, "label": b.label} for b in planned if not b.canary]
        event = {
            "chosen_options": [chosen],
            "params_input": fields,
            "responded_at": datetime.now(UTC),
            "responded_by_user": {"id": user, "name": user},
        }
        self.canaries = self.second().execute_complete(self.context("approve_part"), event)

    def canary(self) -> None:
        """Send and verify the canaries, where the plan has any."""
        from rescind.operators.canary import VerifyCanaryOperator
        from rescind.operators.revoke import RevokeBatchOperator

        for index, batch in enumerate(self.canaries):
            RevokeBatchOperator(task_id="canary", batch=batch).execute(self.context("canary", index))
        for index, batch in enumerate(self.canaries):
            VerifyCanaryOperator(task_id="verify_canary", batch=batch).execute(self.context("verify_canary", index))

    def revoke(self) -> list[dict[str, Any]]:
        """Send ``batches``; after the canary, where there is one."""
        from rescind.operators.revoke import RevokeBatchOperator

        with self.sending():
            return [
                RevokeBatchOperator(task_id="revoke", batch=batch).execute(self.context("revoke", index))
                for index, batch in enumerate(self.batches)
            ]

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Remember which part of the emulator's journal is this run's."""
        begin = self._journal()
        try:
            yield
        finally:
            self.bench.sent.append((self.run_id, begin, self._journal()))

    def _journal(self) -> int:
        length: int = self.bench.emulator.get("health")["journal"]
        return length

    def verify(self) -> list[dict[str, Any]]:
        from rescind.operators.verify import VerifyOperator

        reports = [
            VerifyOperator(task_id="verify", scope=scope).execute(self.context("verify", index))
            for index, scope in enumerate(self.scopes)
        ]
        self.look("verified", 1)
        return reports

    def look(self, name: str, end: int) -> None:
        """Remember the emulator's world and how long its journal is."""
        self.worlds[name] = self.bench.emulator.get("world")
        self.journal[end] = self._journal()

    def report(self) -> dict[str, Any]:
        """Close the run; returns the summary as written. The evidence verifies, and the oracle agrees."""
        from rescind.evidence.bundle.read import FolderSource
        from rescind.evidence.bundle.verify import verify

        summary = self.close()
        assert verify(FolderSource(Path(summary["bundle"].removeprefix("file://")))).problems == []
        self.judge(summary)
        return summary

    def close(self) -> dict[str, Any]:
        """Close the run without a check; returns the summary as written."""
        from rescind.operators.report import ReportOperator

        facts = ReportOperator(task_id="report").execute(self.context("report"))
        summary: dict[str, Any] = json.loads(Path(facts["summary"]).read_text(encoding="utf-8"))
        return summary

    def judge(self, summary: dict[str, Any]) -> None:
        """Hold every verdict against who really reaches what, and every effect against the items, by the oracle."""
        if not {"discovered", "verified"} <= self.worlds.keys() or not self.bench.judged:
            return
        rows = [json.loads(line) for line in Path(summary["items_file"]).read_text(encoding="utf-8").splitlines()]
        known = [row for row in rows if row["system"] in SYSTEMS]
        wrong = judge(self.worlds["discovered"], self.worlds["verified"], known)
        entries = self.bench.emulator.get(f"journal?after={self.journal[0]}&limit={self.journal[1] - self.journal[0]}")
        planned = [row for row in known if row["state"] != "held"]
        others = [(begin, end) for run, begin, end in self.bench.sent if run != self.run_id]
        own = [one for one in entries["entries"] if not any(begin < one["seq"] <= end for begin, end in others)]
        wrong += foreign_effects(own, planned)
        assert not wrong, "\n".join(wrong)

    def gate(self) -> str:
        from rescind.operators.report import GateOperator

        state: str = GateOperator(task_id="gate").execute(self.context("gate"))
        return state

    def full_proof(self) -> Review:
        """The run over everybody that the last task has Airflow start."""
        from rescind.compat import DagRunTriggerException
        from rescind.operators.full_proof import FullProofOperator

        with pytest.raises(DagRunTriggerException) as asked:
            FullProofOperator(task_id="full_proof").execute(self.context("full_proof"))
        assert asked.value.trigger_dag_id == self.dag_id
        params = dict(asked.value.conf or {})
        return replace(
            self, run_id=asked.value.dag_run_id, params=params, run_type="operator_triggered", scopes=[], canaries=[],
            batches=[], worlds={}, xcom={}, journal=[0, 0],
        )  # fmt: skip

    def through_plan(self) -> None:
        """Preflight, discovery, and the plan."""
        self.preflight()
        self.discover()
        self.plan()

    def whole(self) -> dict[str, Any]:
        """Every stage, approved by omar; returns the summary."""
        self.through_plan()
        self.approve()
        self.canary()
        self.revoke()
        self.verify()
        return self.report()

    @contextmanager
    def ledger(self) -> Iterator[Any]:
        """The ledger, for looking."""
        from rescind.ledger import Ledger

        with Ledger(self.bench.ledger_dsn) as ledger:
            yield ledger


@dataclass
class Offboard(Review):
    """One DAG run that events of the asset started.

    :param given: the events that Airflow gave to the run, and ``stored`` all events of the asset.
    """

    dag_id: ClassVar[str] = "offboard"
    given: list[Any] = field(default_factory=list)
    stored: list[Any] = field(default_factory=list)
    started: datetime | None = None
    """When Airflow started the run; None: at the time of the last event."""
    airflow: Any = None
    """Airflow's API, where the test has one: it gets the answer, as Airflow records it."""

    def context(self, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """As Airflow does, with the events beside."""
        from rescind.dag_parts.review_dag import leavers

        found = super().context(task_id, map_index)
        found["dag_run"].conf = {"follows": self.params["follows"]} if "follows" in self.params else {}
        last = max((one.timestamp for one in self.stored), default=datetime.now(UTC))
        found["dag_run"].start_date = self.started or last
        stored = StoredEvents(self.stored)
        return {**found, "triggering_asset_events": {leavers(): self.given}, "inlet_events": {leavers(): stored}}

    def operator(self) -> Any:
        """The operator of preflight."""
        from rescind.dag_parts.review_dag import leavers
        from rescind.operators.offboard import OffboardPreflightOperator

        return OffboardPreflightOperator(task_id="preflight", asset=leavers())

    def preflight(self) -> None:
        self.scopes = self.operator().execute(self.context("preflight"))

    def approve(self, user: str = "omar", answer: str = "approve", name: str = "", **fields: Any) -> None:
        super().approve(user, answer, name, **fields)
        if self.airflow is not None:
            with self.ledger() as ledger:
                digest = ledger.plans.get(ledger.runs.find(self.dag_id, self.run_id).run_id).digest
            self.airflow.answered(f"Approve {digest}", user)

    def approval(self) -> Any:
        from rescind.operators.offboard import OffboardApproveOperator

        return OffboardApproveOperator(task_id="approve")

    def second(self) -> Any:
        from rescind.operators.offboard import OffboardApprovePartOperator

        return OffboardApprovePartOperator(task_id="approve_part")


@dataclass
class Restore(Review):
    """One DAG run that restores, stage by stage."""

    dag_id: ClassVar[str] = "restore_access"

    def preflight(self) -> None:
        from rescind.operators.restore import RestorePreflightOperator

        self.scopes = RestorePreflightOperator(task_id="preflight").execute(self.context("preflight"))

    def discover(self) -> None:
        from rescind.operators.restore import ReadTouchedOperator

        for index, scope in enumerate(self.scopes):
            ReadTouchedOperator(task_id="read", scope=scope).execute(self.context("read", index))

    def plan(self) -> None:
        from rescind.operators.restore import PlanRestoreOperator

        self.batches = PlanRestoreOperator(task_id="plan").execute(self.context("plan"))

    def approval(self) -> Any:
        from rescind.operators.restore import ApproveRestoreOperator

        return ApproveRestoreOperator(task_id="approve")

    def revoke(self) -> list[dict[str, Any]]:
        """Restore, batch by batch."""
        from rescind.operators.restore import RestoreBatchOperator

        with self.sending():
            return [
                RestoreBatchOperator(task_id="restore", batch=batch).execute(self.context("restore", index))
                for index, batch in enumerate(self.batches)
            ]

    def verify(self) -> list[dict[str, Any]]:
        from rescind.operators.restore import VerifyRestoreOperator

        return [
            VerifyRestoreOperator(task_id="verify", scope=scope).execute(self.context("verify", index))
            for index, scope in enumerate(self.scopes)
        ]


def protections(facts: dict[str, Any]) -> dict[str, Any]:
    """A protections file for the emulator's protected people."""
    people = [{"space": "person_id", "id": p["person_id"], "reason": p["reason"]} for p in facts["people"]]
    return {"format": 1, "unknown_kind": "protect", "kinds": ["system"], "principals": people, "resources": []}


def ledger_connection(dsn: str) -> dict[str, Any]:
    """An Airflow connection for a libpq DSN or URL."""
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(dsn)
    return {
        "conn_type": "postgres",
        "host": quote(str(parts.get("host", "")), safe="/.:"),
        "port": int(str(parts["port"])) if parts.get("port") else None,
        "login": parts.get("user"),
        "password": parts.get("password"),
        "schema": parts.get("dbname"),
    }
