"""Links from a task to the page "Access reviews", and to the vendor's console.

Airflow computes a link on the worker when the task ends, whatever came of it, and keeps it for the interface. Those to
the page hold no scheme, host or leading slash: the interface resolves them against the path that it is served under,
so they lead to the interface itself and nowhere else, also behind a proxy with a prefix. What a link opens asks for
sign-in and rights again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey

PAGE = "rescind/runs"
"""Where the plugin serves the page."""


class ReviewLink(BaseOperatorLink):
    """The run on the page; all runs for a task that belongs to none.

    The operator has the run's number in ``run_number``.
    """

    name = "Access review"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """See the class."""
        number = getattr(operator, "run_number", None)
        return f"{PAGE}/{number:d}" if number else PAGE


class ReportLink(BaseOperatorLink):
    """The run's report; empty, and so not shown, when there is none or it lies in object storage.

    The operator has the report's address in ``report_at``, as the summary names it.
    """

    name = "Report"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """See the class."""
        return _served(operator, getattr(operator, "report_at", ""), "report")


class EvidenceLink(BaseOperatorLink):
    """The run's evidence bundle, as one archive; empty where :class:`ReportLink` would be.

    The operator has the bundle's address in ``bundle_at``.
    """

    name = "Evidence"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """See the class."""
        return _served(operator, getattr(operator, "bundle_at", ""), "bundle")


class ConsoleLink(BaseOperatorLink):
    """The vendor's own console of the task's permission system; empty where no address is documented.

    ``console_at`` of the operator holds it: a complete, constant ``https`` address of
    :mod:`rescind.cloud.connection.consoles`.
    """

    name = "Vendor console"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """See the class."""
        return str(getattr(operator, "console_at", ""))


def _served(operator: Any, address: str, name: str) -> str:
    """The page's address of a file of the run, where the page can serve it."""
    number = getattr(operator, "run_number", None)
    local = bool(address) and ("://" not in address or address.startswith("file://"))
    return f"{PAGE}/{number:d}/{name}" if number and local else ""
