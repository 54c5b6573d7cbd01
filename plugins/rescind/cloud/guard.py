"""The last look at a request before it is signed: at the final bytes, not at the message they came from.

The guard shares no code with the typed messages on purpose. It knows every write by name and what each may
carry; a write that it does not know, a selector that is missing, empty or ambiguous, an id that could be
read as two, and a call over the vendor's limits are refused. Reads pass when they look like reads.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from rescind.cloud.answers.strict_json import JsonError, loads
from rescind.cloud.base import Prepared
from rescind.cloud.write_rules import dms, quickbi, wedata
from rescind.cloud.write_rules.shapes import Parameters, Rule, refuse
from rescind.errors import InputError

_READS = re.compile(r"(?:List|Get|Query|Describe)[A-Z][A-Za-z]+(?:V[0-9])?")
_CHECKS = frozenset({"CheckReadable", "CheckBatchTableAccessPermission"})
_TOKEN_SERVICE = frozenset({"GetCallerIdentity", "AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleWithOIDC"})
_WRITES: Mapping[tuple[str, str], Rule] = {
    (service, action): rule
    for service, rules in (("wedata", wedata.WRITES), ("dms", dms.WRITES), ("quickbi", quickbi.WRITES))
    for action, rule in rules.items()
}


def check(prepared: Prepared[Any]) -> None:
    """Let a request pass or refuse it.

    :raises BlastRadiusExceededError: when the request could touch more than it names, or is not a known action.
    :raises InputError: when a value has the wrong shape.
    """
    action, parameters = _final(prepared)
    if action != prepared.action:
        refuse(prepared.action, "the bytes name another action")
    known = _WRITES.get((prepared.service, action))
    if not prepared.write:
        token_call = prepared.service == "sts" and action in _TOKEN_SERVICE
        read = prepared.service != "sts" and (action in _CHECKS or _READS.fullmatch(action))
        if known is not None or not (token_call or read):
            refuse(action, "is not a read")
        return
    if known is None or prepared.method != "POST":
        refuse(action, "is not a write that this tool makes")
        return
    known(action, parameters)


def _final(prepared: Prepared[Any]) -> tuple[str, Parameters]:
    if prepared.vendor == "tencent":
        if "?" in prepared.url:
            refuse(prepared.action, "the address carries parameters")
        return prepared.headers.get("x-tc-action", ""), _json(prepared)
    query = _query(prepared)
    if prepared.write and prepared.body:
        refuse(prepared.action, "there are parameters outside the query")
    return prepared.headers.get("x-acs-action") or query.get("Action", ""), query


def _json(prepared: Prepared[Any]) -> Parameters:
    try:
        value = loads(prepared.body)
    except JsonError as error:
        raise InputError(prepared.action, f"the body is unreadable ({error})", "Build it from a message") from None
    if not isinstance(value, dict):
        raise InputError(prepared.action, "the body is not an object", "Build it from a message")
    return value


def _query(prepared: Prepared[Any]) -> dict[str, str]:
    out: dict[str, str] = {}
    text = prepared.url.partition("?")[2]
    for pair in text.split("&") if text else ():
        name, equals, value = pair.partition("=")
        decoded = _decode(name)
        if not equals or decoded in out or "#" in pair or "+" in pair:
            refuse(prepared.action, "a parameter is repeated or has no value")
        out[decoded] = _decode(value)
    return out


def _decode(text: str) -> str:
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise InputError("query", "is not UTF-8", "Build it from a message") from None
