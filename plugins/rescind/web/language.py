"""The language and the time zone of a request: the page's own choice, Airflow's, the browser's, a setting.

The choice of the page is in the address (``?lang=ja&tz=Asia/Tokyo``) once and then in cookies. Airflow keeps the
language and the time zone of its interface in the browser only; the page's script copies them into two more cookies.
Cookies decide how a page is written, never what somebody may see.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rescind.i18n import LANGUAGES, Reader, accepted_language, current, known_language, known_zone, reading

log = logging.getLogger(__name__)

CHOSEN_LANGUAGE, CHOSEN_ZONE = "rescind_lang", "rescind_tz"
"""Cookies with the choice of the page."""
AIRFLOW_LANGUAGE, AIRFLOW_ZONE = "rescind_airflow_lang", "rescind_airflow_tz"
"""Cookies with what Airflow's interface or the browser has; written by the script of the page."""
AUTOMATIC = "auto"
"""The choice that removes a choice."""
ZONES = (
    "UTC", "Asia/Shanghai", "Asia/Tokyo", "Asia/Seoul", "Asia/Singapore", "Asia/Kuala_Lumpur", "Asia/Manila",
    "Asia/Ho_Chi_Minh", "Asia/Bangkok", "Asia/Jakarta",
)  # fmt: skip
"""Time zones that the page offers; others come from Airflow or the browser."""
_YEAR_S = 31_536_000
_ASK_AGAIN_S = 60.0


class Language:
    """ASGI middleware: open the language and the time zone of a request around the app.

    A file that machines read too (CSV) stays in English and UTC.

    :param default: returns language and zone of the deployment; asked at most once a minute, and may fail.
    """

    def __init__(self, app: ASGIApp, *, default: Callable[[], Reader]) -> None:
        self._app, self._default = app, default
        self._usual, self._asked = Reader(), float("-inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See the class."""
        if scope["type"] != "http" or scope["path"].endswith(".csv"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        chosen = _chosen(request.query_params)
        reader = wanted({**request.cookies, **chosen}, request.headers.get("accept-language", ""))
        if not (reader.language and reader.zone):
            usual = await self._deployment()
            reader = Reader(reader.language or usual.language, reader.zone or usual.zone)

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.add_vary_header("Accept-Language, Cookie")
                for name, value in chosen.items():
                    headers.append("set-cookie", _cookie(name, value, scope.get("root_path", "")))
            await send(message)

        with reading(reader.language, reader.zone):
            await self._app(scope, receive, told)

    async def _deployment(self) -> Reader:
        if time.monotonic() - self._asked > _ASK_AGAIN_S:
            self._asked = time.monotonic()
            try:
                self._usual = await asyncio.to_thread(self._default)
            except Exception as error:  # settings that cannot be read are no reason to show no page
                log.warning("Access reviews: the language of the deployment is not known (%s)", type(error).__name__)
        return self._usual


def _chosen(query: Mapping[str, str]) -> dict[str, str]:
    """Return the cookies that an address asks for; an empty value removes one."""
    found = {}
    language, zone = query.get("lang", ""), query.get("tz", "")
    if language in (*LANGUAGES, AUTOMATIC):
        found[CHOSEN_LANGUAGE] = language.removeprefix(AUTOMATIC)
    if zone == AUTOMATIC or known_zone(zone):
        found[CHOSEN_ZONE] = zone.removeprefix(AUTOMATIC)
    return found


def _cookie(name: str, value: str, root: str) -> str:
    return f"{name}={value}; Path={root or '/'}; Max-Age={_YEAR_S if value else 0}; SameSite=Lax"


def wanted(cookies: Mapping[str, str], accepts: str) -> Reader:
    """Return how the sender of a request reads: by its own choice, Airflow's, the browser's; empty where none is known.

    :param accepts: the header ``Accept-Language``.
    """
    language = (
        known_language(cookies.get(CHOSEN_LANGUAGE, ""))
        or known_language(cookies.get(AIRFLOW_LANGUAGE, ""))
        or accepted_language(accepts)
    )
    return Reader(language, known_zone(cookies.get(CHOSEN_ZONE, "")) or known_zone(cookies.get(AIRFLOW_ZONE, "")))


def choices(request: Request) -> dict[str, object]:
    """Return what the template needs to offer languages and time zones: what is chosen, and what stays in the address.

    A request that did not pass the middleware reads as nobody chose anything.
    """
    chosen = {**request.cookies, **_chosen(request.query_params)}
    kept = [(name, value) for name, value in parse_qsl(request.url.query) if name not in ("lang", "tz")]
    language, zone = known_language(chosen.get(CHOSEN_LANGUAGE, "")), known_zone(chosen.get(CHOSEN_ZONE, ""))
    return {
        "language": current().language,
        "chosen_language": language,
        "chosen_zone": zone,
        "languages": LANGUAGES,
        "zones": [*ZONES, *([zone] if zone and zone not in ZONES else [])],
        "kept_query": kept,
    }
