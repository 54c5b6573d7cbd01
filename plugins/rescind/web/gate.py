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

from rescind.web.posts import NotSavedError, admit, by_bearer

log = logging.getLogger(__name__)

Identify = Callable[[Request], Awaitable[Any]]
Readable = Callable[[Any, Collection[str]], frozenset[str]]
ErrorPage = Callable[[Request, int, str], Response]


@dataclass(frozen=True, slots=True)
class Reader:
    """The user of a request.

    :param dags: the DAGs whose runs they may see, never empty.
    :param names: id and name under which Airflow knows them; only for what the page shows, never for a permission.
    :param user: the user as the auth manager has them, and ``ident`` and ``name`` of that user.
    :param bearer: whether a bearer token named the user; otherwise a cookie, which a browser sends by itself.
    """

    dags: frozenset[str]
    names: frozenset[str] = frozenset()
    user: Any = None
    ident: str = ""
    name: str = ""
    bearer: bool = False


class Gate:
    """ASGI middleware. It puts a :class:`Reader` into the state of the request, or answers with an error page.

    :param identify: returns the user of a request; raises ``HTTPException`` without one.
    :param readable: returns those of the given DAGs whose runs a user may read.
    :param dag_ids: returns the DAGs that the page knows.
    :param error_page: returns the error page of a status.
    :param headers: set on every answer that does not set the header itself.
    :param origin: returns the origin of the page's address, where selections can be saved; see
        :func:`rescind.web.posts.admit`. None: the page only reads.
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
        origin: Callable[[], str] | None = None,
    ) -> None:
        self._app, self._identify, self._readable, self._dag_ids = app, identify, readable, dag_ids
        self._error_page, self._headers, self._origin = error_page, headers, origin

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
            reads = request.method in ("GET", "HEAD")
            body = b"" if reads else await admit(request, self._origin)
            scope.setdefault("state", {}).update(reader=await self._reader(request), body=body)
            await self._app(scope, receive, guarded)
        except HTTPException as refusal:
            await self._error_page(request, refusal.status_code, said(refusal))(scope, receive, guarded)
        except Exception:
            log.exception("Access reviews: the request could not be answered")
            if begun:
                raise
            await self._error_page(request, 503, "")(scope, receive, guarded)

    async def _reader(self, request: Request) -> Reader:
        user = await self._identify(request)
        if user is None:
            raise HTTPException(401)
        dags = await asyncio.to_thread(lambda: self._readable(user, self._dag_ids()))
        if not dags:
            raise HTTPException(403)
        ident, name = _names(user)
        return Reader(dags, frozenset({ident, name} - {""}), user, ident, name, by_bearer(request))


def said(refusal: HTTPException) -> str:
    """Return the sentence of a refusal that has one for people; else an empty text."""
    return str(refusal.detail) if isinstance(refusal, NotSavedError) else ""


def _names(user: Any) -> tuple[str, str]:
    """Return id and name of a user of the auth manager, as it has them for an answer; a test may use text."""
    if isinstance(user, str):
        return user, user
    ident, name = (ask() if callable(ask := getattr(user, one, None)) else "" for one in ("get_id", "get_name"))
    return str(ident), str(name)


def reader_of(request: Request) -> Reader:
    """Return the reader of a request that passed the gate.

    :raises HTTPException: 401 when the request did not pass the gate.
    """
    reader = getattr(request.state, "reader", None)
    if not isinstance(reader, Reader):
        raise HTTPException(401)
    return reader
