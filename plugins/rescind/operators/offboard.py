"""Preflight and approval of a run that events of an HR system start."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowSkipException

from rescind.errors import InputError, NotApprovedError
from rescind.hooks.airflow_instance.event_senders import look_up_senders
from rescind.hooks.airflow_instance.starter import Requester, judge_requester
from rescind.ledger import Ledger, NewInput, Plan, Run
from rescind.ledger.store.errors import EventTakenError
from rescind.operators.bases.review import NOTHING_TO_DO
from rescind.operators.preflight import PreflightOperator
from rescind.operators.questions.approve import ApprovePlanOperator
from rescind.operators.questions.approve_part import ApprovePartOperator
from rescind.settings import ReviewRequest, Settings
from rescind.systems import REGISTRY
from rescind.users import printed, same_user
from rescind.workflow.inputs import admitted_roster, collect_inputs
from rescind.workflow.offboarding.event_windows import EventsRead, read_events_between
from rescind.workflow.offboarding.leaver_events import (
    LOOK_BACK,
    UNREAD,
    Event,
    digest_of,
    event_lines,
    only_from,
    read_events,
    reasons_of,
    take,
    told,
    unreadable,
)
from rescind.workflow.run_occasion import Start, first_facts

if TYPE_CHECKING:
    from airflow.sdk import Context

    from rescind.workflow.references import ScopeRef

_BY_ASSET = "asset_triggered"
_TRIES = 5
"""How often the events are read again because another run took one of them meanwhile."""


class OffboardPreflightOperator(PreflightOperator):
    """Read the events that started the run, and begin a run about everybody whom they name.

    Airflow starts one run for events that arrive close together. In 3.3 it hands that run only the events up to the
    first one's queue entry; the others wait for the next event. So this task reads the events of the asset itself: it
    takes every one of the last days that no run has taken.

    :param asset: the asset that the HR system updates.
    """

    BY_EVENT: ClassVar[bool] = True

    def __init__(self, *, asset: Asset, **kwargs: Any) -> None:
        super().__init__(kind="targets", inlets=[asset], **kwargs)
        self.asset = asset
        self.taken: tuple[Event, ...] = ()
        self.seen: tuple[Event, ...] = ()
        self.read: list[NewInput] = []
        self.unknown = ""
        self.unread = False

    def may_start(self, start: Start) -> None:
        """Refuse a run that no event started."""
        if start.run_type != _BY_ASSET:
            raise InputError(
                "run", "was not started by an event", "Start Revoke access instead, and name the people in its form"
            )

    def review(self, context: Context, ledger: Ledger) -> list[ScopeRef]:
        """Run every check. If another run has taken an event of this one meanwhile, run them again without it."""
        for _ in range(_TRIES):
            try:
                return super().review(context, ledger)
            except EventTakenError as error:
                self.log.info("%s; the events are read again", error)
        raise InputError("asset events", "other runs take them all the time", "Clear this task in a minute")

    def sends_nothing(self, start: Start, conf: Mapping[str, Any] | None, settings: Settings, *, dry_run: bool) -> bool:
        """Return whether the run is a dry run. The setting decides, never an event."""
        return dry_run and not (settings.enforce_events and "dry_run" not in (conf or {}))

    def asked_by(self, context: Context) -> str:
        """Return the one user who sent the events of a refused run; empty if that is not one known user."""
        return standing(self.seen, self.unknown)[1] if self.seen else super().asked_by(context)

    def asked_why(self, context: Context) -> str:
        """Return the reasons of the events that a refused run had taken; nothing of other events is repeated."""
        return reasons_of(one.said for one in self.taken if one.said)["reason"] if self.taken else ""

    def request(self, context: Context, ledger: Ledger, settings: Settings) -> ReviewRequest:
        """Return the request that the events make together; that of the run, if it has begun."""
        base = {name: value for name, value in dict(context["params"]).items() if value is not None}
        known = self.find_run(context, ledger)
        found, self.unknown = with_senders(self._found(context, ledger, known))
        self.seen = tuple(found)
        if known:
            self.taken = tuple(found)
            return ReviewRequest.model_validate(dict(known.params))
        probe = ReviewRequest.parse(
            {"principals": ["any"], "reason": "an event"}, kind="targets", systems=tuple(REGISTRY)
        )
        self.read = collect_inputs(settings, probe)
        roster = admitted_roster({one.name: one for one in self.read})
        taken = take(only_from(found, settings.event_senders), base, roster, settings.event_max_people)
        self.taken = taken.events
        for event in self.taken:
            if left := told(event.record()):
                self.log.warning(left)
        return taken.request

    def files(self, settings: Settings, request: ReviewRequest) -> list[NewInput]:
        """Return the input files that the names were looked up in."""
        return self.read if self.first is None else super().files(settings, request)

    def events(self) -> Mapping[str, Any]:
        """Return the events as the ledger keeps them."""
        return {"events": [event.record() for event in self.taken], **({UNREAD: True} if self.unread else {})}

    def requester(self, dag_run: Any, settings: Settings, dry_run: bool) -> tuple[str, str]:
        """Return who sent the events, and a sentence for the approver if that is not known.

        :raises ConfigurationError: when the setting ``requester_check`` refuses such a run.
        """
        found, sender = standing(self.taken, self.unknown)
        return sender, "" if dry_run else judge_requester(found, sender, settings)

    def _found(self, context: Context, ledger: Ledger, known: Run | None) -> list[Event]:
        """Return the events of the run: those of the last days, up to its start, that no run has taken.

        A run that has begun has those that Airflow gave to it. Airflow also gives events to a run that an earlier run
        has taken from the asset. They are never taken twice: the answer to the earlier run is final.

        :raises AirflowSkipException: when earlier runs have taken every event.
        :raises InputError: when they have, and others may be left that could not be read.
        """
        given = triggering(context)
        if known:
            return read_events(given)
        until = context["dag_run"].start_date or datetime.now(UTC)
        since = until - LOOK_BACK
        # Airflow may give an older event again: people who came back since then would lose their access again.
        oldest = min([since, *(one.timestamp for one in given)])
        taken = ledger.inputs.taken_events(context["dag_run"].dag_id, oldest)
        recent = self._recent(context, since, until)
        found = [*read_events([*given, *recent.found]), *map(unreadable, recent.unreadable)]
        new = [one for one in found if one.id not in taken]
        if found and not new:
            self._refuse_twice(context, sorted({taken[one.id] for one in found}))
        return new

    def _refuse_twice(self, context: Context, numbers: list[int]) -> None:
        """End the run: earlier runs have taken all its events."""
        runs = f"{'run' if len(numbers) == 1 else 'runs'} {', '.join(map(str, numbers[-10:]))}"
        if self.unread:
            raise InputError(
                "asset events",
                f"{runs} took those that Airflow gave to this run, and others could not be read",
                "Look for others among the events of the asset in Airflow, and start Revoke access for those who are "
                "missing",
            )
        why = (
            f"Nothing to do: {runs} took every event of this run, and no event is taken twice. To ask again, send a "
            "new event, or start Revoke access"
        )
        context["ti"].xcom_push(key=NOTHING_TO_DO, value=why)
        raise AirflowSkipException(why)

    def _recent(self, context: Context, since: datetime, until: datetime) -> EventsRead:
        """Return the events of the asset between two times; none, and remember that, if they cannot be read."""
        asset = context["inlet_events"][self.asset]
        result = read_events_between(
            lambda start, end: list(asset.after(start.isoformat()).before(end.isoformat())), since, until
        )
        self.unread = result.failed is not None
        if result.failed is not None:
            self.log.error(
                "the events of the asset could not be read; only those that Airflow gave are handled",
                exc_info=result.failed,
            )
        return result


class OffboardQuestion(ApprovePlanOperator):
    """What questions about a run that events started have in common: nobody who sent one of them may answer."""

    senders: frozenset[str] = frozenset()
    """Users of Airflow who sent events of this run, by Airflow's audit log now and at preflight."""

    def same_requester(self, context: Context, ledger: Ledger, run: Run) -> None:
        """Compare the requester in the ledger with Airflow's audit log.

        :raises NotApprovedError: when they differ, when the audit log cannot be read, or when there is no requester
            and the setting ``requester_check`` is not ``off``.
        """
        recorded = first_facts(ledger, run).get("events", ())
        wanted = {(datetime.fromisoformat(one["at"]), one["sha256"]) for one in recorded if one["way"] == "rest_api"}
        wanted |= {(one.at, one.sha256) for one in read_events(triggering(context)) if one.way == "rest_api"}
        found, unknown = look_up_senders(sorted(wanted), digest_of)
        if not run.requested_by and self.settings().requester_check != "off":
            raise NotApprovedError(
                "nobody is known to have sent the events of this run, so the approver may have: "
                f"{unknown or 'the ledger names no requester'}. Nothing is approved. The setting 'requester_check' "
                "decides this; start a new run"
            )
        if run.requested_by and run.requested_by not in found.values():
            why = unknown or "its audit log names another sender: the ledger was changed"
            raise NotApprovedError(
                f"Airflow does not confirm that {run.requested_by!r} sent the events of this run: {why}. Nothing is "
                "approved; start a new run"
            )
        # The ledger's senders only add to those who may not answer; they never confirm the requester.
        self.senders = frozenset({*found.values(), *(one["sender"] for one in recorded if one.get("sender"))})

    def excluded(self, ledger: Ledger, run: Run, *names: str) -> str:
        """Return why the user with these names may not answer: they sent an event of this run."""
        name = names[-1] or names[0]
        return f"{printed(name)} sent an event of this run" if any(same_user(name, s) for s in self.senders) else ""

    def question(self, ledger: Ledger, run: Run, plan: Plan) -> tuple[str, str]:
        """Return subject and body (Markdown) of the request, with the events."""
        subject, body = super().question(ledger, run, plan)
        return subject, "\n".join([body, *event_lines(ledger, run)])


class OffboardApproveOperator(OffboardQuestion):
    """Ask the deployment's approvers about a run that events started. Nobody who sent one of them may answer."""


class OffboardApprovePartOperator(ApprovePartOperator, OffboardQuestion):
    """The second question about a run that events started."""


def triggering(context: Context) -> list[Any]:
    """Return the asset events that Airflow gave to this run."""
    found = context.get("triggering_asset_events") or {}
    return [event for events in found.values() for event in events]


def with_senders(events: Iterable[Event]) -> tuple[list[Event], str]:
    """Return the events with their senders, and why a sender is not known (or empty)."""
    found = list(events)
    asked = [(event.at, event.sha256) for event in found if event.way == "rest_api"]
    if not asked:
        return found, ""
    senders, unknown = look_up_senders(asked, digest_of)
    return [event.sent_by(senders.get((event.at, event.sha256), "")) for event in found], unknown


def standing(events: Iterable[Event], unknown: str) -> tuple[Requester, str]:
    """Return what is known about the requester of a run of events, and the name; empty where it is not one user.

    :param unknown: why Airflow could not be asked, or empty.
    """
    used = [event for event in events if event.said is not None]
    ways, senders = {event.way for event in used}, {event.sender for event in used}
    if ways - {"rest_api"}:
        what = {"queue": "a message queue", "dag": "a task of a DAG"}
        by = " and ".join(sorted({what.get(way, "an unknown way") for way in ways - {"rest_api"}}))
        why = f"Events came by {by}: anyone who can write there may have sent them, also the approver."
        return Requester("no_user", why), ""
    if len(senders) == 1 and "" not in senders:
        return Requester("signed_in"), senders.pop()
    if unknown:
        # Not "unknown": a connection that fails must not let the sender, who may be the approver, start a real run.
        return Requester("no_user", f"Who sent the events is not known: {unknown}."), ""
    if "" in senders:
        return Requester("no_user", "Airflow's audit log does not tell for every event which one user sent it."), ""
    return Requester(
        "no_user", "Several users sent the events of this run. The setting 'event_senders' can name one."
    ), ""
