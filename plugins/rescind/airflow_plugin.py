"""The Airflow plugin: the page "Access reviews" in the menu under Browse.

The installed distribution registers it with an entry point. ``plugins/rescind_plugin.py`` registers it where the
folders were copied instead.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from rescind.approvers import Approver
    from rescind.i18n import Reader
    from rescind.ledger import Ledger, Selection
    from rescind.ledger.read_models.boxes import Preview
    from rescind.ledger.read_models.person import PersonAccess
    from rescind.settings import Settings
    from rescind.web.selections import Selecting

log = logging.getLogger(__name__)


class RescindPlugin(AirflowPlugin):
    """Add the page "Access reviews" to Airflow, in the menu under Browse."""

    name = "rescind"

    # No leading slash: the UI resolves these against its own path prefix.
    external_views: list[dict[str, Any]] = [  # noqa: RUF012 - as the base class declares it
        {
            "name": "Access reviews",
            "href": "rescind/runs",
            "destination": "nav",
            "category": "browse",
            "url_route": "access-reviews",
            "icon": "rescind/static/icon.svg",
            "icon_dark_mode": "rescind/static/icon-dark.svg",
        }
    ]

    @cached_property
    def timetables(self) -> list[Any]:  # type: ignore[override]
        """The schedule of the DAGs; loaded only where Airflow reads or writes DAGs."""
        from rescind.dag_parts.schedule import OnTimeCronTimetable

        return [OnTimeCronTimetable]

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The app of the page, created on first access: schedulers and workers load this file too."""
        try:
            return [{"app": _page(), "url_prefix": "/rescind", "name": "Access reviews"}]
        except Exception:
            # Airflow does not catch errors here: one would keep its API server from starting.
            log.exception('The page "Access reviews" could not be created and is left out')
            return []

    @cached_property
    def fastapi_root_middlewares(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The address of the page without a slash at its end; only where there is the page."""
        if not self.fastapi_apps:
            return []
        from rescind.web.home import Home

        return [{"middleware": Home, "name": "Access reviews"}]


def _page() -> Any:
    from rescind.compat import require_supported
    from rescind.systems import titles
    from rescind.web.app import create_app

    require_supported()
    return create_app(
        _ledger,
        _evidence_folders,
        titles(),
        usual_reader=_usual_reader,
        person_access=_person_access,
        selecting=_selecting(),
        risk_level=_risk_level,
    )


def _ledger() -> str:
    """Return the connection string of the page: that of a role of its own, where the deployment has one."""
    from airflow.sdk import BaseHook
    from airflow.sdk.exceptions import AirflowNotFoundException

    from rescind.hooks.ledger import LedgerHook
    from rescind.settings import PAGE_CONNECTION

    try:
        BaseHook.get_connection(PAGE_CONNECTION)
    except AirflowNotFoundException:
        return LedgerHook().dsn()
    return LedgerHook(PAGE_CONNECTION).dsn()


def _selecting() -> Selecting:
    from rescind.web.selections import Selecting

    return Selecting(approvers=_approvers, preview=_preview, read_comment=_read_comment)


def _approvers(ledger: Ledger, run_id: str) -> list[Sequence[Approver]]:
    """Return the approvers of the settings of now, and of those that the run recorded."""
    from rescind.workflow.run_settings import settings_of  # loaded when somebody chooses lines

    current = _settings()
    return [one.approvers for one in (current, settings_of(ledger, ledger.runs.get(run_id), current))]


def _preview(ledger: Ledger, selection: Selection) -> Preview:
    from rescind.workflow.narrowing.preview import preview  # loaded when somebody looks at a selection

    return preview(ledger, selection, _settings())


def _read_comment(text: object) -> str:
    from rescind.workflow.question.answer_fields import read_comment

    return read_comment(text)


def _settings() -> Settings:
    from airflow.sdk import Variable

    from rescind.settings import VARIABLE, Settings
    from rescind.systems import default_connections

    raw = Variable.get(VARIABLE, default=None, deserialize_json=True)
    return Settings.parse(raw, connections=default_connections())


def _risk_level(entitlement: str, principal_type: str, status: str, matched_by: str, unused_days: int | None) -> str:
    from rescind.workflow.question.risk import risk_level  # loaded when somebody looks at groups

    return risk_level(entitlement, principal_type, status, matched_by, unused_days)


def _person_access(ledger: Ledger, run_id: str, person: str) -> PersonAccess:
    from rescind.workflow.closing.person_access import person_access  # loaded when somebody looks at a person

    return person_access(ledger, run_id, person)


def _evidence_folders() -> Iterator[Path]:
    """Yield the local folders of reports and bundles."""
    from rescind.web.downloads.reports import local_path

    settings = _settings()
    place = local_path(settings.location("evidence"))  # a plain path, or file://
    if place is not None:
        for kind in ("reports", "bundles"):
            yield (place if place.is_absolute() else settings.path("evidence")) / kind


def _usual_reader() -> Reader:
    from rescind.i18n import Reader

    settings = _settings()
    return Reader(settings.language, settings.time_zone)
