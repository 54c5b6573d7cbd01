"""The inputs of decisions: roster, policy, exceptions, protections and owners.

They are read once, when a run begins, and stored in the ledger, so that every later task uses the same bytes. The
sending tasks read exceptions and protections again, because grants that were protected or excepted since the plan must
stay.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from weakref import WeakKeyDictionary
from zoneinfo import ZoneInfo

from rescind.errors import ConfigurationError, InputError
from rescind.hooks.input_files import Fetched, read_file, read_roster_file
from rescind.ledger import PARTS_OF_PEOPLE, Ledger, NewInput, Run
from rescind.model import KNOWN_ACCESS, Principal, digest
from rescind.review import (
    AdmittedRoster,
    DecisionContext,
    Exceptions,
    Memberships,
    Owners,
    Policy,
    RequestedTargets,
    Roster,
    RosterLimits,
    RosterOptions,
    Target,
    admit_roster,
    collect_holdings,
    index_principals,
    load_exceptions,
    load_owners,
    load_policy,
    load_protections,
    read_roster_csv,
    read_roster_json,
    resolve_request,
)
from rescind.review.policy.schema import VARIABLES, Source
from rescind.review.roster.age import oldest
from rescind.review.roster.id_map import read_id_map
from rescind.review.roster.presets import PRESETS
from rescind.settings import ReviewRequest, Settings
from rescind.settings.roster import RosterEndpoint, RosterFormat
from rescind.systems import REGISTRY, id_spaces, system_named

ID_MAP = "id_map"
ROSTER, POLICY, EXCEPTIONS, PROTECTIONS, OWNERS = "roster", "policy", "exceptions", "protections", "owners"


@dataclass(frozen=True, slots=True)
class ReviewInputs:
    """The inputs of a run, parsed and checked.

    :param complete: whether the roster lists everyone.
    :param owners: whom to ask about grants of rules that ask; None in a run without questions.
    :param last_day: how long a leaving date without a time lasts, in words.
    :param notes: how the principals of a form were read, in sentences.
    :param version: SHA-256 over policy (or request), exceptions, protections and roster; part of the plan's digest.
    """

    roster: AdmittedRoster
    policy: Policy | None
    request: RequestedTargets | None
    exceptions: Exceptions
    protections: NewInput
    complete: bool
    owners: Owners | None
    version: str
    last_day: str
    notes: tuple[str, ...] = ()

    def context(self, own_ids: Iterable[tuple[str, str]], *, now: datetime) -> DecisionContext:
        """Return a decision context without principals and memberships, for protections and exceptions."""
        source = self.protections.source
        return DecisionContext(
            now=now,
            protections=load_protections(self.protections.content, source=source, own_ids=own_ids),
            spaces=id_spaces(),
            exceptions=self.exceptions,
            policy=self.policy,
            request=self.request,
            roster=self.roster,
            complete=frozenset({Source.ROSTER} if self.complete else ()),
        )

    def never_hold(self) -> list[str]:
        """Return the rules that can never apply because the roster does not claim to list everyone."""
        rules = self.policy.rules if self.policy and not self.complete else ()
        return [rule.id for rule in rules if Source.ROSTER in rule.absence]

    def by_use(self) -> list[str]:
        """Return the rules that look at when grants were last used."""
        return [rule.id for rule in self.policy.rules if rule.condition.reads(Source.LAST_USED)] if self.policy else []

    def asks_nobody(self) -> list[str]:
        """Return the rules that ask, in a run without questions; their grants stay."""
        rules = self.policy.rules if self.policy and self.owners is None else ()
        return [rule.id for rule in rules if rule.asks]


_LAST: WeakKeyDictionary[Ledger, tuple[Mapping[str, NewInput], Mapping[str, Any], ReviewInputs]] = WeakKeyDictionary()
"""What :func:`inputs_of` parsed last. A task asks several times, and a roster of 20,000 people takes seconds."""


def collect_inputs(settings: Settings, request: ReviewRequest, *, now: datetime | None = None) -> list[NewInput]:
    """Read every input from its configured source, without parsing it.

    :raises ConfigurationError: when an input is missing or its service does not answer.
    :raises InputError: when a checksum does not match, or the pages of a roster are inconsistent.
    """
    inputs = [read_roster(settings, now or datetime.now(UTC))]
    if settings.roster_id_map:
        inputs.append(read_map(settings))
    names = [EXCEPTIONS, PROTECTIONS]
    names += [POLICY] if request.kind == "policy" else []
    names += [OWNERS] if request.asks_owners(settings) else []
    for name in names:
        file = read_file(settings, name)
        inputs.append(NewInput(name, file.source, file.content, {"as_of": file.as_of.isoformat()}))
    return inputs


def read_roster(settings: Settings, now: datetime) -> NewInput:
    """Read the roster from its configured source and compare it with its checksums, without parsing it.

    :raises ConfigurationError: when it does not exist, or its service does not answer correctly.
    :raises InputError: when a checksum does not match, or its pages are inconsistent.
    """
    roster = fetch_roster(settings)
    facts = {
        "format": roster.format,
        "as_of": roster.as_of.isoformat(),
        "read_at": now.isoformat(),
        "complete": settings.roster_is_complete,
        "min_people": settings.roster_min_people,
        "max_age_hours": settings.roster_max_age_hours,
        "max_leaver_percent": settings.roster_max_leaver_percent,
        "max_bad_rows_percent": settings.roster_max_bad_rows_percent,
        "as_of_from": settings.roster_as_of,
        "reading": settings.roster_format.model_dump(mode="json"),
    }
    stored = NewInput(ROSTER, roster.source, roster.content, facts)
    _check_sums(roster, stored.sha256)
    return stored


def read_map(settings: Settings) -> NewInput:
    """Read the id map from its configured source, without parsing it.

    :raises ConfigurationError: when it does not exist or cannot be read.
    """
    file = read_file(settings, "roster_id_map")
    return NewInput(ID_MAP, file.source, file.content, {"as_of": file.as_of.isoformat()})


def single_call_context(
    settings: Settings, targets: RequestedTargets, own_ids: Iterable[tuple[str, str]], principals: Iterable[Principal]
) -> DecisionContext:
    """Return the context that decides whether the grants of a single call may go: as in a run about named targets.

    Without the setting ``roster`` nobody is known.

    :param principals: what the ledger knows about the holders, for their other ids and their kind.
    :raises ConfigurationError: when protections, exceptions or the roster cannot be read.
    :raises InputError: when they cannot be parsed.
    :raises GuardTrippedError: when the roster is too short, too old, or has too many leavers.
    """
    now = datetime.now(UTC)
    exceptions, protections = read_file(settings, EXCEPTIONS), read_file(settings, PROTECTIONS)
    return DecisionContext(
        now=now,
        protections=load_protections(protections.content, source=protections.source, own_ids=own_ids),
        spaces=id_spaces(),
        exceptions=load_exceptions(exceptions.content, source=exceptions.source),
        request=targets,
        roster=_roster(read_roster(settings, now), read_map(settings) if settings.roster_id_map else None)
        if settings.roster
        else None,
        principals=index_principals(principals),
        systems=frozenset(targets.systems),
    )


def fetch_roster(settings: Settings) -> Fetched:
    """Return the roster from the configured file or HTTP service.

    :raises ConfigurationError: when it does not exist, or its service does not answer correctly.
    :raises InputError: for an unknown format, a broken checksum file, or inconsistent pages.
    """
    if isinstance(settings.roster, RosterEndpoint):
        from rescind.hooks.roster_http import fetch  # only this source needs the HTTP provider

        return fetch(settings.roster, settings.roster_format.preset)
    return read_roster_file(settings)


def _check_sums(roster: Fetched, sha256: str) -> None:
    for where, announced in roster.checksums:
        if not hmac.compare_digest(announced.encode(), sha256.encode()):
            problem = f"the checksum in {where} does not match the file ({sha256[:12]}...)"
            raise InputError(f"roster, {roster.source}", problem, "Fetch the roster and its checksum again.")


def read_inputs(inputs: Mapping[str, NewInput], request: ReviewRequest) -> ReviewInputs:
    """Parse and check the inputs of a run; the same bytes always give the same result.

    :raises InputError: when a file cannot be parsed.
    :raises GuardTrippedError: when the roster is too short, too old, or has too many leavers.
    """
    roster = _roster(inputs[ROSTER], inputs.get(ID_MAP))
    exceptions = inputs[EXCEPTIONS]
    targets = _targets(request)
    policy, notes = None, tuple[str, ...]()
    if targets is None:
        policy = load_policy(inputs[POLICY].content, source=inputs[POLICY].source)
    else:
        notes = resolve_request(targets, roster, id_spaces()).notes
    owners = None
    if OWNERS in inputs:
        owners = load_owners(inputs[OWNERS].content, source=inputs[OWNERS].source, roster=roster)
    rule = policy.version if policy else digest([request.model_dump(mode="json")])
    files = [name for name in (EXCEPTIONS, PROTECTIONS, ROSTER, ID_MAP, OWNERS) if name in inputs]
    complete = bool(inputs[ROSTER].facts["complete"])
    return ReviewInputs(
        roster=roster,
        policy=policy,
        request=targets,
        exceptions=load_exceptions(exceptions.content, source=exceptions.source),
        protections=inputs[PROTECTIONS],
        complete=complete,
        owners=owners,
        notes=notes,
        last_day=RosterFormat.model_validate(dict(inputs[ROSTER].facts.get("reading", {}))).last_day,
        version=digest([rule, complete, *(inputs[name].sha256 for name in files)]),
    )


def admitted_roster(inputs: Mapping[str, NewInput]) -> AdmittedRoster:
    """Return the roster among the input files of a run.

    :raises InputError: when it cannot be parsed.
    :raises GuardTrippedError: when it is too short, too old, or has too many leavers.
    """
    return _roster(inputs[ROSTER], inputs.get(ID_MAP))


def inputs_of(ledger: Ledger, run: Run) -> ReviewInputs:
    """Return the inputs with which the run began.

    :raises ConfigurationError: when they are not in the ledger.
    """
    stored = ledger.inputs.of(run.run_id)
    if not stored:
        raise ConfigurationError(f"the ledger has no inputs of run {run.run_id}. Start a new run")
    last = _LAST.get(ledger)
    if last is None or last[:2] != (stored, run.params):
        last = stored, run.params, read_inputs(stored, ReviewRequest.model_validate(dict(run.params)))
        _LAST[ledger] = last
    return last[2]


def protection_context(ledger: Ledger, run: Run, settings: Settings, *, now: datetime) -> DecisionContext:
    """Return a context with the current exceptions and protections, and the run's roster and principals.

    :raises ConfigurationError: when exceptions or protections cannot be read.
    :raises InputError: when they cannot be parsed.
    """
    exceptions, protections = read_file(settings, EXCEPTIONS), read_file(settings, PROTECTIONS)
    base = replace(
        inputs_of(ledger, run),
        exceptions=load_exceptions(exceptions.content, source=exceptions.source),
        protections=NewInput(PROTECTIONS, protections.source, protections.content),
    )
    return _with_population(ledger, run, base.context(own_ids(ledger, run), now=now))


def decision_context(ledger: Ledger, run: Run) -> DecisionContext:
    """Return the full decision context of a run: its inputs, and memberships and holdings from the snapshot.

    The time of the review is the start of the run, so that a repeated decision gives the same result. When a grant was
    last used is known only where the log was read to its end, so that source counts as complete.
    """
    context = _with_population(
        ledger, run, inputs_of(ledger, run).context(own_ids(ledger, run), now=run.started_at.astimezone(UTC))
    )
    context = replace(context, complete=context.complete | {Source.LAST_USED})
    if any(scope.state != "complete" or scope.part in PARTS_OF_PEOPLE for scope in ledger.scopes.all(run.run_id)):
        return context
    memberships = Memberships.of(ledger.snapshot.memberships(run.run_id))
    context = replace(context, memberships=memberships, complete=context.complete | {Source.MEMBERSHIP})
    if not _asks_for_holdings(context.policy):
        return context
    holdings = collect_holdings(ledger.snapshot.grants(run.run_id))
    return replace(context, holdings=holdings, complete=context.complete | {Source.HOLDINGS})


def _asks_for_holdings(policy: Policy | None) -> bool:
    """Return whether a rule uses the holdings of a principal or person; collecting them reads all grants."""
    names = {name for rule in policy.rules for name in rule.condition.names} if policy else set()
    return any(name in VARIABLES and VARIABLES[name].source == Source.HOLDINGS for name in names)


def _with_population(ledger: Ledger, run: Run, context: DecisionContext) -> DecisionContext:
    names = frozenset(scope.system for scope in ledger.scopes.all(run.run_id))
    return replace(
        context,
        principals=index_principals(ledger.snapshot.principals(run.run_id)),
        systems=names,
        covering={name: types for name in names if (types := system_named(name).covering)},
    )


def _roster(stored: NewInput, id_map: NewInput | None) -> AdmittedRoster:
    """Return the roster, checked against the limits at the time when the run read it."""
    facts = stored.facts
    limits = RosterLimits(
        min_people=facts["min_people"],
        max_age=timedelta(hours=facts["max_age_hours"]),
        max_leaver_percent=facts["max_leaver_percent"],
    )
    as_of, read_at = (datetime.fromisoformat(facts[name]) for name in ("as_of", "read_at"))
    roster, options = _parsed(stored, id_map)
    kind, _, column = facts.get("as_of_from", "").partition(":")
    if kind == "column":
        as_of = oldest(roster, column, options)
    return admit_roster(roster, limits, as_of=as_of, now=read_at)


def current_roster(settings: Settings) -> Roster:
    """Return the roster as the settings say it is now, with the ids of the id map, and without its limits.

    :raises ConfigurationError: as :func:`read_roster`.
    :raises InputError: as :func:`read_roster`, and when it cannot be parsed.
    """
    stored = read_roster(settings, datetime.now(UTC))
    return _parsed(stored, read_map(settings) if settings.roster_id_map else None)[0]


def _parsed(stored: NewInput, id_map: NewInput | None) -> tuple[Roster, RosterOptions]:
    facts = stored.facts
    read = read_roster_csv if facts["format"] == "csv" else read_roster_json
    options = roster_options(facts.get("reading", {}), facts.get("max_bad_rows_percent", 0))
    if id_map is not None:
        options = replace(options, id_map=read_id_map(id_map.content, source=id_map.source))
    return read(stored.content, source=stored.source, options=options), options


def roster_options(reading: Mapping[str, Any], max_bad_rows_percent: int) -> RosterOptions:
    """Return how to read a roster, from the setting ``roster_format`` as the ledger stores it."""
    form = RosterFormat.model_validate(dict(reading))
    return RosterOptions(
        id_columns=form.id_columns,
        zone=ZoneInfo(form.zone),
        end_of_day=form.day_length,
        delimiter=form.delimiter,
        columns=form.columns,
        values={str(column): words for column, words in form.values.items()},
        encoding=form.encoding,
        preset=PRESETS.get(form.preset),
        date_format=form.date_format,
        max_bad_rows_percent=max_bad_rows_percent,
    )


def own_ids(ledger: Ledger, run: Run) -> list[tuple[str, str]]:
    """Return (system, principal id) of our own identities, from discovery and connections."""
    scopes = ledger.scopes.all(run.run_id)
    found = {(scope.system, str(ident)) for scope in scopes for ident in scope.notes.get("own_ids", ())}
    if any(scope.part == KNOWN_ACCESS for scope in scopes):
        # Who is behind our identity in a system that is left to the next run is protected in this one, too.
        found |= {(name, ident) for name in REGISTRY for ident in ledger.scopes.own_ids(name)}
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
