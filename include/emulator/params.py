"""Parameters: what an action takes, checked and converted the way each vendor's gateway does it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emulator.errors import ApiError

Spec = Mapping[str, Any]


def check_tencent(spec: Spec, given: Any, path: str = "") -> dict[str, Any]:
    """Check a JSON body against a spec.

    A spec maps a field name (with ``!`` at the end when required) to ``str``, ``int``, ``bool``, ``[spec]``
    or a nested spec. Null counts as absent, as with a field that was never sent.

    :raises ApiError: UnknownParameter, MissingParameter or InvalidParameter.
    """
    if not isinstance(given, dict):
        raise ApiError("InvalidParameter", f"The value type of parameter `{path or 'body'}` is not valid.")
    known = {name.rstrip("!"): (kind, name.endswith("!")) for name, kind in spec.items()}
    result: dict[str, Any] = {}
    for name, value in given.items():
        where = f"{path}.{name}" if path else name
        if name not in known:
            raise ApiError("UnknownParameter", f"The parameter `{where}` is not recognized.")
        if value is not None:
            result[name] = _convert(known[name][0], value, where)
    for name, (_, required) in known.items():
        if required and name not in result:
            where = f"{path}.{name}" if path else name
            raise ApiError("MissingParameter", f"The request is missing the required parameter `{where}`.")
    return result


def _convert(kind: Any, value: Any, where: str) -> Any:
    if isinstance(kind, list):
        if isinstance(value, list):
            return [_convert(kind[0], item, f"{where}.{index}") for index, item in enumerate(value)]
    elif isinstance(kind, Mapping):
        return check_tencent(kind, value, where)
    elif isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise ApiError("InvalidParameter", f"The value type of parameter `{where}` is not valid.")


@dataclass(frozen=True, slots=True)
class TextParam:
    """A parameter of an Alibaba RPC action: text on the wire, converted to ``kind``."""

    name: str
    kind: str
    required: bool


def parse_spec(text: str) -> tuple[TextParam, ...]:
    """Read a spec such as ``"UserId! InstanceId:int Logic:bool"``."""
    params = []
    for word in text.split():
        name, _, kind = word.partition(":")
        params.append(TextParam(name.rstrip("!"), (kind or "str").rstrip("!"), "!" in word))
    return tuple(params)


def check_alibaba(spec: tuple[TextParam, ...], given: Mapping[str, str]) -> dict[str, Any]:
    """Convert the text parameters of an action; unknown ones are ignored, as the gateway does.

    :raises ApiError: ``Missing<Name>`` or ``InvalidParameter``, both HTTP 400.
    """
    result: dict[str, Any] = {}
    for param in spec:
        text = given.get(param.name, "")
        if text == "":
            if param.required:
                raise ApiError(f"Missing{param.name}", f"{param.name} is mandatory for this action.")
            continue
        result[param.name] = _from_text(param, text)
    return result


def _from_text(param: TextParam, text: str) -> Any:
    try:
        if param.kind == "int":
            return int(text)
        if param.kind == "json":
            return json.loads(text)
    except ValueError:
        raise ApiError("InvalidParameter", f"The parameter {param.name} is not a valid {param.kind}.") from None
    if param.kind == "bool":
        if text.lower() not in ("true", "false"):
            raise ApiError("InvalidParameter", f"The parameter {param.name} is not a valid boolean.")
        return text.lower() == "true"
    return text
