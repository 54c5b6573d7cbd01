"""What a request has to be before it may add anything: one path, a small body, a form of this page.

The page reads, but for one address: there an approver saves a selection. A browser sends the session's cookie with
forms of other sites of the same domain too, so the cookie alone is never enough.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from datetime import datetime

from starlette.exceptions import HTTPException
from starlette.requests import Request

from rescind.i18n import tr
from rescind.model import canonical

MOST_BODY = 256 * 1024
"""Largest body of a request, in bytes."""
_PATH = re.compile(r"/runs/[1-9][0-9]{0,9}/selections")
_HOUR = 3600


class NotSavedError(HTTPException):
    """A selection that is not saved. The page shows the sentence; it holds no internal details."""


async def admit(request: Request, origin: Callable[[], str] | None) -> bytes:
    """Return the body of a request that may change something, as far as that does not depend on its user.

    :param origin: returns the origin of the page's configured address; None where the page only reads.
    :raises HTTPException: 405 for another method or path, 413 for a body that is too large, 403 for a form of
        another site.
    """
    path = str(request.scope["path"]).removeprefix(str(request.scope.get("root_path", "")))
    if origin is None or request.method != "POST" or not _PATH.fullmatch(path):
        raise HTTPException(405)
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY:
            raise NotSavedError(413, tr("The form is too large. Nothing was saved."))
    site = request.headers.get("sec-fetch-site")
    here = origin()
    same = site == "same-origin" if site is not None else bool(here) and request.headers.get("origin") == here
    if not same:
        raise NotSavedError(
            403, tr("The form was not sent from this page. Nothing was saved; open the run here again.")
        )
    return body


def by_bearer(request: Request) -> bool:
    """Return whether a request names its user by a bearer token; otherwise by a cookie."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return scheme.lower() == "bearer" and bool(token.strip())


def form_token(key: bytes, user_id: str, run: int, digest: str, now: datetime) -> str:
    """Return the token of a form for one user, run and plan; it is good in this hour and the next one.

    :param key: secret of the deployment.
    """
    return _token(key, user_id, run, digest, int(now.timestamp()) // _HOUR)


def token_fits(key: bytes, token: str, user_id: str, run: int, digest: str, now: datetime) -> bool:
    """Return whether a token is one of this user, run and plan, from this hour or the one before."""
    hour = int(now.timestamp()) // _HOUR
    known = [_token(key, user_id, run, digest, one) for one in (hour, hour - 1)]
    return any([hmac.compare_digest(one.encode(), token.encode("utf-8", "replace")) for one in known])


def _token(key: bytes, user_id: str, run: int, digest: str, hour: int) -> str:
    return hmac.new(key, canonical(["form/1", user_id, run, digest, hour]), hashlib.sha256).hexdigest()
