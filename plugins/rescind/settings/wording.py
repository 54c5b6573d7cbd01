"""Wrong values in our own words."""

from __future__ import annotations

from pydantic import ValidationError

from rescind.errors import InputError

_SPELLING = {
    "bool_type": "Write true or false, without quotes",
    "int_type": "Write a whole number, without quotes",
    "string_type": "Write a text, in quotes",
    "tuple_type": "Write a list of texts",
}

_WORDS = {
    "bool_type": "is neither true nor false",
    "int_type": "is not a whole number",
    "string_type": "is not a text",
    "tuple_type": "is not a list",
    "literal_error": "is not one of {expected}",
    "extra_forbidden": "is unknown",
    "missing": "is missing",
    "value_error": "{error}",
    "string_too_long": "is longer than {max_length} characters",
    "string_too_short": "is shorter than {min_length} characters",
    "string_pattern_mismatch": "does not match the pattern {pattern}",
    "too_short": "has fewer than {min_length} entries",
    "too_long": "has more than {max_length} entries",
    "greater_than": "is not above {gt}",
    "greater_than_equal": "is below {ge}",
    "less_than_equal": "is above {le}",
}
"""What a wrong value is, by pydantic's kind of error, whose own texts speak of inputs and instances."""


def form_error(error: ValidationError) -> InputError:
    """Return the problems of a trigger form as an error, with the spelling that each wrong type needs."""
    kinds = dict.fromkeys(problem["type"] for problem in error.errors(include_url=False, include_input=False))
    remedies = [_SPELLING[kind] for kind in kinds if kind in _SPELLING]
    return InputError("trigger form", explained(error), ". ".join([*remedies, "Correct the field and start a new run"]))


def explained(error: ValidationError) -> str:
    """Return each problem as ``field: what (type of the value)``, without the values."""
    parts = []
    for problem in error.errors(include_url=False):
        field = ".".join(str(part) for part in problem["loc"]) or "(whole)"
        shape = type(problem.get("input")).__name__
        # A text of pydantic may hold braces, for example those of a pattern: only our own are filled in.
        words = _WORDS[kind].format(**problem.get("ctx", {})) if (kind := problem["type"]) in _WORDS else problem["msg"]
        parts.append(f"{field}: {words} (got {shape})")
    return "; ".join(parts)
