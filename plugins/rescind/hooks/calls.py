"""One call at a time, for operators that stand alone: paced, judged, and turned into Airflow's outcomes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from rescind.cloud.base import Answer, ListRequest, ReplyT, Request, RowT
from rescind.cloud.client import CloudClient
from rescind.cloud.paging import Listing, collect
from rescind.cloud.retry import backoff
from rescind.errors import InputError, RefusedError, RescindError, ThrottledError, TransientError
from rescind.hooks.base import run


def described(client: CloudClient, request: Request[Any]) -> dict[str, Any]:
    """The request that would be sent, as JSON values. Nothing is sent, no key is needed."""
    prepared = client.prepare(request)
    return {
        "dry_run": True,
        "action": request.action,
        "host": prepared.headers["host"],
        "region": client.region,
        "parameters": request.wire(),
        "fingerprint": prepared.fingerprint,
    }


@contextmanager
def airflow_outcomes() -> Iterator[None]:
    """Turn this package's errors into Airflow's.

    :raises AirflowFailException: a wrong input, a refusal, an incomplete listing, an unknown outcome: no retry helps,
        or a blind one could do harm.
    :raises AirflowException: not executed (throttled too long, host not reached); a retry of the task is safe.
    """
    try:
        yield
    except (ThrottledError, TransientError) as error:
        failure: AirflowException = AirflowException(f"{error}. Nothing was changed; the task can be tried again")
    except RescindError as error:
        failure = AirflowFailException(f"{type(error).__name__}: {error}")
    else:
        return
    raise failure


def list_all(client: CloudClient, request: ListRequest[RowT]) -> dict[str, Any]:
    """A complete listing as JSON values.

    :raises ListingIncompleteError: when it cannot prove that it is complete.
    """

    async def work() -> Listing[RowT]:
        async with client:
            return await collect(client, request)

    listing = run(work())
    return {
        "rows": [row.model_dump(mode="json") for row in listing.rows],
        "record": listing.record.as_dict(),
    }


def write_once(client: CloudClient, request: Request[ReplyT], patience_s: float) -> Answer[ReplyT]:
    """Send one write. Only what was surely not executed is sent again, each time signed anew.

    :param patience_s: how long throttled attempts may go on, in seconds.
    :raises UnknownOutcomeError: read the platform before anything else.
    :raises CloudError: see :meth:`rescind.cloud.client.CloudClient.dispatch`.
    """

    async def work() -> Answer[ReplyT]:
        async with client:
            return await _patiently(client, request, patience_s)

    return run(work())


async def _patiently(client: CloudClient, request: Request[ReplyT], patience_s: float) -> Answer[ReplyT]:
    prepared = client.prepare(request)
    ends_at = time.monotonic() + patience_s
    attempt = 0
    while True:
        attempt += 1
        await client.pacer.slot(prepared.bucket, write=True)
        try:
            return await client.dispatch(prepared)
        except (ThrottledError, TransientError) as error:
            wait = backoff(attempt, error.retry_after)
            if time.monotonic() + wait > ends_at:
                raise
        await asyncio.sleep(wait)


def texts(name: str, value: Any) -> tuple[str, ...]:
    """A list of ids; one text, as a template may render it, is not taken for a list of letters.

    :raises InputError: for anything but a list or a tuple.
    """
    if not isinstance(value, list | tuple):
        raise InputError(name, f"is {type(value).__name__}, not a list", "Give a list of ids")
    return tuple(value)


def checked_flag(name: str, value: Any) -> bool:
    """A flag that must be a real boolean: the text ``"False"`` would count as true.

    :raises ValueError: for anything else.
    """
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, not {type(value).__name__}")
    return value


def refused(request: Request[Any], detail: str, answer: Answer[Any]) -> RefusedError:
    """The error for a part of a batch that the vendor refused; vendor text without control characters."""
    words = "".join(letter if letter.isprintable() else "?" for letter in detail)[:200]
    return RefusedError(
        f"the vendor refused it: {words!r}",
        vendor=request.vendor,
        action=request.action,
        request_id=answer.request_id,
        http_status=answer.http_status,
    )
