"""Verify: one mapped task per scope."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from rescind.airflow_support.progress_board import Board
from rescind.hooks.clients import reading
from rescind.ledger import Ledger, Run, Scope
from rescind.operators.bases.review import ScopeOperator
from rescind.operators.bases.settling import SettlingOperator
from rescind.settings import Settings
from rescind.systems import system_named
from rescind.workflow.execute.progress_meter import Meter
from rescind.workflow.execute.verification.verify import ScopeReport, ScopeVerifier
from rescind.workflow.same_people import same_people

if TYPE_CHECKING:
    from airflow.sdk import Context


class VerifyOperator(SettlingOperator, ScopeOperator):
    """Re-list every affected resource of one scope completely and give every item a verdict.

    Runs whatever the result of the revocation. Does nothing if nothing was planned.
    """

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Verify",
        "map_index_template": "{{ task.scope['label'] }}",
        "doc_md": "Re-lists every affected resource. Is access gone, does a path remain, is the rest unchanged?",
    }

    def verify(self, context: Context, ledger: Ledger, waited: float) -> dict[str, Any]:
        """Verify the scope."""
        run = self.run_of(context, ledger)
        settings = self.settings_of(ledger, run)
        scope = self.scope_of(run, ledger)
        if run.dry_run or scope.state != "complete":
            self.log.info("nothing to verify: %s", "dry run" if run.dry_run else "the scope is not complete")
            return ScopeReport().as_dict()
        patience = self.patience(settings, waited)
        report = asyncio.run(verified(context, ledger, run, scope, settings, patience))
        self.log.info("%s: %s", self.scope["label"], report.as_dict())
        if report.worth_waiting:
            self.come_again(settings, waited)
        return report.as_dict()


async def verified(
    context: Context,
    ledger: Ledger,
    run: Run,
    scope: Scope,
    settings: Settings,
    patience: float,
    *,
    batch_id: str | None = None,
) -> ScopeReport:
    """Verify the planned items of one scope, or of one batch of it.

    :param patience: seconds to wait while the platform still shows an item.
    """
    system = system_named(scope.system)
    async with reading(system, scope, ledger, settings) as (client, pacer):
        stage = "verify" if batch_id is None else "verify_canary"
        label = f"{system.title} · {scope.account}"
        part = batch_id or scope.scope_id
        board = Board(context, ledger, run.run_id, stage, part, label, "list calls", system.name, pacer)
        meter = Meter(board.show)
        pacer.on_answer = meter.add
        verifier = ScopeVerifier(
            ledger=ledger,
            system=system,
            client=client,
            run_id=run.run_id,
            account=scope.account,
            settle_seconds=settings.settle_seconds,
            settle_limit_seconds=patience,
            batch_id=batch_id,
            same_people=same_people(ledger, run, scope.system, scope.account),
            meter=meter,
        )
        async with meter.running():
            return await verifier.run()
