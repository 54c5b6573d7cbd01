"""Report and gate: the closing summary, and a failed run whenever access may remain."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from rescind.airflow_support.links import EvidenceLink, ReportLink, ReviewLink, page_address
from rescind.hooks.airflow_instance.api import write_note
from rescind.hooks.evidence_store import write_evidence
from rescind.hooks.signing_keys import approval_keys
from rescind.i18n import reading
from rescind.ledger import Ledger
from rescind.operators.bases.announcing import AnnouncingMixin
from rescind.operators.bases.review import NOTHING_TO_DO, REFUSAL, ReviewOperator
from rescind.workflow.run_summary import build_summary, headline, summary_lines, write_items

if TYPE_CHECKING:
    from airflow.sdk import Context

    from rescind.ledger import Run
    from rescind.notifications.announce import Notifier
    from rescind.notifications.events import Notice
    from rescind.settings import Settings

NO_EVIDENCE = "the evidence of this run was not written; see the log of the report task and clear that task"


class ReportOperator(ReviewOperator):
    """Close the run in the ledger and write its summary (JSON), items (JSON Lines), evidence bundle and report.

    The lines of the summary are in this task's log. Its headline becomes the note of the DAG run if the connection of
    :mod:`rescind.hooks.airflow_instance.api` exists, because Airflow's task interface cannot write notes.

    :returns: the locations of ``summary``, ``report``, ``bundle`` and ``tables``, and headline figures.
    """

    operator_extra_links = (ReviewLink(), ReportLink(), EvidenceLink())
    report_at = bundle_at = ""
    """Addresses of report and bundle for the links. Empty until both are written."""

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Report",
        "doc_md": "Closes the run and writes summary, evidence bundle, and the report as one HTML file.",
    }

    def review(self, context: Context, ledger: Ledger) -> dict[str, Any]:
        """Write everything.

        :raises ConfigurationError: when the evidence cannot be written.
        """
        run = self.find_run(context, ledger)
        if run is None:
            raise AirflowSkipException("Preflight did not begin a run: nothing to report")
        settings = self.settings_of(ledger, run)
        ledger.approvals.keys = approval_keys(self.settings())  # never as recorded in the ledger
        summary = build_summary(ledger, run, settings)
        folder = settings.path("summaries")
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{run.run_id}.json"
        items = folder / f"{run.run_id}.items.jsonl"
        write_items(ledger, run, items)
        summary["items_file"] = str(items)
        # The gate fails until the bundle is written, whatever else has been proven.
        unwritten = {**summary, "problems": [*summary["problems"], NO_EVIDENCE]}
        closed = ledger.runs.finish(run.run_id, summary["state"], unwritten)
        summary |= write_evidence(ledger, closed, settings)
        path.write_text(json.dumps(summary, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
        ledger.runs.finish(run.run_id, summary["state"], summary)
        for line in summary_lines(summary):
            self.log.info(line)
        places = {name: summary[name] for name in ("report", "bundle", "tables")}
        self.report_at, self.bundle_at = str(summary["report"]), str(summary["bundle"])
        with reading(settings.language, settings.time_zone):
            note = headline(summary)
        self.log.info(write_note(run.dag_id, run.airflow_run_id, note))
        self.log.info("the run with report and evidence: %s", page_address(run.number))
        return {"summary": str(path), **places, "state": summary["state"], "findings": len(summary["findings"])}


class GateOperator(AnnouncingMixin, ReviewOperator):
    """Fail the run if access that should be gone may remain, or if a scope was not listed completely.

    It also tells chats about such a run, and about one that ended while access remains, once. If a run that they were
    told about ends in another way later, because tasks were cleared, they are told that too.

    :param notifiers: notifiers that are told, beside the chats of the setting ``notifications``.
    """

    operator_extra_links = (ReviewLink(), ReportLink(), EvidenceLink())
    report_at = bundle_at = ""

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Gate",
        "doc_md": "Fails unless every planned item is proven gone or listed as an open finding.",
    }

    def __init__(self, *, notifiers: Sequence[Notifier] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.told = list(notifiers)

    def _ended(self, ledger: Ledger, run: Run, settings: Settings) -> Notice | None:
        from rescind.notifications import events  # only where something is told

        return events.ended(ledger, run, settings)

    def review(self, context: Context, ledger: Ledger) -> str:
        """Fail with every problem that the summary names, or with the reason for which preflight refused the run."""
        if self.find_run(context, ledger) is None:
            refusal = context["ti"].xcom_pull(task_ids="preflight", key=REFUSAL)
            if refusal:
                raise AirflowFailException(f"preflight refused this run, and nothing was sent: {refusal}")
            nothing = context["ti"].xcom_pull(task_ids="preflight", key=NOTHING_TO_DO)
            if nothing:
                raise AirflowSkipException(str(nothing))
        run = self.run_of(context, ledger)
        self.report_at, self.bundle_at = str(run.summary.get("report", "")), str(run.summary.get("bundle", ""))
        self.announce(context, ledger, lambda settings: self._ended(ledger, run, settings))
        problems = list(run.summary.get("problems", ["the report was not written"]))
        outcome = run.summary.get("outcome", {})
        self.log.info("%s: %s", page_address(run.number), outcome.get("words", run.state))
        for line in outcome.get("remains", ()):
            self.log.warning("what remains: %s", line)
        if problems:
            raise AirflowFailException("; ".join([*problems, *filter(None, [run.summary.get("next_step")])]))
        return str(run.summary["state"])
