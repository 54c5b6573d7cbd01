"""Read the roster from an HTTP service through Airflow's HTTP connection, and check every page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit

import requests
from airflow.providers.http.hooks.http import HttpHook
from airflow.sdk.exceptions import AirflowException

from rescind.errors import ConfigurationError, InputError
from rescind.hooks.input_files import Fetched
from rescind.ledger.runs.inputs import MAX_BYTES
from rescind.review.roster.pages import PageFields, RosterPages
from rescind.review.roster.presets import PRESETS, Preset
from rescind.review.text import parse_moment
from rescind.settings.roster import RosterEndpoint

SECONDS = 60
"""Timeout of one request, in seconds."""

_TYPES = {
    "csv": re.compile(r"text/csv|application/csv"),
    "json": re.compile(r"application/([a-z0-9.+-]+\+)?json"),
    "scim": re.compile(r"application/(scim\+)?json"),
}
_ACCEPT = {"csv": "text/csv", "json": "application/json", "scim": "application/scim+json, application/json"}
_CHUNK = 65_536
_PORTS = {"http": 80, "https": 443}


def fetch(endpoint: RosterEndpoint, preset: str = "") -> Fetched:
    """Return the complete roster of the service.

    :param preset: name of the service in :data:`~rescind.review.roster.presets.PRESETS`, which knows its pages.

    :raises ConfigurationError: for no connection, no answer, a status other than 200, or a wrong content type.
    :raises InputError: for a page that is truncated or does not fit the others, or a roster without any date.
    """
    return _Service(endpoint, PRESETS.get(preset)).read()


class Link(NamedTuple):
    """An address in the form in which addresses are compared (RFC 3986, section 6.2.2 and 6.2.3).

    :param host: scheme, host without a final dot in ASCII and lower case, and port.
    :param path: without dot segments. Percent encoding stands only where it is needed, in capitals.
    """

    host: tuple[str, str, int]
    path: str
    query: str

    @property
    def whole(self) -> str:
        """The address as one text. The fragment is left out: it is never sent."""
        scheme, name, port = self.host
        return f"{scheme}://{name}:{port}{self.path}?{self.query}"


def normal_link(link: str, here: str) -> Link:
    """Return a link, which may be relative to the page ``here``, in the form in which links are compared.

    :raises ValueError: for blanks, control characters, backslashes, a user name, and an address without http(s) or a
        host.
    """
    if re.search(r"[\s\x00-\x1f\x7f\\]", link):
        raise ValueError("it holds blanks, control characters or backslashes")
    full = urlsplit(urljoin(here, link))
    if full.scheme not in _PORTS or not full.hostname or full.username is not None or full.password is not None:
        raise ValueError("it is no http or https address, or holds a user name")
    name = full.hostname.rstrip(".")
    host = (full.scheme, name if name.isascii() else name.encode("idna").decode(), full.port or _PORTS[full.scheme])
    return Link(host, _without_dots(_normal_escapes(full.path) or "/"), _normal_escapes(full.query))


def _normal_escapes(text: str) -> str:
    """Return the text with every needless escape decoded, and the others in capitals."""

    def one(match: re.Match[str]) -> str:
        letter = chr(int(match[1], 16))
        return letter if letter.isascii() and (letter.isalnum() or letter in "-._~") else f"%{match[1].upper()}"

    return re.sub(r"%([0-9a-fA-F]{2})", one, text)


def _without_dots(path: str) -> str:
    """Return the path without ``.`` and ``..`` segments; ``..`` never leads above the root."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            if len(kept) > 1:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    ends_in_folder = segments[-1] in (".", "..")
    return "/".join([*kept, ""] if ends_in_folder else kept) or "/"


class _Service:
    """One read of one service."""

    def __init__(self, endpoint: RosterEndpoint, preset: Preset | None = None) -> None:
        self.endpoint = endpoint
        self.preset = preset if preset and preset.columns else None
        self.hook = HttpHook(method="GET", http_conn_id=endpoint.conn_id)
        self.source = f"roster endpoint {endpoint.endpoint.partition('?')[0]} of {endpoint.conn_id}"
        self.left = MAX_BYTES
        self.dates: list[datetime] = []

    def read(self) -> Fetched:
        """Return the roster; see :func:`fetch`."""
        if self.endpoint.format == "csv":
            content = self._get(self.endpoint.endpoint)[0]
            return Fetched(content, self.source, "csv", self._as_of([]))
        names = PageFields(self.endpoint.items, self.endpoint.total, self.endpoint.next, self.endpoint.as_of)
        token = ""
        if self.preset:
            one, token = self.preset, self.preset.token
            names = PageFields(one.items, one.total, one.next, self.endpoint.as_of, total_optional=True)
        pages = RosterPages(self.source, self.endpoint.format, names)
        place, query = self.endpoint.endpoint, self._query("1")
        seen: set[str] = set()
        while True:
            content, answer = self._get(place, query)
            pages.add(content, linked=str(answer.links.get("next", {}).get("url", "")))
            if pages.next is None:
                break
            if self.endpoint.format == "scim":
                query = self._query(pages.next)
            elif token:
                query = {token: pages.next}
                if pages.next in seen:
                    raise InputError(self.source, "a page names an earlier one", "Correct the service's paging.")
                seen.add(pages.next)
            else:
                # The address that was asked, not the setting: the connection may add to it.
                seen.add(normal_link(answer.url, answer.url).whole)
                place = self._below(pages.next, answer.url)
                if normal_link(pages.next, answer.url).whole in seen:
                    raise InputError(self.source, "a page links to an earlier one", "Correct the service's paging.")
        return Fetched(pages.document(), self.source, self.endpoint.format, self._as_of(pages.as_of))

    def _query(self, start: str) -> dict[str, str] | None:
        if self.endpoint.format != "scim":
            return None
        return {"startIndex": start, "count": str(self.endpoint.page_size)}

    def _get(self, place: str, query: dict[str, str] | None = None) -> tuple[bytes, requests.Response]:
        """Read one page to its declared end. A redirect is refused: it would send the credentials elsewhere."""
        options = {"timeout": SECONDS, "stream": True, "allow_redirects": False, "check_response": False}
        headers = {"Accept": _ACCEPT[self.endpoint.format]}
        try:
            answer: requests.Response = self.hook.run(place, query, headers, options)
            with answer:
                self._check(answer)
                content = b"".join(self._chunks(answer))
        except (requests.RequestException, AirflowException, ValueError, OSError) as error:
            raise ConfigurationError(
                f"{self.source} does not answer completely ({type(error).__name__}). Check the connection "
                f"{self.endpoint.conn_id!r} and the service"
            ) from None
        self.dates.append(self._date(answer))
        return content, answer

    def _check(self, answer: requests.Response) -> None:
        if answer.status_code != 200:
            raise ConfigurationError(
                f"{self.source} answers with HTTP {answer.status_code}, not 200. Check login, rights and path"
            )
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if not _TYPES[self.endpoint.format].fullmatch(kind):
            raise ConfigurationError(
                f"{self.source} answers with content type {kind[:60]!r}, which is not {self.endpoint.format}. "
                "Check the path (a login page?) or the setting's format"
            )

    def _chunks(self, answer: requests.Response) -> Any:
        for chunk in answer.iter_content(_CHUNK):
            self.left -= len(chunk)
            if self.left < 0:
                raise ConfigurationError(f"{self.source} sends more than {MAX_BYTES} bytes. Check the path")
            yield chunk

    def _below(self, link: str, here: str) -> str:
        """Return the link as a path on the connection's host, so that credentials never go elsewhere."""
        try:
            base, full = normal_link(self.hook.base_url, self.hook.base_url), normal_link(link, here)
        except ValueError as error:
            problem = f"a page's link cannot be read ({error})"
            raise InputError(self.source, problem, "Let the service link to its own pages.") from None
        root = base.path.rstrip("/")
        if base.host != full.host or not full.path.startswith(root + "/"):
            problem = "a page links to another host or outside the connection's path"
            raise InputError(self.source, problem, "Let the service link to its own pages.")
        return full.path.removeprefix(root) + (f"?{full.query}" if full.query else "")

    def _date(self, answer: requests.Response) -> datetime:
        """Return the time that the answer describes. ``Age`` is subtracted for a cached answer."""
        changed, date = answer.headers.get("Last-Modified"), answer.headers.get("Date")
        try:
            moment = parsedate_to_datetime(changed or date or "")
            age = 0 if changed else int(answer.headers.get("Age", "0"))
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - timedelta(seconds=age)
        except (ValueError, TypeError):
            if self.endpoint.as_of:
                return datetime.max.replace(tzinfo=UTC)
            problem = "neither Last-Modified nor Date can be read, so its age is unknown"
            raise InputError(self.source, problem, "Let the service send one, or name the field in as_of.") from None

    def _as_of(self, told: list[str]) -> datetime:
        """Return the oldest time that any page reports."""
        where = f"{self.source}, {self.endpoint.as_of}"
        moments = [parse_moment(text, where=where, end_of_day=False) for text in told]
        if self.endpoint.as_of and not moments:
            raise InputError(where, "no page has the time of the export", "Send it, or leave as_of empty.")
        return min(moments or self.dates).astimezone(UTC)
