"""Parameters of a policy: plain YAML values with a type that CEL checks conditions against."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from cel_expr_python import cel

from rescind.errors import InputError
from rescind.review.text import parse_moment, shape

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_DURATION = re.compile(r"(\d{1,6})(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SCALARS: tuple[tuple[type, cel.Type], ...] = (
    (bool, cel.Type.BOOL),
    (int, cel.Type.INT),
    (str, cel.Type.STRING),
)
_INT64 = 2**63


def read_params(params: Mapping[str, Any], source: str) -> tuple[dict[str, cel.Type], dict[str, Any]]:
    """CEL types and CEL values of the parameters.

    A value is a text, a whole number, true/false, a list of one such kind, a mapping from texts to one such
    kind or to lists of texts; ``{duration: 90d}`` is a duration and ``{time: 2026-01-01}`` a moment.

    :raises InputError: for other kinds, mixed lists, floats and names that CEL cannot spell.
    """
    types: dict[str, cel.Type] = {}
    values: dict[str, Any] = {}
    for name, raw in params.items():
        where = f"{source}, params.{name}"
        if not _NAME.fullmatch(name):
            raise InputError(where, "not a usable name", "Use lower-case letters, digits and underscores.")
        types[name], values[name] = _value(raw, where)
    return types, values


def _value(raw: Any, where: str) -> tuple[cel.Type, Any]:
    if isinstance(raw, dict):
        return _mapping(raw, where)
    if isinstance(raw, list):
        return cel.Type.List(_element([_scalar(item, where) for item in raw], where)), raw
    return _scalar(raw, where), raw


def _scalar(raw: Any, where: str) -> cel.Type:
    for kind, known in _SCALARS:
        if type(raw) is kind:
            if isinstance(raw, int) and not -_INT64 <= raw < _INT64:
                raise InputError(where, "a whole number of more than 64 bits", "Put ids in quotes.")
            return known
    raise InputError(where, f"{shape(raw)} cannot be a parameter", "Use a text, a whole number, true/false or a list.")


def _element(types: list[cel.Type], where: str) -> cel.Type:
    """Return the one type of all elements; an empty list is one of texts."""
    if any(kind != types[0] for kind in types):
        raise InputError(where, "values of different kinds", "Use one kind.")
    return types[0] if types else cel.Type.STRING


def _mapping(raw: dict[Any, Any], where: str) -> tuple[cel.Type, Any]:
    if set(raw) == {"duration"}:
        return cel.Type.DURATION, _duration(raw["duration"], where)
    if set(raw) == {"time"}:
        if not isinstance(raw["time"], str):
            raise InputError(where, f"{shape(raw['time'])} is not a time", "Write YYYY-MM-DD.")
        return cel.Type.TIMESTAMP, parse_moment(raw["time"], where=where, end_of_day=False)
    if any(not isinstance(key, str) for key in raw):
        raise InputError(where, "a key that is not text", "Quote the keys.")
    kinds = [_value(inner, where)[0] for inner in raw.values() if not isinstance(inner, dict)]
    if len(kinds) != len(raw):
        raise InputError(where, "a mapping inside a mapping", "Use texts, numbers or lists as values.")
    return cel.Type.Map(cel.Type.STRING, _element(kinds, where)), raw


def _duration(raw: Any, where: str) -> timedelta:
    match = _DURATION.fullmatch(raw) if isinstance(raw, str) else None
    if match is None:
        raise InputError(where, f"not a duration ({shape(raw)})", "Write a number and s, m, h or d, for example 90d.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
