"""What decisions are made from: roster, policy, exceptions and protections, read from their files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rescind.errors import ConfigurationError
from rescind.ledger import Ledger, Run
from rescind.model import digest
from rescind.review import (
    AdmittedRoster,
    DecisionContext,
    Exceptions,
    Memberships,
    Policy,
    RequestedTargets,
    RosterLimits,
    Target,
    admit_roster,
    collect_holdings,
    index_principals,
    load_exceptions,
    load_policy,
    load_protections,
    read_roster_csv,
    resolve_request,
)
from rescind.review.roster import DEFAULT_SPACES
from rescind.settings import ReviewRequest, Settings
from rescind.systems import REGISTRY


@dataclass(frozen=True, slots=True)
class ReviewInputs:
    """Everything that was read from files, checked.

    :param version: SHA-256 over policy (or request), exceptions, protections and roster: the plan's digest covers it.
    """

    roster: AdmittedRoster
    policy: Policy | None
    request: RequestedTargets | None
    exceptions: Exceptions
    protections_text: bytes
    protections_source: str
    version: str

    def context(self, own_ids: Iterable[tuple[str, str]], *, now: datetime) -> DecisionContext:
        """A decision context without principals and memberships: enough for protections and exceptions."""
        protections = load_protections(self.protections_text, source=self.protections_source, own_ids=own_ids)
        return DecisionContext(
            now=now,
            protections=protections,
            exceptions=self.exceptions,
            policy=self.policy,
            request=self.request,
            roster=self.roster,
            complete=frozenset({"roster"}),
        )


def read_inputs(settings: Settings, request: ReviewRequest, *, now: datetime | None = None) -> ReviewInputs:
    """Read and check every input file.

    :raises ConfigurationError: a file is missing. :raises InputError: a file cannot be understood.
    :raises GuardTripped: the roster is too short, too old, or has too many leavers.
    """
    now = now or datetime.now(UTC)
    roster_path = settings.path("roster")
    roster_bytes = _read(roster_path, "roster")
    limits = RosterLimits(
        min_people=settings.roster_min_people,
        max_age=timedelta(hours=settings.roster_max_age_hours),
        max_leaver_percent=settings.roster_max_leaver_percent,
    )
    as_of = datetime.fromtimestamp(roster_path.stat().st_mtime, UTC)
    roster = admit_roster(read_roster_csv(roster_bytes, source=roster_path.name), limits, as_of=as_of, now=now)
    policy_path, exceptions_path, protections_path = (settings.path(n) for n in ("policy", "exceptions", "protections"))
    exceptions_bytes = _read(exceptions_path, "exceptions")
    protections_bytes = _read(protections_path, "protections")
    targets = _targets(request)
    policy = load_policy(_read(policy_path, "policy"), source=policy_path.name) if targets is None else None
    if targets is not None:
        resolve_request(targets, roster, DEFAULT_SPACES)
    rule = policy.version if policy else digest([request.model_dump(mode="json")])
    return ReviewInputs(
        roster=roster,
        policy=policy,
        request=targets,
        exceptions=load_exceptions(exceptions_bytes, source=exceptions_path.name),
        protections_text=protections_bytes,
        protections_source=protections_path.name,
        version=digest(
            [
                rule,
                *(data.decode("utf-8", "replace") for data in (exceptions_bytes, protections_bytes)),
                roster.roster.digest,
            ]
        ),
    )


def inputs_of(run: Run, settings: Settings) -> ReviewInputs:
    """The inputs once more, in a later task.

    :raises ConfigurationError: when a file has changed since the run began: the run would mix two versions.
    """
    inputs = read_inputs(settings, ReviewRequest.model_validate(dict(run.params)))
    if inputs.version != run.policy_version:
        raise ConfigurationError(
            "roster, policy, exceptions or protections changed since this run began. Start a new run with the new files"
        )
    return inputs


def protection_context(ledger: Ledger, run: Run, settings: Settings, *, now: datetime) -> DecisionContext:
    """Files, own identities and principals: enough to ask again what is protected or waived."""
    base = inputs_of(run, settings).context(own_ids(ledger, run), now=now)
    return replace(base, principals=index_principals(ledger.snapshot.principals(run.run_id)))


def decision_context(ledger: Ledger, run: Run, settings: Settings, *, now: datetime) -> DecisionContext:
    """The full decision context of a run: everything above, and what the snapshot shows of memberships and holdings."""
    context = protection_context(ledger, run, settings, now=now)
    if any(scope.state != "complete" for scope in ledger.scopes.all(run.run_id)):
        return context
    return replace(
        context,
        memberships=Memberships.of(ledger.snapshot.memberships(run.run_id)),
        holdings=collect_holdings(ledger.snapshot.grants(run.run_id)),
        complete=context.complete | {"membership", "holdings"},
    )


def own_ids(ledger: Ledger, run: Run) -> list[tuple[str, str]]:
    """(system, principal id) of our own identities, as discovery found them and connections name them."""
    found = {
        (scope.system, str(ident))
        for scope in ledger.scopes.all(run.run_id)
        for ident in scope.notes.get("own_ids", ())
    }
    return sorted(found)


def _targets(request: ReviewRequest) -> RequestedTargets | None:
    if request.kind != "targets":
        return None
    return RequestedTargets(
        principals=tuple(Target(value) for value in request.principals),
        systems=request.systems or tuple(REGISTRY),
        resources=request.resources,
        reason=request.reason,
    )


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"the {name} file cannot be read ({error.strerror}): {path.name}. "
            f"Put it there, or point the setting {name!r} to it"
        ) from None
