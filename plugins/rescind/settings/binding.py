"""Which settings an approval covers, and the form in which a run records them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Binding:
    """Whether an approval covers a setting; stands beside each field of :class:`rescind.settings.Settings`.

    :param approved: True: a run keeps the value that it began with, and nothing of it is sent while the deployment has
        another value. False: the setting may change at any time.
    """

    approved: bool


BOUND = Binding(approved=True)
"""Changes what may be removed or restored, who may say so, or what counts as proof."""
FREE = Binding(approved=False)
"""Changes only how fast a run is, where its results are kept, or what other DAGs do; or counts at once, as keys do."""
ADDRESSES = frozenset({"roster", "policy", "protections", "exceptions", "owners"})
"""Settings that hold the address of an input file."""
_SECRET = re.compile(r"(?<=://)(?P<user>[^/@:]*:)(?P<password>[^/@]+)(?=@)|(?P<mark>\?)(?P<query>.+)$")


def recorded(value: Any, *, address: bool) -> Any:
    """Return a JSON value as a run records it: without floats, and addresses without what may be a secret."""
    if isinstance(value, dict):
        return {name: recorded(inner, address=address) for name, inner in value.items()}
    if isinstance(value, list):
        return [recorded(inner, address=address) for inner in value]
    if isinstance(value, float):
        return repr(value)
    return _SECRET.sub(_digested, value) if address and isinstance(value, str) else value


def _digested(found: re.Match[str]) -> str:
    """Return the same part of an address with a digest for its password or query."""
    before, hidden = (found["user"], found["password"]) if found["password"] else (found["mark"], found["query"])
    return f"{before}sha256-{hashlib.sha256(hidden.encode()).hexdigest()[:16]}"
