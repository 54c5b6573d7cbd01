"""Preflight: check everything that a run needs before anything is read."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import rescind
from rescind.airflow_support.kill_switch_variable import STOP_VARIABLE, StopVariable, refuse_if_set
from rescind.airflow_support.pools import POOLS
from rescind.approvers import check_ids, check_user_id
from rescind.errors import ConfigurationError, InputError
from rescind.hooks.airflow_instance.pools import check_pools
from rescind.hooks.airflow_instance.starter import judge_requester, look_up_requester
from rescind.hooks.evidence_store import check_evidence
from rescind.hooks.ledger import check_ledger
from rescind.hooks.signing_keys import check_approval_key
from rescind.ledger import OCCASION, SETTINGS, Ledger, NewInput, NewRun, Run, ScopeSpec
from rescind.model import KNOWN_ACCESS
from rescind.operators.bases.review import RefusingOperator
from rescind.review.roster.remarks import remarks
from rescind.review.roster.shrink import check_shrink, sizes
from rescind.settings import VARIABLE, ReviewRequest, Settings
from rescind.systems import REGISTRY, system_named
from rescind.workflow.connection_check import scopes_of_connections
from rescind.workflow.inputs import ROSTER, ReviewInputs, collect_inputs, inputs_of, read_inputs
from rescind.workflow.offboarding.full_proof import followed_facts, followed_run, refuse_less, request_of
from rescind.workflow.offboarding.named_people import narrowed
from rescind.workflow.references import ScopeRef
from rescind.workflow.run_occasion import Start, occasion, with_ends
from rescind.workflow.run_settings import hides, record_settings

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)
_PARAMS = frozenset(ReviewRequest.model_fields) - {"kind"}


class PreflightOperator(RefusingOperator):
    """Check request, settings, ledger, inputs and connections, and begin the run in the ledger.

    :param kind: ``policy`` or ``targets``; see :class:`~rescind.settings.ReviewRequest`.
    :cvar BY_EVENT: whether events start the runs, so that no user of Airflow does.
    :ivar first: the run of known access that this run completes.
    :returns: one ``{"scope": id, "label": text}`` for each scope, for mapping.
    """

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Preflight",
        "doc_md": "Checks connections, ledger, policies, roster and caps. Any error names its fix.",
    }
    BY_EVENT: ClassVar[bool] = False

    def __init__(self, *, kind: Literal["policy", "targets"], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.first: Run | None = None

    def review(self, context: Context, ledger: Ledger) -> list[ScopeRef]:
        """Run every check and return the scopes."""
        settings = self.settings()
        dag_run, start = context["dag_run"], Start.of(context["dag_run"])
        check_ledger(ledger)
        first = self.first = followed_run(ledger, dag_run, by_event=self.BY_EVENT) if self.kind == "targets" else None
        if first is None:
            self.may_start(start)
            request = self.request(context, ledger, settings)
            dry_run = self.sends_nothing(start, dag_run.conf, settings, dry_run=request.dry_run)
        else:
            request, dry_run = request_of(first), first.dry_run
        _check_caps(request, settings)
        request.may_be_sparse(settings)
        person, standing = self._requester(ledger, dag_run, settings, dry_run)
        check_approvers(settings, person, dry_run, ledger.deployment.auth_manager())
        ledger.kill_switch.raise_if_stopped()
        refuse_if_set(StopVariable())
        self.log.info(check_pools(POOLS))
        check_evidence(settings, ledger)
        check_approval_key(settings, dry_run)
        known = self.find_run(context, ledger)
        found = [] if known else self._inputs(context, ledger, settings, request, dry_run, standing)
        inputs = inputs_of(ledger, known) if known else read_inputs({new.name: new for new in found}, request)
        if not known:
            found = with_ends(found, inputs)
            found = self._with_sizes(found, inputs, ledger, settings, dag_run.dag_id, request)
        _check_reviewers(inputs, ledger.deployment.auth_manager())
        every = asyncio.run(scopes_of_connections(ledger, settings, request))
        if first is not None:
            refuse_less(ledger, first, every)
        specs = self._narrowed(ledger, settings, request, every, known, known_first=first is None and not dry_run)
        run = ledger.runs.begin(
            NewRun(
                dag_id=dag_run.dag_id,
                airflow_run_id=dag_run.run_id,
                kind=start.kind,
                requested_by=person,
                reason=request.reason,
                ticket=request.ticket,
                params=request.model_dump(mode="json"),
                dry_run=dry_run,
                policy_version=inputs.version,
                code_version=rescind.__version__,
                follows=first.number if first else None,
            ),
            found,
        )
        self.run_number = run.number
        scopes = ledger.scopes.open(run.run_id, specs)
        log_settings(ledger, run)
        self.log.info("run %s (number %d), %s, requested by %s", run.run_id, run.number, _mode(dry_run), run.requester)
        _log_inputs(self.log, inputs, settings)
        return [
            {
                "scope": scope.scope_id,
                "label": " · ".join(filter(None, (system_named(scope.system).title, scope.account, scope.part))),
            }
            for scope in scopes
        ]

    def _narrowed(
        self,
        ledger: Ledger,
        settings: Settings,
        request: ReviewRequest,
        specs: list[ScopeSpec],
        known: Run | None,
        *,
        known_first: bool,
    ) -> list[ScopeSpec]:
        """Return the scopes with the part that is listed of each. A run that began keeps what it began with."""
        if known:
            scopes = ledger.scopes.all(known.run_id)
            parts = {(scope.system, scope.account): scope.part for scope in scopes}
            left = any(scope.part == KNOWN_ACCESS for scope in scopes)
            return [
                replace(spec, part=parts.get((spec.system, spec.account), ""))
                for spec in specs
                if not left or (spec.system, spec.account) in parts
            ]
        now = datetime.now(UTC)
        found, lines = narrowed(ledger, settings, request, specs, now, known_first=known_first)
        for line in lines:
            log.info(line)
        return found

    def _inputs(
        self,
        context: Context,
        ledger: Ledger,
        settings: Settings,
        request: ReviewRequest,
        dry_run: bool,
        requester: str,
    ) -> list[NewInput]:
        """Read the input files, and record the occasion and the settings of a run that begins."""
        dag_run, files = context["dag_run"], self.files(settings, request)
        count, percent = request.caps(settings)
        form = {
            **request.model_dump(mode="json", include={"kind", "automatic", "sparse"}),
            "ask_owners": request.asks_owners(settings),
            "dry_run": dry_run,
            "max_revocations": count,
            "max_percent": percent,
        }
        record = record_settings(
            ledger, settings, dag_id=dag_run.dag_id, form=form, inputs=files, environment=hidden_variables()
        )
        more = followed_facts(ledger, self.first) if self.first else self.events()
        return [*files, occasion(context, settings, ledger.role(), requester, more), record]

    def _with_sizes(
        self,
        found: list[NewInput],
        inputs: ReviewInputs,
        ledger: Ledger,
        settings: Settings,
        dag_id: str,
        request: ReviewRequest,
    ) -> list[NewInput]:
        """Compare the roster with the one of the last review, and record its sizes and remarks.

        Only reviews by policy conclude something from people who are missing; others neither check nor record sizes.

        :raises GuardTrippedError: when it has lost too many people.
        """
        roster = inputs.roster.roster
        facts: dict[str, Any] = {"remarks": remarks(roster, names=False)}
        if request.kind == "policy":
            before = ledger.inputs.last_roster(dag_id)
            if before is not None:
                check_shrink(roster, before[1], before[0], settings.roster_max_shrink_percent)
            facts["sizes"] = sizes(roster)
        return [replace(new, facts={**new.facts, **facts}) if new.name == ROSTER else new for new in found]

    def may_start(self, start: Start) -> None:
        """Refuse a run that nobody may start in this way."""
        if self.kind == "targets" and not start.person:
            # Airflow 3.2 calls a run that another DAG started manual, so allowed_run_types does not refuse it there.
            raise InputError("requester", "is not a person", "Only a person can revoke named access: trigger the DAG")
        if self.kind == "targets" and start.run_type == "operator_triggered":
            raise InputError(
                "run", "was started by another DAG", "Only a person can revoke named access: trigger the DAG"
            )

    def sends_nothing(self, start: Start, conf: Mapping[str, Any] | None, settings: Settings, *, dry_run: bool) -> bool:
        """Return whether the run is a dry run.

        :param dry_run: the value of the form.
        """
        return start.sends_nothing(dry_run=dry_run, conf=conf, enforce_scheduled=settings.enforce_scheduled)

    def asked_as(self, context: Context) -> str:
        """Return the kind of a run that this task refused."""
        return Start("", Start.type_of(context["dag_run"])).kind

    def asked_dry(self, context: Context) -> bool:
        """Return whether a refused run would have been a dry run; where settings cannot be read, only if it says so."""
        dag_run, asked = context["dag_run"], super().asked_dry(context)
        try:
            start = Start("", Start.type_of(dag_run))
            return self.sends_nothing(start, dag_run.conf, self.settings(), dry_run=asked)
        except Exception:  # whatever is wrong with the settings was the reason of the refusal, and is told
            return asked and "dry_run" in (dag_run.conf or {})

    def requester(self, dag_run: Any, settings: Settings, dry_run: bool) -> tuple[str, str]:
        """Return the requester, and a sentence for the approver if it may be an unverified one."""
        return Start.of(dag_run).person, check_requester(dag_run, settings, dry_run)

    def _requester(self, ledger: Ledger, dag_run: Any, settings: Settings, dry_run: bool) -> tuple[str, str]:
        """Return the requester; a run that completes another one has that run's."""
        if self.first is None:
            return self.requester(dag_run, settings, dry_run)
        said = ledger.inputs.facts(self.first.run_id, OCCASION).get("unverified_requester", "")
        return self.first.requested_by, str(said)

    def files(self, settings: Settings, request: ReviewRequest) -> list[NewInput]:
        """Return the input files as they are now."""
        return collect_inputs(settings, request)

    def events(self) -> Mapping[str, Any]:
        """Return what to record about the events that started the run."""
        return {}

    def request(self, context: Context, ledger: Ledger, settings: Settings) -> ReviewRequest:
        """Return the form fields. Unknown keys of the run's conf are refused, because Airflow accepts them."""
        params: Mapping[str, Any] = dict(context["params"])
        conf = context["dag_run"].conf or {}
        unknown = sorted((set(params) | set(conf)) - _PARAMS)
        if unknown:
            known = ", ".join(sorted(_PARAMS))
            raise InputError("trigger form", f"unknown {', '.join(map(repr, unknown))}", f"Known fields: {known}")
        given = {name: value for name, value in params.items() if value is not None}
        return ReviewRequest.parse(given, kind=self.kind, systems=tuple(REGISTRY))


def _check_caps(request: ReviewRequest, settings: Settings) -> None:
    """Refuse a cap of 0 early: it is valid and means that nothing may be revoked."""
    count, percent = request.caps(settings)
    if not request.dry_run and (count == 0 or percent == 0):
        raise InputError(
            "max_revocations" if count == 0 else "max_percent",
            "is 0, which means that nothing may be revoked",
            "Raise the cap (form or deployment setting), or start a dry run",
        )


def check_approvers(settings: Settings, requester: str, dry_run: bool, auth_manager: str) -> None:
    """Check that somebody other than the requester may approve, under an id that Airflow knows.

    :param auth_manager: class of Airflow's auth manager, as the page recorded it; empty if it is not known.
    :raises ConfigurationError: when nobody may, or an approver is not written as the auth manager needs it.
    """
    if dry_run:
        return
    check_ids(settings.approvers, auth_manager)
    if not auth_manager:
        log.info(
            "Airflow's auth manager is not recorded yet, so the ids under 'approvers' are not checked. Open the page"
            " Access reviews once"
        )
    if all(one.may_have_requested(requester) for one in settings.approvers):
        raise ConfigurationError(
            "nobody may approve this run: list at least one user other than the requester under 'approvers' "
            "in the settings"
        )


def _check_reviewers(inputs: ReviewInputs, auth_manager: str) -> None:
    """Check that the owners who will be asked are written as the auth manager knows its users."""
    if inputs.owners:
        for reviewer in inputs.owners.people:
            check_user_id(reviewer, auth_manager, field=f"{inputs.owners.source}, reviewers")


def check_requester(dag_run: Any, settings: Settings, dry_run: bool) -> str:
    """Check that the requester of a run that may send something signed in to Airflow, as the settings ask for.

    :returns: a sentence for the approver if the requester may be an unverified one, else an empty text.
    :raises ConfigurationError: when the run is refused.
    """
    start = Start.of(dag_run)
    if dry_run or not start.person:
        return ""
    return judge_requester(look_up_requester(dag_run.dag_id, dag_run.run_id), start.person, settings)


def hidden_variables() -> list[str]:
    """Return the Variables of this package that an environment variable hides: Airflow reads the environment first."""
    return [name for name in (VARIABLE, STOP_VARIABLE) if f"AIRFLOW_VAR_{name.upper()}" in os.environ]


def log_settings(ledger: Ledger, run: Run) -> None:
    """Write to the log where the settings of a run came from, and what differs from the last approved run."""
    facts = ledger.inputs.facts(run.run_id, SETTINGS)
    for name in facts.get("record", {}).get("hidden", ()):
        what = "set or delete it there" if name == VARIABLE else "setting it stops nothing: use `rescind ledger stop`"
        log.warning("%s; %s", hides(name), what)
    for name, old, new in facts.get("changes", ()):
        log.warning("setting %s differs from run %s: %s, now %s", name, facts["compared_with"], old, new)


def _mode(dry_run: bool) -> str:
    return "dry run" if dry_run else "will revoke after approval"


def _log_inputs(log: Any, inputs: ReviewInputs, settings: Settings) -> None:
    log.info("roster: %d people; policy %s", len(inputs.roster.roster.people), inputs.version[:12])
    log.info("roster: %s", inputs.last_day)
    for remark in remarks(inputs.roster.roster):
        log.warning("roster: %s", remark)
    for note in inputs.notes:
        log.warning("principals: %s", note)
    if inputs.never_hold():
        log.warning(
            "rules %s depend on people missing from the roster, but roster_is_complete is off: they never apply",
            ", ".join(inputs.never_hold()),
        )
    if inputs.by_use() and settings.last_used is None:
        log.warning(
            "rules %s look at the last use, but the setting last_used is off: they never apply",
            ", ".join(inputs.by_use()),
        )
    if inputs.asks_nobody():
        log.warning("rules %s ask owners, but this run does not: grants are kept", ", ".join(inputs.asks_nobody()))
