"""One scripted fault, and whether it hits a request."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.faults.kinds import Kind


@dataclass(slots=True)
class Fault:
    """One scripted fault. See the README for the fields of its JSON form.

    ``seen`` counts the requests that match product, action and ``where`` since the fault was set; a call
    number is a value of that count. ``idle`` holds the calls that it hit without finding anything to change
    (a path that the answer does not have, an answer that was an error anyway).
    """

    id: str
    kind: Kind
    options: dict[str, Any]
    product: str = "*"
    action: str = "*"
    where: dict[str, Any] = field(default_factory=dict)
    calls: frozenset[int] = frozenset()
    first: int = 1
    last: int = 0
    every: int = 1
    rate: float = 1.0
    times: int = 1
    seen: int = 0
    fired: list[int] = field(default_factory=list)
    idle: list[int] = field(default_factory=list)
    random: random.Random = field(default_factory=random.Random)

    def wants(self, product: str, action: str, params: Mapping[str, Any]) -> bool:
        """Count a request that matches; True when the fault is to hit it."""
        if self.product not in ("*", product) or self.action not in ("*", action):
            return False
        if not all(_agrees(params.get(name), value) for name, value in self.where.items()):
            return False
        self.seen += 1
        if not self._due():
            return False
        self.fired.append(self.seen)
        return True

    def _due(self) -> bool:
        if self.times and len(self.fired) >= self.times:
            return False
        if self.calls:
            return self.seen in self.calls
        if self.seen < self.first or (self.last and self.seen > self.last):
            return False
        if (self.seen - self.first) % self.every:
            return False
        return self.rate >= 1.0 or self.random.random() < self.rate

    @property
    def complete(self) -> bool:
        """True when it fired as often as the script says (at least once where it does not say)."""
        acted = len(self.fired) - len(self.idle)
        if self.calls:
            return acted >= min(len(self.calls), self.times or len(self.calls))
        return acted >= (self.times or 1)

    def account(self) -> dict[str, Any]:
        """What became of the fault."""
        return {
            "id": self.id, "kind": self.kind.name, "product": self.product, "action": self.action,
            "matched": self.seen, "fired": len(self.fired), "fired_calls": list(self.fired),
            "idle_calls": list(self.idle), "complete": self.complete, "options": self.options,
        }  # fmt: skip


def _agrees(given: Any, wanted: Any) -> bool:
    """A scalar parameter must be equal as text; a list or object must contain the text somewhere."""
    if isinstance(given, (list, dict)):
        return str(wanted) in json.dumps(given, ensure_ascii=False)
    return str(given) == str(wanted)
