"""The last task of a run of known access: it starts the run over everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from rescind.compat import DagRunTriggerException
from rescind.ledger import Ledger
from rescind.operators.bases.review import ReviewOperator
from rescind.workflow.offboarding.full_proof import following_conf
from rescind.workflow.offboarding.named_people import reads_known

if TYPE_CHECKING:
    from airflow.sdk import Context


class FullProofOperator(ReviewOperator):
    """Start the run over everybody that follows a run of known access, whatever came of that; skipped after all others.

    Airflow gives the new run the requester of this one. Its id is made of this run's, so a cleared task starts no
    second one.
    """

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Full proof",
        "doc_md": "After a run of known access: starts the same run over everybody, which proves the rest or asks.",
    }

    def review(self, context: Context, ledger: Ledger) -> None:
        """Have Airflow start the run.

        :raises AirflowFailException: when this run is not closed; the new one would be refused, and its id taken.
        :raises AirflowSkipException: when this run listed everybody, or did not begin.
        :raises DagRunTriggerException: with the run to start; Airflow does it.
        """
        run = self.find_run(context, ledger)
        if run is None or not reads_known(ledger, run):
            raise AirflowSkipException("This run did not read known access only: no other run has to follow")
        if run.finished_at is None:
            raise AirflowFailException(f"run {run.number} has not ended: clear the task report, and with it this one")
        raise DagRunTriggerException(
            trigger_dag_id=run.dag_id,
            dag_run_id=f"full_proof__{run.airflow_run_id}",
            conf=following_conf(run, context["params"]),
            logical_date=None,
            reset_dag_run=False,
            skip_when_already_exists=True,
            wait_for_completion=False,
            allowed_states=[],
            failed_states=[],
            poke_interval=60,
            deferrable=False,
        )
