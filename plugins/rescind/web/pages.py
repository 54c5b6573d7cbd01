"""The templates, and the headers of the answers."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from rescind.i18n import mark, moment, tr
from rescind.ledger.read_models.item_rows import NO_DEPARTMENT
from rescind.ledger.read_models.overview import CLOCK_DAYS
from rescind.ledger.read_models.queries import MOST_REFUSED
from rescind.model import NEW_RUN, needs_new_run
from rescind.run_state.states import NOT_STARTED, tone_of, was_left_out, words_of
from rescind.stored_text import translated
from rescind.web import shape
from rescind.web.language import choices
from rescind.web.phrases import bdi, bold, code, grouped, link, phrase, phrases
from rescind.web.text import visible, whole

HERE = Path(__file__).parent
STATIC = {
    "app.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "icon-dark.svg": "image/svg+xml",
}
"""All static files, with their media types."""

ERRORS = {
    401: (
        mark("Sign in first"),
        mark("Your session with Airflow has ended. Sign in to Airflow again, then reload this page."),
    ),
    403: (
        mark("No permission"),
        mark("You may not read the runs of any access review. Ask an Airflow administrator."),
    ),
    404: (mark("Not found"), mark("This page does not exist, or you may not read it.")),
    405: (mark("Not allowed"), mark("Nothing can be changed at this address.")),
    409: (mark("Not saved"), mark("The selection does not fit the run as it stands now. Nothing was saved.")),
    413: (mark("Not saved"), mark("The form is too large. Nothing was saved.")),
    422: (
        mark("Invalid filter"),
        mark("A filter in this address has an invalid value. Set the filters again."),
    ),
    503: (
        mark("Not available"),
        mark("The page cannot be shown now. See the log of Airflow's API server."),
    ),
}
# The error page holds its own style: the style sheet is behind the gate.
ERROR_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:18vh auto;"
    "padding:0 1.5rem}h1{font-size:1.4rem}a{color:inherit}"
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
"""Set on every answer: only scripts and styles of this app, no requests to other origins."""

REPORT_HEADERS = {
    "content-security-policy": (
        "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; form-action 'none'; "
        "base-uri 'none'; frame-ancestors 'self'"
    ),
}
"""A report is a foreign file: no scripts, an origin of its own, nothing loaded."""

BUNDLE_HEADERS = {"content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'self'"}
"""A bundle is downloaded, not shown."""


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
        "stored": translated,
        "moment": moment,
        "lasting": shape.lasting,
        "whole": whole,
        "words": words_of,
        "tone": tone_of,
        "count": grouped,
    }
    environment.globals |= {
        "tr": phrase,
        "trn": phrases,
        "bdi": bdi,
        "link": link,
        "bold": bold,
        "code": code,
        "NEW_RUN": NEW_RUN,
        "NO_DEPARTMENT": NO_DEPARTMENT,
        "was_left_out": was_left_out,
        "needs_new_run": needs_new_run,
        "state_of": shape.state_of,
        "question": shape.question,
        "actions": shape.actions,
        "CLOCK_DAYS": CLOCK_DAYS,
        "preflight": shape.preflight,
        "refusal": shape.refusal,
        "NOT_STARTED": NOT_STARTED,
        "MOST_REFUSED": MOST_REFUSED,
        "left_of": shape.left_of,
        "share": shape.share,
        "overdue": lambda run: shape.overdue(run, datetime.now(UTC)),
    }
    return environment


_PAGES = _environment()


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page made from a template. All links are relative, so any path prefix works."""
    titles = {system: tr(title) for system, title in request.app.state.titles.items()}
    html = _PAGES.get_template(template).render(up=up(request), titles=titles, reader=choices(request), **values)
    return HTMLResponse(html, status)


def error_page(request: Request, status: int, said: str = "") -> HTMLResponse:
    """Return the error page of a status: what to do, and no internal details.

    :param said: why a selection is not saved, in the reader's language, if that is what happened.
    """
    title, text = (tr(one) for one in ERRORS[status if status in ERRORS else 503])
    if said:
        title, text = tr("Not saved"), said
    back = said and request.scope["path"].endswith("/selections")
    return page(request, "error.html", status, title=title, text=text, style=ERROR_STYLE, status_code=status, back=back)


def static_file(name: str) -> Response | None:
    """Return a static file, or None."""
    kind = STATIC.get(name)
    if kind is None:
        return None
    content = (HERE / "static" / name).read_bytes()
    return Response(content, media_type=kind, headers={"cache-control": "private, max-age=300"})


def up(request: Request) -> str:
    """Return the relative path from this address to the root of the app, such as ``../``."""
    path: str = request.scope["path"]
    return "../" * (path.removeprefix(request.scope.get("root_path", "")).count("/") - 1)
