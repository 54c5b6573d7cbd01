"""The Airflow plugin: the page "Access reviews" in the menu under Browse.

The installed distribution registers it with an entry point. ``plugins/rescind_plugin.py`` registers it where the
folders were copied instead.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.plugins_manager import AirflowPlugin

if TYPE_CHECKING:
    from rescind.i18n import Reader
    from rescind.ledger import Ledger
    from rescind.ledger.read_models.person import PersonAccess
    from rescind.settings import Settings

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


def _page() -> Any:
    from rescind.compat import require_supported
    from rescind.systems import titles
    from rescind.web.app import create_app

    require_supported()
    return create_app(_ledger, _evidence_folders, titles(), usual_reader=_usual_reader, person_access=_person_access)


def _ledger() -> str:
    from rescind.hooks.ledger import LedgerHook

    return LedgerHook().dsn()


def _person_access(ledger: Ledger, run_id: str, person: str) -> PersonAccess:
    from rescind.workflow.closing.person_access import person_access  # loaded when somebody looks at a person

    return person_access(ledger, run_id, person)


def _evidence_folders() -> Iterator[Path]:
    """Yield the local folders of reports and bundles."""
    from rescind.web.reports import local_path

    settings = _settings()
    place = local_path(settings.location("evidence"))  # a plain path, or file://
    if place is not None:
        for kind in ("reports", "bundles"):
            yield (place if place.is_absolute() else settings.path("evidence")) / kind


def _usual_reader() -> Reader:
    from rescind.i18n import Reader

    settings = _settings()
    return Reader(settings.language, settings.time_zone)


def _settings() -> Settings:
    from airflow.sdk import Variable

    from rescind.settings import VARIABLE, Settings
    from rescind.systems import default_connections

    raw = Variable.get(VARIABLE, default=None, deserialize_json=True)
    return Settings.parse(raw, connections=default_connections())
