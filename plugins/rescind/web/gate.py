"""Authenticate and authorize every request, set the headers, and hide internal details in errors.

This is middleware, not a dependency of single routes. So a route added later, a static file and an unknown path are
behind it too. Any failure (no auth manager, an error in its check, no ledger) denies access.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

Identify = Callable[[Request], Awaitable[Any]]
Readable = Callable[[Any, Collection[str]], frozenset[str]]
ErrorPage = Callable[[Request, int], Response]


@dataclass(frozen=True, slots=True)
class Reader:
    """The user of a request.

    :param dags: the DAGs whose runs they may see, never empty.
    :param names: id and name under which Airflow knows them; only for what the page shows, never for a permission.
    """

    dags: frozenset[str]
    names: frozenset[str] = frozenset()


class Gate:
    """ASGI middleware. It puts a :class:`Reader` into the state of the request, or answers with an error page.

    :param identify: returns the user of a request; raises ``HTTPException`` without one.
    :param readable: returns those of the given DAGs whose runs a user may read.
    :param dag_ids: returns the DAGs that the page knows.
    :param error_page: returns the error page of a status.
    :param headers: set on every answer that does not set the header itself.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        identify: Identify,
        readable: Readable,
        dag_ids: Callable[[], Collection[str]],
        error_page: ErrorPage,
        headers: dict[str, str],
    ) -> None:
        self._app, self._identify, self._readable, self._dag_ids = app, identify, readable, dag_ids
        self._error_page, self._headers = error_page, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        request, begun = Request(scope, receive), False

        async def guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            scope.setdefault("state", {})["reader"] = await self._reader(request)
            await self._app(scope, receive, guarded)
        except HTTPException as refusal:
            await self._error_page(request, refusal.status_code)(scope, receive, guarded)
        except Exception:
            log.exception("Access reviews: the request could not be answered")
            if begun:
                raise
            await self._error_page(request, 503)(scope, receive, guarded)

    async def _reader(self, request: Request) -> Reader:
        user = await self._identify(request)
        if user is None:
            raise HTTPException(401)
        dags = await asyncio.to_thread(lambda: self._readable(user, self._dag_ids()))
        if not dags:
            raise HTTPException(403)
        return Reader(dags, _names(user))


def _names(user: Any) -> frozenset[str]:
    """Return id and name of a user of the auth manager; a test may use text."""
    if isinstance(user, str):
        return frozenset({user})
    found = (getattr(user, name, None) for name in ("get_id", "get_name"))
    return frozenset(str(ask()) for ask in found if callable(ask))


def reader_of(request: Request) -> Reader:
    """Return the reader of a request that passed the gate.

    :raises HTTPException: 401 when the request did not pass the gate.
    """
    reader = getattr(request.state, "reader", None)
    if not isinstance(reader, Reader):
        raise HTTPException(401)
    return reader
