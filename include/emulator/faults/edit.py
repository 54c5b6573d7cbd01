"""Changes to the content of an answer."""

from __future__ import annotations

import copy
import random
from collections import deque
from typing import Any

_TOTALS = ("TotalCount", "TotalNum")
_PAYLOADS = ("Data", "Result", "UserPermissions", "UserList", "InstanceList", "DatabaseList", "LogicDatabaseList")


def apply(body: dict[str, Any], kind: str, options: dict[str, Any]) -> dict[str, Any] | None:
    """The body after one fault, or None when it has nothing that the fault could change.

    Without a ``path``: the payload for ``null``, else the main list.
    """
    body = copy.deepcopy(body)
    if kind == "total":
        return body if _total(body, options) else None
    path = _path(body, kind, options)
    try:
        parent = _walk(body, path[:-1])
        last: Any = int(path[-1]) if isinstance(parent, list) else path[-1]
        _change(parent, last, kind, options)
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return body


def _change(parent: Any, last: Any, kind: str, options: dict[str, Any]) -> None:
    if kind == "set":
        parent[last] = options.get("value")
    elif kind == "drop":
        del parent[last]
    elif kind == "null":
        parent[last], _ = None, parent[last]
    else:
        parent[last] = _list(list(parent[last]), kind, options)


def _list(items: list[Any], kind: str, options: dict[str, Any]) -> list[Any]:
    count = int(options.get("count", 1))
    if kind == "empty":
        return []
    if kind == "short":
        return items[: max(0, len(items) - count)]
    if kind == "duplicate":
        return items + items[:count]
    random.Random(str(options.get("seed_text", "shuffle"))).shuffle(items)
    return items


def _path(body: dict[str, Any], kind: str, options: dict[str, Any]) -> list[str]:
    if text := str(options.get("path", "")):
        return text.split(".")
    if kind == "null":
        inner = ["Response"] if "Response" in body else []
        names = [name for name in _walk(body, inner) if name in _PAYLOADS]
        return [*inner, names[0]] if names else []
    return main_list(body)


def main_list(body: dict[str, Any]) -> list[str]:
    """Path of the list nearest to the top."""
    queue: deque[tuple[list[str], Any]] = deque([([], body)])
    while queue:
        path, value = queue.popleft()
        if isinstance(value, list):
            return path
        if isinstance(value, dict):
            queue.extend(([*path, name], child) for name, child in value.items())
    return []


def _walk(body: Any, path: list[str]) -> Any:
    for name in path:
        body = body[int(name)] if isinstance(body, list) else body[name]
    return body


def _total(body: Any, options: dict[str, Any]) -> int:
    """Change every total: to ``value`` (null is possible), or by ``delta``; how many there were."""
    if isinstance(body, list):
        return sum(_total(item, options) for item in body)
    if not isinstance(body, dict):
        return 0
    changed = 0
    for name, value in body.items():
        if name in _TOTALS:
            body[name] = options["value"] if "value" in options else int(value or 0) + int(options.get("delta", 1))
            changed += 1
        else:
            changed += _total(value, options)
    return changed
