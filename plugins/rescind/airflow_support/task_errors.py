"""Which of this package's errors end a task, and which leave it to the task's retries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowFailException

from rescind.errors import (
    ConfigurationError,
    GuardTrippedError,
    InputError,
    ListingIncompleteError,
    NotFoundError,
    PlanError,
    RefusedError,
    RescindError,
    RunStoppedError,
    UnauthorizedError,
    first_of,
)

_NON_RETRYABLE = (
    InputError,
    ConfigurationError,
    GuardTrippedError,
    PlanError,
    RunStoppedError,
    UnauthorizedError,
    RefusedError,
    NotFoundError,
)


@contextmanager
def fail_without_retry(*, on_every_error: bool = False) -> Iterator[None]:
    """Turn non-retryable errors of this package into a final failure of the task.

    :param on_every_error: True treats every error of this package as non-retryable.
    :raises AirflowFailException: for a non-retryable error; every other exception passes unchanged.
    """
    try:
        yield
    except BaseException as error:
        first = first_of(error)
        final = isinstance(first, _NON_RETRYABLE) and not isinstance(first, ListingIncompleteError)
        if final or (on_every_error and isinstance(first, RescindError)):
            raise AirflowFailException(f"{type(first).__name__}: {first}") from error
        raise
