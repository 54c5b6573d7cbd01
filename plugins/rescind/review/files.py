"""YAML files checked against a model, with errors that name file, line and field."""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from rescind.errors import InputError
from rescind.review.text import Path, YamlFile, read_yaml, shape

Line = Annotated[str, StringConstraints(min_length=1, max_length=500, strip_whitespace=True)]
"""A text that must be given, for people to read."""


class Strict(BaseModel):
    """Base of the file models: no unknown fields, no conversion between types, no change afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Model = TypeVar("Model", bound=Strict)


def load(model: type[Model], text: bytes | str, *, source: str) -> tuple[Model, YamlFile]:
    """Return the file's content as the model, and the file with its line numbers.

    :raises InputError: for the first thing that is wrong.
    """
    file = read_yaml(text, source=source)
    if not isinstance(file.data, dict):
        raise InputError(source, f"not a mapping but {shape(file.data)}", "Write `key: value` lines.")
    try:
        return model.model_validate(file.data), file
    except ValidationError as error:
        raise explained(error, file, source) from None


def explained(error: ValidationError, file: YamlFile, source: str) -> InputError:
    """Return the first error of a validation as an :class:`InputError` with its place in the file."""
    first = error.errors(include_url=False, include_input=True, include_context=False)[0]
    path: Path = tuple(part for part in first["loc"] if isinstance(part, int) or not part.startswith("function-"))
    name = ".".join(str(part) for part in path) or "the document"
    where = f"{source}, line {file.line(path)}, {name}"
    kind, given = first["type"], first["input"]
    if kind == "extra_forbidden":
        return InputError(where, "an unknown field", "Remove it or correct its spelling.")
    if kind == "missing":
        return InputError(where, "a required field is missing", "Add the field; it has no default.")
    if kind == "string_type":
        remedy = "Put it in quotes." if isinstance(given, bool | int | float) else "Write a text."
        return InputError(where, f"must be text, not {shape(given)}", remedy)
    return InputError(where, f"{first['msg']} (given: {shape(given)})", "Correct the value.")
