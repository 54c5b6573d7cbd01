"""The address of the page without a slash at its end: there Airflow would show its own interface."""

from __future__ import annotations

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

PREFIX = "/rescind"
"""Where the app is mounted, below Airflow's own path prefix."""


class Home:
    """ASGI middleware of Airflow's API server: the bare prefix leads to the list of runs.

    It answers without a login and tells nothing; the list asks for one. Its redirect is relative, so it names no host
    and keeps a path prefix. Every other request passes unchanged.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""
        app = self._app
        reads = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
        if reads and scope["path"] in (PREFIX, f"{scope.get('root_path', '')}{PREFIX}"):
            app = RedirectResponse(f"{PREFIX[1:]}/runs", 307)
        await app(scope, receive, send)
