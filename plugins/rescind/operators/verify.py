"""Verification: one mapped task for each scope."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar

from rescind.execution.verify import ScopeReport, ScopeVerifier
from rescind.ledger import Ledger, Run, Scope
from rescind.operators.base import ReviewOperator, open_client
from rescind.systems import system_named

if TYPE_CHECKING:
    from airflow.sdk import Context


class VerifyOperator(ReviewOperator):
    """Reads the touched places of one scope again, completely, and gives every item a verdict.

    Runs whatever became of the revocation; with nothing planned it does nothing.

    :param scope: ``{"scope": id, "label": text}`` from preflight.
    """

    template_fields = ()
    LOOKS: ClassVar[dict[str, str]] = {
        "task_display_name": "Verify",
        "map_index_template": "{{ task.scope['label'] }}",
        "doc_md": "Complete re-reads: is it gone, is other access left, is everything else untouched?",
    }
    """Name, label and documentation of the mapped task: what ``partial`` needs to know before mapping."""

    def __init__(self, *, scope: dict[str, str], **kwargs: Any) -> None:
        super().__init__(**{**self.LOOKS, **kwargs})
        self.scope = scope

    def review(self, context: Context, ledger: Ledger) -> dict[str, Any]:
        """See the class."""
        run = self.run_of(context, ledger)
        scope = ledger.scopes.get(run.run_id, self.scope["scope"])
        if run.dry_run or scope.state != "complete":
            self.log.info("nothing to verify: %s", "dry run" if run.dry_run else "the scope is not complete")
            return ScopeReport().as_dict()
        report = asyncio.run(self._verify(ledger, run, scope))
        self.log.info("%s: %s", self.scope["label"], report.as_dict())
        return report.as_dict()

    async def _verify(self, ledger: Ledger, run: Run, scope: Scope) -> ScopeReport:
        settings = self.settings()
        system = system_named(scope.system)
        client, pacer = open_client(system, scope.conn_id, ledger, settings)
        try:
            async with client:
                await client.identify()
                verifier = ScopeVerifier(
                    ledger=ledger,
                    system=system,
                    client=client,
                    run_id=run.run_id,
                    account=scope.account,
                    settle_seconds=settings.settle_seconds,
                    settle_limit_seconds=settings.settle_limit_seconds,
                )
                return await verifier.run()
        finally:
            await pacer.aclose()
