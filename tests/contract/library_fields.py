"""The vendors' field tables again, this time read out of the installed libraries' model classes."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

_TENCENT_TYPES = {"str": "string", "int": "integer", "bool": "boolean", "float": "number"}
_RTYPE = re.compile(r":rtype:\s*(?P<list>list of )?(?P<type>:class:`[\w.]+`|\w+)")
_TO_MAP = re.compile(r"result\['(?P<vendor>\w+)'\] = (?:self\.(?P<name>\w+)|\[\])")
_WRAPPED = re.compile(r"^List\[(?P<inner>.+)\]$")
_DEEPEST = 12


def tencent_fields(models: ModuleType, name: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Paths and types of a Tencent model: each property's docstring names its type."""
    for field, member in inspect.getmembers(getattr(models, name), lambda value: isinstance(value, property)):
        if field == "headers":
            continue
        match = _RTYPE.search(member.fget.__doc__)
        assert match is not None, f"{name}.{field}"
        inner = match["type"].strip("`").rpartition(".")[2].removeprefix(":class:")
        path = f"{prefix}{field}"
        if match["list"]:
            yield path, "list"
            path += "[]"
        yield path, _TENCENT_TYPES.get(inner, "object")
        if inner not in _TENCENT_TYPES and path.count(".") < _DEEPEST:
            yield from tencent_fields(models, inner, f"{path}.")


def alibaba_fields(models: ModuleType, name: str, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Paths and types of an Alibaba model: annotations of the constructor, vendor names from ``to_map``."""
    model = getattr(models, name)
    vendor_names = _vendor_names(model)
    for field, parameter in inspect.signature(model).parameters.items():
        yield from _annotated(models, str(parameter.annotation), f"{prefix}{vendor_names[field]}")


def _annotated(models: ModuleType, annotation: str, path: str) -> Iterator[tuple[str, str]]:
    match = _WRAPPED.match(annotation)
    if match:
        yield path, "list"
        yield from _annotated(models, match["inner"], f"{path}[]")
    elif annotation.startswith("main_models."):
        yield path, "object"
        yield from alibaba_fields(models, annotation.removeprefix("main_models."), f"{path}.")
    else:
        yield path, _TENCENT_TYPES.get(annotation, "any")


def _vendor_names(model: Any) -> dict[str, str]:
    """Attribute names to vendor names."""
    names: dict[str, str] = {}
    for match in _TO_MAP.finditer(inspect.getsource(model.to_map)):
        # A list is first set to [] and then filled from the attribute of the same name.
        names[match["name"] or _snake(match["vendor"])] = match["vendor"]
    for field in inspect.signature(model).parameters:
        if field not in names:
            names[field] = next(vendor for vendor in names.values() if _plain(vendor) == _plain(field))
    return names


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _plain(name: str) -> str:
    return name.replace("_", "").lower()
