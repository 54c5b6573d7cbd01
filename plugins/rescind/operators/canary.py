"""The canary: a few grants of a large plan are revoked and verified before the rest is sent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from rescind.errors import ConfigurationError
from rescind.ledger import Batch, Ledger, Run
from rescind.operators.bases.review import BatchOperator, ReviewOperator
from rescind.operators.bases.settling import SettlingOperator
from rescind.operators.verify import verified
from rescind.workflow.execute.canary import require_canaries
from rescind.workflow.references import BatchRef

if TYPE_CHECKING:
    from airflow.sdk import Context


class VerifyCanaryOperator(SettlingOperator, BatchOperator):
    """Verify the items of one canary batch; fail if one is not proven gone or a retained grant is missing.

    :param batch: ``{"batch": id, "label": text}`` from the plan.
    """

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Verify canary",
        "map_index_template": "{{ task.batch['label'] }}",
        "doc_md": "Re-lists the resources of the canary. Anything unproven stops the run before the rest is sent.",
    }

    def verify(self, context: Context, ledger: Ledger, waited: float) -> dict[str, Any]:
        """Verify the batch.

        :raises GuardTrippedError: when an item is not proven gone or a retained grant is missing.
        """
        run = self.run_of(context, ledger)
        settings = self.settings_of(ledger, run)
        batch = planned_batch(ledger, run, self.batch["batch"])
        self.show_console(batch.system, batch.conn_id)
        scope = next(
            scope
            for scope in ledger.scopes.all(run.run_id)
            if (scope.system, scope.account) == (batch.system, batch.account)
        )
        patience = self.patience(settings, waited)
        report = asyncio.run(verified(context, ledger, run, scope, settings, patience, batch_id=batch.batch_id))
        self.log.info("%s: %s", self.batch["label"], report.as_dict())
        if report.worth_waiting:
            self.come_again(settings, waited)
        require_canaries(ledger, run.run_id, batch.batch_id)
        return report.as_dict()


class ProceedOperator(ReviewOperator):
    """Return the remaining batches of the plan once every canary is proven, or if the plan has none.

    :returns: one ``{"batch": id, "label": text}`` for each batch that is not a canary.
    """

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Proceed",
        "doc_md": "Releases the remaining batches once the canary, if there is one, is proven.",
    }

    def review(self, context: Context, ledger: Ledger) -> list[BatchRef]:
        """Return the batches.

        :raises GuardTrippedError: when a canary is not proven.
        """
        run = self.run_of(context, ledger)
        canaries = require_canaries(ledger, run.run_id)
        batches = named_batches(ledger, run, canary=False)
        self.log.info("%d canaries proven, %d batches to send", canaries, len(batches))
        return batches


def named_batches(ledger: Ledger, run: Run, *, canary: bool) -> list[BatchRef]:
    """Return the canary batches of the live plan, or the others, for mapping."""
    batches = [batch for batch in ledger.plans.batches(run.run_id) if batch.canary == canary]
    return [{"batch": batch.batch_id, "label": batch.label} for batch in batches]


def planned_batch(ledger: Ledger, run: Run, batch_id: str) -> Batch:
    """Return one batch of the live plan.

    :raises ConfigurationError: when the current plan has no such batch.
    """
    batch = next((b for b in ledger.plans.batches(run.run_id) if b.batch_id == batch_id), None)
    if batch is None:
        raise ConfigurationError("this batch is not part of the current plan. Start a new run")
    return batch
