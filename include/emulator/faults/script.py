"""The script: faults with the calls they are for, matched as requests come, and accounted for."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from emulator.faults.kinds import KINDS, Kind
from emulator.faults.plan import FaultPlan
from emulator.faults.wires import Holds

SELECTORS = {"id", "kind", "product", "action", "calls", "from", "to", "every", "rate", "seed", "times", "where"}


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


class FaultScript:
    """The faults set at the moment, in order. A request can be hit by several."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._numbers = 0
        self.holds = Holds()

    def __len__(self) -> int:
        return len(self._faults)

    def add(self, item: Mapping[str, Any]) -> Fault:
        """Set a fault from its JSON form.

        :raises ValueError: for an unknown kind, selector or option, with what is known.
        """
        name = str(item.get("kind", ""))
        if name not in KINDS:
            raise ValueError(f"unknown fault kind {name!r}; known: {', '.join(sorted(KINDS))}")
        kind = KINDS[name]
        options = {key: value for key, value in item.items() if key not in SELECTORS}
        if unknown := set(options) - set(kind.options):
            raise ValueError(f"fault {name} does not take {', '.join(sorted(unknown))}; it takes {kind.options}")
        self._numbers += 1
        calls = frozenset(int(number) for number in item.get("calls", []))
        spread = any(key in item for key in ("from", "to", "every", "rate"))
        fault = Fault(
            str(item.get("id", f"fault-{self._numbers}")), kind, options, str(item.get("product", "*")),
            str(item.get("action", "*")), dict(item.get("where", {})), calls, int(item.get("from", 1)),
            int(item.get("to", 0)), max(1, int(item.get("every", 1))), float(item.get("rate", 1.0)),
            int(item.get("times", 0 if calls or spread else 1)),
        )  # fmt: skip
        fault.random.seed(f"{item.get('seed', 0)}/{fault.id}")
        self._faults.append(fault)
        return fault

    def fire(self, product: str, action: str, params: Mapping[str, Any]) -> FaultPlan:
        """What is to happen to an authenticated, admitted request."""
        if not self._faults:
            return FaultPlan()
        hit = [
            fault for fault in self._faults
            if fault.kind.stage not in ("clock", "load") and fault.wants(product, action, params)
        ]  # fmt: skip
        return FaultPlan(hit, self.holds)

    def skew(self, product: str, action: str) -> float:
        """Seconds by which the service's clock is off for this request."""
        return sum(
            float(fault.options.get("seconds", 0))
            for fault in self._faults
            if fault.kind.stage == "clock" and fault.wants(product, action, {})
        )

    def load(self, product: str, action: str) -> float:
        """Requests per second that others send on the lane of this request."""
        return sum(
            float(fault.options.get("per_second", 1))
            for fault in self._faults
            if fault.kind.stage == "load" and fault.wants(product, action, {})
        )

    def account(self) -> dict[str, Any]:
        """Every fault with how often it matched and fired."""
        rows = [fault.account() for fault in self._faults]
        return {
            "faults": rows,
            "fired": sum(row["fired"] for row in rows),
            "all_fired": all(row["complete"] for row in rows),
            "not_fired": [row["id"] for row in rows if not row["complete"]],
        }

    def clear(self) -> None:
        """Behave well from now on."""
        self._faults.clear()
