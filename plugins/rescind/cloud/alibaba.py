"""What all Alibaba Cloud RPC actions share: parameters as one canonical query string, and the answer's flags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from rescind.cloud.base import Request
from rescind.errors import InputError

MAX_QUERY = 8000
"""Longest canonical query in characters. The vendor publishes no limit; common gateways stop at 8 KiB."""


def percent(text: str) -> str:
    """Percent-encode as the vendor does: UTF-8, unreserved characters stay, blank is ``%20``."""
    return quote(text, safe="~")


def query_text(value: Any) -> str:
    """One parameter value as text: booleans in lower case, integers in plain decimal.

    :raises TypeError: for anything but text, booleans and integers.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return value
    raise TypeError(f"a query parameter cannot be a {type(value).__name__}")


def canonical_query(parameters: Mapping[str, Any]) -> str:
    """Sorted, encoded ``name=value`` pairs: the text that is both signed and sent."""
    pairs = sorted((percent(name), percent(query_text(value))) for name, value in parameters.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def request_query(request: Request[Any]) -> str:
    """The canonical query of a request.

    :raises InputError: when it is longer than :data:`MAX_QUERY`; split the ids over several calls.
    """
    query = canonical_query(request.wire())
    if len(query) > MAX_QUERY:
        raise InputError(
            request.action,
            f"its parameters make a query of {len(query)} characters, more than {MAX_QUERY}",
            "Send fewer ids in one call",
        )
    return query
