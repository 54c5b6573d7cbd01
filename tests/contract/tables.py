"""The vendors' field tables, as kept in ``data/``, and the check of JSON values against them.

A table names every field of an action by one path (``Data.Items[].Id``) with its type: ``string``, ``integer``,
``boolean``, ``number``, ``object``, ``list``; ``!`` marks a required parameter, ``?`` a value that may be null.
Alibaba's tables say nothing about null, so null fits everywhere there but in place of a list or an object.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "data"
PRODUCTS = ("wedata", "dms", "quickbi", "tencent-sts", "alibaba-sts")
_PYTHON: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "number": (int, float),
    "object": (dict,),
    "list": (list,),
    "any": (str, int, bool, float, dict, list),
}


@dataclass(frozen=True)
class ActionTable:
    """One action: its parameters and the fields of its answer, by path.

    :param response: fields below ``Response`` (Tencent) or of the whole body (Alibaba).
    :param text: fields of a node, where the answer carries a tree as JSON text.
    """

    product: str
    action: str
    version: str
    method: str
    write: bool
    request: Mapping[str, str]
    response: Mapping[str, str]
    text: Mapping[str, str] | None = None

    @property
    def required(self) -> set[str]:
        """Names of the required parameters at the top."""
        return {path for path, kind in self.request.items() if kind.endswith("!") and "." not in path}


@cache
def tables() -> dict[tuple[str, str], ActionTable]:
    """All tables by (product, action)."""
    found = {}
    for product in PRODUCTS:
        content = json.loads((DATA / f"{product}.json").read_text(encoding="utf-8"))
        for name, facts in content["actions"].items():
            found[product, name] = ActionTable(product, name, content["version"], **facts)
    return found


def kind_of(text: str) -> str:
    """The bare type of a table entry."""
    return text.rstrip("!?")


def problems(fields: Mapping[str, str], value: Any, *, nulls: bool, path: str = "") -> Iterator[str]:
    """Where a JSON object departs from a table: fields that it does not have, and values of another type.

    :param nulls: True when the tables do not say what may be null.
    """
    for name, inner in value.items():
        here = f"{path}.{name}" if path else name
        if here not in fields:
            yield f"{here} is not in the table"
        else:
            yield from _value_problems(fields, inner, here, nulls)


def _value_problems(fields: Mapping[str, str], value: Any, path: str, nulls: bool) -> Iterator[str]:
    kind = kind_of(fields[path])
    if value is None:
        if not fields[path].endswith("?") and not (nulls and kind not in ("list", "object")):
            yield f"{path} is null"
        return
    if not isinstance(value, _PYTHON[kind]) or (isinstance(value, bool) and kind in ("integer", "number")):
        yield f"{path} is {type(value).__name__}, not {kind}"
    elif isinstance(value, dict):
        yield from problems(fields, value, nulls=nulls, path=path)
    elif isinstance(value, list):
        for item in value:
            yield from _value_problems(fields, item, f"{path}[]", nulls)
