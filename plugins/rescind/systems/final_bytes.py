"""Read the parameters of a final request, for the blast radius. Shares no code with the typed messages."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from rescind.cloud.base import Prepared
from rescind.errors import BlastRadiusExceededError


def query_fields(prepared: Prepared[Any]) -> dict[str, str]:
    """Return the parameters of the final query string (Alibaba).

    :raises BlastRadiusExceededError: when it cannot be parsed, or names a parameter twice.
    """
    query = urlsplit(prepared.url).query
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True)
    except ValueError:
        raise BlastRadiusExceededError(f"the final {prepared.action} query cannot be read; it was not sent") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise BlastRadiusExceededError(f"the final {prepared.action} query names {name} twice; it was not sent")
        fields[name] = value
    return fields


def body_fields(prepared: Prepared[Any]) -> dict[str, Any]:
    """Return the members of the final JSON body (Tencent).

    :raises BlastRadiusExceededError: when it is not a JSON object.
    """
    try:
        body = json.loads(prepared.body)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise BlastRadiusExceededError(f"the final {prepared.action} body is not a JSON object; it was not sent")
    return body
