"""When a failed task is tried again: as the vendor asks, not before."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy

from rescind.errors import CloudError, ThrottledError, TransientError, first_of

if TYPE_CHECKING:
    from airflow.sdk import Context

LONGEST_S = 900.0
"""Longest pause that an answer can ask for, in seconds; a vendor's typing error must not park a run for days."""


class AsTheVendorAsks(RetryPolicy):
    """Waits as long as the vendor's Retry-After asks, and longer from try to try where it asks nothing.

    Anything but a throttled or passing failure follows the task's own retry settings. What no retry can mend
    ends the task before this is asked (:class:`~airflow.sdk.exceptions.AirflowFailException`).

    :param first_s: pause after the first try when nothing is asked for, in seconds; it doubles.
    """

    def __init__(self, first_s: float = 20.0) -> None:
        self.first_s = first_s

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """See the class."""
        cause = first_of(exception)
        if not isinstance(cause, (ThrottledError, TransientError)):
            return RetryDecision.default()
        pause = max(_asked(cause), self.first_s * 2.0 ** (try_number - 1))
        seconds = min(pause, LONGEST_S)
        return RetryDecision.retry(timedelta(seconds=seconds), f"{type(cause).__name__}: again in {seconds:.0f} s")

    def serialize(self) -> dict[str, Any]:
        """As JSON values."""
        return {"first_s": self.first_s}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> AsTheVendorAsks:
        """From :meth:`serialize`."""
        return cls(float(data["first_s"]))


def _asked(error: CloudError) -> float:
    return max(error.retry_after or 0.0, 0.0)
