"""Stands before every route: authentication, permission, headers, and errors that say nothing of the inside.

It is middleware and no dependency of single routes, so that a route added later, a static file or a path that
does not exist is behind it as well. Any doubt (no auth manager, an error in its check, no ledger) closes it.
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
    """Who reads: the DAGs whose runs they may see, never empty."""

    dags: frozenset[str]


class Gate:
    """ASGI middleware; puts a :class:`Reader` into the request's state or answers itself.

    :param identify: the user of a request; raises ``HTTPException`` where there is none.
    :param readable: which of some DAGs a user may read the runs of.
    :param dag_ids: the DAGs that the page knows of.
    :param error_page: what people see instead of a page; gets the status only.
    :param headers: set on every answer that has no such header of its own.
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
        return Reader(dags)


def reader_of(request: Request) -> Reader:
    """The reader whom the gate let in.

    :raises HTTPException: 401 when the gate did not see this request.
    """
    reader = getattr(request.state, "reader", None)
    if not isinstance(reader, Reader):
        raise HTTPException(401)
    return reader
