"""Operators of the DAG that restores what a run revoked, stage by stage."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import rescind
from rescind.airflow_support.kill_switch_variable import StopVariable, refuse_if_set
from rescind.airflow_support.pools import REVOKE_POOL, VERIFY_POOL
from rescind.errors import GuardTrippedError, InputError, RescindError
from rescind.hooks.airflow_instance.pools import check_pools
from rescind.hooks.clients import connected
from rescind.hooks.evidence_store import check_evidence
from rescind.hooks.ledger import check_ledger
from rescind.hooks.signing_keys import check_approval_key
from rescind.ledger import Batch, Certificate, Lease, Ledger, NewInput, NewRun, Plan, Run, Scope, ScopeSpec
from rescind.model import Grant
from rescind.operators.bases.review import RefusingOperator, ReviewOperator, ScopeOperator
from rescind.operators.canary import named_batches
from rescind.operators.preflight import check_approvers, check_requester, hidden_variables, log_settings
from rescind.operators.questions.approve import ApprovePlanOperator
from rescind.operators.revoke import RevokeBatchOperator
from rescind.settings import Settings
from rescind.systems import system_named
from rescind.users import shown_user
from rescind.workflow.execute.batch_sender import BatchReport, BatchSender
from rescind.workflow.execute.direction import ClaimedBatch
from rescind.workflow.execute.listings import read_listings
from rescind.workflow.execute.restoration import Restoration
from rescind.workflow.execute.verification.verify_restore import RestoreReport, RestoreVerifier
from rescind.workflow.own_access import Receivers
from rescind.workflow.references import BatchRef, ScopeRef
from rescind.workflow.restore.planner import (
    GONE_HOLDERS,
    GONE_LISTINGS,
    TOUCHED,
    RestorePlanner,
    granting,
    reading_scopes,
)
from rescind.workflow.restore.request import RestoreRequest, chosen, source_of
from rescind.workflow.restore.source import RestoreSource, restore_source
from rescind.workflow.restore.text import RestoreText
from rescind.workflow.run_occasion import Start, occasion
from rescind.workflow.run_settings import record_settings

if TYPE_CHECKING:
    from airflow.sdk import Context

_FIELDS = frozenset(RestoreRequest.model_fields) - {"root"}


class RestorePreflightOperator(RefusingOperator):
    """Check request, source run, caps, approvers and both kinds of connections, and begin the run in the ledger.

    :returns: one ``{"scope": id, "label": text}`` for each affected system and account, for mapping.
    """

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Preflight",
        "doc_md": "Checks the run to restore, the selection, caps, approvers and granting connections.",
    }

    def asked_as(self, context: Context) -> str:
        """Return the kind of a restore."""
        return "restore"

    def review(self, context: Context, ledger: Ledger) -> list[ScopeRef]:
        """Run every check and return the scopes."""
        settings, request = self.settings(), _request(context)
        dag_run = context["dag_run"]
        requester = Start.of(dag_run).person
        if not requester:
            raise InputError("requester", "is not a person", "Only a person can restore access: trigger the DAG")
        if not request.dry_run and request.cap(settings) == 0:
            raise InputError("max_restores", "is 0, which means that nothing may be restored", "Raise the cap")
        check_ledger(ledger)
        check_approvers(settings, requester, request.dry_run, ledger.deployment.auth_manager())
        standing = check_requester(dag_run, settings, request.dry_run)
        ledger.kill_switch.raise_if_stopped()
        refuse_if_set(StopVariable())
        self.log.info(check_pools((REVOKE_POOL, VERIFY_POOL)))
        check_evidence(settings, ledger)
        check_approval_key(settings, request.dry_run)
        found = restore_source(ledger, settings, request)
        source, grants = found.run, found.grants
        self.log.info("run %d: %s", source.number, found.described())
        Receivers(found, settings).refuse_own("requester", requester)
        request = request.model_copy(update={"run": source.run_id, "root": found.root} if found.root else {})
        reading = reading_scopes(ledger, source, grants)
        asyncio.run(_identify(ledger, settings, reading))
        run = ledger.runs.begin(
            NewRun(
                dag_id=dag_run.dag_id,
                airflow_run_id=dag_run.run_id,
                kind="restore",
                requested_by=requester,
                reason=request.reason,
                ticket=request.ticket,
                params=request.model_dump(mode="json"),
                dry_run=request.dry_run,
                policy_version=source.policy_version,
                code_version=rescind.__version__,
            ),
            [
                occasion(context, settings, ledger.role(), standing),
                self._settings(ledger, dag_run.dag_id, settings, request),
            ],
        )
        self.run_number = run.number
        log_settings(ledger, run)
        specs = [ScopeSpec(scope.system, scope.account, TOUCHED, scope.conn_id) for scope in reading]
        self.log.info(
            "run %s (number %d) restores %d grants of run %d, requested by %s%s",
            run.run_id,
            run.number,
            len(grants),
            source.number,
            requester,
            " (dry run)" if run.dry_run else "",
        )
        return [
            {"scope": scope.scope_id, "label": f"{system_named(scope.system).title} · {scope.account}"}
            for scope in ledger.scopes.open(run.run_id, specs)
        ]

    def _settings(self, ledger: Ledger, dag_id: str, settings: Settings, request: RestoreRequest) -> NewInput:
        """Return the record of the settings of a run that begins."""
        form = {"dry_run": request.dry_run, "max_restores": request.cap(settings)}
        return record_settings(ledger, settings, dag_id=dag_id, form=form, environment=hidden_variables())


class ReadTouchedOperator(ScopeOperator):
    """List every resource that the restore affects, and find the principals that no longer exist.

    The result is the run's snapshot. Grants that exist already are skipped, and none of the listed grants may be
    missing afterwards. An incomplete listing makes the scope incomplete: nothing is restored there.
    """

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Read touched resources",
        "map_index_template": "{{ task.scope['label'] }}",
        "doc_md": "Lists each resource that the restore affects, before anything is sent.",
    }

    def review(self, context: Context, ledger: Ledger) -> dict[str, Any]:
        """List the scope."""
        run = self.run_of(context, ledger)
        settings = self.settings_of(ledger, run)
        scope = self.scope_of(run, ledger)
        request = RestoreRequest.model_validate(dict(run.params))
        grants = chosen(ledger, source_of(ledger, request), request)
        mine = [g for g in grants.values() if (g.key.system, g.key.account) == (scope.system, scope.account)]
        try:
            certificate, shown = asyncio.run(_read(ledger, settings, scope, mine))
        except RescindError as error:
            ledger.scopes.fail(run.run_id, scope.scope_id, f"{type(error).__name__}: {error}"[:2000])
            raise
        ledger.snapshot.replace_scope(run.run_id, scope.scope_id, shown, (), (), certificate)
        facts = {"items": len(mine), "shown": len(shown), "list_calls": certificate.pages}
        self.log.info("%s: %s", self.scope["label"], facts)
        return facts


class PlanRestoreOperator(ReviewOperator):
    """Plan the restore and freeze it under one digest.

    :returns: one ``{"batch": id, "label": text}`` for each batch, for mapping; none for a dry run.
    """

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Plan",
        "doc_md": "Finds the fewest calls that restore exactly the selected grants, and freezes them under one digest.",
    }

    def review(self, context: Context, ledger: Ledger) -> list[BatchRef]:
        """Freeze the plan.

        :raises GuardTrippedError: when the cap stops the run.
        """
        run = self.run_of(context, ledger)
        settings = self.settings_of(ledger, run)
        ledger.scopes.seal(run.run_id)
        request = RestoreRequest.model_validate(dict(run.params))
        # What shows the truth is not read from the ledger, so neither are the settings for it.
        source = restore_source(ledger, self.settings(), request)
        planner = RestorePlanner(ledger=ledger, run=run, settings=settings, request=request, source=source)
        plan = planner.freeze(now=datetime.now(UTC))
        for line in planner.lines():
            self.log.info(line)
        self.log.info("plan %s: %d items, %d calls", plan.digest, plan.items, plan.calls)
        return [] if run.dry_run else named_batches(ledger, run, canary=False)


class ApproveRestoreOperator(ApprovePlanOperator):
    """Ask the deployment's approvers about a restore.

    See :class:`~rescind.operators.questions.approve.ApprovePlanOperator` for the rules of a question.
    The bundle of the source run is verified again, so the request shows what it shows. An approver who would get access
    back is not asked, and their answer is refused.
    """

    _found: tuple[RestoreSource, Receivers] | None = None

    def leave_out(self, ledger: Ledger, run: Run, plan: Plan) -> dict[str, dict[str, Any]]:
        """Return no field: the form of the run says what is restored."""
        return {}

    def question(self, ledger: Ledger, run: Run, plan: Plan) -> tuple[str, str]:
        """Return subject and body (Markdown) of the request.

        :raises PlanError: when the plan restores a grant that the source run did not revoke.
        """
        source, receivers = self._source(ledger, run)
        users = [(run.requested_by,), *((one.name, one.id) for one in self.settings().approvers)]
        strangers = [
            shown_user(names[-1], names[0]) for names in users if not any(map(receivers.people, filter(None, names)))
        ]
        text = RestoreText(ledger, run, plan, source, strangers)
        return text.subject(), text.body()

    def excluded(self, ledger: Ledger, run: Run, *names: str) -> str:
        """Return why the user with these names may not answer: they would get access back."""
        _, receivers = self._source(ledger, run)
        try:
            receivers.refuse_own("approver", *names)
        except InputError as error:
            self.log.warning("%s may not answer: %s", names[0], error.problem)
            return str(error)
        return ""

    def _source(self, ledger: Ledger, run: Run) -> tuple[RestoreSource, Receivers]:
        if self._found is None:
            settings = self.settings()
            source = restore_source(ledger, settings, RestoreRequest.model_validate(dict(run.params)))
            self._found = source, Receivers(source, settings)
        return self._found


class RestoreBatchOperator(RevokeBatchOperator):
    """Send the calls of one batch of an approved restore, through the granting connection.

    Safe to retry, to clear and to deliver twice. The platform is read through the connection of the review.

    :param batch: ``{"batch": id, "label": text}`` from the plan.
    """

    LABELS: ClassVar[dict[str, str]] = {
        **RevokeBatchOperator.LABELS,
        "task_display_name": "Restore",
        "doc_md": "Sends one batch of approved restore calls. Each intent is stored before its call.",
    }
    OPERATION: ClassVar[str] = "restore"

    async def send(
        self, context: Context, ledger: Ledger, run: Run, batch: Batch, plan: Plan, lease: Lease, settings: Settings
    ) -> BatchReport:
        """Send the batch."""
        system, account = system_named(batch.system), batch.account
        listings = [scope for scope in ledger.scopes.all(run.run_id) if scope.system == batch.system]
        reading = next(scope.conn_id for scope in listings if scope.account == account)
        async with (
            connected(system, batch.conn_id, ledger, settings, account=account) as (client, pacer),
            connected(system, reading, ledger, settings, account=account) as (reader, _),
        ):
            claimed = ClaimedBatch(ledger, system, client, lease, plan.digest)
            restoration = Restoration(
                claimed,
                reader,
                source_run_id=plan.source_run_id,
                settle_seconds=settings.settle_seconds,
                settle_limit_seconds=settings.settle_limit_seconds,
            )
            sender = BatchSender(claimed, restoration, pacer, stop=self._stop)
            return await self.watched(context, sender, batch, pacer)


class VerifyRestoreOperator(ScopeOperator):
    """Re-list the affected resources: every item is as in the snapshot, and nothing else was added or lost."""

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Verify",
        "map_index_template": "{{ task.scope['label'] }}",
        "doc_md": "Re-lists each affected resource: every item as in the snapshot, nothing else added or lost.",
    }

    def review(self, context: Context, ledger: Ledger) -> dict[str, Any]:
        """Verify the scope.

        :raises GuardTrippedError: when a grant appeared that no item asked for.
        """
        run = self.run_of(context, ledger)
        scope = self.scope_of(run, ledger)
        if run.dry_run or scope.state != "complete" or ledger.plans.find(run.run_id) is None:
            self.log.info("nothing to verify: %s", "dry run" if run.dry_run else "no plan, or the scope is incomplete")
            return RestoreReport().as_dict()
        report = asyncio.run(_verified(ledger, run, scope, self.settings_of(ledger, run)))
        self.log.info("%s: %s", self.scope["label"], report.as_dict())
        if report.beyond:
            remedy = "See the check of retained grants of this run; revoke the grant by hand or with a new run"
            raise GuardTrippedError("no grants beyond the items", "0 grants", f"{report.beyond} grants", remedy)
        return report.as_dict()


def _request(context: Context) -> RestoreRequest:
    """Return the form fields. Unknown keys of the run's conf are refused, because Airflow accepts them."""
    params: Mapping[str, Any] = dict(context["params"])
    unknown = sorted((set(params) | set(context["dag_run"].conf or {})) - _FIELDS)
    if unknown:
        known = ", ".join(sorted(_FIELDS))
        raise InputError("trigger form", f"unknown {', '.join(map(repr, unknown))}", f"Known fields: {known}")
    return RestoreRequest.parse({name: value for name, value in params.items() if value is not None})


async def _identify(ledger: Ledger, settings: Settings, reading: list[Scope]) -> None:
    """Check that every account can be read, and has a granting connection."""
    for scope in reading:
        system = system_named(scope.system)
        async with connected(system, scope.conn_id, ledger, settings, account=scope.account):
            pass
        await granting(ledger, settings, (scope.system, scope.account))


async def _read(
    ledger: Ledger, settings: Settings, scope: Scope, grants: list[Grant]
) -> tuple[Certificate, list[Grant]]:
    """List every affected resource, and find the items whose resource or holder no longer exists.

    :raises ListingIncompleteError: when a listing is incomplete.
    :raises CloudError: when a resource could not be read.
    """
    system, started = system_named(scope.system), datetime.now(UTC)
    async with connected(system, scope.conn_id, ledger, settings, account=scope.account) as (client, _):
        seen = await read_listings(system, client, {system.listing_scope(grant) for grant in grants})
        for error in seen.failed.values():
            raise error
        holders = await system.gone_holders(client, grants)
        caller = client.identity
    shown = list(seen.grants())
    listings = {
        g.grant_id: seen.why_gone(system.listing_scope(g)) for g in grants if system.listing_scope(g) in seen.gone
    }
    return (
        Certificate(
            identity=(caller.arn or caller.user_id) if caller else "",
            query={"places": len(seen.shown)},
            pages=seen.calls,
            counted=len(shown),
            notes={GONE_LISTINGS: listings, GONE_HOLDERS: dict(holders)},
            started_at=started,
            ended_at=datetime.now(UTC),
        ),
        shown,
    )


async def _verified(ledger: Ledger, run: Run, scope: Scope, settings: Settings) -> RestoreReport:
    system = system_named(scope.system)
    async with connected(system, scope.conn_id, ledger, settings, account=scope.account) as (client, _):
        verifier = RestoreVerifier(
            ledger=ledger,
            system=system,
            client=client,
            run_id=run.run_id,
            account=scope.account,
            settle_seconds=settings.settle_seconds,
            settle_limit_seconds=settings.settle_limit_seconds,
        )
        return await verifier.run()
