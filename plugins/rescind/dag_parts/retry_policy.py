"""The retry policy of tasks that call a vendor: never earlier than the vendor asks."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rescind.compat import RetryDecision, RetryPolicy
from rescind.errors import CloudError, ThrottledError, TransientError, first_of

if TYPE_CHECKING:
    from airflow.sdk import Context

LONGEST_S = 900.0
"""Longest pause that an answer can ask for, in seconds, so that a wrong value cannot stop a run for days."""


class RetryAfterPolicy(RetryPolicy):
    """Wait as long as the vendor's Retry-After says, or with exponential backoff if it says nothing.

    Only throttled and transient errors use this policy. Other errors follow the task's own retry settings.
    Non-retryable errors fail the task before a policy is asked (:class:`~airflow.sdk.exceptions.AirflowFailException`).

    :param first_s: pause after the first try without Retry-After, in seconds. It doubles with every try.
    """

    def __init__(self, first_s: float = 20.0) -> None:
        self.first_s = first_s

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Return the decision for one error."""
        cause = first_of(exception)
        if not isinstance(cause, (ThrottledError, TransientError)):
            return RetryDecision.default()
        pause = max(_asked(cause), self.first_s * 2.0 ** (try_number - 1))
        seconds = min(pause, LONGEST_S)
        return RetryDecision.retry(timedelta(seconds=seconds), f"{type(cause).__name__}: retry in {seconds:.0f} s")

    def serialize(self) -> dict[str, Any]:
        """Return the arguments as JSON values."""
        return {"first_s": self.first_s}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> RetryAfterPolicy:
        """Return the policy of serialized arguments."""
        return cls(float(data["first_s"]))


def _asked(error: CloudError) -> float:
    return max(error.retry_after or 0.0, 0.0)
