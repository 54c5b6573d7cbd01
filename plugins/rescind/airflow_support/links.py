"""Links from a task to the page "Access reviews", and to the vendor's console.

Airflow computes a link on the worker when the task ends, whatever its result, and stores it for the UI. Links to the
page have no scheme, host or leading slash. The UI resolves them against the path that it is served under, so they
always lead to the UI itself, also behind a proxy with a prefix. The page checks sign-in and rights again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey

PAGE = "rescind/runs"
"""Path under which the plugin serves the page."""


def airflow_base() -> str:
    """Return Airflow's setting ``api.base_url`` without a final slash, or an empty text."""
    from airflow.configuration import conf

    return str(conf.get("api", "base_url", fallback="") or "").rstrip("/")


def page_address(number: int) -> str:
    """Return the address of a run on the page, for logs; without the setting ``api.base_url`` only its path."""
    return f"{airflow_base()}/{PAGE}/{number:d}".removeprefix("/")


class ReviewLink(BaseOperatorLink):
    """The run on the page, or the list of runs if the task has none.

    Uses ``run_number`` of the operator.
    """

    name = "Access review"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the address."""
        number = getattr(operator, "run_number", None)
        return f"{PAGE}/{number:d}" if number else PAGE


class ReportLink(BaseOperatorLink):
    """The run's report. Empty, and so not shown, without a report or if it is in object storage.

    Uses ``report_at`` of the operator, the address of the report as in the summary.
    """

    name = "Report"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the address."""
        return _served(operator, getattr(operator, "report_at", ""), "report")


class EvidenceLink(BaseOperatorLink):
    """The run's evidence bundle as one archive. Empty in the same cases as :class:`ReportLink`.

    Uses ``bundle_at`` of the operator, the address of the bundle.
    """

    name = "Evidence"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the address."""
        return _served(operator, getattr(operator, "bundle_at", ""), "bundle")


class ConsoleLink(BaseOperatorLink):
    """The vendor's own console of the task's permission system. Empty if no address is documented.

    Uses ``console_at`` of the operator: a complete, constant ``https`` address of
    :mod:`rescind.cloud.connection.consoles`.
    """

    name = "Vendor console"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the address."""
        return str(getattr(operator, "console_at", ""))


def _served(operator: Any, address: str, name: str) -> str:
    """Return the page's address of a file of the run, or an empty text if the page cannot serve it."""
    number = getattr(operator, "run_number", None)
    local = bool(address) and ("://" not in address or address.startswith("file://"))
    return f"{PAGE}/{number:d}/{name}" if number and local else ""
