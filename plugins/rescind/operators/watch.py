"""Watch: record and report regrants of access that was proven gone. Nothing is revoked here."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk.exceptions import AirflowFailException

from rescind.errors import CloudError, ConfigurationError, ListingIncompleteError, first_of
from rescind.hooks.clients import connected
from rescind.hooks.ledger import check_ledger
from rescind.ledger import Ledger, NewRegrant, Regrant, WatchCheck, Watched
from rescind.operators.bases.announcing import AnnouncingMixin
from rescind.operators.bases.review import ReviewOperator
from rescind.settings import Settings
from rescind.systems import system_named
from rescind.workflow.execute.verification.watch import unchecked, watch_account
from rescind.workflow.question.markdown import plain

if TYPE_CHECKING:
    from airflow.sdk import Context

    from rescind.notifications.announce import Notifier
    from rescind.notifications.events import Notice

_NOT_CHECKED = (CloudError, ListingIncompleteError, ConfigurationError)
_SHOWN = 20

Account = tuple[str, str]
"""(system, account)."""


class WatchOperator(ReviewOperator):
    """Re-list each affected resource once and match the grants that finished runs proved gone within ``watch_days``.

    :returns: the path of the summary (JSON) and its headline figures.
    """

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Watch",
        "doc_md": "Checks that access which was proven gone is still gone. Regrants are recorded with their source.",
    }

    def review(self, context: Context, ledger: Ledger) -> dict[str, Any]:
        """Check every account and write the summary."""
        settings, dag_run = self.settings(), context["dag_run"]
        check_ledger(ledger)
        due = due_by_account(ledger, settings)
        names = (dag_run.dag_id, dag_run.run_id)
        for check, regrants in asyncio.run(_look(ledger, settings, due)):
            first, again = ledger.regrants.record(*names, check, regrants)
            self.log.info("%s: %d seen for the first time, %d again", _counts(check), first, again)
        seen = ledger.regrants.seen(*names)
        for one in seen[:_SHOWN]:
            self.log.warning("%s", describe(one))
        return self._write(ledger, settings, names, seen)

    def _write(self, ledger: Ledger, settings: Settings, names: tuple[str, str], seen: list[Regrant]) -> dict[str, Any]:
        checks = ledger.regrants.checks(*names)
        totals = {
            name: sum(getattr(check, name) for check in checks)
            for name in ("watched", "still_gone", "returned", "not_checked", "list_calls")
        }
        summary = {
            "dag": names[0],
            "airflow_run": names[1],
            "written_at": datetime.now(UTC).isoformat(),
            "watch_days": settings.watch_days,
            **totals,
            "first": sum(one.first for one in seen),
            "systems": [asdict(check) for check in checks],
            "returns": [one.as_dict() for one in seen],
        }
        folder = settings.path("summaries")
        folder.mkdir(parents=True, exist_ok=True)
        # Airflow's run ids hold colons and plus signs, which not every file system takes.
        path = folder / f"watch-{hashlib.sha256(names[1].encode()).hexdigest()[:16]}.json"
        path.write_text(json.dumps(summary, indent=2, ensure_ascii=False, default=str) + "\n", encoding="utf-8")
        return {"summary": str(path), **totals, "first": summary["first"]}


class WatchGateOperator(AnnouncingMixin, ReviewOperator):
    """Fail the run if access came back or could not be checked; see the setting ``watch_alarm``.

    It also tells chats about access that came back: when it is seen for the first time, or each time with ``any``.

    :param notifiers: notifiers that are told, beside the chats of the setting ``notifications``.
    """

    LABELS: ClassVar[dict[str, str]] = {
        "task_display_name": "Gate",
        "doc_md": "Fails if access came back or could not be checked, so that callbacks and notifiers run.",
    }

    def __init__(self, *, notifiers: Sequence[Notifier] = (), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.told = list(notifiers)

    def _came_back(self, names: tuple[str, str], found: Sequence[Regrant], settings: Settings) -> Notice:
        from rescind.notifications import events  # only where something is told

        return events.came_back(names, found, settings)

    def review(self, context: Context, ledger: Ledger) -> dict[str, int]:
        """Fail with every regrant that the alarm setting covers."""
        settings, dag_run = self.settings(), context["dag_run"]
        names = (dag_run.dag_id, dag_run.run_id)
        checks = {(check.system, check.account): check for check in ledger.regrants.checks(*names)}
        seen = ledger.regrants.seen(*names)
        problems = [
            f"{system} {account}: {len(due)} grants were not checked"
            for (system, account), due in due_by_account(ledger, settings).items()
            if (system, account) not in checks
        ]
        problems += [f"{_counts(check)}: {check.problem}" for check in checks.values() if check.not_checked]
        alarming = [one for one in seen if one.first or settings.watch_alarm == "any"]
        if alarming:
            self.announce(context, ledger, lambda settings: self._came_back(names, alarming, settings))
        problems += [describe(one) for one in alarming[:_SHOWN]]
        if len(alarming) > _SHOWN:
            problems.append(f"{len(alarming) - _SHOWN} more regrants; see the summary")
        if problems and settings.watch_alarm != "none":
            raise AirflowFailException("; ".join(problems))
        for problem in problems:
            self.log.warning("%s", problem)
        return {"returned": len(seen), "not_checked": sum(check.not_checked for check in checks.values())}


def due_by_account(ledger: Ledger, settings: Settings) -> dict[Account, list[Watched]]:
    """Return the grants to watch now, by system and account; those of newer runs first."""
    found: dict[Account, list[Watched]] = {}
    for one in ledger.regrants.due(datetime.now(UTC) - timedelta(days=settings.watch_days)):
        found.setdefault((one.grant.key.system, one.grant.key.account), []).append(one)
    return found


def describe(one: Regrant) -> str:
    """Return one line about a regrant: who, what, which run had proved it gone, and its known source."""
    key = one.key
    who = f"{key.principal_type} {plain(key.principal_id)}"
    what = f"{plain(key.entitlement)} on {plain(key.resource_type)} {plain(key.resource_id)}"
    source = [
        f"{label} {plain(value)}"
        for label, value in (
            ("now as", one.seen_entitlement if one.seen_entitlement != key.entitlement else ""),
            ("record", one.seen_native_id),
            ("created", one.seen_created),
            ("until", one.seen_expires),
            ("origin", one.seen_origin),
        )
        if value
    ]
    when = "came back" if one.first else "is still back"
    known = ", ".join(source) or "the platform reports no source"
    return f"{key.system}: {who} {when} with {what}, which run {one.run_number} had proven gone ({known})"


def _counts(check: WatchCheck) -> str:
    return (
        f"{check.system} {check.account}: {check.watched} watched, {check.still_gone} still gone, "
        f"{check.returned} returned, {check.not_checked} not checked, {check.list_calls} list calls"
    )


async def _look(
    ledger: Ledger, settings: Settings, due: dict[Account, list[Watched]]
) -> list[tuple[WatchCheck, list[NewRegrant]]]:
    """Check all accounts at once. An unreachable account is "not checked" and does not stop the others."""

    async def one(account: Account, watched: list[Watched]) -> tuple[WatchCheck, list[NewRegrant]]:
        system = system_named(account[0])
        try:
            async with connected(system, watched[0].conn_id, ledger, settings, account=account[1]) as (client, _):
                return await watch_account(ledger, system, client, account[1], watched)
        except _NOT_CHECKED as error:
            return unchecked(*account, watched, error), []

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(account, watched)) for account, watched in due.items()]
    except BaseExceptionGroup as errors:
        raise first_of(errors) from errors
    return [task.result() for task in tasks]
