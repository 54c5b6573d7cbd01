"""Discovery: one mapped task for each scope."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from rescind.errors import ListingIncomplete, RescindError
from rescind.ledger import Certificate, Ledger, Scope
from rescind.operators.base import ScopeOperator, connected
from rescind.systems import system_named
from rescind.systems.base import Discovery

if TYPE_CHECKING:
    from airflow.sdk import Context


class DiscoverOperator(ScopeOperator):
    """Lists every grant of one scope and writes it, with its population certificate, to the ledger.

    A listing that is not whole marks the scope as incomplete and fails the task: nothing of that scope
    is revoked or called gone. Run again, the scope is rewritten as one.

    """

    LOOKS: ClassVar[dict[str, str]] = {
        "task_display_name": "Discover",
        "map_index_template": "{{ task.scope['label'] }}",
        "doc_md": "Lists every grant of one system and account, completely, under the vendor's limit.",
    }

    def review(self, context: Context, ledger: Ledger) -> dict[str, Any]:
        """See the class."""
        run = self.run_of(context, ledger)
        scope = self.scope_of(run, ledger)
        started = datetime.now(UTC)
        try:
            found, own, identity = asyncio.run(self._discover(ledger, scope))
        except RescindError as error:
            missing = error.missing if isinstance(error, ListingIncomplete) else ""
            ledger.scopes.fail(run.run_id, scope.scope_id, f"{type(error).__name__}: {error} {missing}".strip()[:2000])
            raise
        certificate = _certificate(found, own, identity, started)
        ledger.snapshot.replace_scope(
            run.run_id, scope.scope_id, found.grants, found.principals, found.memberships, certificate
        )
        facts = {"grants": len(found.grants), "list_calls": certificate.pages, **found.notes}
        self.log.info("%s: %s", self.scope["label"], facts)
        return facts

    async def _discover(self, ledger: Ledger, scope: Scope) -> tuple[Discovery, list[str], str]:
        system = system_named(scope.system)
        async with connected(system, scope.conn_id, ledger, self.settings(), account=scope.account) as (client, _):
            found = await system.discover(client)
            own = {*await system.own_ids(client), *client.settings.own_ids}
            caller = client.identity
            return found, sorted(own), (caller.arn or caller.user_id) if caller else ""


def _certificate(found: Discovery, own: list[str], identity: str, started: datetime) -> Certificate:
    declared = [record.declared for record in found.records if record.declared is not None]
    return Certificate(
        identity=identity,
        query={"listings": sorted({record.action for record in found.records})},
        pages=sum(record.pages for record in found.records),
        counted=len(found.grants),
        duplicates=sum(record.duplicates for record in found.records),
        page_digests=tuple(page for record in found.records for page in record.page_digests),
        notes={
            **found.notes,
            "own_ids": own,
            "rows_declared": sum(declared),
            "rows_counted": sum(record.counted for record in found.records),
        },
        started_at=started,
        ended_at=datetime.now(UTC),
    )
