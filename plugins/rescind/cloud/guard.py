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
_CHECKS = frozenset({"CheckReadable"})
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
        return _one_action(prepared, "x-tc-action"), _json(prepared)
    query = _pairs(prepared.action, prepared.url.partition("?")[2])
    header = "x-acs-action" in prepared.headers
    if prepared.body and (prepared.write or header):
        refuse(prepared.action, "there are parameters outside the query")
    form = _pairs(prepared.action, prepared.body.decode("ascii", "replace"))
    return _one_action(prepared, "x-acs-action", *query.items(), *form.items()), query


def _one_action(prepared: Prepared[Any], header: str, *parameters: tuple[str, str]) -> str:
    """Return the action that the request names. Of two, nobody knows which one the vendor takes."""
    named = [value for name, value in prepared.headers.items() if name.casefold() == header]
    named += [value for name, value in parameters if name.casefold() == "action"]
    if len(named) > 1:
        refuse(prepared.action, "an action is named twice")
    return named[0] if named else ""


def _json(prepared: Prepared[Any]) -> Parameters:
    try:
        value = loads(prepared.body)
    except JsonError as error:
        raise InputError(prepared.action, f"the body is unreadable ({error})", "Build it from a message") from None
    if not isinstance(value, dict):
        raise InputError(prepared.action, "the body is not an object", "Build it from a message")
    return value


def _pairs(action: str, text: str) -> dict[str, str]:
    out: dict[str, str] = {}
    for pair in text.split("&") if text else ():
        name, equals, value = pair.partition("=")
        decoded = _decode(name)
        if not equals or decoded in out or "#" in pair or "+" in pair:
            refuse(action, "a parameter is repeated or has no value")
        out[decoded] = _decode(value)
    return out


def _decode(text: str) -> str:
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise InputError("query", "is not UTF-8", "Build it from a message") from None
