"""Discovery: one mapped task for each scope."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from rescind.airflow_support.progress_board import Board
from rescind.cloud.pacing.counting_pacer import CountingPacer
from rescind.cloud.paging import ListingRecord
from rescind.errors import ListingIncompleteError, RescindError
from rescind.hooks.clients import connected, reading
from rescind.ledger import PARTS_OF_PEOPLE, Baseline, Certificate, Ledger, Listing, Run, Scope
from rescind.ledger.population.snapshot import ScopeSpool
from rescind.model import KNOWN_ACCESS, Grant, Membership, Principal
from rescind.operators.bases.review import ScopeOperator
from rescind.settings import Settings
from rescind.systems import system_named
from rescind.systems.last_use import NOT_ASKED, UNTOLD, UsageRequest
from rescind.systems.population import Population, Sentinel
from rescind.workflow.execute.progress_meter import Meter
from rescind.workflow.offboarding.named_people import NOTE, RunPeople

if TYPE_CHECKING:
    from airflow.sdk import Context

MOST_LEFT_OUT = 50
"""Objects without a review that a certificate names."""
SHRINK_FROM = 20
"""Populations with fewer grants than this may shrink freely: a percentage means little for them."""


class DiscoverOperator(ScopeOperator):
    """List every grant of one scope and write it, with its certificate of completeness, to the ledger.

    An incomplete listing marks the scope as incomplete and fails the task: nothing in that scope is revoked or
    reported as gone. A missing sentinel and a population that shrank without a reason do the same. A retry replaces
    the scope as a whole. Grants are spooled to disk as they are read, so memory stays constant.
    """

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Discover",
        "map_index_template": "{{ task.scope['label'] }}",
        "doc_md": "Lists every grant of one system and account completely, under the vendor's rate limit.",
    }

    def review(self, context: Context, ledger: Ledger) -> dict[str, Any]:
        """Discover the scope."""
        run = self.run_of(context, ledger)
        scope = self.scope_of(run, ledger)
        settings = self.settings_of(ledger, run)
        with ledger.snapshot.spool(run.run_id, scope.scope_id) as spool:
            listing = _ScopeListing(_SpoolSink(spool), scope, settings)
            try:
                listing.ask_use(run)
                if scope.part in PARTS_OF_PEOPLE:
                    listing.people = RunPeople(ledger, run, scope, listing.sentinel_holders)
                asyncio.run(listing.read(context, ledger))
                # A part has no earlier size; its records are compared with the last listing of everybody instead.
                if listing.people is None:
                    check_size(listing.found.grants, ledger.scopes.baseline(run.run_id, scope.scope_id), settings)
            except RescindError as error:
                _fail(ledger, run, scope, listing, error)
                raise
            spool.commit(listing.certificate())
        facts = {"grants": listing.found.grants, "list_calls": listing.found.pages, **listing.found.notes}
        self.log.info("%s: %s", self.scope["label"], facts)
        for log, read in sorted((listing.found.usage.notes if listing.found.usage else {}).items()):
            level = self.log.info if read["complete"] else self.log.warning
            level("last use, %s: %s", log, read)
        if listing.found.dangling:
            self.log.warning(
                "%d references name something that no listing shows: %s",
                listing.found.dangling.total(),
                ", ".join(listing.found.dangling_examples),
            )
        return facts


class _ScopeListing:
    """One scope while it is listed, and the content of its certificate.

    :ivar people: in a part of named people, who they are.
    """

    def __init__(self, sink: _SpoolSink, scope: Scope, settings: Settings) -> None:
        known = settings.sentinels.get(scope.system, ())
        wanted = [Sentinel(k.principal, k.resource, k.entitlement) for k in known if k.account in ("", scope.account)]
        self._sink = sink
        self.found = Population(sink, wanted, settings.not_reviewed.get(scope.system, ()))
        self.sentinels = wanted
        self.sentinel_holders = frozenset(one.principal for one in wanted)
        self.people: RunPeople | None = None
        self._scope, self._settings = scope, settings
        self._started = datetime.now(UTC)
        self._identity = self._caller = ""
        self._own: set[str] = set()

    def ask_use(self, run: Run) -> None:
        """Ask when grants were last used, in a review by policy with the setting ``last_used``: not about a leaver."""
        asked = self._settings.last_used
        if asked is None:
            return
        if run.params.get("kind") != "policy":
            self._sink.no_use = NOT_ASKED
            return
        self._sink.no_use = UNTOLD
        if system_named(self._scope.system).usage_reads:
            self.found.usage = UsageRequest(asked.days, asked.max_calls)

    async def read(self, context: Context, ledger: Ledger) -> None:
        """Read the whole population. Note the ids of both connections, which are never revoked.

        :raises ListingIncompleteError: when any part of it is missing.
        """
        scope, system = self._scope, system_named(self._scope.system)
        async with reading(system, scope, ledger, self._settings) as (client, pacer):
            meter = _meter(context, ledger, scope, system.title, pacer)
            self._identity = client.identity.name if client.identity else ""
            async with meter.running():
                if self.people is None:
                    await system.discover(client, self.found)
                elif scope.part == KNOWN_ACCESS:
                    containers = await asyncio.to_thread(self.people.containers, self.sentinels)
                    await system.discover_known(client, self.found, containers)
                else:
                    await system.discover_named(client, self.found, self.people)
            self.found.close()
            self._own = {*await system.own_ids(client), *client.settings.own_ids}
        if system.name in self._settings.verifying_connections:
            async with connected(system, scope.conn_id, ledger, self._settings, account=scope.account) as (client, _):
                self._caller = client.identity.name if client.identity else ""
                self._own |= {*await system.own_ids(client), *client.settings.own_ids}

    def certificate(self, *, missing: str = "") -> Certificate:
        """Return the certificate of completeness; with ``missing``, that of an incomplete scope."""
        found = self.found
        return Certificate(
            identity=self._identity,
            query={"listings": sorted(found.actions), "calls": dict(sorted(found.actions.items()))},
            pages=found.pages,
            declared=found.declared,
            counted=found.grants,
            duplicates=found.repeats,
            dangling=found.dangling.total(),
            complete=not missing,
            missing=missing,
            notes={
                **found.notes,
                "own_ids": sorted(self._own),
                "not_reviewed": found.left_out[:MOST_LEFT_OUT],
                "not_reviewed_count": len(found.left_out),
                "surfaces": dict(sorted(found.surfaces.items())),
                **({NOTE: self.people.note()} if self.people else {}),
                **({"gaps": [gap._asdict() for gap in found.gaps]} if found.gaps else {}),
                "declared_surfaces": [asdict(surface) for surface in system_named(self._scope.system).surfaces],
                **({"caller": self._caller} if self._caller else {}),
                "rows_declared": found.declared,
                "rows_counted": found.rows,
                "second_passes": found.second_passes,
                "sentinels": found.sentinels,
                "dangling": dict(sorted(found.dangling.items())),
                "dangling_examples": found.dangling_examples,
                **({"last_used": {"calls": found.usage.calls, "logs": found.usage.notes}} if found.usage else {}),
            },
            started_at=self._started,
            ended_at=datetime.now(UTC),
        )


def _meter(context: Context, ledger: Ledger, scope: Scope, title: str, pacer: CountingPacer) -> Meter:
    """Count list calls. The expected total is what the last complete run of this scope needed."""
    run_id, label = scope.run_id, f"{title} · {scope.account}"
    meter = Meter(
        Board(context, ledger, run_id, "discover", scope.scope_id, label, "list calls", scope.system, pacer).show
    )
    before = ledger.scopes.baseline(run_id, scope.scope_id)
    past = ledger.progress.of_run(before.run_id) if before else []
    meter.of = next((task.done for task in past if (task.stage, task.label) == ("discover", label)), 0)
    pacer.on_answer = meter.add
    return meter


class _SpoolSink:
    """Adapts a scope spool of the ledger to what a discovery writes to."""

    def __init__(self, spool: ScopeSpool) -> None:
        self._spool = spool
        self.no_use = ""
        """Why nothing is known about the use of grants that say nothing about it; empty if the run does not ask."""

    def add_grants(self, grants: Iterable[Grant]) -> None:
        if self.no_use:
            grants = (one if one.last_use else replace(one, last_use=self.no_use) for one in grants)
        self._spool.add_grants(grants)

    def add_principals(self, principals: Iterable[Principal]) -> None:
        self._spool.add_principals(principals)

    def add_memberships(self, memberships: Iterable[Membership]) -> None:
        self._spool.add_memberships(memberships)

    def add_record(self, record: ListingRecord) -> None:
        self._spool.add_listing(
            Listing(
                action=record.action,
                parameters_digest=record.parameters_digest,
                pages=record.pages,
                declared=record.declared,
                counted=record.counted,
                duplicates=record.duplicates,
                passes=record.restarts + 1,
                null_as_empty=record.null_as_empty,
                page_digests=record.page_digests,
                request_ids=record.request_ids,
                started_at=record.started_at,
                finished_at=record.finished_at,
            )
        )


def check_size(counted: int, before: Baseline | None, settings: Settings) -> None:
    """Compare a population with its last complete listing.

    Grants that the earlier run proved gone are subtracted first: our own revocations are expected.

    :raises ListingIncompleteError: when it shrank by more than the setting ``max_shrink_percent`` allows.
    """
    if before is None or before.counted < SHRINK_FROM:
        return
    expected = max(0, before.counted - before.removed)
    if counted * 100 < expected * (100 - settings.max_shrink_percent):
        removed = f" (less {before.removed} revoked by it)" if before.removed else ""
        raise ListingIncompleteError(
            "the population",
            f"{counted} grants found, {before.counted} at the last complete listing, run {before.run_number}{removed}:"
            f" more than max_shrink_percent ({settings.max_shrink_percent}) allows. Check the rights of the reading"
            " key; if the grants are really gone, raise the setting for one run (100 turns the check off)",
        )


def _fail(ledger: Ledger, run: Run, scope: Scope, listing: _ScopeListing, error: RescindError) -> None:
    missing = error.missing if isinstance(error, ListingIncompleteError) else ""
    text = f"{type(error).__name__}: {error}"
    certificate = listing.certificate(missing=(missing or text)[:2000])
    ledger.scopes.fail(run.run_id, scope.scope_id, text[:2000], certificate)
