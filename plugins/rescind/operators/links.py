"""Links from a task to the page "Access reviews".

Airflow computes a link on the worker when the task ends, whatever came of it, and keeps it for the interface. These
hold no scheme, host or leading slash: the interface resolves them against the path that it is served under, so a link
leads to the interface itself and nowhere else, also behind a proxy with a prefix. What a link opens asks for sign-in
and rights again.
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
        number, address = getattr(operator, "run_number", None), getattr(operator, "report_at", "")
        served = bool(address) and ("://" not in address or address.startswith("file://"))
        return f"{PAGE}/{number:d}/report" if number and served else ""
