"""Single vendor calls for stand-alone operators: rate-limited, classified, and turned into Airflow's exceptions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol, TypedDict

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from rescind.cloud.base import Answer, ListRequest, Prepared, ReadRequest, ReplyT, Request
from rescind.cloud.client import CloudClient
from rescind.cloud.paging import Listing
from rescind.cloud.retry import backoff
from rescind.errors import InputError, RefusedError, RescindError, RunInterruptedError, ThrottledError, TransientError
from rescind.hooks.base import run
from rescind.hooks.single_calls.grant_listing import read_listing
from rescind.hooks.single_calls.grants import VendorGrant
from rescind.hooks.single_calls.verify_gone import GoneReport, verify_gone


class Described(TypedDict):
    """A request that was not sent. ``fingerprint`` is the SHA-256 (hex) of its final bytes, without any secret."""

    sent: Literal[False]
    action: str
    host: str
    region: str
    parameters: dict[str, Any]
    fingerprint: str


class Listed(TypedDict):
    """A complete listing.

    ``rows`` are spelled as the vendor spells them. ``grants`` holds one entry for each single grant that a revoke
    call can remove, with the parameters of the revoke operator. ``record`` says what was read, as evidence.
    """

    rows: list[dict[str, Any]]
    grants: list[dict[str, Any]]
    record: dict[str, Any]


def described(client: CloudClient, request: Request[Any]) -> Described:
    """Return the request that would be sent. Nothing is sent, no key is needed."""
    prepared = client.prepare(request)
    return {
        "sent": False,
        "action": request.action,
        "host": prepared.headers["host"],
        "region": client.region,
        "parameters": request.wire(),
        "fingerprint": prepared.fingerprint,
    }


@contextmanager
def airflow_outcomes() -> Iterator[None]:
    """Turn this package's errors into Airflow's.

    :raises AirflowFailException: for a wrong input, a refusal, an incomplete listing, or an unknown outcome: a retry
        does not help, or could do harm.
    :raises AirflowException: when nothing was executed (throttled too long, host not reached); a retry is safe.
    """
    try:
        yield
    except (ThrottledError, TransientError, RunInterruptedError) as error:
        failure: AirflowException = AirflowException(f"{error}. Nothing was changed; the task can be tried again")
    except RescindError as error:
        failure = AirflowFailException(f"{type(error).__name__}: {error}")
    else:
        return
    raise failure


def list_all(client: CloudClient, kind: type[VendorGrant], request: ListRequest[Any] | ReadRequest[Any]) -> Listed:
    """Return a complete listing.

    :raises ListingIncompleteError: when it cannot prove that it is complete.
    """

    async def work() -> Listing[Any]:
        async with client:
            return await read_listing(client, request)

    listing = run(work())
    return {
        "rows": [row.model_dump(mode="json") for row in listing.rows],
        "grants": [grant.described() for row in listing.rows for grant in kind.from_row(request, row)],
        "record": listing.record.as_dict(),
    }


def verify_all(client: CloudClient, grants: Sequence[VendorGrant]) -> GoneReport:
    """See :func:`rescind.hooks.single_calls.verify_gone.verify_gone`."""

    async def work() -> GoneReport:
        async with client:
            return await verify_gone(client, grants)

    return run(work())


class Journal(Protocol):
    """Decides right before each attempt whether it may be sent, and records attempts."""

    def intent(self, prepared: Prepared[Any]) -> int:
        """Record that the request is about to be sent, and return the number of the attempt.

        :raises RescindError: when nothing may be sent.
        """

    def outcome(self, attempt: int, answer: Answer[Any] | None, error: Exception | None) -> None:
        """Record what became of the attempt: an answer that was checked, or an error."""


async def write_once(
    client: CloudClient,
    request: Request[ReplyT],
    patience_s: float,
    journal: Journal,
    check: Callable[[Answer[ReplyT]], None],
) -> Answer[ReplyT]:
    """Send one write. Only an attempt that was certainly not executed is repeated, each time signed again.

    :param patience_s: how long throttled attempts may be repeated, in seconds.
    :param check: raises a ``RefusedError`` when the answer refuses a part of the request.
    :raises UnknownOutcomeError: read the platform before anything else.
    :raises CloudError: see :meth:`rescind.cloud.client.CloudClient.dispatch`.
    """
    prepared = client.prepare(request)
    ends_at = time.monotonic() + patience_s
    attempt = 0
    while True:
        attempt += 1
        await client.pacer.slot(prepared.bucket, write=True)
        noted = await asyncio.to_thread(journal.intent, prepared)
        try:
            answer = await client.dispatch(prepared)
            check(answer)
        except Exception as error:
            await asyncio.to_thread(journal.outcome, noted, None, error)
            if not isinstance(error, ThrottledError | TransientError):
                raise
            wait = backoff(attempt, error.retry_after)
            if time.monotonic() + wait > ends_at:
                raise
        else:
            await asyncio.to_thread(journal.outcome, noted, answer, None)
            return answer
        await asyncio.sleep(wait)


def texts(name: str, value: Any) -> tuple[str, ...]:
    """Return a list of ids as a tuple. A single text, as a template may render it, is refused.

    :raises InputError: for anything but a list or a tuple.
    """
    if not isinstance(value, list | tuple):
        raise InputError(name, f"is {type(value).__name__}, not a list", "Give a list of ids")
    return tuple(value)


def checked_flag(name: str, value: Any) -> bool:
    """Return a flag. It must be a real boolean, because the text ``"False"`` is truthy.

    :raises ValueError: for anything else.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, not {type(value).__name__}")
    return value


def refused(request: Request[Any], detail: str, answer: Answer[Any]) -> RefusedError:
    """Return the error for a refused part of a call. Control characters of the vendor's text are replaced."""
    words = "".join(letter if letter.isprintable() else "?" for letter in detail)[:200]
    return RefusedError(
        f"the vendor refused it: {words!r}",
        vendor=request.vendor,
        action=request.action,
        request_id=answer.request_id,
        http_status=answer.http_status,
    )
