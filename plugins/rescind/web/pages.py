"""The templates, and the headers that go with what they make."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from rescind.web import shape
from rescind.web.text import visible

HERE = Path(__file__).parent
STATIC = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "icon-dark.svg": "image/svg+xml",
}
"""The static files, each with its media type. There are no others."""

ERRORS = {
    401: ("Sign in first", "Your session with Airflow has ended. Sign in to Airflow again, then reload this page."),
    403: ("Not for you", "You may not read the runs of any access review. Ask an administrator of Airflow."),
    404: ("Not found", "There is nothing here, or nothing that you may read."),
    405: ("Not possible", "This page only shows; it changes nothing."),
    422: ("Not understood", "A filter of this address has a value that does not fit. Set the filters again."),
    503: ("Not available", "The page cannot be shown now. The log of Airflow's API server says why."),
}
# The error page brings its few lines of style along: the style sheet is behind the gate like everything else.
ERROR_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:18vh auto;"
    "padding:0 1.5rem}h1{font-size:1.4rem}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(ERROR_STYLE.encode()).digest()).decode()

HEADERS = {
    "content-security-policy": (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'sha256-{_STYLE_HASH}'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"
    ),
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
"""On every answer. No script or style but our own files, and nothing leaves for another origin."""

REPORT_HEADERS = {
    "content-security-policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; form-action 'none'; "
        "base-uri 'none'; frame-ancestors 'self'"
    ),
}
"""A report is a file that was written elsewhere: no script at all, an origin of its own, nothing from anywhere."""

BUNDLE_HEADERS = {"content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'self'"}
"""A bundle is to be kept, not to be shown."""


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=visible,
    )
    environment.filters |= {
        "moment": shape.moment,
        "lasting": shape.lasting,
        "words": shape.words,
        "tone": lambda name: shape.TONES.get(name, ""),
        "count": lambda number: f"{number:,}".replace(",", "\u202f"),
    }
    environment.globals |= {
        "stage_of": shape.stage_of,
        "share": shape.share,
        "overdue": lambda run: shape.overdue(run, datetime.now(UTC)),
    }
    return environment


_PAGES = _environment()


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page made from a template; every link in it is relative, so that any path prefix will do."""
    html = _PAGES.get_template(template).render(up=up(request), titles=request.app.state.titles, **values)
    return HTMLResponse(html, status)


def error_page(request: Request, status: int) -> HTMLResponse:
    """What stands in the place of a page: what to do, and nothing of the inside."""
    known = status if status in ERRORS else 503
    title, text = ERRORS[known]
    return page(request, "error.html", status, title=title, text=text, style=ERROR_STYLE, status_code=status)


def static_file(name: str) -> Response | None:
    """One of the static files, or None."""
    kind = STATIC.get(name)
    if kind is None:
        return None
    content = (HERE / "static" / name).read_bytes()
    return Response(content, media_type=kind, headers={"cache-control": "private, max-age=300"})


def up(request: Request) -> str:
    """The way from this address to the root of the app: ``../`` for each folder in between."""
    path: str = request.scope["path"]
    return "../" * (path.removeprefix(request.scope.get("root_path", "")).count("/") - 1)
